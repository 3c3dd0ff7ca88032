/**
 * HyStart++ (RFC 9406): says from the round-trip times of a slow start when the window has become as large as the path, before
 * its queue overflows. Rounds are told by whoever counts them. As RFC 9406 §4.3 asks of a paced sender, there is no limit on
 * what one acknowledgement adds (L is infinite); a path of less than 2 ms is not paced, and what leaves there at once is
 * bounded by the host.
 *
 * @module
 */

/** RFC 9406 §4.3. */
const MIN_RTT_THRESH_MS = 4;
const MAX_RTT_THRESH_MS = 16;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_ROUNDS = 5;

/** In Conservative Slow Start the window grows by this share of what it would grow otherwise: RFC 9406 §4.2. */
export const CSS_GROWTH_DIVISOR = 4;

/** Where a slow start is: in the last phase it is over, and the window is the threshold. */
export type SlowStartPhase = "standard" | "conservative" | "over";

/** Watches the first slow start of a path. */
export class HyStart {
  #phase: SlowStartPhase = "standard";
  #currentRoundMinRttMs = Infinity;
  #lastRoundMinRttMs = Infinity;
  #samples = 0;
  #cssBaselineMinRttMs = Infinity;
  /** Rounds of Conservative Slow Start, the one it began in included. */
  #cssRounds = 0;

  /** The phase. */
  get phase(): SlowStartPhase {
    return this.#phase;
  }

  /** All that was in flight when the round began is acknowledged: another one begins. */
  onRoundStart(): void {
    // RFC 9406 §4.2: after that many rounds the increase of delay is no jitter.
    if (this.#phase === "conservative" && ++this.#cssRounds >= CSS_ROUNDS) this.#phase = "over";
    this.#lastRoundMinRttMs = this.#currentRoundMinRttMs;
    this.#currentRoundMinRttMs = Infinity;
    this.#samples = 0;
  }

  /** An acknowledgement in this round came with a round-trip time: as measured, the peer's delay included. */
  onRttSample(rttMs: number): void {
    if (this.#phase === "over") return;
    if (rttMs < this.#currentRoundMinRttMs) this.#currentRoundMinRttMs = rttMs;
    if (++this.#samples < N_RTT_SAMPLE) return;
    if (this.#phase === "standard") this.#watch();
    // RFC 9406 §4.2: the delay has gone down again, so leaving was a mistake.
    else if (this.#currentRoundMinRttMs < this.#cssBaselineMinRttMs) this.#phase = "standard";
  }

  /** Starts over for a new path. */
  reset(): void {
    this.#phase = "standard";
    this.#currentRoundMinRttMs = Infinity;
    this.#lastRoundMinRttMs = Infinity;
    this.#samples = 0;
  }

  #watch(): void {
    // Without a sample in the round before, its least is infinite, and nothing is more.
    const thresholdMs = Math.max(
      MIN_RTT_THRESH_MS,
      Math.min(this.#lastRoundMinRttMs / MIN_RTT_DIVISOR, MAX_RTT_THRESH_MS),
    );
    if (this.#currentRoundMinRttMs < this.#lastRoundMinRttMs + thresholdMs) return;
    this.#phase = "conservative";
    this.#cssBaselineMinRttMs = this.#currentRoundMinRttMs;
    this.#cssRounds = 0;
  }
}
