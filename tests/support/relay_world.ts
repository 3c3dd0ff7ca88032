/**
 * A relay in the virtual network, and peers that have a port there: an outer connection, a tunnel, and a QUIC endpoint inside.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import type { Host } from "../../io/host.ts";
import type { VirtualHost, VirtualNetwork } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { Http3Connection } from "../../protocols/http3/connection.ts";
import { HTTP3_ALPN, TUNNEL_HTTP3_OPTIONS, TUNNEL_TRANSPORT_SETTINGS } from "../../protocols/masque/config.ts";
import { UdpTunnel, type UdpTunnelEvent } from "../../protocols/masque/udp_tunnel.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import { Relay, type RelayEvent, type RelayOptions } from "../../service/relay.ts";
import { makeSelfSigned, type SelfSigned } from "../../service/self_signed.ts";
import { rawKeyTls, testKey } from "./quic_pair.ts";

/** Where relays listen. */
export const RELAY_PORT = 4443;

/** A host with a name, of either kind. */
export interface PeerHost extends Host {
  readonly name: string;
  /** Its address, with that port. */
  address(port?: number): Address;
}

/** What a peer needs to know of a relay. */
export interface KnownRelay {
  readonly address: Address;
  readonly certificate: Pick<SelfSigned, "sha256">;
}

/** A relay on a host. */
export interface RunningRelay {
  readonly host: VirtualHost;
  readonly relay: Relay;
  readonly address: Address;
  readonly certificate: SelfSigned;
  readonly driver: Driver<RelayEvent>;
  readonly events: { readonly at: number; readonly event: RelayEvent }[];
}

/**
 * Starts a relay on the first address of a host.
 *
 * @param wrap What stands between the relay and its sockets, for one that lies.
 */
export function startRelay(
  host: VirtualHost,
  options: Partial<RelayOptions> = {},
  wrap: (relay: Relay) => Machine<RelayEvent> = (relay) => relay,
): RunningRelay {
  const certificate = makeSelfSigned("relay.test", host.random, host.epochMs);
  const base = host.bind(host.address(RELAY_PORT));
  const relay = new Relay({
    bases: [base],
    binder: host,
    random: host.random,
    credential: certificate.credential,
    access: { isOpen: true },
    epochMs: host.epochMs,
    ...options,
  });
  const events: RunningRelay["events"] = [];
  const driver = new Driver(wrap(relay), host, (event) => events.push({ at: host.now(), event }));
  return { host, relay, address: base.local, certificate, driver, events };
}

/** What happens at a peer. */
export type PeerEvent =
  | { readonly type: "tunnel"; readonly event: UdpTunnelEvent }
  | { readonly type: "inner"; readonly connection: QuicConnection; readonly event: ConnectionEvent }
  | { readonly type: "raw"; readonly datagram: Datagram };

/** How a peer is made. */
export interface TunnelPeerOptions {
  readonly token?: string;
  /** Proves the key of this name. */
  readonly key?: string;
  readonly outer?: Partial<TransportSettings>;
  /** Datagrams out of the tunnel are reported, not handed to QUIC. */
  readonly isRaw?: boolean;
}

/** A peer behind a relay: what comes out of the tunnel is for an inner QUIC server, or is reported as it is. */
export class TunnelPeer implements Machine<PeerEvent> {
  readonly base: Base;
  readonly outer: QuicEndpoint;
  readonly outerConnection: QuicConnection;
  readonly http3: Http3Connection;
  readonly tunnel: UdpTunnel;
  readonly inner: QuicEndpoint;
  readonly driver: Driver<PeerEvent>;
  readonly events: { readonly at: number; readonly event: PeerEvent }[] = [];
  /** Where the relay says that its packets come from. */
  readonly observed: Address[] = [];
  onEvent: (event: PeerEvent) => void = () => {};
  readonly #isRaw: boolean;
  readonly #host: PeerHost;

