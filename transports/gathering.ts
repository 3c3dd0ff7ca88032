/**
 * Gathering: runs the candidate providers of a node on its bases and keeps the list of what they found
 * (RFC 8445 §5.1.1, RFC 8838).
 *
 * @module
 */

import type { CandidateEvent, CandidateMachine } from "../candidates/provider.ts";
import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { Mux, Port } from "./mux.ts";
import type { Node } from "./traversal.ts";

/** Candidates kept, at most: what one offer carries, and as many again for bases that come and go. */
export const MAX_LOCAL_CANDIDATES = 24;

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

/** The providers' machines, attached to a mux, and their candidates. */
export class Gathering {
  readonly #mux: Mux;
  readonly #gatherers: Gatherer[] = [];
  readonly #owner: GatheringListener;
  #candidates: LocalCandidate[] = [];
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

  /** A send failed: whoever asked there has nothing to wait for. */
  handleSocketError(error: SocketError, now: number): void {
    for (const { machine, port } of this.#gatherers) {
      machine.handleSocketError?.(error, now);
      port.wake();
    }
  }

  /** Stops: no more questions are sent, no mapping is kept alive. */
  stop(): void {
    for (const { port } of this.#gatherers) this.#mux.detach(port);
  }

  #handle(gatherer: Gatherer, event: CandidateEvent, now: number): void {
    switch (event.type) {
      case "candidate":
        if (this.#candidates.length >= MAX_LOCAL_CANDIDATES || this.#find(event.candidate) !== undefined) return;
        this.#candidates.push(event.candidate);
        this.#owner.candidateFound(event.candidate, now);
        return;
      case "withdrawn": {
        const known = this.#find(event.candidate);
        if (known === undefined) return;
        this.#candidates = this.#candidates.filter((candidate) => candidate !== known);
        this.#owner.candidateWithdrawn(known, now);
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

  /** RFC 8445 §5.1.3: the same address behind the same base is one candidate, however it was learnt. */
  #find(sought: LocalCandidate): LocalCandidate | undefined {
    return this.#candidates.find(({ address, base }) => address === sought.address && base === sought.base);
  }
}
