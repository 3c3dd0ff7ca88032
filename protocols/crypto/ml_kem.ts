/**
 * Key encapsulation that a quantum computer does not undo: ML-KEM-768 (FIPS 203), by `@noble/post-quantum`. The runtime's
 * own, in `crypto.subtle`, is asynchronous.
 *
 * @module
 */

import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";

/** Length of an encapsulation key, in bytes. */
export const ML_KEM_768_PUBLIC_KEY_BYTES = 1184;

/** Length of a ciphertext, in bytes. */
export const ML_KEM_768_CIPHERTEXT_BYTES = 1088;

/** Length of d and z, from which a pair is made (FIPS 203 §7.1), and of m (§7.2), in bytes. */
const SEED_BYTES = 64;
const MESSAGE_BYTES = 32;

/** A decapsulation key and the encapsulation key that belongs to it. */
export class MlKem768KeyPair {
  /** The encapsulation key. Not to be written. */
  readonly publicKey: Uint8Array;
  readonly #secretKey: Uint8Array;

  private constructor(seed: Uint8Array) {
    const { publicKey, secretKey } = ml_kem768.keygen(seed);
    this.publicKey = publicKey;
    this.#secretKey = secretKey;
  }

  /** A fresh pair: FIPS 203 §7.1. */
  static generate(random: Random): MlKem768KeyPair {
    return new MlKem768KeyPair(randomBytes(random, SEED_BYTES));
  }

  /** The pair of a seed, d before z. @throws {RangeError} If there are not 64 bytes. */
  static fromSeed(seed: Uint8Array): MlKem768KeyPair {
    if (seed.length !== SEED_BYTES) throw new RangeError(`Cannot use ${seed.length} bytes as a seed of ML-KEM-768`);
    return new MlKem768KeyPair(seed);
  }

  /**
   * The shared secret, 32 bytes (FIPS 203 §7.3). For a ciphertext that nobody made with our key it is one that nobody
   * knows; `undefined` only if it has the wrong length.
   */
  decapsulate(ciphertext: Uint8Array): Uint8Array | undefined {
    if (ciphertext.length !== ML_KEM_768_CIPHERTEXT_BYTES) return undefined;
    return ml_kem768.decapsulate(ciphertext, this.#secretKey);
  }
}

/**
 * A secret for the owner of an encapsulation key, and the ciphertext that brings it there: FIPS 203 §7.2.
 *
 * @returns `undefined` if the key fails the checks of FIPS 203 §7.2: its length, and coefficients below the modulus.
 */
export function encapsulateMlKem768(
  random: Random,
  publicKey: Uint8Array,
): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } | undefined {
  if (publicKey.length !== ML_KEM_768_PUBLIC_KEY_BYTES) return undefined;
  const message = randomBytes(random, MESSAGE_BYTES);
  try {
    const { cipherText: ciphertext, sharedSecret } = ml_kem768.encapsulate(publicKey, message);
    return { ciphertext, sharedSecret };
  } catch {
    // Of a key of the right length, that its coefficients are not below the modulus.
    return undefined;
  }
}
