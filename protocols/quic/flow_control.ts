/**
 * Credit: how much data may be sent and received, on a connection and on a stream alike (RFC 9000 §4.1, §4.2).
 *
 * @module
 */

import { TransportError } from "./errors.ts";

/** What the peer allows us to send. */
export class SendCredit {
  #maximum = 0;
  #used = 0;
  /** The limit at which we last said that we are blocked, -1 if never. */
  #blockedAt = -1;
  #isBlockedPending = false;

  /** The peer's limit as an offset: MAX_DATA, MAX_STREAM_DATA or the transport parameter. */
  get maximum(): number {
    return this.#maximum;
  }

  /** Bytes sent so far, each counted once. */
  get used(): number {
    return this.#used;
  }

  /** Bytes that may be sent now. */
  get availableBytes(): number {
    return this.#maximum - this.#used;
  }

  /** Takes a limit in; a smaller one than before is ignored (RFC 9000 §4.1). @returns Whether it grew. */
  raise(maximum: number): boolean {
    if (maximum <= this.#maximum) return false;
    this.#maximum = maximum;
    this.#isBlockedPending = false;
    return true;
  }

  /** New data was sent. @throws {RangeError} If it exceeds the credit, which is our own mistake. */
  consume(bytes: number): void {
    if (bytes > this.#maximum - this.#used) {
      throw new RangeError(`Cannot send ${bytes} bytes: the peer allows ${this.#maximum - this.#used}`);
    }
    this.#used += bytes;
  }

  /** Data waits and the credit is used up: DATA_BLOCKED or STREAM_DATA_BLOCKED is due, once a limit. */
  block(): void {
    if (this.#maximum > this.#used || this.#blockedAt === this.#maximum) return;
    this.#blockedAt = this.#maximum;
    this.#isBlockedPending = true;
  }

  /** Whether a blocked frame waits to be sent. */
  get isBlockedPending(): boolean {
    return this.#isBlockedPending;
  }

  /** The limit to say in the blocked frame that is now being sent. */
  takeBlocked(): number {
    this.#isBlockedPending = false;
    return this.#maximum;
  }

  /** The blocked frame was lost: it is sent again if it still holds (RFC 9000 §13.3). */
  onBlockedLost(maximum: number): void {
    if (maximum === this.#maximum && this.#used === this.#maximum) this.#isBlockedPending = true;
  }
}

/** How large a receive window is, and may become. */
export interface WindowOptions {
  /** Bytes the peer may send before anything is read. */
  readonly windowBytes: number;
  /** The window doubles up to this while the reader keeps pace with the peer. */
  readonly maxWindowBytes: number;
}

/** What we allow the peer to send. */
export class ReceiveWindow {
  #windowBytes: number;
  readonly #maxWindowBytes: number;
  /** The limit the peer was told. */
  #maximum: number;
  #received = 0;
  #consumed = 0;
  #isUpdatePending = false;
  #isClosed = false;
  #updatedAt = -Infinity;

  constructor(options: WindowOptions) {
    this.#windowBytes = options.windowBytes;
    this.#maxWindowBytes = options.maxWindowBytes;
    this.#maximum = options.windowBytes;
  }

  /** The limit the peer was last told, as an offset. */
  get maximum(): number {
    return this.#maximum;
  }

  /** Size of the window now. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Bytes that count against the limit. */
  get received(): number {
    return this.#received;
  }

  /** Bytes the application has taken, or that nobody will. */
  get consumed(): number {
    return this.#consumed;
  }

  /** Whether MAX_DATA or MAX_STREAM_DATA waits to be sent. */
  get isUpdatePending(): boolean {
    return this.#isUpdatePending;
  }

  /**
   * The peer used more of the limit.
   *
   * @throws {TransportError} FLOW_CONTROL_ERROR if it went beyond (RFC 9000 §4.1).
   */
  receive(bytes: number): void {
    if (bytes > this.#maximum - this.#received) {
      throw new TransportError("FLOW_CONTROL_ERROR", `The peer sent beyond its limit of ${this.#maximum} bytes`);
    }
    this.#received += bytes;
  }

  /** The application took data. @returns Whether an update became due with it. */
  consume(bytes: number): boolean {
    this.#consumed += bytes;
    // Half a window: the update is on its way before the peer runs dry, and there are few of them (RFC 9000 §4.2).
    if (this.#isClosed || this.#isUpdatePending || this.#maximum - this.#consumed > this.#windowBytes / 2) return false;
    this.#isUpdatePending = true;
    return true;
  }

  /**
   * The limit to say in the update that is now being sent.
   *
   * Half a window that was read within two round trips means that the window, not the reader, sets the pace: it doubles.
   */
  takeUpdate(smoothedRttMs: number, now: number): number {
    if (now - this.#updatedAt < 2 * smoothedRttMs) {
      this.#windowBytes = Math.min(2 * this.#windowBytes, this.#maxWindowBytes);
    }
    this.#updatedAt = now;
    this.#isUpdatePending = false;
    this.#maximum = Math.max(this.#maximum, this.#consumed + this.#windowBytes);
    return this.#maximum;
  }

  /** The update was lost: the current limit is sent, unless a newer one is on its way (RFC 9000 §13.3). */
  onUpdateLost(maximum: number): void {
    if (!this.#isClosed && maximum === this.#maximum) this.#isUpdatePending = true;
  }

  /** No more data will come: nothing needs to be said any more. */
  close(): void {
    this.#isClosed = true;
    this.#isUpdatePending = false;
  }
}
