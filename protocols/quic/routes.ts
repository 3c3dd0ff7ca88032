/**
 * Finds a connection by connection ID: ours are 8 bytes long and drawn so that 30 bits of them are enough for a table
 * with small integers as keys: RFC 9000 §5.1, §5.2.
 *
 * @module
 */

import { equalBytes } from "../core/bytes.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { hmac } from "../crypto/hash.ts";
import { CONNECTION_ID_BYTES } from "./packet.ts";

/** Draws of an ID before something is wrong with the randomness: with 10^5 IDs one in 10^4 has to be drawn again. */
const MAX_DRAWS = 32;

/** A stateless reset token: RFC 9000 §10.3. */
const TOKEN_BYTES = 16;

interface Route<T> {
  readonly connectionId: Uint8Array;
  readonly owner: T;
}

/** Routes to the owners of connection IDs. */
export class Routes<T> {
  readonly #routes = new Map<number, Route<T>>();
  readonly #random: Random;
  readonly #resetKey: Uint8Array;

  /** @param resetKey What reset tokens are made from: RFC 9000 §10.3.2. */
  constructor(random: Random, resetKey: Uint8Array) {
    this.#random = random;
    this.#resetKey = resetKey;
  }

  /** IDs that route somewhere. */
  get count(): number {
    return this.#routes.size;
  }

  /** A fresh ID that routes to `owner`. */
  issue(owner: T): Uint8Array {
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const connectionId = randomBytes(this.#random, CONNECTION_ID_BYTES);
      const key = keyOf(connectionId, 0);
      if (this.#routes.has(key)) continue;
      this.#routes.set(key, { connectionId, owner });
      return connectionId;
    }
    throw new Error("Cannot draw a connection ID: the source of randomness repeats itself");
  }

  /** Forgets an ID. */
  retire(connectionId: Uint8Array): void {
    const key = keyOf(connectionId, 0);
    const route = this.#routes.get(key);
    if (route !== undefined && equalBytes(route.connectionId, connectionId)) this.#routes.delete(key);
  }

  /** Whose the ID of 8 bytes at `offset` is. */
  find(bytes: Uint8Array, offset: number): T | undefined {
    if (offset + CONNECTION_ID_BYTES > bytes.length) return undefined;
    const route = this.#routes.get(keyOf(bytes, offset));
    if (route === undefined) return undefined;
    const { connectionId } = route;
    for (let i = 0; i < CONNECTION_ID_BYTES; i++) if (connectionId[i] !== bytes[offset + i]) return undefined;
    return route.owner;
  }

  /** The stateless reset token of any ID of ours, also a forgotten one: RFC 9000 §10.3.2. */
  tokenOf(connectionId: Uint8Array): Uint8Array {
    return hmac("SHA-256", this.#resetKey, connectionId).slice(0, TOKEN_BYTES);
  }
}

/** The low 30 bits of the first four bytes: a small integer on every engine. */
function keyOf(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! & 0x3f) << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
}
