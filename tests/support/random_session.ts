/**
 * A session from one seed: 1 MiB each way on twelve streams, others that are given up or stopped, datagrams, key updates and
 * moves, in weather that changes all the time; then what has to be true of everything.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { type Random, randomUnit } from "../../protocols/core/random.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { Pair } from "./quic_pair.ts";
import { seededRandom } from "./seeded_random.ts";
import { type Job, type Ledger, SessionEnd } from "./session_end.ts";
import { type Ends, PlainWorld, RelayedWorld, runWithin, type World } from "./session_worlds.ts";

/** What one session did: for reports. */
export interface SessionCounts {
  readonly virtualMs: number;
  readonly streams: number;
  readonly receivedBytes: number;
  readonly lostDatagrams: number;
  readonly corruptedDatagrams: number;
  readonly pathChanges: number;
  readonly keyUpdates: number;
}

/** Of each direction of a stream in both directions, eight of which are to arrive whole, and of one in one direction. */
const BIDIRECTIONAL_BYTES = 96 * 1024;
const UNIDIRECTIONAL_BYTES = 128 * 1024;
/** What each end receives on streams that arrive whole. */
const MIN_RECEIVED_BYTES = 1024 * 1024;
/** Longest prefix of a stream that does not arrive whole. */
const MAX_SPOILED_BYTES = 64 * 1024;

/** Virtual time for the handshake, for all streams in bad weather, and for what is left when it is clear again. */
const MAX_HANDSHAKE_MS = 180_000;
const MAX_SESSION_MS = 600_000;
const MAX_CLEAR_MS = 60_000;
/** Each move costs seconds, so that they have to end for the session to. */
const MAX_MOVES = 12;
const MAX_TICK_MS = 400;

/** @throws {Error} If anything is not as it has to be. */
export function runSession(seed: number): SessionCounts {
  const random = seededRandom(seed ^ 0x7e57);
  const transport = {
    idleTimeoutMs: 600_000,
    // Who only waits must still be heard once a NAT has moved it.
    keepAliveMs: 10_000,
    maxBidirectionalStreams: 1 + below(random, 6),
    maxUnidirectionalStreams: 1 + below(random, 3),
    streamWindowBytes: 2_000 + below(random, 60_000),
    maxStreamWindowBytes: 64_000,
    connectionWindowBytes: 4_000 + below(random, 120_000),
    maxConnectionWindowBytes: 128_000,
  };
  const world: World = seed % 3 === 0
    ? new RelayedWorld(seed, random, transport)
    : new PlainWorld(seed, random, transport);
  const { pair, weather } = world;
  const client = world.connect();
  const isConfirmed = (): boolean =>
    client.state === "confirmed" && pair.server.connections.some(({ state }) => state === "confirmed");
  runWithin(pair, MAX_HANDSHAKE_MS, isConfirmed, () => `the client is ${client.state}`);
  const server = pair.server.connections.find(({ state }) => state === "confirmed")!;
  const ledger: Ledger = new Map();
  const ends = [
    new SessionEnd(pair.client, client, drawJobs(random), ledger, random),
    new SessionEnd(pair.server, server, drawJobs(random), ledger, random),
  ] as const;
  world.begin({ client, server });
  for (const end of ends) end.start();
  liveThrough(world, { client, server }, ends, random);
  weather.clear();
  for (const end of ends) ok(end.receivedBytes >= MIN_RECEIVED_BYTES, "enough has arrived");
  for (const end of ends) end.check();
  world.check({ client, server });
  checkStats(pair, ends);
  const counts = {
    virtualMs: pair.now,
    streams: ledger.size,
    receivedBytes: ends[0].receivedBytes + ends[1].receivedBytes,
    lostDatagrams: weather.lost + pair.trace.filter((line) => line.endsWith("lost")).length,
    corruptedDatagrams: weather.corrupted,
    pathChanges:
      pair.client.events.concat(pair.server.events).filter(({ event }) => event.type === "pathChanged").length,
    keyUpdates: client.stats.keyUpdates,
  };
  checkEnd(pair, ends, random);
  return counts;
}

