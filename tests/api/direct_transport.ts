/**
 * A transport of somebody else's, written against the public API alone: QUIC straight to the addresses that the other side
 * names, without a check and without a NAT in between. The first address that answers is the path.
 *
 * @module
 */

import { DEFAULT_ENDPOINT_CONFIG, isKeyOf, QuicEndpoint, tlsSettings } from "../../mod.ts";
import type {
  Address,
  Call,
  CallerEvent,
  CandidateMachine,
  Datagram,
  EndpointEvent,
  ListenerEvent,
  LocalCandidate,
  MessageMachine,
  Node,
  QuicConnection,
  Reception,
  Target,
  Traversal,
  TraversalEvent,
  TraversalMachine,
} from "../../mod.ts";

const NAME = "direct";

/** Makes the transport. */
export function direct(): Traversal {
  return {
    name: NAME,
    dial: (target, node) => new Dial(target, node),
    accept: (reception, node) => new Accept(reception, node),
  };
}

/** What both sides share: an endpoint, a machine that speaks with the hub, and providers that are asked once. */
abstract class Side<Event> implements TraversalMachine {
  protected readonly node: Node;
  protected readonly endpoint: QuicEndpoint;
  protected readonly candidates: LocalCandidate[] = [];
  /** The instant of the call in progress: what is drained happens then. */
  protected now: number;
  readonly #speaker: MessageMachine<Event>;
  readonly #providers: readonly CandidateMachine[];
  readonly #events: TraversalEvent[] = [];
  #closing: QuicConnection[] | undefined;

  constructor(node: Node, endpoint: QuicEndpoint, speaker: MessageMachine<Event>) {
    this.node = node;
    this.now = node.now;
    this.endpoint = endpoint;
    this.#speaker = speaker;
    this.#providers = node.providers.map((provider) => provider.gather(node.bases, node));
    for (const machine of this.#providers) {
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        if (event.type === "candidate") this.candidates.push(event.candidate);
      }
    }
  }

  protected abstract onSpeaker(event: Event, now: number): void;
  protected abstract onQuic(event: EndpointEvent, now: number): void;

  /** Something for whoever runs us. */
  protected tell(event: TraversalEvent): void {
    this.#events.push(event);
  }

  /** Nothing is needed any more but the CONNECTION_CLOSE of these. */
  protected over(connections: Iterable<QuicConnection>): void {
    this.#closing = [...connections];
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.now = now;
    this.endpoint.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.now = now;
    this.endpoint.handleTimeout(now);
    this.#speaker.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    this.now = now;
    this.#settle();
    return this.endpoint.pollTransmit(now);
  }

  pollEvent(): TraversalEvent | undefined {
    this.#settle();
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    const at = Math.min(this.endpoint.pollTimeout() ?? Infinity, this.#speaker.pollTimeout() ?? Infinity);
    return at === Infinity ? undefined : at;
  }

  handleOpen(now: number): void {
    this.now = now;
    this.#speaker.handleOpen(now);
  }

  handleMessage(text: string, now: number): void {
    this.now = now;
    this.#speaker.handleMessage(text, now);
  }

  handleClosed(now: number, reason?: string): void {
    this.now = now;
    this.#speaker.handleClosed(now, reason);
  }

  handleSocketError(): void {}

  addStunServers(_servers: readonly Address[], _now: number): void {}

  addRelays(): void {}
  addBase(): void {}
  removeBase(): void {}

  wake(): void {}

  abstract close(code: number, reason: string, now: number): void;

  #settle(): void {
    for (let event = this.#speaker.pollEvent(); event !== undefined; event = this.#speaker.pollEvent()) {
      this.onSpeaker(event, this.now);
    }
    for (let text = this.#speaker.pollMessage(); text !== undefined; text = this.#speaker.pollMessage()) {
      this.tell({ type: "message", text });
    }
    for (let event = this.endpoint.pollEvent(); event !== undefined; event = this.endpoint.pollEvent()) {
      this.onQuic(event, this.now);
    }
    if (this.#closing?.every(({ state }) => state !== "closing") === true) {
      this.#closing = undefined;
      this.tell({ type: "released" });
    }
  }
}

class Dial extends Side<CallerEvent> {
  readonly #target: Target;
  readonly #attempts = new Set<QuicConnection>();
  #call: Call | undefined;
  #signaled = 0;
  #session: QuicConnection | undefined;

