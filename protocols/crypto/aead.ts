/**
 * Packet protection as every backend offers it: AEAD in place and header protection masks (RFC 9001 §5.3, §5.4), and what
 * is known about each algorithm as data (RFC 9001 §6.6). A faster backend is one more file with an {@linkcode AeadBackend}.
 *
 * @module
 */

/** The AEADs of the TLS 1.3 cipher suites that QUIC can use (RFC 9001 §5.3). */
export type AeadName = "AES_128_GCM" | "AES_256_GCM" | "CHACHA20_POLY1305";

/** Length of every tag, in bytes. */
export const AEAD_TAG_BYTES = 16;

/** Length of every nonce and IV, in bytes. */
export const AEAD_NONCE_BYTES = 12;

/** Length of the ciphertext sample that header protection takes, in bytes: RFC 9001 §5.4.2. */
export const HEADER_PROTECTION_SAMPLE_BYTES = 16;

/** Length of a header protection mask, in bytes: RFC 9001 §5.4.1. */
export const HEADER_PROTECTION_MASK_BYTES = 5;

/** How much one key, and one connection, may do with an AEAD: RFC 9001 §6.6. */
export interface AeadLimits {
  /** Packets that one key may seal; the key is updated before (RFC 9001 §6.6). `Infinity`: more than there are numbers. */
  readonly confidentialityLimitPackets: number;
  /** Packets that may fail to open over the life of a connection, all keys together (RFC 9001 §6.6). */
  readonly integrityLimitPackets: number;
}

/** What is known about an AEAD before there is a key. */
export interface AeadProperties extends AeadLimits {
  /** Of the packet protection key and of the header protection key. */
  readonly keyBytes: 16 | 32;
}

/** RFC 9001 §6.6 and Appendix B. */
export const AEAD_PROPERTIES: Readonly<Record<AeadName, AeadProperties>> = {
  AES_128_GCM: { keyBytes: 16, confidentialityLimitPackets: 2 ** 23, integrityLimitPackets: 2 ** 52 },
  AES_256_GCM: { keyBytes: 32, confidentialityLimitPackets: 2 ** 23, integrityLimitPackets: 2 ** 52 },
  CHACHA20_POLY1305: { keyBytes: 32, confidentialityLimitPackets: Infinity, integrityLimitPackets: 2 ** 36 },
};

/**
 * One key. Both operations work in place on `buffer`: associated data is `buffer[aadStart, start)`, where a QUIC packet
 * has its header.
 */
export interface Aead {
  /** What `seal` appends: every AEAD here has {@linkcode AEAD_TAG_BYTES}. */
  readonly tagBytes: 16;
  /**
   * Seals `buffer[start, end)` in place and writes the tag to `buffer[end, end + 16)`.
   *
   * @param nonce 12 bytes, never used before with this key; borrowed.
   */
  seal(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): void;
  /**
   * Opens `buffer[start, end)`, ciphertext and tag, in place: the plaintext lands in `buffer[start, end - 16)`.
   *
   * @returns `false` if the packet is not authentic; `buffer` is unchanged then.
   */
  open(nonce: Uint8Array, buffer: Uint8Array, aadStart: number, start: number, end: number): boolean;
}

/** One header protection key. */
export interface HeaderProtection {
  /** The mask for the 16 bytes at `buffer[sampleAt]`: the first 5 bytes of what is returned; valid until the next call. */
  mask(buffer: Uint8Array, sampleAt: number): Uint8Array;
  /**
   * Gives back what the backend keeps outside the garbage collected heap. To be called once, when the key is discarded;
   * `mask` must not be called afterwards.
   */
  close(): void;
}

/** Where AEADs come from. */
export interface AeadBackend {
  /** For reports: `node:crypto`. */
  readonly name: string;
  /** Stricter than {@linkcode AEAD_PROPERTIES}, for every AEAD: keys are fresh more often, forgers are given up earlier. */
  readonly limits?: AeadLimits;
  /** A packet protection key; `key` is copied. @throws {RangeError} If it has the wrong length. */
  aead(name: AeadName, key: Uint8Array): Aead;
  /** A header protection key; `key` is copied. @throws {RangeError} If it has the wrong length. */
  headerProtection(name: AeadName, key: Uint8Array): HeaderProtection;
}

/** @throws {RangeError} If `key` has not the length that `name` needs. */
export function checkAeadKey(name: AeadName, key: Uint8Array): void {
  const { keyBytes } = AEAD_PROPERTIES[name];
  if (key.length !== keyBytes) {
    throw new RangeError(`Cannot use ${key.length} bytes as a key: ${name} needs ${keyBytes}`);
  }
}

/** What holds for an AEAD of a backend: RFC 9001 §6.6, or less. */
export function aeadLimits(backend: AeadBackend, name: AeadName): AeadLimits {
  const properties = AEAD_PROPERTIES[name];
  const { limits = properties } = backend;
  return {
    confidentialityLimitPackets: Math.min(properties.confidentialityLimitPackets, limits.confidentialityLimitPackets),
    integrityLimitPackets: Math.min(properties.integrityLimitPackets, limits.integrityLimitPackets),
  };
}
