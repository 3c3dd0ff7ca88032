/**
 * The listening side of `ice-then-quic`: keeps its candidates true while it waits, answers the checks of callers it has
 * admitted, and takes their QUIC connections (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { IceEvent } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, ListenerEvent } from "../signaling/machines.ts";
import { IceCall } from "./ice_call.ts";
import { explainUnreachable } from "./report.ts";
import type { CallTimes, Reception, RelayAccess } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";

/** Calls that are being answered at once; the listener's machine refuses further offers before they get here. */
const MAX_CALLS = 32;

/** How long the first publication waits for a STUN answer: the record is then made true by the next one. */
const MAX_PUBLISH_DELAY_MS = 200;

/** A ticket without a hub is made once: it waits for every STUN answer, at most so long. */
const MAX_TICKET_DELAY_MS = 1000;

/** Application error code of a session that is closed at once because another caller was faster. */
export const BUSY_CODE = 1;

/** An accepted offer on its way to a session. */
interface PendingCall {
  readonly call: Call;
  readonly ice: IceCall;
  readonly startedAt: number;
  readonly deadlineAt: number;
  /** Addresses from which an Initial is answered: what the offer names, and where authenticated checks came from. */
  readonly admitted: Set<Address>;
  /** Round trips that checks have measured. */
  readonly rttsMs: Map<Address, number>;
  times: CallTimes;
}

/** Waits for calls. Emits a `session` for each that came through. */
export class IceThenQuicAccept implements TraversalLogic<ListenerEvent> {
  readonly #shell: TraversalShell<ListenerEvent>;
  readonly #reception: Reception;
  readonly #transport: string;
  readonly #calls = new Map<string, PendingCall>();
  /** Connections that are no session yet; the endpoint bounds them. */
  readonly #handshakes = new Set<QuicConnection>();
  readonly #sessions = new Map<QuicConnection, IceCall>();
  /** Sessions that we closed and whose CONNECTION_CLOSE may have to be repeated. */
  readonly #closing = new Set<QuicConnection>();
  #publishAt: number;
  #hasPublished = false;
  #isOver = false;
  #isReleased = false;

