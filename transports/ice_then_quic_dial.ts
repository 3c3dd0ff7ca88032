/**
 * The calling side of `ice-then-quic`: gathers, offers, checks, and dials QUIC on the socket that ICE has opened
 * (draft-seemann-quic-nat-traversal-02 §3). The caller is the QUIC client whatever becomes of ICE roles.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { IceEvent } from "../protocols/ice/types.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, CallerEvent } from "../signaling/machines.ts";
import { EARLY_REPEAT_MS, earlyTargets, MAX_EARLY_ATTEMPTS, MAX_EARLY_DATAGRAMS } from "./early_dial.ts";
import { Gathering } from "./gathering.ts";
import type { GatheringListener } from "./gathering.ts";
import { IceCall } from "./ice_call.ts";
import { MessagePort } from "./message_port.ts";
import type { MessagePortEvent } from "./message_port.ts";
import { Mux } from "./mux.ts";
import type { Port } from "./mux.ts";
import { explainUnreachable } from "./report.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { CallTimes, Node, Target, TraversalEvent, TraversalFailure, TraversalMachine } from "./traversal.ts";

/** The offer waits at most this long, once the channel is up, for the first STUN answer. */
export const MAX_OFFER_DELAY_MS = 20;

/** What is copied and pasted cannot grow, and the people take longer: it waits for every STUN answer, at most so long. */
const MAX_PASTE_DELAY_MS = 1000;

/** QUIC attempts at once: the early ones, and as many on pairs that checks have proved. */
const MAX_ATTEMPTS = 2 * MAX_EARLY_ATTEMPTS;

/** A QUIC connection that may become the session. */
interface Attempt {
  readonly connection: QuicConnection;
  readonly base: Base;
  readonly remote: Address;
  /** An early attempt knocks a second time then. */
  repeatAt: number | undefined;
  /** Whether a check has shown the path to be open. */
  isOpen: boolean;
}

/** Which part of the call we are in; each carries what exists only then. */
type State =
  | { readonly name: "gathering" }
  | { readonly name: "signaling" }
  | { readonly name: "checking"; readonly call: Call; readonly ice: IceCall; readonly deadlineAt: number }
  | { readonly name: "established"; readonly ice: IceCall; readonly connection: QuicConnection }
  /** The session has ended; a CONNECTION_CLOSE of ours may have to be repeated. */
  | { readonly name: "closing"; readonly connection: QuicConnection }
  | { readonly name: "over" };

/** One call. Emits one `session` or one `failed`. */
export class IceThenQuicDial implements TraversalMachine, GatheringListener {
  readonly #node: Node;
  readonly #target: Target;
  readonly #transport: string;
  readonly #mux = new Mux();
  readonly #endpoint: QuicEndpoint;
  readonly #endpointPort: Port;
  readonly #callerPort: Port;
  readonly #gathering: Gathering;
  readonly #events: TraversalEvent[] = [];
  readonly #attempts = new Map<QuicConnection, Attempt>();
  #times: CallTimes = {};
  #state: State = { name: "gathering" };
  /** While set, the channel is up and the offer waits for the first STUN answer. */
  #offerAt: number | undefined;
  #now: number;
  #lastHandshakeError: string | undefined;

