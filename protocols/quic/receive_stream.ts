/**
 * The receiving part of a stream: RFC 9000 §3.2, and the rules on its final size: §4.5.
 *
 * @module
 */

import { TransportError } from "./errors.ts";
import { ReceiveWindow, type WindowOptions } from "./flow_control.ts";
import { Reassembler } from "./reassembler.ts";

/** States of RFC 9000 §3.2. */
export type ReceiveStreamState = "Recv" | "SizeKnown" | "DataRecvd" | "DataRead" | "ResetRecvd" | "ResetRead";

/** The receiving part of one stream. */
export class ReceiveStream {
  /** What we allow the peer on this stream. */
  readonly window: ReceiveWindow;
  readonly #reassembler = new Reassembler();
  #state: ReceiveStreamState = "Recv";
  #highestOffset = 0;
  #finalSize = -1;
  #resetCode = 0;
  #stopCode = 0;
  #isStopped = false;
  #isStopPending = false;

  constructor(window: WindowOptions) {
    this.window = new ReceiveWindow(window);
  }

  /** RFC 9000 §3.2. */
  get state(): ReceiveStreamState {
    return this.#state;
  }

  /** Whether nothing more will come of it: RFC 9000 §3.2's terminal states. */
  get isTerminal(): boolean {
    return this.#state === "DataRead" || this.#state === "ResetRead";
  }

  /** Whether all data was read and the peer said that there is no more. */
  get isAtEnd(): boolean {
    return this.#state === "DataRead";
  }

  /** Whether `read` would return data, or the end is reached and not yet noticed. */
  get isReadable(): boolean {
    return this.#reassembler.isReadable || this.#state === "DataRecvd";
  }

  /** Bytes given to the reader so far. */
  get readOffset(): number {
    return this.#reassembler.readOffset;
  }

  /** Whether STOP_SENDING waits to be sent. */
  get isStopPending(): boolean {
    return this.#isStopPending;
  }

  /** Of a stream that we stopped: what STOP_SENDING says. */
  get stopCode(): number {
    return this.#stopCode;
  }

  /** Of a stream that the peer reset: what RESET_STREAM said. */
  get resetCode(): number {
    return this.#resetCode;
  }

  /** Whether `stop` was called: data is dropped. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * A STREAM frame came in. The bytes are copied.
   *
   * @returns By how many bytes the highest offset grew: they count against the connection's limit too.
   * @throws {TransportError} FINAL_SIZE_ERROR (RFC 9000 §4.5), FLOW_CONTROL_ERROR (§4.1).
   */
  onData(offset: number, data: Uint8Array, fin: boolean): number {
    const end = offset + data.length;
    this.#checkFinalSize(end, fin);
    // Before the states: what comes after a reset is still held to the final size, and counted once.
    const newBytes = Math.max(0, end - this.#highestOffset);
    if (newBytes > 0) {
      this.window.receive(newBytes);
      this.#highestOffset = end;
    }
    if (fin && this.#finalSize < 0) {
      this.#finalSize = end;
      this.window.close();
      this.#isStopPending = false;
      if (this.#state === "Recv") this.#state = "SizeKnown";
    }
    if (this.#state !== "Recv" && this.#state !== "SizeKnown") return newBytes;
    if (!this.#isStopped) this.#reassembler.insert(offset, data);
    this.#noticeEnd();
    return newBytes;
  }

  /**
   * A RESET_STREAM frame came in: unread data is let go.
   *
   * @returns As `onData`.
   * @throws {TransportError} As `onData`.
   */
  onReset(code: number, finalSize: number): number {
    this.#checkFinalSize(finalSize, true);
    const newBytes = Math.max(0, finalSize - this.#highestOffset);
    if (newBytes > 0) {
      this.window.receive(newBytes);
      this.#highestOffset = finalSize;
    }
    this.#finalSize = finalSize;
    this.window.close();
    this.#isStopPending = false;
    // RFC 9000 §3.2: once all data is there a reset may be ignored.
    if (this.#state !== "Recv" && this.#state !== "SizeKnown") return newBytes;
    this.#resetCode = code;
    this.#state = this.#isStopped ? "ResetRead" : "ResetRecvd";
    this.#reassembler.clear();
    return newBytes;
  }

  /** The next data in order, now the caller's own; `undefined` if there is none, or at the end (`isAtEnd`). */
  read(): Uint8Array | undefined {
    if (this.#state === "ResetRecvd" || this.isTerminal) return undefined;
    const data = this.#reassembler.read();
    if (this.#state === "DataRecvd" && !this.#reassembler.isReadable) this.#state = "DataRead";
    return data;
  }

  /** The reader was told of the reset. */
  onResetRead(): void {
    if (this.#state === "ResetRecvd") this.#state = "ResetRead";
  }

  /**
   * The reader wants no more: unread data is let go, and STOP_SENDING is due unless the end is known already
   * (RFC 9000 §3.5).
   *
   * @returns Whether it had an effect.
   */
  stop(code: number): boolean {
    if (this.#isStopped || this.isTerminal) return false;
    this.#isStopped = true;
    this.#reassembler.clear();
    if (this.#state === "ResetRecvd") {
      this.#state = "ResetRead";
    } else if (this.#state === "DataRecvd") {
      this.#state = "DataRead";
    } else if (this.#finalSize < 0) {
      this.#stopCode = code;
      this.#isStopPending = true;
    } else {
      // The size is known, so nothing more has to be said or counted: RFC 9000 §3.5.
      this.#state = "DataRead";
    }
    return true;
  }

  /** Bytes that count against the connection's limit and will not be read: everything, once stopped or reset. */
  takeDiscarded(): number {
    if (!this.#isStopped && this.#state !== "ResetRecvd" && this.#state !== "ResetRead") return 0;
    const bytes = this.#highestOffset - this.window.consumed;
    if (bytes > 0) this.window.consume(bytes);
    if (this.#isStopped) this.window.close();
    return bytes;
  }

  /** STOP_SENDING is in a packet. */
  onStopSent(): void {
    this.#isStopPending = false;
  }

  /** STOP_SENDING was lost: it is sent again unless the end is known by now (RFC 9000 §13.3). */
  onStopLost(): void {
    if (this.#isStopped && this.#finalSize < 0) this.#isStopPending = true;
  }

  #checkFinalSize(end: number, isFinal: boolean): void {
    if (this.#finalSize >= 0 && (isFinal ? end !== this.#finalSize : end > this.#finalSize)) {
      throw new TransportError("FINAL_SIZE_ERROR", `The final size was ${this.#finalSize} bytes, and now is ${end}`);
    }
    if (isFinal && end < this.#highestOffset) {
      throw new TransportError(
        "FINAL_SIZE_ERROR",
        `The final size ${end} is less than the ${this.#highestOffset} sent`,
      );
    }
  }

  #noticeEnd(): void {
    if (this.#state !== "SizeKnown") return;
    if (this.#isStopped) this.#state = "DataRead";
    else if (this.#reassembler.contiguousOffset === this.#finalSize) this.#state = "DataRecvd";
  }
}
