/**
 * The laboratory's randomness: one seed, and from it an independent generator for every part that draws, so that a draw
 * more in one host changes nothing on a link elsewhere. Predictable on purpose: never for a secret outside the laboratory.
 *
 * @module
 */

import type { Random } from "../protocols/core/random.ts";

/** A generator of the "small fast counting" family (sfc32): 128 bits of state, period at least 2^32. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /**
   * @param seed A safe integer: the number a failing test prints.
   * @param label Names the part that draws; each label has a sequence of its own.
   * @throws {RangeError} If the seed is not a safe integer.
   */
  constructor(seed: number, label = "") {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`Cannot seed: ${seed} is not a safe integer`);
    let hash = 0x811c9dc5;
    for (const character of `${seed} ${label}`) hash = mix(hash ^ character.codePointAt(0)!);
    this.#a = hash;
    this.#b = mix(hash ^ 0x9e3779b9);
    this.#c = mix(hash ^ 0x85ebca6b);
    // The first outputs still show how alike two seeds are.
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /** The next 32 bits. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.uint32() / 0x100000000;
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }

  /** True with this probability; draws nothing when the answer is certain. */
  chance(probability: number): boolean {
    return probability > 0 && (probability >= 1 || this.unit() < probability);
  }

  fill<T extends Uint8Array>(bytes: T): T {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.uint32() >>> 24;
    return bytes;
  }
}

/** Scatters 32 bits (the finaliser of MurmurHash3). */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
