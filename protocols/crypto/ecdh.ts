/**
 * Key agreement on the curves P-256 and P-384 (NIST SP 800-56A; points as RFC 8446 §4.2.8.2 writes them).
 *
 * @module
 */

import { createECDH } from "node:crypto";
import type { Random } from "../core/random.ts";
import { plainBytes } from "./hash.ts";

/** A curve by the name NIST gives it. */
export type CurveName = "P-256" | "P-384";

/** Length of a coordinate, a private key and a shared secret, in bytes. */
export const CURVE_BYTES: Readonly<Record<CurveName, number>> = { "P-256": 32, "P-384": 48 };

const NODE_NAMES: Readonly<Record<CurveName, string>> = { "P-256": "prime256v1", "P-384": "secp384r1" };

/** The byte in front of both coordinates: RFC 8446 §4.2.8.2 knows no other form. */
const UNCOMPRESSED = 0x04;

/** Private keys drawn at most: of random bytes, one in 2^32 is not below the order of P-256. */
const MAX_DRAWS = 8;

/** A private key and the public key that belongs to it. */
export class EcdhKeyPair {
  readonly curve: CurveName;
  /** The point: 0x04, then both coordinates. Not to be written. */
  readonly publicKey: Uint8Array;
  readonly #ecdh: ReturnType<typeof createECDH>;

  private constructor(curve: CurveName, ecdh: ReturnType<typeof createECDH>) {
    this.curve = curve;
    this.#ecdh = ecdh;
    this.publicKey = plainBytes(ecdh.getPublicKey());
  }

  /** A fresh pair. @throws {Error} If `random` gives no number below the order of the curve. */
  static generate(curve: CurveName, random: Random): EcdhKeyPair {
    const bytes = new Uint8Array(CURVE_BYTES[curve]);
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const pair = EcdhKeyPair.fromPrivateKey(curve, random.fill(bytes));
      if (pair !== undefined) return pair;
    }
    throw new Error(`Cannot generate a key on ${curve}: the random source does not vary`);
  }

  /** The pair of a private key; `undefined` if the bytes are not a number from 1 to below the order of the curve. */
  static fromPrivateKey(curve: CurveName, bytes: Uint8Array): EcdhKeyPair | undefined {
    if (bytes.length !== CURVE_BYTES[curve]) return undefined;
    const ecdh = createECDH(NODE_NAMES[curve]);
    try {
      ecdh.setPrivateKey(bytes);
    } catch {
      return undefined;
    }
    return new EcdhKeyPair(curve, ecdh);
  }

  /**
   * The secret shared with the owner of `peerPublicKey`: the coordinate X of the product (RFC 8446 §7.4.2).
   *
   * @returns `undefined` for what is not a point of the curve in uncompressed form (RFC 8446 §4.2.8.2). On a curve of
   *   prime order no such point leads to the point at infinity.
   */
  sharedSecret(peerPublicKey: Uint8Array): Uint8Array | undefined {
    // Checked here: the library takes the compressed form as well.
    if (peerPublicKey.length !== 1 + 2 * CURVE_BYTES[this.curve] || peerPublicKey[0] !== UNCOMPRESSED) return undefined;
    try {
      return plainBytes(this.#ecdh.computeSecret(peerPublicKey));
    } catch {
      return undefined;
    }
  }
}
