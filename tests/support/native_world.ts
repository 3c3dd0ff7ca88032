/**
 * Calls of `quic-native` in the virtual network: a relay and a STUN server in the core, a listener that has a port at the
 * relay, and a caller that has its ticket; each peer behind a NAT or not.
 *
 * @module
 */

import { hostCandidates } from "../../candidates/host.ts";
import { serverReflexive } from "../../candidates/server_reflexive.ts";
import { Driver } from "../../io/driver.ts";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { LinkOptions, NatOptions, TraceOptions, VirtualHost, VirtualNat } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Machine as CoreMachine } from "../../protocols/core/machine.ts";
import { randomBytes } from "../../protocols/core/random.ts";
import type { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import type { Relay, RelayEvent, RelayOptions } from "../../service/relay.ts";
import { RelayedListener, SilentCaller } from "../../signaling/relayed.ts";
import { decodeTicket } from "../../signaling/ticket_codec.ts";
import { NodeBases } from "../../transports/bases.ts";
import { makeNode } from "../../transports/dial.ts";
import { quicNative } from "../../transports/quic_native.ts";
import type { TransportOfWays } from "../../transports/transport_of_ways.ts";
import type {
  EstablishedSession,
  Node,
  RelayedTarget,
  RelayPolicy,
  TraversalEvent,
} from "../../transports/traversal.ts";
import { startRelay } from "./relay_world.ts";
import type { RunningRelay } from "./relay_world.ts";
import { keyOf, startStun, STUN_PORT } from "./virtual_peers.ts";

/** Between the peers; the relay is halfway. */
export const PEER_RTT_MS = 155;

/** When calls begin: the listener has long had its address. */
export const CALL_AT = 5000;

/** Restricted by address and port, as the NATs of issue and documentation are. */
export const PORT_RESTRICTED: NatOptions = { mapping: "EIM", filtering: "APDF" };

const TOKEN_BYTES = 16;
const TRANSPORT = quicNative();

type Machine = ReturnType<typeof TRANSPORT.dial> | ReturnType<typeof TRANSPORT.accept>;
type OfType<Type extends TraversalEvent["type"]> = Extract<TraversalEvent, { readonly type: Type }>;

/** What there is. */
export interface NativeOptions {
  readonly seed: number;
  /** What the peers are behind. Default {@linkcode PORT_RESTRICTED}. */
  readonly caller?: NatOptions | "public";
  readonly listener?: NatOptions | "public";
  readonly rttMs?: number;
  /** More about both directions of both peers' links to the core. */
  readonly link?: Omit<LinkOptions, "latencyMs">;
  readonly trace?: TraceOptions;
  readonly relay?: Partial<RelayOptions>;
  /** See {@linkcode startRelay}. */
  readonly wrapRelay?: (relay: Relay) => CoreMachine<RelayEvent>;
  /** What the listener shows the relay. */
  readonly relayToken?: string;
  readonly maxSessions?: number;
  readonly listenerPolicy?: RelayPolicy;
  /** Relays besides the one, that the listener has an address at. */
  readonly otherRelays?: number;
  /** The listener's ticket is for these alone. */
  readonly ticketKeys?: readonly Uint8Array[];
  /** Of both peers. Default `quic-native`. */
  readonly transport?: TransportOfWays;
  readonly quic?: Partial<TransportSettings>;
}

/** How a peer takes part. */
interface PeerOptions {
  readonly stun: Address;
  readonly identity: Ed25519PrivateKey;
  readonly quic?: Partial<TransportSettings> | undefined;
}

/** A machine on a virtual host, and what it told when. */
export class NativePeer {
  readonly host: VirtualHost;
  readonly machine: Machine;
  readonly happened: { readonly at: number; readonly event: TraversalEvent }[] = [];
  readonly sessions: EstablishedSession[] = [];
  onConnection: (connection: QuicConnection, event: ConnectionEvent) => void = () => {};
  onSession: (connection: QuicConnection) => void = () => {};
  readonly #driver: Driver<TraversalEvent>;

  constructor(host: VirtualHost, options: PeerOptions, make: (node: Node) => Machine) {
    this.host = host;
    const bases = new NodeBases(host, { loopbackOnly: false });
    this.machine = make(makeNode(
      {
        host,
        identity: options.identity,
        transport: TRANSPORT,
        providers: [hostCandidates(), serverReflexive({ servers: [options.stun] })],
        signaling: undefined,
        stunServers: [],
        resolve: () => Promise.resolve([]),
        protocol: "q2q",
        loopback: false,
        keyLog: false,
        ...(options.quic === undefined ? {} : { quic: options.quic }),
      },
      bases.all,
      host.now(),
    ));
    bases.attach(this.machine);
    this.#driver = new Driver(this.machine, host, (event) => this.#handle(event), bases);
    this.drain();
  }

  /** The first event of a type, with its instant. */
  first<Type extends TraversalEvent["type"]>(
    type: Type,
  ): { readonly at: number; readonly event: OfType<Type> } | undefined {
    return this.all(type)[0];
  }

  /** All events of a type, with their instants. */
  all<Type extends TraversalEvent["type"]>(type: Type): { readonly at: number; readonly event: OfType<Type> }[] {
    return this.happened.flatMap(({ at, event }) => isOfType(event, type) ? [{ at, event }] : []);
  }

  /** What connections told, with the instants. */
  told<Type extends ConnectionEvent["type"]>(
    type: Type,
  ): { readonly at: number; readonly event: Extract<ConnectionEvent, { readonly type: Type }> }[] {
    return this.all("connection").flatMap(({ at, event: { event } }) =>
      isToldOfType(event, type) ? [{ at, event }] : []
    );
  }

  /** Where the first session's packets go. */
  get path(): "relayed" | "direct" | "none" {
    const session = this.sessions[0];
    if (session === undefined) return "none";
    return session.isRelayed?.(session.connection.path) === true ? "relayed" : "direct";
  }

  /** Commands were given to a connection. */
  drain(): void {
    this.machine.wake();
    this.#driver.drain();
  }

  /** Closes every session, and stops. */
  close(): void {
    this.machine.close(0, "done", this.host.now());
    this.drain();
  }

  #handle(event: TraversalEvent): void {
    this.happened.push({ at: this.host.now(), event });
    if (event.type === "connection") this.onConnection(event.connection, event.event);
    if (event.type !== "session") return;
    this.sessions.push(event.session);
    this.onSession(event.session.connection);
  }
}

