/**
 * What an ICE agent is told and what it tells: configuration, events, reports (RFC 8445).
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { CandidateType } from "../core/candidate.ts";
import type { Base } from "../core/machine.ts";
import type { Random } from "../core/random.ts";

/** RFC 8445 §6.1.1. */
export type IceRole = "controlling" | "controlled";

/** Of one side, for one call: at least 24 bits of randomness in the fragment and 128 in the password (RFC 8445 §5.3). */
export interface IceCredentials {
  /** 4 to 256 characters of ALPHA, DIGIT, "+" and "/". */
  readonly ufrag: string;
  /** 22 to 256 characters of the same. */
  readonly password: string;
}

/** What an agent goes by; complete and never written. */
export interface IceConfig {
  /** Time between two new checks: the larger of both sides' proposals (RFC 8445 §14.2). */
  readonly taMs: number;
  /** First retransmission of a check at the earliest: RFC 8445 §14.3 wants at least 500. */
  readonly rtoMs: number;
  /** Requests a check sends before it waits for the last time: Rc of RFC 8489 §6.2.1. */
  readonly requestCount: number;
  /** How long the last wait is, in RTOs: Rm of RFC 8489 §6.2.1. */
  readonly lastMultiplier: number;
  /** Pairs at most; the lowest go: RFC 8445 §6.1.2.5. */
  readonly maxPairs: number;
  /** Remote candidates taken from signaling at most; further ones are refused. */
  readonly maxRemoteCandidates: number;
  /** Peer-reflexive remote candidates at most, learnt from authenticated checks. */
  readonly maxPeerReflexive: number;
  /** Loopback candidates only in demonstrations and tests. */
  readonly allowLoopback: boolean;
  /** Who nominates: `command` waits for {@linkcode IceAgent.nominate}, `automatic` takes the best valid pair. */
  readonly nomination: "command" | "automatic";
  /** With `automatic`: how long after the first valid pair a better one that is still being checked is waited for. */
  readonly nominationDelayMs: number;
  /** Silence on the nominated pair after which an indication is sent: Tr, RFC 8445 §11 wants at least 15000. */
  readonly keepaliveMs: number;
  /**
   * Instant until which failed pairs are tried again, because the peer may start minutes later (a ticket that is pasted by
   * hand). `undefined`: a pair that failed has failed.
   */
  readonly keepTryingUntil: number | undefined;
  /** With `keepTryingUntil`: how long one request waits before its pair is checked anew. */
  readonly retryMs: number;
}

/** RFC values, and why ours differ where they do. */
export const DEFAULT_ICE_CONFIG: IceConfig = Object.freeze({
  taMs: 50, // RFC 8445 §14.2, for a peer that proposes nothing
  rtoMs: 500, // RFC 8445 §14.3
  requestCount: 7, // RFC 8489 §6.2.1
  lastMultiplier: 16, // RFC 8489 §6.2.1
  maxPairs: 100, // RFC 8445 §6.1.2.5
  maxRemoteCandidates: 12, // as many as an offer carries
  maxPeerReflexive: 8, // a peer behind a symmetric NAT shows one port for each base of ours
  allowLoopback: false,
  nomination: "command",
  nominationDelayMs: 100, // two Ta of 50 ms: enough for a check that was already on its way
  keepaliveMs: 15_000, // RFC 8445 §11
  keepTryingUntil: undefined,
  retryMs: 2000,
});

/** A pair that a check has proved in our direction: RFC 8445 §7.2.5.3.2. Packets go from `base` to `remote`. */
export interface ValidPair {
  readonly base: Base;
  readonly remote: Address;
  /** Our address as the peer saw it: the base's own, a server-reflexive or a peer-reflexive one. */
  readonly mappedAddress: Address;
  /** Time from request to response; `undefined` when the request was sent more than once. */
  readonly rttMs: number | undefined;
}

/** What happened. */
export type IceEvent =
  /** An authenticated request, or a success response, was seen on (base, remote); each kind once a path. */
  | {
    readonly type: "authenticatedCheck";
    readonly base: Base;
    readonly remote: Address;
    readonly kind: "request" | "response";
    readonly rttMs: number | undefined;
  }
  | { readonly type: "valid"; readonly pair: ValidPair }
  /** Both sides agree on this pair: our check with USE-CANDIDATE succeeded, or the peer's was answered on a valid pair. */
  | { readonly type: "nominated"; readonly pair: ValidPair; readonly by: "us" | "peer" }
  | { readonly type: "roleChanged"; readonly role: IceRole }
  /** Everything is checked anew, because we were told to or because the peer does: RFC 8445 §9. */
  | { readonly type: "restarted" }
  /** There was no sign for 14 s, nothing having been sent: whoever sends there may ask the peer for a sign. */
  | { readonly type: "consentQuiet"; readonly base: Base; readonly remote: Address }
  /** What was sent on the path is unanswered, and so were two checks of consent. */
  | { readonly type: "consentInDoubt"; readonly base: Base; readonly remote: Address }
  /** For 30 s: nothing more may be sent there (RFC 7675 §5.1). */
  | { readonly type: "consentExpired"; readonly base: Base; readonly remote: Address }
  /** Nothing is left to try. A check of the peer's that still comes in revives the agent. */
  | { readonly type: "failed"; readonly reason: string; readonly report: readonly PairReport[] };

/** RFC 8445 §6.1.2.6, and what came of it. */
export type PairStateName = "frozen" | "waiting" | "in-progress" | "succeeded" | "failed";

/** One pair as data: what the line "why is it not direct" is made of. */
export interface PairReport {
  /** Where our checks left. */
  readonly base: Base;
  /** What our own candidate was. */
  readonly localType: CandidateType;
  /** The peer's candidate. */
  readonly remote: Address;
  /** How the peer, or we by a check of its, learnt that one. */
  readonly remoteType: CandidateType;
  /** How far it came. */
  readonly state: PairStateName;
  /** Why it failed: `timeout`, `ENETUNREACH`, `error 401`, `response from 192.0.2.1:1`. */
  readonly reason: string | undefined;
  /** Whether both sides agreed on it: RFC 8445 §8.1. */
  readonly nominated: boolean;
  /** Checks of ours, with those that were sent again. */
  readonly requestsSent: number;
  /** Answers to them that were authentic. */
  readonly responsesReceived: number;
  /** The peer's checks that were authentic. */
  readonly requestsReceived: number;
  /** From request to response; `undefined` unless a request that was sent once was answered. */
  readonly rttMs: number | undefined;
}

/** What an agent starts from. */
export interface IceAgentOptions {
  readonly role: IceRole;
  readonly local: IceCredentials;
  /** May follow later by `setRemoteCredentials`: what comes before is remembered. */
  readonly remote?: IceCredentials;
  readonly now: number;
  readonly random: Random;
  readonly config?: Partial<IceConfig>;
}
