/**
 * A way: what one transport does to reach a peer, beside the logic that all calls share. The way of `ice-then-quic` checks
 * pairs of addresses and dials where a check got through; that of `quic-native` dials the listener's address at a relay.
 * A call has one way or several: `dial_call.ts` and `accept_calls.ts` own what is common to them.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { PairReport } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import type { Call } from "../signaling/machines.ts";
import type { RelayAccess } from "./traversal.ts";

/** A path: a base and a remote address. */
export interface PathKey {
  readonly base: Base;
  readonly remote: Address;
}

/** What an attempt has found that did not become the session: what the session may use. */
export interface Findings {
  /** Paths on which ICE has heard the peer, authenticated: the first first. */
  readonly openPaths: readonly PathKey[];
  /** A path through a relay, to go back to when no direct one is left. */
  readonly wayBack: PathKey | undefined;
}

/** Of an attempt that has found nothing. */
export const NO_FINDINGS: Findings = { openPaths: [], wayBack: undefined };

/** One way to the peer, on the calling side. It makes connections; the call chooses the session among them. */
export interface DialWay {
  /** The transport that is this way and no other: what sessions are said to have come about by. */
  readonly transport: string;
  /** Whether the peer has to be told our addresses in the offer. */
  readonly offersAddresses: boolean;
  /** Connections that may become the session. */
  readonly size: number;
  /** The peer's addresses at relays, as far as they are known. */
  readonly relayed: readonly Address[];
  /** Whether nothing is under way, and nothing follows unless the peer names other addresses. */
  readonly isHopeless: boolean;
  /** Begins if no answer of the peer's is needed. */
  begin(now: number): void;
  /** The peer has answered. */
  answer(call: Call, now: number): void;
  /** The peer's addresses, all of them, some perhaps new. */
  addRemote(candidates: readonly RemoteCandidate[], now: number): void;
  /** An address of ours was found. */
  addLocal(candidate: LocalCandidate, now: number): void;
  /** It does not hold any more. */
  removeLocal(candidate: LocalCandidate, now: number): void;
  /** No more of them are expected, for the moment. */
  endOfLocal(now: number): void;
  handleSocketError(error: SocketError, now: number): void;
  /** Bases have come or gone: handshakes from those that are not there any more are dropped, or begun anew. */
  onBasesChanged(now: number): void;
  /** Whether the connection is one of this way's. */
  has(connection: QuicConnection): boolean;
  /** Whether it is the peer, and nobody else, who speaks on the connection's path, whatever it says. */
  isProven(connection: QuicConnection): boolean;
  /** A connection of this way's is closed. */
  onClosed(connection: QuicConnection, reason: string): void;
  /** One of its connections is the session: the others are dropped. */
  win(session: QuicConnection, now: number): void;
  /** Something happened on the session that is this way's. */
  onSessionEvent?(event: ConnectionEvent, now: number): void;
  /** A connection of another way's is the session: all are dropped. @returns What was found so far. */
  lose(now: number): Findings;
  /** The call or its session is over. */
  stop(): void;
  /** Why there is no session by this way: a line for people; `undefined` if it had nothing to begin with. */
  explain(): string | undefined;
  /** What was tried. */
  report(): readonly PairReport[];
  /** When `onTimeout` wants to be called; `Infinity` for never. */
  readonly timeoutAt: number;
  onTimeout(now: number): void;
}

/** An accepted offer on its way to a session. */
export interface PendingCall {
  readonly call: Call;
  readonly startedAt: number;
  readonly deadlineAt: number;
  /** When the first authenticated check came in, in ms since `startedAt`. */
  checkedMs: number | undefined;
}

/** A connection that is no session yet, on the listening side. */
export interface Incoming {
  readonly connection: QuicConnection;
  /** What its first packet showed; empty if nothing. */
  readonly token: Uint8Array;
  readonly startedAt: number;
}

/** One way in, on the listening side: for all calls. */
export interface AcceptWay {
  /** See {@linkcode DialWay.transport}. */
  readonly transport: string;
  /** Whether it is known how callers reach us by this way, or that they do not. */
  readonly isReady: boolean;
  /** Whether callers can reach us by this way, as far as we know. */
  readonly isReachable: boolean;
  /** How long callers are told nothing meanwhile. */
  readonly patienceMs: number;
  /** How callers reach us by this way. */
  readonly published: readonly RemoteCandidate[];
  /** Somebody whom we admit calls. */
  answer(pending: PendingCall, now: number): void;
  /** More addresses of a caller's. */
  addRemote(pending: PendingCall, candidates: readonly RemoteCandidate[], now: number): void;
  addLocal(candidate: LocalCandidate, now: number): void;
  removeLocal(candidate: LocalCandidate, now: number): void;
  endOfLocal(now: number): void;
  handleSocketError(error: SocketError, now: number): void;
  /** Relays that were found. */
  addRelays(relays: readonly RelayAccess[], now: number): void;
  /** Somebody has begun a connection by this way. */
  welcome(incoming: Incoming): void;
  /** Whether callers that come by this way are told our addresses on the connection. */
  readonly tellsAddresses: boolean;
  /** Whether they may know them before they have proved their key. */
  tellsAtOnce(incoming: Incoming): boolean;
  /** Whether the connection came by this way. */
  owns(incoming: Incoming): boolean;
  /**
   * Whether whoever came so, and proves this key, needs no offer: it has shown what only those know whom we have told.
   */
  admitsHolder(incoming: Incoming, key: Uint8Array | undefined): boolean;
  /** Whether the connection is an attempt of that call, as far as can be told before its handshake is done. */
  isAttemptOf(pending: PendingCall, incoming: Incoming): boolean;
  /** The call has become a session by this way: what is done for it goes on until `sessionEnded`. */
  won(pending: PendingCall, session: QuicConnection): void;
  /** The call is over without a session, or has become one by another way. */
  ended(pending: PendingCall): void;
  /** Something happened on a session that is this way's. */
  onSessionEvent?(session: QuicConnection, event: ConnectionEvent, now: number): void;
  /** Bases have come or gone. */
  onBasesChanged?(now: number): void;
  sessionEnded(session: QuicConnection): void;
  /** What was tried for a call that came to nothing; `undefined` if nobody would learn anything from it. */
  report(pending: PendingCall): readonly PairReport[] | undefined;
  /** No more calls. */
  close(): void;
  /** Every session has said goodbye: whatever carried them can go too. */
  release(now: number): void;
}
