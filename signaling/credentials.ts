/**
 * Secrets of a call, never published: ICE credentials derived on both sides from X25519 between the record's key and the
 * offer's one-time key (RFC 8445 §5.3 wants 24 and 128 bits of randomness), and what a ticket's 16 random bytes prove.
 *
 * @module
 */

import { concatBytes } from "../protocols/core/bytes.ts";
import { equalSecrets } from "../protocols/crypto/constant_time.ts";
import { hmac } from "../protocols/crypto/hash.ts";
import { hkdfExpand, hkdfExtract } from "../protocols/crypto/hkdf.ts";
import type { IceCredentials } from "./machines.ts";
import { encodeText } from "./signed.ts";
import { TICKET_PROOF_BYTES } from "./trust.ts";

// Multiples of 3, so that base64 has no padding: "=" is not an ice-char (RFC 8839 §5.4).
const USERNAME_FRAGMENT_BYTES = 6;
const PASSWORD_BYTES = 24;

/** Everything the credentials are bound to. */
export interface CredentialInputs {
  /** X25519 of record key and one-time key. */
  readonly sharedSecret: Uint8Array;
  /** The ticket's secret, where the offer proved one. */
  readonly ticketSecret: Uint8Array | undefined;
  readonly listenerKeyId: Uint8Array;
  readonly callerKeyId: Uint8Array;
  readonly recordKey: Uint8Array;
  /** SHA-256 of the offer, which holds the one-time key. */
  readonly offerDigest: Uint8Array;
}

/** ICE credentials of both sides of a call. */
export interface CallCredentials {
  readonly caller: IceCredentials;
  readonly listener: IceCredentials;
}

/** The same on both sides, different for every offer. */
export function deriveCredentials(inputs: CredentialInputs): CallCredentials {
  const key = hkdfExtract("SHA-256", inputs.ticketSecret ?? new Uint8Array(0), inputs.sharedSecret);
  const info = concatBytes(
    encodeText("traverse 1 ice\0"),
    inputs.listenerKeyId,
    inputs.callerKeyId,
    inputs.recordKey,
    inputs.offerDigest,
  );
  const side = USERNAME_FRAGMENT_BYTES + PASSWORD_BYTES;
  const output = hkdfExpand("SHA-256", key, info, 2 * side);
  return { caller: credentialsOf(output.subarray(0, side)), listener: credentialsOf(output.subarray(side)) };
}

/** What a hub may know of a ticket, so that it can tell offers made with it: it opens nothing. */
export function ticketTag(secret: Uint8Array): Uint8Array {
  return hmac("SHA-256", secret, encodeText("traverse 1 ticket tag\0")).subarray(0, TICKET_PROOF_BYTES);
}

/** Proof, for the listener, that whoever signs as `callerKey` and made `oneTimeKey` holds the ticket. */
export function ticketProof(secret: Uint8Array, callerKey: Uint8Array, oneTimeKey: Uint8Array): Uint8Array {
  return hmac("SHA-256", secret, encodeText("traverse 1 ticket proof\0"), callerKey, oneTimeKey)
    .subarray(0, TICKET_PROOF_BYTES);
}

/** Whether `proof` is {@linkcode ticketProof}. */
export function isTicketProof(
  proof: Uint8Array,
  secret: Uint8Array,
  keys: { readonly callerKey: Uint8Array; readonly oneTimeKey: Uint8Array },
): boolean {
  return equalSecrets(proof, ticketProof(secret, keys.callerKey, keys.oneTimeKey));
}

function credentialsOf(bytes: Uint8Array): IceCredentials {
  return {
    usernameFragment: bytes.subarray(0, USERNAME_FRAGMENT_BYTES).toBase64(),
    password: bytes.subarray(USERNAME_FRAGMENT_BYTES).toBase64(),
  };
}
