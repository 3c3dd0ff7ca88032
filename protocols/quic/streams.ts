/**
 * The streams of a connection: opening and limits (RFC 9000 §2.1, §4.6), what came for them, whose turn it is to send, and
 * the credit they share (§4.1). The parts of one stream are in `send_stream.ts` and `receive_stream.ts`.
 *
 * @module
 */

import { unreachable } from "../core/unreachable.ts";
import { TransportError } from "./errors.ts";
import { ReceiveWindow, type SendCredit, type WindowOptions } from "./flow_control.ts";
import type { ReceiveStream } from "./receive_stream.ts";
import type { SendStream } from "./send_stream.ts";
import type { SentFrame, SentPacket, StreamControlFrame } from "./sent_packet.ts";
import { Stream, type StreamEvent, type StreamSelection } from "./stream.ts";
import { StreamCounts } from "./stream_counts.ts";
import { CLOSED, FINISHED, OPENED, READABLE, RESET, STOPPED, StreamEvents, WRITABLE } from "./stream_events.ts";
import { StreamSchedule } from "./stream_schedule.ts";
import { type Directionality, directionalityOf, indexOf, initiatorOf, type Role, streamIdOf } from "./stream_id.ts";

/** Limits we set to the peer. */
export interface StreamsOptions {
  /** Of all streams together: initial_max_data and what it may grow to. */
  readonly connectionWindow: WindowOptions;
  /** Of each stream: initial_max_stream_data_… and what it may grow to. */
  readonly streamWindow: WindowOptions;
  /** Streams of each type that the peer may have open at once: initial_max_streams_…. */
  readonly maxBidirectionalStreams: number;
  readonly maxUnidirectionalStreams: number;
}

/** What serves a transfer over a fast path far away, and bounds what a reader that stops makes us hold. */
export const DEFAULT_STREAMS_OPTIONS: StreamsOptions = Object.freeze({
  // One and a half of a stream's, so that one stream that is not read does not stop the others.
  connectionWindow: Object.freeze({ windowBytes: 1_536 * 1024, maxWindowBytes: 12 * 1024 * 1024 }),
  // 1 MiB is 50 Mbit/s at 155 ms before the window has grown; 8 MiB, at most, is 400 Mbit/s.
  streamWindow: Object.freeze({ windowBytes: 1024 * 1024, maxWindowBytes: 8 * 1024 * 1024 }),
  maxBidirectionalStreams: 100,
  maxUnidirectionalStreams: 100,
});

/** The peer's limits, as its transport parameters name them: RFC 9000 §18.2. */
export interface PeerStreamLimits {
  readonly initialMaxData: number;
  readonly initialMaxStreamDataBidiLocal: number;
  readonly initialMaxStreamDataBidiRemote: number;
  readonly initialMaxStreamDataUni: number;
  readonly initialMaxStreamsBidi: number;
  readonly initialMaxStreamsUni: number;
}

/** All streams of a connection. */
export class Streams {
  readonly #role: Role;
  readonly #options: StreamsOptions;
  readonly #table = new Map<number, Stream>();
  readonly #schedule = new StreamSchedule();
  readonly #events = new StreamEvents();
  readonly #window: ReceiveWindow;
  readonly #bidirectional: StreamCounts;
  readonly #unidirectional: StreamCounts;
  readonly #counts: readonly StreamCounts[];
  #peerLimits: PeerStreamLimits = NO_LIMITS;

  constructor(role: Role, options: StreamsOptions = DEFAULT_STREAMS_OPTIONS) {
    this.#role = role;
    this.#options = options;
    this.#window = new ReceiveWindow(options.connectionWindow);
    this.#bidirectional = new StreamCounts(options.maxBidirectionalStreams);
    this.#unidirectional = new StreamCounts(options.maxUnidirectionalStreams);
    this.#counts = [this.#bidirectional, this.#unidirectional];
  }

  /** Streams in the table: open, or with something still to be told or acknowledged. */
  get count(): number {
    return this.#table.size;
  }

  /** The stream of that ID, as long as it is in the table. */
  find(streamId: number): Stream | undefined {
    return this.#table.get(streamId);
  }

  /** Credit of the connection to send. */
  get credit(): SendCredit {
    return this.#schedule.credit;
  }

  /** Window of the connection to receive. */
  get window(): ReceiveWindow {
    return this.#window;
  }

  // The application's verbs.

