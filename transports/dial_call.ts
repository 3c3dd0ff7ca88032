/**
 * The calling side of every transport: gathers, offers, has its ways try once the peer has answered, and makes a session of
 * the first connection whose handshake is done. The other ways stop then, and what they found goes to the session.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { PeerIdentity } from "../signaling/identity.ts";
import type { Call, CallerEvent } from "../signaling/machines.ts";
import { NO_DIRECT_PATH_CODE } from "./relay_policy.ts";
import { SessionPaths } from "./session_paths.ts";
import type { CallTimes, RelayAccess, Target, TraversalFailure } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";
import type { DialWay } from "./ways.ts";

/** The offer waits at most this long, once the channel is up, for the first STUN answer. */
export const MAX_OFFER_DELAY_MS = 20;

/** What is copied and pasted cannot grow, and the people take longer: it waits for every STUN answer, at most so long. */
const MAX_PASTE_DELAY_MS = 1000;

/** The connection that is the session, or is going to be. */
interface Chosen {
  readonly way: DialWay;
  readonly connection: QuicConnection;
  readonly peer: Uint8Array;
  readonly paths: SessionPaths;
}

/** Which part of the call we are in; each carries what exists only then. */
type State =
  | { readonly name: "gathering" }
  | { readonly name: "signaling" }
  | { readonly name: "trying"; readonly identity: PeerIdentity; readonly deadlineAt: number }
  /** The connection is chosen, but it goes through a relay that is to carry no data: a direct path is waited for. */
  | ({ readonly name: "chosen"; readonly deadlineAt: number } & Chosen)
  | ({ readonly name: "established" } & Chosen)
  /** The session has ended; a CONNECTION_CLOSE of ours may have to be repeated. */
  | { readonly name: "closing"; readonly connection: QuicConnection }
  | { readonly name: "over" };

/** One call. Emits one `session` or one `failed`, and `path` when the session has moved. */
export class DialCall implements TraversalLogic<CallerEvent> {
  readonly #shell: TraversalShell<CallerEvent>;
  readonly #target: Target;
  readonly #ways: readonly DialWay[];
  #times: CallTimes = {};
  #state: State = { name: "gathering" };
  /** While set, the channel is up and the offer waits for the first STUN answer. */
  #offerAt: number | undefined;

