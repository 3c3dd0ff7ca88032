/**
 * One HTTP/3 connection of `http3_socket.ts`: what a server answers, and what a client asks for.
 *
 * @module
 */

import { concatBytes } from "../../protocols/core/bytes.ts";
import { DEFAULT_HTTP3_OPTIONS } from "../../protocols/http3/config.ts";
import { Http3Connection } from "../../protocols/http3/connection.ts";
import type { Http3Event } from "../../protocols/http3/events.ts";
import type { RequestHead, ResponseHead } from "../../protocols/http3/message.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";

/** What a server keeps of an upload that it has not been able to return yet; then it reads no further. */
const MAX_ECHO_BYTES = 256 * 1024;

/** `bytes` bytes that count up. */
export function countingBytes(bytes: number): Uint8Array<ArrayBuffer> {
  const counting = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at++) counting[at] = at;
  return counting;
}

/** What a server answered. */
export interface Answer {
  readonly response: ResponseHead;
  readonly content: Uint8Array;
}

interface Exchange {
  readonly answered: PromiseWithResolvers<Answer>;
  response: ResponseHead | undefined;
  readonly content: Uint8Array[];
  contentBytes: number;
  /** What is still to be sent, in pieces. */
  rest: Uint8Array[];
  restBytes: number;
  /** FIN follows the rest. */
  isWhole: boolean;
  readonly datagrams: Uint8Array[];
  /** Client of a tunnel: bytes and datagrams to wait for, before it ends. */
  wanted: { readonly contentBytes: number; readonly datagrams: number } | undefined;
}

/** One connection. */
export class Http3Peer {
  readonly quic: QuicConnection;
  readonly http3: Http3Connection;
  readonly #now: () => number;
  readonly #drain: () => void;
  readonly #ready = Promise.withResolvers<void>();
  readonly #confirmed = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #exchanges = new Map<number, Exchange>();
  readonly #requests = new Map<number, RequestHead>();

  constructor(quic: QuicConnection, now: () => number, drain: () => void) {
    this.quic = quic;
    // What nobody waits for may fail.
    this.#ready.promise.catch(() => {});
    this.#confirmed.promise.catch(() => {});
    this.http3 = new Http3Connection(quic, DEFAULT_HTTP3_OPTIONS);
    this.#now = now;
    this.#drain = drain;
  }