  /** Opens a stream; `undefined` if the peer allows no more now: an `available` event follows when it does. */
  open(directionality: Directionality): Stream | undefined {
    const counts = this.#countsOf(directionality);
    if (counts.localOpened >= counts.localMaximum) {
      counts.block();
      return undefined;
    }
    return this.#create(streamIdOf(this.#role, directionality, counts.localOpened++), true);
  }

  /** The peer may have so many streams open at once from now on; fewer than before changes nothing. */
  allow(maxBidirectional: number, maxUnidirectional: number): void {
    this.#bidirectional.allow(maxBidirectional);
    this.#unidirectional.allow(maxUnidirectional);
  }

  /**
   * Appends data, which is copied.
   *
   * @returns How many bytes were taken. If fewer than offered, a `writable` event follows; 0 for good once reset.
   * @throws {TypeError} If we may not send on the stream, or finished it.
   */
  write(stream: Stream, data: Uint8Array): number {
    const sending = sendingOf(stream);
    const takenBytes = sending.write(data);
    if (takenBytes > 0) this.#schedule.addData(stream);
    return takenBytes;
  }

  /** As `write`, without a copy: the caller must never write to the bytes taken again. */
  give(stream: Stream, data: Uint8Array): number {
    const sending = sendingOf(stream);
    const takenBytes = sending.give(data);
    if (takenBytes > 0) this.#schedule.addData(stream);
    return takenBytes;
  }

  /** No more data follows. @throws {TypeError} If we may not send on the stream. */
  finish(stream: Stream): void {
    const sending = sendingOf(stream);
    sending.finish();
    this.#schedule.addData(stream);
  }

  /** Abandons sending with a code of the application's. @throws {TypeError} If we may not send on the stream. */
  reset(stream: Stream, code: number): void {
    if (sendingOf(stream).reset(code)) this.#schedule.addControl(stream);
  }

  /**
   * The next data in order, now the caller's own. `undefined` if there is none now (a `readable` event follows), at the end
   * (`stream.receiving.isAtEnd`), or after a reset.
   *
   * @throws {TypeError} If the peer may not send on the stream.
   */
  read(stream: Stream): Uint8Array | undefined {
    const receiving = receivingOf(stream);
    const data = receiving.read();
    if (data === undefined) {
      stream.isBeingRead = false;
    } else {
      this.#window.consume(data.length);
      if (receiving.window.consume(data.length)) this.#schedule.addControl(stream);
    }
    if (receiving.isTerminal) this.#endIfDone(stream);
    return data;
  }

  /** Wants no more data, with a code of the application's. @throws {TypeError} If the peer may not send on the stream. */
  stop(stream: Stream, code: number): void {
    const receiving = receivingOf(stream);
    if (!receiving.stop(code)) return;
    this.#events.revoke(stream, READABLE);
    this.#events.revoke(stream, RESET);
    this.#discard(receiving);
    if (receiving.isStopPending) this.#schedule.addControl(stream);
    if (receiving.isTerminal) this.#endIfDone(stream);
  }

  /** The next thing that happened. */
  pollEvent(): StreamEvent | undefined {
    for (const counts of this.#counts) {
      if (counts.takeAvailable()) {
        return {
          type: "available",
          directionality: counts === this.#bidirectional ? "bidirectional" : "unidirectional",
        };
      }
    }
    const event = this.#events.poll();
    if (event?.type === "reset") {
      event.stream.receiving?.onResetRead();
      this.#endIfDone(event.stream);
    }
    return event;
  }

  // Frames that came in: RFC 9000 §19. Each throws TransportError where the peer broke a rule.

  /** The peer's transport parameters arrived. */
  applyPeerLimits(limits: PeerStreamLimits): void {
    this.#peerLimits = limits;
    this.#schedule.credit.raise(limits.initialMaxData);
    this.#bidirectional.raise(limits.initialMaxStreamsBidi);
    this.#unidirectional.raise(limits.initialMaxStreamsUni);
  }

  /** STREAM. The data is copied. */
  onStream(streamId: number, offset: number, data: Uint8Array, fin: boolean): void {
    const stream = this.#receivable(streamId);
    const receiving = stream?.receiving;
    // Of a stream that is forgotten all has been counted: its final size was known.
    if (stream === undefined || receiving === undefined) return;
    const newBytes = receiving.onData(offset, data, fin);
    if (newBytes > 0) this.#window.receive(newBytes);
    if (receiving.isReadable) this.#tellReadable(stream);
    this.#discard(receiving);
    if (receiving.isTerminal) this.#endIfDone(stream);
  }

