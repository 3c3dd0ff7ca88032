/**
 * The AEAD backend on `node:crypto`: AES-GCM, ChaCha20-Poly1305 (RFC 9001 §5.3), AES and ChaCha20 masks (RFC 9001 §5.4.3,
 * §5.4.4).
 *
 * Measured in the runtime, 1,200 byte packets: ChaCha20-Poly1305 6.6 µs, AES-128-GCM 10.6 µs; a raw key is 1 µs cheaper
 * than a `KeyObject`, and a new cipher object per packet cannot be avoided. The runtime frees a cipher only in `final()`:
 * one that is dropped before leaks a kilobyte, so every path here ends there, and the kept AES context has `close`.
 *
 * @module
 */

import { createCipheriv, createDecipheriv, getCiphers } from "node:crypto";
import { AEAD_TAG_BYTES, checkAeadKey, HEADER_PROTECTION_MASK_BYTES, HEADER_PROTECTION_SAMPLE_BYTES } from "./aead.ts";
import type { Aead, AeadBackend, AeadName, HeaderProtection } from "./aead.ts";
import { unreachable } from "../core/unreachable.ts";

const TAG_OPTIONS = { authTagLength: AEAD_TAG_BYTES } as const;

/** What it has. Not every library behind `node:crypto` lends its ChaCha20, and nobody has to: RFC 8446 §9.1. */
export const NODE_AEAD_NAMES: readonly AeadName[] = getCiphers().includes("chacha20")
  ? ["AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305"]
  : ["AES_128_GCM", "AES_256_GCM"];

/** AEADs and masks made by `node:crypto`. */
export const NODE_AEAD_BACKEND: AeadBackend = {
  name: "node:crypto",

  aead(name: AeadName, key: Uint8Array): Aead {
    checkAeadKey(name, key);
    switch (name) {
      case "AES_128_GCM":
        return new AesGcm("aes-128-gcm", key.slice());
      case "AES_256_GCM":
        return new AesGcm("aes-256-gcm", key.slice());
      case "CHACHA20_POLY1305":
        return new ChaCha20Poly1305(key.slice());
      default:
        return unreachable(name);
    }
  },

  headerProtection(name: AeadName, key: Uint8Array): HeaderProtection {
    checkAeadKey(name, key);
    switch (name) {
      case "AES_128_GCM":
        return new AesMask("aes-128-ecb", key);
      case "AES_256_GCM":
        return new AesMask("aes-256-ecb", key);
      case "CHACHA20_POLY1305":
        return new ChaCha20Mask(key.slice());
      default:
        return unreachable(name);
    }
  },
};

class AesGcm implements Aead {
  readonly tagBytes = AEAD_TAG_BYTES;
  readonly #algorithm: "aes-128-gcm" | "aes-256-gcm";
  readonly #key: Uint8Array;

  constructor(algorithm: "aes-128-gcm" | "aes-256-gcm", key: Uint8Array) {
    this.#algorithm = algorithm;
    this.#key = key;
  }

  seal(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): void {
    const cipher = createCipheriv(this.#algorithm, this.#key, nonce, TAG_OPTIONS);
    cipher.setAAD(buffer.subarray(aadStart, start));
    const sealed = cipher.update(buffer.subarray(start, end));
    cipher.final();
    buffer.set(sealed, start);
    buffer.set(cipher.getAuthTag(), end);
  }

  open(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): boolean {
    const tagAt = end - AEAD_TAG_BYTES;
    if (tagAt < start) return false;
    const decipher = createDecipheriv(this.#algorithm, this.#key, nonce, TAG_OPTIONS);
    decipher.setAAD(buffer.subarray(aadStart, start));
    decipher.setAuthTag(buffer.subarray(tagAt, end));
    const opened = decipher.update(buffer.subarray(start, tagAt));
    try {
      decipher.final();
    } catch {
      return false;
    }
    buffer.set(opened, start);
    return true;
  }
}

class ChaCha20Poly1305 implements Aead {
  readonly tagBytes = AEAD_TAG_BYTES;
  readonly #key: Uint8Array;
  /** One object for all calls: `node:crypto` only reads it. */
  readonly #lengthOptions = { plaintextLength: 0 };

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): void {
    const cipher = createCipheriv("chacha20-poly1305", this.#key, nonce, TAG_OPTIONS);
    this.#lengthOptions.plaintextLength = end - start;
    cipher.setAAD(buffer.subarray(aadStart, start), this.#lengthOptions);
    const sealed = cipher.update(buffer.subarray(start, end));
    cipher.final();
    buffer.set(sealed, start);
    buffer.set(cipher.getAuthTag(), end);
  }

  open(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): boolean {
    const tagAt = end - AEAD_TAG_BYTES;
    if (tagAt < start) return false;
    const decipher = createDecipheriv("chacha20-poly1305", this.#key, nonce, TAG_OPTIONS);
    this.#lengthOptions.plaintextLength = tagAt - start;
    decipher.setAAD(buffer.subarray(aadStart, start), this.#lengthOptions);
    decipher.setAuthTag(buffer.subarray(tagAt, end));
    const opened = decipher.update(buffer.subarray(start, tagAt));
    try {
      decipher.final();
    } catch {
      return false;
    }
    buffer.set(opened, start);
    return true;
  }
}

/** One block of AES-ECB on a context that is kept (RFC 9001 §5.4.3). */
class AesMask implements HeaderProtection {
  readonly #context: ReturnType<typeof createCipheriv>;

  constructor(algorithm: "aes-128-ecb" | "aes-256-ecb", key: Uint8Array) {
    this.#context = createCipheriv(algorithm, key, null);
    // Without padding a block comes out in the call that it goes in, and `final` has nothing to add.
    this.#context.setAutoPadding(false);
  }

  mask(buffer: Uint8Array, sampleAt: number): Uint8Array {
    return this.#context.update(buffer.subarray(sampleAt, sampleAt + HEADER_PROTECTION_SAMPLE_BYTES));
  }

  close(): void {
    this.#context.final();
  }
}

const FIVE_ZEROS = new Uint8Array(HEADER_PROTECTION_MASK_BYTES);

/** ChaCha20 with the sample as counter and nonce (RFC 9001 §5.4.4), which is how the cipher takes its 16 byte IV. */
class ChaCha20Mask implements HeaderProtection {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  mask(buffer: Uint8Array, sampleAt: number): Uint8Array {
    const cipher = createCipheriv(
      "chacha20",
      this.#key,
      buffer.subarray(sampleAt, sampleAt + HEADER_PROTECTION_SAMPLE_BYTES),
    );
    const mask = cipher.update(FIVE_ZEROS);
    cipher.final();
    return mask;
  }

  /** Nothing is kept between masks. */
  close(): void {}
}
