/**
 * What `serve` runs: an HTTP server with the hub at `/signal`, `/health` and `/metrics`, and beside it a STUN server and, if
 * asked for, a relay.
 *
 * @module
 */

import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { Driver } from "../io/driver.ts";
import type { Host } from "../io/host.ts";
import { resolveOwnAddress } from "../io/resolve.ts";
import { sleep } from "../io/sleep.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";
import { SIGNAL_PATH } from "../signaling/channel.ts";
import { Hub, MAX_CLIENTS } from "./hub.ts";
import { type HubConnection, HubGate } from "./hub_connection.ts";
import { announcedStun, stunPlaces, urlHosts } from "./listen_addresses.ts";
import { countersOf, formatMetrics, METRICS_CONTENT_TYPE } from "./metrics.ts";
import { type RelaysFor, relaysFor } from "./named_relays.ts";
import { type OpenRelay, openRelay, relayMetrics, relayPlaces, type RelayService } from "./relay_service.ts";
import type { RelayState } from "./relay_state.ts";
import { ServiceMachine } from "./service_machine.ts";
import type { ServiceEvent } from "./service_machine.ts";
import { StunServer } from "./stun_server.ts";
import { bindAlternates, bindStun } from "./stun_sockets.ts";
import { TcpSources } from "./tcp_sources.ts";

/** Where a service listens unless told otherwise: everywhere, without certificate. */
const DEFAULT_LISTEN = "0.0.0.0:8080";

/** TCP connections at once: the hub's clients, and some who only ask for `/health` or are turned away. */
const MAX_CONNECTIONS = MAX_CLIENTS + 256;

/** How long packets that say goodbye have to leave, where they are more than sockets take at once. */
const GOODBYE_MS = 50;

/** What a request may take: the longest offer in its header, and the patience of a bad mobile network. */
const HTTP_LIMITS = { maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000 } as const;

/** The server's end of a WebSocket, whoever speaks its protocol. */
export interface ServiceSocket {
  send(message: string): boolean;
  close(): void;
}

/** Answers an upgrade request: `acceptWebSocket` of `signaling/websocket.ts`. */
export type AcceptUpgrade = (
  upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Uint8Array },
  handle: (socket: ServiceSocket, first: string | undefined) => {
    handleMessage(message: string): void;
    handleClosed(): void;
  },
) => void;

