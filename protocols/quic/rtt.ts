/**
 * The round-trip time of a path: RFC 9002 §5.
 *
 * @module
 */

/** RTT assumed before anything is known: RFC 9002 §6.2.2 (kInitialRtt). */
export const INITIAL_RTT_MS = 333;

/** Timer granularity assumed for the peer and for us: RFC 9002 §6.1.2 (kGranularity). */
export const GRANULARITY_MS = 1;

/** Estimates the RTT from samples. All times in monotonic milliseconds, fractions allowed. */
export class Rtt {
  #latestMs = 0;
  #minMs = 0;
  #smoothedMs: number;
  #variationMs: number;
  #firstSampleAt: number | undefined = undefined;

  /** @param initialRttMs What to assume before the first sample. */
  constructor(initialRttMs: number = INITIAL_RTT_MS) {
    this.#smoothedMs = initialRttMs;
    this.#variationMs = initialRttMs / 2;
  }

  /** The last sample, 0 before the first. */
  get latestMs(): number {
    return this.#latestMs;
  }

  /** Smallest sample of this path, 0 before the first. */
  get minMs(): number {
    return this.#minMs;
  }

  /** smoothed_rtt; the assumed RTT before the first sample. */
  get smoothedMs(): number {
    return this.#smoothedMs;
  }

  /** rttvar. */
  get variationMs(): number {
    return this.#variationMs;
  }

  /** When the first sample was taken, `undefined` before. */
  get firstSampleAt(): number | undefined {
    return this.#firstSampleAt;
  }

  /** The probe timeout without backoff and without the peer's max_ack_delay: RFC 9002 §6.2.1. */
  get probeTimeoutMs(): number {
    return this.#smoothedMs + Math.max(4 * this.#variationMs, GRANULARITY_MS);
  }

  /** Replaces the assumed RTT, where another layer has measured the path already. Ignored after the first sample. */
  provide(rttMs: number): void {
    if (this.#firstSampleAt !== undefined || !(rttMs > 0)) return;
    this.#smoothedMs = rttMs;
    this.#variationMs = rttMs / 2;
  }

  /**
   * Takes a sample: RFC 9002 §5.3.
   *
   * @param sampleMs From sending the largest newly acknowledged packet to its acknowledgement.
   * @param ackDelayMs What the peer says it waited, already limited to its max_ack_delay where that applies.
   */
  update(sampleMs: number, ackDelayMs: number, now: number): void {
    this.#latestMs = sampleMs;
    if (this.#firstSampleAt === undefined) {
      this.#firstSampleAt = now;
      this.#minMs = sampleMs;
      this.#smoothedMs = sampleMs;
      this.#variationMs = sampleMs / 2;
      return;
    }
    // min_rtt knows no acknowledgement delay: RFC 9002 §5.2.
    if (sampleMs < this.#minMs) this.#minMs = sampleMs;
    // A delay that would bring the sample below min_rtt is not believed: RFC 9002 §5.3.
    const adjustedMs = sampleMs >= this.#minMs + ackDelayMs ? sampleMs - ackDelayMs : sampleMs;
    this.#variationMs = 0.75 * this.#variationMs + 0.25 * Math.abs(this.#smoothedMs - adjustedMs);
    this.#smoothedMs = 0.875 * this.#smoothedMs + 0.125 * adjustedMs;
  }

  /** The path may have changed under us: min_rtt starts over at the last sample (RFC 9002 §5.2). */
  onPersistentCongestion(): void {
    this.#minMs = this.#latestMs;
  }

  /** Starts over for a new path: RFC 9000 §9.4. */
  reset(initialRttMs: number = INITIAL_RTT_MS): void {
    this.#latestMs = 0;
    this.#minMs = 0;
    this.#smoothedMs = initialRttMs;
    this.#variationMs = initialRttMs / 2;
    this.#firstSampleAt = undefined;
  }
}
