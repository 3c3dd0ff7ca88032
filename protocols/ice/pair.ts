/**
 * A candidate pair and its state (RFC 8445 §6.1.2.6). This is the only file that assigns the state.
 *
 * A pair is known by base and remote address. Our server-reflexive candidates are replaced by their base (RFC 8445 §6.1.2.4),
 * so no two pairs share both.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { CandidateType, LocalCandidate } from "../core/candidate.ts";
import type { Base } from "../core/machine.ts";
import type { Transaction } from "../stun/transaction.ts";
import type { PairPriority } from "./priority.ts";
import type { IceRole, PairReport, ValidPair } from "./types.ts";

/** A local candidate and what follows from it. */
export interface LocalEntry {
  readonly candidate: LocalCandidate;
  readonly foundation: string;
  readonly preference: number;
  readonly priority: number;
}

/** A remote candidate. One that a check revealed becomes what signaling says of it later. */
export interface RemoteEntry {
  readonly address: Address;
  type: CandidateType;
  foundation: string;
  priority: number;
}

/** RFC 8445 §6.1.2.6, with what only that state has. */
export type PairState =
  | { readonly name: "frozen" }
  | { readonly name: "waiting" }
  | { readonly name: "in-progress"; readonly transaction: Transaction }
  | { readonly name: "succeeded"; readonly valid: ValidPair }
  /** `retryAt`: when it will be waiting again, if it will. */
  | { readonly name: "failed"; readonly reason: string; readonly retryAt: number | undefined };

const FROZEN: PairState = { name: "frozen" };
const WAITING: PairState = { name: "waiting" };

/** One pair of the checklist. */
export class Pair {
  readonly base: Base;
  readonly remote: RemoteEntry;
  /** The best of the candidates that stand for the base. */
  local: LocalEntry;
  /** The peer asked for it with USE-CANDIDATE before our own check had succeeded: RFC 8445 §7.3.1.5. */
  isNominatedByPeer = false;
  requestsSent = 0;
  responsesReceived = 0;
  requestsReceived = 0;
  /** Checks that this host could not send. */
  sendErrors = 0;
  rttMs: number | undefined;
  #state: PairState = FROZEN;

  constructor(local: LocalEntry, remote: RemoteEntry) {
    this.base = local.candidate.base;
    this.local = local;
    this.remote = remote;
  }

  get state(): PairState {
    return this.#state;
  }

  get foundation(): string {
    return `${this.local.foundation}|${this.remote.foundation}`;
  }

  /** Whether a check may still change what is known: it is not yet proved and has not failed for good. */
  get isOpen(): boolean {
    const state = this.#state;
    return state.name !== "succeeded" && !(state.name === "failed" && state.retryAt === undefined);
  }

  priority(role: IceRole): PairPriority {
    const [own, theirs] = [this.local.priority, this.remote.priority];
    return role === "controlling" ? { controlling: own, controlled: theirs } : { controlling: theirs, controlled: own };
  }

  /** May be checked in its turn. A proved pair stays proved. */
  enterWaiting(): void {
    if (this.#state.name !== "succeeded") this.#state = WAITING;
  }

  enterInProgress(transaction: Transaction): void {
    if (this.#state.name !== "succeeded") this.#state = { name: "in-progress", transaction };
  }

  enterSucceeded(valid: ValidPair): void {
    this.#state = { name: "succeeded", valid };
  }

  /** A proved pair stays proved: what failed was a later check. */
  enterFailed(reason: string, retryAt: number | undefined): void {
    if (this.#state.name !== "succeeded") this.#state = { name: "failed", reason, retryAt };
  }

  report(isNominated: boolean): PairReport {
    const state = this.#state;
    return {
      base: this.base,
      localType: this.local.candidate.type,
      remote: this.remote.address,
      remoteType: this.remote.type,
      state: state.name,
      reason: state.name === "failed" ? state.reason : undefined,
      nominated: isNominated,
      requestsSent: this.requestsSent,
      responsesReceived: this.responsesReceived,
      requestsReceived: this.requestsReceived,
      rttMs: this.rttMs,
    };
  }
}