/** What {@linkcode serve} is called with. */
export interface ServeOptions {
  readonly host: Host;
  /** Wall-clock milliseconds since 1970 at the host's monotonic instant 0. */
  readonly epochMs: number;
  readonly acceptUpgrade: AcceptUpgrade;
  /** `HOST:PORT` of the HTTP server, a name or an address of this machine; port 0 lets the system choose. @default {"0.0.0.0:8080"} */
  readonly listen?: string;
  /** `HOST:PORT` of each STUN server. @default UDP 3478 of the HTTP server's addresses */
  readonly stun?: readonly string[];
  /** What clients must show. */
  readonly token?: string;
  /** `HOST:PORT` of the relay, UDP. Absent: there is none. */
  readonly relay?: string;
  /** What users of the relay must show. @default `token`; without either the relay takes loopback addresses only */
  readonly relayToken?: string;
  /** What a hub and a relay elsewhere have in common, at least 16 characters: the relay takes the tokens that the hub issues. */
  readonly relaySecret?: string;
  /** Whoever registers with the hub may use the relay, though the hub asks for no token: within its limits. @default {false} */
  readonly relayAnyone?: boolean;
  /** What the relay was known by before. Default: it is a new one, which clients that have the old one's URL do not believe. */
  readonly relayState?: RelayState;
  /** `https://HOST:PORT#SHA-256` of the relays that the hub names to its listeners. @default its own, by its addresses */
  readonly relayUrls?: readonly string[];
  /** Certificate chain and key, in PEM: the hub is `wss:` then. The relay has one of its own without it. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A running service. */
export interface Service extends AsyncDisposable {
  /** Where the HTTP server listens. */
  readonly address: Address;
  /** Where the STUN server listens. */
  readonly stunAddresses: readonly Address[];
  /** The relay, if there is one. */
  readonly relay: RelayService | undefined;
  /**
   * The hub's URLs for clients, likeliest first; none if the service listens everywhere and this machine's addresses are
   * not known. Records are bound to the host in the URL, so both sides of a call have to use the same.
   */
  readonly urls: readonly string[];
  /** What whoever runs the service should know, a line each. */
  readonly notes: readonly string[];
  /** The text of `/metrics`. */
  metrics(): string;
  /** Closes everything; resolves when the sockets are closed. */
  close(): Promise<void>;
}

/**
 * Starts a service.
 *
 * @throws {TypeError} If an address is not `HOST:PORT`.
 * @throws {Error} If a name is not known or an address cannot be bound.
 */
export async function serve(options: ServeOptions): Promise<Service> {
  const listen = await resolveOwnAddress(options.listen ?? DEFAULT_LISTEN);
  const { addresses, notes } = await stunPlaces(options.host, options.stun, listen);
  const relayAddresses = await relayPlaces(options);
  // From here on in one turn: sockets and their driver.
  const bases = bindStun(options.host, addresses);
  let relaysOf: RelaysFor | undefined;
  const hub = new Hub<HubConnection>({
    stunServers: announcedStun(bases, listen),
    epochMs: options.epochMs,
    relaysFor: (publicKey, now) => relaysOf?.(publicKey, now) ?? [],
  });
  const gate = new HubGate(hub, options.token);
  let relay: OpenRelay | undefined;
  try {
    if (relayAddresses !== undefined) relay = openRelay({ ...options, gate }, relayAddresses);
    relaysOf = relaysFor({ ...options, isHubLocal: scopeOf(listen) === "loopback" }, relay);
  } catch (error) {
    relay?.close();
    for (const base of bases) options.host.close(base);
    throw error;
  }
  const running = new RunningService(options, { hub, gate, bases, notes, relay });
  try {
    await running.listen(listen);
  } catch (cause) {
    running.release();
    throw new Error(`Cannot listen on ${listen}: ${messageOf(cause)}`, { cause });
  }
  return running;
}

interface ServiceParts {
  readonly hub: Hub<HubConnection>;
  readonly gate: HubGate;
  readonly bases: readonly Base[];
  readonly notes: readonly string[];
  readonly relay: OpenRelay | undefined;
}

class RunningService implements Service {
  readonly notes: readonly string[];
  readonly #options: ServeOptions;
  readonly #hub: Hub<HubConnection>;
  readonly #gate: HubGate;
  readonly #stun: StunServer;
  readonly #bases: readonly Base[];
  /** Those that the STUN server answers from besides. */
  readonly #alternates: readonly Base[];
  readonly #relay: OpenRelay | undefined;
  readonly #driver: Driver<ServiceEvent>;
  readonly #server: Server;
  /** WebSockets at the hub. */
  readonly #sockets = new Set<ServiceSocket>();
  #address: Address | undefined;
  #refused = 0;

  constructor(options: ServeOptions, parts: ServiceParts) {
    this.#options = options;
    this.notes = parts.notes;
    this.#hub = parts.hub;
    this.#gate = parts.gate;
    this.#bases = parts.bases;
    const groups = bindAlternates(options.host, parts.bases);
    this.#alternates = groups.flatMap(({ hosts }) => hosts.map(([, alternate]) => alternate));
    this.#stun = new StunServer(groups);
    this.#relay = parts.relay;
    this.#driver = new Driver(
      new ServiceMachine(this.#hub, this.#stun, parts.relay?.machine),
      options.host,
      (event) => this.#handleEvent(event),
    );
    const respond = (request: IncomingMessage, response: ServerResponse): void => this.#respond(request, response);
    this.#server = options.tls === undefined
      ? createHttpServer(HTTP_LIMITS, respond)
      : createHttpsServer({ ...options.tls, ...HTTP_LIMITS }, respond);
    this.#server.maxConnections = MAX_CONNECTIONS;
    const sources = new TcpSources();
    this.#server.on("connection", (socket) => sources.take(socket));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade({ request, socket, head }));
  }

