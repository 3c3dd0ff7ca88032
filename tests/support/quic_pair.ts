/**
 * Two QUIC endpoints in virtual time, joined by links with latency, loss, duplication and reordering, all from one seed.
 *
 * @module
 */

import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";
import { randomUnit } from "../../protocols/core/random.ts";
import type { Random } from "../../protocols/core/random.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type {
  AddressValidation,
  ConnectOptions,
  EndpointConfig,
  TlsSettings,
  TransportSettings,
} from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import { rawPublicKeyCredential } from "../../protocols/tls/certificates.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import { seededRandom } from "./seeded_random.ts";

/** What a link does to datagrams. */
export interface LinkOptions {
  readonly latencyMs: number;
  /** Probabilities, 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  /** Delayed by up to this much more, each on its own. */
  readonly jitterMs: number;
}

/** A link that only delays. */
export const PLAIN_LINK: LinkOptions = { latencyMs: 10, loss: 0, duplication: 0, jitterMs: 0 };

/** A key of a peer, always the same for the same name. */
export function testKey(name: string): Ed25519PrivateKey {
  const seed = new Uint8Array(32);
  new TextEncoder().encodeInto(name, seed);
  return Ed25519PrivateKey.fromSeed(seed);
}

/** TLS of a peer that presents `own` and expects `peer`, both as raw keys. */
export function rawKeyTls(own: Ed25519PrivateKey, peer: Ed25519PrivateKey | undefined): TlsSettings {
  return {
    cipherSuites: DEFAULT_CIPHER_SUITES,
    applicationProtocols: ["q2q"],
    credentials: [rawPublicKeyCredential(own)],
    peer: {
      certificateTypes: ["RawPublicKey"],
      ...(peer === undefined ? {} : { publicKeys: [peer.publicKey.bytes] }),
      refusePublicKey: own.publicKey.bytes,
      ask: false,
    },
    keyLog: false,
  };
}

/** One of the two ends. */
export class Peer {
  readonly name: string;
  readonly endpoint: QuicEndpoint;
  base: Base;
  /** All bases, `base` first. */
  readonly bases: Base[];
  /** Connections reported or made, in order. */
  readonly connections: QuicConnection[] = [];
  /** Every event with its time. */
  readonly events: { readonly at: number; readonly connection: QuicConnection; readonly event: ConnectionEvent }[] = [];
  /** Called for each event, to react to it. */
  onEvent: (connection: QuicConnection, event: ConnectionEvent) => void = () => {};

  constructor(name: string, endpoint: QuicEndpoint, local: Address) {
    this.name = name;
    this.endpoint = endpoint;
    this.base = { kind: "socket", local, maxPayloadBytes: 1472 };
    this.bases = [this.base];
  }

  /** One more address of this end. */
  addBase(local: Address, kind: Base["kind"] = "socket"): Base {
    const base: Base = { kind, local, maxPayloadBytes: 1472 };
    this.bases.push(base);
    return base;
  }

  /** Types of the events of the first connection, in order. */
  get eventTypes(): string[] {
    return this.events.map(({ event }) => event.type);
  }

  /** When the first event of that type came. */
  timeOf(type: ConnectionEvent["type"]): number | undefined {
    return this.events.find(({ event }) => event.type === type)?.at;
  }
}

/** How a pair is made. */
export interface PairOptions {
  readonly seed?: number;
  readonly link?: Partial<LinkOptions>;
  readonly transport?: Partial<TransportSettings>;
  readonly server?: Partial<EndpointConfig>;
  /** How the server makes sure of addresses. */
  readonly validation?: AddressValidation;
  readonly clientTls?: TlsSettings;
  readonly serverTls?: TlsSettings;
}

/** Where a datagram goes from and to. */
export interface Hop {
  readonly from: Address;
  readonly to: Address;
}

interface InFlight {
  readonly at: number;
  readonly sequence: number;
  readonly to: Address;
  readonly from: Address;
  readonly bytes: Uint8Array;
}

export const CLIENT_ADDRESS: Address = addressOf("192.0.2.1", 50000);
export const SERVER_ADDRESS: Address = addressOf("198.51.100.1", 4433);
export const CLIENT_KEY: Ed25519PrivateKey = testKey("client");
export const SERVER_KEY: Ed25519PrivateKey = testKey("server");

