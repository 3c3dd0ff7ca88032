/**
 * The calling side of `ice-then-quic`: gathers, offers, checks, and dials QUIC on the socket that ICE has opened
 * (draft-seemann-quic-nat-traversal-02 §3). The caller is the QUIC client whatever becomes of ICE roles.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { IceEvent } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, CallerEvent } from "../signaling/machines.ts";
import { Attempts } from "./attempts.ts";
import type { Attempt } from "./attempts.ts";
import { earlyTargets } from "./early_dial.ts";
import { IceCall } from "./ice_call.ts";
import { explainUnreachable } from "./report.ts";
import type { CallTimes, RelayAccess, Target, TraversalFailure } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";

/** The offer waits at most this long, once the channel is up, for the first STUN answer. */
export const MAX_OFFER_DELAY_MS = 20;

/** What is copied and pasted cannot grow, and the people take longer: it waits for every STUN answer, at most so long. */
const MAX_PASTE_DELAY_MS = 1000;

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
export class IceThenQuicDial implements TraversalLogic<CallerEvent> {
  readonly #shell: TraversalShell<CallerEvent>;
  readonly #target: Target;
  readonly #transport: string;
  readonly #attempts: Attempts;
  #times: CallTimes = {};
  #state: State = { name: "gathering" };
  /** While set, the channel is up and the offer waits for the first STUN answer. */
  #offerAt: number | undefined;
  #lastHandshakeError: string | undefined;

