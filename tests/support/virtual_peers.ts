/**
 * Hub, STUN server and peers in the virtual network: the machines of `transports/`, `signaling/` and `service/` as they
 * run on sockets, on simulated streams and links.
 *
 * @module
 */

import { hostCandidates } from "../../candidates/host.ts";
import { serverReflexive } from "../../candidates/server_reflexive.ts";
import { Driver } from "../../io/driver.ts";
import { openChannel, SeededRandom, serveMessages } from "../../lab/mod.ts";
import type { StreamListener, VirtualChannel, VirtualHost, VirtualNetwork } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { Hub } from "../../service/hub.ts";
import { HubPorts } from "../../service/hub_port.ts";
import { StunServer } from "../../service/stun_server.ts";
import type { AllowList } from "../../signaling/admission.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import type { CallerMachine, ListenerMachine, MachineContext } from "../../signaling/machines.ts";
import { bindBases } from "../../transports/bases.ts";
import { DEFAULT_DIAL_TIMEOUT_MS, DEFAULT_TA_MS, makeNode } from "../../transports/dial.ts";
import { iceThenQuic } from "../../transports/ice_then_quic.ts";
import type { EstablishedSession, Node, TraversalEvent, TraversalMachine } from "../../transports/traversal.ts";

/** What records and offers are bound to in these tests. */
export const HUB = "hub.example";

/** Where the hub listens. */
export const HUB_PORT = 8080;

/** Where STUN servers listen. */
export const STUN_PORT = 3478;

/** Runs a hub on a virtual host. Closing it is a restart's first half. */
export function startHub(host: VirtualHost, stunServers: readonly string[] = []): StreamListener {
  const hub = new Hub<ReturnType<HubPorts["open"]>>({ stunServers, epochMs: host.epochMs });
  const ports = new HubPorts(hub);
  return serveMessages(host, HUB_PORT, (remote) => ports.open(remote.host));
}

/** Runs a STUN server on a virtual host. */
export function startStun(host: VirtualHost): void {
  host.bind(host.address(STUN_PORT));
  new Driver(new StunServer(), host, () => {});
}

/** What signaling machines of a virtual host are made with. */
export function contextOf(host: VirtualHost, seed: number): MachineContext {
  const random = new SeededRandom(seed, `key of ${host.name}`);
  return {
    random: host.random,
    epochMs: host.epochMs,
    key: Ed25519PrivateKey.generate(random),
    taMs: DEFAULT_TA_MS,
    allowLoopback: false,
  };
}

/** What happened at a peer. */
export interface Happened {
  readonly at: number;
  readonly event: TraversalEvent;
}

/** What a peer does with its sessions. */
export type OnSession = (session: EstablishedSession, peer: VirtualPeer) => void;

/** One peer: a traversal's machine on a virtual host, with its channel to the hub. */
export class VirtualPeer {
  readonly host: VirtualHost;
  readonly happened: Happened[] = [];
  readonly sessions: EstablishedSession[] = [];
  readonly #machine: TraversalMachine;
  readonly #driver: Driver<TraversalEvent>;
  readonly #hub: Address;
  readonly #net: VirtualNetwork;
  readonly #onSession: OnSession;
  readonly #onConnection: ((connection: QuicConnection, peer: VirtualPeer, event: TraversalEvent) => void) | undefined;
  #channel: VirtualChannel | undefined;

