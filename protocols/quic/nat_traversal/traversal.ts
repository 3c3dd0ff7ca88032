/**
 * NAT traversal as the connection sees it: one interface for both ends, behind "off unless asked for"
 * (draft-seemann-quic-nat-traversal-02 §4, §5). The connection
 *
 * - negotiates: the transport parameter by `dialect.ts`; a part is made once both sides have asked;
 * - reads frames by the negotiated dialect and hands them to `onFrame`; while `hasFrame`, has `writeFrame` fill packets, keeps
 *   what it returns, and says `onFrameLost` of it. A datagram with PUNCH_ME_NOW is filled up to 1200 bytes: what the server
 *   may send to unproven addresses is a multiple of what it was sent;
 * - sends what `pollProbe` wants: a datagram of its own, on the base to the remote address given, addressed to a connection
 *   ID of the peer that serves this one path (RFC 9000 §9.5), of 1200 bytes or of no more than it needs. Probes are
 *   acknowledged but not in flight: they say nothing about the path in use. `pollReleased` names paths whose ID is free;
 * - hands PATH_CHALLENGE that came in on a path which is not in use to `onChallenge`, and each PATH_RESPONSE first to
 *   `onResponse`. A client asks `acceptsFrom` before it takes an authentic packet of probing frames alone from an address of
 *   the server that it does not know; nothing else from there is taken (RFC 9000 §9 otherwise);
 * - asks `isProven` where a path comes into use, which then needs no further proof of the address;
 * - polls `pollEvent` and `timeoutAt`, calls `onTimeout`, and `enable` when the peer's Finished has verified;
 * - and calls nothing of this where the extension is off.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import type { ScopeRules } from "../../core/address_scope.ts";
import type { LocalCandidate } from "../../core/candidate.ts";
import type { Base } from "../../core/machine.ts";
import type { Random } from "../../core/random.ts";
import type { Writer } from "../../core/writer.ts";
import type { Dialect, TraversalFrame } from "./dialect.ts";
import type { ProbeBudget } from "./probe_budget.ts";

/** What either end is made of. */
export interface TraversalSetup {
  readonly dialect: Dialect;
  /** Requests in a round: on a client the limit that the server declared, on a server its own. */
  readonly concurrencyLimit: number;
  readonly random: Random;
  /** Of the process. */
  readonly budget: ProbeBudget;
  readonly rules: ScopeRules;
}

/** A base and a remote address: what a path is. */
export interface PathKey {
  readonly base: Base;
  readonly remote: Address;
}

/** A datagram of probing frames that is to be sent now, on a path that the connection does not use. */
export interface Probe extends PathKey {
  /** Of the probed path, never used again within the connection: all its probes go to one connection ID of the peer. */
  readonly id: number;
  /** Data of a PATH_RESPONSE. */
  readonly response: Uint8Array | undefined;
  /** Data of a PATH_CHALLENGE, fresh. */
  readonly challenge: Uint8Array | undefined;
  /** Whether the datagram is filled up to 1200 bytes (RFC 9000 §8.2.1); otherwise it must not be filled up at all. */
  readonly isFullSize: boolean;
  /** UDP payload that was counted for it, which a small one must not exceed. */
  readonly bytes: number;
}

/** What has to be known to let a probe go. */
export interface ProbeLeave {
  /** Whether there is a connection ID of the peer for one more path. Paths that have theirs go on without. */
  readonly hasFreshId: boolean;
  /** Bytes of all datagrams that the connection has received. */
  readonly receivedBytes: number;
}

