/**
 * The relay of a service: ports on a public address, each at the end of a tunnel through HTTP/3 (RFC 9114, RFC 9298,
 * draft-ietf-masque-connect-udp-listen-13). It sees ciphertext only; who may use it is in `relay_token.ts`, how much in
 * `relay_limits.ts`.
 *
 * @module
 */

import { type Address, addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";
import { Ed25519PublicKey } from "../protocols/crypto/ed25519.ts";
import { HTTP3_ERROR, type Http3ErrorName } from "../protocols/http3/errors.ts";
import type { Http3Event } from "../protocols/http3/events.ts";
import { type RequestHead, type ResponseHead, singleField } from "../protocols/http3/message.ts";
import { BoundPort, type PortPolicy } from "../protocols/masque/bound_port.ts";
import { HTTP3_ALPN, REPLACED_ERROR, TUNNEL_TRANSPORT_SETTINGS } from "../protocols/masque/config.ts";
import { KEY_PROOF_FIELD, keyProofMessage, parseKeyProof } from "../protocols/masque/key_proof.ts";
import { proxyErrorResponse, readUdpRequest } from "../protocols/masque/udp_request.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import { Fifo } from "../protocols/quic/fifo.ts";
import type { Credential } from "../protocols/tls/certificates.ts";
import { DEFAULT_CIPHER_SUITES } from "../protocols/tls/config.ts";
import type { HubGate } from "./hub_connection.ts";
import { type RelayClient, RelayClients } from "./relay_clients.ts";
import { DEFAULT_RELAY_LIMITS, refuseTarget, type RelayLimits, type RelayPlace } from "./relay_limits.ts";
import { type PortBinder, type RelayPort, RelayPorts } from "./relay_ports.ts";
import { isSignalRequest, refuseSignal, type SignalCounter, SignalStream } from "./relay_signal.ts";
import { authorize, type RelayAccess } from "./relay_token.ts";

/** Connections of a relay, with tunnels, with signaling and without either; one more gets no answer. */
const MAX_CONNECTIONS = 4096;

/** RFC 9110 §15.5.2. */
const UNAUTHORIZED: ResponseHead = { status: 401, fields: [["www-authenticate", "Bearer"]] };

/** What a relay is told. */
export interface RelayOptions {
  /** Its sockets for tunnels, on the relay's own hosts. */
  readonly bases: readonly Base[];
  /** Opens the sockets of ports. */
  readonly binder: PortBinder;
  readonly random: Random;
  readonly credential: Credential;
  /** What stateless reset tokens are made from (RFC 9000 §10.3.2), at least 16 bytes. Default: nothing that lasts. */
  readonly resetKey?: Uint8Array;
  /** What decides which port a key gets: the same after a restart, if it is free. Default: chance. */
  readonly portSecret?: Uint8Array;
  readonly access: RelayAccess;
  readonly limits?: RelayLimits;
  /** The hub that it carries messages for. */
  readonly gate?: HubGate;
  /** Addresses of its machine besides: they are no targets. */
  readonly otherHosts?: readonly string[];
  /** The host that others reach its ports by, where that is not the one they are bound to. */
  readonly publicHost?: string;
  /** Wall-clock milliseconds since 1970 at monotonic instant 0. */
  readonly epochMs: number;
}

/** Something that happened at a relay. */
export type RelayEvent =
  /** `isKept`: the address is one that its key had before. */
  | { readonly type: "portOpened"; readonly publicAddress: Address; readonly isKept: boolean }
  | { readonly type: "portClosed"; readonly publicAddress: Address };

/** Things a relay counts, by the name they have in the metrics. */
export type RelayCounter =
  | "datagrams_out"
  | "datagrams_in"
  | "opened"
  | "resumed"
  | "refused_access"
  | "refused_limit"
  | "refused_request"
  | "refused_target"
  | "refused_connections"
  | "closed_unused"
  | "dropped_kept"
  | SignalCounter;

/** The relay. Its own datagrams and those of its ports come in by `handleDatagram`. */
export class Relay implements Machine<RelayEvent> {
  readonly #options: RelayOptions;
  readonly #bases: ReadonlySet<Base>;
  readonly #endpoint: QuicEndpoint;
  readonly #ports: RelayPorts;
  readonly #place: RelayPlace;
  readonly #clients = new RelayClients();
  // Each client is in it at most once.
  readonly #readable = new Fifo<RelayClient>();
  /** Ports with datagrams that came in capsules: as many as `BoundPort` keeps, of those that exist. */
  readonly #fromCapsules = new Set<BoundPort>();
  // Two a tunnel at most, and taken whenever datagrams are.
  readonly #events = new Fifo<RelayEvent>();
  readonly #counters = new Map<RelayCounter, number>();
  readonly #holders = new Map<BoundPort, RelayClient>();
  /** Drops of tunnels that are gone. */
  readonly #drops = new Map<string, number>();
  /** Requests for signaling that are open. */
  #signals = 0;
  /** Bytes of UDP payload that came to ports and that left them. */
  readonly #bytes = { in: 0, out: 0 };
  #isPortsTurn = false;
  #now = 0;

  constructor(options: RelayOptions) {
    const { binder, limits = DEFAULT_RELAY_LIMITS, credential, random, bases } = options;
    this.#options = options;
    this.#bases = new Set(bases);
    this.#ports = new RelayPorts(limits, binder, options.portSecret);
    this.#place = {
      hosts: new Set(bases.map((base) => base.local.host)),
      otherHosts: new Set(options.otherHosts),
      isPort: (address) => this.#ports.at(address) !== undefined,
    };
    this.#endpoint = new QuicEndpoint({
      ...DEFAULT_ENDPOINT_CONFIG,
      maxConnections: MAX_CONNECTIONS,
      ...(options.resetKey === undefined ? {} : { resetKey: options.resetKey }),
      server: {
        tls: {
          cipherSuites: DEFAULT_CIPHER_SUITES,
          applicationProtocols: [HTTP3_ALPN],
          credentials: [credential],
          peer: { certificateTypes: [], ask: false },
          keyLog: false,
        },
        transport: { ...TUNNEL_TRANSPORT_SETTINGS, addressDiscovery: "reports" },
      },
    }, random);
  }

  /** How often each thing happened. */
  get counters(): ReadonlyMap<RelayCounter, number> {
    return this.#counters;
  }

  /** Datagrams that were dropped, by reason, of tunnels that are open and of those that were. */
  get drops(): ReadonlyMap<string, number> {
    const all = new Map(this.#drops);
    for (const { tunnel } of this.#ports.values()) if (tunnel !== undefined) addDrops(all, tunnel);
    return all;
  }

  /** Bytes of UDP payload that came to ports with a tunnel, and that left by ports. */
  get bytes(): { readonly in: number; readonly out: number } {
    return this.#bytes;
  }

  /** Whether datagrams of that base are for the relay. */
  owns(base: Base): boolean {
    return this.#bases.has(base) || this.#ports.of(base) !== undefined;
  }

  /** What there is now. */
  get sizes(): { readonly connections: number; readonly ports: number; readonly keptPorts: number } {
    return { connections: this.#clients.size, ports: this.#ports.size, keptPorts: this.#ports.keptCount };
  }

  /** Clients of the hub whose messages it carries. */
  get signalCount(): number {
    return this.#signals;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#now = now;
    const port = this.#ports.of(datagram.base);
    if (port === undefined) return this.#endpoint.handleDatagram(datagram, now);
    if (port.tunnel === undefined) return this.#count("dropped_kept");
    this.#count("datagrams_in");
    this.#bytes.in += datagram.payload.length;
    port.tunnel.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.#endpoint.handleTimeout(now);
    this.#ports.expire(now);
    for (let unused = this.#clients.takeExpired(now); unused !== undefined; unused = this.#clients.takeExpired(now)) {
      this.#count("closed_unused");
      unused.http3.close(now);
    }
  }

  /**
   * Says goodbye in two steps, each to be sent before the next: `announce` that nothing new is taken (RFC 9114 §5.2), then
   * `close` every connection, so that its client looks for the relay again at once.
   */
  leave(step: "announce" | "close", now: number): void {
    this.#now = now;
    for (const { http3 } of this.#clients.values()) {
      if (step === "announce") http3.goAway();
      else http3.close(now);
    }
  }

  /** Closes the ports; the sockets for tunnels stay as they are. */
  close(): void {
    for (const port of this.#ports.values()) this.#options.binder.close(port.base);
  }

  pollTransmit(now: number): Datagram | undefined {
    this.#now = now;
    // By turns, so that no flood in one direction holds up the other.
    this.#isPortsTurn = !this.#isPortsTurn;
    return this.#isPortsTurn
      ? this.#pollPorts(now) ?? this.#endpoint.pollTransmit(now)
      : this.#endpoint.pollTransmit(now) ?? this.#pollPorts(now);
  }

  pollEvent(): RelayEvent | undefined {
    for (let event = this.#endpoint.pollEvent(); event !== undefined; event = this.#endpoint.pollEvent()) {
      if (event.type === "incoming") {
        if (this.#clients.add(event.connection, this.#now) === undefined) {
          this.#count("refused_connections");
          event.connection.close(HTTP3_ERROR.H3_EXCESSIVE_LOAD, "Too many connections from this address", this.#now);
        }
        continue;
      }
      const client = this.#clients.of(event.connection);
      if (client === undefined) continue;
      client.http3.handleEvent(event.event, this.#now);
      this.#drain(client);
    }
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    const at = Math.min(
      this.#endpoint.pollTimeout() ?? Infinity,
      this.#ports.expiresAt ?? Infinity,
      this.#clients.expiresAt ?? Infinity,
    );
    return at === Infinity ? undefined : at;
  }

  /** The next datagram that a port sends. */
  #pollPorts(now: number): Datagram | undefined {
    for (const tunnel of this.#fromCapsules) {
      const datagram = tunnel.pollDatagram();
      if (datagram !== undefined) return this.#outgoing(datagram);
      this.#fromCapsules.delete(tunnel);
    }
    for (let client = this.#readable.peek(); client !== undefined; client = this.#readable.peek()) {
      const next = client.http3.readDatagram(now);
      if (next === undefined) {
        this.#readable.shift();
        client.isReadable = false;
        this.#drain(client);
        continue;
      }
      // Others first, then this one again.
      this.#readable.shift();
      this.#readable.push(client);
      const port = client.ports.get(next.streamId);
      const tunnel = port?.tunnel;
      if (port === undefined || tunnel?.streamId !== next.streamId) continue;
      const datagram = tunnel.receive(next, now);
      if (datagram !== undefined) return this.#outgoing(datagram);
      if (!tunnel.isOpen) this.#endTunnel(client, next.streamId);
    }
    return undefined;
  }

  #outgoing(datagram: Datagram): Datagram {
    this.#count("datagrams_out");
    this.#bytes.out += datagram.payload.length;
    return datagram;
  }

  #drain(client: RelayClient): void {
    for (let event = client.http3.pollEvent(); event !== undefined; event = client.http3.pollEvent()) {
      this.#onHttp3Event(client, event);
    }
  }

  #onHttp3Event(client: RelayClient, event: Http3Event): void {
    switch (event.type) {
      case "request":
        return this.#onRequest(client, event.streamId, event.request);
      case "datagramReadable":
        if (client.isReadable) return;
        client.isReadable = true;
        return this.#readable.push(client);
      case "closed":
        for (const streamId of [...client.ports.keys()]) this.#endTunnel(client, streamId);
        for (const signal of [...client.signals.values()]) signal.end(this.#now);
        this.#clients.delete(client);
        return;
      case "settings":
      case "informational":
      case "response":
      case "requestsAvailable":
      case "goAway":
        return;
      default: {
        const signal = client.signals.get(event.streamId);
        if (signal !== undefined) return signal.handleEvent(event, this.#now);
        const tunnel = client.ports.get(event.streamId)?.tunnel;
        if (tunnel === undefined) return;
        if (!tunnel.handleEvent(event, this.#now)) return this.#endTunnel(client, event.streamId);
        if (event.type === "readable") this.#fromCapsules.add(tunnel);
      }
    }
  }

  #onRequest(client: RelayClient, streamId: number, request: RequestHead): void {
    if (isSignalRequest(request)) return this.#onSignal(client, streamId, request);
    const { http3, quic } = client;
    const verdict = readUdpRequest(request);
    if (verdict.type === "refused") return this.#refuse(client, streamId, verdict.response, "refused_request");
    const { access, epochMs } = this.#options;
    const user = authorize(
      access,
      { token: verdict.token, proveKey: () => provedKey(request, quic) },
      epochMs + this.#now,
    );
    if (user === undefined) return this.#refuse(client, streamId, UNAUTHORIZED, "refused_access");
    const target = verdict.type === "target" ? verdict.target : undefined;
    const place = this.#placeFor(client, target);
    if (typeof place !== "string") return this.#refuse(client, streamId, place, "refused_target");
    const payer = user.publicKey?.toBase64();
    // Nobody is told the address of a port for one target: there is nothing to keep it for.
    const owner = target === undefined ? payer : undefined;
    const isKept = owner !== undefined && this.#ports.ofOwner(owner) !== undefined;
    const port = this.#ports.allot({ owner, payer, remote: quic.path.remote, localHost: place }, this.#now);
    if (typeof port === "string") {
      const status = port === "too many ports for the address" ? 429 : 503;
      return this.#refuse(client, streamId, { status, fields: [] }, "refused_limit");
    }
    this.#replace(port);
    const publicAddress = this.#options.publicHost === undefined
      ? port.base.local
      : addressOf(this.#options.publicHost, port.base.local.port);
    const policy = this.#policyOf(port);
    const common = { http3, streamId, base: port.base, publicAddress, policy };
    const tunnel = new BoundPort(target === undefined ? common : { ...common, target });
    port.tunnel = tunnel;
    this.#holders.set(tunnel, client);
    client.ports.set(streamId, port);
    this.#clients.update(client, this.#now);
    this.#count(isKept ? "resumed" : "opened");
    this.#events.push({ type: "portOpened", publicAddress, isKept });
  }

  #onSignal(client: RelayClient, streamId: number, request: RequestHead): void {
    const { gate } = this.#options;
    const refusal = refuseSignal(request, gate, { onConnection: client.signals.size, atRelay: this.#signals });
    if (gate === undefined || refusal !== undefined) {
      this.#count("refused_signals");
      client.http3.respond(streamId, refusal ?? { status: 404, fields: [] }, { isEnd: true });
      return client.http3.stopReading(streamId);
    }
    const signal = new SignalStream(client.http3, streamId, {
      gate,
      count: (counter) => this.#count(counter),
      ended: (now) => {
        if (!client.signals.delete(streamId)) return;
        this.#signals--;
        this.#clients.update(client, now);
      },
    }, this.#now);
    client.signals.set(streamId, signal);
    this.#signals++;
    this.#clients.update(client, this.#now);
  }

  /**
   * The host that a port is to be bound to: where the client is, or for one target any of that family.
   *
   * @returns Why there is none, as a response (RFC 9298 §7, RFC 9209 §2.3).
   */
  #placeFor({ quic }: RelayClient, target: Address | undefined): string | ResponseHead {
    const { local } = quic.path.base;
    if (target === undefined) return local.host;
    const refusal = refuseTarget(target, this.#place);
    if (refusal !== undefined) return proxyErrorResponse("destination_ip_prohibited", refusal);
    if (target.family === local.family) return local.host;
    const base = this.#options.bases.find((other) => other.local.family === target.family);
    return base?.local.host ?? proxyErrorResponse("destination_ip_unroutable", `no IPv${target.family} here`);
  }

  /** A key that comes again, before its old connection has timed out, takes its port with it. */
  #replace(port: RelayPort): void {
    const old = port.tunnel;
    if (old === undefined) return;
    this.#letGo(old, REPLACED_ERROR);
    port.tunnel = undefined;
  }

  #letGo(tunnel: BoundPort, code?: Http3ErrorName): void {
    addDrops(this.#drops, tunnel);
    this.#fromCapsules.delete(tunnel);
    const client = this.#holders.get(tunnel);
    this.#holders.delete(tunnel);
    tunnel.close(code);
    client?.ports.delete(tunnel.streamId);
    if (client !== undefined) this.#clients.update(client, this.#now);
  }

  #policyOf(port: RelayPort): PortPolicy {
    const { traffic, base } = port;
    return {
      isTarget: (target) => {
        if (target === base.local || refuseTarget(target, this.#place) !== undefined) return false;
        if (target.family !== base.local.family) return false;
        traffic.admit(target);
        return true;
      },
      isSource: (source, now) => traffic.isSource(source, now),
      spend: (direction, bytes, now) => traffic.spend(direction, bytes, now),
    };
  }

  #refuse(client: RelayClient, streamId: number, response: ResponseHead, counter: RelayCounter): void {
    this.#count(counter);
    client.http3.respond(streamId, response, { isEnd: true });
    client.http3.stopReading(streamId);
  }

  #endTunnel(client: RelayClient, streamId: number): void {
    const port = client.ports.get(streamId);
    if (port === undefined) return;
    const { tunnel } = port;
    if (tunnel === undefined) return;
    this.#letGo(tunnel);
    this.#ports.release(port, this.#now);
    this.#events.push({ type: "portClosed", publicAddress: tunnel.publicAddress });
  }

  #count(counter: RelayCounter): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + 1);
  }
}

/** The key that a request proves to be its sender's: `key_proof.ts`. */
function provedKey({ fields }: RequestHead, quic: QuicConnection): Uint8Array | undefined {
  const value = singleField(fields, KEY_PROOF_FIELD);
  const proof = value === undefined ? undefined : parseKeyProof(value);
  if (proof === undefined) return undefined;
  const isProved = Ed25519PublicKey.fromBytes(proof.publicKey).verify(keyProofMessage(quic), proof.signature);
  return isProved ? proof.publicKey : undefined;
}

function addDrops(all: Map<string, number>, tunnel: BoundPort): void {
  for (const [reason, count] of tunnel.drops) all.set(reason, (all.get(reason) ?? 0) + count);
}
