/**
 * What the application is told of streams: a queue of streams that owe it an event, each of which is in it once, so that
 * no one who is slow to ask makes it grow.
 *
 * @module
 */

import { unreachable } from "../core/unreachable.ts";
import { Fifo } from "./fifo.ts";
import type { Stream, StreamEvent } from "./stream.ts";

// `Stream.owed`: the events a stream owes, in the order in which they are told.
/** The peer opened it. */
export const OPENED = 1;
/** There is something to read. */
export const READABLE = 2;
/** There is room to write again. */
export const WRITABLE = 4;
/** The peer reset its part. */
export const RESET = 8;
/** The peer stopped ours. */
export const STOPPED = 16;
/** All we sent was acknowledged. */
export const FINISHED = 32;
/** Both parts ended. */
export const CLOSED = 64;

/** One of the events above. */
export type StreamEventMark =
  | typeof OPENED
  | typeof READABLE
  | typeof WRITABLE
  | typeof RESET
  | typeof STOPPED
  | typeof FINISHED
  | typeof CLOSED;

const ALL: readonly StreamEventMark[] = [OPENED, READABLE, WRITABLE, RESET, STOPPED, FINISHED, CLOSED];

/** The queue. */
export class StreamEvents {
  readonly #queue = new Fifo<Stream>();

  /** The stream owes the event. */
  add(stream: Stream, mark: StreamEventMark): void {
    if (!stream.isInEvents) {
      stream.isInEvents = true;
      this.#queue.push(stream);
    }
    stream.owed |= mark;
  }

  /** The event holds no more, if it was not told yet. */
  revoke(stream: Stream, mark: StreamEventMark): void {
    stream.owed &= ~mark;
  }

  /** The next event. */
  poll(): StreamEvent | undefined {
    for (let stream = this.#queue.peek(); stream !== undefined; stream = this.#queue.peek()) {
      for (const mark of ALL) {
        if ((stream.owed & mark) === 0) continue;
        stream.owed &= ~mark;
        return eventOf(stream, mark);
      }
      this.#queue.shift();
      stream.isInEvents = false;
    }
    return undefined;
  }
}

function eventOf(stream: Stream, mark: StreamEventMark): StreamEvent {
  switch (mark) {
    case OPENED:
      return { type: "opened", stream };
    case READABLE:
      return { type: "readable", stream };
    case WRITABLE:
      return { type: "writable", stream };
    case RESET:
      return { type: "reset", stream, code: stream.receiving?.resetCode ?? 0 };
    case STOPPED:
      return { type: "stopped", stream, code: stream.stoppedCode };
    case FINISHED:
      return { type: "finished", stream };
    case CLOSED:
      return { type: "closed", stream };
    default:
      return unreachable(mark);
  }
}
