/**
 * The calling side of `quic-native`: dials the listener's address at a relay at once, and moves to a direct path when NAT
 * traversal has found one, while data flows (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, CallerEvent } from "../signaling/machines.ts";
import { callToken, isRelayedPath, traversalSettings } from "./quic_native_settings.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { CallTimes, RelayAccess, RelayedTarget, Target, TraversalFailure } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";

type State =
  /** Until the listener's address at a relay is known. */
  | { readonly name: "signaling"; readonly deadlineAt: number }
  | {
    readonly name: "dialling";
    readonly connection: QuicConnection;
    readonly target: RelayedTarget;
    readonly deadlineAt: number;
  }
  | { readonly name: "established"; readonly connection: QuicConnection; readonly target: RelayedTarget }
  /** The session has ended; a CONNECTION_CLOSE of ours may have to be repeated. */
  | { readonly name: "closing"; readonly connection: QuicConnection }
  | { readonly name: "over" };

/** One call. Emits one `session` or one `failed`, and `path` when the session has moved. */
export class QuicNativeDial implements TraversalLogic<CallerEvent> {
  readonly #transport: string;
  readonly #target: Target;
  readonly #shell: TraversalShell<CallerEvent>;
  /** Addresses of ours found so far. */
  #known: LocalCandidate[] = [];
  #times: CallTimes = {};
  #state: State;

  constructor(transport: string, target: Target, shell: TraversalShell<CallerEvent>) {
    this.#transport = transport;
    this.#target = target;
    this.#shell = shell;
    const { now, dialTimeoutMs } = shell.node;
    this.#state = { name: "signaling", deadlineAt: now + dialTimeoutMs };
    if (target.relayed !== undefined) this.#dial(target.relayed, now);
  }

