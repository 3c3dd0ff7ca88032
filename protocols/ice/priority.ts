/**
 * Priorities and foundations of candidates, and the order of pairs (RFC 8445 §5.1.1.3, §5.1.2, §6.1.2.3). The order of local
 * addresses (RFC 8421) comes with them, as local preference.
 *
 * @module
 */

import type { CandidateType, LocalCandidate } from "../core/candidate.ts";

/** RFC 8445 §5.1.2.2. */
const TYPE_PREFERENCES: Readonly<Record<CandidateType, number>> = { host: 126, prflx: 110, srflx: 100, relay: 0 };

/** The best local preference: RFC 8445 §5.1.2.1. */
export const MAX_LOCAL_PREFERENCE = 65535;

/**
 * Priority of a candidate of our one component: RFC 8445 §5.1.2.1.
 *
 * @param localPreference 0 to 65535.
 */
export function candidatePriority(type: CandidateType, localPreference: number): number {
  return TYPE_PREFERENCES[type] * 2 ** 24 + localPreference * 2 ** 8 + (256 - 1);
}

/** Equal for candidates of one type, from one base address, learnt from one server: RFC 8445 §5.1.1.3. */
export function foundationOf(candidate: LocalCandidate): string {
  return `${candidate.type} ${candidate.base.local.host} ${candidate.server?.host ?? ""}`;
}

/** What a pair is ordered by: the priority each side gave its candidate. */
export interface PairPriority {
  readonly controlling: number;
  readonly controlled: number;
}

/**
 * Which of two pairs is checked first. The 64-bit number of RFC 8445 §6.1.2.3, compared by its parts: the smaller priority
 * first, then the larger one, then which side has it.
 *
 * @returns Negative if `a` comes before `b`.
 */
export function comparePairs(a: PairPriority, b: PairPriority): number {
  return Math.min(b.controlling, b.controlled) - Math.min(a.controlling, a.controlled) ||
    Math.max(b.controlling, b.controlled) - Math.max(a.controlling, a.controlled) ||
    Number(b.controlling > b.controlled) - Number(a.controlling > a.controlled);
}
