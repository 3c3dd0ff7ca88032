/**
 * Our HTTP/3 on a real socket of 127.0.0.1, in both roles. A server answers GET of `/bytes/N` with N bytes that count up, and
 * of anything else with 404; echoes what is posted; and echoes content and datagrams of an extended CONNECT. A client asks
 * peers for the same.
 *
 * @module
 */

import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { DEFAULT_HTTP3_OPTIONS } from "../../protocols/http3/config.ts";
import { Http3Connection } from "../../protocols/http3/connection.ts";
import type { Http3Event } from "../../protocols/http3/events.ts";
import type { RequestHead, ResponseHead } from "../../protocols/http3/message.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { EndpointConfig, TlsSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { EndpointEvent } from "../../protocols/quic/events.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { certificateTls, pinningTls } from "./ours.ts";

/** TLS of a client that asks for HTTP/3. */
export function http3ClientTls(certificate: TestCertificate): TlsSettings {
  return { ...pinningTls(certificate), applicationProtocols: ["h3"] };
}

/** TLS of a server that speaks HTTP/3. */
export function http3ServerTls(certificate: TestCertificate): TlsSettings {
  return { ...certificateTls(certificate), applicationProtocols: ["h3"] };
}

/** `bytes` bytes that count up. */
export function countingBytes(bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, at) => at & 0xff);
}

/** What a server answered. */
export interface Answer {
  readonly response: ResponseHead;
  readonly content: Uint8Array;
}

/** An endpoint whose connections all speak HTTP/3. */
export class Http3Socket implements AsyncDisposable {
  readonly #host = new DenoHost();
  readonly #endpoint: QuicEndpoint;
  readonly #driver: Driver<EndpointEvent>;
  readonly #base: Base;
  readonly #peers = new Map<QuicConnection, Http3Peer>();
  /** Every event of every connection, in order. */
  readonly events: Http3Event[] = [];

  constructor(config: Partial<EndpointConfig> = {}) {
    this.#endpoint = new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, ...config }, this.#host.random);
    this.#driver = new Driver(this.#endpoint, this.#host, (event) => this.#handle(event));
    this.#base = this.#host.bind(addressOf("127.0.0.1", 0));
  }

  /** A server for whoever comes, on a free port. */
  static server(tls: TlsSettings): Http3Socket {
    return new Http3Socket({ server: { tls, transport: DEFAULT_TRANSPORT_SETTINGS } });
  }

  get port(): number {
    return this.#base.local.port;
  }

  /** Resolves when the peer's SETTINGS came. */
  async connect(port: number, tls: TlsSettings): Promise<Http3Peer> {
    const remote = addressOf("127.0.0.1", port);
    const quic = this.#endpoint.connect(
      { base: this.#base, remote, tls, transport: DEFAULT_TRANSPORT_SETTINGS },
      this.#host.now(),
    );
    const peer = this.#peerOf(quic);
    this.#driver.drain();
    await peer.ready;
    return peer;
  }

  /** Closes every connection and, when CONNECTION_CLOSE has left, the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    const peers = [...this.#peers.values()];
    for (const peer of peers) peer.close();
    await Promise.all(peers.map((peer) => peer.closed));
    this.#host[Symbol.dispose]();
  }

  #peerOf(quic: QuicConnection): Http3Peer {
    let peer = this.#peers.get(quic);
    if (peer === undefined) {
      peer = new Http3Peer(quic, () => this.#host.now(), () => this.#driver.drain());
      this.#peers.set(quic, peer);
    }
    return peer;
  }

  #handle(event: EndpointEvent): void {
    if (event.type === "incoming") return;
    const peer = this.#peerOf(event.connection);
    peer.http3.handleEvent(event.event, this.#host.now());
    for (let next = peer.http3.pollEvent(); next !== undefined; next = peer.http3.pollEvent()) {
      this.events.push(next);
      peer.handle(next);
    }
    if (event.event.type === "closed") this.#peers.delete(event.connection);
  }
}

interface Exchange {
  readonly answered: PromiseWithResolvers<Answer>;
  response: ResponseHead | undefined;
  readonly content: Uint8Array[];
  contentBytes: number;
  /** What is still to be sent. */
  rest: Uint8Array;
  /** FIN follows the rest. */
  isWhole: boolean;
  readonly datagrams: Uint8Array[];
  /** Client of a tunnel: bytes and datagrams to wait for, before it ends. */
  wanted: { readonly contentBytes: number; readonly datagrams: number } | undefined;
}

/** One connection. */
export class Http3Peer {
  readonly http3: Http3Connection;
  readonly #now: () => number;
  readonly #drain: () => void;
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #exchanges = new Map<number, Exchange>();
  readonly #requests = new Map<number, RequestHead>();

  constructor(quic: QuicConnection, now: () => number, drain: () => void) {
    this.http3 = new Http3Connection(quic, DEFAULT_HTTP3_OPTIONS);
    this.#now = now;
    this.#drain = drain;
  }

  /** Resolves when the peer's SETTINGS came. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves at the end. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Client: sends a request, and resolves to the whole answer. */
  async fetch(head: RequestHead, content?: Uint8Array): Promise<Answer> {
    const id = this.#begin(head, content ?? new Uint8Array(0), undefined);
    return await this.#exchangeOf(id).answered.promise;
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
        return this.#send(event.streamId);
      case "datagramReadable":
        return this.#onDatagrams();
      case "failed":
      case "reset":
        this.#exchanges.get(event.streamId)?.answered.reject(new Error(JSON.stringify(event)));
        return;
      case "closed": {
        const error = new Error(`The connection closed: ${JSON.stringify(event)}`);
        this.#ready.reject(error);
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
    exchange.rest = content;
    exchange.isWhole = wanted === undefined;
    exchange.wanted = wanted;
    this.#send(id);
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
      exchange.rest = countingBytes(Number(size));
      exchange.isWhole = true;
      this.#send(id);
    } else {
      this.http3.respond(id, { status: 404, fields: [] }, { isEnd: true });
    }
  }

  #onReadable(id: number): void {
    const exchange = this.#exchangeOf(id);
    for (let data = this.http3.read(id, this.#now()); data !== undefined; data = this.http3.read(id, this.#now())) {
      exchange.contentBytes += data.length;
      if (this.http3.role === "client") exchange.content.push(data);
      else exchange.rest = concatBytes(exchange.rest, data);
    }
    const isAtEnd = this.http3.isAtEnd(id);
    if (this.http3.role === "client") return this.#noticeAnswer(id, isAtEnd);
    if (this.#requests.get(id)?.method === "GET") return;
    exchange.isWhole = isAtEnd;
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

  #send(id: number): void {
    const exchange = this.#exchangeOf(id);
    exchange.rest = exchange.rest.subarray(this.http3.write(id, exchange.rest));
    if (exchange.rest.length === 0 && exchange.isWhole) this.http3.finish(id);
  }

  #exchangeOf(id: number): Exchange {
    let exchange = this.#exchanges.get(id);
    if (exchange === undefined) {
      exchange = {
        answered: Promise.withResolvers<Answer>(),
        response: undefined,
        content: [],
        contentBytes: 0,
        rest: new Uint8Array(0),
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
