/**
 * HTTP/3 over a QUIC connection, both ends of it: RFC 9114, with extended CONNECT (RFC 9220) and HTTP Datagrams (RFC 9297).
 * It owns the parts and says what goes to which; server push is refused, 0-RTT does not exist underneath.
 *
 * @module
 */

import type { QuicConnection } from "../quic/connection.ts";
import type { ConnectionEvent } from "../quic/events.ts";
import { Fifo } from "../quic/fifo.ts";
import type { Directionality, Role } from "../quic/stream_id.ts";
import { checkHttp3Options, DEFAULT_HTTP3_OPTIONS, type Http3Options, type PeerSettings } from "./config.ts";
import type { ControlMessage } from "./control_stream.ts";
import { HTTP3_ERROR, Http3Error, type Http3ErrorName, Http3StreamError } from "./errors.ts";
import type { Http3Event } from "./events.ts";
import { encodeFrame, encodeGoAway } from "./frame.ts";
import { encodeDatagram, type HttpDatagram, HttpDatagrams, quarterStreamIdBytes } from "./http_datagrams.ts";
import {
  type Field,
  fieldsOfRequest,
  fieldsOfResponse,
  type RequestHead,
  requestOf,
  type ResponseHead,
  responseOf,
} from "./message.ts";
import { PeerStreams, STREAM_TYPE } from "./peer_streams.ts";
import { encodeFieldSection, fieldSectionBytes } from "./qpack/field_section.ts";
import { type RequestHost, RequestStream } from "./request_stream.ts";
import { encodeSettings } from "./settings.ts";
import { StreamOutput } from "./stream_output.ts";

export type { HttpDatagram } from "./http_datagrams.ts";
export { MAX_DATA_FRAME_BYTES } from "./stream_output.ts";

/**
 * How far ahead of the requests that came an HTTP Datagram may be to be kept: more streams at once than any server allows
 * here. What names others is no datagram that overtook its request.
 */
const MAX_EARLY_REQUESTS = 128;

/**
 * Requests of which all has come, and all was sent and acknowledged, but not all was read. They count for no limit of streams
 * any more, so one more forgets the oldest.
 */
export const MAX_UNREAD_REQUESTS = 256;

/** How a head is sent. */
export interface SendOptions {
  /** No content follows. Default false. */
  readonly isEnd?: boolean;
}

/**
 * One HTTP/3 connection. Whoever drains the QUIC endpoint hands each of the connection's events to `handleEvent`, then
 * takes `pollEvent` until it is dry. What commands leave to be sent is drained from the endpoint.
 *
 * @example
 * ```ts
 * import { Http3Connection } from "./connection.ts";
 * import type { QuicConnection } from "../quic/connection.ts";
 * import type { ConnectionEvent } from "../quic/events.ts";
 *
 * export function serve(quic: QuicConnection): (event: ConnectionEvent, now: number) => void {
 *   const http3 = new Http3Connection(quic);
 *   return (quicEvent, now) => {
 *     http3.handleEvent(quicEvent, now);
 *     for (let event = http3.pollEvent(); event !== undefined; event = http3.pollEvent()) {
 *       if (event.type === "request") http3.respond(event.streamId, { status: 404, fields: [] }, { isEnd: true });
 *     }
 *   };
 * }
 * ```
 */
export class Http3Connection {
  readonly #quic: QuicConnection;
  readonly #options: Http3Options;
  readonly #host: RequestHost;
  // What a stream reports is bounded by what it may report (16 interim responses), and streams by their limit.
  readonly #events = new Fifo<Http3Event>();
  readonly #requests = new Map<number, RequestStream>();
  /** Of these, the streams are over underneath, and content waits to be read. */
  readonly #unread = new Set<number>();
  readonly #peerStreams: PeerStreams;
  #control: { readonly id: number; readonly output: StreamOutput } | undefined;
  #peerSettings: PeerSettings | undefined;
  #isClosed = false;
  /** Server: the next request that the client may open. */
  #nextRequestId = 0;
  /** Server: the first request that is rejected, once GOAWAY was sent. Client: 0 once it was. */
  #goAwayId: number | undefined;
  #isPeerGoingAway = false;
  #wantsRequests = false;
  readonly #datagrams = new HttpDatagrams();

