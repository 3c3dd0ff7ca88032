/**
 * Our QUIC endpoint on a real socket of 127.0.0.1, or of another address of this machine, with sessions as
 * promises and Web Streams: for tests against peers that have sockets too.
 *
 * @module
 */

import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { type Address, addressOf } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import type { EndpointConfig, TlsSettings, TransportSettings } from "../../protocols/quic/config.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { EndpointEvent } from "../../protocols/quic/events.ts";
import { Session } from "../../transports/session.ts";

/** Addresses of ours that are remembered as peers have told them; a test that makes more forgets the oldest. */
const MAX_OBSERVED = 64;

/** Ends every socket's connections when it is disposed of. */
export class QuicSocket implements AsyncDisposable {
  readonly #host = new DenoHost();
  readonly #endpoint: QuicEndpoint;
  readonly #driver: Driver<EndpointEvent>;
  readonly #base: Base;
  readonly #sessions = new Map<QuicConnection, Session>();
  readonly #pending = new Map<QuicConnection, PromiseWithResolvers<Session>>();
  readonly #accepted: Session[] = [];
  #accepting: PromiseWithResolvers<Session> | undefined;
  #validated: PromiseWithResolvers<void> | undefined;
  #observed: Address[] = [];
  #observing: PromiseWithResolvers<void> | undefined;

  constructor(config: Partial<EndpointConfig> = {}, host = "127.0.0.1") {
    this.#endpoint = new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, ...config }, this.#host.random);
    this.#driver = new Driver(this.#endpoint, this.#host, (event) => this.#handle(event));
    this.#base = this.#host.bind(addressOf(host, 0));
  }

  /** A server for whoever comes, on a free port. */
  static server(
    tls: TlsSettings,
    transport: TransportSettings = DEFAULT_TRANSPORT_SETTINGS,
    host?: string,
  ): QuicSocket {
    return new QuicSocket({ server: { tls, transport } }, host);
  }

  get port(): number {
    return this.#base.local.port;
  }

  /** What the endpoint has passed over, and how often, by reason. */
  get drops(): QuicEndpoint["drops"] {
    return this.#endpoint.drops;
  }

  /** The port of ours that a peer has told last (draft-ietf-quic-address-discovery-00); waits for it to be this one. */
  async observedPort(port: number): Promise<void> {
    while (this.#observed.at(-1)?.port !== port) {
      this.#observing = Promise.withResolvers<void>();
      // What nobody waits for any more may fail.
      this.#observing.promise.catch(() => {});
      await this.#observing.promise;
    }
  }

  /** Addresses of ours as peers have told them, in order. */
  get observed(): readonly Address[] {
    return this.#observed;
  }

  /** Resolves when the handshake is complete. @throws {Error} With code and reason if it fails. */
  connect(
    port: number,
    tls: TlsSettings,
    transport: TransportSettings = DEFAULT_TRANSPORT_SETTINGS,
  ): Promise<Session> {
    const remote = addressOf(this.#base.local.host, port);
    const connection = this.#endpoint.connect({ base: this.#base, remote, tls, transport }, this.#host.now());
    const pending = Promise.withResolvers<Session>();
    this.#pending.set(connection, pending);
    this.#driver.drain();
    return pending.promise;
  }

  /**
   * Moves a session to another port of ours (RFC 9000 §9.2).
   *
   * @returns The port, once the peer has answered there. The handshake has to be confirmed.
   * @throws {Error} If the peer does not answer, or does not let us move.
   */
  async migrate(session: Session): Promise<number> {
    const [connection] = [...this.#sessions].find(([, other]) => other === session) ?? [];
    if (connection === undefined) throw new Error("The session is over");
    const base = this.#host.bind(addressOf(this.#base.local.host, 0));
    const validated = this.#validated = Promise.withResolvers<void>();
    validated.promise.catch(() => {});
    if (!connection.migrate(base, connection.path.remote, this.#host.now())) throw new Error("It may not move");
    this.#driver.drain();
    await validated.promise;
    return base.local.port;
  }

  /** The next session a peer began, once its handshake is complete. One caller at a time. */
  accept(): Promise<Session> {
    const session = this.#accepted.shift();
    if (session !== undefined) return Promise.resolve(session);
    this.#accepting = Promise.withResolvers<Session>();
    return this.#accepting.promise;
  }

  /** Closes every connection and, when CONNECTION_CLOSE has left, the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sessions = [...this.#sessions.values()];
    for (const session of sessions) session.close();
    await Promise.all(sessions.map((session) => session.closed));
    this.#host[Symbol.dispose]();
  }

  #handle(event: EndpointEvent): void {
    if (event.type === "incoming") return;
    const { connection, event: inner } = event;
    if (inner.type === "handshakeComplete") {
      this.#established(connection, inner.peer?.ed25519PublicKey ?? new Uint8Array(32));
    } else if (inner.type === "closed") {
      this.#pending.get(connection)?.reject(new Error(`The handshake failed: ${JSON.stringify(inner)}`));
      this.#pending.delete(connection);
    }
    if (inner.type === "observedAddress") {
      this.#observed = [...this.#observed, inner.address].slice(-MAX_OBSERVED);
      this.#observing?.resolve();
    }
    if (inner.type === "pathValidated") this.#validated?.resolve();
    else if (inner.type === "pathFailed") {
      this.#validated?.reject(new Error("The peer does not answer on the new path"));
    }
    this.#sessions.get(connection)?.handleEvent(inner);
    if (inner.type !== "closed") return;
    this.#sessions.delete(connection);
    const error = new Error("The connection is over");
    this.#observing?.reject(error);
    this.#validated?.reject(error);
  }

  #established(connection: QuicConnection, peer: Uint8Array): void {
    const driver = { now: () => this.#host.now(), drain: () => this.#driver.drain() };
    const session = new Session(
      { transport: "test", connection, peer, times: {}, startedAt: this.#host.now() },
      driver,
    );
    this.#sessions.set(connection, session);
    const pending = this.#pending.get(connection) ?? this.#accepting;
    if (pending === undefined) this.#accepted.push(session);
    else pending.resolve(session);
    if (!this.#pending.delete(connection)) this.#accepting = undefined;
  }
}
