/**
 * Which of our addresses goes with which of the peer's, and in what order: the client's choice alone
 * (draft-seemann-quic-nat-traversal-02 §4.2 leaves it open and points to RFC 8445 §6.1.2).
 *
 * The server does not say how it knows an address, so its type is inferred from its scope. Pairs of one scope come first:
 * a private address and a global one rarely meet.
 *
 * @module
 */

import { addressOf } from "../../core/address.ts";
import type { Address } from "../../core/address.ts";
import { refuseRemote, scopeOf } from "../../core/address_scope.ts";
import type { AddressScope, ScopeRules } from "../../core/address_scope.ts";
import type { CandidateType, LocalCandidate } from "../../core/candidate.ts";
import type { Base } from "../../core/machine.ts";

/** RFC 8445 §5.1.2.2. */
const TYPE_PREFERENCES: Readonly<Record<CandidateType, number>> = { host: 126, prflx: 110, srflx: 100, relay: 0 };
/** RFC 8445 §5.1.2.1: the best local preference. */
const MAX_LOCAL_PREFERENCE = 65535;

/** What pairs are ordered by. */
export interface PairRank {
  /** Whether both ends are of one scope: 1, or 0. */
  readonly kinship: number;
  /** RFC 8445 §6.1.2.3: the client is the controlling agent. */
  readonly controlling: number;
  readonly controlled: number;
}

/** Priority of a candidate: RFC 8445 §5.1.2.1. @param order 0 for the one that was there first. */
function candidatePriority(type: CandidateType, order: number): number {
  return TYPE_PREFERENCES[type] * 2 ** 24 + Math.max(0, MAX_LOCAL_PREFERENCE - order) * 2 ** 8 + 255;
}

/** Where in the order of pairs this one is. */
export function rankOf(
  local: { readonly type: CandidateType; readonly address: Address; readonly order: number },
  remote: { readonly type: CandidateType; readonly address: Address; readonly order: number },
): PairRank {
  return {
    kinship: isPublic(local.address) === isPublic(remote.address) ? 1 : 0,
    controlling: candidatePriority(local.type, local.order),
    controlled: candidatePriority(remote.type, remote.order),
  };
}

/** Negative if `a` comes before `b`: the number of RFC 8445 §6.1.2.3, compared by its parts. */
export function compareRanks(a: PairRank, b: PairRank): number {
  return b.kinship - a.kinship ||
    Math.min(b.controlling, b.controlled) - Math.min(a.controlling, a.controlled) ||
    Math.max(b.controlling, b.controlled) - Math.max(a.controlling, a.controlled) ||
    Number(b.controlling > b.controlled) - Number(a.controlling > a.controlled);
}

/** How an address of the peer's was probably learnt: a global IPv4 address is a NAT's more often than not. */
export function inferredType(address: Address): CandidateType {
  return address.family === 4 && isPublic(address) ? "srflx" : "host";
}

/** Whether packets go from the candidate's base straight to a peer: not those of a relay, nor through one. */
export function isDirect(candidate: LocalCandidate): boolean {
  return candidate.type !== "relay" && candidate.base.kind === "socket";
}

/**
 * The address to send to from `base` if the peer names `address`; `undefined` if none is.
 *
 * Link-local goes with link-local only (RFC 8445 §6.1.2.2) and takes the zone of the base, as its own means nothing here.
 * What is private is probed only from a private address: a base that has none has no such neighbours.
 */
export function remoteFrom(base: Base, address: Address, rules: ScopeRules): Address | undefined {
  const { local } = base;
  if (local.family !== address.family || refuseRemote(address, rules) !== undefined) return undefined;
  const scope = scopeOf(address);
  const localScope = scopeOf(local);
  if (local.host === address.host && local.port === address.port) return undefined;
  if (localScope === "unspecified") return scope === "link-local" ? undefined : address;
  switch (scope) {
    case "link-local":
      return localScope === "link-local" ? inZoneOf(local, address) : undefined;
    case "loopback":
      return localScope === "loopback" ? address : undefined;
    case "private":
    case "shared":
      return isInternal(localScope) ? address : undefined;
    case "global":
      return localScope === "link-local" || localScope === "loopback" ? undefined : address;
    case "unspecified":
    case "multicast":
    case "reserved":
      return undefined;
  }
}

function inZoneOf(local: Address, address: Address): Address {
  const zoneAt = local.host.indexOf("%");
  if (zoneAt < 0 || address.host.includes("%")) return address;
  return addressOf(address.host + local.host.slice(zoneAt), address.port);
}

function isInternal(scope: AddressScope): boolean {
  return scope === "private" || scope === "shared";
}

function isPublic(address: Address): boolean {
  return scopeOf(address) === "global";
}