  /** Resolves when the peer's SETTINGS came and the handshake is confirmed, so that a client may move. */
  get ready(): Promise<unknown> {
    return Promise.all([this.#ready.promise, this.#confirmed.promise]);
  }

  /** The peer is known to have completed the handshake. */
  onConfirmed(): void {
    this.#confirmed.resolve();
  }

  /** Resolves at the end. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Client: sends a request, and resolves to the whole answer. */
  fetch(head: RequestHead, content?: Uint8Array): Promise<Answer> {
    const id = this.#begin(head, content ?? new Uint8Array(0), undefined);
    return this.#exchangeOf(id).answered.promise;
  }

  /** Client: an extended CONNECT that sends content and datagrams, and resolves when as much has come back. */
  async tunnel(
    head: RequestHead,
    content: Uint8Array,
    datagrams: readonly Uint8Array[],
  ): Promise<Answer & { readonly datagrams: readonly Uint8Array[] }> {
    const id = this.#begin(head, content, { contentBytes: content.length, datagrams: datagrams.length });
    for (const datagram of datagrams) {
      if (!this.http3.sendDatagram(id, datagram)) throw new Error("A datagram was not taken");
    }
    this.#drain();
    const exchange = this.#exchangeOf(id);
    return { ...await exchange.answered.promise, datagrams: exchange.datagrams };
  }

  close(): void {
    this.http3.close(this.#now());
    this.#drain();
  }

  /** An event of this connection. */
  handle(event: Http3Event): void {
    switch (event.type) {
      case "settings":
        return this.#ready.resolve();
      case "request":
        return this.#onRequest(event.streamId, event.request);
      case "response":
        this.#exchangeOf(event.streamId).response = event.response;
        return;
      case "readable":
        return this.#onReadable(event.streamId);
      case "writable":
        this.#send(event.streamId);
        return this.http3.role === "server" ? this.#echo(event.streamId) : undefined;
      case "datagramReadable":
        return this.#onDatagrams();
      case "failed":
      case "reset":
        this.#exchanges.get(event.streamId)?.answered.reject(new Error(JSON.stringify(event)));
        return;
      case "closed": {
        const error = new Error(`The connection closed: ${JSON.stringify(event)}`);
        this.#ready.reject(error);
        this.#confirmed.reject(error);
        for (const exchange of this.#exchanges.values()) exchange.answered.reject(error);
        return this.#closed.resolve();
      }
      case "informational":
      case "stopped":
      case "streamClosed":
      case "requestsAvailable":
      case "goAway":
        return;
    }
  }

  #begin(head: RequestHead, content: Uint8Array, wanted: Exchange["wanted"]): number {
    const id = this.http3.request(head);
    if (id === undefined) throw new Error("There is no stream for a request");
    const exchange = this.#exchangeOf(id);
    exchange.isWhole = wanted === undefined;
    exchange.wanted = wanted;
    this.#give(id, content);
    this.#drain();
    return id;
  }

  #onRequest(id: number, request: RequestHead): void {
    const exchange = this.#exchangeOf(id);
    this.#requests.set(id, request);
    const fields = [["server", "traverse"], ["x-saw", request.path ?? ""]] as const;
    const size = /^\/bytes\/(\d+)$/.exec(request.path ?? "")?.[1];
    if (request.method !== "GET") {
      this.http3.respond(id, { status: 200, fields });
    } else if (size !== undefined) {
      this.http3.respond(id, { status: 200, fields: [...fields, ["content-length", size]] });
      exchange.isWhole = true;
      this.#give(id, countingBytes(Number(size)));
    } else {
      this.http3.respond(id, { status: 404, fields: [] }, { isEnd: true });
    }
  }

  #onReadable(id: number): void {
    if (this.http3.role === "server") return this.#echo(id);
    const exchange = this.#exchangeOf(id);
    for (let data = this.http3.read(id, this.#now()); data !== undefined; data = this.http3.read(id, this.#now())) {
      exchange.contentBytes += data.length;
      exchange.content.push(data);
    }
    this.#noticeAnswer(id, this.http3.isAtEnd(id));
  }

  /** Server: returns what comes. What does not leave is not read either, so that flow control stops the client. */
  #echo(id: number): void {
    const exchange = this.#exchangeOf(id);
    while (exchange.restBytes < MAX_ECHO_BYTES) {
      const data = this.http3.read(id, this.#now());
      if (data === undefined) break;
      exchange.contentBytes += data.length;
      this.#give(id, data);
    }
    if (!this.http3.isAtEnd(id) || this.#requests.get(id)?.method === "GET") return;
    exchange.isWhole = true;
    this.#send(id);
  }

  #onDatagrams(): void {
    for (
      let datagram = this.http3.readDatagram(this.#now());
      datagram !== undefined;
      datagram = this.http3.readDatagram(this.#now())
    ) {
      const { streamId, bytes, payloadAt } = datagram;
      const payload = bytes.subarray(payloadAt);
      if (this.http3.role === "server") {
        this.http3.sendDatagram(streamId, payload);
      } else {
        this.#exchangeOf(streamId).datagrams.push(payload);
        this.#noticeAnswer(streamId, false);
      }
    }
  }

  #noticeAnswer(id: number, isAtEnd: boolean): void {
    const exchange = this.#exchangeOf(id);
    const { wanted, response } = exchange;
    const isAll = wanted !== undefined && exchange.contentBytes >= wanted.contentBytes &&
      exchange.datagrams.length >= wanted.datagrams;
    if (response === undefined || !(isAtEnd || isAll)) return;
    this.http3.finish(id);
    exchange.answered.resolve({ response, content: concatBytes(...exchange.content) });
  }

  #give(id: number, data: Uint8Array): void {
    const exchange = this.#exchangeOf(id);
    exchange.rest.push(data);
    exchange.restBytes += data.length;
    this.#send(id);
  }

  #send(id: number): void {
    const exchange = this.#exchangeOf(id);
    for (let data = exchange.rest[0]; data !== undefined; data = exchange.rest[0]) {
      const takenBytes = this.http3.write(id, data);
      exchange.restBytes -= takenBytes;
      exchange.rest[0] = data.subarray(takenBytes);
      if (takenBytes < data.length) return;
      exchange.rest.shift();
    }
    if (exchange.isWhole) this.http3.finish(id);
  }

  #exchangeOf(id: number): Exchange {
    let exchange = this.#exchanges.get(id);
    if (exchange === undefined) {
      exchange = {
        answered: Promise.withResolvers<Answer>(),
        response: undefined,
        content: [],
        contentBytes: 0,
        rest: [],
        restBytes: 0,
        isWhole: false,
        datagrams: [],
        wanted: undefined,
      };
      // What nobody waits for may fail.
      exchange.answered.promise.catch(() => {});
      this.#exchanges.set(id, exchange);
    }
    return exchange;
  }
}
