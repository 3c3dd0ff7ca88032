/**
 * The plugin point "where an address comes from".
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base, Machine } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";

/**
 * What a provider finds. After `done` nothing follows but what keep-alive brings, a candidate that changed, and what servers
 * and bases added later bring, which ends with a `done` of its own.
 */
export type CandidateEvent =
  | { readonly type: "candidate"; readonly candidate: LocalCandidate }
  | { readonly type: "withdrawn"; readonly candidate: LocalCandidate }
  | { readonly type: "error"; readonly base: Base; readonly reason: string }
  | { readonly type: "done" };

/** What a provider's `gather` returns. */
export interface CandidateMachine extends Machine<CandidateEvent> {
  /**
   * Takes servers that become known later: the hub named them. `done` follows in any case, at once if there is nothing to ask.
   * Absent where a provider asks no server.
   */
  addServers?(servers: readonly Address[], now: number): void;
  /**
   * Gathers on a base that has come later. `done` follows in any case, at once if there is nothing to ask. Absent where a
   * provider finds nothing on such a base.
   */
  addBase?(base: Base, now: number): void;
  /**
   * A base is gone: nothing is asked from it any more, and nothing that is still to be known of it is waited for. Its
   * candidates need not be withdrawn: whoever calls this knows that they are not true.
   */
  removeBase?(base: Base, now: number): void;
  /**
   * Somebody sees the base at another address than before, and may be right: what is known of it is made sure of. Absent where
   * a provider asks nobody.
   */
  recheck?(base: Base, now: number): void;
  /** A send failed: a question that cannot be asked is not waited for. */
  handleSocketError?(
    error: { readonly base: Base; readonly remote: Address | undefined; readonly code: string },
    now: number,
  ): void;
}

/** Finds candidates on bases that exist already: the mapping it finds must be the one that QUIC will use. */
export interface CandidateProvider {
  /** For people, in reports. */
  readonly name: string;
  /** Starts to gather at `context.now`. The bases stay the caller's. */
  gather(bases: readonly Base[], context: { readonly now: number; readonly random: Random }): CandidateMachine;
}
