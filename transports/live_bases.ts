/**
 * The bases of a machine, which come and go with the addresses of its host, and what that means for the connections of its
 * QUIC endpoint, whatever they are for: sessions, calls, relays (RFC 9000 §9.2).
 *
 * @module
 */

import type { Base } from "../protocols/core/machine.ts";
import type { QuicEndpoint } from "../protocols/quic/endpoint.ts";

/** Holds them, most preferred first. */
export class LiveBases {
  readonly #endpoint: QuicEndpoint;
  readonly #bases: Base[];

  constructor(endpoint: QuicEndpoint, bases: readonly Base[]) {
    this.#endpoint = endpoint;
    this.#bases = [...bases];
  }

  /** Those there are now: the same array at all times. */
  get all(): readonly Base[] {
    return this.#bases;
  }

  /** A base has come. Connections that had nowhere to go when theirs went go on from there. */
  add(base: Base, rank: number, now: number): void {
    if (this.#bases.includes(base)) return;
    this.#bases.splice(rank, 0, base);
    for (const connection of this.#endpoint.connections()) {
      const used = connection.path.base;
      if (used.kind === "socket" && !this.#bases.includes(used)) connection.removeBase(used, now, this.#bases);
    }
  }

  /** A base is gone. */
  remove(base: Base, now: number): void {
    const index = this.#bases.indexOf(base);
    if (index < 0) return;
    this.#bases.splice(index, 1);
    for (const connection of this.#endpoint.connections()) connection.removeBase(base, now, this.#bases);
  }
}
