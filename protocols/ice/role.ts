/**
 * The role of an agent, and who gives way when both sides believe to have the same (RFC 8445 §6.1.1, §7.3.1.1).
 *
 * @module
 */

import { type Random, randomBytes } from "../core/random.ts";
import type { IceRole } from "./types.ts";

const TIEBREAKER_BYTES = 8;

/** A role and the tiebreaker behind it. */
export class RoleOfAgent {
  #role: IceRole;
  #tiebreaker: Uint8Array;

  constructor(role: IceRole, random: Random) {
    this.#role = role;
    this.#tiebreaker = randomBytes(random, TIEBREAKER_BYTES);
  }

  get role(): IceRole {
    return this.#role;
  }

  get tiebreaker(): Uint8Array {
    return this.#tiebreaker;
  }

  switch(): void {
    this.#role = this.#role === "controlling" ? "controlled" : "controlling";
  }

  /** RFC 8445 §7.2.5.1: whoever was told to change has drawn the wrong one, as has the peer if they are equal. */
  renewTiebreaker(random: Random): void {
    this.#tiebreaker = randomBytes(random, TIEBREAKER_BYTES);
  }
}

/** What a role conflict comes to: RFC 8445 §7.3.1.1. */
export type ConflictOutcome = "none" | "switch" | "refuse";

/**
 * Decides between two agents that believe to have the same role: RFC 8445 §7.3.1.1.
 *
 * @returns `switch` if we take the other role, `refuse` if the peer has to: it is told so with 487.
 */
export function resolveConflict(
  own: { readonly role: IceRole; readonly tiebreaker: Uint8Array },
  theirs: { readonly role: IceRole; readonly tiebreaker: Uint8Array },
): ConflictOutcome {
  if (own.role !== theirs.role) return "none";
  const isOwnLargerOrEqual = compareTiebreakers(own.tiebreaker, theirs.tiebreaker) >= 0;
  // The larger tiebreaker is controlling in the end, whichever role both claim.
  return isOwnLargerOrEqual === (own.role === "controlling") ? "refuse" : "switch";
}

function compareTiebreakers(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 8; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return 0;
}
