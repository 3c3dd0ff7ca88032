/**
 * Randomness as a value that is passed in: the operating system's on a host, a seeded generator in the laboratory.
 *
 * @module
 */

/** A source of random bytes, unpredictable wherever the peer or a stranger must not guess them. */
export interface Random {
  /** Fills `bytes` and returns it. */
  fill<T extends Uint8Array>(bytes: T): T;
}

/** `length` fresh random bytes. */
export function randomBytes(random: Random, length: number): Uint8Array<ArrayBuffer> {
  return random.fill(new Uint8Array(length));
}

/** A number in [0, 1) with 32 bits of randomness. */
export function randomUnit(random: Random): number {
  const bytes = randomBytes(random, 4);
  return (bytes[0]! * 0x1000000 + ((bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!)) / 0x100000000;
}
