/**
 * Ed25519 signatures (RFC 8032) and their SubjectPublicKeyInfo (RFC 8410), which is what a raw public key of RFC 7250 is.
 *
 * @module
 */

import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";
import { fromHex } from "../core/bytes.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { plainBytes } from "./hash.ts";

/** Length of a seed and of a public key, in bytes. */
export const ED25519_KEY_BYTES = 32;

/** Length of a signature, in bytes. */
export const ED25519_SIGNATURE_BYTES = 64;

// RFC 8410 §4 and §7: everything before the 32 key bytes is the same for every key, and DER has no second spelling.
const SPKI_PREFIX = fromHex("302a300506032b6570032100");
const PKCS8_PREFIX = fromHex("302e020100300506032b657004220420");

/** A private key: the 32 byte seed of RFC 8032 §5.1.5. */
export class Ed25519PrivateKey {
  /** Not to be written. */
  readonly publicKey: Ed25519PublicKey;
  readonly #key: KeyObject;

  private constructor(key: KeyObject, publicKey: Ed25519PublicKey) {
    this.#key = key;
    this.publicKey = publicKey;
  }

  /** A fresh key. */
  static generate(random: Random): Ed25519PrivateKey {
    return Ed25519PrivateKey.fromSeed(randomBytes(random, ED25519_KEY_BYTES));
  }

  /** The key of a seed that was kept (RFC 8032 §5.1.5). @throws {RangeError} If there are not 32 bytes. */
  static fromSeed(seed: Uint8Array): Ed25519PrivateKey {
    if (seed.length !== ED25519_KEY_BYTES) throw new RangeError(`Cannot use ${seed.length} bytes as an Ed25519 seed`);
    const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
    const spki = plainBytes(createPublicKey(key).export({ format: "der", type: "spki" }));
    return new Ed25519PrivateKey(key, Ed25519PublicKey.fromBytes(spki.subarray(SPKI_PREFIX.length)));
  }

  /** The 64 byte signature of `message`; the same message gives the same signature. */
  sign(message: Uint8Array): Uint8Array {
    return plainBytes(sign(null, message, this.#key));
  }
}

/** A public key, which is also a peer's identity. */
export class Ed25519PublicKey {
  /** 32 bytes. Not to be written. */
  readonly bytes: Uint8Array;
  #key: KeyObject | undefined;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /**
   * Copies 32 bytes. Whether they are a point of the curve shows only when a signature is verified.
   *
   * @throws {RangeError} If there are not 32 bytes.
   */
  static fromBytes(bytes: Uint8Array): Ed25519PublicKey {
    if (bytes.length !== ED25519_KEY_BYTES) throw new RangeError(`Cannot use ${bytes.length} bytes as an Ed25519 key`);
    return new Ed25519PublicKey(bytes.slice());
  }

  /** Reads the SubjectPublicKeyInfo of RFC 8410 §4; `undefined` if it is that of anything else. */
  static fromSpki(spki: Uint8Array): Ed25519PublicKey | undefined {
    const bytes = decodeEd25519Spki(spki);
    return bytes === undefined ? undefined : Ed25519PublicKey.fromBytes(bytes);
  }

  /** The SubjectPublicKeyInfo of RFC 8410 §4, in DER. */
  toSpki(): Uint8Array {
    return encodeEd25519Spki(this.bytes);
  }

  /** Whether `signature` is this key's over `message`. Any bytes may be given as signature. */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
    try {
      this.#key ??= createPublicKey({ key: Buffer.from(this.toSpki()), format: "der", type: "spki" });
      return verify(null, message, this.#key, signature);
    } catch {
      // The key is not a point of the curve.
      return false;
    }
  }
}

/** SubjectPublicKeyInfo (RFC 8410 §4) of a 32 byte public key. */
export function encodeEd25519Spki(publicKey: Uint8Array): Uint8Array {
  const spki = new Uint8Array(SPKI_PREFIX.length + ED25519_KEY_BYTES);
  spki.set(SPKI_PREFIX);
  spki.set(publicKey, SPKI_PREFIX.length);
  return spki;
}

/** A view of the 32 key bytes in a SubjectPublicKeyInfo; `undefined` if it is not that of an Ed25519 key. */
export function decodeEd25519Spki(spki: Uint8Array): Uint8Array | undefined {
  if (spki.length !== SPKI_PREFIX.length + ED25519_KEY_BYTES) return undefined;
  for (let i = 0; i < SPKI_PREFIX.length; i++) if (spki[i] !== SPKI_PREFIX[i]) return undefined;
  return spki.subarray(SPKI_PREFIX.length);
}
