/**
 * Whose turn it is to send: streams with lost data, with new data and with control frames, each in a queue of its own, one
 * frame a turn. The connection's credit to send is spent here (RFC 9000 §4.1).
 *
 * @module
 */

import { Fifo } from "./fifo.ts";
import { SendCredit } from "./flow_control.ts";
import { streamHeaderBytes } from "./frame_writer.ts";
import type { StreamControlFrame } from "./sent_packet.ts";
import type { Stream, StreamSelection } from "./stream.ts";

// `Stream.scheduled`: the queues a stream waits in. It is in each at most once, so the limits on streams bound them. One
// that has nothing to send any more leaves when its turn comes.
const IN_CONTROL = 1;
const IN_REPAIRS = 2;
const IN_FRESH = 4;

/** The queues of streams with something to send. */
export class StreamSchedule {
  /** What the peer allows on the connection. */
  readonly credit: SendCredit = new SendCredit();
  readonly #control = new Fifo<Stream>();
  readonly #repairs = new Fifo<Stream>();
  readonly #fresh = new Fifo<Stream>();

  /** Whether `takeControlFrame` may have a frame. */
  get hasControlFrame(): boolean {
    return this.#control.count > 0;
  }

  /** Whether `select` would find something, given room. */
  get hasData(): boolean {
    return this.#nextRepair() !== undefined || this.#nextFresh() !== undefined;
  }

  /** The stream may have a control frame to send. */
  addControl(stream: Stream): void {
    enqueue(this.#control, stream, IN_CONTROL);
  }

  /** The stream may have data, or a FIN, to send: again, or for the first time. */
  addData(stream: Stream): void {
    const sending = stream.sending;
    if (sending?.hasRepair) enqueue(this.#repairs, stream, IN_REPAIRS);
    if (sending?.hasNew) enqueue(this.#fresh, stream, IN_FRESH);
  }

  /** The next control frame of a stream. */
  takeControlFrame(smoothedRttMs: number, now: number): StreamControlFrame | undefined {
    for (let stream = this.#control.peek(); stream !== undefined; stream = this.#control.peek()) {
      const frame = controlFrameOf(stream, smoothedRttMs, now);
      if (frame !== undefined) return frame;
      this.#control.shift();
      stream.scheduled &= ~IN_CONTROL;
    }
    return undefined;
  }

  /** As {@linkcode Streams.select}. */
  select(roomBytes: number, selection: StreamSelection): boolean {
    const stream = this.#nextRepair() ?? this.#nextFresh();
    const sending = stream?.sending;
    if (stream === undefined || sending === undefined) return false;
    const maxBytes = roomBytes - streamHeaderBytes(stream.id, sending.nextOffset, true);
    if (maxBytes < 0 || !sending.select(maxBytes, this.credit, selection)) return false;
    selection.stream = stream;
    return true;
  }

  /** As {@linkcode Streams.fill}. */
  fill(selection: StreamSelection, target: Uint8Array, at: number): void {
    const stream = selection.stream;
    const sending = stream?.sending;
    if (stream === undefined || sending === undefined) return;
    sending.fill(selection, this.credit, target, at);
    // The stream is at the front of the queue that it was chosen from.
    const queue = this.#repairs.peek() === stream ? this.#repairs : this.#fresh;
    if (queue.count > 1) {
      queue.shift();
      queue.push(stream);
    }
  }

  #nextRepair(): Stream | undefined {
    for (let stream = this.#repairs.peek(); stream !== undefined; stream = this.#repairs.peek()) {
      if (stream.sending?.hasRepair) return stream;
      this.#repairs.shift();
      stream.scheduled &= ~IN_REPAIRS;
    }
    return undefined;
  }

  #nextFresh(): Stream | undefined {
    for (let stream = this.#fresh.peek(); stream !== undefined; stream = this.#fresh.peek()) {
      const sending = stream.sending;
      if (sending?.hasNew) {
        if (sending.credit.availableBytes > 0) {
          if (this.credit.availableBytes > 0) return stream;
          this.credit.block();
          return undefined;
        }
        // RFC 9000 §4.1. MAX_STREAM_DATA brings the stream back.
        sending.credit.block();
        if (sending.credit.isBlockedPending) this.addControl(stream);
      }
      this.#fresh.shift();
      stream.scheduled &= ~IN_FRESH;
    }
    return undefined;
  }
}

function enqueue(queue: Fifo<Stream>, stream: Stream, mark: number): void {
  if ((stream.scheduled & mark) !== 0) return;
  stream.scheduled |= mark;
  queue.push(stream);
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