  /** @param makeWays Gets the call, which is not to be told anything before the ways are there. */
  constructor(
    target: Target,
    shell: TraversalShell<CallerEvent>,
    makeWays: (call: DialCall) => readonly DialWay[],
  ) {
    this.#target = target;
    this.#shell = shell;
    this.#ways = makeWays(this);
    const { now, dialTimeoutMs } = shell.node;
    if (target.relayed !== undefined) {
      this.#state = { name: "trying", identity: target.relayed.identity, deadlineAt: now + dialTimeoutMs };
      for (const way of this.#ways) way.begin(now);
      this.#failIfHopeless();
    }
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return { attempts: this.#ways.reduce((count, { size }) => count + size, 0) };
  }

  get timeoutAt(): number {
    const deadlineAt = "deadlineAt" in this.#state ? this.#state.deadlineAt : Infinity;
    return Math.min(this.#offerAt ?? Infinity, deadlineAt, ...this.#ways.map((way) => way.timeoutAt));
  }

  onTimeout(now: number): void {
    if (this.#offerAt !== undefined && now >= this.#offerAt) this.#offer(now);
    for (const way of this.#ways) way.onTimeout(now);
    if (!("deadlineAt" in this.#state) || now < this.#state.deadlineAt) return;
    if (this.#state.name === "chosen") this.#failRelayed(this.#state.connection, now);
    else this.#failUnreached();
  }

  addRelays(_relays: readonly RelayAccess[], _now: number): void {
    // A caller sends to the listener's address at its relay, and has none of its own.
  }

  onSettled(): void {
    if (this.#state.name !== "closing" || this.#state.connection.state === "closing") return;
    this.#state = { name: "over" };
    this.#shell.emit({ type: "released" });
  }

  onOpen(now: number): void {
    if (this.#state.name !== "gathering") return;
    this.#offerAt = now + (this.#target.patient ? MAX_PASTE_DELAY_MS : MAX_OFFER_DELAY_MS);
    if (!this.#offersAddresses || this.#hasGathered()) this.#offer(now);
  }

  onSocketError(error: SocketError, now: number): void {
    for (const way of this.#ways) way.handleSocketError(error, now);
    const { base, remote } = error;
    if (remote !== undefined) this.#session?.onUnreachable(base, remote, now);
  }

  onBasesChanged(now: number): void {
    for (const way of this.#ways) way.onBasesChanged(now);
  }

  close(code: number, reason: string, now: number): void {
    this.#session?.close(code, reason, now);
    if (this.#state.name !== "established") this.#stop();
  }

  onCandidate(candidate: LocalCandidate, now: number): void {
    if (candidate.type === "srflx") this.#reached("gathered", now);
    switch (this.#state.name) {
      case "gathering":
        if (this.#offerAt !== undefined && this.#hasGathered()) this.#offer(now);
        break;
      case "signaling":
      case "trying":
        if (!this.#offersAddresses) break;
        this.#target.caller.addCandidates([candidate], now);
        this.#shell.wakeDialogue();
        break;
      case "chosen":
      case "established":
        this.#state.paths.addCandidate(candidate, now);
        return;
      case "closing":
      case "over":
        return;
      default:
        unreachable(this.#state);
    }
    for (const way of this.#ways) way.addLocal(candidate, now);
  }

  onCandidateWithdrawn(candidate: LocalCandidate, now: number): void {
    for (const way of this.#ways) way.removeLocal(candidate, now);
    if ("paths" in this.#state) this.#state.paths.removeCandidate(candidate, now);
  }

  onGathered(now: number): void {
    this.#reached("gathered", now);
    if (this.#offerAt !== undefined) this.#offer(now);
    for (const way of this.#ways) way.endOfLocal(now);
  }

  /** Addresses of ours that hold now, in the order they were found. */
  get candidates(): readonly LocalCandidate[] {
    // In the constructor nothing is gathered yet.
    return this.#shell.gathering?.candidates ?? [];
  }

  /** A way has heard the peer, authenticated, on a path. */
  onChecked(now: number): void {
    this.#reached("checked", now);
  }

  /** A way has come to its end without a session. */
  onHopeless(): void {
    this.#failIfHopeless();
  }

  get #offersAddresses(): boolean {
    return this.#ways.some(({ offersAddresses }) => offersAddresses);
  }

  get #session(): QuicConnection | undefined {
    return "paths" in this.#state ? this.#state.connection : undefined;
  }

  /** Whether waiting longer would tell the peer nothing that matters: a server has answered, or none will be asked. */
  #hasGathered(): boolean {
    if (this.#shell.gathering.isDone) return true;
    return !this.#target.patient && this.candidates.some(({ type }) => type === "srflx");
  }

  #offer(now: number): void {
    this.#offerAt = undefined;
    if (this.#state.name !== "gathering") return;
    this.#state = { name: "signaling" };
    if (this.#offersAddresses) {
      this.#reached("gathered", now);
      this.#target.caller.offer(this.candidates, now);
    } else {
      // The listener needs none of our addresses: they are told where it is, through the relay.
      this.#target.caller.offer([], now);
    }
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
        this.#try(event.call, now);
        return;
      case "candidates":
        if (this.#state.name !== "trying") return;
        for (const way of this.#ways) way.addRemote(event.candidates, now);
        return;
      case "failed":
        // A refusal may follow the answer, which a hub gives from what it was told before. One that follows the handshake
        // is out of date: the listener itself has let us in.
        if (this.#session === undefined) this.#fail(event.reason, event.message, event);
        return;
      default:
        unreachable(event);
    }
  }

  /** The peer's addresses are there. */
  #try(call: Call, now: number): void {
    if (this.#state.name !== "signaling" && this.#state.name !== "gathering") return;
    this.#reached("signaled", now);
    const deadlineAt = this.#target.patient ? call.expiresAt : now + this.#shell.node.dialTimeoutMs;
    this.#state = { name: "trying", identity: call.remote, deadlineAt };
    for (const way of this.#ways) way.answer(call, now);
    this.#failIfHopeless();
  }

  onEndpoint(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type !== "connection") return;
    const { connection, event } = endpointEvent;
    if (event.type === "observedAddress") {
      // The listener sees us through its relay: what it sees is what our NAT shows to the world.
      this.#shell.addressObserved(event.base, event.address, event.remote, now);
    }
    if ("paths" in this.#state) {
      if (connection === this.#state.connection) this.#onSessionEvent(this.#state, event, now);
      return;
    }
    if (this.#state.name !== "trying") return;
    const way = this.#ways.find((it) => it.has(connection));
    if (way !== undefined) this.#onHandshakeEvent(way, connection, this.#state.identity, event, now);
  }

  #onHandshakeEvent(
    way: DialWay,
    connection: QuicConnection,
    identity: PeerIdentity,
    event: ConnectionEvent,
    now: number,
  ): void {
    switch (event.type) {
      case "verifyPeer": {
        // The key proved in TLS must be the key that was called.
        const key = event.peer.ed25519PublicKey;
        const isCalled = key !== undefined && isKeyOf(identity, key);
        connection.provideVerdict(
          isCalled ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#shell.wakeEndpoint();
        // On a path that no check has proved, this is whoever has the address there: not the peer, and no reason to give up.
        if (!isCalled && way.isProven(connection)) {
          this.#fail("otherKey", "Another key answered than the one that was called; ask for a new ticket");
        }
        return;
      }
      case "handshakeComplete":
        this.#choose(way, connection, event.peer?.ed25519PublicKey, now);
        return;
      case "closed": {
        const isProven = way.isProven(connection);
        way.onClosed(connection, event.reason);
        // The peer itself said no: another path leads to the same answer.
        if (event.by !== "idle" && isProven) {
          this.#fail("handshake", `The handshake failed: ${event.reason}; check that both sides run the same version`);
        } else this.#failIfHopeless();
        return;
      }
      case "keyLog":
        this.#shell.emit({ type: "connection", connection, event });
        return;
      default:
        // Streams and paths have no meaning before the session is chosen.
        return;
    }
  }

  #choose(way: DialWay, connection: QuicConnection, peer: Uint8Array | undefined, now: number): void {
    if (peer === undefined || this.#state.name !== "trying") return;
    const { deadlineAt } = this.#state;
    // Where every check was lost, the handshake has proved as much.
    if (way.offersAddresses) this.#reached("checked", now);
    this.#reached("handshake", now);
    way.win(connection, now);
    const findings = this.#ways.filter((other) => other !== way).map((other) => other.lose(now));
    const { node, gathering } = this.#shell;
    // Without NAT traversal a session moves only when its base is gone, and has no use for the addresses of others.
    if (connection.traversalCounts === undefined) gathering.stop();
    const relayed = this.#ways.flatMap((it) => it.relayed);
    const candidates = (): readonly LocalCandidate[] => this.candidates;
    const options = { connection, startedAt: node.now, relayed, findings, candidates };
    const paths = new SessionPaths(this.#shell, options);
    this.#target.caller.confirm(peer);
    this.#shell.wakeDialogue();
    const chosen = { way, connection, peer, paths };
    if (paths.isUsable) this.#establish(chosen);
    else this.#state = { ...chosen, name: "chosen", deadlineAt };
  }

  #establish({ way, connection, peer, paths }: Chosen): void {
    this.#state = { name: "established", way, connection, peer, paths };
    this.#shell.emit({
      type: "session",
      session: {
        transport: way.transport,
        connection,
        peer,
        startedAt: this.#shell.node.now,
        times: this.#times,
        isRelayed: (path) => paths.isRelayed(path),
      },
    });
  }

  #onSessionEvent(
    state: State & { readonly name: "chosen" | "established" },
    event: ConnectionEvent,
    now: number,
  ): void {
    const { connection, paths } = state;
    if (state.name === "established" || event.type === "keyLog") {
      this.#shell.emit({ type: "connection", connection, event });
    }
    if (event.type !== "closed") {
      paths.onEvent(event, now);
      state.way.onSessionEvent?.(event, now);
      if (state.name === "chosen" && paths.isUsable) this.#establish(state);
      return;
    }
    if (state.name === "chosen") {
      this.#fail("unreachablePeer", `No direct path: the connection through the relay has ended (${event.reason})`);
      return;
    }
    this.#stop();
    this.#state = { name: "closing", connection };
  }

  #reached(step: keyof CallTimes, now: number): void {
    if (this.#times[step] !== undefined) return;
    const ms = now - this.#shell.node.now;
    this.#times = { ...this.#times, [step]: ms };
    this.#shell.emit({ type: "step", step, ms });
  }

  #failIfHopeless(): void {
    if (this.#ways.every(({ isHopeless }) => isHopeless)) this.#failUnreached();
  }

  #failUnreached(): void {
    if (this.#state.name !== "trying") return;
    const reasons = this.#ways.map((way) => way.explain()).filter((reason) => reason !== undefined);
    // A ticket that leads to a relay, and nothing that may go there.
    const reason = "The ticket leads to the peer's address at a relay, and our relay policy is never";
    this.#fail("unreachablePeer", reasons.length === 0 ? reason : reasons.join(". "));
  }

  #failRelayed(connection: QuicConnection, now: number): void {
    const message = "No direct path: none was found, and the relay policy keeps data off relays; " +
      "try --relay until-direct, or another network on one side";
    connection.close(NO_DIRECT_PATH_CODE, "no direct path was found", now);
    this.#fail("unreachablePeer", message);
    this.#shell.wakeEndpoint();
  }

  #fail(
    reason: TraversalFailure,
    message: string,
    keys: { readonly expected?: string; readonly actual?: string } = {},
  ): void {
    if (this.#state.name === "over" || this.#state.name === "closing" || this.#state.name === "established") return;
    this.#shell.emit({
      type: "failed",
      reason,
      message,
      ...(keys.expected === undefined ? {} : { expected: keys.expected }),
      ...(keys.actual === undefined ? {} : { actual: keys.actual }),
      report: this.#ways.flatMap((way) => way.report()),
    });
    this.#stop();
  }

  #stop(): void {
    for (const way of this.#ways) way.stop();
    // In the constructor there is nothing to stop yet: the shell sees to it.
    this.#shell.gathering?.stop();
    this.#offerAt = undefined;
    this.#state = { name: "over" };
  }
}
