/**
 * One stream as the connection and the application hold it, and what they tell each other about it.
 *
 * @module
 */

import type { WindowOptions } from "./flow_control.ts";
import { ReceiveStream } from "./receive_stream.ts";
import { SendStream, type StreamRange } from "./send_stream.ts";
import { type Directionality, directionalityOf } from "./stream_id.ts";

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
  // What follows is written by the parts of `Streams` only.
  /** The queues of the schedule that it waits in. */
  scheduled = 0;
  /** The events it owes. */
  owed = 0;
  isInEvents = false;
  /** The reader has been told of data and has not come to the end of it. */
  isBeingRead = false;
  /** Whether it left the table. */
  isForgotten = false;
  /** The code of the peer's STOP_SENDING. */
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
