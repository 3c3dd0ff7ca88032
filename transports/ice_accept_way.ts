/**
 * The way of `ice-then-quic`, listening: answers the checks of callers whose offers were accepted, and takes their QUIC
 * connections from where offers and checks have named (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { IceEvent, PairReport } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import type { ListenerEvent } from "../signaling/machines.ts";
import type { AcceptCalls } from "./accept_calls.ts";
import { IceCall } from "./ice_call.ts";
import type { Reception } from "./traversal.ts";
import type { TraversalShell } from "./traversal_shell.ts";
import type { AcceptWay, Incoming, PendingCall } from "./ways.ts";

/** How long callers are told nothing while no STUN server has answered: the record is made true by the next one. */
const MAX_STUN_WAIT_MS = 200;

/** A ticket without a hub is made once: it waits for every STUN answer, at most so long. */
const MAX_TICKET_WAIT_MS = 1000;

/** What is done for one call. */
interface Checking {
  readonly ice: IceCall;
  /** Addresses from which an Initial is answered: what the offer names, and where authenticated checks came from. */
  readonly admitted: Set<Address>;
  /** Round trips that checks have measured. */
  readonly rttsMs: Map<Address, number>;
}

/** The checks of all calls. */
export class IceAcceptWay implements AcceptWay {
  readonly transport = "ice-then-quic";
  readonly isReachable = true;
  readonly tellsAddresses = false;
  readonly patienceMs: number;
  readonly #reception: Reception;
  readonly #shell: TraversalShell<ListenerEvent>;
  readonly #calls: AcceptCalls;
  readonly #checking = new Map<PendingCall, Checking>();
  /** Agents of sessions keep the path in use. */
  readonly #sessions = new Map<QuicConnection, IceCall>();

  constructor(reception: Reception, shell: TraversalShell<ListenerEvent>, calls: AcceptCalls) {
    this.#reception = reception;
    this.#shell = shell;
    this.#calls = calls;
    this.patienceMs = reception.patient ? MAX_TICKET_WAIT_MS : MAX_STUN_WAIT_MS;
  }

