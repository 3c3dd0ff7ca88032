/**
 * Gathering: runs the candidate providers of a node on its bases, which may come and go, and keeps the list of what they
 * found and of what those have seen whom we talk to (RFC 8445 §5.1.1, RFC 8838,
 * draft-ietf-quic-address-discovery-00).
 *
 * @module
 */

import type { CandidateEvent, CandidateMachine } from "../candidates/provider.ts";
import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { Mux, Port } from "./mux.ts";
import type { Node } from "./traversal.ts";

/** Candidates kept, at most: what one offer carries, and as many again for bases that come and go. */
export const MAX_LOCAL_CANDIDATES = 24;

/** Reports of our addresses that are remembered, by who gives them and for which base; one more forgets the oldest. */
export const MAX_OBSERVATIONS = 64;

/** What gathering needs of a node. */
export type GatheringNode = Pick<Node, "providers" | "bases" | "now" | "random" | "expectsServers">;

/** What gathering tells its owner. */
export interface GatheringListener {
  candidateFound(candidate: LocalCandidate, now: number): void;
  candidateWithdrawn(candidate: LocalCandidate, now: number): void;
  gatheringFailed(event: CandidateEvent & { readonly type: "error" }): void;
  /** No server is expected any more, and every provider has said `done`. It may happen again after servers were added. */
  gatheringDone(now: number): void;
}

/** A provider at work. */
interface Gatherer {
  readonly machine: CandidateMachine;
  readonly port: Port;
  isDone: boolean;
}

/** What one peer or relay has seen last of one base. */
interface Observation {
  readonly base: Base;
  readonly server: Address;
  readonly address: Address;
}

/** The providers' machines, attached to a mux, and their candidates. */
export class Gathering {
  readonly #mux: Mux;
  readonly #gatherers: Gatherer[] = [];
  readonly #owner: GatheringListener;
  #candidates: LocalCandidate[] = [];
  /** What providers have found, be it known already from whom we talk to: as many as candidates are kept. */
  #provided: LocalCandidate[] = [];
  #observations: Observation[] = [];
  #isStopped = false;
  /** Servers are being looked up: without their answers nothing is done. */
  #expectsServers: boolean;