  constructor(host: PeerHost, relay: KnownRelay, options: TunnelPeerOptions = {}) {
    this.#host = host;
    this.#isRaw = options.isRaw ?? false;
    this.base = host.bind(host.address(0));
    this.outer = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, host.random);
    this.inner = new QuicEndpoint({
      ...DEFAULT_ENDPOINT_CONFIG,
      server: { tls: rawKeyTls(testKey(host.name), undefined), transport: DEFAULT_TRANSPORT_SETTINGS },
    }, host.random);
    this.outerConnection = this.outer.connect({
      base: this.base,
      remote: relay.address,
      tls: {
        cipherSuites: DEFAULT_CIPHER_SUITES,
        applicationProtocols: [HTTP3_ALPN],
        credentials: [],
        peer: { certificateTypes: ["X509"], certificateSha256: [relay.certificate.sha256], ask: false },
        keyLog: false,
      },
      transport: { ...TUNNEL_TRANSPORT_SETTINGS, keepAliveMs: 10_000, ...options.outer },
    }, host.now());
    this.http3 = new Http3Connection(this.outerConnection, TUNNEL_HTTP3_OPTIONS);
    this.tunnel = new UdpTunnel(this.http3, {
      authority: relay.address.toString(),
      ...(options.token === undefined ? {} : { token: options.token }),
      ...(options.key === undefined ? {} : { key: testKey(options.key) }),
    });
    this.driver = new Driver<PeerEvent>(this, host, (event) => {
      this.events.push({ at: host.now(), event });
      this.onEvent(event);
    });
    this.driver.drain();
  }

  /** The address that others reach it by, once there is one. */
  get publicAddress(): Address | undefined {
    return this.tunnel.base?.local;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.outer.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.outer.handleTimeout(now);
    this.inner.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    for (let out = this.inner.pollTransmit(now); out !== undefined; out = this.inner.pollTransmit(now)) {
      this.tunnel.send(out, now);
    }
    return this.outer.pollTransmit(now);
  }

  pollEvent(): PeerEvent | undefined {
    const now = this.#host.now();
    for (let event = this.outer.pollEvent(); event !== undefined; event = this.outer.pollEvent()) {
      if (event.type !== "connection") continue;
      if (event.event.type === "observedAddress") this.observed.push(event.event.address);
      this.http3.handleEvent(event.event, now);
    }
    for (let event = this.http3.pollEvent(); event !== undefined; event = this.http3.pollEvent()) {
      this.tunnel.handleEvent(event, now);
    }
    const told = this.tunnel.pollEvent();
    if (told !== undefined) return { type: "tunnel", event: told };
    for (let out = this.tunnel.pollDatagram(now); out !== undefined; out = this.tunnel.pollDatagram(now)) {
      if (this.#isRaw) return { type: "raw", datagram: { ...out, payload: out.payload.slice() } };
      this.inner.handleDatagram(out, now);
    }
    for (let event = this.inner.pollEvent(); event !== undefined; event = this.inner.pollEvent()) {
      if (event.type === "connection") return { type: "inner", connection: event.connection, event: event.event };
    }
    return undefined;
  }

  pollTimeout(): number | undefined {
    const [a, b] = [this.outer.pollTimeout(), this.inner.pollTimeout()];
    return a === undefined || b === undefined ? a ?? b : Math.min(a, b);
  }

  /** Why the tunnel ended, once it did. */
  get closed(): Extract<UdpTunnelEvent, { type: "closed" }> | undefined {
    for (const { event } of this.events) {
      if (event.type === "tunnel" && event.event.type === "closed") return event.event;
    }
    return undefined;
  }

  /** What came out of the tunnel, if it is raw. */
  get received(): Datagram[] {
    return this.events.flatMap(({ event }) => event.type === "raw" ? [event.datagram] : []);
  }
}

/** A peer that speaks plain UDP, without QUIC. */
export class PlainPeer implements Machine<never> {
  readonly base: Base;
  readonly received: { readonly at: number; readonly remote: Address; readonly payload: Uint8Array }[] = [];
  readonly driver: Driver<never>;
  readonly #toSend: Datagram[] = [];

  constructor(host: PeerHost) {
    this.base = host.bind(host.address(0));
    this.driver = new Driver<never>(this, host, () => {});
  }

  /** Sends one datagram. */
  send(remote: Address, payload: Uint8Array): void {
    this.#toSend.push({ base: this.base, remote, payload });
    this.driver.drain();
  }

  handleDatagram({ remote, payload }: Datagram, now: number): void {
    this.received.push({ at: now, remote, payload: payload.slice() });
  }

  handleTimeout(): void {}

  pollTransmit(): Datagram | undefined {
    return this.#toSend.shift();
  }

  pollEvent(): undefined {}

  pollTimeout(): undefined {}
}

/** Lets time pass until the tunnel is open. */
export function untilOpen(net: VirtualNetwork, peer: TunnelPeer): Address {
  net.run({ stopWhen: () => peer.publicAddress !== undefined || peer.closed !== undefined, until: net.now + 10_000 });
  const { publicAddress } = peer;
  if (publicAddress === undefined) throw new Error(`The tunnel did not open: ${peer.closed?.reason}`);
  return publicAddress;
}

