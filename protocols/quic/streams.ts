/**
 * The streams of a connection: opening and limits (RFC 9000 §2.1, §4.6), what came for them, whose turn it is to send, and
 * the credit they share (§4.1). The parts of one stream are in `send_stream.ts` and `receive_stream.ts`.
 *
 * @module
 */

import { unreachable } from "../core/unreachable.ts";
import { TransportError } from "./errors.ts";
import { Fifo } from "./fifo.ts";
import { ReceiveWindow, SendCredit, type WindowOptions } from "./flow_control.ts";
import { streamHeaderBytes } from "./frame_writer.ts";
import { ReceiveStream } from "./receive_stream.ts";
import { SendStream, type StreamRange } from "./send_stream.ts";
import type { SentFrame, SentPacket, StreamControlFrame } from "./sent_packet.ts";
import { StreamCounts } from "./stream_counts.ts";
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

/**
 * What happened to a stream. Each is told once until it can happen anew: `readable` again after `read` returned
 * `undefined`, `writable` after `write` took less than it was offered.
 */
export type StreamEvent =
  /** The peer opened it. */
  | { readonly type: "opened"; readonly stream: Stream }
  /** There is data, or the end, to read. */
  | { readonly type: "readable"; readonly stream: Stream }
  /** There is room to write again. */
  | { readonly type: "writable"; readonly stream: Stream }
  /** The peer reset its sending part with the application's code. */
  | { readonly type: "reset"; readonly stream: Stream; readonly code: number }
  /** The peer wants no more of it, with the application's code; our sending part was reset. */
  | { readonly type: "stopped"; readonly stream: Stream; readonly code: number }
  /** Everything we sent, FIN included, was acknowledged. */
  | { readonly type: "finished"; readonly stream: Stream }
  /** Both parts ended, and the stream is forgotten. The last event of a stream. */
  | { readonly type: "closed"; readonly stream: Stream }
  /** `open` failed for want of streams, and now would not. */
  | { readonly type: "available"; readonly directionality: Directionality };

/** One stream: an object from its opening on, also after the table has forgotten it. */
export class Stream {
  readonly id: number;
  readonly directionality: Directionality;
  /** Whether we opened it. */
  readonly isLocal: boolean;
  /** Absent if only the peer sends. */
  readonly sending: SendStream | undefined;
  /** Absent if only we send. */
  readonly receiving: ReceiveStream | undefined;
  /** The queues it waits in and the events it owes: for {@linkcode Streams} only. */
  marks = 0;
  /** The code of the peer's STOP_SENDING: for {@linkcode Streams} only. */
  stoppedCode = 0;

  constructor(id: number, isLocal: boolean, window: WindowOptions) {
    this.id = id;
    this.isLocal = isLocal;
    this.directionality = directionalityOf(id);
    const isBidirectional = this.directionality === "bidirectional";
    this.sending = isBidirectional || isLocal ? new SendStream() : undefined;
    this.receiving = isBidirectional || !isLocal ? new ReceiveStream(window) : undefined;
  }
}

/** What the next STREAM frame carries, as `Streams.select` fills it in. One object serves every frame. */
export class StreamSelection implements StreamRange {
  /** Set if `select` returned true. */
  stream: Stream | undefined = undefined;
  offset = 0;
  length = 0;
  fin = false;
}

// Marks of a stream: which queues it waits in, and which events it owes, in the order they are told.
const IN_CONTROL = 1 << 0;
const IN_REPAIRS = 1 << 1;
const IN_FRESH = 1 << 2;
const IN_EVENTS = 1 << 3;
const OPENED = 1 << 4;
const READABLE = 1 << 5;
const WRITABLE = 1 << 6;
const RESET = 1 << 7;
const STOPPED = 1 << 8;
const FINISHED = 1 << 9;
const CLOSED = 1 << 10;
/** The reader has been told of data and has not come to the end of it. */
const IS_BEING_READ = 1 << 11;
const IS_FORGOTTEN = 1 << 12;
const ANY_EVENT = OPENED | READABLE | WRITABLE | RESET | STOPPED | FINISHED | CLOSED;

