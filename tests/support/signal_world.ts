/**
 * What `serve --relay` runs, in the virtual network: one hub for clients with a stream (as WebSockets have) and for those with
 * a request at the relay.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import { serveChannels } from "../../lab/mod.ts";
import type { StreamListener, VirtualHost } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { Http3Connection } from "../../protocols/http3/connection.ts";
import type { Http3Event } from "../../protocols/http3/events.ts";
import type { RequestHead } from "../../protocols/http3/message.ts";
import { HTTP3_ALPN, TUNNEL_HTTP3_OPTIONS, TUNNEL_TRANSPORT_SETTINGS } from "../../protocols/masque/config.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../../protocols/quic/config.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import type { HubMachine } from "../../signaling/hub_machine.ts";
import { Hub } from "../../service/hub.ts";
import { type HubConnection, HubGate } from "../../service/hub_connection.ts";
import { Relay, type RelayOptions } from "../../service/relay.ts";
import { makeSelfSigned, type SelfSigned } from "../../service/self_signed.ts";
import { type ServiceEvent, ServiceMachine } from "../../service/service_machine.ts";
import { StunServer } from "../../service/stun_server.ts";
import type { RelayAccess } from "../../transports/traversal.ts";
import { RELAY_PORT } from "./relay_world.ts";
import { HUB_PORT } from "./virtual_peers.ts";

/** How a service is started. */
export interface SignalServiceOptions extends Partial<RelayOptions> {
  /** What the hub asks for. */
  readonly hubToken?: string;
  /** The relay carries no messages. */
  readonly hasNoHub?: true;
  /** Another hub than that of the project. */
  readonly hub?: HubMachine<HubConnection>;
}

/** What of a service is there anew when it has started again. */
interface Running {
  readonly hub: Hub<HubConnection>;
  readonly gate: HubGate;
  readonly relay: Relay;
  readonly machine: ServiceMachine;
  readonly base: Base;
}

/** A service that runs. */
export class SignalService implements Machine<ServiceEvent> {
  /** How clients get to the relay. */
  readonly access: RelayAccess;
  /** Where streams go to. */
  readonly hubAddress: Address;
  readonly #host: VirtualHost;
  readonly #options: SignalServiceOptions;
  readonly #certificate: SelfSigned;
  readonly #driver: Driver<ServiceEvent>;
  #running: Running;
  #listener: StreamListener;

  constructor(host: VirtualHost, options: SignalServiceOptions = {}) {
    this.#host = host;
    this.#options = options;
    this.#certificate = makeSelfSigned("relay.test", host.random, host.epochMs);
    this.#running = this.#start();
    this.#driver = new Driver(this, host, (event) => {
      if (event.type === "message") event.client.socket.send(event.message, host.now());
      else event.client.socket.close(host.now());
    });
    const { local } = this.#running.base;
    this.access = { addresses: [local], authority: local.toString(), certificateSha256: this.#certificate.sha256 };
    this.hubAddress = host.address(HUB_PORT);
    this.#listener = this.#listen();
  }

  get hub(): Hub<HubConnection> {
    return this.#running.hub;
  }

  get relay(): Relay {
    return this.#running.relay;
  }

  /** Its process ends without a word, and another begins, with the same certificate. */
  restart(): void {
    this.#listener.reset();
    this.relay.close();
    this.#host.close(this.#running.base);
    this.#running = this.#start();
    this.#listener = this.#listen();
    this.#driver.drain();
  }

  /** The hub has something to say. */
  drain(): void {
    this.#driver.drain();
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#running.machine.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#running.machine.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.#running.machine.pollTransmit(now);
  }

  pollEvent(): ServiceEvent | undefined {
    return this.#running.machine.pollEvent();
  }

  pollTimeout(): number | undefined {
    return this.#running.machine.pollTimeout();
  }

  #start(): Running {
    const host = this.#host;
    const { hubToken, hasNoHub, hub: other, ...options } = this.#options;
    const hub = new Hub<HubConnection>({ stunServers: [], epochMs: host.epochMs });
    const gate = new HubGate(other ?? hub, hubToken);
    const base = host.bind(host.address(RELAY_PORT));
    const relay = new Relay({
      bases: [base],
      binder: host,
      random: host.random,
      credential: this.#certificate.credential,
      access: { isOpen: true },
      epochMs: host.epochMs,
      ...(hasNoHub ? {} : { gate }),
      ...options,
    });
    return { hub, gate, relay, machine: new ServiceMachine(other ?? hub, new StunServer(), relay), base };
  }

  #listen(): StreamListener {
    const { gate } = this.#running;
    const driver = this.#driver;
    return serveChannels(this.#host, HUB_PORT, (channel) => {
      const client = gate.open(channel, channel.remote.host, this.#host.now());
      return {
        handleOpen: () => driver.drain(),
        handleMessage: (message, now) => {
          client.handleMessage(message, now);
          driver.drain();
        },
        handleClosed: (now) => {
          client.handleClosed(now);
          driver.drain();
        },
      };
    });
  }
}

