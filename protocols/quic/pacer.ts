/**
 * Spreads packets over the round trip: RFC 9002 §7.7, as a bucket of bytes that fills at a little more than one
 * congestion window a round trip.
 *
 * @module
 */

/** Most datagrams that leave at once: a default receive buffer holds about 90. */
export const MAX_BURST_DATAGRAMS = 32;

/** The burst that is always allowed: RFC 9002 §7.7 ties it to the initial window. */
const MIN_BURST_DATAGRAMS = 10;

/** What the bucket holds at most, as time: hosts wake up about this late, and the rate must not suffer from it. */
const BURST_MS = 2;

/** A timer shorter than this is not worth its wake-up: the sender waits for what fills this much time. */
const MIN_WAIT_MS = 1;

/**
 * Paths with a shorter round trip are not paced: no timer of a host is fine enough for them, and waiting for one costs more
 * than the burst. What leaves at once is bounded by the window and by {@linkcode MAX_BURST_DATAGRAMS} between two turns.
 */
const MIN_PACED_RTT_MS = 2;

/** N of RFC 9002 §7.7: how much faster than the window over the RTT. In slow start the window doubles meanwhile. */
const RATE_FACTOR = 1.25;
const SLOW_START_RATE_FACTOR = 2;

/** Path properties the rate is made of. */
export interface PacingState {
  readonly congestionWindowBytes: number;
  readonly isInSlowStart: boolean;
}

/** Says when the next packet may leave. */
export class Pacer {
  #maxDatagramBytes: number;
  #bucketBytes: number;
  #capacityBytes: number;
  #bytesPerMs = 0;
  #filledAt = -Infinity;

  constructor(maxDatagramBytes: number) {
    this.#maxDatagramBytes = maxDatagramBytes;
    this.#capacityBytes = MIN_BURST_DATAGRAMS * maxDatagramBytes;
    this.#bucketBytes = this.#capacityBytes;
  }

  /**
   * When a packet of full size may leave: `now` or earlier if at once. Ask before each packet that is in flight.
   *
   * An instant in the future is when several packets will be due together; asking earlier, for instance when an
   * acknowledgement has come, may still get leave for one.
   */
  sendAt(congestion: PacingState, smoothedRttMs: number, now: number): number {
    this.#fill(congestion, smoothedRttMs, now);
    if (smoothedRttMs < MIN_PACED_RTT_MS) {
      // Nothing is owed if the round trip becomes longer.
      this.#bucketBytes = this.#capacityBytes;
      return now;
    }
    const missingBytes = this.#maxDatagramBytes - this.#bucketBytes;
    if (missingBytes <= 0) return now;
    return now + Math.max(missingBytes / this.#bytesPerMs, this.#waitMs);
  }

  /** A packet that is in flight left. The bucket may go below zero by one packet, and by probes. */
  onPacketSent(bytes: number): void {
    this.#bucketBytes -= bytes;
  }

  /** Another datagram size for the path. */
  setMaxDatagramBytes(maxDatagramBytes: number): void {
    this.#maxDatagramBytes = maxDatagramBytes;
  }

  /** Starts over for a new path. */
  reset(): void {
    this.#capacityBytes = MIN_BURST_DATAGRAMS * this.#maxDatagramBytes;
    this.#bucketBytes = this.#capacityBytes;
    this.#filledAt = -Infinity;
  }

  get #waitMs(): number {
    return Math.min(MIN_WAIT_MS, (this.#capacityBytes - this.#bucketBytes) / this.#bytesPerMs);
  }

  #fill(congestion: PacingState, smoothedRttMs: number, now: number): void {
    if (now <= this.#filledAt) return;
    const factor = congestion.isInSlowStart ? SLOW_START_RATE_FACTOR : RATE_FACTOR;
    // An RTT of zero is one of the virtual network: the rate is then as high as numbers go without being infinite.
    this.#bytesPerMs = factor * congestion.congestionWindowBytes / Math.max(smoothedRttMs, 0.001);
    this.#capacityBytes = Math.min(
      MAX_BURST_DATAGRAMS * this.#maxDatagramBytes,
      Math.max(MIN_BURST_DATAGRAMS * this.#maxDatagramBytes, BURST_MS * this.#bytesPerMs),
    );
    const filledBytes = this.#filledAt === -Infinity ? 0 : (now - this.#filledAt) * this.#bytesPerMs;
    this.#bucketBytes = Math.min(this.#capacityBytes, this.#bucketBytes + filledBytes);
    this.#filledAt = now;
  }
}