  /** @param connection Not yet established, or its events since `handshakeComplete` still to come. */
  constructor(connection: QuicConnection, options: Http3Options = DEFAULT_HTTP3_OPTIONS) {
    checkHttp3Options(options);
    this.#quic = connection;
    this.#options = options;
    this.#host = { quic: connection, options, events: this.#events };
    this.#peerStreams = new PeerStreams(connection, (message) => this.#onControlMessage(message));
    this.#openControl();
  }

  // Getters.

  /** The connection underneath. */
  get quic(): QuicConnection {
    return this.#quic;
  }

  /** Which end we are. */
  get role(): Role {
    return this.#quic.role;
  }

  /** What the peer's SETTINGS said, once they came. */
  get peerSettings(): PeerSettings | undefined {
    return this.#peerSettings;
  }

  /** Requests that are not over. */
  get streamCount(): number {
    return this.#requests.size;
  }

  // What happens underneath, and what comes of it.

  /** Takes an event of the connection underneath; each must pass here, in order. */
  handleEvent(event: ConnectionEvent, now: number): void {
    if (this.#isClosed && event.type !== "closed") return;
    try {
      this.#onEvent(event, now);
    } catch (error) {
      this.#closeOn(error, now);
    }
  }

  /** The next thing that happened. */
  pollEvent(): Http3Event | undefined {
    return this.#events.shift();
  }

  // Commands: requests.

  /**
   * Client: sends a request.
   *
   * @returns Its stream; `undefined` before the handshake is complete, once either end is going away, and while the peer
   * allows no more (`requestsAvailable` follows).
   * @throws {TypeError} If the head is not one of RFC 9114 §4.3.1, on a server, or if it is an extended CONNECT and the
   * peer's SETTINGS have not allowed that.
   * @throws {RangeError} If the head is larger than the peer takes.
   */
  request(head: RequestHead, options: SendOptions = {}): number | undefined {
    if (this.role === "server") throw new TypeError("Cannot send a request: a server responds");
    const fields = fieldsOfRequest(head);
    checkOwn(() => requestOf(fields, true));
    if (this.#isClosed || this.#isPeerGoingAway || this.#goAwayId !== undefined) return undefined;
    // RFC 9220 §3, RFC 8441 §3.
    if (head.protocol !== undefined && this.#peerSettings?.enableConnectProtocol !== true) {
      throw new TypeError("Cannot send extended CONNECT: the peer has not enabled it in SETTINGS");
    }
    const frame = this.#encodeHead(fields);
    const id = this.#quic.openStream("bidirectional");
    if (id === undefined) {
      this.#wantsRequests = true;
      return undefined;
    }
    const stream = new RequestStream(this.#host, id, head);
    this.#requests.set(id, stream);
    stream.output.put(frame);
    if (options.isEnd === true) stream.output.finish();
    return id;
  }

  /**
   * Server: sends a response's head: any number of interim ones (1xx), then one that is final. Nothing happens if the
   * stream is over.
   *
   * @throws {TypeError} If the head is not one of RFC 9114 §4.3.2, or the final one was sent.
   * @throws {RangeError} If the head is larger than the peer takes.
   */
  respond(streamId: number, head: ResponseHead, options: SendOptions = {}): void {
    if (this.role === "client") throw new TypeError("Cannot respond: a client sends requests");
    const fields = fieldsOfResponse(head);
    checkOwn(() => responseOf(fields));
    const stream = this.#reported(streamId);
    if (stream === undefined) return;
    stream.respond(head.status, this.#encodeHead(fields));
    if (options.isEnd === true) stream.output.finish();
  }

  /**
   * Sends content; it is copied.
   *
   * @returns How many bytes were taken, from the front. Up to `MAX_DATA_FRAME_BYTES` are taken whole or not at all. After
   * less than all, `writable` says when to go on. 0 if the stream is over.
   * @throws {TypeError} If the stream was finished, or a server has not sent a final response.
   */
  write(streamId: number, data: Uint8Array): number {
    const stream = this.#reported(streamId);
    if (stream === undefined) return 0;
    if (this.role === "server" && !stream.hasFinalResponse) {
      throw new TypeError(`Cannot write to stream ${streamId}: respond first`);
    }
    return stream.output.write(data);
  }

  /** No more content follows. Nothing happens if the stream is over. */
  finish(streamId: number): void {
    this.#reported(streamId)?.output.finish();
  }

  /** The next content, the caller's own from now on; `undefined` if there is none now, or at the end (`isAtEnd`). */
  read(streamId: number, now: number): Uint8Array | undefined {
    const stream = this.#reported(streamId);
    if (stream === undefined) return undefined;
    try {
      const data = stream.read();
      if (data === undefined) this.#forgetIfRead(stream);
      return data;
    } catch (error) {
      this.#closeOn(error, now);
      return undefined;
    }
  }

  /** Whether all content was read and the peer said that there is no more; also for a stream that `streamClosed` named. */
  isAtEnd(streamId: number): boolean {
    return this.#requests.get(streamId)?.isAtEnd ?? !this.#isClosed;
  }

  /** Wants no more content: a server that has answered says H3_NO_ERROR (RFC 9114 §4.1). */
  stopReading(streamId: number, code: Http3ErrorName = "H3_NO_ERROR"): void {
    const stream = this.#reported(streamId);
    stream?.stopReading(code);
    if (stream !== undefined) this.#forgetIfRead(stream);
  }

  /** Ends a request both ways at once; `streamClosed` follows. */
  abort(streamId: number, code: Http3ErrorName): void {
    const stream = this.#reported(streamId);
    stream?.abort(code);
    if (stream !== undefined) this.#forgetIfRead(stream);
  }

  // Commands: datagrams.

  /** Largest payload that `sendDatagram` takes now, `prefix` and all; 0 if none may be sent. */
  maxDatagramBytes(streamId: number): number {
    // RFC 9297 §2.1.1: once the setting was sent and received.
    if (!this.#options.enableDatagrams || this.#control === undefined) return 0;
    if (this.#peerSettings?.enableDatagrams !== true) return 0;
    return Math.max(0, this.#quic.maxDatagramBytes - quarterStreamIdBytes(streamId));
  }

  /**
   * Queues an HTTP Datagram (RFC 9297 §2.1); it is copied, once.
   *
   * @param prefix Goes before `payload`: a context ID and what belongs to it (RFC 9298 §5).
   * @returns Whether it was taken: not if it exceeds `maxDatagramBytes`, and not if the stream's sending part is over.
   * @throws {TypeError} If the request is no extended CONNECT: nothing else has a use for datagrams.
   */
  sendDatagram(streamId: number, payload: Uint8Array, prefix: Uint8Array = NO_BYTES): boolean {
    const stream = this.#reported(streamId);
    if (stream === undefined || !stream.output.isOpen) return false;
    if (!stream.takesDatagrams) {
      throw new TypeError(`Cannot send a datagram on stream ${streamId}: it is no extended CONNECT`);
    }
    if (prefix.length + payload.length > this.maxDatagramBytes(streamId)) return false;
    return this.#quic.giveDatagram(encodeDatagram(streamId, prefix, payload));
  }

  /** The next HTTP Datagram; `undefined` if there is none (`datagramReadable` follows). Valid until the next call. */
  readDatagram(now: number): HttpDatagram | undefined {
    const datagrams = this.#datagrams;
    for (let released = datagrams.takeReleased(); released !== undefined; released = datagrams.takeReleased()) {
      if (this.#isWanted(released.streamId)) return released;
    }
    for (let bytes = this.#quic.readDatagram(); bytes !== undefined; bytes = this.#quic.readDatagram()) {
      // RFC 9297 §2.1.1: without our setting nothing may come.
      if (this.#isClosed || !this.#options.enableDatagrams) continue;
      const fault = datagrams.decode(bytes);
      if (fault !== undefined) {
        this.close(now, "H3_DATAGRAM_ERROR", fault);
        return undefined;
      }
      const { streamId } = datagrams.current;
      if (this.#isWanted(streamId)) return datagrams.current;
      if (this.#mayOvertake(streamId)) datagrams.keep(now);
    }
    return undefined;
  }

  // Commands: the connection.

  /** Server: takes no more requests (RFC 9114 §5.2); those reported so far go on. Client: says that it is going away. */
  goAway(): void {
    if (this.#control === undefined || this.#goAwayId !== undefined || this.#isClosed) return;
    // To a server the ID is that of a push, of which there are none.
    this.#goAwayId = this.role === "server" ? this.#nextRequestId : 0;
    this.#control.output.put(encodeGoAway(BigInt(this.#goAwayId)));
  }

  /** Closes the connection: requests end where they are. */
  close(now: number, code: Http3ErrorName = "H3_NO_ERROR", reason = ""): void {
    if (this.#isClosed) return;
    this.#letGo();
    this.#quic.close(HTTP3_ERROR[code], reason, now);
  }

  #onEvent(event: ConnectionEvent, now: number): void {
    switch (event.type) {
      case "handshakeComplete":
        return this.#openControl();
      case "streamOpened":
        return this.#onOpened(event.id, event.directionality);
      case "streamReadable":
        return this.#onReadable(event.id, now);
      case "streamWritable":
        return this.#onWritable(event.id);
      case "streamReset": {
        const stream = this.#requests.get(event.id);
        return stream === undefined ? this.#peerStreams.onEnded(event.id) : stream.onReset(event.code);
      }
      case "streamStopped":
        if (event.id === this.#control?.id) {
          // RFC 9114 §6.2.1.
          throw new Http3Error("H3_CLOSED_CRITICAL_STREAM", "The control stream was stopped");
        }
        return this.#requests.get(event.id)?.onStopped(event.code);
      case "streamClosed":
        return this.#onClosed(event.id);
      case "streamsAvailable":
        if (event.directionality === "unidirectional") return this.#openControl();
        if (this.#wantsRequests) this.#events.push({ type: "requestsAvailable" });
        this.#wantsRequests = false;
        return;
      case "datagramReadable":
        this.#events.push(DATAGRAM_READABLE);
        return;
      case "closed":
        this.#letGo();
        this.#events.push(event);
        return;
      default:
        // Of the connection's own life, and none of our business.
        return;
    }
  }

  #onOpened(id: number, directionality: Directionality): void {
    if (directionality === "unidirectional") return this.#peerStreams.onOpened(id);
    if (this.role === "client") {
      // RFC 9114 §6.1.
      throw new Http3Error("H3_STREAM_CREATION_ERROR", "A server opened a bidirectional stream");
    }
    this.#nextRequestId = id + 4;
    const stream = new RequestStream(this.#host, id);
    if (this.#goAwayId !== undefined && id >= this.#goAwayId) return stream.abort("H3_REQUEST_REJECTED");
    this.#requests.set(id, stream);
  }

  #onReadable(id: number, now: number): void {
    const stream = this.#requests.get(id);
    if (stream === undefined) return this.#peerStreams.onReadable(id);
    const wasReported = stream.isReported;
    stream.advance();
    if (wasReported || !stream.isReported) return;
    if (this.#datagrams.release(id, now - this.#quic.stats.rttMs)) this.#events.push(DATAGRAM_READABLE);
  }

  #onWritable(id: number): void {
    if (id === this.#control?.id) {
      this.#control.output.onWritable();
    } else if (this.#requests.get(id)?.output.onWritable()) {
      this.#events.push({ type: "writable", streamId: id });
    }
  }

  /** Both parts of a stream have ended. */
  #onClosed(id: number): void {
    const stream = this.#requests.get(id);
    if (stream === undefined) return;
    stream.output.onOver();
    if (!stream.isReported || !stream.isReceiving) return this.#forget(stream);
    this.#unread.add(id);
    if (this.#unread.size <= MAX_UNREAD_REQUESTS) return;
    for (const oldest of this.#unread) {
      const forgotten = this.#requests.get(oldest);
      if (forgotten !== undefined) this.#forget(forgotten);
      return;
    }
  }

  #forgetIfRead(stream: RequestStream): void {
    if (!stream.isReceiving && this.#unread.has(stream.id)) this.#forget(stream);
  }

  #forget(stream: RequestStream): void {
    this.#requests.delete(stream.id);
    this.#unread.delete(stream.id);
    if (stream.isReported) this.#events.push({ type: "streamClosed", streamId: stream.id });
  }

  #onControlMessage(message: ControlMessage): void {
    if (message.type === "SETTINGS") {
      this.#peerSettings = message.settings;
      this.#events.push({ type: "settings", settings: message.settings });
      return;
    }
    if (!this.#isPeerGoingAway) this.#events.push({ type: "goAway" });
    this.#isPeerGoingAway = true;
    if (this.role === "server") return;
    for (const [id, stream] of this.#requests) {
      if (BigInt(id) < message.id || !stream.isReceiving || this.#unread.has(id)) continue;
      // RFC 9114 §5.2: these may be sent again on another connection.
      stream.fail("H3_REQUEST_CANCELLED", "The server is going away and has not looked at it", "H3_REQUEST_REJECTED");
    }
  }

  /** RFC 9114 §6.2.1: first of all, SETTINGS. The QPACK streams have no use without a dynamic table. */
  #openControl(): void {
    if (this.#control !== undefined) return;
    // A server's SETTINGS are for anybody, and a client that waits for them has them a round trip earlier (RFC 9114 §7.2.4.2).
    const id = this.#quic.openStream("unidirectional", true);
    if (id === undefined) return;
    const output = new StreamOutput(this.#quic, id);
    this.#control = { id, output };
    output.put(new Uint8Array([STREAM_TYPE.CONTROL]));
    output.put(encodeSettings(this.#options, this.role === "server"));
  }

  #encodeHead(fields: readonly Field[]): Uint8Array {
    const bytes = fieldSectionBytes(fields);
    const limit = this.#peerSettings?.maxFieldSectionBytes ?? Infinity;
    // RFC 9114 §4.2.2.
    if (bytes > limit) throw new RangeError(`Cannot send a head of ${bytes} bytes: the peer takes ${limit}`);
    return encodeFrame("HEADERS", encodeFieldSection(fields));
  }

  /** A stream that the application may name. */
  #reported(streamId: number): RequestStream | undefined {
    const stream = this.#requests.get(streamId);
    return stream?.isReported ? stream : undefined;
  }

  /** Whether the application reads datagrams of that request. Ends a request that has no use for them. */
  #isWanted(streamId: number): boolean {
    const stream = this.#reported(streamId);
    // RFC 9297 §2.1: of a stream that receives no more, they are dropped.
    if (stream === undefined || !stream.isReceiving) return false;
    if (stream.takesDatagrams) return true;
    // RFC 9297 §2.
    stream.fail("H3_DATAGRAM_ERROR", "A datagram came for a request that has no use for it");
    this.#forgetIfRead(stream);
    return false;
  }

  /** Whether a request may be on its way that a datagram which nobody wants belongs to. */
  #mayOvertake(streamId: number): boolean {
    if (this.role === "client" || streamId >= this.#nextRequestId + 4 * MAX_EARLY_REQUESTS) return false;
    return streamId >= this.#nextRequestId || this.#requests.get(streamId)?.isReported === false;
  }

  /** The peer broke a rule of the connection: RFC 9114 §8. Anything else is our bug, and thrown on. */
  #closeOn(error: unknown, now: number): void {
    if (!(error instanceof Http3Error)) throw error;
    this.close(now, error.code, error.message);
  }

  #letGo(): void {
    this.#isClosed = true;
    this.#requests.clear();
    this.#unread.clear();
    this.#datagrams.clear();
  }
}

const NO_BYTES = new Uint8Array(0);
const DATAGRAM_READABLE: Http3Event = Object.freeze({ type: "datagramReadable" });

/** What the caller made is held to the rules for what the peer makes. */
function checkOwn(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof Http3StreamError)) throw error;
    throw new TypeError(`Cannot send a malformed head: ${error.message}`);
  }
}