/** A client of the relay that asks for what a test wants, and reads only if it is told to. */
export class SignalPeer implements Machine<never> {
  readonly http3: Http3Connection;
  readonly events: Http3Event[] = [];
  isReading = true;
  /** What came, by stream. */
  readonly #received = new Map<number, Uint8Array>();
  readonly #host: VirtualHost;
  readonly #endpoint: QuicEndpoint;
  readonly #driver: Driver<never>;
  readonly base: Base;

  constructor(host: VirtualHost, { addresses: [remote], certificateSha256 }: RelayAccess) {
    if (remote === undefined || certificateSha256 === undefined) throw new Error("Nowhere to go");
    this.#host = host;
    this.base = host.bind(host.address(0));
    this.#endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, host.random);
    const quic = this.#endpoint.connect({
      base: this.base,
      remote,
      tls: {
        cipherSuites: DEFAULT_CIPHER_SUITES,
        applicationProtocols: [HTTP3_ALPN],
        credentials: [],
        peer: { certificateTypes: ["X509"], certificateSha256: [certificateSha256], ask: false },
        keyLog: false,
      },
      transport: { ...TUNNEL_TRANSPORT_SETTINGS, keepAliveMs: 10_000 },
    }, host.now());
    this.http3 = new Http3Connection(quic, TUNNEL_HTTP3_OPTIONS);
    this.#driver = new Driver<never>(this, host, () => {});
    this.drain();
  }

  /** Sends a request. @throws {Error} If there is no stream for it. */
  ask(head: Partial<RequestHead>, content: string | Uint8Array = "", isEnd = false): number {
    const id = this.http3.request({
      method: "POST",
      scheme: "https",
      authority: "relay.test",
      path: "/signal",
      fields: [],
      ...head,
    });
    if (id === undefined) throw new Error("There is no stream for a request");
    this.write(id, content);
    if (isEnd) this.http3.finish(id);
    this.drain();
    return id;
  }

  /** Sends content. */
  write(id: number, content: string | Uint8Array): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    if (bytes.length > 0) this.http3.write(id, bytes);
    this.drain();
  }

  /** The lines that came on a stream. */
  lines(id: number): string[] {
    return new TextDecoder().decode(this.#received.get(id) ?? new Uint8Array(0)).split("\n").slice(0, -1);
  }

  /** The events of one type on a stream. */
  of<T extends Http3Event["type"]>(type: T, id: number): Extract<Http3Event, { type: T }>[] {
    return this.events.filter((event): event is Extract<Http3Event, { type: T }> => {
      return event.type === type && "streamId" in event && event.streamId === id;
    });
  }

  /** What the relay answered. */
  status(id: number): number | undefined {
    return this.of("response", id)[0]?.response.status;
  }

  /** Commands were given. */
  drain(): void {
    this.#driver.drain();
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#endpoint.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#endpoint.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.#endpoint.pollTransmit(now);
  }

  pollEvent(): undefined {
    const now = this.#host.now();
    for (let event = this.#endpoint.pollEvent(); event !== undefined; event = this.#endpoint.pollEvent()) {
      if (event.type === "connection") this.http3.handleEvent(event.event, now);
    }
    for (let event = this.http3.pollEvent(); event !== undefined; event = this.http3.pollEvent()) {
      this.events.push(event);
      if (event.type !== "readable" || !this.isReading) continue;
      const { streamId } = event;
      for (let data = this.http3.read(streamId, now); data !== undefined; data = this.http3.read(streamId, now)) {
        this.#received.set(streamId, concatBytes(this.#received.get(streamId) ?? new Uint8Array(0), data));
      }
    }
  }

  pollTimeout(): number | undefined {
    return this.#endpoint.pollTimeout();
  }
}
