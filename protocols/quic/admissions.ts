/**
 * Addresses that may create connections, for a while.
 *
 * @module
 */

import type { Address } from "../core/address.ts";

/** A bounded table of addresses with an end each. */
export class Admissions {
  readonly #maxAddresses: number;
  readonly #untilMs = new Map<Address, number>();

  /** @param maxAddresses One more forgets the one that ends first. */
  constructor(maxAddresses: number) {
    this.#maxAddresses = maxAddresses;
  }

  /** Addresses in the table, ended ones included until they are found. */
  get count(): number {
    return this.#untilMs.size;
  }

  /** Admits until `untilMs`; a later end stands. */
  add(remote: Address, untilMs: number): void {
    const known = this.#untilMs.get(remote);
    if (known === undefined && this.#untilMs.size >= this.#maxAddresses) this.#forgetFirst();
    this.#untilMs.set(remote, Math.max(known ?? -Infinity, untilMs));
  }

  /** Admits no more. */
  remove(remote: Address): void {
    this.#untilMs.delete(remote);
  }

  /** Whether the address is admitted at `now`. */
  has(remote: Address, now: number): boolean {
    const untilMs = this.#untilMs.get(remote);
    if (untilMs === undefined) return false;
    if (now < untilMs) return true;
    this.#untilMs.delete(remote);
    return false;
  }

  #forgetFirst(): void {
    let first: Address | undefined;
    let firstUntilMs = Infinity;
    for (const [remote, untilMs] of this.#untilMs) {
      if (untilMs >= firstUntilMs) continue;
      first = remote;
      firstUntilMs = untilMs;
    }
    if (first !== undefined) this.#untilMs.delete(first);
  }
}