/** All streams of a connection. */
export class Streams {
  readonly #role: Role;
  readonly #options: StreamsOptions;
  readonly #table = new Map<number, Stream>();
  readonly #credit = new SendCredit();
  readonly #window: ReceiveWindow;
  readonly #bidirectional: StreamCounts;
  readonly #unidirectional: StreamCounts;
  #peerLimits: PeerStreamLimits = NO_LIMITS;
  // Each stream is in each queue at most once, so the table's limits bound them; one that has nothing to send any more
  // leaves when its turn comes.
  readonly #control = new Fifo<Stream>();
  readonly #repairs = new Fifo<Stream>();
  readonly #fresh = new Fifo<Stream>();
  readonly #events = new Fifo<Stream>();

  constructor(role: Role, options: StreamsOptions = DEFAULT_STREAMS_OPTIONS) {
    this.#role = role;
    this.#options = options;
    this.#window = new ReceiveWindow(options.connectionWindow);
    this.#bidirectional = new StreamCounts(options.maxBidirectionalStreams);
    this.#unidirectional = new StreamCounts(options.maxUnidirectionalStreams);
  }

  /** Streams in the table: open, or with something still to be told or acknowledged. */
  get count(): number {
    return this.#table.size;
  }

  /** Credit of the connection to send. */
  get credit(): SendCredit {
    return this.#credit;
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

  /**
   * Appends data, which is copied.
   *
   * @returns How many bytes were taken. If fewer than offered, a `writable` event follows; 0 for good once reset.
   * @throws {TypeError} If we may not send on the stream, or finished it.
   */
  write(stream: Stream, data: Uint8Array): number {
    const sending = sendingOf(stream);
    const takenBytes = sending.write(data);
    if (takenBytes > 0) this.#enqueue(this.#fresh, stream, IN_FRESH);
    return takenBytes;
  }

  /** As `write`, without a copy: the caller must never write to the bytes taken again. */
  give(stream: Stream, data: Uint8Array): number {
    const sending = sendingOf(stream);
    const takenBytes = sending.give(data);
    if (takenBytes > 0) this.#enqueue(this.#fresh, stream, IN_FRESH);
    return takenBytes;
  }

  /** No more data follows. @throws {TypeError} If we may not send on the stream. */
  finish(stream: Stream): void {
    const sending = sendingOf(stream);
    sending.finish();
    if (sending.hasRepair) this.#enqueue(this.#repairs, stream, IN_REPAIRS);
  }

  /** Abandons sending with a code of the application's. @throws {TypeError} If we may not send on the stream. */
  reset(stream: Stream, code: number): void {
    if (sendingOf(stream).reset(code)) this.#enqueue(this.#control, stream, IN_CONTROL);
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
      stream.marks &= ~IS_BEING_READ;
    } else {
      this.#window.consume(data.length);
      if (receiving.window.consume(data.length)) this.#enqueue(this.#control, stream, IN_CONTROL);
    }
    if (receiving.isTerminal) this.#endIfDone(stream);
    return data;
  }

  /** Wants no more data, with a code of the application's. @throws {TypeError} If the peer may not send on the stream. */
  stop(stream: Stream, code: number): void {
    const receiving = receivingOf(stream);
    if (!receiving.stop(code)) return;
    stream.marks &= ~(READABLE | RESET);
    this.#discard(receiving);
    if (receiving.isStopPending) this.#enqueue(this.#control, stream, IN_CONTROL);
    if (receiving.isTerminal) this.#endIfDone(stream);
  }

