/**
 * Weather over a {@linkcode Pair}: loss, duplication, reordering, corruption and the size that a path carries, each drawn
 * anew from time to time.
 *
 * @module
 */

import { type Random, randomUnit } from "../../protocols/core/random.ts";
import type { Pair } from "./quic_pair.ts";

/** Most that the link loses, 0 to 1. */
const MAX_LOSS = 0.3;
const MAX_DUPLICATION = 0.1;
const MAX_JITTER_MS = 60;
/** Most datagrams, 0 to 1, of which bits are flipped on their way. */
const MAX_CORRUPTION = 0.03;
/** UDP payload that paths carry: from what every path has to (RFC 9000 §14) to an Ethernet frame. */
const MTU_BYTES = [1200, 1252, 1352, 1472] as const;

/** What the link does to datagrams just now. */
export class Weather {
  readonly #pair: Pair;
  readonly #random: Random;
  /** Larger datagrams get lost without a word. */
  #mtuBytes: number = MTU_BYTES[3];
  #corruption = 0;
  /** Nothing gets through before. */
  #outageUntil = 0;
  #lost = 0;
  #corrupted = 0;

  /** Takes the pair's link and `rewrite` over; `passes` is for its filter. */
  constructor(pair: Pair, random: Random) {
    this.#pair = pair;
    this.#random = random;
    pair.link = { ...pair.link, latencyMs: 1 + Math.floor(randomUnit(random) * 80) };
    pair.rewrite = (_, bytes) => {
      if (randomUnit(random) >= this.#corruption) return bytes;
      this.#corrupted++;
      const bit = Math.floor(randomUnit(random) * bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      return bytes;
    };
    this.change();
  }

  /** Datagrams that were too large for the path, or sent into an outage. */
  get lost(): number {
    return this.#lost;
  }

  get corrupted(): number {
    return this.#corrupted;
  }

  /** Whether a datagram fits the path. */
  passes(bytes: Uint8Array): boolean {
    if (bytes.length <= this.#mtuBytes && this.#pair.now >= this.#outageUntil) return true;
    this.#lost++;
    return false;
  }

  /** Everything but the size is another from now on. */
  change(): void {
    const random = this.#random;
    this.#pair.link = {
      latencyMs: this.#pair.link.latencyMs,
      loss: randomUnit(random) * MAX_LOSS,
      duplication: randomUnit(random) * MAX_DUPLICATION,
      jitterMs: randomUnit(random) * MAX_JITTER_MS,
    };
    this.#corruption = randomUnit(random) * MAX_CORRUPTION;
  }

  /** The path carries another size from now on, most often a smaller one. */
  resize(): void {
    this.#mtuBytes = MTU_BYTES[Math.floor(randomUnit(this.#random) * MTU_BYTES.length)] ?? 1200;
  }

  /** Nothing gets through for a while. */
  cut(forMs: number): void {
    this.#outageUntil = this.#pair.now + forMs;
  }

  /** From now on nothing is lost, doubled, damaged or late; the path stays as narrow as it is. */
  clear(): void {
    this.#corruption = 0;
    this.#outageUntil = 0;
    this.#pair.link = { latencyMs: this.#pair.link.latencyMs, loss: 0, duplication: 0, jitterMs: 0 };
  }
}
