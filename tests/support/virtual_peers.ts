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
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { Hub } from "../../service/hub.ts";
import { HubPorts } from "../../service/hub_port.ts";
import { StunServer } from "../../service/stun_server.ts";
import type { AllowList } from "../../signaling/admission.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import type { CallerMachine, ListenerMachine, MachineContext } from "../../signaling/machines.ts";
import { TicketCaller } from "../../signaling/ticket_caller.ts";
import { decodeTicket } from "../../signaling/ticket_codec.ts";
import { TicketListener } from "../../signaling/ticket_listener.ts";
import { NodeBases } from "../../transports/bases.ts";
import { DEFAULT_TA_MS, makeNode } from "../../transports/dial.ts";
import { iceThenQuic } from "../../transports/ice_then_quic.ts";
import type { EstablishedSession, Node, RelayChannelOptions, TraversalEvent } from "../../transports/traversal.ts";

/** What records and offers are bound to in these tests. */
export const HUB = "hub.example";

/** Where the hub listens. */
export const HUB_PORT = 8080;

/** Where STUN servers listen. */
export const STUN_PORT = 3478;

const TRANSPORT = iceThenQuic();

/** Runs a hub on a virtual host. Closing it is a restart's first half. */
export function startHub(host: VirtualHost, stunServers: readonly string[] = []): StreamListener {
  const hub = new Hub<ReturnType<HubPorts["open"]>>({ stunServers, epochMs: host.epochMs });
  const ports = new HubPorts(hub);
  return serveMessages(host, HUB_PORT, (remote) => ports.open(remote.host), (_event, driver) => driver.close());
}

/** Runs a STUN server on every address of a virtual host. */
export function startStun(host: VirtualHost): void {
  for (const { address } of host.interfaces()) host.bind(addressOf(address.host, STUN_PORT));
  new Driver(new StunServer(), host, () => {});
}

/** The key of a virtual host: the same for the same name and seed. */
export function keyOf(host: VirtualHost, seed: number): Ed25519PrivateKey {
  return Ed25519PrivateKey.generate(new SeededRandom(seed, `key of ${host.name}`));
}

