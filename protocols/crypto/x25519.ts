/**
 * X25519 key agreement (RFC 7748).
 *
 * @module
 */

import { createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";
import { fromHex } from "../core/bytes.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { plainBytes } from "./hash.ts";

/** Length of a private key, a public key and a shared secret, in bytes. */
export const X25519_BYTES = 32;

// RFC 8410 §4 and §7: everything before the 32 key bytes is the same for every key.
const SPKI_PREFIX = fromHex("302a300506032b656e032100");
const PKCS8_PREFIX = fromHex("302e020100300506032b656e04220420");

/** A private key and the public key that belongs to it. */
export class X25519KeyPair {
  /** 32 bytes. Not to be written. */
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  private constructor(privateKey: KeyObject, publicKey: Uint8Array) {
    this.#privateKey = privateKey;
    this.publicKey = publicKey;
  }

  /** A fresh pair. */
  static generate(random: Random): X25519KeyPair {
    return X25519KeyPair.fromPrivateKey(randomBytes(random, X25519_BYTES));
  }

  /**
   * The pair of a private key that was kept.
   *
   * @throws {RangeError} If there are not 32 bytes.
   */
  static fromPrivateKey(bytes: Uint8Array): X25519KeyPair {
    if (bytes.length !== X25519_BYTES) throw new RangeError(`Cannot use ${bytes.length} bytes as an X25519 key`);
    const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, bytes]), format: "der", type: "pkcs8" });
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    return new X25519KeyPair(key, plainBytes(spki).slice(SPKI_PREFIX.length));
  }

  /**
   * The secret shared with the owner of `peerPublicKey`, 32 bytes.
   *
   * @returns `undefined` for a key of the wrong length and for one that gives the all-zero secret, which RFC 7748 §6.1
   *   and RFC 8446 §7.4.2 refuse.
   */
  sharedSecret(peerPublicKey: Uint8Array): Uint8Array | undefined {
    if (peerPublicKey.length !== X25519_BYTES) return undefined;
    const spki = Buffer.concat([SPKI_PREFIX, peerPublicKey]);
    const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
    let secret: Uint8Array;
    try {
      secret = plainBytes(diffieHellman({ privateKey: this.#privateKey, publicKey }));
    } catch {
      // The runtime refuses keys of small order here; that it always does is nowhere promised, hence the check below.
      return undefined;
    }
    let bits = 0;
    for (const byte of secret) bits |= byte;
    return bits === 0 ? undefined : secret;
  }
}
