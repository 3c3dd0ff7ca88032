/**
 * A storm of datagrams around honest QUIC connections, from strangers without keys: random ones, damaged copies, copies as
 * they were, and Initials of their own, at every stage of a handshake and after it. What may be seen: nothing thrown, every
 * table within its limit, no more than three times what came to an address that is not proven, and the honest connections
 * as if nothing had been.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import { randomBytes, randomUnit } from "../../protocols/core/random.ts";
import type { Random } from "../../protocols/core/random.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { EndpointConfig } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import { PacketTap } from "./packet_tap.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, Pair, rawKeyTls, readAll, SERVER_ADDRESS, SERVER_KEY } from "./quic_pair.ts";
import { seededRandom } from "./seeded_random.ts";
import { AnswerLedger, below, forgedInitial, mutated, pick, Seen } from "./stranger.ts";

/** How the server lets connections in. */
export const DOORS = ["open", "listed", "Retry"] as const;

/** One of them. */
export type Door = typeof DOORS[number];

/** Handshakes that the server has under way at most. */
const MAX_HALF_OPEN = 16;
/** A connection of a stranger is gone by then. */
const IDLE_TIMEOUT_MS = 3000;
/** What the honest client sends and gets back in each connection. */
const REQUEST_BYTES = 20_000;
/** Longest that an honest connection takes in the storm, its echo included: at most a Retry and a lost probe later. */
const MAX_HONEST_MS = 3000;

const STRANGERS: readonly Address[] = ["203.0.113.7", "203.0.113.8", "192.0.2.1", "198.51.100.1"].map((host, i) =>
  addressOf(host, 40_000 + i)
);

/** What a storm did: for reports. */
export interface StormCounts {
  readonly datagrams: number;
  readonly honestConnections: number;
  readonly strangersConnections: number;
  readonly answers: number;
}

/**
 * Sends so many datagrams of strangers at a pair, half of it while handshakes are under way.
 *
 * @throws {Error} If anything is seen that may not be.
 */
export function quicStorm(seed: number, door: Door, datagrams: number): StormCounts {
  const random = seededRandom(seed ^ 0x57_02_11);
  const transport = { ...DEFAULT_TRANSPORT_SETTINGS, idleTimeoutMs: IDLE_TIMEOUT_MS };
  const server: Partial<EndpointConfig> = {
    admission: door === "listed" ? "listed" : "open",
    maxHalfOpenConnections: MAX_HALF_OPEN,
    server: {
      tls: rawKeyTls(SERVER_KEY, CLIENT_KEY),
      transport,
      addressValidation: { retry: door === "Retry" ? "always" : "under load", newTokens: true },
    },
  };
  const pair = new Pair({ seed, link: { latencyMs: 1 + below(random, 10) }, transport, server });
  pair.server.endpoint.admit(CLIENT_ADDRESS, Infinity);
  const storm = new Storm(pair, random);
  let honest = 0;
  while (storm.sent < datagrams) {
    honest++;
    const [client, echoed] = exchange(pair);
    const startedAt = pair.now;
    const from = storm.sent;
    // As many datagrams for each connection, at any stage of it.
    while (!echoed() || storm.sent - from < 200) {
      ok(pair.now - startedAt < MAX_HONEST_MS, `connection ${honest} is ${client.state}`);
      storm.blow(below(random, 8));
      pair.runTo(pair.now + 2 * randomUnit(random));
    }
    strictEqual(client.state, "confirmed", JSON.stringify(client.closeReason));
    client.close(0, "", pair.now);
    storm.blow(below(random, 20));
    pair.runTo(pair.now + 5 * randomUnit(random));
  }
  // Nothing of it lasts.
  pair.runTo(pair.now + 4 * IDLE_TIMEOUT_MS, 200_000);
  for (const { name, endpoint } of [pair.client, pair.server]) {
    for (const [table, size] of Object.entries(endpoint.tableSizes)) strictEqual(size, 0, `${name} ${table}`);
  }
  return {
    datagrams: storm.sent,
    honestConnections: honest,
    strangersConnections: pair.server.connections.length - honest,
    answers: storm.ledger.answers,
  };
}

/** An honest connection that has its request echoed. @returns It, and whether it has all of the echo. */
function exchange(pair: Pair): readonly [QuicConnection, () => boolean] {
  const request = new Uint8Array(REQUEST_BYTES).map((_, at) => at * 31);
  const client = pair.connect();
  let echo: Uint8Array = new Uint8Array(0);
  pair.client.onEvent = (connection, event) => {
    if (connection !== client) return;
    if (event.type === "handshakeComplete") {
      const id = connection.openStream("bidirectional")!;
      connection.write(id, request);
      connection.finish(id);
    }
    if (event.type === "streamReadable") echo = concatBytes(echo, readAll(connection, event.id));
  };
  pair.server.onEvent = (connection, event) => {
    if (event.type !== "streamReadable") return;
    connection.write(event.id, readAll(connection, event.id));
    if (connection.isAtEnd(event.id)) connection.finish(event.id);
  };
  return [client, (): boolean => echo.length === REQUEST_BYTES && echo.every((byte, at) => byte === request[at])];
}