/** A peer that speaks plain QUIC: the client of what is behind a port. */
export class QuicPeer implements Machine<ConnectionEvent> {
  readonly base: Base;
  readonly endpoint: QuicEndpoint;
  readonly driver: Driver<ConnectionEvent>;
  readonly events: { readonly at: number; readonly event: ConnectionEvent }[] = [];
  onEvent: (event: ConnectionEvent) => void = () => {};
  connection: QuicConnection | undefined;
  readonly #host: PeerHost;

  constructor(host: PeerHost) {
    this.#host = host;
    this.base = host.bind(host.address(0));
    this.endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, host.random);
    this.driver = new Driver<ConnectionEvent>(this, host, (event) => {
      this.events.push({ at: host.now(), event });
      this.onEvent(event);
    });
  }

  /** Dials the server of that name (its key is made from it). */
  connect(remote: Address, name: string): QuicConnection {
    const connection = this.endpoint.connect({
      base: this.base,
      remote,
      tls: rawKeyTls(testKey(this.#host.name), testKey(name)),
      transport: DEFAULT_TRANSPORT_SETTINGS,
    }, this.#host.now());
    this.connection = connection;
    this.driver.drain();
    return connection;
  }

  /** When the first event of that type came. */
  timeOf(type: ConnectionEvent["type"]): number | undefined {
    return this.events.find(({ event }) => event.type === type)?.at;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.endpoint.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.endpoint.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.endpoint.pollTransmit(now);
  }

  pollEvent(): ConnectionEvent | undefined {
    for (let event = this.endpoint.pollEvent(); event !== undefined; event = this.endpoint.pollEvent()) {
      if (event.type === "connection") return event.event;
    }
    return undefined;
  }

  pollTimeout(): number | undefined {
    return this.endpoint.pollTimeout();
  }
}

/** What byte `offset` of a transfer is: no two stretches of it are alike. */
function byteAt(offset: number): number {
  return (offset ^ (offset >> 8) * 31 ^ (offset >> 16) * 131) & 0xff;
}

/** Sends on a stream and reads on it at the same time, and compares every byte. */
export class DuplexTransfer {
  receivedBytes = 0;
  /** When the first byte came, and the end. */
  firstAt: number | undefined;
  endAt: number | undefined;
  wrongAt: number | undefined;
  readonly #connection: QuicConnection;
  readonly #id: number;
  readonly #data: Uint8Array;
  #sentBytes = 0;

  constructor(connection: QuicConnection, id: number, bytes: number) {
    this.#connection = connection;
    this.#id = id;
    this.#data = Uint8Array.from({ length: bytes }, (_, offset) => byteAt(offset));
    this.#fill();
  }

  /** Takes an event of the connection. */
  handle(event: ConnectionEvent, now: number): void {
    if (!("id" in event) || event.id !== this.#id) return;
    if (event.type === "streamWritable") this.#fill();
    if (event.type !== "streamReadable") return;
    for (let data = this.#connection.read(this.#id); data !== undefined; data = this.#connection.read(this.#id)) {
      this.firstAt ??= now;
      for (const byte of data) {
        if (byte !== byteAt(this.receivedBytes)) this.wrongAt ??= this.receivedBytes;
        this.receivedBytes++;
      }
    }
    if (this.#connection.isAtEnd(this.#id)) this.endAt ??= now;
  }

  #fill(): void {
    while (this.#sentBytes < this.#data.length) {
      const taken = this.#connection.write(this.#id, this.#data.subarray(this.#sentBytes));
      this.#sentBytes += taken;
      if (taken === 0) return;
    }
    this.#connection.finish(this.#id);
  }
}

/** Both ends of a stream between a plain client and the server behind a port, each sending so much. */
export function transferBothWays(client: QuicPeer, server: TunnelPeer, bytes: number): DuplexTransfer[] {
  const transfers: DuplexTransfer[] = [];
  client.onEvent = (event) => {
    const { connection } = client;
    if (connection === undefined) return;
    if (event.type === "handshakeComplete") {
      transfers[0] = new DuplexTransfer(connection, connection.openStream("bidirectional")!, bytes);
    }
    transfers[0]?.handle(event, clockOf(client));
    client.driver.drain();
  };
  server.onEvent = (event) => {
    if (event.type !== "inner") return;
    if (event.event.type === "streamOpened") {
      transfers[1] = new DuplexTransfer(event.connection, event.event.id, bytes);
    }
    transfers[1]?.handle(event.event, clockOf(server));
    server.driver.drain();
  };
  return transfers;
}

function clockOf(peer: { readonly events: readonly { readonly at: number }[] }): number {
  return peer.events.at(-1)?.at ?? 0;
}
