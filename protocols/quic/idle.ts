/**
 * Idle timeout and keep-alive: RFC 9000 §10.1.
 *
 * @module
 */

import type { Timers } from "./timers.ts";

/** RFC 9000 §10.1: the timeout is at least this many probe timeouts, so that losses alone do not end a connection. */
const MIN_PROBE_TIMEOUTS = 3;

/** Keeps the timers `idle` and `keepAlive`. */
export class Idle {
  readonly #timers: Timers;
  readonly #keepAliveMs: number | undefined;
  readonly #probeTimeoutMs: () => number;
  #timeoutMs: number;
  /** RFC 9000 §10.1: only the first ack-eliciting packet after the last one received starts the time over. */
  #hasSentSinceReceived = false;

  /**
   * @param options `timeoutMs` 0 is no timeout; `probeTimeoutMs` is asked whenever the time starts over.
   */
  constructor(
    timers: Timers,
    options: {
      readonly timeoutMs: number;
      readonly keepAliveMs: number | undefined;
      readonly probeTimeoutMs: () => number;
    },
  ) {
    this.#timers = timers;
    this.#timeoutMs = options.timeoutMs;
    this.#keepAliveMs = options.keepAliveMs;
    this.#probeTimeoutMs = options.probeTimeoutMs;
  }

  /** The timeout in force, 0 for none. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** The peer declared its own: the smaller one holds. @param peerTimeoutMs 0: the peer has none. */
  setPeerTimeout(peerTimeoutMs: number, now: number): void {
    if (peerTimeoutMs > 0 && (this.#timeoutMs === 0 || peerTimeoutMs < this.#timeoutMs)) {
      this.#timeoutMs = peerTimeoutMs;
      this.#restart(now);
    }
  }

  /** The connection begins. */
  start(now: number): void {
    this.#restart(now);
  }

  /** A packet was processed. */
  onReceived(now: number): void {
    this.#hasSentSinceReceived = false;
    this.#restart(now);
  }

  /** An ack-eliciting packet was sent. */
  onAckElicitingSent(now: number): void {
    if (this.#keepAliveMs !== undefined) this.#timers.set("keepAlive", now + this.#keepAliveMs);
    if (this.#hasSentSinceReceived) return;
    this.#hasSentSinceReceived = true;
    this.#restart(now);
  }

  #restart(now: number): void {
    if (this.#keepAliveMs !== undefined) this.#timers.set("keepAlive", now + this.#keepAliveMs);
    if (this.#timeoutMs === 0) return;
    this.#timers.set("idle", now + Math.max(this.#timeoutMs, MIN_PROBE_TIMEOUTS * this.#probeTimeoutMs()));
  }
}
