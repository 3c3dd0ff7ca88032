/**
 * The AEAD backend on OpenSSL's libcrypto (RFC 9001 §5.3, §5.4), whose functions somebody else has opened: `io/libcrypto.ts`.
 *
 * Measured through the runtime's foreign function interface, 1,200 byte packets: AES-128-GCM 0.8 µs, ChaCha20-Poly1305
 * 1.3 µs. A context of libcrypto's serves every key, which costs its schedule each time (0.25 µs for AES), and nothing has
 * to be given back when a key is discarded.
 *
 * @module
 */

import {
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  checkAeadKey,
  HEADER_PROTECTION_MASK_BYTES,
  HEADER_PROTECTION_SAMPLE_BYTES,
} from "./aead.ts";
import type { Aead, AeadBackend, AeadName, HeaderProtection } from "./aead.ts";

/** What is used of libcrypto, by its own names. Integers it answers with are 1 for success. */
export interface Libcrypto<Pointer> {
  EVP_CIPHER_CTX_new(): Pointer | null;
  EVP_aes_128_gcm(): Pointer | null;
  EVP_aes_256_gcm(): Pointer | null;
  EVP_chacha20_poly1305(): Pointer | null;
  EVP_aes_128_ecb(): Pointer | null;
  EVP_aes_256_ecb(): Pointer | null;
  EVP_chacha20(): Pointer | null;
  EVP_CipherInit_ex(
    context: Pointer | null,
    cipher: Pointer | null,
    engine: null,
    key: Uint8Array | null,
    nonce: Uint8Array | null,
    isSealing: number,
  ): number;
  EVP_CipherUpdate(
    context: Pointer | null,
    output: Uint8Array | null,
    outputBytes: Uint8Array,
    input: Uint8Array,
    inputBytes: number,
  ): number;
  EVP_CipherFinal_ex(
    context: Pointer | null,
    output: Uint8Array,
    outputBytes: Uint8Array,
  ): number;
  EVP_CIPHER_CTX_ctrl(
    context: Pointer | null,
    type: number,
    argument: number,
    bytes: Uint8Array,
  ): number;
}

// evp.h: the controls of AEADs.
const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;

const SEAL = 1;
const OPEN = 0;

/** No packet is longer: RFC 768. */
const MAX_PACKET_BYTES = 65_535;

/** AEADs and masks made by libcrypto. */
export class LibcryptoBackend<Pointer> implements AeadBackend {
  readonly name = "libcrypto";
  readonly #functions: Libcrypto<Pointer>;
  readonly #sealers = new Map<AeadName, Pointer>();
  readonly #openers = new Map<AeadName, Pointer>();
  readonly #masks = new Map<AeadName, Pointer>();
  /** Where packets are opened: what is not authentic must not be written over. */
  readonly #scratch = new Uint8Array(MAX_PACKET_BYTES);

  /** @throws {Error} If libcrypto lacks one of the ciphers. */
  constructor(functions: Libcrypto<Pointer>) {
    this.#functions = functions;
    const { EVP_aes_128_gcm, EVP_aes_256_gcm, EVP_chacha20_poly1305 } = functions;
    const { EVP_aes_128_ecb, EVP_aes_256_ecb, EVP_chacha20 } = functions;
    const ciphers = [
      ["AES_128_GCM", EVP_aes_128_gcm(), EVP_aes_128_ecb()],
      ["AES_256_GCM", EVP_aes_256_gcm(), EVP_aes_256_ecb()],
      ["CHACHA20_POLY1305", EVP_chacha20_poly1305(), EVP_chacha20()],
    ] as const;
    for (const [name, aead, mask] of ciphers) {
      this.#sealers.set(name, this.#context(aead, SEAL));
      this.#openers.set(name, this.#context(aead, OPEN));
      this.#masks.set(name, this.#context(mask, SEAL));
    }
  }

