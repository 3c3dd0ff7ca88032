/**
 * Early dial: where a QUIC client may knock before any check has come back, so that the handshake's first flight travels
 * together with the checks instead of after them.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";

/** One attempt for each family, as Happy Eyeballs does (RFC 8305 §4). */
export const MAX_EARLY_ATTEMPTS = 2;

/** Times an early attempt may say its first flight before anything authenticated has come back on its path. */
export const MAX_EARLY_FLIGHTS = 2;

/** Datagrams of a first flight: a share of X25519MLKEM768 does not fit one. */
const FLIGHT_DATAGRAMS = 1;
const POST_QUANTUM_FLIGHT_DATAGRAMS = 2;

/** Datagrams that an early attempt may send so. */
export function maxEarlyDatagrams(isPostQuantum: boolean): number {
  return MAX_EARLY_FLIGHTS * (isPostQuantum ? POST_QUANTUM_FLIGHT_DATAGRAMS : FLIGHT_DATAGRAMS);
}

/**
 * When it is said again: the first may reach the peer's NAT just before the peer's own check has opened it, which
 * is sent at the same moment, a few Ta later where other pairs go first.
 */
export const EARLY_REPEAT_MS = 20;

/** A path to try. */
export interface EarlyTarget {
  readonly base: Base;
  readonly remote: Address;
}

/**
 * The best path of each family: from the first base whose STUN was answered to the peer's first reflexive or public
 * address, or, where both sides show the same public address and so sit behind the same NAT, to its host address.
 *
 * A base with a public address of its own needs no STUN to be believed: an answer would only repeat that address, and so
 * makes no candidate (RFC 8445 §5.1.3). Without this nobody would dial early over IPv6.
 *
 * @param local Our candidates, best first.
 * @param remote The peer's candidates, best first.
 */
export function earlyTargets(
  local: readonly LocalCandidate[],
  remote: readonly RemoteCandidate[],
): readonly EarlyTarget[] {
  const targets: EarlyTarget[] = [];
  for (const family of [6, 4] as const) {
    const own = local.filter(({ address }) => address.family === family);
    const mapped = own.find(({ type }) => type === "srflx") ?? own.find(({ address }) => scopeOf(address) === "global");
    if (mapped === undefined) continue;
    const theirs = remote.filter(({ address }) => address.family === family);
    const reflexive = theirs.find(({ type }) => type === "srflx");
    const isSameNat = reflexive !== undefined && reflexive.address.host === mapped.address.host;
    const best = isSameNat
      ? theirs.find(({ type }) => type === "host")
      : reflexive ?? theirs.find(({ address }) => scopeOf(address) === "global");
    if (best !== undefined) targets.push({ base: mapped.base, remote: best.address });
  }
  return targets.slice(0, MAX_EARLY_ATTEMPTS);
}
