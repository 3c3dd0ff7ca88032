/**
 * Random operations of both ends of a connection over a harsh link, all from one seed, and a model that says what may be
 * seen: every byte in its place, an end where it was put, nothing after a reset, and no table left behind.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import { type Random, randomUnit } from "../../protocols/core/random.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import { MovingPair } from "./moving_pair.ts";
import { Pair, type Peer } from "./quic_pair.ts";
import { seededRandom } from "./seeded_random.ts";

/** What one run did: for reports. */
export interface OperationCounts {
  readonly virtualMs: number;
  readonly streams: number;
  readonly bytes: number;
  readonly lostDatagrams: number;
}

/** One end's view of one stream. */
interface StreamModel {
  writtenBytes: number;
  readBytes: number;
  /** No more is written: by FIN or by a reset, ours or asked for by the peer. */
  sending: "open" | "finished" | "reset";
  receiving: "open" | "ended" | "reset" | "stopped";
}

/** Longest write. */
const MAX_WRITE_BYTES = 40_000;

/** Steps in which everything must have settled once no new operations come. */
const MAX_SETTLING_STEPS = 200_000;

/** How a run differs from the usual one. */
export interface OperationOptions {
  /** The two ends meet at a relay, look for paths around it, move to and fro, and paths come and go. */
  readonly traverses?: boolean;
}

/**
 * Runs `operations` random operations, lets everything end and checks what is left.
 *
 * @throws {Error} If anything is seen that the model does not allow.
 */
export function runOperations(seed: number, operations: number, options: OperationOptions = {}): OperationCounts {
  const random = seededRandom(seed ^ 0x5eed);
  const link = {
    latencyMs: below(random, 80),
    loss: randomUnit(random) * 0.25,
    duplication: randomUnit(random) * 0.1,
    jitterMs: below(random, 60),
  };
  const transport = {
    idleTimeoutMs: 600_000,
    // A client that only waits must still be heard once a NAT has moved it.
    keepAliveMs: 10_000,
    maxBidirectionalStreams: 1 + below(random, 12),
    maxUnidirectionalStreams: 1 + below(random, 12),
    streamWindowBytes: 2_000 + below(random, 100_000),
    connectionWindowBytes: 4_000 + below(random, 200_000),
  };
  const moving = options.traverses === true ? new MovingPair(seed, random, transport) : undefined;
  const pair = moving?.pair ?? new Pair({ seed, link, transport });
  if (moving !== undefined) pair.link = link;
  const { client, server } = moving?.connected() ?? pair.established();
  const ends = [new End(pair.client, client, random), new End(pair.server, server, random)] as const;
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  moving?.followFound();
  for (let i = 0; i < operations; i++) {
    operate(pair, ends, random);
    if (randomUnit(random) < 0.2) moving?.operate();
  }
  moving?.heal();
  for (const end of ends) end.settle();
  pair.runUntil(() => {
    for (const end of ends) end.settle();
    return ends.every((end) => end.connection.stats.streams === 0);
  }, MAX_SETTLING_STEPS);
  for (const end of ends) end.check();
  const counts = {
    virtualMs: pair.now,
    streams: ends[0].streams.size,
    bytes: [...ends[0].streams.values(), ...ends[1].streams.values()].reduce(
      (sum, { readBytes }) => sum + readBytes,
      0,
    ),
    lostDatagrams: pair.trace.filter((line) => line.endsWith("lost")).length,
  };
  checkEnd(pair, ends);
  return counts;
}

/** A close at the end leaves nothing in any table. */
function checkEnd(pair: Pair, ends: readonly [End, End]): void {
  pair.link = { ...pair.link, loss: 0 };
  for (const end of ends) end.isClosing = true;
  ends[0].connection.close(7, "done", pair.now);
  pair.runUntil(() => pair.client.endpoint.connectionCount + pair.server.endpoint.connectionCount === 0);
  for (const { endpoint } of [pair.client, pair.server]) {
    deepStrictEqual(new Set(Object.values(endpoint.tableSizes)), new Set([0]), JSON.stringify(endpoint.tableSizes));
  }
}

function operate(pair: Pair, ends: readonly [End, End], random: Random): void {
  const end = ends[below(random, 2)] ?? ends[0];
  switch (below(random, 16)) {
    case 0:
    case 1:
      end.open("bidirectional");
      break;
    case 2:
      end.open("unidirectional");
      break;
    case 3:
    case 4:
    case 5:
      end.write();
      break;
    case 6:
      end.finish();
      break;
    case 7:
      if (randomUnit(random) < 0.3) end.reset();
      break;
    case 8:
      if (randomUnit(random) < 0.3) end.stop();
      break;
    case 9:
    case 10:
      end.readSome();
      break;
    case 11:
      end.sendDatagram();
      break;
    case 12:
      if (randomUnit(random) < 0.2) end.connection.updateKeys();
      else end.connection.ping();
      break;
    case 13:
      if (randomUnit(random) < 0.1) pair.rebindClient(addressOf("192.0.2.1", 40_000 + below(random, 5)));
      break;
    default:
      pair.runTo(pair.now + below(random, 200));
  }
  pair.drain();
}

/** One end, what it has done and what it has seen. */
class End {
  readonly connection: QuicConnection;
  readonly streams = new Map<number, StreamModel>();
  other: End | undefined;
  isClosing = false;
  readonly #random: Random;
  readonly #isClient: boolean;

  constructor(peer: Peer, connection: QuicConnection, random: Random) {
    this.connection = connection;
    this.#random = random;
    this.#isClient = connection.role === "client";
    peer.onEvent = (_connection, event) => this.#handle(event);
  }