  aead(name: AeadName, key: Uint8Array): Aead {
    checkAeadKey(name, key);
    const [sealer, opener] = [this.#sealers.get(name), this.#openers.get(name)];
    if (sealer === undefined || opener === undefined) throw new RangeError(`Cannot use ${name}`);
    return new LibcryptoAead(this.#functions, { sealer, opener, key: copyOf(key), scratch: this.#scratch });
  }

  headerProtection(name: AeadName, key: Uint8Array): HeaderProtection {
    checkAeadKey(name, key);
    const context = this.#masks.get(name);
    if (context === undefined) throw new RangeError(`Cannot use ${name}`);
    return name === "CHACHA20_POLY1305"
      ? new ChaCha20Mask(this.#functions, context, copyOf(key))
      : new AesMask(this.#functions, context, copyOf(key));
  }

  #context(cipher: Pointer | null, direction: number): Pointer {
    const context = this.#functions.EVP_CIPHER_CTX_new();
    const isMade = context !== null &&
      this.#functions.EVP_CipherInit_ex(context, cipher, null, null, null, direction) === 1;
    if (!isMade) throw new Error("Cannot use libcrypto: it lacks a cipher that QUIC needs");
    return context;
  }
}

/** What a key of this backend works with. */
interface AeadParts<Pointer> {
  readonly sealer: Pointer;
  readonly opener: Pointer;
  readonly key: Uint8Array;
  readonly scratch: Uint8Array;
}

class LibcryptoAead<Pointer> implements Aead {
  readonly tagBytes = AEAD_TAG_BYTES;
  readonly #functions: Libcrypto<Pointer>;
  readonly #parts: AeadParts<Pointer>;
  readonly #nonce = new Uint8Array(new ArrayBuffer(AEAD_NONCE_BYTES));
  readonly #written = new Uint8Array(new ArrayBuffer(4));

  constructor(functions: Libcrypto<Pointer>, parts: AeadParts<Pointer>) {
    this.#functions = functions;
    this.#parts = parts;
  }

  seal(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): void {
    const { sealer, key } = this.#parts;
    const functions = this.#functions;
    const tag = buffer.subarray(end, end + AEAD_TAG_BYTES);
    this.#nonce.set(nonce);
    const isSealed = functions.EVP_CipherInit_ex(sealer, null, null, key, this.#nonce, SEAL) === 1 &&
      this.#authenticate(sealer, buffer, aadStart, start) &&
      this.#update(sealer, buffer.subarray(start, end), buffer, start, end) &&
      functions.EVP_CipherFinal_ex(sealer, tag, this.#written) === 1 &&
      functions.EVP_CIPHER_CTX_ctrl(sealer, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, tag) === 1;
    // Nothing that a peer or a caller says leads here.
    if (!isSealed) throw new Error("Cannot seal: libcrypto refuses");
  }

  open(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): boolean {
    const { opener, key, scratch } = this.#parts;
    const tagAt = end - AEAD_TAG_BYTES;
    if (tagAt < start) return false;
    const functions = this.#functions;
    const tag = buffer.subarray(tagAt, end);
    this.#nonce.set(nonce);
    const isOpen = functions.EVP_CipherInit_ex(opener, null, null, key, this.#nonce, OPEN) === 1 &&
      this.#authenticate(opener, buffer, aadStart, start) &&
      this.#update(opener, scratch, buffer, start, tagAt) &&
      functions.EVP_CIPHER_CTX_ctrl(opener, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag) === 1 &&
      functions.EVP_CipherFinal_ex(opener, tag, this.#written) === 1;
    if (isOpen) buffer.set(scratch.subarray(0, tagAt - start), start);
    return isOpen;
  }

  #authenticate(context: Pointer, buffer: Uint8Array, start: number, end: number): boolean {
    if (start === end) return true;
    const data = buffer.subarray(start, end);
    return this.#functions.EVP_CipherUpdate(context, null, this.#written, data, data.length) === 1;
  }

  #update(context: Pointer, output: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    if (start === end) return true;
    const input = buffer.subarray(start, end);
    return this.#functions.EVP_CipherUpdate(context, output, this.#written, input, input.length) === 1;
  }
}

/** One block of AES-ECB: RFC 9001 §5.4.3. */
class AesMask<Pointer> implements HeaderProtection {
  readonly #functions: Libcrypto<Pointer>;
  readonly #context: Pointer;
  readonly #key: Uint8Array;
  readonly #written = new Uint8Array(new ArrayBuffer(4));
  readonly #mask = new Uint8Array(new ArrayBuffer(2 * HEADER_PROTECTION_SAMPLE_BYTES));

  constructor(functions: Libcrypto<Pointer>, context: Pointer, key: Uint8Array) {
    this.#functions = functions;
    this.#context = context;
    this.#key = key;
  }

  mask(buffer: Uint8Array, sampleAt: number): Uint8Array {
    const sample = buffer.subarray(sampleAt, sampleAt + HEADER_PROTECTION_SAMPLE_BYTES);
    this.#functions.EVP_CipherInit_ex(this.#context, null, null, this.#key, null, SEAL);
    this.#functions.EVP_CipherUpdate(this.#context, this.#mask, this.#written, sample, sample.length);
    return this.#mask;
  }

  close(): void {
    this.#key.fill(0);
  }
}

/** ChaCha20 with the sample as counter and nonce: RFC 9001 §5.4.4. */
class ChaCha20Mask<Pointer> implements HeaderProtection {
  readonly #functions: Libcrypto<Pointer>;
  readonly #context: Pointer;
  readonly #key: Uint8Array;
  readonly #written = new Uint8Array(new ArrayBuffer(4));
  readonly #zeros = new Uint8Array(new ArrayBuffer(HEADER_PROTECTION_MASK_BYTES));
  readonly #mask = new Uint8Array(new ArrayBuffer(HEADER_PROTECTION_SAMPLE_BYTES));

  constructor(functions: Libcrypto<Pointer>, context: Pointer, key: Uint8Array) {
    this.#functions = functions;
    this.#context = context;
    this.#key = key;
  }

  mask(buffer: Uint8Array, sampleAt: number): Uint8Array {
    const sample = buffer.subarray(sampleAt, sampleAt + HEADER_PROTECTION_SAMPLE_BYTES);
    this.#functions.EVP_CipherInit_ex(this.#context, null, null, this.#key, sample, SEAL);
    this.#functions.EVP_CipherUpdate(this.#context, this.#mask, this.#written, this.#zeros, this.#zeros.length);
    return this.#mask;
  }

  close(): void {
    this.#key.fill(0);
  }
}

/** A copy outside the garbage collected heap, so that it does not move while libcrypto reads it. */
function copyOf(key: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new ArrayBuffer(key.length));
  copy.set(key);
  return copy;
}
