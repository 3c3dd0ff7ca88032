/**
 * The listening side of `quic-native`: has an address at a relay, takes connections through it from whoever holds the
 * ticket's token, and lets NAT traversal move them to direct paths (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import { equalBytes } from "../protocols/core/bytes.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { isKeyOf } from "../signaling/identity.ts";
import type { Call, ListenerEvent } from "../signaling/machines.ts";
import { BUSY_CODE } from "./ice_then_quic_accept.ts";
import { callToken, isRelayedPath } from "./quic_native_settings.ts";
import { RelayTunnel } from "./relay_tunnel.ts";
import type { TunnelListener } from "./relay_tunnel.ts";
import type { Reception, RelayAccess } from "./traversal.ts";
import type { TraversalLogic, TraversalShell } from "./traversal_shell.ts";

/** Calls that are being answered at once; the listener's machine refuses further offers before they get here. */
const MAX_CALLS = 32;

/** An accepted offer on its way to a session. */
interface PendingCall {
  readonly call: Call;
  /** What its caller shows in its Initials. */
  readonly token: Uint8Array;
  readonly deadlineAt: number;
}

/** Waits for calls. Emits a `session` for each that came through, and `path` when one has moved. */
export class QuicNativeAccept implements TraversalLogic<ListenerEvent>, TunnelListener {
  readonly #transport: string;
  readonly #reception: Reception;
  readonly #shell: TraversalShell<ListenerEvent>;
  readonly #tunnel: RelayTunnel;
  /** What holders of the ticket show in their Initials. It proves no address: three times what came stays the limit. */
  readonly #ticketToken: Uint8Array | undefined;
  /** Accepted offers that are no session yet; each has a token of its own. */
  readonly #calls = new Map<string, PendingCall>();
  /** Addresses of ours, of which each connection is told: those found by gathering, and what the relay sees. */
  #candidates: LocalCandidate[] = [];
  /** When the handshake of each connection that is no session yet began; the endpoint bounds them. */
  readonly #handshakes = new Map<QuicConnection, number>();
  /** Those of them that are told no address of ours before the peer has proved its key. */
  readonly #untold = new Set<QuicConnection>();
  readonly #sessions = new Map<QuicConnection, number>();
  /** Sessions that we closed and whose CONNECTION_CLOSE may have to be repeated. */
  readonly #closing = new Set<QuicConnection>();
  #isOver = false;
  #isReleased = false;