/** Strangers around a pair. */
class Storm {
  readonly ledger = new AnswerLedger();
  sent = 0;
  readonly #pair: Pair;
  readonly #random: Random;
  readonly #seen: Record<"client" | "server", Seen>;
  /** Payloads of Initials of clients, which anybody can open. */
  readonly #hellos: Uint8Array[] = [];

  constructor(pair: Pair, random: Random) {
    this.#pair = pair;
    this.#random = random;
    this.#seen = { client: new Seen(random), server: new Seen(random) };
    pair.filter = (from, bytes, hop): boolean => {
      const isClient = from === pair.client;
      this.#seen[isClient ? "client" : "server"].add(bytes);
      if (isClient && (bytes[0]! & 0xf0) === 0xc0 && this.#hellos.length < 4) {
        const tap = new PacketTap("client");
        tap.onFirstInitial(bytes);
        for (const { payload } of tap.open(bytes)) this.#hellos.push(payload);
      }
      if (STRANGERS.includes(hop.to)) this.ledger.onSent(`${hop.from} ${hop.to}`, bytes.length);
      return !STRANGERS.includes(hop.to);
    };
    pair.admits = (hop, bytes): boolean => {
      if (STRANGERS.includes(hop.from)) this.ledger.onReceived(`${hop.to} ${hop.from}`, bytes.length);
      return true;
    };
  }

  /** So many datagrams, now. */
  blow(count: number): void {
    for (let i = 0; i < count; i++) {
      const target = randomUnit(this.#random) < 0.7 ? "server" : "client";
      const bytes = this.#datagram(target);
      const [to, honest] = target === "server" ? [SERVER_ADDRESS, CLIENT_ADDRESS] : [CLIENT_ADDRESS, SERVER_ADDRESS];
      // Some say that they come from the other end.
      const from = randomUnit(this.#random) < 0.4 ? honest : pick(this.#random, STRANGERS);
      // What would open is nobody's but its sender's, so that it is a connection of its own.
      this.#pair.inject(bytes, from, to);
      this.sent++;
    }
    check(this.#pair.server.endpoint);
    check(this.#pair.client.endpoint);
  }

  #datagram(target: "client" | "server"): Uint8Array {
    const random = this.#random;
    const toTarget = this.#seen[target === "server" ? "client" : "server"];
    const any = pick(random, [toTarget, this.#seen[target]]);
    switch (below(random, 10)) {
      case 0: {
        const bytes = randomBytes(random, 1 + below(random, 1500));
        bytes[0] = pick(random, [bytes[0]!, 0x40, 0xc0, 0xd0, 0xe0, 0xf0, 0x7f]);
        return bytes;
      }
      case 1:
        return this.#headed(below(random, 1300));
      case 2:
        return randomUnit(random) < 0.25 ? this.#forged() : this.#headed(1200);
      case 3:
      case 4:
      case 5:
        return toTarget.any() ?? this.#headed(300);
      default:
        return mutated(any.any() ?? this.#headed(1200), random, any.any());
    }
  }

  /** Bytes behind a header that can be read, to IDs that are in use or not. */
  #headed(bodyBytes: number): Uint8Array {
    const random = this.#random;
    const seen = this.#seen.client.any() ?? randomBytes(random, 30);
    const id = randomUnit(random) < 0.5 ? seen.subarray(6, 14) : randomBytes(random, below(random, 21));
    const version = pick(random, [[0, 0, 0, 1], [0, 0, 0, 0], [0x6b, 0x33, 0x43, 0xcf], [0x1a, 0x2a, 0x3a, 0x4a]]);
    const first = 0xc0 | below(random, 64);
    const source = randomBytes(random, below(random, 21));
    return concatBytes(
      Uint8Array.of(first, ...version, id.length),
      id,
      Uint8Array.of(source.length),
      source,
      randomBytes(random, bodyBytes),
    );
  }

  /** An Initial of a connection of the stranger's own, with a ClientHello that is right, almost right, or none. */
  #forged(): Uint8Array {
    const random = this.#random;
    const hello = this.#hellos.length === 0 ? Uint8Array.of(1) : pick(random, this.#hellos);
    const frames = pick(random, [
      hello,
      mutated(hello, random),
      randomBytes(random, 1 + below(random, 60)),
      Uint8Array.of(0x06, 0x40, below(random, 256), 0x01, 0x01),
    ]);
    return forgedInitial(frames.subarray(0, 1000), {
      destinationId: randomBytes(random, 8 + below(random, 13)),
      sourceId: randomBytes(random, below(random, 21)),
      ...(randomUnit(random) < 0.3 ? { token: randomBytes(random, below(random, 90)) } : {}),
      datagramBytes: pick(random, [1200, 1200, 1200, 1300, 1199]),
    });
  }
}

/** Within the limits, whatever has come. */
function check({ tableSizes }: QuicEndpoint): void {
  const { connections = 0, halfOpen = 0, answers = 0, routes = 0, remotes = 0, deadlines = 0 } = tableSizes;
  const sizes = JSON.stringify(tableSizes);
  ok(halfOpen <= MAX_HALF_OPEN && answers <= 32 && connections <= 2000, sizes);
  ok(routes <= 5 * connections && remotes <= 8 * connections && deadlines <= connections, sizes);
}
