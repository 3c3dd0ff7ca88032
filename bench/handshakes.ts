/**
 * What handshakes leave behind: two endpoints on real sockets make and close connections; after garbage collection the heap
 * at the end is compared with the heap after a tenth of them, and every table must be empty.
 *
 *     deno run -A --unstable-net --v8-flags=--expose-gc bench/handshakes.ts --count 10000
 *
 * @module
 */

import { parseArgs } from "node:util";
import { DenoHost } from "../io/deno_host.ts";
import { Driver } from "../io/driver.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS, type EndpointConfig } from "../protocols/quic/config.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { EndpointEvent } from "../protocols/quic/events.ts";
import { collectGarbage, heapBytes, residentBytes } from "./support/heap.ts";
import { report } from "./support/roles.ts";
import { tlsSettings } from "./support/tls.ts";

/** Handshakes under way at once. */
const CONCURRENCY = 8;

/**
 * Longest time without a connection that ends, or until the tables are empty. Closed connections are remembered for three
 * probe timeouts (RFC 9000 §10.2), which on loopback is far less.
 */
const MAX_WAIT_MS = 30_000;
const POLL_MS = 10;

class Peer {
  readonly host = new DenoHost();
  readonly endpoint: QuicEndpoint;
  readonly driver: Driver<EndpointEvent>;
  readonly base: Base;

  constructor(config: EndpointConfig, onEvent: (event: EndpointEvent) => void) {
    this.endpoint = new QuicEndpoint(config, this.host.random);
    this.driver = new Driver(this.endpoint, this.host, onEvent);
    this.base = this.host.bind(addressOf("127.0.0.1", 0));
  }

  /** The tables that are not empty. */
  get leftovers(): readonly string[] {
    return Object.entries(this.endpoint.tableSizes).filter(([, size]) => size > 0).map(([name, size]) =>
      `${name} ${size}`
    );
  }
}

async function main(count: number): Promise<void> {
  const clientKey = Ed25519PrivateKey.generate(new DenoHost().random);
  const serverKey = Ed25519PrivateKey.generate(new DenoHost().random);
  const tls = tlsSettings({ own: clientKey, peer: serverKey.publicKey.bytes });
  const transport = DEFAULT_TRANSPORT_SETTINGS;
  const state = { started: 0, closed: 0 };
  let limit = 0;
  const server = new Peer({
    ...DEFAULT_ENDPOINT_CONFIG,
    server: { tls: tlsSettings({ own: serverKey, peer: clientKey.publicKey.bytes }), transport },
  }, () => {});
  const client = new Peer(DEFAULT_ENDPOINT_CONFIG, (event) => {
    if (event.type !== "connection") return;
    const { connection, event: { type } } = event;
    if (type === "handshakeConfirmed") connection.close(0, "", client.host.now());
    if (type !== "closed") return;
    state.closed++;
    connect();
  });
  const connect = (): void => {
    if (state.started >= limit) return;
    state.started++;
    client.endpoint.connect({ base: client.base, remote: server.base.local, tls, transport }, client.host.now());
    client.driver.drain();
  };
  /** Goes on until `upTo` connections were made and closed, and nothing is left of them; then looks at the heap. */
  const measure = async (upTo: number): Promise<{ readonly heap: number; readonly resident: number }> => {
    limit = upTo;
    for (let i = 0; i < CONCURRENCY; i++) connect();
    let [closed, waitedMs] = [state.closed, 0];
    while (state.closed < upTo || client.leftovers.length > 0 || server.leftovers.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      waitedMs = state.closed > closed ? 0 : waitedMs + POLL_MS;
      closed = state.closed;
      if (waitedMs > MAX_WAIT_MS) break;
    }
    if (state.closed < upTo) throw new Error(`Nothing ends any more: ${state.closed} of ${upTo} connections did`);
    await collectGarbage();
    return { heap: heapBytes(), resident: residentBytes() };
  };
  const begunAt = performance.now();
  const early = await measure(Math.ceil(count / 10));
  const late = await measure(count);
  const seconds = (performance.now() - begunAt) / 1000;
  const leftovers = [...client.leftovers, ...server.leftovers];
  const grownBytes = late.heap - early.heap;
  const residentGrownBytes = late.resident - early.resident;
  report({ type: "done", count, seconds, early, late, grownBytes, residentGrownBytes, leftovers });
  client.host[Symbol.dispose]();
  server.host[Symbol.dispose]();
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { count: { type: "string", default: "10000" } } });
  await main(Number(values.count));
}