  constructor(
    net: VirtualNetwork,
    host: VirtualHost,
    make: (node: Node) => TraversalMachine,
    options: PeerOptions & { readonly context: MachineContext },
  ) {
    this.#net = net;
    this.host = host;
    this.#hub = options.hub;
    this.#onSession = options.onSession ?? ((): void => {});
    this.#onConnection = options.onConnection;
    const bases = bindBases(host, { loopbackOnly: false });
    this.#machine = make(makeNode(
      {
        host,
        identity: options.context.key,
        transport: iceThenQuic(),
        providers: [hostCandidates(), serverReflexive({ servers: options.stun })],
        signaling: undefined,
        stunServers: [],
        resolve: () => Promise.resolve([]),
        protocol: "q2q",
        loopback: false,
        keyLog: false,
        dialTimeoutMs: DEFAULT_DIAL_TIMEOUT_MS,
      },
      bases,
      host.now(),
    ));
    this.#driver = new Driver(this.#machine, host, (event) => this.#handle(event));
    this.#driver.drain();
  }

  /** The first event of a type, with its instant. */
  first(type: TraversalEvent["type"]): Happened | undefined {
    return this.happened.find(({ event }) => event.type === type);
  }

  /** Commands were given to a connection. */
  drain(): void {
    this.#machine.wake();
    this.#driver.drain();
  }

  #handle(event: TraversalEvent): void {
    this.happened.push({ at: this.#net.now, event });
    switch (event.type) {
      case "openChannel":
        this.#open();
        return;
      case "message":
        this.#channel?.send(event.text);
        return;
      case "session":
        this.sessions.push(event.session);
        this.#onSession(event.session, this);
        return;
      case "connection":
        this.#onConnection?.(event.connection, this, event);
        return;
      default:
        return;
    }
  }

  #open(): void {
    this.#channel = openChannel(this.host, this.#hub, {
      handleOpen: (now) => this.#then(() => this.#machine.handleOpen(now)),
      handleMessage: (text, now) => this.#then(() => this.#machine.handleMessage(text, now)),
      handleClosed: (now) => {
        this.#channel = undefined;
        this.#then(() => this.#machine.handleClosed(now));
      },
    });
  }

  #then(act: () => void): void {
    act();
    this.#driver.drain();
  }
}

/** What both kinds of peer are told. */
export interface PeerOptions {
  readonly hub: Address;
  readonly stun: readonly Address[];
  readonly onSession?: OnSession;
  readonly onConnection?: (connection: QuicConnection, peer: VirtualPeer, event: TraversalEvent) => void;
}

/** A peer that waits under a name. */
export function listenAs(
  net: VirtualNetwork,
  host: VirtualHost,
  name: string,
  options: PeerOptions & { readonly allow: AllowList; readonly maxSessions?: number },
): VirtualPeer {
  const context = contextOf(host, net.seed);
  const listener: ListenerMachine = new HubListener({ ...context, hub: HUB, name, allow: options.allow });
  const { maxSessions = 1 } = options;
  return new VirtualPeer(
    net,
    host,
    (node) => iceThenQuic().accept({ listener, patient: false, maxSessions }, node),
    { ...options, context },
  );
}

/** A peer that calls a name at once. */
export function dialName(net: VirtualNetwork, host: VirtualHost, name: string, options: PeerOptions): VirtualPeer {
  const context = contextOf(host, net.seed);
  const caller: CallerMachine = new HubCaller({
    ...context,
    hub: HUB,
    callee: { kind: "name", name, key: undefined },
  });
  return new VirtualPeer(
    net,
    host,
    (node) => iceThenQuic().dial({ caller, patient: false }, node),
    { ...options, context },
  );
}

/** What makes a caller send a request and a listener return it; `firstByteAt` is when the caller has it back. */
export class Echo {
  firstByteAt: number | undefined;
  returned = "";
  readonly #net: VirtualNetwork;
  readonly #request: Uint8Array;

  constructor(net: VirtualNetwork, request = "hello") {
    this.#net = net;
    this.#request = new TextEncoder().encode(request);
  }

  /** For the caller. */
  readonly ask: OnSession = ({ connection }, peer) => {
    const id = connection.openStream("bidirectional");
    if (id === undefined) throw new Error("the peer allows no stream");
    connection.write(id, this.#request);
    connection.finish(id);
    peer.drain();
  };

  /** For the listener. */
  readonly answer = (connection: QuicConnection, peer: VirtualPeer, event: TraversalEvent): void => {
    if (event.type !== "connection") return;
    if (event.event.type !== "streamReadable" && event.event.type !== "streamOpened") return;
    const { id } = event.event;
    for (let chunk = connection.read(id); chunk !== undefined; chunk = connection.read(id)) connection.write(id, chunk);
    if (connection.isAtEnd(id)) connection.finish(id);
    peer.drain();
  };

  /** For the caller. */
  readonly hear = (connection: QuicConnection, peer: VirtualPeer, event: TraversalEvent): void => {
    if (event.type !== "connection" || event.event.type !== "streamReadable") return;
    this.firstByteAt ??= this.#net.now;
    const { id } = event.event;
    for (let chunk = connection.read(id); chunk !== undefined; chunk = connection.read(id)) {
      this.returned += new TextDecoder().decode(chunk);
    }
    peer.drain();
  };
}
