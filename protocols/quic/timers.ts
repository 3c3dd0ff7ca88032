/**
 * Timers as data: a table from name to instant. What runs when one is due is one switch, in the connection.
 *
 * @module
 */

/**
 * - `loss`: loss detection and probe timeouts, RFC 9002 §6.
 * - `ack`: an acknowledgement may not wait longer, RFC 9000 §13.2.1.
 * - `pacing`: the pacer lets the next packet leave, RFC 9002 §7.7.
 * - `idle`: nothing was heard for too long, RFC 9000 §10.1.
 * - `keepAlive`: it is time for a PING, RFC 9000 §10.1.2.
 * - `path`: a path is to be challenged again, or failed, RFC 9000 §8.2.
 * - `traversal`: a probe of NAT traversal, or a round, is due, draft-seemann-quic-nat-traversal-02 §4.
 * - `retreat`: the path in use has been silent for too long while there is another, which is to be kept open.
 * - `keyDiscard`: keys of the previous phase go, RFC 9001 §6.5.
 * - `close`: closing or draining is over, RFC 9000 §10.2.
 */
export const TIMER_NAMES = [
  "loss",
  "ack",
  "pacing",
  "idle",
  "keepAlive",
  "path",
  "traversal",
  "retreat",
  "keyDiscard",
  "close",
] as const;

/** Which timer. */
export type TimerName = typeof TIMER_NAMES[number];

/** The timers of one connection; instants are monotonic ms, `Infinity` is not set. */
export class Timers {
  readonly #at: Record<TimerName, number> = {
    loss: Infinity,
    ack: Infinity,
    pacing: Infinity,
    idle: Infinity,
    keepAlive: Infinity,
    path: Infinity,
    traversal: Infinity,
    retreat: Infinity,
    keyDiscard: Infinity,
    close: Infinity,
  };

  /** Sets, moves or, with `undefined`, clears a timer. */
  set(name: TimerName, at: number | undefined): void {
    this.#at[name] = at ?? Infinity;
  }

  /** Clears all. */
  clear(): void {
    for (const name of TIMER_NAMES) this.#at[name] = Infinity;
  }

  /** Whether the timer is due. */
  isDue(name: TimerName, now: number): boolean {
    return this.#at[name] <= now;
  }

  /** When the first timer is due, `undefined` if none is set. */
  next(): number | undefined {
    const at = this.#at;
    const first = Math.min(
      at.loss,
      at.ack,
      at.pacing,
      at.idle,
      at.keepAlive,
      at.path,
      at.traversal,
      at.retreat,
      at.keyDiscard,
      at.close,
    );
    return first === Infinity ? undefined : first;
  }
}
