/**
 * What both sides of a call conclude from record and offer alike: credentials, pacing, candidates that may be tried.
 *
 * @module
 */

import { refuseRemote } from "../protocols/core/address_scope.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { MAX_CANDIDATES } from "./machines.ts";

/** Pacing with a peer that proposes none (RFC 8445 §14.2). */
export const DEFAULT_TA_MS = 50;

/** RFC 8445 §14.2: both use the larger of the two proposals, and of 50 ms where there is none. */
export function agreedTaMs(ownMs: number, peerMs: number | undefined): number {
  return Math.max(ownMs, peerMs ?? DEFAULT_TA_MS);
}

/** The candidates that may be sent to on a peer's word, each once, 12 at most. */
export function usableCandidates(
  candidates: readonly RemoteCandidate[],
  rules: { readonly allowLoopback: boolean },
): RemoteCandidate[] {
  const usable: RemoteCandidate[] = [];
  for (const candidate of candidates) {
    if (usable.length === MAX_CANDIDATES) break;
    if (refuseRemote(candidate.address, rules) !== undefined) continue;
    if (usable.some((other) => other.address === candidate.address)) continue;
    usable.push(candidate);
  }
  return usable;
}
