/**
 * Our HTTP/3 on real sockets of this machine, in both roles. A server answers GET of `/bytes/N` with N bytes that count up, and
 * of anything else with 404; echoes what is posted; and echoes content and datagrams of an extended CONNECT. A client asks
 * peers for the same.
 *
 * @module
 */

import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { type Address, addressOf } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import type { Http3Event } from "../../protocols/http3/events.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { ServerConfig, TlsSettings, TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { ConnectionEvent, EndpointEvent } from "../../protocols/quic/events.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { Http3Peer } from "./http3_peer.ts";
import { certificateTls, pinningTls } from "./ours.ts";

/** TLS of a client that asks for HTTP/3. */
export function http3ClientTls(certificate: TestCertificate): TlsSettings {
  return { ...pinningTls(certificate), applicationProtocols: ["h3"] };
}

/** TLS of a server that speaks HTTP/3. */
export function http3ServerTls(certificate: TestCertificate): TlsSettings {
  return { ...certificateTls(certificate), applicationProtocols: ["h3"] };
}

/** Where it is. */
export interface Http3SocketOptions {
  /** @default {"127.0.0.1"} */
  readonly host?: string;
  /** A server with another port, where clients are asked to go on to (RFC 9000 §9.6). */
  readonly preferred?: boolean;
  /** Of clients. */
  readonly keepAliveMs?: number;
}

function serverConfig(tls: TlsSettings, preferred: Address | undefined): ServerConfig {
  const config = { tls, transport: DEFAULT_TRANSPORT_SETTINGS };
  if (preferred === undefined) return config;
  return { ...config, preferredAddress: preferred.family === 4 ? { ipv4: preferred } : { ipv6: preferred } };
}

/** An endpoint whose connections all speak HTTP/3. */
export class Http3Socket implements AsyncDisposable {
  readonly #host = new DenoHost();
  readonly #endpoint: QuicEndpoint;
  readonly #driver: Driver<EndpointEvent>;
  readonly #base: Base;
  readonly #preferred: Address | undefined;
  readonly #transport: TransportSettings;
  readonly #peers = new Map<QuicConnection, Http3Peer>();
  /** Every event of every connection but that there is something to read or room to write, in order. */
  readonly events: Http3Event[] = [];
  /** Paths that connections went on to, as `local > remote`, in order. */
  readonly paths: string[] = [];
  /** What waits for one more path, or for word that a path works. */
  #moved: PromiseWithResolvers<void> | undefined;
  #validated: PromiseWithResolvers<void> | undefined;

  constructor(tls?: TlsSettings, { host = "127.0.0.1", preferred = false, keepAliveMs }: Http3SocketOptions = {}) {
    this.#transport = { ...DEFAULT_TRANSPORT_SETTINGS, keepAliveMs };
    this.#base = this.#host.bind(addressOf(host, 0));
    this.#preferred = preferred ? this.#host.bind(addressOf(host, 0)).local : undefined;
    const server = tls === undefined ? {} : { server: serverConfig(tls, this.#preferred) };
    this.#endpoint = new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, ...server }, this.#host.random);
    this.#driver = new Driver(this.#endpoint, this.#host, (event) => this.#handle(event));
  }

  /** A server for whoever comes, on a free port. */
  static server(tls: TlsSettings, options?: Http3SocketOptions): Http3Socket {
    return new Http3Socket(tls, options);
  }

  get port(): number {
    return this.#base.local.port;
  }

  /** The other port of a server that prefers it. */
  get preferredPort(): number | undefined {
    return this.#preferred?.port;
  }

  /** Waits for connections to have gone on to another path that many times. */
  async moved(times: number): Promise<void> {
    while (this.paths.length < times) {
      this.#moved = Promise.withResolvers<void>();
      this.#moved.promise.catch(() => {});
      await this.#moved.promise;
    }
  }

  /**
   * Moves a connection to a new port of ours, on another address if one is given: RFC 9000 §9.2. Where the server is another
   * one too, that has to be one that it prefers (RFC 9000 §9.6); it is proved first.
   *
   * @returns The port, once the server has answered there.
   */
  async migrate(peer: Http3Peer, local = this.#base.local.host, remote = peer.quic.path.remote): Promise<number> {
    const base = this.#host.bind(addressOf(local, 0));
    const isElsewhere = remote !== peer.quic.path.remote;
    this.#validated = Promise.withResolvers<void>();
    // What nobody waits for any more may fail.
    this.#validated.promise.catch(() => {});
    const begins = isElsewhere ? peer.quic.probePath(base, remote, this.#host.now()) : this.#move(peer, base, remote);
    if (!begins) throw new Error("It may not move");
    this.#driver.drain();
    await this.#validated.promise;
    if (isElsewhere && !this.#move(peer, base, remote)) throw new Error("It may not move to a path that was proved");
    return base.local.port;
  }

  /** Resolves when the peer's SETTINGS came, and the handshake is confirmed. */
  async connect(port: number, tls: TlsSettings): Promise<Http3Peer> {
    const remote = addressOf(this.#base.local.host, port);
    const quic = this.#endpoint.connect(
      { base: this.#base, remote, tls, transport: this.#transport },
      this.#host.now(),
    );
    const peer = this.#peerOf(quic);
    this.#driver.drain();
    await peer.ready;
    return peer;
  }

  /** Closes every connection and, when CONNECTION_CLOSE has left, the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    const peers = [...this.#peers.values()];
    for (const peer of peers) peer.close();
    await Promise.all(peers.map((peer) => peer.closed));
    this.#host[Symbol.dispose]();
  }

  #peerOf(quic: QuicConnection): Http3Peer {
    let peer = this.#peers.get(quic);
    if (peer === undefined) {
      peer = new Http3Peer(quic, () => this.#host.now(), () => this.#driver.drain());
      this.#peers.set(quic, peer);
    }
    return peer;
  }

  #move(peer: Http3Peer, base: Base, remote: Address): boolean {
    const moves = peer.quic.migrate(base, remote, this.#host.now());
    this.#driver.drain();
    return moves;
  }

  #handle(event: EndpointEvent): void {
    if (event.type === "incoming") return;
    this.#notePath(event.event);
    const peer = this.#peerOf(event.connection);
    if (event.event.type === "handshakeConfirmed") peer.onConfirmed();
    peer.http3.handleEvent(event.event, this.#host.now());
    for (let next = peer.http3.pollEvent(); next !== undefined; next = peer.http3.pollEvent()) {
      if (next.type !== "readable" && next.type !== "writable") this.events.push(next);
      peer.handle(next);
    }
    if (event.event.type !== "closed") return;
    this.#peers.delete(event.connection);
    const error = new Error("The connection is over");
    this.#moved?.reject(error);
    this.#validated?.reject(error);
  }

  #notePath(event: ConnectionEvent): void {
    if (event.type === "pathChanged") {
      this.paths.push(`${event.base.local} > ${event.remote}`);
      this.#moved?.resolve();
    } else if (event.type === "pathValidated") this.#validated?.resolve();
    else if (event.type === "pathFailed") {
      this.#validated?.reject(new Error("The peer does not answer on the new path"));
    }
  }
}