  /** RESET_STREAM. */
  onResetStream(streamId: number, code: number, finalSize: number): void {
    const stream = this.#receivable(streamId);
    const receiving = stream?.receiving;
    if (stream === undefined || receiving === undefined) return;
    const wasReset = receiving.state === "ResetRecvd" || receiving.state === "ResetRead";
    const newBytes = receiving.onReset(code, finalSize);
    if (newBytes > 0) this.#window.receive(newBytes);
    this.#discard(receiving);
    if (receiving.state === "ResetRecvd" && !wasReset) {
      this.#events.revoke(stream, READABLE);
      this.#events.add(stream, RESET);
    }
    if (receiving.isTerminal) this.#endIfDone(stream);
  }

  /** STOP_SENDING: the sending part is reset in answer, with the same code (RFC 9000 §3.5). */
  onStopSending(streamId: number, code: number): void {
    const stream = this.#sendable(streamId);
    if (stream?.sending === undefined || !stream.sending.reset(code)) return;
    this.#schedule.addControl(stream);
    stream.stoppedCode = code;
    this.#events.revoke(stream, WRITABLE);
    this.#events.add(stream, STOPPED);
  }

  /** MAX_DATA. */
  onMaxData(maximum: number): void {
    this.#schedule.credit.raise(maximum);
  }

  /** MAX_STREAM_DATA. */
  onMaxStreamData(streamId: number, maximum: number): void {
    const stream = this.#sendable(streamId);
    if (stream?.sending === undefined || !stream.sending.credit.raise(maximum)) return;
    this.#schedule.addData(stream);
  }