/** A world with a listener that echoes. */
export class NativeWorld {
  readonly net: VirtualNetwork;
  readonly relay: RunningRelay;
  readonly stun: Address;
  readonly a: VirtualHost;
  readonly b: VirtualHost;
  readonly natOfA: VirtualNat | undefined;
  readonly natOfB: VirtualNat | undefined;
  readonly listener: NativePeer;
  readonly listenerKey: Ed25519PrivateKey;
  /** When the caller had the first byte of its echo back, and all it had back. */
  firstByteAt: number | undefined;
  returned = "";
  readonly #options: NativeOptions;

  constructor(options: NativeOptions) {
    this.#options = options;
    const { seed, trace, rttMs = PEER_RTT_MS, link = {} } = options;
    const net = this.net = new VirtualNetwork({ seed, ...(trace === undefined ? {} : { trace }) });
    const server = net.host("server");
    const stunHost = net.host("stun");
    startStun(stunHost);
    this.stun = stunHost.address(STUN_PORT);
    this.relay = startRelay(server, options.relay, options.wrapRelay);
    const latent = { rttToCoreMs: rttMs / 2, up: link, down: link };
    const place = (name: string, where: NatOptions | "public"): [VirtualHost, VirtualNat | undefined] => {
      if (where === "public") return [net.host(name, latent), undefined];
      const nat = net.nat({ ...where, ...latent });
      return [net.host(name, { behind: nat }), nat];
    };
    [this.a, this.natOfA] = place("a", options.caller ?? PORT_RESTRICTED);
    [this.b, this.natOfB] = place("b", options.listener ?? PORT_RESTRICTED);
    this.listenerKey = keyOf(this.b, seed);
    const token = randomBytes(this.b.random, TOKEN_BYTES);
    const { relayToken, quic, maxSessions = 1, transport = TRANSPORT } = options;
    const others = Array.from({ length: options.otherRelays ?? 0 }, (_, i) => startRelay(net.host(`server ${i + 2}`)));
    const relays = [this.relay, ...others].map(({ address, certificate }) => ({
      addresses: [address],
      authority: address.toString(),
      certificateSha256: certificate.sha256,
      ...(relayToken === undefined ? {} : { token: relayToken }),
    }));
    this.listener = new NativePeer(this.b, { stun: this.stun, identity: this.listenerKey, quic }, (node) => {
      const listener = new RelayedListener({ key: node.identity.publicKey, token });
      const reception = {
        listener,
        patient: false,
        maxSessions,
        relays,
        ticketToken: token,
        ...(options.ticketKeys === undefined ? {} : { ticketKeys: options.ticketKeys }),
      };
      return transport.accept(reception, { ...node, relayPolicy: options.listenerPolicy ?? node.relayPolicy });
    });
    this.listener.onConnection = (connection, event): void => {
      if (event.type !== "streamReadable" && event.type !== "streamOpened") return;
      const { id } = event;
      for (let data = connection.read(id); data !== undefined; data = connection.read(id)) connection.write(id, data);
      if (connection.isAtEnd(id)) connection.finish(id);
      this.listener.drain();
    };
  }

