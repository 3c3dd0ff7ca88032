/**
 * The listening side of every transport: tells how it can be reached, answers the offers of callers it admits, and makes a
 * session of the first connection of a call whose handshake is done. The choice is the caller's: only one of its connections
 * gets its Finished. What else it began for the call is dropped then.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import { equalBytes } from "../protocols/core/bytes.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, ListenerEvent } from "../signaling/machines.ts";
import { Publication } from "./publication.ts";
import { explainUnreachable } from "./report.ts";
import { NO_DIRECT_PATH_CODE } from "./relay_policy.ts";
import { SessionPaths } from "./session_paths.ts";
import type { EstablishedSession, Reception, RelayAccess } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";
import type { AcceptWay, Incoming, PendingCall } from "./ways.ts";

/** Calls that are being answered at once; the listener's machine refuses further offers before they get here. */
const MAX_CALLS = 32;

/** Application error code of a session that is closed at once because another caller was faster. */
export const BUSY_CODE = 1;

/** A connection whose handshake is done. */
interface Established {
  readonly way: AcceptWay;
  readonly paths: SessionPaths;
  /** Until the relay policy lets the application have it: what it is then told, and when that is given up. */
  awaited: { readonly session: EstablishedSession; readonly deadlineAt: number } | undefined;
}

/** Why a connection ends that could not leave its relay. */
const NO_DIRECT_PATH = "no direct path was found, and the relay policy keeps data off relays";

/** Waits for calls. Emits a `session` for each that came through, and `path` when one has moved. */
export class AcceptCalls implements TraversalLogic<ListenerEvent> {
  readonly #shell: TraversalShell<ListenerEvent>;
  readonly #reception: Reception;
  readonly #ways: readonly AcceptWay[];
  readonly #calls = new Map<string, PendingCall>();
  /** Connections that are no session yet; the endpoint bounds them. */
  readonly #handshakes = new Map<QuicConnection, Incoming>();
  readonly #sessions = new Map<QuicConnection, Established>();
  /** Sessions that we closed and whose CONNECTION_CLOSE may have to be repeated. */
  readonly #closing = new Set<QuicConnection>();
  readonly #publication: Publication;
  #isOver = false;
  #isReleased = false;

