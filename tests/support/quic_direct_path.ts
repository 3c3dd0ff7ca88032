/**
 * A QUIC pair with a relay between the two ends and a direct path beside it, through NATs that let in what was asked for:
 * what NAT traversal works on.
 *
 * @module
 */

import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, Pair, rawKeyTls, SERVER_ADDRESS, SERVER_KEY } from "./quic_pair.ts";
import type { Hop, Peer } from "./quic_pair.ts";

/** Where the relay forwards to the server. */
export const RELAY: Address = addressOf("198.51.100.99", 7000);

/** How the two ends are joined. */
export interface DirectPathOptions {
  readonly seed?: number;
  readonly transport?: Partial<TransportSettings>;
  /** What only one of the ends is told. */
  readonly client?: Partial<TransportSettings>;
  readonly server?: Partial<TransportSettings>;
  /** For who wants to read packets. */
  readonly keyLog?: boolean;
  /** One way, through the relay. */
  readonly relayedMs?: number;
  /** One way, past it. */
  readonly directMs?: number;
  readonly loss?: number;
}

/** The pair. */
export class DirectPath {
  readonly pair: Pair;
  /** Of the server: what comes through the relay. */
  readonly tunnel: Base;
  /** Whether a datagram gets through, besides what the NATs refuse. */
  filter: (from: Peer, bytes: Uint8Array, hop: Hop) => boolean = () => true;
  /** Sent so far past the relay, by sender. */
  readonly direct: { readonly at: number; readonly from: "client" | "server"; readonly bytes: number }[] = [];
  readonly #asked = new Set<string>();
  readonly #clientTransport: TransportSettings;

  constructor(options: DirectPathOptions = {}) {
    const { seed = 1, relayedMs = 40, directMs = 20, loss = 0, keyLog = false } = options;
    const transport = {
      ...DEFAULT_TRANSPORT_SETTINGS,
      natTraversal: { concurrencyLimit: 8, rules: { allowLoopback: false } },
      ...options.transport,
    };
    this.#clientTransport = { ...transport, ...options.client };
    const pair = this.pair = new Pair({
      seed,
      link: { loss },
      transport: { ...transport, ...options.server },
      clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog },
      serverTls: { ...rawKeyTls(SERVER_KEY, CLIENT_KEY), keyLog },
    });
    this.tunnel = pair.server.addBase(RELAY, "tunnel");
    pair.latencyMs = ({ from, to }) => from === RELAY || to === RELAY ? relayedMs : directMs;
    pair.filter = (peer, bytes, hop) => {
      const { from, to } = hop;
      if (from !== RELAY && to !== RELAY) {
        const side = peer === pair.client ? "client" : "server";
        this.direct.push({ at: pair.now, from: side, bytes: bytes.length });
        this.#asked.add(`${from} ${to}`);
      }
      return this.filter(peer, bytes, hop);
    };
    // Address- and port-dependent filtering of both NATs.
    pair.admits = ({ from, to }) => from === RELAY || to === RELAY || this.#asked.has(`${to} ${from}`);
  }

  /** Begins a connection through the relay. */
  connect(): QuicConnection {
    return this.pair.connect({ remote: RELAY, transport: this.#clientTransport });
  }

  /** Connects through the relay; each end knows its own address from the start. */
  connected(): { readonly client: QuicConnection; readonly server: QuicConnection } {
    const { pair } = this;
    const client = this.connect();
    client.addCandidate({ type: "host", address: CLIENT_ADDRESS, base: pair.client.base }, pair.now);
    pair.runUntil(() => pair.server.connections.length > 0);
    const server = pair.server.connections[0]!;
    server.addCandidate({ type: "host", address: SERVER_ADDRESS, base: pair.server.base }, pair.now);
    return { client, server };
  }

  /** As `connected`; the client moves to whatever path is found, and the pair runs until it has. */
  moved(): { readonly client: QuicConnection; readonly server: QuicConnection } {
    const { pair } = this;
    this.moveWhenFound();
    const ends = this.connected();
    pair.runUntil(() => ends.client.path.remote === SERVER_ADDRESS && ends.server.path.base === pair.server.base);
    return ends;
  }

  /** The client moves to whatever path is found, as soon as it may. */
  moveWhenFound(): void {
    const { client } = this.pair;
    let found: { readonly base: Base; readonly remote: Address } | undefined;
    const { onEvent } = client;
    client.onEvent = (connection, event) => {
      onEvent(connection, event);
      if (event.type === "pathFound") found = event;
      if (found !== undefined && connection.migrate(found.base, found.remote, this.pair.now)) found = undefined;
    };
  }
}