  /** Whether waiting longer would tell callers nothing that matters. */
  get isReady(): boolean {
    if (this.#shell.gathering?.isDone === true) return true;
    return !this.#reception.patient && this.#calls.candidates.some(({ type }) => type === "srflx");
  }

  get published(): readonly RemoteCandidate[] {
    return this.#calls.candidates;
  }

  /** Our checks open our NAT for the caller's. */
  answer(pending: PendingCall, now: number): void {
    const { call } = pending;
    const { patient } = this.#reception;
    const handle = (event: IceEvent, at: number): void => this.#onIce(pending, event, at);
    const ice = new IceCall(this.#shell, call, { role: "controlled", patient, now }, handle);
    this.#checking.set(pending, { ice, admitted: new Set(), rttsMs: new Map() });
    ice.addLocal(this.#calls.candidates, now);
    if (this.#shell.gathering.isDone) ice.endOfLocal(now);
    this.addRemote(pending, call.candidates, now);
  }

  addRemote(pending: PendingCall, candidates: readonly RemoteCandidate[], now: number): void {
    const direct = candidates.filter(({ type }) => type !== "relay");
    this.#checking.get(pending)?.ice.addRemote(direct, now);
    for (const { address, name } of direct) if (name === undefined) this.#admit(pending, address);
  }

  addLocal(candidate: LocalCandidate, now: number): void {
    for (const { ice } of this.#checking.values()) ice.addLocal([candidate], now);
  }

  removeLocal(candidate: LocalCandidate, now: number): void {
    for (const { ice } of this.#checking.values()) ice.removeLocal(candidate, now);
  }

  endOfLocal(now: number): void {
    for (const { ice } of this.#checking.values()) ice.endOfLocal(now);
  }

  addRelays(): void {
    // Checks do without.
  }

  handleSocketError(error: SocketError, now: number): void {
    for (const { ice } of this.#checking.values()) ice.handleSocketError(error, now);
  }

  welcome({ connection }: Incoming): void {
    for (const { rttsMs } of this.#checking.values()) {
      const rttMs = rttsMs.get(connection.path.remote);
      if (rttMs !== undefined) connection.provideRtt(rttMs);
    }
  }

  owns({ connection, token }: Incoming): boolean {
    return connection.path.base.kind === "socket" && token.length === 0;
  }

  /** The offer was answered with them. */
  tellsAtOnce(): boolean {
    return false;
  }

  admitsHolder(): boolean {
    return false;
  }

  isAttemptOf(pending: PendingCall, incoming: Incoming): boolean {
    const { remote } = incoming.connection.path;
    return this.owns(incoming) && this.#checking.get(pending)?.admitted.has(remote) === true;
  }

  won(pending: PendingCall, session: QuicConnection): void {
    const checking = this.#checking.get(pending);
    if (checking === undefined) return;
    this.#forget(pending, checking);
    this.#sessions.set(session, checking.ice);
    checking.ice.begin(session, ({ base }) => base.kind === "tunnel", this.#shell.now);
  }

  /** The caller moves, and ICE follows. */
  onSessionEvent(session: QuicConnection, event: ConnectionEvent, now: number): void {
    if (event.type === "pathChanged") this.#sessions.get(session)?.follow(now);
  }

  onBasesChanged(now: number): void {
    for (const ice of this.#sessions.values()) ice.onBasesChanged(now);
  }

  ended(pending: PendingCall): void {
    const checking = this.#checking.get(pending);
    if (checking === undefined) return;
    this.#forget(pending, checking);
    checking.ice.stop();
  }

  sessionEnded(session: QuicConnection): void {
    this.#sessions.get(session)?.stop();
    this.#sessions.delete(session);
  }

  report(pending: PendingCall): readonly PairReport[] | undefined {
    // Who tells no address comes by another way, or not at all.
    if (pending.call.candidates.length === 0) return undefined;
    return this.#checking.get(pending)?.ice.report();
  }

  close(): void {
    // Calls have ended one by one.
  }

  release(): void {
    // Nothing but addresses carried them.
  }

  #onIce(pending: PendingCall, event: IceEvent, now: number): void {
    if (!this.#checking.has(pending)) return;
    switch (event.type) {
      case "authenticatedCheck":
        pending.checkedMs ??= now - pending.startedAt;
        this.#admit(pending, event.remote);
        if (event.rttMs !== undefined) this.#provideRtt(pending, event.remote, event.rttMs);
        return;
      case "failed":
        // The caller decides when to give up, and may still come from an address that we do not know yet.
        return;
      case "valid":
      case "nominated":
      case "roleChanged":
      case "restarted":
      case "consentQuiet":
      case "consentInDoubt":
      case "consentExpired":
        return;
      default:
        unreachable(event);
    }
  }

  /** An Initial from there is answered from now on; anyone else meets silence. */
  #admit(pending: PendingCall, remote: Address): void {
    this.#checking.get(pending)?.admitted.add(remote);
    this.#shell.endpoint.admit(remote, pending.deadlineAt);
  }

  /** Without it a lost answer to the Initial would be sent again only after the second that RFC 9002 §6.2.2 assumes. */
  #provideRtt(pending: PendingCall, remote: Address, rttMs: number): void {
    this.#checking.get(pending)?.rttsMs.set(remote, rttMs);
    this.#calls.provideRtt(remote, rttMs);
  }

  /** Takes back what was admitted for a call that is no longer pending, unless another one names it too. */
  #forget(pending: PendingCall, { admitted }: Checking): void {
    this.#checking.delete(pending);
    for (const address of admitted) {
      if (![...this.#checking.values()].some((other) => other.admitted.has(address))) {
        this.#shell.endpoint.unadmit(address);
      }
    }
  }
}