  /** @param makeWays Gets the calls, which are not to be told anything before the ways are there. */
  constructor(
    reception: Reception,
    shell: TraversalShell<ListenerEvent>,
    makeWays: (calls: AcceptCalls) => readonly AcceptWay[],
  ) {
    this.#reception = reception;
    this.#shell = shell;
    const { now } = shell.node;
    this.#ways = makeWays(this);
    this.addRelays(reception.relays, now);
    this.#publication = new Publication(shell, reception.listener, this.#ways, now);
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return { calls: this.#calls.size, handshakes: this.#handshakes.size, sessions: this.#sessions.size };
  }

  get timeoutAt(): number {
    let at = this.#publication.timeoutAt;
    for (const { deadlineAt } of this.#calls.values()) at = Math.min(at, deadlineAt);
    for (const { awaited } of this.#sessions.values()) at = Math.min(at, awaited?.deadlineAt ?? Infinity);
    return at;
  }

  onTimeout(now: number): void {
    this.#publication.onTimeout(now);
    for (const pending of this.#calls.values()) {
      if (now >= pending.deadlineAt) this.#failCall(pending);
    }
    for (const [connection, { awaited }] of this.#sessions) {
      if (awaited === undefined || now < awaited.deadlineAt) continue;
      connection.close(NO_DIRECT_PATH_CODE, NO_DIRECT_PATH, now);
      this.#shell.wakeEndpoint();
    }
  }

  onSettled(now: number): void {
    if (!this.#isOver || this.#isReleased || this.#sessions.size > 0) return;
    this.#forgetClosed();
    if (this.#closing.size > 0) return;
    for (const way of this.#ways) way.release(now);
    this.#isReleased = true;
    this.#shell.emit({ type: "released" });
  }

  onOpen(): void {
    // The listener's machine publishes by itself what it was given.
  }

  addRelays(relays: readonly RelayAccess[], now: number): void {
    for (const way of this.#ways) way.addRelays(relays, now);
  }

  onSocketError(error: SocketError, now: number): void {
    for (const way of this.#ways) way.handleSocketError(error, now);
    const { base, remote } = error;
    if (remote === undefined) return;
    for (const connection of this.#handshakes.keys()) connection.onUnreachable(base, remote, now);
    for (const connection of this.#sessions.keys()) connection.onUnreachable(base, remote, now);
  }

  onBasesChanged(now: number): void {
    for (const way of this.#ways) way.onBasesChanged?.(now);
  }

  close(code: number, reason: string, now: number): void {
    this.#isOver = true;
    for (const connection of this.#sessions.keys()) connection.close(code, reason, now);
    for (const connection of this.#handshakes.keys()) connection.abandon();
    this.#handshakes.clear();
    for (const pending of this.#calls.values()) this.#endCall(pending);
    for (const way of this.#ways) way.close();
    this.#shell.gathering.stop();
    this.#shell.endDialogue();
    this.#publication.stop();
  }

  onCandidate(candidate: LocalCandidate, now: number): void {
    for (const way of this.#ways) way.addLocal(candidate, now);
    for (const incoming of this.#handshakes.values()) {
      if (this.#wayOf(incoming)?.tellsAtOnce(incoming) === true) incoming.connection.addCandidate(candidate, now);
    }
    for (const { paths } of this.#sessions.values()) paths.addCandidate(candidate, now);
    this.#shell.wakeEndpoint();
    this.#publication.onChange(now);
  }

  onCandidateWithdrawn(candidate: LocalCandidate, now: number): void {
    const { base, address } = candidate;
    for (const way of this.#ways) way.removeLocal(candidate, now);
    for (const connection of this.#handshakes.keys()) connection.removeCandidate(base, address, now);
    for (const { paths } of this.#sessions.values()) paths.removeCandidate(candidate, now);
    this.#shell.wakeEndpoint();
    this.#publication.onChange(now);
  }

  onGathered(now: number): void {
    this.#publication.onReady(now);
    for (const way of this.#ways) way.endOfLocal(now);
  }

  /** Addresses of ours that hold now, in the order they were found. */
  get candidates(): readonly LocalCandidate[] {
    // In the constructor nothing is gathered yet.
    return this.#shell.gathering?.candidates ?? [];
  }

  /** What a way publishes, or whether it is ready, has changed. */
  onPublishable(now: number): void {
    this.#publication.onChange(now);
  }

  /** What a check has measured towards an address, for the handshakes from there. */
  provideRtt(remote: Address, rttMs: number): void {
    for (const connection of this.#handshakes.keys()) {
      if (connection.path.remote === remote) connection.provideRtt(rttMs);
    }
    this.#shell.wakeEndpoint();
  }

  onDialogue(event: ListenerEvent, now: number): void {
    switch (event.type) {
      case "open":
        this.#shell.emit({ type: "openChannel" });
        return;
      case "registered":
        this.#publication.onRegistered(now);
        return;
      case "stunServers":
      case "relays":
      case "unregistered":
      case "ticket":
      case "mispaste":
      case "refused":
        this.#shell.emit(event);
        return;
      case "offer":
        this.#answer(event.call, now);
        return;
      case "candidates": {
        const pending = this.#calls.get(event.call);
        if (pending === undefined) return;
        for (const way of this.#ways) way.addRemote(pending, event.candidates, now);
        return;
      }
      case "failed":
        this.#shell.emit({ type: "failed", reason: event.reason, message: event.message, report: [] });
        return;
      default:
        unreachable(event);
    }
  }

  /** Somebody whom we admit calls: each way lets the caller in. */
  #answer(call: Call, now: number): void {
    const { listener, patient } = this.#reception;
    if (this.#isOver || this.#calls.size >= MAX_CALLS) {
      listener.settle(call.id);
      return;
    }
    const deadlineAt = patient ? call.expiresAt : now + this.#shell.node.dialTimeoutMs;
    const pending: PendingCall = { call, startedAt: now, deadlineAt, checkedMs: undefined };
    this.#calls.set(call.id, pending);
    for (const way of this.#ways) way.answer(pending, now);
  }

  onEndpoint(endpointEvent: EndpointEvent, now: number): void {
    const { connection } = endpointEvent;
    if (endpointEvent.type === "incoming") {
      this.#onIncoming({ connection, token: endpointEvent.token, startedAt: now }, now);
      return;
    }
    const { event } = endpointEvent;
    const incoming = this.#handshakes.get(connection);
    const session = this.#sessions.get(connection);
    if (incoming !== undefined) this.#onHandshakeEvent(incoming, event, now);
    else if (session !== undefined) this.#onSessionEvent(connection, session, event, now);
  }

  #onIncoming(incoming: Incoming, now: number): void {
    const { connection } = incoming;
    this.#handshakes.set(connection, incoming);
    const way = this.#wayOf(incoming);
    way?.welcome(incoming);
    // The addresses leave with the first 1-RTT packets.
    if (way?.tellsAtOnce(incoming) === true) this.#tellCandidates(connection, now);
  }

  #onHandshakeEvent(incoming: Incoming, event: ConnectionEvent, now: number): void {
    const { connection } = incoming;
    switch (event.type) {
      case "verifyPeer": {
        // The key proved in TLS must be the key that signed an offer.
        const isAdmitted = this.#isAdmitted(incoming, event.peer.ed25519PublicKey);
        connection.provideVerdict(
          isAdmitted ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#shell.wakeEndpoint();
        return;
      }
      case "handshakeComplete":
        this.#handshakes.delete(connection);
        this.#onComplete(incoming, event.peer?.ed25519PublicKey, now);
        return;
      case "closed":
        this.#handshakes.delete(connection);
        return;
      case "keyLog":
        this.#shell.emit({ type: "connection", connection, event });
        return;
      default:
        // Until the handshake is complete there is nothing to hand on, and afterwards the connection is a session.
        return;
    }
  }

  #onComplete(incoming: Incoming, peer: Uint8Array | undefined, now: number): void {
    const { connection } = incoming;
    const pending = this.#callOf(peer);
    if (peer === undefined || !this.#isAdmitted(incoming, peer)) {
      // A second connection of one call: the first became the session.
      connection.close(0, "the call is over", now);
    } else if (this.#sessions.size >= this.#reception.maxSessions) {
      // Another caller was faster: this one had its offer accepted while there was room.
      connection.close(BUSY_CODE, "busy: the listener serves somebody else", now);
      if (pending !== undefined) this.#endCall(pending);
    } else {
      this.#establish(incoming, pending, peer, now);
    }
    this.#shell.wakeEndpoint();
  }

  #establish(incoming: Incoming, pending: PendingCall | undefined, peer: Uint8Array, now: number): void {
    const { connection } = incoming;
    const way = this.#wayOf(incoming);
    if (way === undefined) return;
    const startedAt = pending?.startedAt ?? incoming.startedAt;
    const handshake = now - startedAt;
    const times = pending === undefined
      ? { handshake }
      : { gathered: 0, signaled: 0, checked: pending.checkedMs ?? handshake, handshake };
    const candidates = (): readonly LocalCandidate[] => this.candidates;
    const options = { connection, startedAt, relayed: [], findings: [], candidates };
    const paths = new SessionPaths(this.#shell, options);
    const session: EstablishedSession = {
      transport: way.transport,
      connection,
      peer,
      startedAt,
      times,
      isRelayed: (path) => paths.isRelayed(path),
    };
    const established: Established = {
      way,
      paths,
      awaited: { session, deadlineAt: now + this.#shell.node.dialTimeoutMs },
    };
    this.#sessions.set(connection, established);
    // Those that it knows already change nothing.
    if (way.tellsAddresses) this.#tellCandidates(connection, now);
    this.#dropOthers(incoming, pending);
    if (pending !== undefined) this.#settleCall(pending, way, connection);
    for (const other of this.#calls.values()) if (isKeyOf(other.call.remote, peer)) this.#endCall(other);
    if (this.#sessions.size >= this.#reception.maxSessions) this.#reception.listener.setBusy(true, now);
    this.#shell.wakeDialogue();
    this.#handOver(established);
  }

  /** The application gets its session as soon as the relay policy lets it. */
  #handOver(established: Established): void {
    const { awaited, paths } = established;
    if (awaited === undefined || !paths.isUsable) return;
    established.awaited = undefined;
    this.#shell.emit({ type: "session", session: awaited.session });
  }

  #onSessionEvent(connection: QuicConnection, established: Established, event: ConnectionEvent, now: number): void {
    const { way, paths, awaited } = established;
    if (awaited === undefined || event.type === "keyLog") this.#shell.emit({ type: "connection", connection, event });
    if (event.type !== "closed") {
      paths.onEvent(event, now);
      way.onSessionEvent?.(connection, event, now);
      this.#handOver(established);
      return;
    }
    if (awaited !== undefined) {
      const message = `No direct path: the connection through the relay has ended (${event.reason})`;
      this.#shell.emit({ type: "callFailed", message, report: [] });
    }
    way.sessionEnded(connection);
    this.#sessions.delete(connection);
    this.#forgetClosed();
    if (connection.state === "closing") this.#closing.add(connection);
    if (this.#sessions.size === this.#reception.maxSessions - 1) this.#reception.listener.setBusy(false, now);
    this.#shell.wakeDialogue();
  }

  #tellCandidates(connection: QuicConnection, now: number): void {
    for (const candidate of this.candidates) connection.addCandidate(candidate, now);
  }

  #wayOf(incoming: Incoming): AcceptWay | undefined {
    return this.#ways.find((way) => way.owns(incoming)) ?? this.#ways[0];
  }

  /** By an offer that this key has signed, or without any. */
  #isAdmitted(incoming: Incoming, key: Uint8Array | undefined): boolean {
    return this.#callOf(key) !== undefined || this.#ways.some((way) => way.admitsHolder(incoming, key));
  }

  /** The latest call of whoever proved this key: a caller that calls again has given up the call before. */
  #callOf(key: Uint8Array | undefined): PendingCall | undefined {
    let latest: PendingCall | undefined;
    if (key === undefined) return undefined;
    for (const pending of this.#calls.values()) if (isKeyOf(pending.call.remote, key)) latest = pending;
    return latest;
  }

  #forgetClosed(): void {
    for (const connection of this.#closing) if (connection.state !== "closing") this.#closing.delete(connection);
  }

  #failCall(pending: PendingCall): void {
    const reports = this.#ways.map((way) => way.report(pending)).filter((report) => report !== undefined);
    const report = reports.flat();
    if (reports.length > 0) {
      this.#shell.emit({ type: "callFailed", message: explainUnreachable(report, undefined), report });
    }
    this.#endCall(pending);
  }

  /** The caller has chosen: what else it began for the call, or from the same socket through another relay, is dropped. */
  #dropOthers(chosen: Incoming, pending: PendingCall | undefined): void {
    for (const incoming of this.#handshakes.values()) {
      const { connection, token } = incoming;
      const isOfCall = pending !== undefined && this.#ways.some((way) => way.isAttemptOf(pending, incoming));
      const isOfTicket = token.length > 0 && equalBytes(token, chosen.token) &&
        connection.path.remote === chosen.connection.path.remote;
      if (!isOfCall && !isOfTicket) continue;
      this.#handshakes.delete(connection);
      connection.abandon();
    }
    this.#shell.wakeEndpoint();
  }

  /** The call has become a session. */
  #settleCall(pending: PendingCall, winner: AcceptWay, session: QuicConnection): void {
    this.#calls.delete(pending.call.id);
    for (const way of this.#ways) {
      if (way === winner) way.won(pending, session);
      else way.ended(pending);
    }
    this.#reception.listener.settle(pending.call.id);
  }

  #endCall(pending: PendingCall): void {
    this.#calls.delete(pending.call.id);
    for (const way of this.#ways) way.ended(pending);
    this.#reception.listener.settle(pending.call.id);
    this.#shell.wakeDialogue();
  }
}