  /** What the listener's last ticket says. @throws {Error} If there is none. */
  get target(): RelayedTarget {
    const text = this.listener.all("ticket").at(-1)?.event.text;
    const ticket = text === undefined ? undefined : decodeTicket(text, 0);
    if (ticket?.kind !== "relayed") {
      throw new Error(`No ticket; ${this.listener.first("unregistered")?.event.reason ?? "nothing was said"}`);
    }
    const { addresses, token, keyId } = ticket;
    return { addresses, token, identity: { key: undefined, keyId } };
  }

  /** Dials the ticket at once, from `host`, with a request whose echo is waited for. */
  dial({ host = this.a, ...changes }: Partial<RelayedTarget> & { readonly host?: VirtualHost } = {}): NativePeer {
    const relayed = { ...this.target, ...changes };
    const { quic, transport = TRANSPORT } = this.#options;
    const options = { stun: this.stun, identity: keyOf(host, this.net.seed), quic };
    const caller = new NativePeer(host, options, (node) => {
      return transport.dial({ caller: new SilentCaller(), patient: false, relayed }, node);
    });
    caller.onSession = (connection): void => {
      const id = connection.openStream("bidirectional");
      if (id === undefined) return;
      connection.write(id, new TextEncoder().encode("hello"));
      connection.finish(id);
      caller.drain();
    };
    caller.onConnection = (connection, event): void => {
      if (event.type !== "streamReadable") return;
      this.firstByteAt ??= this.net.now;
      for (let data = connection.read(event.id); data !== undefined; data = connection.read(event.id)) {
        this.returned += new TextDecoder().decode(data);
      }
      caller.drain();
    };
    return caller;
  }

  /** A call at {@linkcode CALL_AT}, and `forMs` of time after it. */
  call(forMs = 5000): NativePeer {
    this.net.run({ until: CALL_AT });
    const caller = this.dial();
    this.net.run({ until: CALL_AT + forMs });
    return caller;
  }

  /** Lets time pass until something is so. @returns Whether it is. */
  until(isSo: () => boolean, maxMs: number): boolean {
    this.net.run({ until: this.net.now + maxMs, stopWhen: isSo });
    return isSo();
  }
}

function isOfType<Type extends TraversalEvent["type"]>(event: TraversalEvent, type: Type): event is OfType<Type> {
  return event.type === type;
}

function isToldOfType<Type extends ConnectionEvent["type"]>(
  event: ConnectionEvent,
  type: Type,
): event is Extract<ConnectionEvent, { readonly type: Type }> {
  return event.type === type;
}
