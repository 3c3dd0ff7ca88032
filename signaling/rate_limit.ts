/**
 * A limit on how often each of many strangers may do something: one token bucket a key, in a bounded table.
 *
 * @module
 */

import { addressOf, isIpAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";

/** Whom a limit holds for: an IPv4 address, or the /64 of an IPv6 address, since whoever has one address of it has all. */
export function sourceOf(address: Address): string {
  return address.family === 4 ? address.host : address.bytes.subarray(0, 8).toBase64();
}

/** The same for an address as text; what is no address is its own source. */
export function sourceOfHost(host: string): string {
  return isIpAddress(host) ? sourceOf(addressOf(host, 0)) : host;
}

/** What a limit is made of. */
export interface RateLimit {
  /** Tokens that come back in a second. */
  readonly perSecond: number;
  /** Tokens of somebody who has been quiet. */
  readonly burst: number;
  /** Buckets kept; the one unused for longest makes room. */
  readonly maxKeys: number;
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** Token buckets by key. */
export class RateLimiter<K> {
  readonly #limit: RateLimit;
  // In order of last use.
  readonly #buckets = new Map<K, Bucket>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** Buckets in the table. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes a token; `false` if there is none, and then nothing is taken. */
  take(key: K, now: number): boolean {
    const { perSecond, burst, maxKeys } = this.#limit;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= maxKeys) {
        for (const oldest of this.#buckets.keys()) {
          this.#buckets.delete(oldest);
          break;
        }
      }
      bucket = { tokens: burst, filledAt: now };
    } else {
      this.#buckets.delete(key);
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.filledAt) / 1000) * perSecond);
      bucket.filledAt = now;
    }
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  /** Forgets a key, as when its connection has gone. */
  delete(key: K): void {
    this.#buckets.delete(key);
  }
}
