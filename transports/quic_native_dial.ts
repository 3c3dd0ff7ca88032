/**
 * The calling side of `quic-native`: dials the listener's address at a relay at once, and moves to a direct path when NAT
 * traversal has found one, while data flows (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { CallerEvent } from "../signaling/machines.ts";
import { isRelayedPath, traversalSettings } from "./quic_native_settings.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { CallTimes, RelayedTarget, TraversalFailure } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";

type State =
  | { readonly name: "dialling"; readonly connection: QuicConnection; readonly deadlineAt: number }
  | { readonly name: "established"; readonly connection: QuicConnection }
  /** The session has ended; a CONNECTION_CLOSE of ours may have to be repeated. */
  | { readonly name: "closing"; readonly connection: QuicConnection }
  | { readonly name: "over" };

/** One call. Emits one `session` or one `failed`, and `path` when the session has moved. */
export class QuicNativeDial implements TraversalLogic<CallerEvent> {
  readonly #transport: string;
  readonly #target: RelayedTarget;
  readonly #shell: TraversalShell<CallerEvent>;
  #times: CallTimes = {};
  #state: State = { name: "over" };

  constructor(transport: string, target: RelayedTarget, shell: TraversalShell<CallerEvent>) {
    this.#transport = transport;
    this.#target = target;
    this.#shell = shell;
    const { node, endpoint } = shell;
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
    }, node.now);
    this.#state = { name: "dialling", connection, deadlineAt: node.now + node.dialTimeoutMs };
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return {};
  }

  get timeoutAt(): number {
    return this.#state.name === "dialling" ? this.#state.deadlineAt : Infinity;
  }

  onTimeout(now: number): void {
    if (this.#state.name !== "dialling" || now < this.#state.deadlineAt) return;
    const { connection } = this.#state;
    const what = connection.stats.receivedPackets > 0
      ? "the handshake through the relay did not end"
      : `nobody answered at the relayed address ${this.#target.address}`;
    this.#fail("unreachablePeer", `No connection: ${what}; ask the peer whether it still listens`);
    connection.abandon();
    this.#shell.wakeEndpoint();
  }

  onSettled(): void {
    if (this.#state.name !== "closing" || this.#state.connection.state === "closing") return;
    this.#state = { name: "over" };
    this.#shell.emit({ type: "released" });
  }

  onOpen(): void {
    // No signaling is needed: the ticket, or whoever resolved the name, has told the relayed address.
  }

  onDialogue(_event: CallerEvent): void {
    // See `onOpen`.
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
    this.#connection?.addCandidate(candidate, now);
    this.#shell.wakeEndpoint();
  }

  onCandidateWithdrawn({ base, address }: LocalCandidate, now: number): void {
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
      if (address !== base.local) this.onCandidate({ type: "srflx", address, base, server: remote }, now);
    }
    if (event.type === "pathFound") {
      connection.migrate(event.base, event.remote, now);
      this.#shell.wakeEndpoint();
    }
    if (this.#state.name === "established") this.#onSessionEvent(connection, event, now);
    else if (this.#state.name === "dialling") this.#onHandshakeEvent(connection, event, now);
  }

  get #connection(): QuicConnection | undefined {
    return this.#state.name === "over" ? undefined : this.#state.connection;
  }

  #onHandshakeEvent(connection: QuicConnection, event: ConnectionEvent, now: number): void {
    switch (event.type) {
      case "verifyPeer": {
        const key = event.peer.ed25519PublicKey;
        const isCalled = key !== undefined && isKeyOf(this.#target.identity, key);
        connection.provideVerdict(
          isCalled ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#shell.wakeEndpoint();
        if (!isCalled) this.#fail("otherKey", "Another key answered than the ticket names; ask for a new ticket");
        return;
      }
      case "handshakeComplete":
        this.#establish(connection, event.peer?.ed25519PublicKey, now);
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
      const kind = isRelayedPath(event, this.#target.address) ? "relayed" : "direct";
      this.#shell.emit({ type: "path", connection, kind, ms: now - this.#shell.node.now });
      // Back at the relay: the direct path is lost, so another one is looked for.
      if (kind === "relayed") connection.restartTraversal(now);
    }
    if (event.type !== "closed") return;
    this.#stop();
    this.#state = { name: "closing", connection };
  }

  #establish(connection: QuicConnection, peer: Uint8Array | undefined, now: number): void {
    if (peer === undefined) return;
    this.#reached("handshake", now);
    this.#state = { name: "established", connection };
    const relayedAddress = this.#target.address;
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