  /** MAX_STREAMS. */
  onMaxStreams(bidirectional: boolean, maximum: number): void {
    (bidirectional ? this.#bidirectional : this.#unidirectional).raise(maximum);
  }

  /** STREAM_DATA_BLOCKED: the limit is raised by what is read, but the stream exists from now on (RFC 9000 §3.2). */
  onStreamDataBlocked(streamId: number): void {
    this.#receivable(streamId);
  }

  // What is to be sent.

  /** Whether `takeControlFrame` may have a frame. */
  get hasControlFrame(): boolean {
    return this.#window.isUpdatePending || this.#schedule.credit.isBlockedPending || this.#schedule.hasControlFrame ||
      this.#bidirectional.hasFrame || this.#unidirectional.hasFrame;
  }

  /** The next frame about streams that carries no data; it must be sent. None is longer than type and three varints. */
  takeControlFrame(smoothedRttMs: number, now: number): StreamControlFrame | undefined {
    if (this.#window.isUpdatePending) {
      return { type: "MAX_DATA", maximum: this.#window.takeUpdate(smoothedRttMs, now) };
    }
    if (this.#schedule.credit.isBlockedPending) {
      return { type: "DATA_BLOCKED", limit: this.#schedule.credit.takeBlocked() };
    }
    for (const counts of this.#counts) {
      if (!counts.hasFrame) continue;
      const bidirectional = counts === this.#bidirectional;
      if (counts.isUpdatePending) return { type: "MAX_STREAMS", bidirectional, maximum: counts.takeUpdate() };
      return { type: "STREAMS_BLOCKED", bidirectional, limit: counts.takeBlocked() };
    }
    return this.#schedule.takeControlFrame(smoothedRttMs, now);
  }

  /** Whether `select` would find something, given room. */
  get hasData(): boolean {
    return this.#schedule.hasData;
  }

  /**
   * Chooses what the next STREAM frame carries. Streams take turns, one frame each; what was lost goes before what is new.
   *
   * @param roomBytes Bytes left in the packet, for a frame with its Length field in two bytes.
   * @param selection Filled in with the choice, which holds until any other call.
   * @returns Whether there is anything that fits.
   */
  select(roomBytes: number, selection: StreamSelection): boolean {
    return this.#schedule.select(roomBytes, selection);
  }

  /** Writes the data that `select` chose into `target` from `at` on, counts it as sent and passes the turn on. */
  fill(selection: StreamSelection, target: Uint8Array, at: number): void {
    this.#schedule.fill(selection, target, at);
    const stream = selection.stream;
    if (stream?.sending?.takeWritable()) this.#events.add(stream, WRITABLE);
  }

  /**
   * Chooses unacknowledged data to be sent again as a probe: RFC 9002 §6.2.4.
   *
   * @param maxBytes About the size of a packet.
   * @returns Whether `select` has something now.
   */
  probe(maxBytes: number): boolean {
    if (this.hasData) return true;
    for (const stream of this.#table.values()) {
      if (stream.sending?.probe(maxBytes)) {
        this.#schedule.addData(stream);
        return true;
      }
    }
    return false;
  }

  // What became of it.

  /** A packet was acknowledged: its STREAM ranges and the frames of `takeControlFrame` in it are dealt with. */
  onPacketAcked(packet: SentPacket): void {
    if (packet.stream !== undefined) {
      this.#onRangeAcked(packet.stream, packet.streamOffset, packet.streamLength, packet.streamFin);
    }
    for (const frame of packet.frames) {
      if (frame.type === "STREAM") {
        this.#onRangeAcked(frame.stream, frame.offset, frame.length, frame.fin);
      } else if (frame.type === "RESET_STREAM") {
        frame.stream.sending?.onResetAcked();
        this.#endIfDone(frame.stream);
      }
    }
  }

  /** A packet was lost: what of it still matters is due again (RFC 9000 §13.3). */
  onPacketLost(packet: SentPacket): void {
    if (packet.stream !== undefined) {
      this.#onRangeLost(packet.stream, packet.streamOffset, packet.streamLength, packet.streamFin);
    }
    for (const frame of packet.frames) this.#onFrameLost(frame);
  }

  #onFrameLost(frame: SentFrame): void {
    switch (frame.type) {
      case "STREAM":
        return this.#onRangeLost(frame.stream, frame.offset, frame.length, frame.fin);
      case "RESET_STREAM":
        frame.stream.sending?.onResetLost();
        return this.#schedule.addControl(frame.stream);
      case "STOP_SENDING":
        frame.stream.receiving?.onStopLost();
        return this.#schedule.addControl(frame.stream);
      case "MAX_DATA":
        return this.#window.onUpdateLost(frame.maximum);
      case "MAX_STREAM_DATA":
        // RFC 9000 §13.3: not once the size is known.
        if (frame.stream.receiving?.state === "Recv") frame.stream.receiving.window.onUpdateLost(frame.maximum);
        return this.#schedule.addControl(frame.stream);
      case "MAX_STREAMS":
        return (frame.bidirectional ? this.#bidirectional : this.#unidirectional).onUpdateLost(frame.maximum);
      case "DATA_BLOCKED":
        return this.#schedule.credit.onBlockedLost(frame.limit);
      case "STREAM_DATA_BLOCKED":
        if (frame.stream.sending?.hasNew) frame.stream.sending.credit.onBlockedLost(frame.limit);
        return this.#schedule.addControl(frame.stream);
      case "STREAMS_BLOCKED":
        return (frame.bidirectional ? this.#bidirectional : this.#unidirectional).onBlockedLost(frame.limit);
      case "CRYPTO":
      case "NEW_CONNECTION_ID":
      case "RETIRE_CONNECTION_ID":
      case "NEW_TOKEN":
      case "PATH_CHALLENGE":
      case "PATH_RESPONSE":
      case "HANDSHAKE_DONE":
      case "PING":
      case "DATAGRAM":
      case "ADD_ADDRESS":
      case "REMOVE_ADDRESS":
      case "PUNCH_ME_NOW":
      case "OBSERVED_ADDRESS":
        return; // Not about streams: the connection's to send again.
      default:
        return unreachable(frame);
    }
  }

  #onRangeAcked(stream: Stream, offset: number, length: number, fin: boolean): void {
    const sending = stream.sending;
    if (sending === undefined) return;
    const wasTerminal = sending.isTerminal;
    sending.onAcked(offset, length, fin);
    if (sending.isTerminal && !wasTerminal) {
      this.#events.add(stream, FINISHED);
      this.#endIfDone(stream);
    } else if (sending.takeWritable()) {
      this.#events.add(stream, WRITABLE);
    }
  }

  #onRangeLost(stream: Stream, offset: number, length: number, fin: boolean): void {
    const sending = stream.sending;
    if (sending === undefined) return;
    sending.onLost(offset, length, fin);
    this.#schedule.addData(stream);
  }

  /** The stream of a frame that says something of the peer's sending; `undefined` if it is forgotten. */
  #receivable(streamId: number): Stream | undefined {
    if (initiatorOf(streamId) === this.#role && directionalityOf(streamId) === "unidirectional") {
      throw new TransportError("STREAM_STATE_ERROR", `Stream ${streamId} is for us to send on`);
    }
    return this.#lookUp(streamId);
  }

  /** The stream of a frame that says something of our sending; `undefined` if it is forgotten. */
  #sendable(streamId: number): Stream | undefined {
    if (initiatorOf(streamId) !== this.#role && directionalityOf(streamId) === "unidirectional") {
      throw new TransportError("STREAM_STATE_ERROR", `Stream ${streamId} is for the peer to send on`);
    }
    return this.#lookUp(streamId);
  }

