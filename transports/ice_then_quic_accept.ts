/**
 * The listening side of `ice-then-quic`: keeps its candidates true while it waits, answers the checks of callers it has
 * admitted, and takes their QUIC connections (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { IceEvent } from "../protocols/ice/types.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, ListenerEvent } from "../signaling/machines.ts";
import { Gathering } from "./gathering.ts";
import type { GatheringListener } from "./gathering.ts";
import { IceCall } from "./ice_call.ts";
import { MessagePort } from "./message_port.ts";
import type { MessagePortEvent } from "./message_port.ts";
import { Mux } from "./mux.ts";
import type { Port } from "./mux.ts";
import { explainUnreachable } from "./report.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { CallTimes, Node, Reception, TraversalEvent, TraversalMachine } from "./traversal.ts";

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
export class IceThenQuicAccept implements TraversalMachine, GatheringListener {
  readonly #node: Node;
  readonly #reception: Reception;
  readonly #transport: string;
  readonly #mux = new Mux();
  readonly #endpoint: QuicEndpoint;
  readonly #endpointPort: Port;
  readonly #listenerPort: Port;
  readonly #gathering: Gathering;
  readonly #events: TraversalEvent[] = [];
  readonly #calls = new Map<string, PendingCall>();
  /** Connections that are no session yet; the endpoint bounds them. */
  readonly #handshakes = new Set<QuicConnection>();
  readonly #sessions = new Map<QuicConnection, IceCall>();
  /** Sessions that we closed and whose CONNECTION_CLOSE may have to be repeated. */
  readonly #closing = new Set<QuicConnection>();
  #publishAt: number | undefined;
  #hasPublished = false;
  #isOver = false;
  #isReleased = false;
  #now: number;

  constructor(transport: string, reception: Reception, node: Node) {
    this.#transport = transport;
    this.#reception = reception;
    this.#node = node;
    this.#now = node.now;
    this.#endpoint = new QuicEndpoint({
      ...DEFAULT_ENDPOINT_CONFIG,
      admission: "listed",
      server: { tls: tlsSettings(node), transport: node.quic },
    }, node.random);
    this.#endpointPort = this.#mux.attach(this.#endpoint, (event: EndpointEvent, now) => this.#onQuic(event, now));
    this.#mux.routeQuic(this.#endpointPort);
    this.#listenerPort = this.#mux.attach(
      new MessagePort(reception.listener),
      (event: MessagePortEvent<ListenerEvent>, now) => this.#onListener(event, now),
    );
    this.#publishAt = node.now + (reception.patient ? MAX_TICKET_DELAY_MS : MAX_PUBLISH_DELAY_MS);
    this.#gathering = new Gathering(this.#mux, node, this);
  }

  /** The endpoint's counters: what strangers' packets were dropped for. */
  get drops(): ReadonlyMap<string, number> {
    return this.#endpoint.drops;
  }

  /** Sizes of all tables, for reports and tests: each is 0 once listening is over. */
  get tableSizes(): Readonly<Record<string, number>> {
    return {
      ...this.#endpoint.tableSizes,
      ...this.#mux.tableSizes,
      calls: this.#calls.size,
      handshakes: this.#handshakes.size,
      sessions: this.#sessions.size,
    };
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#now = now;
    this.#mux.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.#mux.handleTimeout(now);
    if (this.#publishAt !== undefined && now >= this.#publishAt) this.#publish(now);
    for (const pending of this.#calls.values()) {
      if (now >= pending.deadlineAt) this.#failCall(pending, now);
    }
  }

  pollTransmit(now: number): Datagram | undefined {
    this.#now = now;
    return this.#mux.pollTransmit(now);
  }

  pollEvent(): TraversalEvent | undefined {
    this.#mux.settle(this.#now);
    if (this.#isOver && !this.#isReleased && this.#sessions.size === 0) {
      this.#forgetClosed();
      this.#isReleased = this.#closing.size === 0;
      if (this.#isReleased) this.#events.push({ type: "released" });
    }
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    let at = this.#mux.pollTimeout() ?? Infinity;
    if (this.#publishAt !== undefined) at = Math.min(at, this.#publishAt);
    for (const { deadlineAt } of this.#calls.values()) at = Math.min(at, deadlineAt);
    return at === Infinity ? undefined : at;
  }

  handleOpen(now: number): void {
    this.#now = now;
    this.#reception.listener.handleOpen(now);
    this.#listenerPort.wake();
  }

  handleMessage(text: string, now: number): void {
    this.#now = now;
    this.#reception.listener.handleMessage(text, now);
    this.#listenerPort.wake();
  }

  handleClosed(now: number, reason?: string, isRefused?: boolean): void {
    this.#now = now;
    this.#reception.listener.handleClosed(now, reason, isRefused);
    this.#listenerPort.wake();
  }

  handleSocketError(error: SocketError, now: number): void {
    this.#now = now;
    this.#events.push({ type: "socketError", error });
    this.#gathering.handleSocketError(error, now);
    for (const { ice } of this.#calls.values()) ice.handleSocketError(error, now);
  }

  addStunServers(servers: readonly Address[], now: number): void {
    this.#now = now;
    this.#gathering.addServers(servers, now);
  }

  wake(): void {
    this.#endpointPort.wake();
    this.#listenerPort.wake();
  }

  close(code: number, reason: string, now: number): void {
    this.#now = now;
    this.#isOver = true;
    for (const connection of this.#sessions.keys()) connection.close(code, reason, now);
    for (const pending of this.#calls.values()) this.#endCall(pending);
    this.#gathering.stop();
    this.#mux.detach(this.#listenerPort);
    this.#publishAt = undefined;
    this.#endpointPort.wake();
  }

  candidateFound(candidate: LocalCandidate, now: number): void {
    this.#events.push({ type: "candidate", candidate });
    for (const { ice } of this.#calls.values()) ice.addLocal([candidate], now);
    // What is known first goes out when a server has answered; what comes later makes the record true again.
    if (this.#hasPublished || (candidate.type === "srflx" && !this.#reception.patient)) this.#publish(now);
  }

  candidateWithdrawn(candidate: LocalCandidate, now: number): void {
    for (const { ice } of this.#calls.values()) ice.removeLocal(candidate, now);
    if (this.#hasPublished) this.#publish(now);
  }

  gatheringFailed(event: { readonly base: Base; readonly reason: string }): void {
    this.#events.push({ type: "gatheringError", base: event.base, reason: event.reason });
  }

  gatheringDone(now: number): void {
    if (!this.#hasPublished) this.#publish(now);
    for (const { ice } of this.#calls.values()) ice.endOfLocal(now);
  }

  #publish(now: number): void {
    this.#publishAt = undefined;
    this.#hasPublished = true;
    this.#reception.listener.publish(this.#gathering.candidates, now);
    this.#listenerPort.wake();
  }

  #onListener(portEvent: MessagePortEvent<ListenerEvent>, now: number): void {
    if (portEvent.type === "message") {
      this.#events.push(portEvent);
      return;
    }
    const event = portEvent.event;
    switch (event.type) {
      case "open":
        this.#events.push({ type: "openChannel" });
        return;
      case "stunServers":
      case "registered":
      case "unregistered":
      case "ticket":
      case "mispaste":
      case "refused":
        this.#events.push(event);
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
        this.#events.push({ type: "failed", reason: event.reason, message: event.message, report: [] });
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
    const ice = new IceCall(this.#mux, this.#node, call, { role: "controlled", patient, now }, handle);
    const deadlineAt = patient ? call.expiresAt : now + this.#node.dialTimeoutMs;
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
    ice.addLocal(this.#gathering.candidates, now);
    if (this.#gathering.isDone) ice.endOfLocal(now);
    this.#addRemote(pending, call.candidates, now);
  }

  #addRemote(pending: PendingCall, candidates: readonly RemoteCandidate[], now: number): void {
    pending.ice.addRemote(candidates, now);
    for (const { address } of candidates) this.#admit(pending, address);
  }

  /** An Initial from there is answered from now on; anyone else meets silence. */
  #admit(pending: PendingCall, remote: Address): void {
    pending.admitted.add(remote);
    this.#endpoint.admit(remote, pending.deadlineAt);
  }

  /** Without it a lost answer to the Initial would be sent again only after the second that RFC 9002 §6.2.2 assumes. */
  #provideRtt(pending: PendingCall, remote: Address, rttMs: number): void {
    pending.rttsMs.set(remote, rttMs);
    for (const connection of this.#handshakes) {
      if (connection.path.remote === remote) connection.provideRtt(rttMs);
    }
    this.#endpointPort.wake();
  }

  /** Takes back what was admitted for a call that is no longer pending, unless another one names it too. */
  #withdrawAdmission({ admitted }: PendingCall): void {
    for (const address of admitted) {
      if (![...this.#calls.values()].some((other) => other.admitted.has(address))) this.#endpoint.unadmit(address);
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

  #onQuic(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type === "incoming") {
      this.#onIncoming(endpointEvent.connection);
      return;
    }
    const { connection, event } = endpointEvent;
    if (event.type === "handshakeComplete" || event.type === "closed") this.#handshakes.delete(connection);
    const ice = this.#sessions.get(connection);
    if (ice !== undefined) {
      this.#events.push({ type: "connection", connection, event });
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
        this.#endpointPort.wake();
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
        this.#endpointPort.wake();
        return;
      }
      case "keyLog":
        this.#events.push({ type: "connection", connection, event });
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
    this.#endpointPort.wake();
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
    this.#listenerPort.wake();
    const handshake = now - startedAt;
    const times = { checked: handshake, ...pending.times, handshake };
    this.#events.push({
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
    this.#listenerPort.wake();
  }

  #forgetClosed(): void {
    for (const connection of this.#closing) if (connection.state !== "closing") this.#closing.delete(connection);
  }

  #failCall(pending: PendingCall, _now: number): void {
    const report = pending.ice.report();
    this.#events.push({ type: "callFailed", message: explainUnreachable(report, undefined), report });
    this.#endCall(pending);
  }

  #endCall(pending: PendingCall): void {
    this.#calls.delete(pending.call.id);
    this.#withdrawAdmission(pending);
    pending.ice.stop();
    this.#reception.listener.settle(pending.call.id);
    this.#listenerPort.wake();
  }
}
