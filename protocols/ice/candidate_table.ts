/**
 * The candidates of both sides, and which remote ones are fit to be paired (RFC 8445 §5.1.3, §7.3.1.3; RFC 8838 §11).
 *
 * A remote address whose host is also one of ours is skipped while the peer has another: two laptops both have the bridge
 * 172.17.0.1, and checks would go to ourselves. When all host candidates of the peer are ours too, it runs on this machine
 * and they are the way to it.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { type AddressScope, refuseRemote, scopeOf } from "../core/address_scope.ts";
import type { LocalCandidate, RemoteCandidate } from "../core/candidate.ts";
import type { Base } from "../core/machine.ts";
import type { LocalEntry, RemoteEntry } from "./pair.ts";
import { candidatePriority, foundationOf, MAX_LOCAL_PREFERENCE } from "./priority.ts";
import type { IceConfig } from "./types.ts";

/** Local candidates at most: as many bases as a host may have, each seen by a few servers. */
export const MAX_LOCAL_CANDIDATES = 64;

/** What signaling may say of a remote candidate beyond its type and address. */
export interface RemoteCandidateOptions {
  /** 1 to 2^31 - 1; by default from its type, and falling in order of arrival. */
  readonly priority?: number;
  /** By default each candidate has its own, so that none waits for another. */
  readonly foundation?: string;
}

/** Both sides' candidates. */
export class CandidateTable {
  readonly #config: IceConfig;
  readonly #local: LocalEntry[] = [];
  readonly #remote = new Map<Address, RemoteEntry>();
  readonly #ownHosts = new Set<string>();
  #signaled = 0;
  #peerReflexive = 0;
  #arrivals = 0;

  constructor(config: IceConfig) {
    this.#config = config;
  }

  get local(): readonly LocalEntry[] {
    return this.#local;
  }

  get remote(): Iterable<RemoteEntry> {
    return this.#remote.values();
  }

  /**
   * Adds a candidate of ours.
   *
   * @returns The entry, or `undefined` if the candidate is known or too many are (RFC 8445 §5.1.3: redundant ones go).
   */
  addLocal(candidate: LocalCandidate, preference: number | undefined): LocalEntry | undefined {
    if (this.#local.length >= MAX_LOCAL_CANDIDATES) return undefined;
    for (const { candidate: known } of this.#local) {
      if (known.address === candidate.address && known.base === candidate.base) return undefined;
    }
    const localPreference = preference ?? this.#preferenceOf(candidate.base);
    const entry: LocalEntry = {
      candidate,
      foundation: foundationOf(candidate),
      preference: localPreference,
      priority: candidatePriority(candidate.type, localPreference),
    };
    this.#local.push(entry);
    this.#ownHosts.add(candidate.base.local.host);
    return entry;
  }

  /** @returns The entry that is gone. */
  removeLocal(candidate: LocalCandidate): LocalEntry | undefined {
    const at = this.#local.findIndex(({ candidate: known }) =>
      known.address === candidate.address && known.base === candidate.base
    );
    return at < 0 ? undefined : this.#local.splice(at, 1)[0];
  }

  /** The candidate that stands for a base in its pairs: the one with the highest priority (RFC 8445 §6.1.2.4). */
  bestOf(base: Base): LocalEntry | undefined {
    let best: LocalEntry | undefined;
    for (const entry of this.#local) {
      if (entry.candidate.base === base && (best === undefined || entry.priority > best.priority)) best = entry;
    }
    return best;
  }

