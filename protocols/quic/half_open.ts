/**
 * Handshakes that clients have begun and not completed: how many, whose, and when they are so many that addresses have to be
 * proven first (RFC 9000 §8.1.2, §21.2). Whoever shows no address of its own gets no further than half of the places, by
 * which everybody is sent a Retry; and one proven source has a share of them, so that others find room.
 *
 * @module
 */

import type { Address } from "../core/address.ts";

/**
 * Once half of the places are taken, one source that is proven, an IPv4 address or the /64 of an IPv6 address, may have this
 * part of all of them.
 */
export const SOURCE_SHARE: number = 1 / 16;

/** Initials a second that do not open and still cost the work of a connection; beyond, senders have to prove themselves. */
export const MAX_UNOPENED_PER_SECOND = 100;

/** Counts handshakes. */
export class HalfOpenHandshakes {
  readonly #maximum: number;
  readonly #maxPerSource: number;
  /** Only sources that are proven: of others nobody knows whose doing it is. */
  readonly #bySource = new Map<string, number>();
  #count = 0;
  #unopened = 0;
  #unopenedFrom = -Infinity;

  /** @param maximum Places. */
  constructor(maximum: number) {
    this.#maximum = maximum;
    this.#maxPerSource = Math.max(1, Math.floor(maximum * SOURCE_SHARE));
  }

  /** Handshakes under way. */
  get count(): number {
    return this.#count;
  }

  /** Proven sources that have any. */
  get sources(): number {
    return this.#bySource.size;
  }

  /** Whether whoever comes has to prove its address before anything is done for it. */
  isUnderLoad(now: number): boolean {
    return this.#count >= this.#maximum / 2 ||
      (this.#unopened >= MAX_UNOPENED_PER_SECOND && now - this.#unopenedFrom < 1000);
  }

  /** Whether there is a place. @param source Of `sourceOf`, if it is proven. */
  hasPlace(source: string | undefined): boolean {
    if (this.#count >= this.#maximum) return false;
    // With room for everybody, nobody has to share.
    return source === undefined || this.#count < this.#maximum / 2 ||
      (this.#bySource.get(source) ?? 0) < this.#maxPerSource;
  }

  /** A handshake begins. */
  begin(source: string | undefined): void {
    this.#count++;
    if (source !== undefined) this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1);
  }

  /** A handshake is complete, or all that was left of it is gone. */
  end(source: string | undefined): void {
    this.#count--;
    if (source === undefined) return;
    const left = (this.#bySource.get(source) ?? 0) - 1;
    if (left > 0) this.#bySource.set(source, left);
    else this.#bySource.delete(source);
  }

  /** An Initial did not open. */
  onUnopened(now: number): void {
    if (now - this.#unopenedFrom >= 1000) {
      this.#unopenedFrom = now;
      this.#unopened = 0;
    }
    this.#unopened++;
  }
}

/** Whom a share is for: whoever has one address of a /64 has all of them. */
export function provenSource(remote: Address): string {
  return remote.family === 4 ? remote.host : remote.bytes.subarray(0, 8).toBase64();
}
