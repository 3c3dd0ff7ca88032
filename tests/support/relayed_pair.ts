/**
 * A QUIC client and server in the virtual network that meet at a relay: the server is reached at a port of the relay, which
 * forwards to it in datagrams of its own; the client sends to that port. The relay is the simplest there can be: it has no
 * protocol but an address in front of each datagram. NAT traversal then looks for a path around it.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { LinkOptions, NatBehaviour, VirtualHost, VirtualNat } from "../../lab/mod.ts";
import { parseAddress } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { ConnectionEvent, EndpointEvent } from "../../protocols/quic/events.ts";

import { CLIENT_KEY, rawKeyTls, SERVER_KEY } from "./quic_pair.ts";

/** Port of the relay that stands for the server. */
const BOUND_PORT = 4433;
/** Port of the relay that the server talks to. */
const CONTROL_PORT = 4434;
const HELLO_INTERVAL_MS = 200;

/** `address` in front of `payload`. */
function wrap(address: Address, payload: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(String(address));
  const whole = new Uint8Array(1 + text.length + payload.length);
  whole[0] = text.length;
  whole.set(text, 1);
  whole.set(payload, 1 + text.length);
  return whole;
}

function unwrap(bytes: Uint8Array): { readonly address: Address; readonly payload: Uint8Array } {
  const end = 1 + (bytes[0] ?? 0);
  return { address: parseAddress(new TextDecoder().decode(bytes.subarray(1, end))), payload: bytes.slice(end) };
}

/** The relay. Whoever says hello to its control port is the server, and is told where it was seen. */
class Relay implements Machine<never> {
  /** Where the server is reached. */
  readonly bound: Address;
  readonly #bound: Base;
  readonly #control: Base;
  readonly #out: Datagram[] = [];
  #server: Address | undefined;
  forwarded = 0;
  isDead = false;

  constructor(bound: Base, control: Base) {
    this.bound = bound.local;
    this.#bound = bound;
    this.#control = control;
  }

  handleDatagram({ base, remote, payload }: Datagram): void {
    if (this.isDead) return;
    if (base === this.#bound) {
      if (this.#server === undefined) return;
      this.forwarded++;
      this.#out.push({ base: this.#control, remote: this.#server, payload: wrap(remote, payload) });
      return;
    }
    this.#server = remote;
    if (payload.length === 0) {
      this.#out.push({ base, remote, payload: wrap(remote, new Uint8Array(0)) });
      return;
    }
    const { address, payload: inner } = unwrap(payload);
    this.forwarded++;
    this.#out.push({ base: this.#bound, remote: address, payload: inner });
  }

  handleTimeout(): void {}

  pollTransmit(): Datagram | undefined {
    return this.#out.shift();
  }

  pollEvent(): undefined {}

  pollTimeout(): undefined {}
}

/** A QUIC endpoint on one socket, and on a tunnel where it has one. */
export class RelayedPeer implements Machine<EndpointEvent> {
  readonly host: VirtualHost;
  readonly socket: Base;
  readonly tunnel: Base | undefined;
  readonly endpoint: QuicEndpoint;
  readonly events: { readonly at: number; readonly event: ConnectionEvent }[] = [];
  connection: QuicConnection | undefined;
  onEvent: (connection: QuicConnection, event: ConnectionEvent) => void = () => {};
  /** Datagrams that left on the socket for somebody other than the relay, and their bytes. */
  direct = { datagrams: 0, bytes: 0 };
  readonly #relay: Address;
  readonly #isServer: boolean;
  readonly #driver: Driver<EndpointEvent>;
  /** Datagrams for the relay. */
  readonly #wrapped: Datagram[] = [];
  /** When the relay is told next that we are here: either way that may be lost. */
  #helloAt: number;

  constructor(
    host: VirtualHost,
    endpoint: QuicEndpoint,
    relay: { readonly bound: Address; readonly control: Address },
    isServer: boolean,
  ) {
    this.host = host;
    this.endpoint = endpoint;
    this.#isServer = isServer;
    this.#relay = isServer ? relay.control : relay.bound;
    this.socket = host.bind(host.address(4000));
    this.tunnel = isServer ? { kind: "tunnel", local: relay.bound, maxPayloadBytes: 1400 } : undefined;
    this.#driver = new Driver(this, host, (event) => this.#handle(event));
    this.#helloAt = isServer ? 0 : Infinity;
  }

  drain(): void {
    this.#driver.drain();
  }

  /** When the first event of that type came. */
  timeOf(type: ConnectionEvent["type"]): number | undefined {
    return this.events.find(({ event }) => event.type === type)?.at;
  }

  /** Where the server was seen, once the relay has said so. */
  reflexive: Address | undefined;

  handleDatagram(datagram: Datagram, now: number): void {
    const { remote, payload } = datagram;
    if (!this.#isServer || this.tunnel === undefined || remote !== this.#relay) {
      return this.endpoint.handleDatagram(datagram, now);
    }
    const { address, payload: inner } = unwrap(payload);
    if (inner.length === 0) {
      this.reflexive = address;
      this.#helloAt = Infinity;
    } else this.endpoint.handleDatagram({ base: this.tunnel, remote: address, payload: inner }, now);
  }

