/**
 * Key exchange groups (RFC 8446 §4.2.7). Another one is another row.
 *
 * @module
 */

import type { Random } from "../core/random.ts";
import { X25519KeyPair } from "../crypto/x25519.ts";

/** Our half of a key exchange. */
export interface KeyExchange {
  /** What goes into the key_share extension. */
  readonly publicKey: Uint8Array;
  /** The shared secret; `undefined` if the peer's share is not one that may be used (RFC 8446 §7.4.2). */
  sharedSecret(peerPublicKey: Uint8Array): Uint8Array | undefined;
}

/** The groups there is a row for. */
export type NamedGroupName = "x25519";

/** A group: its number on the wire and how a fresh key is made. */
export interface NamedGroup {
  readonly name: NamedGroupName;
  readonly code: number;
  generate(random: Random): KeyExchange;
}

/** In order of preference. */
export const NAMED_GROUPS: Readonly<Record<NamedGroupName, NamedGroup>> = {
  x25519: { name: "x25519", code: 0x001d, generate: (random: Random): KeyExchange => X25519KeyPair.generate(random) },
};

/** The group with that number on the wire; `undefined` if there is no row for it. */
export function namedGroupOf(code: number): NamedGroup | undefined {
  return Object.values(NAMED_GROUPS).find((group) => group.code === code);
}
