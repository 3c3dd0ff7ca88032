/**
 * A transport address that may be worth trying, as every finder, signaling and traversal engine says it
 * (RFC 8445 §4 "Candidate").
 *
 * @module
 */

import type { Address } from "./address.ts";
import type { Base } from "./machine.ts";

/** How the address was learnt: RFC 8445 §5.1.1; `relay` is for issues to come. */
export type CandidateType = "host" | "srflx" | "prflx" | "relay";

/** A candidate of our own: it knows the base behind it. */
export interface LocalCandidate {
  /** How we learnt it. */
  readonly type: CandidateType;
  /** Where the peer is to send: what is signaled. */
  readonly address: Address;
  /** The base that packets are sent from: RFC 8445 §4. */
  readonly base: Base;
  /** Where the address was learnt, for `srflx` and `relay`. */
  readonly server?: Address;
}

/** A candidate of the peer's, as it came through signaling. */
export interface RemoteCandidate {
  /** How the peer says it learnt it. */
  readonly type: CandidateType;
  /** Where to send; with a `name` only the port counts. */
  readonly address: Address;
  /** Instead of the host: what the peer's network would have to be asked for (draft-ietf-mmusic-mdns-ice-candidates §3.2). */
  readonly name?: string;
}