  open(directionality: "bidirectional" | "unidirectional"): void {
    const id = this.connection.openStream(directionality);
    if (id !== undefined) this.#add(id);
  }

  write(): void {
    const id = this.#pick(({ sending }) => sending === "open");
    if (id === undefined) return;
    const stream = this.#stream(id);
    const data = new Uint8Array(1 + below(this.#random, MAX_WRITE_BYTES));
    for (let i = 0; i < data.length; i++) data[i] = byteOf(id, this.#isClient, stream.writtenBytes + i);
    const bytes = this.connection.write(id, data);
    ok(bytes <= data.length);
    stream.writtenBytes += bytes;
  }

  finish(): void {
    const id = this.#pick(({ sending }) => sending === "open");
    if (id === undefined) return;
    this.connection.finish(id);
    this.#stream(id).sending = "finished";
  }

  reset(): void {
    const id = this.#pick(({ sending }) => sending !== "reset");
    if (id === undefined || !this.#sends(id)) return;
    this.connection.reset(id, 1);
    this.#stream(id).sending = "reset";
  }

  stop(): void {
    const id = this.#pick(({ receiving }) => receiving === "open");
    if (id === undefined || !this.#receives(id)) return;
    this.connection.stopSending(id, 2);
    this.#stream(id).receiving = "stopped";
  }

  readSome(): void {
    const id = this.#pick(({ receiving }) => receiving === "open");
    if (id !== undefined) this.#read(id);
  }

  sendDatagram(): void {
    const data = new Uint8Array(1 + below(this.#random, 1000));
    this.connection.sendDatagram(data.fill(data.length & 0xff));
  }

  /** No new operations: everything open is finished, everything readable read. */
  settle(): void {
    for (const [id, stream] of this.streams) {
      if (this.#sends(id) && stream.sending === "open") {
        this.connection.finish(id);
        stream.sending = "finished";
      }
      if (this.#receives(id) && stream.receiving === "open") this.#read(id);
    }
  }

  /** What this end read is what the other wrote. */
  check(): void {
    for (const [id, { receiving, readBytes }] of this.streams) {
      if (!this.#receives(id)) continue;
      const sent = this.other?.streams.get(id);
      if (sent === undefined) throw new Error(`Stream ${id} was opened by nobody`);
      const where = `stream ${id}, received by ${this.connection.role}: ${receiving}, sent: ${sent.sending}`;
      if (sent.sending === "finished" && receiving !== "stopped") {
        strictEqual(receiving, "ended", where);
        strictEqual(readBytes, sent.writtenBytes, where);
      }
      ok(readBytes <= sent.writtenBytes, where);
    }
    // A stream that only one end knows was reset or finished before the other heard of it: nothing was to be read.
    for (const [id, { sending, writtenBytes }] of this.streams) {
      if (this.other?.streams.has(id)) continue;
      ok(sending === "reset" || writtenBytes === 0, `stream ${id} never reached the other end`);
    }
  }

  #handle(event: ConnectionEvent): void {
    switch (event.type) {
      case "streamOpened":
        this.#add(event.id);
        break;
      case "streamReadable":
        if (randomUnit(this.#random) < 0.6) this.#read(event.id);
        break;
      case "streamReset":
        if (this.#stream(event.id).receiving === "open") this.#stream(event.id).receiving = "reset";
        break;
      case "streamStopped":
        this.#stream(event.id).sending = "reset";
        break;
      case "datagramReadable":
        for (let data = this.connection.readDatagram(); data !== undefined; data = this.connection.readDatagram()) {
          ok(data.every((byte) => byte === (data.length & 0xff)), "a datagram arrives as it was sent");
        }
        break;
      case "closed":
        if (!this.isClosing) throw new Error(`The connection closed by ${event.by}: ${event.code} ${event.reason}`);
        break;
      default:
    }
  }

  #read(id: number): void {
    const stream = this.#stream(id);
    if (stream.receiving !== "open") return;
    for (let data = this.connection.read(id); data !== undefined; data = this.connection.read(id)) {
      for (const byte of data) {
        if (byte !== byteOf(id, !this.#isClient, stream.readBytes++)) {
          throw new Error(`Stream ${id} is wrong at ${stream.readBytes - 1}`);
        }
      }
    }
    if (stream.receiving === "open" && this.connection.isAtEnd(id)) stream.receiving = "ended";
  }

  #add(id: number): void {
    strictEqual(this.streams.has(id), false, `stream ${id} opened twice`);
    this.streams.set(id, {
      writtenBytes: 0,
      readBytes: 0,
      sending: this.#sends(id) ? "open" : "finished",
      receiving: this.#receives(id) ? "open" : "ended",
    });
  }

  #stream(id: number): StreamModel {
    const stream = this.streams.get(id);
    if (stream === undefined) throw new Error(`Stream ${id} was not opened`);
    return stream;
  }

  #pick(isWanted: (stream: StreamModel) => boolean): number | undefined {
    const ids = [...this.streams].filter(([, stream]) => isWanted(stream)).map(([id]) => id);
    return ids[below(this.#random, ids.length)];
  }

  /** RFC 9000 §2.1: bit 0 is who opened it, bit 1 whether it is unidirectional. */
  #sends(id: number): boolean {
    return (id & 2) === 0 || (id & 1) === (this.#isClient ? 0 : 1);
  }

  #receives(id: number): boolean {
    return (id & 2) === 0 || (id & 1) !== (this.#isClient ? 0 : 1);
  }
}

/** What byte `offset` of one direction of a stream is. */
function byteOf(id: number, fromClient: boolean, offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7 + id * 13 + (fromClient ? 5 : 101)) & 0xff;
}

function below(random: Random, bound: number): number {
  return Math.floor(randomUnit(random) * bound);
}
