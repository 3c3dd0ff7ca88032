/**
 * The client's table of pairs: every address of ours with every address of the server's that packets could go between, in
 * the order in which they are asked for, and how often each has been (draft-seemann-quic-nat-traversal-02 §4.2).
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import { refuseRemote } from "../../core/address_scope.ts";
import type { ScopeRules } from "../../core/address_scope.ts";
import type { LocalCandidate } from "../../core/candidate.ts";
import type { Base } from "../../core/machine.ts";
import { compareRanks, inferredType, isDirect, rankOf, remoteFrom } from "./pairing.ts";
import type { PairRank } from "./pairing.ts";

/** Addresses of ours that are paired; more are ignored. */
export const MAX_LOCAL_CANDIDATES = 32;
/** Addresses of the server's that are kept (as many as other implementations do); more are ignored. */
export const MAX_REMOTE_ADDRESSES = 32;
/** Sequence numbers that were removed before, or after, they were added: the oldest is forgotten. */
export const MAX_TOMBSTONES = 256;

/** One of our addresses with one of the server's. */
export interface Pair {
  readonly local: LocalCandidate;
  readonly sequenceNumber: number;
  /** Where probes go, from `local.base`. */
  readonly remote: Address;
  rank: PairRank;
  /** Rounds that have asked for it. */
  timesAsked: number;
}

/** What both sides have named, paired. */
export class PairTable {
  readonly #rules: ScopeRules;
  #locals: LocalCandidate[] = [];
  readonly #remotes = new Map<number, Address>();
  readonly #tombstones = new Set<number>();
  #pairs: Pair[] = [];
  #isStale = false;
  #refused = 0;
  #ignored = 0;

  constructor(rules: ScopeRules) {
    this.#rules = rules;
  }

  /** Addresses that were not taken. */
  get refused(): number {
    return this.#refused;
  }

  /** Frames that changed nothing. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Addresses of the server's that are kept. */
  get remotes(): ReadonlyMap<number, Address> {
    return this.#remotes;
  }

  get locals(): readonly LocalCandidate[] {
    return this.#locals;
  }

  /** All pairs, the best first. */
  get pairs(): readonly Pair[] {
    if (this.#isStale) this.#rebuild();
    return this.#pairs;
  }

  /** @returns Whether it is new. */
  addLocal(candidate: LocalCandidate): boolean {
    if (!isDirect(candidate) || this.#locals.length >= MAX_LOCAL_CANDIDATES) return false;
    const { base, address } = candidate;
    if (this.#locals.some((other) => other.base === base && other.address === address)) return false;
    this.#locals.push(candidate);
    this.#isStale = true;
    return true;
  }

  /** Forgets candidates of ours. */
  removeLocals(isRemoved: (candidate: LocalCandidate) => boolean): void {
    this.#locals = this.#locals.filter((candidate) => !isRemoved(candidate));
    this.#isStale = true;
  }

  /** Whether a candidate of ours is sent from that base. */
  hasBase(base: Base): boolean {
    return this.#locals.some((candidate) => candidate.base === base);
  }

  /** ADD_ADDRESS. @returns Whether it changes anything. */
  addRemote(sequenceNumber: number, address: Address): boolean {
    const known = this.#remotes.get(sequenceNumber);
    // A number that was removed is never used again: this is a late copy.
    if (known === address || this.#tombstones.has(sequenceNumber)) {
      this.#ignored++;
      return false;
    }
    const isFull = known === undefined && this.#remotes.size >= MAX_REMOTE_ADDRESSES;
    if (isFull || refuseRemote(address, this.#rules) !== undefined) {
      this.#refused++;
      return false;
    }
    // Another address under the same number is an update: the draft does not say, others do it so.
    this.#remotes.set(sequenceNumber, address);
    this.#isStale = true;
    return true;
  }

  /** REMOVE_ADDRESS, be it before ADD_ADDRESS. @returns The address, if it was known. */
  removeRemote(sequenceNumber: number): Address | undefined {
    const address = this.#remotes.get(sequenceNumber);
    if (address === undefined) this.#ignored++;
    else this.#isStale = true;
    this.#remotes.delete(sequenceNumber);
    this.#tombstones.add(sequenceNumber);
    if (this.#tombstones.size > MAX_TOMBSTONES) {
      for (const oldest of this.#tombstones) {
        this.#tombstones.delete(oldest);
        break;
      }
    }
    return address;
  }

  /** Whether some number still names the address. */
  hasRemote(address: Address): boolean {
    for (const other of this.#remotes.values()) if (other === address) return true;
    return false;
  }

  /** What is known of the address of a path that no pair led to. */
  rankOf(base: Base, remote: Address): PairRank {
    const pair = this.pairs.find((other) => other.local.base === base && other.remote === remote);
    if (pair !== undefined) return pair.rank;
    const order = this.#locals.findIndex((candidate) => candidate.base === base);
    const local = this.#locals[order];
    const type = local?.type ?? "host";
    return rankOf(
      { type, address: local?.address ?? base.local, order },
      { type: "prflx", address: remote, order: 0 },
    );
  }

  #rebuild(): void {
    this.#isStale = false;
    const before = new Map(this.#pairs.map((pair) => [keyOf(pair), pair]));
    const pairs = new Map<string, Pair>();
    for (const [localOrder, local] of this.#locals.entries()) {
      let remoteOrder = 0;
      for (const [sequenceNumber, address] of this.#remotes) {
        const order = remoteOrder++;
        const remote = remoteFrom(local.base, address, this.#rules);
        if (remote === undefined || local.address.family !== remote.family) continue;
        const rank = rankOf(
          { type: local.type, address: local.address, order: localOrder },
          { type: inferredType(remote), address: remote, order },
        );
        const key = keyOf({ local, remote });
        // One address may stand under several numbers: the first of them serves.
        if (pairs.has(key)) continue;
        const known = before.get(key);
        // A pair that is still there stays the same object: rounds remember it.
        const isSame = known?.local === local && known.sequenceNumber === sequenceNumber;
        const pair = isSame ? known : { local, sequenceNumber, remote, rank, timesAsked: known?.timesAsked ?? 0 };
        pair.rank = rank;
        pairs.set(key, pair);
      }
    }
    this.#pairs = [...pairs.values()].sort((a, b) => compareRanks(a.rank, b.rank));
  }
}

function keyOf({ local, remote }: { readonly local: LocalCandidate; readonly remote: Address }): string {
  return `${local.address} ${local.base.local} ${remote}`;
}