  constructor(
    transport: string,
    reception: Reception,
    relay: RelayAccess,
    shell: TraversalShell<ListenerEvent>,
  ) {
    this.#transport = transport;
    this.#reception = reception;
    this.#shell = shell;
    this.#ticketToken = reception.ticketToken;
    this.#tunnel = new RelayTunnel(shell, relay, this);
    if (this.#ticketToken !== undefined) shell.endpoint.admitToken(this.#ticketToken, Infinity);
  }

  get tableSizes(): Readonly<Record<string, number>> {
    return { calls: this.#calls.size, handshakes: this.#handshakes.size, sessions: this.#sessions.size };
  }

  get timeoutAt(): number {
    let at = Infinity;
    for (const { deadlineAt } of this.#calls.values()) at = Math.min(at, deadlineAt);
    return at;
  }

  onTimeout(now: number): void {
    for (const pending of this.#calls.values()) if (now >= pending.deadlineAt) this.#endCall(pending);
  }

  addRelays(_relays: readonly RelayAccess[], _now: number): void {}

  onSettled(now: number): void {
    if (!this.#isOver || this.#isReleased || this.#sessions.size > 0) return;
    this.#forgetClosed();
    if (this.#closing.size > 0) return;
    // Sessions that were still relayed have said goodbye: now the relay is told.
    this.#tunnel.stop(now);
    this.#isReleased = this.#shell.relays.size === 0;
    if (this.#isReleased) this.#shell.emit({ type: "released" });
  }

  onOpen(): void {
    // The listener's machine publishes by itself what it was given.
  }

  onDialogue(event: ListenerEvent, now: number): void {
    switch (event.type) {
      case "open":
        this.#shell.emit({ type: "openChannel" });
        return;
      case "offer":
        this.#answer(event.call, now);
        return;
      case "failed":
        this.#shell.emit({ type: "failed", reason: event.reason, message: event.message, report: [] });
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
      case "candidates":
        // A caller's addresses come to us through the relay.
        return;
      default:
        unreachable(event);
    }
  }

  /** Somebody whom we admit calls, and will show this call's token at the relay. */
  #answer(call: Call, now: number): void {
    if (this.#isOver || this.#calls.size >= MAX_CALLS) {
      this.#reception.listener.settle(call.id);
      return;
    }
    const pending: PendingCall = {
      call,
      token: callToken(call, "listener"),
      deadlineAt: now + this.#shell.node.dialTimeoutMs,
    };
    this.#calls.set(call.id, pending);
    this.#shell.endpoint.admitToken(pending.token, pending.deadlineAt);
  }

  #endCall({ call, token }: PendingCall): void {
    this.#calls.delete(call.id);
    this.#shell.endpoint.unadmitToken(token);
    this.#reception.listener.settle(call.id);
    this.#shell.wakeDialogue();
  }

  /** The calls of whoever proved this key. */
  #callsOf(key: Uint8Array | undefined): PendingCall[] {
    if (key === undefined) return [];
    return [...this.#calls.values()].filter(({ call }) => isKeyOf(call.remote, key));
  }

  onSocketError({ base, remote }: SocketError, now: number): void {
    if (remote === undefined) return;
    for (const connection of this.#connections()) connection.onUnreachable(base, remote, now);
  }

  close(code: number, reason: string, now: number): void {
    this.#isOver = true;
    for (const connection of this.#sessions.keys()) connection.close(code, reason, now);
    for (const connection of this.#handshakes.keys()) connection.abandon();
    this.#handshakes.clear();
    this.#untold.clear();
    if (this.#ticketToken !== undefined) this.#shell.endpoint.unadmitToken(this.#ticketToken);
    for (const pending of this.#calls.values()) this.#endCall(pending);
    this.#shell.gathering.stop();
    this.#shell.endDialogue();
  }

  onCandidate(candidate: LocalCandidate, now: number): void {
    if (this.#candidates.some(({ address, base }) => address === candidate.address && base === candidate.base)) return;
    this.#candidates.push(candidate);
    for (const connection of this.#connections()) {
      if (!this.#untold.has(connection)) connection.addCandidate(candidate, now);
    }
    this.#shell.wakeEndpoint();
  }

  onCandidateWithdrawn({ base, address }: LocalCandidate, now: number): void {
    this.#candidates = this.#candidates.filter((known) => known.base !== base || known.address !== address);
    for (const connection of this.#connections()) connection.removeCandidate(base, address, now);
    this.#shell.wakeEndpoint();
  }

  onGathered(): void {
    // Nobody waits for it: callers are told of each address as it is found.
  }

  tunnelOpened(base: Base, now: number): void {
    this.#reception.listener.publish([{ type: "relay", address: base.local }], now);
    this.#shell.wakeDialogue();
  }

  tunnelClosed(_base: Base | undefined, reason: string, retryAt: number, now: number): void {
    if (this.#isOver) return;
    this.#shell.emit({ type: "unregistered", retryAt, pauseMs: retryAt - now, reason });
  }

  onEndpoint(endpointEvent: EndpointEvent, now: number): void {
    const { connection } = endpointEvent;
    if (endpointEvent.type === "incoming") {
      this.#handshakes.set(connection, now);
      // Whoever holds a ticket may know where we are: the addresses leave with the first 1-RTT packets. Who was let in for its
      // key has to prove it first.
      if (this.#isForListed(endpointEvent.token)) this.#untold.add(connection);
      else this.#tellCandidates(connection, now);
      return;
    }
    const { event } = endpointEvent;
    const startedAt = this.#handshakes.get(connection);
    if (startedAt !== undefined) this.#onHandshakeEvent(connection, event, startedAt, now);
    else if (this.#sessions.has(connection)) this.#onSessionEvent(connection, event, now);
  }

  #onHandshakeEvent(connection: QuicConnection, event: ConnectionEvent, startedAt: number, now: number): void {
    switch (event.type) {
      case "verifyPeer": {
        // A ticket's token admits whoever holds it; otherwise the key must be the one that signed an offer.
        const isAdmitted = this.#ticketToken !== undefined || this.#callsOf(event.peer.ed25519PublicKey).length > 0;
        connection.provideVerdict(
          isAdmitted ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
          now,
        );
        this.#shell.wakeEndpoint();
        return;
      }
      case "handshakeComplete": {
        this.#handshakes.delete(connection);
        this.#untold.delete(connection);
        const peer = event.peer?.ed25519PublicKey;
        for (const pending of this.#callsOf(peer)) this.#endCall(pending);
        if (peer === undefined || this.#sessions.size >= this.#reception.maxSessions) {
          connection.close(BUSY_CODE, "busy: the listener serves somebody else", now);
          this.#shell.wakeEndpoint();
          return;
        }
        this.#sessions.set(connection, startedAt);
        // Those that it knows already change nothing.
        this.#tellCandidates(connection, now);
        if (this.#sessions.size >= this.#reception.maxSessions) this.#reception.listener.setBusy(true, now);
        this.#shell.wakeDialogue();
        this.#shell.emit({
          type: "session",
          session: {
            transport: this.#transport,
            connection,
            peer,
            startedAt,
            times: { handshake: now - startedAt },
            isRelayed: (path) => isRelayedPath(path, undefined),
          },
        });
        return;
      }
      case "closed":
        this.#handshakes.delete(connection);
        this.#untold.delete(connection);
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
      const kind = isRelayedPath(event, undefined) ? "relayed" : "direct";
      this.#shell.emit({ type: "path", connection, kind, ms: now - (this.#sessions.get(connection) ?? now) });
    }
    if (event.type !== "closed") return;
    this.#sessions.delete(connection);
    this.#forgetClosed();
    if (connection.state === "closing") this.#closing.add(connection);
    if (this.#sessions.size === this.#reception.maxSessions - 1) this.#reception.listener.setBusy(false, now);
    this.#shell.wakeDialogue();
  }

  /** Whether the token is that of a call which only a listed key may make. */
  #isForListed(token: Uint8Array): boolean {
    for (const pending of this.#calls.values()) {
      if (pending.call.isListed === true && equalBytes(pending.token, token)) return true;
    }
    return false;
  }

  #tellCandidates(connection: QuicConnection, now: number): void {
    for (const candidate of this.#candidates) connection.addCandidate(candidate, now);
  }

  *#connections(): Iterable<QuicConnection> {
    yield* this.#handshakes.keys();
    yield* this.#sessions.keys();
  }

  #forgetClosed(): void {
    for (const connection of this.#closing) if (connection.state !== "closing") this.#closing.delete(connection);
  }
}