  constructor(transport: string, target: Target, shell: TraversalShell<CallerEvent>) {
    this.#transport = transport;
    this.#target = target;
    this.#shell = shell;
    this.#attempts = new Attempts(shell);
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return { attempts: this.#attempts.size };
  }

  get timeoutAt(): number {
    const deadlineAt = this.#state.name === "checking" ? this.#state.deadlineAt : Infinity;
    return Math.min(this.#offerAt ?? Infinity, deadlineAt, this.#attempts.timeoutAt);
  }

  onTimeout(now: number): void {
    if (this.#offerAt !== undefined && now >= this.#offerAt) this.#offer(now);
    this.#attempts.onTimeout(now);
    if (this.#state.name === "checking" && now >= this.#state.deadlineAt) this.#failUnreached();
  }

  addRelays(_relays: readonly RelayAccess[], _now: number): void {}

  onSettled(): void {
    if (this.#state.name !== "closing" || this.#state.connection.state === "closing") return;
    this.#state = { name: "over" };
    this.#shell.emit({ type: "released" });
  }

  onOpen(now: number): void {
    if (this.#state.name !== "gathering") return;
    this.#offerAt = now + (this.#target.patient ? MAX_PASTE_DELAY_MS : MAX_OFFER_DELAY_MS);
    if (this.#hasGathered()) this.#offer(now);
  }

  onSocketError(error: SocketError, now: number): void {
    if (this.#state.name === "checking") this.#state.ice.handleSocketError(error, now);
  }

  close(code: number, reason: string, now: number): void {
    if (this.#state.name === "established") this.#state.connection.close(code, reason, now);
    else this.#stop();
  }

  onCandidate(candidate: LocalCandidate, now: number): void {
    if (candidate.type === "srflx") this.#reached("gathered", now);
    switch (this.#state.name) {
      case "gathering":
        if (this.#offerAt !== undefined && this.#hasGathered()) this.#offer(now);
        return;
      case "signaling":
        this.#trickle(candidate, now);
        return;
      case "checking":
        this.#trickle(candidate, now);
        this.#state.ice.addLocal([candidate], now);
        this.#dialEarly(this.#state.call.candidates, now);
        return;
      case "established":
      case "closing":
      case "over":
        return;
      default:
        unreachable(this.#state);
    }
  }

  onCandidateWithdrawn(candidate: LocalCandidate, now: number): void {
    if (this.#state.name === "checking") this.#state.ice.removeLocal(candidate, now);
  }

  onGathered(now: number): void {
    this.#reached("gathered", now);
    if (this.#offerAt !== undefined) this.#offer(now);
    if (this.#state.name === "checking") this.#state.ice.endOfLocal(now);
  }

  #trickle(candidate: LocalCandidate, now: number): void {
    this.#target.caller.addCandidates([candidate], now);
    this.#shell.wakeDialogue();
  }

  /** Whether waiting longer would tell the peer nothing that matters: a server has answered, or none will be asked. */
  #hasGathered(): boolean {
    if (this.#shell.gathering.isDone) return true;
    return !this.#target.patient && this.#shell.gathering.candidates.some(({ type }) => type === "srflx");
  }

  #offer(now: number): void {
    this.#offerAt = undefined;
    if (this.#state.name !== "gathering") return;
    this.#reached("gathered", now);
    this.#state = { name: "signaling" };
    this.#target.caller.offer(this.#shell.gathering.candidates, now);
    this.#shell.wakeDialogue();
  }

  onDialogue(event: CallerEvent, now: number): void {
    switch (event.type) {
      case "open":
        this.#shell.emit({ type: "openChannel" });
        return;
      case "stunServers":
      case "relays":
        this.#shell.emit(event);
        return;
      case "paste":
        this.#shell.emit({ type: "ticket", text: event.text, dropped: event.dropped });
        return;
      case "answer":
        this.#check(event.call, now);
        return;
      case "candidates":
        if (this.#state.name !== "checking") return;
        this.#state.ice.addRemote(event.candidates, now);
        this.#dialEarly(event.candidates, now);
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
    const ice = new IceCall(this.#shell.mux, this.#shell.node, call, { role: "controlling", patient, now }, handle);
    const deadlineAt = patient ? call.expiresAt : now + this.#shell.node.dialTimeoutMs;
    this.#state = { name: "checking", call, ice, deadlineAt };
    ice.addLocal(this.#shell.gathering.candidates, now);
    ice.addRemote(call.candidates, now);
    if (this.#shell.gathering.isDone) ice.endOfLocal(now);
    this.#dialEarly(call.candidates, now);
  }

  #dialEarly(remote: readonly RemoteCandidate[], now: number): void {
    if (this.#times.checked !== undefined || this.#target.patient) return;
    for (const target of earlyTargets(this.#shell.gathering.candidates, remote)) {
      this.#attempts.knock(target.base, target.remote, now);
    }
  }

  #onIce(event: IceEvent, now: number): void {
    switch (event.type) {
      case "authenticatedCheck":
        if (this.#state.name !== "checking") return;
        this.#reached("checked", now);
        this.#attempts.pathOpened(event.base, event.remote, event.rttMs, now);
        return;
      case "failed":
        // A handshake that is under way may still come through: its own timers decide.
        if (!this.#attempts.isAnyAnswered) this.#failUnreached();
        return;
      case "valid":
      case "nominated":
      case "roleChanged":
        return;
      default:
        unreachable(event);
    }
  }

  onEndpoint(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type !== "connection") return;
    const { connection, event } = endpointEvent;
    if (this.#state.name === "established") {
      if (connection === this.#state.connection) this.#shell.emit({ type: "connection", connection, event });
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
        this.#shell.wakeEndpoint();
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
        this.#shell.emit({ type: "connection", connection, event });
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
    this.#attempts.settle(connection);
    this.#target.caller.confirm(peerKey);
    this.#shell.gathering.stop();
    ice.nominate(attempt.base, attempt.remote, now);
    this.#state = { name: "established", ice, connection };
    this.#shell.emit({
      type: "session",
      session: {
        transport: this.#transport,
        connection,
        peer: peerKey,
        startedAt: this.#shell.node.now,
        times: this.#times,
      },
    });
  }

  #reached(step: keyof CallTimes, now: number): void {
    if (this.#times[step] !== undefined) return;
    const ms = now - this.#shell.node.now;
    this.#times = { ...this.#times, [step]: ms };
    this.#shell.emit({ type: "step", step, ms });
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
    this.#shell.emit({
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
    this.#attempts.settle();
    this.#shell.gathering.stop();
    this.#offerAt = undefined;
    this.#state = { name: "over" };
  }
}