  constructor(target: Target, node: Node) {
    super(node, new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, node.random), target.caller);
    this.#target = target;
    target.caller.offer(this.candidates, node.now);
  }

  close(code: number, reason: string, now: number): void {
    this.#session?.close(code, reason, now);
    this.#forgetAttempts();
  }

  protected onSpeaker(event: CallerEvent, now: number): void {
    if (event.type === "open") this.tell({ type: "openChannel" });
    if (event.type === "failed") this.tell({ ...event, report: [] });
    if (event.type !== "answer" || this.#call !== undefined) return;
    this.#call = event.call;
    this.#signaled = now - this.node.now;
    const tls = tlsSettings(this.node);
    for (const { address } of event.call.candidates) {
      const base = this.node.bases.find(({ local }) => local.family === address.family);
      if (base === undefined) continue;
      this.#attempts.add(this.endpoint.connect({ base, remote: address, tls, transport: this.node.quic }, now));
    }
    if (this.#attempts.size === 0) this.#fail("There is no address to call: does the peer gather any?");
  }

  protected onQuic(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type !== "connection") return;
    const { connection, event } = endpointEvent;
    if (connection === this.#session) {
      this.tell({ type: "connection", connection, event });
      if (event.type === "closed") this.over([connection]);
      return;
    }
    if (!this.#attempts.has(connection)) return;
    if (event.type === "verifyPeer") {
      const key = event.peer.ed25519PublicKey;
      const isCalled = key !== undefined && this.#call !== undefined && isKeyOf(this.#call.remote, key);
      connection.provideVerdict(isCalled ? { accepted: true } : { accepted: false, alert: "certificate_unknown" }, now);
    }
    if (event.type === "closed") {
      this.#attempts.delete(connection);
      if (this.#attempts.size === 0) this.#fail(`The handshake failed: ${event.reason}`);
    }
    const peer = event.type === "handshakeComplete" ? event.peer?.ed25519PublicKey : undefined;
    if (peer === undefined) return;
    this.#attempts.delete(connection);
    this.#forgetAttempts();
    this.#session = connection;
    this.#target.caller.confirm(peer);
    const times = { gathered: 0, signaled: this.#signaled, handshake: now - this.node.now };
    this.tell({ type: "session", session: { transport: NAME, connection, peer, startedAt: this.node.now, times } });
  }

  #fail(message: string): void {
    this.tell({ type: "failed", reason: "handshake", message, report: [] });
  }

  #forgetAttempts(): void {
    for (const attempt of this.#attempts) attempt.abandon();
    this.#attempts.clear();
  }
}

class Accept extends Side<ListenerEvent> {
  readonly #reception: Reception;
  readonly #calls = new Map<string, { readonly call: Call; readonly startedAt: number }>();
  readonly #sessions = new Set<QuicConnection>();
  readonly #ended = new Set<QuicConnection>();
  #isOver = false;

  constructor(reception: Reception, node: Node) {
    const server = { tls: tlsSettings(node), transport: node.quic };
    super(
      node,
      new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, admission: "listed", server }, node.random),
      reception.listener,
    );
    this.#reception = reception;
    reception.listener.publish(this.candidates, node.now);
  }

  close(code: number, reason: string, now: number): void {
    for (const session of this.#sessions) session.close(code, reason, now);
    this.#isOver = true;
    this.over([...this.#sessions, ...this.#ended]);
  }

  protected onSpeaker(event: ListenerEvent, now: number): void {
    switch (event.type) {
      case "open":
        if (!this.#isOver) this.tell({ type: "openChannel" });
        return;
      case "offer":
        this.#calls.set(event.call.id, { call: event.call, startedAt: now });
        for (const { address } of event.call.candidates) this.endpoint.admit(address, event.call.expiresAt);
        return;
      case "failed":
        this.tell({ ...event, report: [] });
        return;
      case "registered":
      case "unregistered":
      case "ticket":
      case "mispaste":
      case "refused":
        this.tell(event);
        return;
      case "candidates":
      case "stunServers":
        return;
    }
  }

  protected onQuic(endpointEvent: EndpointEvent, now: number): void {
    if (endpointEvent.type !== "connection") return;
    const { connection, event } = endpointEvent;
    if (this.#sessions.has(connection)) {
      this.tell({ type: "connection", connection, event });
      if (event.type === "closed") this.#end(connection, now);
      return;
    }
    if (event.type === "verifyPeer") {
      const pending = this.#pendingOf(event.peer.ed25519PublicKey);
      connection.provideVerdict(
        pending !== undefined ? { accepted: true } : { accepted: false, alert: "certificate_unknown" },
        now,
      );
    }
    const peer = event.type === "handshakeComplete" ? event.peer?.ed25519PublicKey : undefined;
    const pending = this.#pendingOf(peer);
    if (peer === undefined || pending === undefined) return;
    const { call, startedAt } = pending;
    const { listener, maxSessions } = this.#reception;
    this.#calls.delete(call.id);
    this.#sessions.add(connection);
    listener.settle(call.id);
    if (this.#sessions.size >= maxSessions) listener.setBusy(true, now);
    const times = { gathered: 0, signaled: 0, handshake: now - startedAt };
    this.tell({ type: "session", session: { transport: NAME, connection, peer, startedAt, times } });
  }

  #pendingOf(key: Uint8Array | undefined): { readonly call: Call; readonly startedAt: number } | undefined {
    if (key === undefined) return undefined;
    for (const pending of this.#calls.values()) if (isKeyOf(pending.call.remote, key)) return pending;
    return undefined;
  }

  #end(connection: QuicConnection, now: number): void {
    this.#sessions.delete(connection);
    if (connection.state === "closing") this.#ended.add(connection);
    if (this.#sessions.size === this.#reception.maxSessions - 1) this.#reception.listener.setBusy(false, now);
  }
}