/** Every end opens four streams each way and two one way that arrive whole, and some that do not. */
function drawJobs(random: Random): Job[] {
  const jobs: Job[] = [
    ...new Array<Job>(4).fill({ directionality: "bidirectional", bytes: BIDIRECTIONAL_BYTES, fate: "whole" }),
    ...new Array<Job>(2).fill({ directionality: "unidirectional", bytes: UNIDIRECTIONAL_BYTES, fate: "whole" }),
  ];
  for (let i = 0; i < 4; i++) {
    const directionality = randomUnit(random) < 0.5 ? "bidirectional" : "unidirectional";
    const job: Job = {
      directionality,
      bytes: 1 + below(random, MAX_SPOILED_BYTES),
      fate: i % 2 === 0 ? "reset" : "stopped",
    };
    jobs.splice(below(random, jobs.length + 1), 0, job);
  }
  return jobs;
}

/** Lets things happen until every stream has ended. */
function liveThrough(world: World, both: Ends, ends: readonly [SessionEnd, SessionEnd], random: Random): void {
  const { pair, weather } = world;
  const until = pair.now + MAX_SESSION_MS;
  let moves = 0;
  let outages = 0;
  while (!ends.every((end) => end.isDone)) {
    if (pair.now > until) {
      throw new Error(`Not done after ${MAX_SESSION_MS / 1000} s: ${ends.map((end) => end.leftOver).join("; ")}`);
    }
    const end = ends[below(random, 2)] ?? ends[0];
    switch (below(random, 12)) {
      case 0:
        weather.change();
        break;
      case 1:
        weather.resize();
        break;
      case 2:
        if (moves < MAX_MOVES && randomUnit(random) < 0.5) {
          moves++;
          world.move(both);
        }
        break;
      case 3:
        if (randomUnit(random) < 0.3) end.connection.updateKeys();
        break;
      case 4:
        if (outages < world.maxOutages && randomUnit(random) < 0.1) {
          outages++;
          weather.cut(randomUnit(random) * 3000);
        }
        break;
      default:
        for (let i = below(random, 5); i > 0; i--) end.sendDatagram();
    }
    pair.drain();
    pair.runTo(pair.now + below(random, MAX_TICK_MS), 200_000);
  }
}

/** What the ends say of themselves agrees with each other and with the link. */
function checkStats(pair: Pair, ends: readonly [SessionEnd, SessionEnd]): void {
  const isQuiet = (): boolean => ends.every(({ connection: { stats } }) => stats.bytesInFlight === 0);
  runWithin(pair, MAX_CLEAR_MS, isQuiet, () => "bytes stay in flight");
  const [client, server] = [ends[0].connection.stats, ends[1].connection.stats];
  for (const [own, other, side] of [[client, server, "client"], [server, client, "server"]] as const) {
    strictEqual(own.streams, 0);
    ok(own.receivedPackets <= other.sentPackets, `packets the ${side} received, and the other sent`);
    ok(own.lostPackets <= own.sentPackets, `packets the ${side} lost and sent`);
    // Answers without a connection count only on the link.
    ok(own.sentDatagrams <= pair.sent[side] && own.sentBytes <= pair.sentBytes[side], `what the ${side} sent`);
    ok(own.receivedBytes >= MIN_RECEIVED_BYTES && own.sentBytes >= MIN_RECEIVED_BYTES);
    ok(own.rttMs >= own.minRttMs && own.minRttMs > 2 * Math.min(pair.link.latencyMs, 20) - 1, `RTT of the ${side}`);
  }
  strictEqual(client.keyUpdates, server.keyUpdates, "changes of keys");
}

/** A close leaves nothing in any table. */
function checkEnd(pair: Pair, ends: readonly [SessionEnd, SessionEnd], random: Random): void {
  for (const end of ends) end.isClosing = true;
  ends[below(random, 2)]?.connection.close(7, "done", pair.now);
  const { client, server } = pair;
  const isEmpty = (): boolean => client.endpoint.connectionCount + server.endpoint.connectionCount === 0;
  runWithin(pair, MAX_CLEAR_MS, isEmpty, () => "a connection stays");
  for (const { connection } of ends) checkClosed(connection);
  for (const { endpoint } of [client, server]) {
    deepStrictEqual(new Set(Object.values(endpoint.tableSizes)), new Set([0]), JSON.stringify(endpoint.tableSizes));
  }
}

function checkClosed({ role, closeReason }: QuicConnection): void {
  strictEqual(closeReason?.code, 7, `why the ${role} closed: ${closeReason?.reason}`);
}

function below(random: Random, bound: number): number {
  return Math.floor(randomUnit(random) * bound);
}