  #lookUp(streamId: number): Stream | undefined {
    const known = this.#table.get(streamId);
    if (known !== undefined) return known;
    const directionality = directionalityOf(streamId);
    const counts = this.#countsOf(directionality);
    const index = indexOf(streamId);
    if (initiatorOf(streamId) === this.#role) {
      if (index < counts.localOpened) return undefined;
      // RFC 9000 §19.4, §19.5, §19.8, §19.10: only we open it.
      throw new TransportError("STREAM_STATE_ERROR", `Stream ${streamId} has not been opened`);
    }
    if (index < counts.remoteOpened) return undefined;
    if (index >= counts.remoteMaximum) {
      throw new TransportError("STREAM_LIMIT_ERROR", `Stream ${streamId}, with a limit of ${counts.remoteMaximum}`);
    }
    // RFC 9000 §3.2: it opens all of its type with lower numbers.
    const initiator = initiatorOf(streamId);
    while (counts.remoteOpened < index) {
      this.#events.add(this.#create(streamIdOf(initiator, directionality, counts.remoteOpened++), false), OPENED);
    }
    counts.remoteOpened++;
    const stream = this.#create(streamId, false);
    this.#events.add(stream, OPENED);
    return stream;
  }

  #create(streamId: number, isLocal: boolean): Stream {
    const stream = new Stream(streamId, isLocal, this.#options.streamWindow);
    // RFC 9000 §18.2: "local" and "remote" are as the peer, who sent the limits, sees it.
    const limits = this.#peerLimits;
    const maximum = stream.directionality === "unidirectional"
      ? limits.initialMaxStreamDataUni
      : isLocal
      ? limits.initialMaxStreamDataBidiRemote
      : limits.initialMaxStreamDataBidiLocal;
    stream.sending?.credit.raise(maximum);
    this.#table.set(streamId, stream);
    return stream;
  }

  #countsOf(directionality: Directionality): StreamCounts {
    return directionality === "bidirectional" ? this.#bidirectional : this.#unidirectional;
  }

  #tellReadable(stream: Stream): void {
    if (stream.isBeingRead || stream.receiving?.isStopped) return;
    stream.isBeingRead = true;
    this.#events.add(stream, READABLE);
  }

  /** What nobody will read counts as read, so that the peer can go on with other streams. */
  #discard(receiving: ReceiveStream): void {
    const bytes = receiving.takeDiscarded();
    if (bytes > 0) this.#window.consume(bytes);
  }

  /** Forgets the stream if both parts ended; the peer may open another in its place. */
  #endIfDone(stream: Stream): void {
    if (stream.isForgotten) return;
    if (stream.sending?.isTerminal === false || stream.receiving?.isTerminal === false) return;
    stream.isForgotten = true;
    this.#table.delete(stream.id);
    if (!stream.isLocal) this.#countsOf(stream.directionality).onRemoteEnded();
    this.#events.add(stream, CLOSED);
  }
}

const NO_LIMITS: PeerStreamLimits = Object.freeze({
  initialMaxData: 0,
  initialMaxStreamDataBidiLocal: 0,
  initialMaxStreamDataBidiRemote: 0,
  initialMaxStreamDataUni: 0,
  initialMaxStreamsBidi: 0,
  initialMaxStreamsUni: 0,
});

function sendingOf(stream: Stream): SendStream {
  if (stream.sending === undefined) throw new TypeError(`Cannot send on stream ${stream.id}: only the peer does`);
  return stream.sending;
}

function receivingOf(stream: Stream): ReceiveStream {
  if (stream.receiving === undefined) throw new TypeError(`Cannot read stream ${stream.id}: only we send on it`);
  return stream.receiving;
}
