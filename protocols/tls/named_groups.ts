/**
 * Key exchange groups (RFC 8446 §4.2.7). Another one is another row.
 *
 * @module
 */

import type { Random } from "../core/random.ts";
import { EcdhKeyPair } from "../crypto/ecdh.ts";
import { X25519KeyPair } from "../crypto/x25519.ts";
import { X25519_MLKEM768 } from "./x25519_mlkem768.ts";

/** The client's half of a key exchange: what it says first. */
export interface KeyExchange {
  /** What goes into the key_share extension. */
  readonly publicKey: Uint8Array;
  /**
   * The shared secret; `undefined` if the server's share is not one that may be used (RFC 8446 §4.2.8.2, §7.4.2).
   */
  sharedSecret(peerShare: Uint8Array): Uint8Array | undefined;
}

/** The server's half: what it answers, knowing the client's share. */
export interface KeyAnswer {
  /** What goes into the key_share extension. */
  readonly publicKey: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** The groups there is a row for. */
export type NamedGroupName = "secp256r1" | "secp384r1" | "x25519" | "X25519MLKEM768";

/** A group: its number on the wire and how each half is made. */
export interface NamedGroup {
  readonly name: NamedGroupName;
  readonly code: number;
  /** A client's fresh half. */
  generate(random: Random): KeyExchange;
  /** A server's answer; `undefined` if the client's share is not one that may be used. */
  answer(random: Random, peerShare: Uint8Array): KeyAnswer | undefined;
}

/** The groups by name, in the order of their numbers. */
export const NAMED_GROUPS: Readonly<Record<NamedGroupName, NamedGroup>> = {
  secp256r1: diffieHellman("secp256r1", 0x0017, (random) => EcdhKeyPair.generate("P-256", random)),
  secp384r1: diffieHellman("secp384r1", 0x0018, (random) => EcdhKeyPair.generate("P-384", random)),
  x25519: diffieHellman("x25519", 0x001d, (random) => X25519KeyPair.generate(random)),
  X25519MLKEM768: X25519_MLKEM768,
};

/** The group with that number on the wire; `undefined` if there is no row for it. */
export function namedGroupOf(code: number): NamedGroup | undefined {
  return Object.values(NAMED_GROUPS).find((group) => group.code === code);
}

/** A group where both halves are made alike and neither needs the other's. */
function diffieHellman(name: NamedGroupName, code: number, generate: (random: Random) => KeyExchange): NamedGroup {
  return {
    name,
    code,
    generate,
    answer(random: Random, peerShare: Uint8Array): KeyAnswer | undefined {
      const own = generate(random);
      const sharedSecret = own.sharedSecret(peerShare);
      return sharedSecret === undefined ? undefined : { publicKey: own.publicKey, sharedSecret };
    },
  };
}