/** A client and a server. */
export class Pair {
  readonly client: Peer;
  readonly server: Peer;
  readonly random: Random;
  readonly transport: TransportSettings;
  link: LinkOptions;
  now = 0;
  /** One line a datagram: for comparing runs, and for reading. */
  readonly trace: string[] = [];
  /** Datagrams that were put on the link, by sender. */
  readonly sent = { client: 0, server: 0 };
  readonly sentBytes = { client: 0, server: 0 };
  /** What a datagram becomes before it leaves. */
  rewrite: (from: Peer, bytes: Uint8Array, hop: Hop) => Uint8Array = (_, bytes) => bytes;
  /** Whether a datagram gets through, besides what the link loses. */
  filter: (from: Peer, bytes: Uint8Array, hop: Hop) => boolean = () => true;
  /** Whether a datagram is let in where it arrives, when it does. */
  admits: (hop: Hop, bytes: Uint8Array) => boolean = () => true;
  /** One-way latency of a datagram, where it is not that of the link. */
  latencyMs: (hop: Hop) => number | undefined = () => undefined;
  /** Told of every datagram that an end sends. */
  onSent: (to: Address, bytes: Uint8Array) => void = () => {};
  #flying: InFlight[] = [];
  #sequence = 0;
  readonly #clientTls: TlsSettings;