/** What signaling machines of a virtual host are made with. */
export function contextOf(host: VirtualHost, seed: number): MachineContext {
  return {
    random: host.random,
    epochMs: host.epochMs,
    key: keyOf(host, seed),
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

/** What a peer does when something happens on the connection of a session. */
export type OnConnection = (connection: QuicConnection, peer: VirtualPeer, event: TraversalEvent) => void;

/** What both kinds of peer are told. */
export interface PeerOptions {
  /** `undefined`: two people copy and paste. */
  readonly hub: Address | undefined;
  readonly stun: readonly Address[];
  /** Messages travel on the connection to this relay, and `hub` is where its name leads. */
  readonly relayChannel?: RelayChannelOptions;
  readonly onSession?: OnSession;
  readonly onConnection?: OnConnection;
  readonly quic?: Partial<TransportSettings>;
  /** See `Node.postQuantum`. */
  readonly postQuantum?: boolean;
  /** For who wants to read packets. */
  readonly keyLog?: boolean;
}

/** What a transport makes. */
export type VirtualMachine = ReturnType<typeof TRANSPORT.dial> | ReturnType<typeof TRANSPORT.accept>;

/** One peer: a traversal's machine on a virtual host, with its channel to the hub. */
export class VirtualPeer {
  readonly host: VirtualHost;
  readonly machine: VirtualMachine;
  readonly happened: Happened[] = [];
  readonly sessions: EstablishedSession[] = [];
  readonly #bases: NodeBases;
  readonly #driver: Driver<TraversalEvent>;
  readonly #hub: Address | undefined;
  readonly #relayChannel: RelayChannelOptions | undefined;
  readonly #net: VirtualNetwork;
  readonly #onSession: OnSession;
  readonly #onConnection: OnConnection;
  #channel: VirtualChannel | undefined;

  constructor(
    net: VirtualNetwork,
    host: VirtualHost,
    make: (node: Node) => VirtualMachine,
    options: PeerOptions & { readonly context: MachineContext },
  ) {
    this.#net = net;
    this.host = host;
    this.#hub = options.hub;
    this.#relayChannel = options.relayChannel;
    this.#onSession = options.onSession ?? ((): void => {});
    this.#onConnection = options.onConnection ?? ((): void => {});
    this.#bases = new NodeBases(host, { loopbackOnly: false });
    this.machine = make(makeNode(
      {
        host,
        identity: options.context.key,
        transport: TRANSPORT,
        providers: [hostCandidates(), serverReflexive({ servers: [] })],
        signaling: undefined,
        stunServers: options.stun.map(String),
        resolve: () => Promise.resolve([]),
        protocol: "q2q",
        loopback: false,
        keyLog: options.keyLog ?? false,
        postQuantum: options.postQuantum ?? false,
        ...(options.quic === undefined ? {} : { quic: options.quic }),
      },
      this.#bases.all,
      host.now(),
    ));
    this.#bases.attach(this.machine);
    this.#driver = new Driver(this.machine, host, (event) => this.#handle(event), this.#bases);
    this.#driver.drain();
    // As the program does it: names are resolved first, here in no time.
    this.#then(() => this.machine.addStunServers(options.stun, host.now()));
  }

  /** Its sockets now. */
  get bases(): readonly Base[] {
    return this.#bases.all;
  }

  /** How often each kind of socket error was seen. */
  get socketErrors(): ReadonlyMap<string, number> {
    return this.#driver.socketErrors;
  }

  /** The first event of a type, with its instant. */
  first<Type extends TraversalEvent["type"]>(
    type: Type,
  ): { readonly at: number; readonly event: Extract<TraversalEvent, { readonly type: Type }> } | undefined {
    for (const { at, event } of this.happened) if (isOfType(event, type)) return { at, event };
    return undefined;
  }

  /** All events of a type. */
  all<Type extends TraversalEvent["type"]>(type: Type): Extract<TraversalEvent, { readonly type: Type }>[] {
    return this.happened.map(({ event }) => event).filter((event) => isOfType(event, type));
  }

  /** Commands were given to a connection. */
  drain(): void {
    this.machine.wake();
    this.#driver.drain();
  }

  /** Pastes a line: ticket mode. */
  paste(text: string): void {
    this.#then(() => this.machine.handleMessage(text, this.#net.now));
  }

  /** Closes every session, and stops. */
  close(): void {
    this.#then(() => this.machine.close(0, "done", this.#net.now));
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
      case "stunServers":
        this.#then(() => this.machine.addStunServers(event.servers.map((it) => this.#resolve(it)), this.#net.now));
        return;
      case "session":
        this.sessions.push(event.session);
        this.#onSession(event.session, this);
        return;
      case "connection":
        this.#onConnection(event.connection, this, event);
        return;
      default:
        return;
    }
  }

  /** The hub's name is the only one there is. */
  #resolve(server: string): Address {
    const colon = server.lastIndexOf(":");
    const host = server.slice(0, colon);
    return addressOf(host === HUB && this.#hub !== undefined ? this.#hub.host : host, Number(server.slice(colon + 1)));
  }

  #open(): void {
    const { machine } = this;
    const relayChannel = this.#relayChannel;
    if (relayChannel !== undefined) return this.#then(() => machine.openRelayChannel(relayChannel, this.#net.now));
    if (this.#hub === undefined) return this.#then(() => this.machine.handleOpen(this.#net.now));
    const stale = this.#channel;
    this.#channel = undefined;
    stale?.close();
    const isCurrent = (): boolean => this.#channel === channel;
    const channel: VirtualChannel = openChannel(this.host, this.#hub, {
      handleOpen: (now) => isCurrent() && this.#then(() => this.machine.handleOpen(now)),
      handleMessage: (text, now) => isCurrent() && this.#then(() => this.machine.handleMessage(text, now)),
      handleClosed: (now) => {
        if (!isCurrent()) return;
        this.#channel = undefined;
        this.#then(() => this.machine.handleClosed(now));
      },
    });
    this.#channel = channel;
  }

  #then(act: () => void): void {
    act();
    this.#driver.drain();
  }
}

function isOfType<Type extends TraversalEvent["type"]>(
  event: TraversalEvent,
  type: Type,
): event is Extract<TraversalEvent, { readonly type: Type }> {
  return event.type === type;
}

