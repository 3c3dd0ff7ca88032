/**
 * A session: one QUIC connection to one peer, as Web Streams. The async shell over the synchronous engine; it decides
 * nothing (design decision 9).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { CloseReason, CloseSource } from "../protocols/quic/connection_state.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import { IncomingQueue, IncomingStream, OutgoingStream } from "./session_streams.ts";
import type { CallTimes, EstablishedSession } from "./traversal.ts";

/** A stream in both directions. */
export interface BidirectionalStream {
  /** The QUIC stream ID (RFC 9000 §2.1). */
  readonly id: number;
  /** Ends with the peer's FIN; errors with its RESET_STREAM. Cancelling sends STOP_SENDING. */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * Back-pressure is real: a write settles when the engine has taken the bytes. `close` sends FIN and settles once the
   * peer has acknowledged everything; `abort` sends RESET_STREAM.
   */
  readonly writable: WritableStream<Uint8Array>;
}

/** Where the packets go. */
export interface SessionPath {
  /** `direct`: no server is on the way. `relayed`: a relay forwards the packets, until a direct path is found. */
  readonly kind: "direct" | "relayed";
  /** The address of our socket, which a NAT may show to the peer as another; a relayed listener's is at the relay. */
  readonly local: Address;
  /** Where we send: the peer's address as we see it, or the one it has at the relay. */
  readonly remote: Address;
  /** Smoothed round-trip time in ms, as RFC 9002 §5.3 estimates it. */
  readonly rtt: number;
}

/** How a session ended. */
export interface SessionClosed {
  /** Who ended it: we, the peer, or neither (`idle`: it vanished; `transport`: a rule of RFC 9000 was broken). */
  readonly by: "local" | "peer" | "idle" | "transport";
  /** The application's or RFC 9000's error code; 0 is no error. */
  readonly code: number;
  /** For people; may be empty. */
  readonly reason: string;
}

/** What a session needs of whoever runs its connection. */
export interface SessionDriver {
  now(): number;
  /** Polls the connection: a command was given to it. */
  drain(): void;
  /** Settles when nothing of the session is left. Absent where its sockets are not its own. */
  released?(): Promise<void>;
}

/** Somebody who waits for something to happen. */
interface Waiting {
  readonly resolve: () => void;
}

/** Datagrams the peer sent that nobody has read are dropped, oldest first, in the engine: RFC 9221 §5. */
export interface SessionDatagrams {
  /** One chunk a datagram, in the order they came in. */
  readonly readable: ReadableStream<Uint8Array>;
  /** A datagram that is too long or finds the queue full is dropped, as the network might have done. */
  readonly writable: WritableStream<Uint8Array>;
}

/** An encrypted connection with one peer. Use `await using`, or call `close`. */
export class Session {
  /** The peer's Ed25519 key, proved in the handshake. 32 bytes. */
  readonly peer: Uint8Array;
  /** The transport that brought it about. */
  readonly transport: string;
  /** Settles when the session has ended, and never rejects. */
  readonly closed: Promise<SessionClosed>;
  /** Streams that the peer opens in both directions. */
  readonly incomingStreams: ReadableStream<BidirectionalStream>;
  /** Streams that the peer opens in its own direction. */
  readonly incomingUnidirectionalStreams: ReadableStream<ReadableStream<Uint8Array>>;
  /** Unreliable messages (RFC 9221). */
  readonly datagrams: SessionDatagrams;

  readonly #connection: QuicConnection;
  readonly #driver: SessionDriver;
  readonly #startedAt: number;
  #times: CallTimes;
  readonly #isRelayed: NonNullable<EstablishedSession["isRelayed"]>;
  readonly #incoming = new Map<number, IncomingStream>();
  readonly #outgoing = new Map<number, OutgoingStream>();
  readonly #settleClosed: (closed: SessionClosed) => void;
  #streamsAvailable: Waiting[] = [];
  #datagramReader: Waiting | undefined;
  #end: SessionClosed | undefined;
  readonly #opened: IncomingQueue<BidirectionalStream>;
  readonly #openedUnidirectional: IncomingQueue<ReadableStream<Uint8Array>>;
  /** What the peer said of streams that nobody has taken yet: kept no longer than these wait. */
  readonly #early = new Map<number, { resetCode?: number; stopCode?: number }>();