  #dial(target: RelayedTarget, now: number): void {
    const { node, endpoint } = this.#shell;
    const base = node.bases.find(({ local }) => local.family === target.address.family);
    if (base === undefined) {
      this.#fail(
        "unreachablePeer",
        `No way to the relay: this machine has no address of the family of ${target.address}`,
      );
      return;
    }
    const connection = endpoint.connect({
      base,
      remote: target.address,
      tls: tlsSettings(node),
      transport: traversalSettings(node),
      token: target.token,
    }, now);
    this.#state = { name: "dialling", connection, target, deadlineAt: now + node.dialTimeoutMs };
    for (const candidate of this.#known) connection.addCandidate(candidate, now);
    this.#shell.wakeEndpoint();
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return {};
  }

  get timeoutAt(): number {
    return "deadlineAt" in this.#state ? this.#state.deadlineAt : Infinity;
  }

  onTimeout(now: number): void {
    if (!("deadlineAt" in this.#state) || now < this.#state.deadlineAt) return;
    if (this.#state.name === "signaling") {
      this.#fail("unknown", "No connection: nobody has told where the peer can be reached; check the name and the hub");
      return;
    }
    const { connection, target } = this.#state;
    const what = connection.stats.receivedPackets > 0
      ? "the handshake through the relay did not end"
      : `nobody answered at the relayed address ${target.address}`;
    this.#fail("unreachablePeer", `No connection: ${what}; ask the peer whether it still listens`);
    connection.abandon();
    this.#shell.wakeEndpoint();
  }

  addRelays(_relays: readonly RelayAccess[], _now: number): void {}

  onSettled(): void {
    if (this.#state.name !== "closing" || this.#state.connection.state === "closing") return;
    this.#state = { name: "over" };
    this.#shell.emit({ type: "released" });
  }

  onOpen(now: number): void {
    if (this.#state.name !== "signaling") return;
    // The listener needs none of our addresses: they are told where it is, through the relay.
    this.#target.caller.offer([], now);
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
      case "answer":
        this.#onAnswer(event.call, now);
        return;
      case "failed":
        // A refusal may follow the answer, which a hub gives from what it was told before.
        if (this.#state.name !== "signaling" && this.#state.name !== "dialling") return;
        this.#connection?.abandon();
        this.#fail(event.reason, event.message);
        this.#shell.wakeEndpoint();
        return;
      case "candidates":
      case "paste":
        return;
      default:
        unreachable(event);
    }
  }

  #onAnswer(call: Call, now: number): void {
    if (this.#state.name !== "signaling") return;
    this.#reached("signaled", now);
    const relayed = call.candidates.find(({ type }) => type === "relay");
    if (relayed === undefined) {
      this.#fail("unreachablePeer", "The peer has no address at a relay; call it with ice-then-quic");
      return;
    }
    this.#dial({ address: relayed.address, token: callToken(call, "caller"), identity: call.remote }, now);
  }

  onSocketError({ base, remote }: SocketError, now: number): void {
    if (remote !== undefined) this.#connection?.onUnreachable(base, remote, now);
  }

  close(code: number, reason: string, now: number): void {
    if (this.#state.name === "established") this.#state.connection.close(code, reason, now);
    else this.#stop();
  }

  onCandidate(candidate: LocalCandidate, now: number): void {
    if (candidate.type === "srflx") this.#reached("gathered", now);
    this.#known.push(candidate);
    this.#connection?.addCandidate(candidate, now);
    this.#shell.wakeEndpoint();
  }

  onCandidateWithdrawn({ base, address }: LocalCandidate, now: number): void {
    this.#known = this.#known.filter((known) => known.base !== base || known.address !== address);
    this.#connection?.removeCandidate(base, address, now);
    this.#shell.wakeEndpoint();
  }

  onGathered(now: number): void {
    this.#reached("gathered", now);
  }

  onEndpoint(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type !== "connection" || endpointEvent.connection !== this.#connection) return;
    const { connection, event } = endpointEvent;
    if (event.type === "observedAddress") {
      // The listener sees us through its relay: what it sees is what our NAT shows to the world.
      const { base, address, remote } = event;
      this.#shell.addressObserved(base, address, remote, now);
    }
    if (event.type === "pathFound") {
      connection.migrate(event.base, event.remote, now);
      this.#shell.wakeEndpoint();
    }
    if (this.#state.name === "established") this.#onSessionEvent(connection, event, now);
    else if (this.#state.name === "dialling") this.#onHandshakeEvent(connection, event, now);
  }

  get #connection(): QuicConnection | undefined {
    return "connection" in this.#state ? this.#state.connection : undefined;
  }

  #onHandshakeEvent(connection: QuicConnection, event: ConnectionEvent, now: number): void {
    if (this.#state.name !== "dialling") return;
    const { target } = this.#state;
    switch (event.type) {
      case "verifyPeer": {
        const key = event.peer.ed25519PublicKey;
        const isCalled = key !== undefined && isKeyOf(target.identity, key);
        connection.provideVerdict(
          isCalled ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#shell.wakeEndpoint();
        if (!isCalled) this.#fail("otherKey", "Another key answered than the ticket names; ask for a new ticket");
        return;
      }
      case "handshakeComplete":
        this.#establish(connection, target, event.peer?.ed25519PublicKey, now);
        return;
      case "closed":
        this.#fail("handshake", `The handshake failed: ${event.reason}; check that both sides run the same version`);
        return;
      case "keyLog":
        this.#shell.emit({ type: "connection", connection, event });
        return;
      default:
        return;
    }
  }

  #onSessionEvent(connection: QuicConnection, event: ConnectionEvent, now: number): void {
    this.#shell.emit({ type: "connection", connection, event });
    if (event.type === "pathChanged") {
      const kind = this.#state.name === "established" && isRelayedPath(event, this.#state.target.address)
        ? "relayed"
        : "direct";
      this.#shell.emit({ type: "path", connection, kind, ms: now - this.#shell.node.now });
      // Back at the relay: the direct path is lost, so another one is looked for.
      if (kind === "relayed") connection.restartTraversal(now);
    }
    if (event.type !== "closed") return;
    this.#stop();
    this.#state = { name: "closing", connection };
  }

  #establish(connection: QuicConnection, target: RelayedTarget, peer: Uint8Array | undefined, now: number): void {
    if (peer === undefined) return;
    this.#reached("handshake", now);
    this.#state = { name: "established", connection, target };
    this.#target.caller.confirm(peer);
    this.#shell.wakeDialogue();
    const relayedAddress = target.address;
    this.#shell.emit({
      type: "session",
      session: {
        transport: this.#transport,
        connection,
        peer,
        startedAt: this.#shell.node.now,
        times: this.#times,
        isRelayed: (path) => isRelayedPath(path, relayedAddress),
      },
    });
  }

  #reached(step: keyof CallTimes, now: number): void {
    if (this.#times[step] !== undefined) return;
    const ms = now - this.#shell.node.now;
    this.#times = { ...this.#times, [step]: ms };
    this.#shell.emit({ type: "step", step, ms });
  }

  #fail(reason: TraversalFailure, message: string): void {
    this.#shell.emit({ type: "failed", reason, message, report: [] });
    this.#stop();
  }

  #stop(): void {
    this.#state = { name: "over" };
    // In the constructor there is nothing to stop yet, and nothing is made of what gathering finds afterwards.
    this.#shell.gathering?.stop();
  }
}
