/**
 * Hashes and HMAC: SHA-256 and SHA-384 for TLS (RFC 8446 §7.1), SHA-1 only inside HMAC for STUN (RFC 8489 §14.5).
 *
 * A handshake makes some eighty HMACs of a few dozen bytes. For those the way into the runtime and back costs more than
 * SHA-256 itself: 11 to 17 µs by `node:crypto`, 7 µs by `@noble/hashes`. SHA-384 is the other way about.
 *
 * @module
 */

import { createHash, createHmac } from "node:crypto";
import { hmac as nobleHmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

/** A hash that a TLS cipher suite can name. */
export type HashName = "SHA-256" | "SHA-384";

/** A hash that HMAC can be built on. */
export type HmacName = HashName | "SHA-1";

/** Length of each digest, in bytes. */
export const HASH_BYTES: Readonly<Record<HmacName, number>> = { "SHA-1": 20, "SHA-256": 32, "SHA-384": 48 };

const NODE_NAMES: Readonly<Record<HmacName, string>> = { "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384" };

/** The digest of all `parts`, one after the other. */
export function hash(name: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  if (name === "SHA-256") {
    const running = nobleSha256.create();
    for (const part of parts) running.update(part);
    return running.digest();
  }
  const running = createHash(NODE_NAMES[name]);
  for (const part of parts) running.update(part);
  return plainBytes(running.digest());
}

/** SHA-256 of all `parts`, one after the other. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return hash("SHA-256", ...parts);
}

/** SHA-384 of all `parts`, one after the other. */
export function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  return hash("SHA-384", ...parts);
}

/** HMAC (RFC 2104) over all `parts`, one after the other. */
export function hmac(name: HmacName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  if (name === "SHA-256") {
    const running = nobleHmac.create(nobleSha256, key);
    for (const part of parts) running.update(part);
    return running.digest();
  }
  const running = createHmac(NODE_NAMES[name], key);
  for (const part of parts) running.update(part);
  return plainBytes(running.digest());
}

/** What {@linkcode RunningHash} asks of either library. */
interface HashState {
  update(data: Uint8Array): void;
  /** Of a copy, which is used up by it. */
  digest(): Uint8Array;
  copy(): HashState;
}

function newState(name: HashName): HashState {
  return name === "SHA-256" ? nobleState(nobleSha256.create()) : nodeState(createHash(NODE_NAMES[name]));
}

function nobleState(state: ReturnType<typeof nobleSha256.create>): HashState {
  return {
    update: (data) => void state.update(data),
    digest: () => state.digest(),
    copy: () => nobleState(state.clone()),
  };
}

function nodeState(state: ReturnType<typeof createHash>): HashState {
  return {
    update: (data) => void state.update(data),
    digest: () => plainBytes(state.digest()),
    copy: () => nodeState(state.copy()),
  };
}

/** A hash over a growing sequence of messages that can be asked for at any point (RFC 8446 §4.4.1). */
export class RunningHash {
  readonly name: HashName;
  readonly #state: HashState;

  constructor(name: HashName, state: HashState = newState(name)) {
    this.name = name;
    this.#state = state;
  }

  /** Adds `data`, which is only read now. */
  update(data: Uint8Array): void {
    this.#state.update(data);
  }

  /** The digest of what was added so far; adding may go on. */
  digest(): Uint8Array {
    return this.#state.copy().digest();
  }

  /** An independent hash that has seen the same bytes. */
  clone(): RunningHash {
    return new RunningHash(this.name, this.#state.copy());
  }
}

/** The same bytes as an ordinary array: callers never see the `Buffer` that `node:crypto` returns. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