  /** Made by `dial` and `listen` when a handshake is complete. */
  constructor(established: EstablishedSession, driver: SessionDriver) {
    this.peer = established.peer;
    this.transport = established.transport;
    this.#startedAt = established.startedAt;
    this.#times = established.times;
    this.#isRelayed = established.isRelayed ?? ((): boolean => false);
    this.#connection = established.connection;
    this.#driver = driver;
    const { promise, resolve } = Promise.withResolvers<SessionClosed>();
    this.closed = promise;
    this.#settleClosed = resolve;
    this.#opened = new IncomingQueue((id) => this.#bidirectional(id));
    this.#openedUnidirectional = new IncomingQueue((id) => this.#readable(id));
    this.incomingStreams = this.#opened.readable;
    this.incomingUnidirectionalStreams = this.#openedUnidirectional.readable;
    this.datagrams = {
      readable: new ReadableStream({ pull: (controller) => this.#pullDatagram(controller) }, { highWaterMark: 0 }),
      writable: new WritableStream({ write: (chunk) => this.#sendDatagram(chunk) }),
    };
  }

  /** When each milestone was reached, in ms since the call of `dial`, or since the offer came in. */
  get times(): CallTimes {
    return this.#times;
  }

  /** The path in use. */
  get path(): SessionPath {
    const { base, remote } = this.#connection.path;
    const kind = this.#isRelayed({ base, remote }) ? "relayed" : "direct";
    return { kind, local: base.local, remote, rtt: this.#connection.stats.rttMs };
  }

  /**
   * Opens a stream in both directions; waits while the peer allows no more of them. The peer learns of it with the first
   * bytes.
   *
   * @throws {Error} If the session has ended.
   */
  async openStream(): Promise<BidirectionalStream> {
    const id = await this.#open("bidirectional");
    return this.#bidirectional(id);
  }

  /** Opens a stream in our direction. @throws {Error} If the session has ended. */
  async openUnidirectionalStream(): Promise<WritableStream<Uint8Array>> {
    const id = await this.#open("unidirectional");
    return this.#writable(id);
  }

  /**
   * Ends the session: the peer sees `code` and `reason`. What was not acknowledged may be lost; close the streams first.
   *
   * @param code 0 to 2^53 - 1; 0 says that all is well.
   * @param reason For people; at most some hundred bytes arrive.
   */
  close(code = 0, reason = ""): void {
    this.#connection.close(code, reason, this.#driver.now());
    this.#driver.drain();
  }

  /**
   * Closes the session and waits until nothing of it is left. On the calling side that includes the sockets, which stay for
   * a few round trips in case the peer has to be told again (RFC 9000 §10.2).
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
    await this.#driver.released?.();
  }

  /** For whoever runs the connection: takes what the engine tells. */
  handleEvent(event: ConnectionEvent): void {
    switch (event.type) {
      case "streamOpened":
        if (event.directionality === "bidirectional") this.#opened.add(event.id);
        else this.#openedUnidirectional.add(event.id);
        return;
      case "streamReadable":
        this.#incoming.get(event.id)?.wake();
        return;
      case "streamWritable":
        this.#outgoing.get(event.id)?.wake();
        return;
      case "streamFinished":
        this.#outgoing.get(event.id)?.finished();
        this.#outgoing.delete(event.id);
        return;
      case "streamClosed":
        this.#incoming.delete(event.id);
        this.#outgoing.delete(event.id);
        this.#opened.remove(event.id);
        this.#openedUnidirectional.remove(event.id);
        this.#early.delete(event.id);
        return;
      case "streamReset":
        this.#onStreamReset(event.id, event.code);
        return;
      case "streamStopped":
        this.#onStreamStopped(event.id, event.code);
        return;
      case "streamsAvailable":
        for (const { resolve } of this.#streamsAvailable.splice(0)) resolve();
        return;
      case "datagramReadable":
        this.#onByte();
        this.#datagramReader?.resolve();
        this.#datagramReader = undefined;
        return;
      case "closed":
        this.#finish(event);
        return;
      case "handshakeComplete":
      case "handshakeConfirmed":
      case "sign":
      case "verifyPeer":
      case "pathChanged":
      case "pathValidated":
      case "pathFailed":
      case "pathFound":
      case "wayBackFound":
      case "pathSized":
      case "roundFailed":
      case "observedAddress":
      case "newToken":
      case "keyLog":
        return;
      default:
        unreachable(event);
    }
  }

  async #open(kind: "bidirectional" | "unidirectional"): Promise<number> {
    for (;;) {
      if (this.#end !== undefined) throw endedError(this.#end);
      const id = this.#connection.openStream(kind);
      if (id !== undefined) return id;
      // Room may come while the connection is drained: there has to be somebody to wake by then.
      const room = new Promise<void>((resolve) => this.#streamsAvailable.push({ resolve }));
      this.#driver.drain();
      await room;
    }
  }

  #onByte(): void {
    if (this.#times.firstByte !== undefined) return;
    this.#times = { ...this.#times, firstByte: this.#driver.now() - this.#startedAt };
  }

  #onStreamReset(id: number, code: number): void {
    const stream = this.#incoming.get(id);
    if (stream !== undefined) stream.reset(code);
    else if (this.#opened.has(id)) this.#early.set(id, { ...this.#early.get(id), resetCode: code });
  }

  #onStreamStopped(id: number, code: number): void {
    const stream = this.#outgoing.get(id);
    if (stream !== undefined) stream.stopped(code);
    else if (this.#opened.has(id)) this.#early.set(id, { ...this.#early.get(id), stopCode: code });
    this.#outgoing.delete(id);
  }

  #bidirectional(id: number): BidirectionalStream {
    const early = this.#early.get(id);
    this.#early.delete(id);
    const streams = { id, readable: this.#readable(id), writable: this.#writable(id) };
    if (early?.resetCode !== undefined) this.#onStreamReset(id, early.resetCode);
    if (early?.stopCode !== undefined) this.#onStreamStopped(id, early.stopCode);
    return streams;
  }

  #readable(id: number): ReadableStream<Uint8Array> {
    const stream = new IncomingStream(this.#connection, id, this.#driver, {
      onRead: () => this.#onByte(),
      onEnd: () => this.#incoming.delete(id),
    });
    if (this.#end === undefined) this.#incoming.set(id, stream);
    else stream.sessionEnded(endedError(this.#end));
    return stream.readable;
  }

  #writable(id: number): WritableStream<Uint8Array> {
    const stream = new OutgoingStream(this.#connection, id, this.#driver);
    if (this.#end === undefined) this.#outgoing.set(id, stream);
    else stream.fail(endedError(this.#end));
    return stream.writable;
  }

  async #pullDatagram(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const datagram = this.#connection.readDatagram();
      if (datagram !== undefined) return controller.enqueue(datagram);
      if (this.#end !== undefined) return controller.close();
      await new Promise<void>((resolve) => this.#datagramReader = { resolve });
    }
  }

  #sendDatagram(chunk: Uint8Array): void {
    if (this.#end !== undefined) throw endedError(this.#end);
    this.#connection.sendDatagram(chunk);
    this.#driver.drain();
  }

  #finish(closed: CloseReason): void {
    if (this.#end !== undefined) return;
    const end: SessionClosed = { by: endedBy(closed.by), code: closed.code, reason: closed.reason };
    this.#end = end;
    const error = endedError(end);
    for (const stream of this.#incoming.values()) stream.sessionEnded(error);
    for (const stream of this.#outgoing.values()) stream.fail(error);
    this.#incoming.clear();
    this.#outgoing.clear();
    this.#opened.end();
    this.#openedUnidirectional.end();
    for (const { resolve } of this.#streamsAvailable.splice(0)) resolve();
    this.#datagramReader?.resolve();
    this.#settleClosed(end);
  }
}

/** In a session's own words: an application does not tell the peer's transport from ours. */
function endedBy(source: CloseSource): SessionClosed["by"] {
  switch (source) {
    case "local":
    case "abandoned":
      return "local";
    case "application":
      return "peer";
    case "idle":
      return "idle";
    case "peer":
    case "transport":
    case "reset":
      return "transport";
    default:
      return unreachable(source);
  }
}

/** What streams of a session that has ended fail with. */
export function endedError({ by, code, reason }: SessionClosed): Error {
  const what = reason === "" ? `code ${code}` : `code ${code}, ${reason}`;
  switch (by) {
    case "local":
      return new Error(`The session was closed here (${what})`);
    case "peer":
      return new Error(`The peer closed the session (${what})`);
    case "idle":
      return new Error(`The peer has vanished (${reason})`);
    case "transport":
      return new Error(`The connection broke (${what})`);
    default:
      return unreachable(by);
  }
}
