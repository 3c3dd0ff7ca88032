/**
 * Pauses between attempts to reach a hub: they double, and are spread so that the listeners of a hub that restarts do not
 * all come back at once.
 *
 * @module
 */

import { randomUnit } from "../protocols/core/random.ts";
import type { Random } from "../protocols/core/random.ts";

/** The first pause, in ms. */
const MIN_BACKOFF_MS = 500;

/** The longest pause before it is spread, in ms. */
const MAX_BACKOFF_MS = 30_000;

/** Counts attempts and says how long to wait for the next. */
export class Backoff {
  readonly #random: Random;
  #attempts = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next pause: half to one and a half times the doubled one. */
  next(): number {
    const pauseMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(this.#attempts++, 16));
    return pauseMs * (0.5 + randomUnit(this.#random));
  }

  /** An attempt succeeded. */
  reset(): void {
    this.#attempts = 0;
  }
}
