/**
 * Memory of sessions that do nothing: as many as asked for on one socket of each end, in virtual time, and what their parts
 * hold.
 *
 *     deno run -A --v8-flags=--expose-gc bench/idle.ts [--sessions 10000] [--json]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import { seededRandom } from "../tests/support/seeded_random.ts";
import { collectGarbage, heapBytes } from "./support/heap.ts";
import { tlsSettings } from "./support/tls.ts";

/** What a session may hold, at either end. */
const MAX_SESSION_BYTES = 20 * 1024;

/** Handshakes under way at once. */
const BATCH = 100;

/** After that long everything that a handshake leaves is gone: closing handshakes, packets not acknowledged. */
const SETTLE_MS = 5000;

const random = seededRandom(1);
const transport = { ...DEFAULT_TRANSPORT_SETTINGS, idleTimeoutMs: 0 };

class End {
  readonly endpoint: QuicEndpoint;
  readonly base: Base;
  readonly confirmed: QuicConnection[] = [];

  constructor(host: string, port: number, server: ReturnType<typeof tlsSettings> | undefined, sessions: number) {
    this.base = { kind: "socket", local: addressOf(host, port), maxPayloadBytes: 1472 };
    this.endpoint = new QuicEndpoint({
      ...DEFAULT_ENDPOINT_CONFIG,
      maxConnections: sessions,
      ...(server === undefined ? {} : { server: { tls: server, transport } }),
    }, random);
  }
}

/** Hands each end what the other sends, until both are dry. */
function settle(ends: readonly [End, End], now: number): void {
  for (let moved = true; moved;) {
    moved = false;
    for (const [from, to] of [ends, ends.toReversed()]) {
      if (from === undefined || to === undefined) continue;
      for (let event = from.endpoint.pollEvent(); event !== undefined; event = from.endpoint.pollEvent()) {
        moved = true;
        if (event.type === "connection" && event.event.type === "handshakeConfirmed") {
          from.confirmed.push(event.connection);
        }
      }
      for (let out = from.endpoint.pollTransmit(now); out !== undefined; out = from.endpoint.pollTransmit(now)) {
        moved = true;
        to.endpoint.handleDatagram({ ...received(out, from, to) }, now);
      }
    }
  }
}

function received({ payload, segmentBytes }: Datagram, from: End, to: End): Datagram {
  const datagram = { base: to.base, remote: from.base.local, payload };
  return segmentBytes === undefined ? datagram : { ...datagram, segmentBytes };
}

function pass(ends: readonly [End, End], from: number, ms: number): number {
  const until = from + ms;
  for (let now = from;;) {
    settle(ends, now);
    const next = Math.min(...ends.map(({ endpoint }) => endpoint.pollTimeout() ?? Infinity));
    if (next > until) return until;
    now = Math.max(now, next);
    for (const { endpoint } of ends) endpoint.handleTimeout(now);
  }
}

/** Both ends of the sessions are in this process: what they hold is halved. */
async function measure(
  sessions: number,
): Promise<{ readonly sessionBytes: number; readonly isWithinLimit: boolean }> {
  const [ours, theirs] = [Ed25519PrivateKey.generate(random), Ed25519PrivateKey.generate(random)];
  const client = new End("192.0.2.1", 50_000, undefined, sessions);
  const server = new End("192.0.2.2", 4433, tlsSettings({ own: theirs }), sessions);
  const ends = [client, server] as const;
  const tls = tlsSettings({ own: ours, peer: theirs.publicKey.bytes });
  const connect = (now: number): void => {
    client.endpoint.connect({ base: client.base, remote: server.base.local, tls, transport }, now);
  };
  let now = 0;
  const grow = (count: number): void => {
    for (let begun = 0; begun < count; begun += BATCH) {
      for (let i = 0; i < Math.min(BATCH, count - begun); i++) connect(now);
      now = pass(ends, now, 10);
    }
    now = pass(ends, now, SETTLE_MS);
  };
  // What the first sessions make is made once: compiled code, tables.
  const warm = Math.min(500, sessions / 10);
  grow(warm);
  await collectGarbage();
  const before = heapBytes();
  grow(sessions - warm);
  await collectGarbage();
  const grown = heapBytes() - before;
  if (server.confirmed.length !== sessions) throw new Error(`Only ${server.confirmed.length} sessions came about`);
  const sessionBytes = grown / (sessions - warm) / 2;
  return { sessionBytes, isWithinLimit: sessionBytes <= MAX_SESSION_BYTES };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { sessions: { type: "string", default: "10000" }, json: { type: "boolean", default: false } },
  });
  const result = await measure(Number(values.sessions));
  console.log(
    values.json ? JSON.stringify(result) : `${(result.sessionBytes / 1024).toFixed(1)} KiB a session and end, idle`,
  );
  if (!result.isWithinLimit) Deno.exit(1);
}