  get address(): Address {
    if (this.#address === undefined) throw new Error("The service does not listen yet");
    return this.#address;
  }

  get stunAddresses(): readonly Address[] {
    return this.#bases.map((base) => base.local);
  }

  get relay(): RelayService | undefined {
    return this.#relay;
  }

  get urls(): readonly string[] {
    const { host, listen = DEFAULT_LISTEN, tls } = this.#options;
    const scheme = tls === undefined ? "ws" : "wss";
    return urlHosts(host, listen, this.address).map((place) => `${scheme}://${place}${SIGNAL_PATH}`);
  }

  listen(address: Address): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(address.port, address.host, () => {
        this.#server.removeListener("error", reject);
        // A connection that breaks is its own affair.
        this.#server.on("error", () => this.#refused++);
        const bound = this.#server.address();
        this.#address = addressOf(
          address.host,
          bound !== null && typeof bound === "object" ? bound.port : address.port,
        );
        resolve();
      });
    });
  }

  metrics(): string {
    const { clients, listeners, names, calls } = this.#hub.sizes;
    return formatMetrics([
      { name: "traverse_hub_clients", type: "gauge", help: "Connections to the hub.", value: clients },
      { name: "traverse_hub_listeners", type: "gauge", help: "Keys with a record.", value: listeners },
      { name: "traverse_hub_names", type: "gauge", help: "Names that are held.", value: names },
      { name: "traverse_hub_calls", type: "gauge", help: "Calls on their way.", value: calls },
      ...countersOf("hub", this.#hub.counters, "Hub"),
      ...countersOf("stun", this.#stun.counters, "STUN server"),
      ...relayMetrics(this.#relay?.machine),
      ...countersOf("http", new Map([["refused", this.#refused]]), "HTTP server"),
    ]);
  }

  async close(): Promise<void> {
    await this.#sayGoodbye();
    this.release();
    for (const socket of this.#sockets) socket.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** Closes the UDP sockets. */
  release(): void {
    this.#relay?.close();
    for (const base of [...this.#bases, ...this.#alternates]) this.#options.host.close(base);
    this.#options.host.setAlarm(undefined);
  }

  /** Users of the relay learn at once that it goes, and look for it again, instead of missing it after a while. */
  async #sayGoodbye(): Promise<void> {
    const { host } = this.#options;
    const relay = this.#relay?.machine;
    if (relay === undefined || relay.sizes.connections === 0) return;
    for (const step of ["announce", "close"] as const) {
      relay.leave(step, host.now());
      this.#driver.drain();
    }
    await sleep(GOODBYE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #handleEvent(event: ServiceEvent): void {
    const now = this.#options.host.now();
    if (event.type === "message") event.client.socket.send(event.message, now);
    else event.client.socket.close(now);
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (path === "/health" && isRead) {
      response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end("ok\n");
    } else if (path === "/metrics" && isRead) {
      response.writeHead(200, { "content-type": METRICS_CONTENT_TYPE }).end(this.metrics());
    } else if (path === SIGNAL_PATH) {
      response.writeHead(426, { upgrade: "websocket" }).end("This is a signaling hub: connect with a WebSocket\n");
    } else {
      response.writeHead(404).end("Not found: try /health or /metrics\n");
    }
  }

  #upgrade(upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Uint8Array }): void {
    const { request, socket } = upgrade;
    if (pathOf(request) !== SIGNAL_PATH) return this.#refuse(socket, "404 Not Found");
    if (!this.#gate.isAuthorized(request.headers.authorization)) return this.#refuse(socket, "401 Unauthorized");
    // Before the 101 is written there is nobody else to hear of a connection that breaks.
    socket.on("error", () => socket.destroy());
    const source = request.socket.remoteAddress ?? "";
    this.#options.acceptUpgrade(upgrade, (serverSocket, first) => {
      const { host } = this.#options;
      this.#sockets.add(serverSocket);
      const client = this.#gate.open(serverSocket, source, host.now());
      if (first !== undefined) client.handleMessage(first, host.now());
      this.#driver.drain();
      return {
        handleMessage: (message) => {
          client.handleMessage(message, host.now());
          this.#driver.drain();
        },
        handleClosed: () => {
          this.#sockets.delete(serverSocket);
          client.handleClosed(host.now());
          this.#driver.drain();
        },
      };
    });
  }

  #refuse(socket: Duplex, status: string): void {
    this.#refused++;
    socket.on("error", () => socket.destroy());
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?")[0] ?? "";
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
