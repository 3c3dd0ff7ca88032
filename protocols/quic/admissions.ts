/**
 * Who may create connections, for a while: addresses, and tokens that a first packet brings (RFC 9000 §8.1).
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { toHex } from "../core/bytes.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { hmac } from "../crypto/hash.ts";
import { MAX_TOKEN_BYTES } from "./config.ts";

/** A bounded table of keys with an end each. */
export class Admissions<Key> {
  readonly #maximum: number;
  readonly #untilMs = new Map<Key, number>();

  /** @param maximum Keys at once; one more forgets the one that ends first. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Keys in the table, ended ones included until they are found. */
  get count(): number {
    return this.#untilMs.size;
  }

  /** Admits until `untilMs`; a later end stands. */
  add(key: Key, untilMs: number): void {
    const known = this.#untilMs.get(key);
    if (known === undefined && this.#untilMs.size >= this.#maximum) this.#forgetFirst();
    this.#untilMs.set(key, Math.max(known ?? -Infinity, untilMs));
  }

  /** Admits no more. */
  remove(key: Key): void {
    this.#untilMs.delete(key);
  }

  /** Whether the key is admitted at `now`. */
  has(key: Key, now: number): boolean {
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return false;
    if (now < untilMs) return true;
    this.#untilMs.delete(key);
    return false;
  }

  #forgetFirst(): void {
    let first: Key | undefined;
    let firstUntilMs = Infinity;
    for (const [key, untilMs] of this.#untilMs) {
      if (untilMs >= firstUntilMs) continue;
      first = key;
      firstUntilMs = untilMs;
    }
    if (first !== undefined) this.#untilMs.delete(first);
  }
}

/** Whom an endpoint answers that lists whom it admits. */
export class AdmissionList {
  readonly #addresses: Admissions<Address>;
  /** By what a key of ours makes of them, so that no time of a look-up tells how near a guess is. */
  readonly #tokens: Admissions<string>;
  readonly #tokenKey: Uint8Array;

  constructor(limits: { readonly maxAddresses: number; readonly maxTokens: number }, random: Random) {
    this.#addresses = new Admissions(limits.maxAddresses);
    this.#tokens = new Admissions(limits.maxTokens);
    this.#tokenKey = randomBytes(random, 32);
  }

  addAddress(remote: Address, untilMs: number): void {
    this.#addresses.add(remote, untilMs);
  }

  removeAddress(remote: Address): void {
    this.#addresses.remove(remote);
  }

  hasAddress(remote: Address, now: number): boolean {
    return this.#addresses.has(remote, now);
  }

  /** @throws {RangeError} If no Initial could bring it. */
  addToken(token: Uint8Array, untilMs: number): void {
    if (token.length < 1 || token.length > MAX_TOKEN_BYTES) {
      throw new RangeError(`Cannot admit a token of ${token.length} bytes: it has to have 1 to ${MAX_TOKEN_BYTES}`);
    }
    this.#tokens.add(this.#nameOf(token), untilMs);
  }

  removeToken(token: Uint8Array): void {
    this.#tokens.remove(this.#nameOf(token));
  }

  hasToken(token: Uint8Array, now: number): boolean {
    if (this.#tokens.count === 0 || token.length === 0 || token.length > MAX_TOKEN_BYTES) return false;
    return this.#tokens.has(this.#nameOf(token), now);
  }

  #nameOf(token: Uint8Array): string {
    return toHex(hmac("SHA-256", this.#tokenKey, token));
  }
}
