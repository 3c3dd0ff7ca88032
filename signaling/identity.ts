/**
 * Who a peer is: its Ed25519 public key, or the first half of that key's SHA-256 where a string has no room for more.
 *
 * @module
 */

import { equalBytes } from "../protocols/core/bytes.ts";
import { ED25519_KEY_BYTES } from "../protocols/crypto/ed25519.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { base58Length, decodeBase58, encodeBase58 } from "./base58.ts";

/**
 * Length of a key ID, in bytes. Half a SHA-256 suffices: whoever wants to be taken for another has to find a second key
 * for a given ID, which costs 2^128 tries.
 */
export const KEY_ID_BYTES = 16;

/** What is known about a peer before it has proved its key in TLS. */
export interface PeerIdentity {
  /** 32 bytes; `undefined` in ticket mode, where the key comes with the handshake. */
  readonly key: Uint8Array | undefined;
  /** {@linkcode keyIdOf} the key. */
  readonly keyId: Uint8Array;
}

/** The first 16 bytes of the key's SHA-256. */
export function keyIdOf(key: Uint8Array): Uint8Array {
  return sha256(key).subarray(0, KEY_ID_BYTES);
}

/** The identity of a key that is known whole. */
export function identityOf(key: Uint8Array): PeerIdentity {
  return { key, keyId: keyIdOf(key) };
}

/** Whether `key`, as proved in TLS, is the peer's. */
export function isKeyOf(identity: PeerIdentity, key: Uint8Array): boolean {
  return identity.key === undefined ? equalBytes(identity.keyId, keyIdOf(key)) : equalBytes(identity.key, key);
}

/** A key as it is shown and typed: base58, 44 characters. */
export function formatKey(key: Uint8Array): string {
  return encodeBase58(key);
}

/** Reads what {@linkcode formatKey} writes; `undefined` if it is anything else. */
export function parseKey(text: string): Uint8Array | undefined {
  // The length first: decoding takes time that grows with its square.
  return text.length === base58Length(ED25519_KEY_BYTES) ? decodeBase58(text) : undefined;
}

/** The key in full where it is known, else `ID:` and the key ID. */
export function formatIdentity(identity: PeerIdentity): string {
  return identity.key === undefined ? `ID:${encodeBase58(identity.keyId)}` : formatKey(identity.key);
}
