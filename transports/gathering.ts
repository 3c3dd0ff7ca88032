/**
 * Gathering: runs the candidate providers of a node on its bases and keeps the list of what they found
 * (RFC 8445 §5.1.1, RFC 8838).
 *
 * @module
 */

import type { CandidateEvent, CandidateMachine } from "../candidates/provider.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { Mux, Port } from "./mux.ts";
import type { Node } from "./traversal.ts";

/** Candidates kept, at most: what one offer carries, and as many again for bases that come and go. */
export const MAX_LOCAL_CANDIDATES = 24;

/** What gathering needs of a node. */
export type GatheringNode = Pick<Node, "providers" | "bases" | "now" | "random">;

/** What gathering tells its owner. */
export interface GatheringListener {
  candidateFound(candidate: LocalCandidate, now: number): void;
  candidateWithdrawn(candidate: LocalCandidate, now: number): void;
  gatheringFailed(event: CandidateEvent & { readonly type: "error" }): void;
  /** Every provider has said `done`. It may happen again after servers were added. */
  gatheringDone(now: number): void;
}

/** The providers' machines, attached to a mux, and their candidates. */
export class Gathering {
  readonly #mux: Mux;
  readonly #machines: { readonly machine: CandidateMachine; readonly port: Port }[] = [];
  readonly #owner: GatheringListener;
  #candidates: LocalCandidate[] = [];
  #running: number;

  /** Starts every provider of `node` at once. */
  constructor(mux: Mux, node: GatheringNode, owner: GatheringListener) {
    this.#mux = mux;
    this.#owner = owner;
    this.#running = node.providers.length;
    for (const provider of node.providers) {
      const machine = provider.gather(node.bases, { now: node.now, random: node.random });
      const port = mux.attach(machine, (event: CandidateEvent, now) => this.#handle(event, now));
      this.#machines.push({ machine, port });
    }
  }

  /** What is known now, in the order it was found. */
  get candidates(): readonly LocalCandidate[] {
    return this.#candidates;
  }

  /** Whether every provider has said all it knows. */
  get isDone(): boolean {
    return this.#running === 0;
  }

  /** Whether any provider can ask a STUN server: otherwise nobody needs to wait for one. */
  get asksServers(): boolean {
    return this.#machines.some(({ machine }) => machine.addServers !== undefined);
  }

  addServers(servers: readonly Address[], now: number): void {
    for (const { machine, port } of this.#machines) {
      machine.addServers?.(servers, now);
      port.wake();
    }
  }

  /** Stops: no more questions are sent, no mapping is kept alive. */
  stop(): void {
    for (const { port } of this.#machines) this.#mux.detach(port);
  }

  #handle(event: CandidateEvent, now: number): void {
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
        if (this.#running > 0) this.#running--;
        if (this.#running === 0) this.#owner.gatheringDone(now);
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