  constructor(transport: string, reception: Reception, shell: TraversalShell<ListenerEvent>) {
    this.#transport = transport;
    this.#reception = reception;
    this.#shell = shell;
    this.#publishAt = shell.node.now + (reception.patient ? MAX_TICKET_DELAY_MS : MAX_PUBLISH_DELAY_MS);
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return { calls: this.#calls.size, handshakes: this.#handshakes.size, sessions: this.#sessions.size };
  }

  get timeoutAt(): number {
    let at = this.#publishAt;
    for (const { deadlineAt } of this.#calls.values()) at = Math.min(at, deadlineAt);
    return at;
  }

  onTimeout(now: number): void {
    if (now >= this.#publishAt) this.#publish(now);
    for (const pending of this.#calls.values()) {
      if (now >= pending.deadlineAt) this.#failCall(pending);
    }
  }

  addRelays(_relays: readonly RelayAccess[], _now: number): void {}

  onSettled(): void {
    if (!this.#isOver || this.#isReleased || this.#sessions.size > 0) return;
    this.#forgetClosed();
    this.#isReleased = this.#closing.size === 0;
    if (this.#isReleased) this.#shell.emit({ type: "released" });
  }

  onOpen(): void {
    // The listener's machine publishes by itself what it was given.
  }

  onSocketError(error: SocketError, now: number): void {
    for (const { ice } of this.#calls.values()) ice.handleSocketError(error, now);
  }

  close(code: number, reason: string, now: number): void {
    this.#isOver = true;
    for (const connection of this.#sessions.keys()) connection.close(code, reason, now);
    for (const pending of this.#calls.values()) this.#endCall(pending);
    this.#shell.gathering.stop();
    this.#shell.endDialogue();
    this.#publishAt = Infinity;
  }

  onCandidate(candidate: LocalCandidate, now: number): void {
    for (const { ice } of this.#calls.values()) ice.addLocal([candidate], now);
    // What is known first goes out when a server has answered; what comes later makes the record true again.
    if (this.#hasPublished || (candidate.type === "srflx" && !this.#reception.patient)) this.#publish(now);
  }

  onCandidateWithdrawn(candidate: LocalCandidate, now: number): void {
    for (const { ice } of this.#calls.values()) ice.removeLocal(candidate, now);
    if (this.#hasPublished) this.#publish(now);
  }

  onGathered(now: number): void {
    if (!this.#hasPublished) this.#publish(now);
    for (const { ice } of this.#calls.values()) ice.endOfLocal(now);
  }

  #publish(now: number): void {
    this.#publishAt = Infinity;
    this.#hasPublished = true;
    this.#reception.listener.publish(this.#shell.gathering.candidates, now);
    this.#shell.wakeDialogue();
  }

  onDialogue(event: ListenerEvent, now: number): void {
    switch (event.type) {
      case "open":
        this.#shell.emit({ type: "openChannel" });
        return;
      case "stunServers":
      case "relays":
      case "registered":
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
        if (pending !== undefined) this.#addRemote(pending, event.candidates, now);
        return;
      }
      case "failed":
        this.#shell.emit({ type: "failed", reason: event.reason, message: event.message, report: [] });
        return;
      default:
        unreachable(event);
    }
  }

  /** Somebody whom we admit calls: our checks open our NAT for theirs. */
  #answer(call: Call, now: number): void {
    if (this.#isOver || this.#calls.size >= MAX_CALLS) {
      this.#reception.listener.settle(call.id);
      return;
    }
    const { patient } = this.#reception;
    const handle = (event: IceEvent, at: number): void => this.#onIce(call.id, event, at);
    const ice = new IceCall(this.#shell.mux, this.#shell.node, call, { role: "controlled", patient, now }, handle);
    const deadlineAt = patient ? call.expiresAt : now + this.#shell.node.dialTimeoutMs;
    const pending: PendingCall = {
      call,
      ice,
      startedAt: now,
      deadlineAt,
      admitted: new Set(),
      rttsMs: new Map(),
      times: { gathered: 0, signaled: 0 },
    };
    this.#calls.set(call.id, pending);
    ice.addLocal(this.#shell.gathering.candidates, now);
    if (this.#shell.gathering.isDone) ice.endOfLocal(now);
    this.#addRemote(pending, call.candidates, now);
  }

  #addRemote(pending: PendingCall, candidates: readonly RemoteCandidate[], now: number): void {
    pending.ice.addRemote(candidates, now);
    for (const { address } of candidates) this.#admit(pending, address);
  }

  /** An Initial from there is answered from now on; anyone else meets silence. */
  #admit(pending: PendingCall, remote: Address): void {
    pending.admitted.add(remote);
    this.#shell.endpoint.admit(remote, pending.deadlineAt);
  }

  /** Without it a lost answer to the Initial would be sent again only after the second that RFC 9002 §6.2.2 assumes. */
  #provideRtt(pending: PendingCall, remote: Address, rttMs: number): void {
    pending.rttsMs.set(remote, rttMs);
    for (const connection of this.#handshakes) {
      if (connection.path.remote === remote) connection.provideRtt(rttMs);
    }
    this.#shell.wakeEndpoint();
  }

  /** Takes back what was admitted for a call that is no longer pending, unless another one names it too. */
  #withdrawAdmission({ admitted }: PendingCall): void {
    for (const address of admitted) {
      if (![...this.#calls.values()].some((other) => other.admitted.has(address))) {
        this.#shell.endpoint.unadmit(address);
      }
    }
  }

  #onIce(callId: string, event: IceEvent, now: number): void {
    const pending = this.#calls.get(callId);
    if (pending === undefined) return;
    switch (event.type) {
      case "authenticatedCheck":
        if (pending.times.checked === undefined) {
          pending.times = { ...pending.times, checked: now - pending.startedAt };
        }
        this.#admit(pending, event.remote);
        if (event.rttMs !== undefined) this.#provideRtt(pending, event.remote, event.rttMs);
        return;
      case "failed":
        // The caller decides when to give up, and may still come from an address that we do not know yet.
        return;
      case "valid":
      case "nominated":
      case "roleChanged":
        return;
      default:
        unreachable(event);
    }
  }

  #onIncoming(connection: QuicConnection): void {
    this.#handshakes.add(connection);
    for (const { rttsMs } of this.#calls.values()) {
      const rttMs = rttsMs.get(connection.path.remote);
      if (rttMs !== undefined) connection.provideRtt(rttMs);
    }
  }

  onEndpoint(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type === "incoming") {
      this.#onIncoming(endpointEvent.connection);
      return;
    }
    const { connection, event } = endpointEvent;
    if (event.type === "handshakeComplete" || event.type === "closed") this.#handshakes.delete(connection);
    const ice = this.#sessions.get(connection);
    if (ice !== undefined) {
      this.#shell.emit({ type: "connection", connection, event });
      if (event.type === "closed") this.#endSession(connection, ice, now);
      return;
    }
    switch (event.type) {
      case "verifyPeer": {
        // The key proved in TLS must be the key that signed an offer.
        const hasCalled = this.#callOf(event.peer.ed25519PublicKey) !== undefined;
        connection.provideVerdict(
          hasCalled ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#shell.wakeEndpoint();
        return;
      }
      case "handshakeComplete": {
        const peerKey = event.peer?.ed25519PublicKey;
        const pending = this.#callOf(peerKey);
        if (pending !== undefined && peerKey !== undefined) {
          if (this.#sessions.size < this.#reception.maxSessions) this.#establish(pending, connection, peerKey, now);
          else this.#turnAway(pending, connection, now);
          return;
        }
        // A second connection of one call: the first became the session.
        connection.close(0, "the call is over", now);
        this.#shell.wakeEndpoint();
        return;
      }
      case "keyLog":
        this.#shell.emit({ type: "connection", connection, event });
        return;
      default:
        // Until the handshake is complete there is nothing to hand on, and afterwards the connection is a session.
        return;
    }
  }

  /** The latest call of whoever proved this key: a caller that calls again has given up the call before. */
  #callOf(key: Uint8Array | undefined): PendingCall | undefined {
    let latest: PendingCall | undefined;
    if (key === undefined) return undefined;
    for (const pending of this.#calls.values()) if (isKeyOf(pending.call.remote, key)) latest = pending;
    return latest;
  }

  /** Another caller was faster: this one had its offer accepted while there was room. */
  #turnAway(pending: PendingCall, connection: QuicConnection, now: number): void {
    connection.close(BUSY_CODE, "busy: the listener serves somebody else", now);
    this.#shell.wakeEndpoint();
    this.#endCall(pending);
  }

  #establish(pending: PendingCall, connection: QuicConnection, peerKey: Uint8Array, now: number): void {
    const { call, ice, startedAt } = pending;
    this.#calls.delete(call.id);
    this.#withdrawAdmission(pending);
    this.#sessions.set(connection, ice);
    this.#reception.listener.settle(call.id);
    for (const other of this.#calls.values()) if (isKeyOf(other.call.remote, peerKey)) this.#endCall(other);
    if (this.#sessions.size >= this.#reception.maxSessions) this.#reception.listener.setBusy(true, now);
    this.#shell.wakeDialogue();
    const handshake = now - startedAt;
    const times = { checked: handshake, ...pending.times, handshake };
    this.#shell.emit({
      type: "session",
      session: { transport: this.#transport, connection, peer: peerKey, startedAt, times },
    });
  }

  #endSession(connection: QuicConnection, ice: IceCall, now: number): void {
    ice.stop();
    this.#sessions.delete(connection);
    this.#forgetClosed();
    if (connection.state === "closing") this.#closing.add(connection);
    if (this.#sessions.size === this.#reception.maxSessions - 1) this.#reception.listener.setBusy(false, now);
    this.#shell.wakeDialogue();
  }

  #forgetClosed(): void {
    for (const connection of this.#closing) if (connection.state !== "closing") this.#closing.delete(connection);
  }

  #failCall(pending: PendingCall): void {
    const report = pending.ice.report();
    this.#shell.emit({ type: "callFailed", message: explainUnreachable(report, undefined), report });
    this.#endCall(pending);
  }

  #endCall(pending: PendingCall): void {
    this.#calls.delete(pending.call.id);
    this.#withdrawAdmission(pending);
    pending.ice.stop();
    this.#reception.listener.settle(pending.call.id);
    this.#shell.wakeDialogue();
  }
}