/** What NAT traversal tells the connection, which passes it on. */
export type TraversalEvent =
  /**
   * Client: the peer answers on this path, in both directions, and no better path is known. Packets may take it now. It was
   * asked with a small datagram; `pathSized` or `pathFailed` follows. A path that has disappointed before is not told of
   * until its size is proven.
   */
  | { readonly type: "pathFound"; readonly base: Base; readonly remote: Address; readonly rttMs: number }
  /** Server: the client answers through our relay too, with 1200 bytes, and may come back that way. */
  | { readonly type: "wayBackFound"; readonly base: Base; readonly remote: Address; readonly rttMs: number }
  /** The path carries 1200 bytes: RFC 9000 §8.2.1. */
  | { readonly type: "pathSized"; readonly base: Base; readonly remote: Address }
  /** A path that was found does not carry 1200 bytes, or its base is gone: it must not be used. */
  | { readonly type: "pathFailed"; readonly base: Base; readonly remote: Address }
  /** Client: a round has ended without a path; the next begins at `nextAt` at the latest. */
  | { readonly type: "roundFailed"; readonly round: number; readonly nextAt: number };

/** What was sent to probe, and what was passed over, by reason. */
export interface TraversalCounts {
  /** Datagrams of probing frames, on paths that were not in use. */
  readonly probesSent: number;
  /** UDP payload of these. */
  readonly probeBytesSent: number;
  /** Probes that a budget held back. */
  readonly probesWithheld: number;
  /** Addresses of the peer that scope, port, family or number forbid. */
  readonly addressesRefused: number;
  /** Requests and removals that no longer, or never, meant anything. */
  readonly framesIgnored: number;
}

/** One end of NAT traversal on one connection. Synchronous and closed: it is told and polled. */
export interface NatTraversal {
  /** Names an address of ours that the peer may reach; one that is known already changes nothing. */
  addCandidate(candidate: LocalCandidate, now: number): void;
  /** An address of ours is no longer one. */
  removeCandidate(base: Base, address: Address, now: number): void;
  /** A base is gone, with all its candidates and paths. */
  removeBase(base: Base, now: number): void;

  /** The peer's Finished has verified: RFC 8446 §4.4.4. A server acts on no request before. */
  enable(now: number): void;
  /** Client: looks for a path anew, in a new round: the one in use is lost, or the network has changed. */
  restart(now: number): void;
  /** Stops everything: the connection is closed, or has no use for another path. */
  stop(): void;

  /** A frame came in. @throws {TransportError} PROTOCOL_VIOLATION. */
  onFrame(frame: TraversalFrame, now: number): void;
  /** Whether `writeFrame` has something. */
  hasFrame(now: number): boolean;
  /** Writes the next frame if it fits. @returns It, to be kept until acknowledged; `undefined` if nothing was written. */
  writeFrame(writer: Writer, now: number): TraversalFrame | undefined;
  /** The packet with this frame was lost; it is sent again if it still holds. */
  onFrameLost(frame: TraversalFrame): void;

  /** The next probe to send; `undefined` if none is due. */
  pollProbe(now: number, leave: ProbeLeave): Probe | undefined;
  /** A probed path that needs its connection ID no longer. */
  pollReleased(): number | undefined;
  /** PATH_CHALLENGE came in, authentic, in a datagram of `bytes`; the data is copied. */
  onChallenge(path: PathKey, data: Uint8Array, bytes: number, now: number): void;
  /** PATH_RESPONSE came in on `path`, in a datagram of `bytes`. @returns Whether it answers a challenge from here. */
  onResponse(path: PathKey, data: Uint8Array, bytes: number, now: number): boolean;
  /** The host has no way to send there. */
  onUnreachable(path: PathKey, now: number): void;
  /** Client: whether probing packets from an unknown address are expected on this base. */
  acceptsFrom(base: Base, now: number): boolean;
  /** Whether the peer has shown that it receives at `path.remote`. */
  isProven(path: PathKey): boolean;
  /** Time there and back, where the path has answered. */
  rttMsOf(path: PathKey): number | undefined;
  /** Whether `id` is the probed path of this base and address; its connection ID goes over to the path that comes into use. */
  probedPathId(path: PathKey): number | undefined;

  /** The next event. */
  pollEvent(): TraversalEvent | undefined;
  /** When `onTimeout`, and `pollProbe` after it, have something to do. */
  readonly timeoutAt: number | undefined;
  /** Runs what is due; early calls are harmless. */
  onTimeout(now: number): void;
  /** Numbers for reports. */
  readonly counts: TraversalCounts;
}
