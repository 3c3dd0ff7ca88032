/**
 * Tokens by which a server knows that a client gets what is sent to its address: those of Retry packets (RFC 9000 §8.1.2)
 * and of NEW_TOKEN frames (§8.1.3). Sealed, so that nobody can make, change or link them (§8.1.4).
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { equalBytes, toHex } from "../core/bytes.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { Reader } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import { AEAD_NONCE_BYTES, AEAD_PROPERTIES, AEAD_TAG_BYTES } from "../crypto/aead.ts";
import type { Aead, AeadBackend } from "../crypto/aead.ts";

/** How long the token of a Retry holds: the client answers at once. */
export const RETRY_TOKEN_LIFETIME_MS = 15_000;

/** How long that of NEW_TOKEN does: who comes back the next day is known. */
export const NEW_TOKEN_LIFETIME_MS = 24 * 60 * 60 * 1000;

/** Tokens of NEW_TOKEN that were used, and are not taken twice (RFC 9000 §8.1.4); the oldest makes room. */
const MAX_USED_TOKENS = 4096;

/** Longest token of the application's that a Retry carries on. */
export const MAX_CARRIED_TOKEN_BYTES = 64;

const ALGORITHM = "AES_128_GCM";

/** What a token says, or why it says nothing. */
export type TokenVerdict =
  /** The client has got our Retry. `token` is what its first Initial brought. */
  | { readonly type: "retried"; readonly originalDestinationId: Uint8Array; readonly token: Uint8Array }
  /** The client has got something of ours at this IP address before. */
  | { readonly type: "known" }
  /** Of a Retry of ours, too late or from elsewhere: INVALID_TOKEN. */
  | { readonly type: "invalid" }
  /** Nothing of ours, or used before: as if there were none. */
  | { readonly type: "foreign" };

const FOREIGN: TokenVerdict = { type: "foreign" };

/** Makes tokens, and knows its own. */
export class AddressTokens {
  readonly #aead: Aead;
  readonly #random: Random;
  /** Nonces, in hexadecimal, and when the token ends. */
  readonly #used = new Map<string, number>();

  constructor(backend: AeadBackend, random: Random) {
    this.#random = random;
    this.#aead = backend.aead(ALGORITHM, randomBytes(random, AEAD_PROPERTIES[ALGORITHM].keyBytes));
  }

  /** For a Retry to that address. */
  forRetry(remote: Address, originalDestinationId: Uint8Array, token: Uint8Array, now: number): Uint8Array {
    return this.#seal("R", remote, now, (writer) => {
      writer.uint8(originalDestinationId.length);
      writer.bytes(originalDestinationId);
      writer.bytes(token);
    });
  }

  /** For a client whose address is proven. No two are alike. */
  forNextTime(remote: Address, now: number): Uint8Array {
    return this.#seal("N", remote, now, () => {});
  }

  /** What the token of an Initial from that address says; it counts as used. */
  open(token: Uint8Array, remote: Address, now: number): TokenVerdict {
    if (token.length < AEAD_NONCE_BYTES + AEAD_TAG_BYTES) return FOREIGN;
    const nonce = token.slice(0, AEAD_NONCE_BYTES);
    const content = token.slice(AEAD_NONCE_BYTES);
    if (!this.#aead.open(nonce, content, 0, 0, content.length)) return FOREIGN;
    // Only what we have sealed gets here.
    const reader = new Reader(content, 0, content.length - AEAD_TAG_BYTES);
    const isRetry = reader.uint8() === "R".charCodeAt(0);
    const ageMs = now - readInstant(reader);
    const isSameHost = equalBytes(reader.bytes(reader.uint8()), remote.bytes);
    const isSamePort = reader.uint16() === remote.port;
    if (isRetry) {
      // RFC 9000 §8.1.2: port and all, because the client answers from where it was asked.
      if (!isSameHost || !isSamePort || ageMs > RETRY_TOKEN_LIFETIME_MS) return { type: "invalid" };
      const originalDestinationId = reader.bytes(reader.uint8());
      return { type: "retried", originalDestinationId, token: reader.bytes(reader.remaining) };
    }
    // RFC 9000 §8.1.3: from another port, as NATs have it.
    if (!isSameHost || ageMs > NEW_TOKEN_LIFETIME_MS || !this.#use(toHex(nonce), now)) return FOREIGN;
    return { type: "known" };
  }

  #seal(kind: "R" | "N", remote: Address, now: number, write: (writer: Writer) => void): Uint8Array {
    const writer = new Writer(new Uint8Array(512));
    const nonce = randomBytes(this.#random, AEAD_NONCE_BYTES);
    writer.bytes(nonce);
    writer.uint8(kind.charCodeAt(0));
    writeInstant(writer, now);
    writer.uint8(remote.bytes.length);
    writer.bytes(remote.bytes);
    writer.uint16(remote.port);
    write(writer);
    const end = writer.offset;
    writer.bytes(new Uint8Array(AEAD_TAG_BYTES));
    const token = writer.written().slice();
    this.#aead.seal(nonce, token, AEAD_NONCE_BYTES, AEAD_NONCE_BYTES, end);
    return token;
  }

  /** @returns Whether it is the first time. */
  #use(nonce: string, now: number): boolean {
    if (this.#used.has(nonce)) return false;
    for (const [oldest, endsAt] of this.#used) {
      if (endsAt > now && this.#used.size < MAX_USED_TOKENS) break;
      this.#used.delete(oldest);
    }
    this.#used.set(nonce, now + NEW_TOKEN_LIFETIME_MS);
    return true;
  }
}

/** Milliseconds in six bytes: instants are whole enough. */
function writeInstant(writer: Writer, now: number): void {
  const whole = Math.max(0, Math.floor(now));
  writer.uint16(Math.floor(whole / 2 ** 32));
  writer.uint32(whole % 2 ** 32);
}

function readInstant(reader: Reader): number {
  return reader.uint16() * 2 ** 32 + reader.uint32();
}