  /** The next thing that happened. */
  pollEvent(): StreamEvent | undefined {
    for (const counts of [this.#bidirectional, this.#unidirectional]) {
      if (counts.takeAvailable()) {
        return {
          type: "available",
          directionality: counts === this.#bidirectional ? "bidirectional" : "unidirectional",
        };
      }
    }
    for (let stream = this.#events.peek(); stream !== undefined; stream = this.#events.peek()) {
      const due = stream.marks & ANY_EVENT;
      const first = due & -due;
      if (due === first) {
        this.#events.shift();
        stream.marks &= ~IN_EVENTS;
      }
      stream.marks &= ~first;
      const event = this.#eventOf(stream, first);
      if (event !== undefined) return event;
    }
    return undefined;
  }

  // Frames that came in: RFC 9000 §19. Each throws TransportError where the peer broke a rule.

  /** The peer's transport parameters arrived. */
  applyPeerLimits(limits: PeerStreamLimits): void {
    this.#peerLimits = limits;
    this.#credit.raise(limits.initialMaxData);
    this.#bidirectional.raise(limits.initialMaxStreamsBidi);
    this.#unidirectional.raise(limits.initialMaxStreamsUni);
  }

  /** STREAM. The data is copied. */
  onStream(streamId: number, offset: number, data: Uint8Array, fin: boolean): void {
    const stream = this.#receivable(streamId, 0x08);
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
    const stream = this.#receivable(streamId, 0x04);
    const receiving = stream?.receiving;
    if (stream === undefined || receiving === undefined) return;
    const wasReset = receiving.state === "ResetRecvd" || receiving.state === "ResetRead";
    const newBytes = receiving.onReset(code, finalSize);
    if (newBytes > 0) this.#window.receive(newBytes);
    this.#discard(receiving);
    if (receiving.state === "ResetRecvd" && !wasReset) {
      stream.marks &= ~READABLE;
      this.#tell(stream, RESET);
    }
    if (receiving.isTerminal) this.#endIfDone(stream);
  }

  /** STOP_SENDING: the sending part is reset in answer, with the same code (RFC 9000 §3.5). */
  onStopSending(streamId: number, code: number): void {
    const stream = this.#sendable(streamId, 0x05);
    if (stream?.sending === undefined || !stream.sending.reset(code)) return;
    this.#enqueue(this.#control, stream, IN_CONTROL);
    stream.stoppedCode = code;
    stream.marks &= ~WRITABLE;
    this.#tell(stream, STOPPED);
  }

  /** MAX_DATA. */
  onMaxData(maximum: number): void {
    this.#credit.raise(maximum);
  }

  /** MAX_STREAM_DATA. */
  onMaxStreamData(streamId: number, maximum: number): void {
    const stream = this.#sendable(streamId, 0x11);
    if (stream?.sending === undefined || !stream.sending.credit.raise(maximum)) return;
    if (stream.sending.hasNew) this.#enqueue(this.#fresh, stream, IN_FRESH);
  }

  /** MAX_STREAMS. */
  onMaxStreams(bidirectional: boolean, maximum: number): void {
    (bidirectional ? this.#bidirectional : this.#unidirectional).raise(maximum);
  }

  /** STREAM_DATA_BLOCKED: the limit is raised by what is read, but the stream exists from now on (RFC 9000 §3.2). */
  onStreamDataBlocked(streamId: number): void {
    this.#receivable(streamId, 0x15);
  }

  // What is to be sent.

  /** Whether `takeControlFrame` may have a frame. */
  get hasControlFrame(): boolean {
    return this.#window.isUpdatePending || this.#credit.isBlockedPending || this.#control.count > 0 ||
      this.#bidirectional.hasFrame || this.#unidirectional.hasFrame;
  }

  /** The next frame about streams that carries no data; it must be sent. None is longer than type and three varints. */
  takeControlFrame(smoothedRttMs: number, now: number): StreamControlFrame | undefined {
    if (this.#window.isUpdatePending) {
      return { type: "MAX_DATA", maximum: this.#window.takeUpdate(smoothedRttMs, now) };
    }
    if (this.#credit.isBlockedPending) return { type: "DATA_BLOCKED", limit: this.#credit.takeBlocked() };
    for (const counts of [this.#bidirectional, this.#unidirectional]) {
      if (!counts.hasFrame) continue;
      const bidirectional = counts === this.#bidirectional;
      if (counts.isUpdatePending) return { type: "MAX_STREAMS", bidirectional, maximum: counts.takeUpdate() };
      return { type: "STREAMS_BLOCKED", bidirectional, limit: counts.takeBlocked() };
    }
    for (let stream = this.#control.peek(); stream !== undefined; stream = this.#control.peek()) {
      const frame = controlFrameOf(stream, smoothedRttMs, now);
      if (frame !== undefined) return frame;
      this.#control.shift();
      stream.marks &= ~IN_CONTROL;
    }
    return undefined;
  }

  /** Whether `select` would find something, given room. */
  get hasData(): boolean {
    return this.#nextRepair() !== undefined || this.#nextFresh() !== undefined;
  }

  /**
   * Chooses what the next STREAM frame carries. Streams take turns, one frame each; what was lost goes before what is new.
   *
   * @param roomBytes Bytes left in the packet, for a frame with its Length field in two bytes.
   * @param selection Filled in with the choice, which holds until any other call.
   * @returns Whether there is anything that fits.
   */
  select(roomBytes: number, selection: StreamSelection): boolean {
    const stream = this.#nextRepair() ?? this.#nextFresh();
    const sending = stream?.sending;
    if (stream === undefined || sending === undefined) return false;
    const maxBytes = roomBytes - streamHeaderBytes(stream.id, sending.nextOffset, true);
    if (maxBytes < 0 || !sending.select(maxBytes, this.#credit, selection)) return false;
    selection.stream = stream;
    return true;
  }

  /** Writes the data that `select` chose into `target` from `at` on, counts it as sent and passes the turn on. */
  fill(selection: StreamSelection, target: Uint8Array, at: number): void {
    const stream = selection.stream;
    const sending = stream?.sending;
    if (stream === undefined || sending === undefined) return;
    sending.fill(selection, this.#credit, target, at);
    // The stream is at the front of the queue it was chosen from.
    const queue = this.#repairs.peek() === stream ? this.#repairs : this.#fresh;
    if (queue.count > 1) {
      queue.shift();
      queue.push(stream);
    }
    if (sending.hasRepair) this.#enqueue(this.#repairs, stream, IN_REPAIRS);
    if (sending.takeWritable()) this.#tell(stream, WRITABLE);
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
        this.#enqueue(this.#repairs, stream, IN_REPAIRS);
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
        return this.#enqueue(this.#control, frame.stream, IN_CONTROL);
      case "STOP_SENDING":
        frame.stream.receiving?.onStopLost();
        return this.#enqueue(this.#control, frame.stream, IN_CONTROL);
      case "MAX_DATA":
        return this.#window.onUpdateLost(frame.maximum);
      case "MAX_STREAM_DATA":
        // RFC 9000 §13.3: not once the size is known.
        if (frame.stream.receiving?.state === "Recv") frame.stream.receiving.window.onUpdateLost(frame.maximum);
        return this.#enqueue(this.#control, frame.stream, IN_CONTROL);
      case "MAX_STREAMS":
        return (frame.bidirectional ? this.#bidirectional : this.#unidirectional).onUpdateLost(frame.maximum);
      case "DATA_BLOCKED":
        return this.#credit.onBlockedLost(frame.limit);
      case "STREAM_DATA_BLOCKED":
        if (frame.stream.sending?.hasNew) frame.stream.sending.credit.onBlockedLost(frame.limit);
        return this.#enqueue(this.#control, frame.stream, IN_CONTROL);
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
      this.#tell(stream, FINISHED);
      this.#endIfDone(stream);
    } else if (sending.takeWritable()) {
      this.#tell(stream, WRITABLE);
    }
  }

  #onRangeLost(stream: Stream, offset: number, length: number, fin: boolean): void {
    const sending = stream.sending;
    if (sending === undefined) return;
    sending.onLost(offset, length, fin);
    if (sending.hasRepair) this.#enqueue(this.#repairs, stream, IN_REPAIRS);
  }

  /** The stream of a frame that says something of the peer's sending; `undefined` if it is forgotten. */
  #receivable(streamId: number, frameType: number): Stream | undefined {
    if (initiatorOf(streamId) === this.#role && directionalityOf(streamId) === "unidirectional") {
      throw new TransportError("STREAM_STATE_ERROR", `Stream ${streamId} is for us to send on`, { frameType });
    }
    return this.#lookUp(streamId, frameType);
  }

  /** The stream of a frame that says something of our sending; `undefined` if it is forgotten. */
  #sendable(streamId: number, frameType: number): Stream | undefined {
    if (initiatorOf(streamId) !== this.#role && directionalityOf(streamId) === "unidirectional") {
      throw new TransportError("STREAM_STATE_ERROR", `Stream ${streamId} is for the peer to send on`, { frameType });
    }
    return this.#lookUp(streamId, frameType);
  }

  #lookUp(streamId: number, frameType: number): Stream | undefined {
    const known = this.#table.get(streamId);
    if (known !== undefined) return known;
    const directionality = directionalityOf(streamId);
    const counts = this.#countsOf(directionality);
    const index = indexOf(streamId);
    if (initiatorOf(streamId) === this.#role) {
      if (index < counts.localOpened) return undefined;
      // RFC 9000 §19.4, §19.5, §19.8, §19.10: only we open it.
      throw new TransportError("STREAM_STATE_ERROR", `Stream ${streamId} has not been opened`, { frameType });
    }
    if (index < counts.remoteOpened) return undefined;
    if (index >= counts.remoteMaximum) {
      throw new TransportError("STREAM_LIMIT_ERROR", `Stream ${streamId}, with a limit of ${counts.remoteMaximum}`, {
        frameType,
      });
    }
    // RFC 9000 §3.2: it opens all of its type with lower numbers.
    const initiator = initiatorOf(streamId);
    while (counts.remoteOpened < index) {
      this.#tell(this.#create(streamIdOf(initiator, directionality, counts.remoteOpened++), false), OPENED);
    }
    counts.remoteOpened++;
    const stream = this.#create(streamId, false);
    this.#tell(stream, OPENED);
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

  #enqueue(queue: Fifo<Stream>, stream: Stream, mark: number): void {
    if ((stream.marks & mark) !== 0) return;
    stream.marks |= mark;
    queue.push(stream);
  }

  #nextRepair(): Stream | undefined {
    for (let stream = this.#repairs.peek(); stream !== undefined; stream = this.#repairs.peek()) {
      if (stream.sending?.hasRepair) return stream;
      this.#repairs.shift();
      stream.marks &= ~IN_REPAIRS;
    }
    return undefined;
  }

  #nextFresh(): Stream | undefined {
    for (let stream = this.#fresh.peek(); stream !== undefined; stream = this.#fresh.peek()) {
      const sending = stream.sending;
      if (sending?.hasNew) {
        if (sending.credit.availableBytes > 0) {
          if (this.#credit.availableBytes > 0) return stream;
          this.#credit.block();
          return undefined;
        }
        // RFC 9000 §4.1; MAX_STREAM_DATA brings it back.
        sending.credit.block();
        if (sending.credit.isBlockedPending) this.#enqueue(this.#control, stream, IN_CONTROL);
      }
      this.#fresh.shift();
      stream.marks &= ~IN_FRESH;
    }
    return undefined;
  }

  #tellReadable(stream: Stream): void {
    if ((stream.marks & IS_BEING_READ) !== 0 || stream.receiving?.isStopped) return;
    stream.marks |= IS_BEING_READ;
    this.#tell(stream, READABLE);
  }

  #tell(stream: Stream, event: number): void {
    stream.marks |= event;
    this.#enqueue(this.#events, stream, IN_EVENTS);
  }

  #eventOf(stream: Stream, mark: number): StreamEvent | undefined {
    switch (mark) {
      case OPENED:
        return { type: "opened", stream };
      case READABLE:
        return { type: "readable", stream };
      case WRITABLE:
        return { type: "writable", stream };
      case RESET:
        stream.receiving?.onResetRead();
        this.#endIfDone(stream);
        return { type: "reset", stream, code: stream.receiving?.resetCode ?? 0 };
      case STOPPED:
        return { type: "stopped", stream, code: stream.stoppedCode };
      case FINISHED:
        return { type: "finished", stream };
      case CLOSED:
        return { type: "closed", stream };
      default:
        return undefined;
    }
  }

