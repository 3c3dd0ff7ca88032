/**
 * A session that lives for many hours while a NAT moves the client every minute: a question and its answer each time,
 * datagrams, keep-alives, new keys once an hour. What must not grow is looked at every hour.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { addressOf } from "../../protocols/core/address.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import { MAX_PATHS } from "../../protocols/quic/paths.ts";
import { CLIENT_ADDRESS, Pair } from "./quic_pair.ts";
import { streamBytes } from "./quic_transfer.ts";

/** What was seen, for reports. */
export interface LongSession {
  readonly virtualHours: number;
  readonly moves: number;
  readonly answers: number;
  readonly lostPackets: number;
  readonly keyUpdates: number;
  readonly sentDatagrams: number;
  readonly sentBytes: number;
  /** Of the heap, from the end of the eighth hour to the last. */
  readonly heapGrowthBytes: number;
}

const MINUTE_MS = 60_000;
const MINUTES_PER_HOUR = 60;
const QUESTION_BYTES = 1000;
const ANSWER_BYTES = 4000;
/** The ports that the NAT has. */
const FIRST_PORT = 20_000;
const PORTS = 100;
/** The hour after which everything has the size that it keeps: what the runtime learns of the code is on the heap too. */
const SETTLED_HOURS = 8;
/** What the heap may differ by after that, for the same reason. */
const MAX_HEAP_GROWTH_BYTES = 512 * 1024;
/** What an hour may cost more than another: loss is random. */
const MAX_HOURS_RATIO = 1.3;
/** A question asked, at most so much later it has been answered. */
const MAX_ANSWER_MS = 30_000;

/** @throws {Error} If anything grows, or gets lost. */
export function liveLong(seed: number, hours: number): LongSession {
  const pair = new Pair({ seed, link: { latencyMs: 20, jitterMs: 5, loss: 0.05 }, transport: { keepAliveMs: 15_000 } });
  const answers = new Map<number, number>();
  answerQuestions(pair, answers);
  const { client, server } = pair.established();
  const sentBytesByHour: number[] = [];
  let settledHeapBytes = 0;
  let settledTables: Readonly<Record<string, number>>[] = [];
  let moves = 0;
  let answered = 0;
  for (let hour = 1; hour <= hours; hour++) {
    const sentBefore = client.stats.sentBytes + server.stats.sentBytes;
    for (let minute = 0; minute < MINUTES_PER_HOUR; minute++) {
      const begun = pair.now;
      const alias = addressOf(CLIENT_ADDRESS.host, FIRST_PORT + moves++ % PORTS);
      pair.rebindClient(alias);
      // Every other minute the server speaks first, and has to wait until a keep-alive has told it where the client is.
      const id = ask(minute % 2 === 0 ? client : server);
      pair.runUntil(() => answers.get(id) === ANSWER_BYTES || pair.now > begun + MAX_ANSWER_MS);
      strictEqual(answers.get(id), ANSWER_BYTES, `hour ${hour}, minute ${minute}: bytes of the answer`);
      answered++;
      answers.delete(id);
      for (const end of [client, server]) end.sendDatagram(new Uint8Array(100));
      pair.runTo(begun + MINUTE_MS);
      strictEqual(server.path.remote, alias, "where the server has followed the client to");
    }
    client.updateKeys();
    pair.runTo(pair.now + 5000);
    for (const end of [client, server]) strictEqual(end.stats.streams, 0, "streams that are left");
    sentBytesByHour.push(client.stats.sentBytes + server.stats.sentBytes - sentBefore);
    const tables = [pair.client, pair.server].map(({ endpoint: { tableSizes: { remotes = 0, ...others } } }) => {
      // A stateless reset is looked for from the latest addresses: how many they are is up to what came when.
      ok(remotes <= MAX_PATHS, `${remotes} addresses of one peer`);
      return others;
    });
    // What the pair remembers is no part of the session.
    for (const record of [pair.trace, pair.client.events, pair.server.events]) record.length = 0;
    if (hour < SETTLED_HOURS) continue;
    if (hour === SETTLED_HOURS) {
      settledTables = tables;
      settledHeapBytes = heapBytes();
    }
    deepStrictEqual(tables, settledTables, `tables after ${hour} hours`);
  }
  const heapGrowthBytes = heapBytes() - settledHeapBytes;
  ok(heapGrowthBytes < MAX_HEAP_GROWTH_BYTES, `the heap grew by ${heapGrowthBytes} bytes`);
  const [least, most] = [Math.min(...sentBytesByHour), Math.max(...sentBytesByHour)];
  ok(most < MAX_HOURS_RATIO * least, `from ${least} to ${most} bytes were sent in an hour`);
  strictEqual(client.stats.keyUpdates, hours);
  const { stats } = client;
  return {
    virtualHours: pair.now / MINUTE_MS / MINUTES_PER_HOUR,
    moves,
    answers: answered,
    lostPackets: stats.lostPackets + server.stats.lostPackets,
    keyUpdates: stats.keyUpdates,
    sentDatagrams: stats.sentDatagrams + server.stats.sentDatagrams,
    sentBytes: stats.sentBytes + server.stats.sentBytes,
    heapGrowthBytes,
  };
}

function ask(connection: QuicConnection): number {
  const id = connection.openStream("bidirectional");
  if (id === undefined) throw new Error(`No stream for the ${connection.role}`);
  connection.write(id, new Uint8Array(QUESTION_BYTES));
  connection.finish(id);
  return id;
}

/** Whoever is asked answers once the question has ended; `answers` counts what has come back, by stream. */
function answerQuestions({ client, server }: Pair, answers: Map<number, number>): void {
  const answer = streamBytes(0, ANSWER_BYTES);
  for (const peer of [client, server]) {
    const asked = new Set<number>();
    peer.onEvent = (connection: QuicConnection, event: ConnectionEvent): void => {
      switch (event.type) {
        case "streamOpened":
          asked.add(event.id);
          break;
        case "streamClosed":
          asked.delete(event.id);
          break;
        case "streamReadable": {
          let bytes = 0;
          for (let data = connection.read(event.id); data !== undefined; data = connection.read(event.id)) {
            bytes += data.length;
          }
          if (!asked.has(event.id)) answers.set(event.id, (answers.get(event.id) ?? 0) + bytes);
          else if (connection.isAtEnd(event.id)) {
            connection.write(event.id, answer);
            connection.finish(event.id);
          }
          break;
        }
        case "datagramReadable":
          while (connection.readDatagram() !== undefined);
          break;
        case "closed":
          throw new Error(`The connection closed by ${event.by}: ${event.reason}`);
        default:
      }
    };
  }
}

/** After the garbage is collected. */
function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("Cannot collect garbage: the runtime does not say how");
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}