/** A peer that waits under a name. */
export function listenAs(
  net: VirtualNetwork,
  host: VirtualHost,
  name: string,
  options: PeerOptions & { readonly allow: AllowList; readonly maxSessions?: number },
): VirtualPeer {
  const context = contextOf(host, net.seed);
  return listenWith(net, host, new HubListener({ ...context, hub: HUB, name, allow: options.allow }), options);
}

/** A peer that waits for whoever is given its ticket. */
export function listenWithTicket(net: VirtualNetwork, host: VirtualHost, options: PeerOptions): VirtualPeer {
  const context = contextOf(host, net.seed);
  const listener = new TicketListener({ ...context, stunServers: options.stun.map(String) });
  return listenWith(net, host, listener, options);
}

/** A peer that waits with any machine. */
export function listenWith(
  net: VirtualNetwork,
  host: VirtualHost,
  listener: ListenerMachine,
  options: PeerOptions & { readonly maxSessions?: number },
): VirtualPeer {
  const { maxSessions = 1 } = options;
  const reception = { listener, patient: options.hub === undefined, maxSessions, relays: [] };
  const make = (node: Node): VirtualMachine => TRANSPORT.accept(reception, node);
  return new VirtualPeer(net, host, make, { ...options, context: contextOf(host, net.seed) });
}

/** A peer that calls a name at once. */
export function dialName(
  net: VirtualNetwork,
  host: VirtualHost,
  name: string,
  options: PeerOptions & { readonly key?: Uint8Array },
): VirtualPeer {
  const context = contextOf(host, net.seed);
  const caller = new HubCaller({ ...context, hub: HUB, callee: { kind: "name", name, key: options.key } });
  return dialWith(net, host, caller, options);
}

/** A peer that calls with a direct ticket at once. @throws {TypeError} If it is none. */
export function dialTicket(
  net: VirtualNetwork,
  host: VirtualHost,
  text: string,
  options: PeerOptions,
): VirtualPeer {
  const context = contextOf(host, net.seed);
  const ticket = decodeTicket(text, host.epochMs + host.now());
  if (ticket.kind !== "direct") throw new TypeError(ticket.kind === "problem" ? ticket.message : ticket.kind);
  return dialWith(net, host, new TicketCaller({ ...context, ticket }), options);
}

/** A peer that calls with any machine. */
export function dialWith(
  net: VirtualNetwork,
  host: VirtualHost,
  caller: CallerMachine,
  options: PeerOptions,
): VirtualPeer {
  const target = { caller, patient: options.hub === undefined };
  const make = (node: Node): VirtualMachine => TRANSPORT.dial(target, node);
  return new VirtualPeer(net, host, make, { ...options, context: contextOf(host, net.seed) });
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
  readonly ask: OnSession = ({ connection }, peer) => this.#ask(connection, peer);

  /** As soon as the peer allows a stream. */
  #ask(connection: QuicConnection, peer: VirtualPeer): void {
    const id = connection.openStream("bidirectional");
    if (id === undefined) return;
    connection.write(id, this.#request);
    connection.finish(id);
    peer.drain();
  }

  /** For the listener. */
  readonly answer: OnConnection = (connection, peer, event) => {
    if (event.type !== "connection") return;
    if (event.event.type !== "streamReadable" && event.event.type !== "streamOpened") return;
    const { id } = event.event;
    for (let chunk = connection.read(id); chunk !== undefined; chunk = connection.read(id)) connection.write(id, chunk);
    if (connection.isAtEnd(id)) connection.finish(id);
    peer.drain();
  };

  /** For the caller. */
  readonly hear: OnConnection = (connection, peer, event) => {
    if (event.type === "connection" && event.event.type === "streamsAvailable") this.#ask(connection, peer);
    if (event.type !== "connection" || event.event.type !== "streamReadable") return;
    this.firstByteAt ??= this.#net.now;
    const { id } = event.event;
    for (let chunk = connection.read(id); chunk !== undefined; chunk = connection.read(id)) {
      this.returned += new TextDecoder().decode(chunk);
    }
    peer.drain();
  };
}