  /** Starts every provider of `node` at once. */
  constructor(mux: Mux, node: GatheringNode, owner: GatheringListener) {
    this.#mux = mux;
    this.#owner = owner;
    this.#expectsServers = node.expectsServers;
    for (const provider of node.providers) {
      const machine = provider.gather(node.bases, { now: node.now, random: node.random });
      const port = mux.attach(machine, (event: CandidateEvent, now) => this.#handle(gatherer, event, now));
      const gatherer: Gatherer = { machine, port, isDone: false };
      this.#gatherers.push(gatherer);
    }
  }

  /** What is known now, in the order it was found. */
  get candidates(): readonly LocalCandidate[] {
    return this.#candidates;
  }

  /** Whether no server is expected any more, and every provider has said all it knows. */
  get isDone(): boolean {
    return !this.#expectsServers && this.#gatherers.every(({ isDone }) => isDone);
  }

  /** @param servers None, if none of those that were expected was found. */
  addServers(servers: readonly Address[], now: number): void {
    // A `done` that is on its way belongs to what was known before.
    this.#mux.settle(now);
    const wasDone = this.isDone;
    this.#expectsServers = false;
    for (const gatherer of this.#gatherers) {
      const { machine, port } = gatherer;
      if (machine.addServers === undefined || servers.length === 0) continue;
      gatherer.isDone = false;
      machine.addServers(servers, now);
      port.wake();
    }
    if (!wasDone && this.isDone) this.#owner.gatheringDone(now);
  }

  /** Gathers on a base that has come later, too. */
  addBase(base: Base, now: number): void {
    if (this.#isStopped) return;
    this.#mux.settle(now);
    for (const gatherer of this.#gatherers) {
      const { machine, port } = gatherer;
      if (machine.addBase === undefined) continue;
      gatherer.isDone = false;
      machine.addBase(base, now);
      port.wake();
    }
  }

  /** A base is gone: all that was found on it is withdrawn. */
  removeBase(base: Base, now: number): void {
    // What is on its way is known before it is taken back.
    this.#mux.settle(now);
    for (const { machine, port } of this.#gatherers) {
      machine.removeBase?.(base, now);
      port.wake();
    }
    this.#observations = this.#observations.filter((observation) => observation.base !== base);
    this.#provided = this.#provided.filter((candidate) => candidate.base !== base);
    for (const candidate of this.#candidates) if (candidate.base === base) this.#withdraw(candidate, now);
  }

  /** Somebody whom we talk to from `base` sees us at `address`; what the same one saw there before is not true any more. */
  observe(base: Base, address: Address, server: Address, now: number): void {
    if (this.#isStopped) return;
    const before = this.#observations.find((other) => other.base === base && other.server === server);
    if (before?.address === address) return;
    this.#observations = this.#observations.filter((other) => other !== before);
    if (this.#observations.length >= MAX_OBSERVATIONS) this.#observations.shift();
    this.#observations.push({ base, address, server });
    // One who talks to us may lie, and takes nothing back but its own word: what a provider has found is the provider's.
    const stale = before === undefined || this.#isAttested(before) ? undefined : this.#find(before);
    if (stale?.type === "srflx") this.#withdraw(stale, now);
    if (before !== undefined) {
      for (const { machine, port } of this.#gatherers) {
        machine.recheck?.(base, now);
        port.wake();
      }
    }
    if (address !== base.local) this.#take({ type: "srflx", address, base, server }, now);
  }

  /** A send failed: whoever asked there has nothing to wait for. */
  handleSocketError(error: SocketError, now: number): void {
    for (const { machine, port } of this.#gatherers) {
      machine.handleSocketError?.(error, now);
      port.wake();
    }
  }

  /** Stops: no more questions are sent, no mapping is kept alive. */
  stop(): void {
    this.#isStopped = true;
    for (const { port } of this.#gatherers) this.#mux.detach(port);
  }

  #handle(gatherer: Gatherer, event: CandidateEvent, now: number): void {
    switch (event.type) {
      case "candidate":
        if (this.#provided.length < MAX_LOCAL_CANDIDATES) this.#provided.push(event.candidate);
        this.#take(event.candidate, now);
        return;
      case "withdrawn": {
        this.#provided = this.#provided.filter((other) => !isSame(other, event.candidate));
        const known = this.#find(event.candidate);
        if (known !== undefined) this.#withdraw(known, now);
        return;
      }
      case "error":
        this.#owner.gatheringFailed(event);
        return;
      case "done":
        gatherer.isDone = true;
        if (this.isDone) this.#owner.gatheringDone(now);
        return;
      default:
        unreachable(event);
    }
  }

  #take(candidate: LocalCandidate, now: number): void {
    if (this.#candidates.length >= MAX_LOCAL_CANDIDATES || this.#find(candidate) !== undefined) return;
    this.#candidates.push(candidate);
    this.#owner.candidateFound(candidate, now);
  }

  #withdraw(known: LocalCandidate, now: number): void {
    this.#candidates = this.#candidates.filter((candidate) => candidate !== known);
    this.#owner.candidateWithdrawn(known, now);
  }

  /** RFC 8445 §5.1.3: the same address behind the same base is one candidate, however it was learnt. */
  #find(sought: Place): LocalCandidate | undefined {
    return this.#candidates.find((candidate) => isSame(candidate, sought));
  }

  /** Whether anybody else says so. */
  #isAttested(observation: Observation): boolean {
    return this.#provided.some((candidate) => isSame(candidate, observation)) ||
      this.#observations.some((other) => isSame(other, observation));
  }
}

type Place = Pick<LocalCandidate, "address" | "base">;

function isSame(a: Place, b: Place): boolean {
  return a.address === b.address && a.base === b.base;
}