  handleTimeout(now: number): void {
    this.endpoint.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    if (now >= this.#helloAt) {
      this.#helloAt = now + HELLO_INTERVAL_MS;
      return { base: this.socket, remote: this.#relay, payload: new Uint8Array(0) };
    }
    const wrapped = this.#wrapped.shift();
    if (wrapped !== undefined) return wrapped;
    const next = this.endpoint.pollTransmit(now);
    if (next === undefined) return undefined;
    if (next.base !== this.tunnel) {
      if (next.remote !== this.#relay) {
        this.direct.datagrams++;
        this.direct.bytes += next.payload.length;
      }
      return next;
    }
    // One by one, each with its address.
    const segmentBytes = next.segmentBytes ?? next.payload.length;
    for (let at = 0; at < next.payload.length; at += segmentBytes) {
      const payload = wrap(next.remote, next.payload.subarray(at, at + segmentBytes));
      this.#wrapped.push({ base: this.socket, remote: this.#relay, payload });
    }
    return this.#wrapped.shift();
  }

  pollEvent(): EndpointEvent | undefined {
    return this.endpoint.pollEvent();
  }

  pollTimeout(): number | undefined {
    const at = Math.min(this.#helloAt, this.endpoint.pollTimeout() ?? Infinity);
    return at === Infinity ? undefined : at;
  }

  #handle(event: EndpointEvent): void {
    if (event.type === "incoming") {
      this.connection = event.connection;
      const now = this.host.now();
      const { socket } = this;
      this.connection.addCandidate({ type: "host", address: socket.local, base: socket }, now);
      if (this.reflexive !== undefined && this.reflexive !== socket.local) {
        this.connection.addCandidate(
          { type: "srflx", address: this.reflexive, base: socket, server: this.#relay },
          now,
        );
      }
    } else {
      this.events.push({ at: this.host.now(), event: event.event });
      this.onEvent(event.connection, event.event);
    }
    this.drain();
  }
}

/** How a pair differs from the usual one. */
export interface RelayedOptions {
  readonly seed?: number;
  readonly clientNat?: NatBehaviour | undefined;
  readonly serverNat?: NatBehaviour | undefined;
  /** Between the peers, through or around the relay. Default 155 ms. */
  readonly rttMs?: number;
  readonly lossRate?: number;
  readonly client?: Partial<TransportSettings>;
  readonly server?: Partial<TransportSettings>;
  /** Whether the client moves to what was found. Default true. */
  readonly moves?: boolean;
}

/** Both peers and the relay between them. */
export class RelayedPair {
  readonly net: VirtualNetwork;
  readonly client: RelayedPeer;
  readonly server: RelayedPeer;
  readonly relay: Relay;
  readonly nats: { readonly client: VirtualNat | undefined; readonly server: VirtualNat | undefined };
  /** When the client dials: the server has its port by then. */
  readonly startedAt = 1000;

  constructor(options: RelayedOptions = {}) {
    const { seed = 1, rttMs = 155, lossRate = 0 } = options;
    const net = this.net = new VirtualNetwork({ seed });
    const relayHost = net.host("relay");
    const [bound, control] = [relayHost.address(BOUND_PORT), relayHost.address(CONTROL_PORT)];
    this.relay = new Relay(relayHost.bind(bound), relayHost.bind(control));
    new Driver(this.relay, relayHost, () => {});
    const link: LinkOptions = { lossRate };
    const transport = {
      ...DEFAULT_TRANSPORT_SETTINGS,
      natTraversal: { concurrencyLimit: 8, rules: { allowLoopback: false } },
      addressDiscovery: "reports and wants",
    } as const;
    // The latency is on the line of the home, beyond its NAT.
    const line = { rttToCoreMs: rttMs / 2, up: link, down: link };
    const natOf = (nat: NatBehaviour | undefined): VirtualNat | undefined =>
      nat === undefined ? undefined : net.nat({ allocation: "random", ...nat, ...line });
    const nats = this.nats = { client: natOf(options.clientNat), server: natOf(options.serverNat) };
    const hostOf = (name: "client" | "server"): VirtualHost => {
      const behind = nats[name];
      return net.host(name, behind === undefined ? line : { behind });
    };
    const serverHost = hostOf("server");
    this.server = new RelayedPeer(
      serverHost,
      new QuicEndpoint({
        ...DEFAULT_ENDPOINT_CONFIG,
        server: { tls: rawKeyTls(SERVER_KEY, undefined), transport: { ...transport, ...options.server } },
      }, serverHost.random),
      { bound, control },
      true,
    );
    const clientHost = hostOf("client");
    const client = this.client = new RelayedPeer(
      clientHost,
      new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, clientHost.random),
      { bound, control },
      false,
    );
    this.server.drain();
    net.run({ until: this.startedAt });
    client.connection = client.endpoint.connect({
      base: client.socket,
      remote: bound,
      tls: rawKeyTls(CLIENT_KEY, SERVER_KEY),
      transport: { ...transport, ...options.client },
    }, net.now);
    client.connection.addCandidate({ type: "host", address: client.socket.local, base: client.socket }, net.now);
    client.onEvent = (connection, event) => {
      const { now } = net;
      if (event.type === "observedAddress") {
        const { base, address, remote } = event;
        if (address !== base.local) connection.addCandidate({ type: "srflx", address, base, server: remote }, now);
      } else if (event.type === "pathFound" && options.moves !== false) {
        connection.migrate(event.base, event.remote, now);
      }
    };
    client.drain();
  }

  /** Whether the client's packets go around the relay. */
  get isDirect(): boolean {
    const path = this.client.connection?.path;
    return path !== undefined && path.remote !== this.relay.bound;
  }

  /** Time since the client dialled. */
  get elapsed(): number {
    return this.net.now - this.startedAt;
  }
}
