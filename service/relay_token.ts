/**
 * What a relay asks for: tokens that the hub issues to the keys registered with it, for some minutes, or one that all users
 * share. A token is a bearer token (RFC 6750) and travels inside TLS only.
 *
 * @module
 */

import { concatBytes } from "../protocols/core/bytes.ts";
import { Reader, TruncatedError } from "../protocols/core/reader.ts";
import { Writer } from "../protocols/core/writer.ts";
import { equalSecrets } from "../protocols/crypto/constant_time.ts";
import { ED25519_KEY_BYTES } from "../protocols/crypto/ed25519.ts";
import { hmac, sha256 } from "../protocols/crypto/hash.ts";
import { encodeText } from "../signaling/signed.ts";

/** How long a token may be used to open a tunnel; a tunnel that is open goes on. */
export const RELAY_TOKEN_LIFETIME_MS = 5 * 60_000;

/** A token of another version is none. */
const VERSION = 1;
/** Version, end of its life in seconds since 1970, key. */
const BODY_BYTES: number = 1 + 4 + ED25519_KEY_BYTES;
const MAC_BYTES = 32;
/** Keeps the secret from meaning anything elsewhere. */
const LABEL = encodeText("traverse relay token");

/**
 * A token for that key.
 *
 * @param secret What hub and relay share, 32 bytes.
 * @param publicKey The Ed25519 key that is registered, 32 bytes.
 * @param epochMs The present, milliseconds since 1970.
 */
export function issueRelayToken(secret: Uint8Array, publicKey: Uint8Array, epochMs: number): string {
  const body = new Uint8Array(BODY_BYTES);
  const writer = new Writer(body);
  writer.uint8(VERSION);
  writer.uint32(Math.ceil((epochMs + RELAY_TOKEN_LIFETIME_MS) / 1000));
  writer.bytes(publicKey);
  return concatBytes(body, macOf(secret, body)).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The key that a token was issued to; `undefined` if it is none of ours, or has ended. */
export function verifyRelayToken(secret: Uint8Array, token: string, epochMs: number): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.fromBase64(token, { alphabet: "base64url" });
    if (bytes.length !== BODY_BYTES + MAC_BYTES) return undefined;
    const body = bytes.subarray(0, BODY_BYTES);
    if (!equalSecrets(macOf(secret, body), bytes.subarray(BODY_BYTES))) return undefined;
    const reader = new Reader(body);
    if (reader.uint8() !== VERSION || reader.uint32() * 1000 < epochMs) return undefined;
    return reader.rest();
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TruncatedError) return undefined;
    throw error;
  }
}

/** Who may use a relay. */
export interface RelayAccess {
  /** Shared with the hub, which issues tokens. */
  readonly secret?: Uint8Array;
  /** One that all users share. */
  readonly token?: string;
  /** Everybody may: only where the relay listens on loopback alone. */
  readonly isOpen: boolean;
}

/** What somebody shows. */
export interface RelayCredentials {
  readonly token: string | undefined;
  /** The key that was proved on the connection, see `key_proof.ts`. Called only for who may use the relay: it costs time. */
  readonly proveKey: () => Uint8Array | undefined;
}

/** Who somebody is: the port is kept for this key. Without one nobody can come back for it. */
export interface RelayUser {
  readonly publicKey: Uint8Array | undefined;
}

/** Who shows that; `undefined` if they may not use the relay. */
export function authorize(access: RelayAccess, shown: RelayCredentials, epochMs: number): RelayUser | undefined {
  const { secret } = access;
  const { token, proveKey } = shown;
  const publicKey = secret === undefined || token === undefined ? undefined : verifyRelayToken(secret, token, epochMs);
  if (publicKey !== undefined) return { publicKey };
  if (access.isOpen) return { publicKey: proveKey() };
  if (access.token === undefined || token === undefined) return undefined;
  // Digests have one length, so that the time of the comparison tells nothing of the token's.
  const isShared = equalSecrets(sha256(encodeText(access.token)), sha256(encodeText(token)));
  return isShared ? { publicKey: proveKey() } : undefined;
}

function macOf(secret: Uint8Array, body: Uint8Array): Uint8Array {
  return hmac("SHA-256", secret, LABEL, body);
}