  constructor(options: PairOptions = {}) {
    this.random = seededRandom(options.seed ?? 1);
    this.link = { ...PLAIN_LINK, ...options.link };
    this.transport = { ...DEFAULT_TRANSPORT_SETTINGS, ...options.transport };
    this.#clientTls = options.clientTls ?? rawKeyTls(CLIENT_KEY, SERVER_KEY);
    const serverConfig: EndpointConfig = {
      ...DEFAULT_ENDPOINT_CONFIG,
      server: {
        tls: options.serverTls ?? rawKeyTls(SERVER_KEY, CLIENT_KEY),
        transport: this.transport,
        ...(options.validation === undefined ? {} : { addressValidation: options.validation }),
      },
      ...options.server,
    };
    this.client = new Peer("client", new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, this.random), CLIENT_ADDRESS);
    this.server = new Peer("server", new QuicEndpoint(serverConfig, this.random), SERVER_ADDRESS);
  }

  /** Starts a connection from client to server. */
  connect(options: Partial<ConnectOptions> = {}): QuicConnection {
    const connection = this.client.endpoint.connect({
      base: this.client.base,
      remote: this.server.base.local,
      tls: this.#clientTls,
      transport: this.transport,
      ...options,
    }, this.now);
    this.client.connections.push(connection);
    return connection;
  }

  /** Connects, and runs until both ends have confirmed the handshake. */
  established(options: Partial<ConnectOptions> = {}): { client: QuicConnection; server: QuicConnection } {
    const client = this.connect(options);
    const count = this.server.connections.length;
    this.runUntil(() =>
      client.state === "confirmed" && this.server.connections.length > count &&
      this.server.connections.at(-1)!.state === "confirmed"
    );
    return { client, server: this.server.connections.at(-1)! };
  }

  /** The client gets another address, as by a NAT that forgot: what it sends comes from there. */
  rebindClient(address: Address): void {
    this.#clientAlias = address;
  }
  #clientAlias: Address = CLIENT_ADDRESS;

  /** Drains both ends at the present time. */
  drain(): void {
    for (let round = 0; round < 10_000; round++) {
      let moved = false;
      for (const peer of [this.client, this.server]) {
        for (let event = peer.endpoint.pollEvent(); event !== undefined; event = peer.endpoint.pollEvent()) {
          moved = true;
          if (event.type === "incoming") {
            peer.connections.push(event.connection);
            continue;
          }
          peer.events.push({ at: this.now, connection: event.connection, event: event.event });
          peer.onEvent(event.connection, event.event);
        }
        let datagrams = 0;
        for (
          let out = peer.endpoint.pollTransmit(this.now);
          out !== undefined;
          out = peer.endpoint.pollTransmit(this.now)
        ) {
          moved = true;
          this.#send(peer, out);
          if (++datagrams > 10_000) throw new Error("An endpoint sends without end");
        }
      }
      if (!moved) return;
    }
    throw new Error("The endpoints never run dry");
  }

  #send(peer: Peer, datagram: Datagram): void {
    const { payload, segmentBytes = payload.length } = datagram;
    for (let start = 0; start < payload.length; start += segmentBytes) {
      const from = datagram.base === this.client.base ? this.#clientAlias : datagram.base.local;
      const hop = { from, to: datagram.remote };
      const bytes = this.rewrite(peer, payload.slice(start, start + segmentBytes), hop);
      const side = peer === this.client ? "client" : "server";
      this.sent[side]++;
      this.sentBytes[side] += bytes.length;
      this.onSent(datagram.remote, bytes);
      const { loss, duplication, jitterMs } = this.link;
      const latencyMs = this.latencyMs(hop) ?? this.link.latencyMs;
      const isLost = !this.filter(peer, bytes, hop) || randomUnit(this.random) < loss;
      this.trace.push(`${this.now.toFixed(3)} ${side} ${bytes.length}${isLost ? " lost" : ""}`);
      if (isLost) continue;
      const copies = randomUnit(this.random) < duplication ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        const at = this.now + latencyMs + (jitterMs > 0 ? randomUnit(this.random) * jitterMs : 0);
        this.#fly({ at, sequence: this.#sequence++, to: datagram.remote, from, bytes });
      }
    }
  }

  /** Puts a datagram of a stranger, or a copy of one, on the link. */
  inject(bytes: Uint8Array, from: Address, to: Address): void {
    this.#fly({ at: this.now + this.link.latencyMs, sequence: this.#sequence++, to, from, bytes });
  }

  #fly(datagram: InFlight): void {
    // Almost always at the end: a binary search would not be faster.
    let at = this.#flying.length;
    while (at > 0 && this.#flying[at - 1]!.at > datagram.at) at--;
    this.#flying.splice(at, 0, datagram);
  }

  /** Jumps to the next thing that happens, and lets it. @returns Whether there was one. */
  step(): boolean {
    this.drain();
    const flying = this.#flying[0];
    const times = [flying?.at, this.client.endpoint.pollTimeout(), this.server.endpoint.pollTimeout()];
    const next = Math.min(...times.map((at) => at ?? Infinity));
    if (next === Infinity) return false;
    if (next < this.now - 1e-6 && flying?.at !== next) this.#stuck++;
    else this.#stuck = 0;
    if (this.#stuck > 100) throw new Error(`A deadline stays in the past at ${this.now}`);
    this.now = Math.max(this.now, next);
    while (this.#flying.length > 0 && this.#flying[0]!.at <= this.now) this.#deliver(this.#flying.shift()!);
    this.client.endpoint.handleTimeout(this.now);
    this.server.endpoint.handleTimeout(this.now);
    this.drain();
    return true;
  }
  #stuck = 0;

  #deliver(datagram: InFlight): void {
    const { bytes: payload, from: remote, to } = datagram;
    if (!this.admits({ from: remote, to }, payload)) return;
    for (const peer of [this.client, this.server]) {
      const base = peer.bases.find((other) => to === (other === this.client.base ? this.#clientAlias : other.local));
      if (base !== undefined) return peer.endpoint.handleDatagram({ base, remote, payload }, this.now);
    }
  }

  /** Steps until the condition holds. @throws {Error} If it does not within the bound. */
  runUntil(condition: () => boolean, maxSteps = 20_000): void {
    this.drain();
    for (let step = 0; step < maxSteps; step++) {
      if (condition()) return;
      if (!this.step()) break;
    }
    if (!condition()) throw new Error(`It did not come about by ${this.now} ms`);
  }

  /** Steps until that instant. */
  runTo(at: number, maxSteps = 20_000): void {
    this.drain();
    for (let step = 0; step < maxSteps; step++) {
      const next = Math.min(
        this.#flying[0]?.at ?? Infinity,
        this.client.endpoint.pollTimeout() ?? Infinity,
        this.server.endpoint.pollTimeout() ?? Infinity,
      );
      if (next > at) {
        this.now = at;
        return;
      }
      this.step();
    }
    throw new Error(`There was no end of steps before ${at} ms`);
  }
}

/** Reads a stream dry. */
export function readAll(connection: QuicConnection, id: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let data = connection.read(id); data !== undefined; data = connection.read(id)) {
    parts.push(data);
    length += data.length;
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