  /** Adds a candidate that came through signaling. @returns The entry, or why it was refused. */
  addRemote(candidate: RemoteCandidate, options: RemoteCandidateOptions): RemoteEntry | string {
    const { address, type, name } = candidate;
    // draft-ietf-mmusic-mdns-ice-candidates §3.2.2: names under .local are asked for by multicast, which we do not.
    if (name !== undefined) return "a name and no address";
    const refusal = refuseRemote(address, this.#config);
    if (refusal !== undefined) return refusal;
    if (this.#isOurs(address)) return "our own address";
    if (this.#signaled >= this.#config.maxRemoteCandidates) {
      return `more than ${this.#config.maxRemoteCandidates} candidates`;
    }
    const known = this.#remote.get(address);
    if (known !== undefined && known.type !== "prflx") return "known already";
    const priority = options.priority ?? candidatePriority(type, MAX_LOCAL_PREFERENCE - this.#signaled);
    const foundation = options.foundation ?? `remote ${this.#arrivals++}`;
    this.#signaled++;
    if (known !== undefined) this.#peerReflexive--;
    // RFC 8838 §11: a check was faster than signaling. The entry stays what its pairs refer to.
    if (known !== undefined) return Object.assign(known, { type, priority, foundation });
    return this.#keep({ address, type, priority, foundation });
  }

  /**
   * The candidate a check came from; an unknown one is peer-reflexive (RFC 8445 §7.3.1.3).
   *
   * @param priority What the request said in PRIORITY.
   * @returns The entry, or why no check may go back.
   */
  addPeerReflexive(address: Address, priority: number): RemoteEntry | string {
    const known = this.#remote.get(address);
    if (known !== undefined) return known;
    const refusal = refuseRemote(address, this.#config);
    if (refusal !== undefined) return refusal;
    if (this.#peerReflexive >= this.#config.maxPeerReflexive) {
      return `more than ${this.#config.maxPeerReflexive} peer-reflexive candidates`;
    }
    this.#peerReflexive++;
    return this.#keep({ address, type: "prflx", priority, foundation: `remote ${this.#arrivals++}` });
  }

  /** Those that checks have revealed are to be found anew. @param used The address that is in use, and stays. */
  forgetPeerReflexive(used: Address | undefined): void {
    for (const { address, type } of [...this.#remote.values()]) {
      if (type !== "prflx" || address === used) continue;
      this.#remote.delete(address);
      this.#peerReflexive--;
    }
  }

  /** Whether a pair may be made: RFC 8445 §6.1.2.2, and the rule at the head of this file. */
  mayPair(base: Base, remote: RemoteEntry): boolean {
    const { address } = remote;
    if (base.local.family !== address.family || this.#isOurs(address)) return false;
    // Link-local and loopback addresses reach only their like; a wildcard base may reach anything.
    const [here, there] = [scopeOf(base.local), scopeOf(address)];
    if (here !== there && here !== "unspecified" && (isNarrow(here) || isNarrow(there))) return false;
    if (!this.#isShared(address) || remote.type === "prflx") return true;
    return !this.#isPeerElsewhere();
  }

  #keep(entry: RemoteEntry): RemoteEntry {
    this.#remote.set(entry.address, entry);
    return entry;
  }

  #isOurs(address: Address): boolean {
    return this.#local.some(({ candidate }) => candidate.address === address || candidate.base.local === address);
  }

  #isShared(address: Address): boolean {
    return this.#ownHosts.has(address.host) && scopeOf(address) !== "loopback";
  }

  /** Whether the peer has a host candidate that is not one of our hosts. */
  #isPeerElsewhere(): boolean {
    for (const { type, address } of this.#remote.values()) {
      if (type === "host" && scopeOf(address) !== "loopback" && !this.#ownHosts.has(address.host)) return true;
    }
    return false;
  }

  /** By default the first base is the best, and all candidates of a base share its preference. */
  #preferenceOf(base: Base): number {
    const bases: Base[] = [];
    for (const { candidate, preference } of this.#local) {
      if (candidate.base === base) return preference;
      if (!bases.includes(candidate.base)) bases.push(candidate.base);
    }
    return MAX_LOCAL_PREFERENCE - bases.length;
  }
}

function isNarrow(scope: AddressScope): boolean {
  return scope === "link-local" || scope === "loopback";
}
