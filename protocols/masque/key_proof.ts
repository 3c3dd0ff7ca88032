/**
 * Shows a proxy whose port it is asked for: a field of our own in the bind request, with an Ed25519 key and its signature
 * over keying material of this very connection (RFC 8446 §7.5), so that it proves nothing anywhere else. Others pass over it.
 *
 * @module
 */

import { concatBytes } from "../core/bytes.ts";
import type { QuicConnection } from "../quic/connection.ts";

/** The field's name. */
export const KEY_PROOF_FIELD = "traverse-key";

/** What a client proves: an `Ed25519PrivateKey` is one. */
export interface ProvableKey {
  readonly publicKey: { readonly bytes: Uint8Array };
  sign(message: Uint8Array): Uint8Array;
}

/** What a field claims; whether the signature is right is for whoever reads it. */
export interface KeyProof {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

const LABEL = "EXPORTER-traverse-relay-key";
/** Keeps the signature from meaning anything elsewhere. */
const CONTEXT = new TextEncoder().encode("traverse relay key\0");
const EXPORTED_BYTES = 32;
const [KEY_BYTES, SIGNATURE_BYTES] = [32, 64];

/** What is signed on that connection. @throws {TypeError} Before its handshake is complete. */
export function keyProofMessage(quic: QuicConnection): Uint8Array<ArrayBuffer> {
  return concatBytes(CONTEXT, quic.exportKeyingMaterial(LABEL, new Uint8Array(0), EXPORTED_BYTES));
}

/** The field's value. */
export function formatKeyProof(key: ProvableKey, quic: QuicConnection): string {
  return concatBytes(key.publicKey.bytes, key.sign(keyProofMessage(quic))).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

/** Reads the field's value; `undefined` if it is none. */
export function parseKeyProof(value: string): KeyProof | undefined {
  try {
    const bytes = Uint8Array.fromBase64(value, { alphabet: "base64url" });
    if (bytes.length !== KEY_BYTES + SIGNATURE_BYTES) return undefined;
    return { publicKey: bytes.subarray(0, KEY_BYTES), signature: bytes.subarray(KEY_BYTES) };
  } catch {
    return undefined;
  }
}
