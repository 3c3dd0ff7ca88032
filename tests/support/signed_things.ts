/**
 * A record and an offer with everything in them, for tests that change a part.
 *
 * @module
 */

import type { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { keyIdOf } from "../../signaling/identity.ts";
import type { ListenerRecord, Offer } from "../../signaling/trust.ts";
import { OFFER_LIFETIME_MS, RECORD_LIFETIME_MS } from "../../signaling/trust.ts";
import { MAX_MESSAGE_HEADER_BYTES } from "../../signaling/websocket.ts";
import { candidate, EPOCH_MS } from "./signaling_exchange.ts";

/** What a first message may take in the header of an upgrade request. */
export const MESSAGE_HEADER_ROOM_BYTES = MAX_MESSAGE_HEADER_BYTES;

/** A record of `key`'s owner, who is called bob. */
export function recordOf(key: Ed25519PrivateKey): ListenerRecord {
  return {
    hub: "hub.example",
    name: "bob",
    key: key.publicKey.bytes,
    recordKey: new Uint8Array(32).fill(4),
    taMs: 5,
    candidates: [candidate("198.51.100.1"), candidate("2001:db8::1 4433", "srflx")],
    issuedAt: EPOCH_MS,
    expiresAt: EPOCH_MS + RECORD_LIFETIME_MS,
  };
}

/** An offer of `key`'s owner to bob. */
export function offerOf(key: Ed25519PrivateKey): Offer {
  return {
    hub: "hub.example",
    calleeName: "bob",
    calleeKeyId: keyIdOf(new Uint8Array(32)),
    callerKey: key.publicKey.bytes,
    oneTimeKey: new Uint8Array(32).fill(5),
    taMs: 5,
    candidates: [candidate("203.0.113.1"), candidate("203.0.113.2 4433", "relay")],
    issuedAt: EPOCH_MS,
    expiresAt: EPOCH_MS + OFFER_LIFETIME_MS,
    ticket: { tag: new Uint8Array(16).fill(6), proof: new Uint8Array(16).fill(7) },
  };
}
