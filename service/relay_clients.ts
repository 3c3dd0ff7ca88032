/**
 * The connections of a relay: how many there are of one address, and how long one may go without being used.
 *
 * @module
 */

import { Http3Connection } from "../protocols/http3/connection.ts";
import { TUNNEL_HTTP3_OPTIONS } from "../protocols/masque/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { sourceOf } from "../signaling/rate_limit.ts";
import type { RelayPort } from "./relay_ports.ts";
import type { SignalStream } from "./relay_signal.ts";

/** Connections of one address (IPv6: one /64) at once: its ports, and some that come again before the old ones end. */
export const MAX_CONNECTIONS_PER_ADDRESS = 32;

/** A connection that has had neither port nor signaling for so long is closed. */
export const UNUSED_CONNECTION_MS = 15_000;

/** One connection. */
export interface RelayClient {
  readonly quic: QuicConnection;
  readonly http3: Http3Connection;
  readonly source: string;
  /** By stream. */
  readonly ports: Map<number, RelayPort>;
  /** Requests for signaling, by stream. */
  readonly signals: Map<number, SignalStream>;
  /** Waits in the list of those with datagrams to read. */
  isReadable: boolean;
}

/** All connections. */
export class RelayClients {
  readonly #clients = new Map<QuicConnection, RelayClient>();
  readonly #counts = new Map<string, number>();
  /** Those without port and signaling, and since when: in that order. */
  readonly #unused = new Map<RelayClient, number>();

  /** Connections there are. */
  get size(): number {
    return this.#clients.size;
  }

  /** All of them. */
  values(): IterableIterator<RelayClient> {
    return this.#clients.values();
  }

  /** When `takeExpired` has something. */
  get expiresAt(): number | undefined {
    for (const since of this.#unused.values()) return since + UNUSED_CONNECTION_MS;
    return undefined;
  }

  /** The client of a connection. */
  of(quic: QuicConnection): RelayClient | undefined {
    return this.#clients.get(quic);
  }

  /** Takes a connection in; `undefined` if its address has too many. */
  add(quic: QuicConnection, now: number): RelayClient | undefined {
    const source = sourceOf(quic.path.remote);
    const count = this.#counts.get(source) ?? 0;
    if (count >= MAX_CONNECTIONS_PER_ADDRESS) return undefined;
    this.#counts.set(source, count + 1);
    const http3 = new Http3Connection(quic, TUNNEL_HTTP3_OPTIONS);
    const client: RelayClient = { quic, http3, source, ports: new Map(), signals: new Map(), isReadable: false };
    this.#clients.set(quic, client);
    this.#unused.set(client, now);
    return client;
  }

  /** A connection is over. */
  delete(client: RelayClient): void {
    if (!this.#clients.delete(client.quic)) return;
    this.#unused.delete(client);
    const count = this.#counts.get(client.source) ?? 1;
    if (count > 1) this.#counts.set(client.source, count - 1);
    else this.#counts.delete(client.source);
  }

  /** The client has got a port or begun to signal, or the contrary. */
  update(client: RelayClient, now: number): void {
    if (client.ports.size + client.signals.size > 0) this.#unused.delete(client);
    else if (this.#clients.has(client.quic) && !this.#unused.has(client)) this.#unused.set(client, now);
  }

  /** The next client that has done nothing for too long. */
  takeExpired(now: number): RelayClient | undefined {
    for (const [client, since] of this.#unused) {
      if (since + UNUSED_CONNECTION_MS > now) return undefined;
      this.#unused.delete(client);
      return client;
    }
    return undefined;
  }
}