  constructor(transport: string, target: Target, node: Node) {
    this.#transport = transport;
    this.#target = target;
    this.#node = node;
    this.#now = node.now;
    this.#endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, node.random);
    this.#endpointPort = this.#mux.attach(this.#endpoint, (event: EndpointEvent, now) => this.#onQuic(event, now));
    this.#mux.routeQuic(this.#endpointPort);
    // Before gathering: TCP to the hub and the questions to STUN leave at the same moment.
    this.#callerPort = this.#mux.attach(
      new MessagePort(target.caller),
      (event: MessagePortEvent<CallerEvent>, now) => this.#onCaller(event, now),
    );
    this.#gathering = new Gathering(this.#mux, node, this);
  }

  /** The endpoint's counters: what packets were dropped for. */
  get drops(): ReadonlyMap<string, number> {
    return this.#endpoint.drops;
  }

  /** Sizes of all tables, for reports and tests: each is 0 once the call is over. */
  get tableSizes(): Readonly<Record<string, number>> {
    return { ...this.#endpoint.tableSizes, ...this.#mux.tableSizes, attempts: this.#attempts.size };
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#now = now;
    this.#mux.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.#mux.handleTimeout(now);
    if (this.#offerAt !== undefined && now >= this.#offerAt) this.#offer(now);
    for (const attempt of this.#attempts.values()) {
      if (attempt.repeatAt === undefined || now < attempt.repeatAt) continue;
      attempt.repeatAt = undefined;
      attempt.connection.repeatInitial();
      this.#endpointPort.wake();
    }
    if (this.#state.name === "checking" && now >= this.#state.deadlineAt) this.#failUnreached();
  }

  pollTransmit(now: number): Datagram | undefined {
    this.#now = now;
    return this.#mux.pollTransmit(now);
  }

  pollEvent(): TraversalEvent | undefined {
    this.#mux.settle(this.#now);
    if (this.#state.name === "closing" && this.#state.connection.state !== "closing") {
      this.#state = { name: "over" };
      this.#events.push({ type: "released" });
    }
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    let at = this.#mux.pollTimeout() ?? Infinity;
    if (this.#offerAt !== undefined) at = Math.min(at, this.#offerAt);
    if (this.#state.name === "checking") at = Math.min(at, this.#state.deadlineAt);
    for (const { repeatAt } of this.#attempts.values()) if (repeatAt !== undefined) at = Math.min(at, repeatAt);
    return at === Infinity ? undefined : at;
  }

  handleOpen(now: number): void {
    this.#now = now;
    this.#target.caller.handleOpen(now);
    this.#callerPort.wake();
    if (this.#state.name !== "gathering") return;
    this.#offerAt = now + (this.#target.patient ? MAX_PASTE_DELAY_MS : MAX_OFFER_DELAY_MS);
    if (this.#hasGathered()) this.#offer(now);
  }

  handleMessage(text: string, now: number): void {
    this.#now = now;
    this.#target.caller.handleMessage(text, now);
    this.#callerPort.wake();
  }

  handleClosed(now: number, reason?: string, isRefused?: boolean): void {
    this.#now = now;
    this.#target.caller.handleClosed(now, reason, isRefused);
    this.#callerPort.wake();
  }

  handleSocketError(error: SocketError, now: number): void {
    this.#now = now;
    this.#events.push({ type: "socketError", error });
    this.#gathering.handleSocketError(error, now);
    if (this.#state.name === "checking") this.#state.ice.handleSocketError(error, now);
  }

  addStunServers(servers: readonly Address[], now: number): void {
    this.#now = now;
    this.#gathering.addServers(servers, now);
  }

  wake(): void {
    this.#endpointPort.wake();
  }

  close(code: number, reason: string, now: number): void {
    this.#now = now;
    if (this.#state.name === "established") this.#state.connection.close(code, reason, now);
    else this.#stop();
    this.#endpointPort.wake();
  }

  candidateFound(candidate: LocalCandidate, now: number): void {
    this.#events.push({ type: "candidate", candidate });
    if (candidate.type === "srflx") this.#reached("gathered", now);
    switch (this.#state.name) {
      case "gathering":
        if (this.#offerAt !== undefined && this.#hasGathered()) this.#offer(now);
        return;
      case "signaling":
        this.#target.caller.addCandidates([candidate], now);
        this.#callerPort.wake();
        return;
      case "checking":
        this.#target.caller.addCandidates([candidate], now);
        this.#callerPort.wake();
        this.#state.ice.addLocal([candidate], now);
        this.#dialEarly();
        return;
      case "established":
      case "closing":
      case "over":
        return;
      default:
        unreachable(this.#state);
    }
  }

  candidateWithdrawn(candidate: LocalCandidate, now: number): void {
    if (this.#state.name === "checking") this.#state.ice.removeLocal(candidate, now);
  }

  gatheringFailed(event: { readonly base: Base; readonly reason: string }): void {
    this.#events.push({ type: "gatheringError", base: event.base, reason: event.reason });
  }

  gatheringDone(now: number): void {
    this.#reached("gathered", now);
    if (this.#offerAt !== undefined) this.#offer(now);
    if (this.#state.name === "checking") this.#state.ice.endOfLocal(now);
  }

  /** Whether waiting longer would tell the peer nothing that matters: a server has answered, or none will be asked. */
  #hasGathered(): boolean {
    if (this.#gathering.isDone) return true;
    return !this.#target.patient && this.#gathering.candidates.some(({ type }) => type === "srflx");
  }

  #offer(now: number): void {
    this.#offerAt = undefined;
    if (this.#state.name !== "gathering") return;
    this.#reached("gathered", now);
    this.#state = { name: "signaling" };
    this.#target.caller.offer(this.#gathering.candidates, now);
    this.#callerPort.wake();
  }

  #onCaller(portEvent: MessagePortEvent<CallerEvent>, now: number): void {
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
        this.#events.push(event);
        return;
      case "paste":
        this.#events.push({ type: "ticket", text: event.text, dropped: event.dropped });
        return;
      case "answer":
        this.#check(event.call, now);
        return;
      case "candidates":
        if (this.#state.name !== "checking") return;
        this.#state.ice.addRemote(event.candidates, now);
        this.#dialEarly(event.candidates);
        return;
      case "failed":
        this.#fail(event.reason, event.message, event);
        return;
      default:
        unreachable(event);
    }
  }

  /** The peer's candidates are there: checks begin, and with them the early attempts. */
  #check(call: Call, now: number): void {
    if (this.#state.name !== "signaling" && this.#state.name !== "gathering") return;
    this.#reached("signaled", now);
    const patient = this.#target.patient;
    const handle = (event: IceEvent, at: number): void => this.#onIce(event, at);
    const ice = new IceCall(this.#mux, this.#node, call, { role: "controlling", patient, now }, handle);
    const deadlineAt = patient ? call.expiresAt : now + this.#node.dialTimeoutMs;
    this.#state = { name: "checking", call, ice, deadlineAt };
    ice.addLocal(this.#gathering.candidates, now);
    ice.addRemote(call.candidates, now);
    if (this.#gathering.isDone) ice.endOfLocal(now);
    this.#dialEarly();
  }

  #dialEarly(remote = this.#state.name === "checking" ? this.#state.call.candidates : []): void {
    if (this.#times.checked !== undefined || this.#target.patient) return;
    for (const target of earlyTargets(this.#gathering.candidates, remote)) {
      if (this.#attempts.size >= MAX_EARLY_ATTEMPTS) return;
      if (this.#attemptOn(target.base, target.remote) === undefined) {
        this.#attempt(target.base, target.remote, { maxUnansweredDatagrams: MAX_EARLY_DATAGRAMS });
      }
    }
  }

  #attemptOn(base: Base, remote: Address): Attempt | undefined {
    for (const attempt of this.#attempts.values()) {
      if (attempt.base === base && attempt.remote === remote) return attempt;
    }
    return undefined;
  }

  #attempt(
    base: Base,
    remote: Address,
    options: { readonly maxUnansweredDatagrams?: number; readonly initialRttMs?: number },
  ): void {
    if (this.#state.name !== "checking") return;
    const tls = tlsSettings(this.#node);
    const connection = this.#endpoint.connect(
      { base, remote, tls, transport: this.#node.quic, ...options },
      this.#now,
    );
    const isEarly = options.maxUnansweredDatagrams !== undefined;
    const repeatAt = isEarly ? this.#now + EARLY_REPEAT_MS : undefined;
    this.#attempts.set(connection, { connection, base, remote, repeatAt, isOpen: !isEarly });
    this.#endpointPort.wake();
  }

  #onIce(event: IceEvent, now: number): void {
    switch (event.type) {
      case "authenticatedCheck":
        this.#dialOn(event, now);
        return;
      case "failed":
        // A handshake that is under way may still come through: its own timers decide.
        if (!this.#isAnyAnswered()) this.#failUnreached();
        return;
      case "valid":
      case "nominated":
      case "roleChanged":
        return;
      default:
        unreachable(event);
    }
  }

  /** The path is open, at least from the peer to us: the Initial goes out there now, without a timer's leave. */
  #dialOn(check: IceEvent & { readonly type: "authenticatedCheck" }, now: number): void {
    if (this.#state.name !== "checking") return;
    this.#reached("checked", now);
    const { base, remote, rttMs } = check;
    const known = this.#attemptOn(base, remote);
    if (known !== undefined) {
      if (rttMs !== undefined) known.connection.provideRtt(rttMs);
      // Only the first check on the path is news: later ones would repeat what is on its way.
      if (!known.isOpen) known.connection.resendInitial();
      known.isOpen = true;
      known.repeatAt = undefined;
      this.#endpointPort.wake();
      return;
    }
    if (this.#isAnyAnswered() || this.#attempts.size >= MAX_ATTEMPTS) return;
    this.#attempt(base, remote, rttMs === undefined ? {} : { initialRttMs: rttMs });
  }

  /** Whether a handshake is under way somewhere. */
  #isAnyAnswered(): boolean {
    for (const connection of this.#attempts.keys()) if (connection.stats.receivedPackets > 0) return true;
    return false;
  }

  #onQuic(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type !== "connection") return;
    const { connection, event } = endpointEvent;
    if (this.#state.name === "established") {
      if (connection === this.#state.connection) this.#events.push({ type: "connection", connection, event });
      if (connection === this.#state.connection && event.type === "closed") {
        this.#stop();
        this.#state = { name: "closing", connection };
      }
      return;
    }
    if (this.#state.name !== "checking") return;
    const attempt = this.#attempts.get(connection);
    if (attempt === undefined) return;
    switch (event.type) {
      case "verifyPeer": {
        // The key proved in TLS must be the key that was called.
        const key = event.peer.ed25519PublicKey;
        const isCalled = key !== undefined && isKeyOf(this.#state.call.remote, key);
        connection.provideVerdict(
          isCalled ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#endpointPort.wake();
        // On a path that no check has proved, this is whoever has the address there: not the peer, and no reason to give up.
        if (!isCalled && attempt.isOpen) {
          this.#fail("otherKey", "Another key answered than the one that was called; ask the peer for a new ticket");
        }
        return;
      }
      case "handshakeComplete":
        this.#establish(attempt, event.peer?.ed25519PublicKey, now);
        return;
      case "closed":
        this.#attempts.delete(connection);
        this.#lastHandshakeError = event.reason;
        // The peer itself said no: another path leads to the same answer.
        if (event.by !== "idle" && attempt.isOpen) {
          this.#fail("handshake", `The handshake failed: ${event.reason}; check that both sides run the same version`);
        }
        return;
      case "keyLog":
        this.#events.push({ type: "connection", connection, event });
        return;
      default:
        // Streams and paths have no meaning before the session is chosen.
        return;
    }
  }

  #establish(attempt: Attempt, peerKey: Uint8Array | undefined, now: number): void {
    if (this.#state.name !== "checking") return;
    const { ice } = this.#state;
    const { connection } = attempt;
    if (peerKey === undefined) return;
    // Where every check was lost, the handshake has proved as much.
    this.#reached("checked", now);
    this.#reached("handshake", now);
    for (const other of this.#attempts.keys()) if (other !== connection) other.abandon();
    this.#attempts.clear();
    this.#endpointPort.wake();
    this.#target.caller.confirm(peerKey);
    this.#gathering.stop();
    ice.nominate(attempt.base, attempt.remote, now);
    this.#state = { name: "established", ice, connection };
    this.#events.push({
      type: "session",
      session: {
        transport: this.#transport,
        connection,
        peer: peerKey,
        startedAt: this.#node.now,
        times: this.#times,
      },
    });
  }

  #reached(step: keyof CallTimes, now: number): void {
    if (this.#times[step] !== undefined) return;
    const ms = now - this.#node.now;
    this.#times = { ...this.#times, [step]: ms };
    this.#events.push({ type: "step", step, ms });
  }

  #failUnreached(): void {
    if (this.#state.name !== "checking") return;
    const report = this.#state.ice.report();
    this.#fail("unreachablePeer", explainUnreachable(report, this.#lastHandshakeError));
  }

  #fail(
    reason: TraversalFailure,
    message: string,
    keys: { readonly expected?: string; readonly actual?: string } = {},
  ): void {
    if (this.#state.name === "over" || this.#state.name === "closing" || this.#state.name === "established") return;
    const report = this.#state.name === "checking" ? this.#state.ice.report() : [];
    this.#events.push({
      type: "failed",
      reason,
      message,
      ...(keys.expected === undefined ? {} : { expected: keys.expected }),
      ...(keys.actual === undefined ? {} : { actual: keys.actual }),
      report,
    });
    this.#stop();
  }

  #stop(): void {
    if (this.#state.name === "checking" || this.#state.name === "established") this.#state.ice.stop();
    for (const connection of this.#attempts.keys()) connection.abandon();
    this.#attempts.clear();
    // The endpoint lets go of them when it is polled.
    this.#endpointPort.wake();
    this.#gathering.stop();
    this.#offerAt = undefined;
    this.#state = { name: "over" };
  }
}
