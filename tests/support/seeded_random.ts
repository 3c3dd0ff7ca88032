/**
 * Randomness from a seed, for tests: the same seed gives the same bytes.
 *
 * @module
 */

import type { Random } from "../../protocols/core/random.ts";

/** A generator (mulberry32) that is no more than repeatable. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
  return {
    fill<T extends Uint8Array>(bytes: T): T {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next() >>> 24;
      return bytes;
    },
  };
}