  /** What nobody will read counts as read, so that the peer can go on with other streams. */
  #discard(receiving: ReceiveStream): void {
    const bytes = receiving.takeDiscarded();
    if (bytes > 0) this.#window.consume(bytes);
  }

  /** Forgets the stream if both parts ended; the peer may open another in its place. */
  #endIfDone(stream: Stream): void {
    if ((stream.marks & IS_FORGOTTEN) !== 0) return;
    if (stream.sending?.isTerminal === false || stream.receiving?.isTerminal === false) return;
    stream.marks |= IS_FORGOTTEN;
    this.#table.delete(stream.id);
    if (!stream.isLocal) this.#countsOf(stream.directionality).onRemoteEnded();
    this.#tell(stream, CLOSED);
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

function controlFrameOf(stream: Stream, smoothedRttMs: number, now: number): StreamControlFrame | undefined {
  const { sending, receiving } = stream;
  if (sending?.isResetPending) {
    sending.onResetSent();
    return { type: "RESET_STREAM", stream, code: sending.resetCode, finalSize: sending.sentOffset };
  }
  if (receiving?.isStopPending) {
    receiving.onStopSent();
    return { type: "STOP_SENDING", stream, code: receiving.stopCode };
  }
  if (receiving?.window.isUpdatePending) {
    return { type: "MAX_STREAM_DATA", stream, maximum: receiving.window.takeUpdate(smoothedRttMs, now) };
  }
  if (sending?.credit.isBlockedPending) {
    return { type: "STREAM_DATA_BLOCKED", stream, limit: sending.credit.takeBlocked() };
  }
  return undefined;
}
