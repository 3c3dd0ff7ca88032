import { ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import { randomBytes } from "../../protocols/core/random.ts";
import { MAX_LOCAL_CONNECTION_IDS } from "../../protocols/quic/connection_ids.ts";
import { TRANSPORT_ERROR } from "../../protocols/quic/errors.ts";
import { MAX_PATHS } from "../../protocols/quic/paths.ts";
import { Flood, type FloodOptions, varints } from "../support/quic_flood.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { forgedInitial } from "../support/stranger.ts";

// The table of docs/limits.md, played: a flood, the limit that it meets, and what an honest client beside it keeps.

const random = seededRandom(4);

/** Of its bytes, what the honest client has in virtual time. */
const LEAST_HONEST_SHARE = 0.8;

interface FloodRow extends FloodOptions {
  readonly name: string;
  /** How the server ends it, if it does. */
  readonly code?: number;
  /** Packets that the server may open or seal for each datagram. */
  readonly maxPacketsPerDatagram: number;
  /** Bytes back, per byte of the flood. */
  readonly maxAnswerFactor: number;
}

function table(flood: Flood, name: string): number {
  return flood.pair.server.endpoint.tableSizes[name] ?? 0;
}

function connectionId(sequenceNumber: number, retirePriorTo: number): Uint8Array {
  const id = randomBytes(random, 8);
  return concatBytes(varints(0x18, sequenceNumber, retirePriorTo, 8), id, randomBytes(random, 16));
}

function strangerAt(n: number): ReturnType<typeof addressOf> {
  return addressOf(`192.0.2.${2 + n % 250}`, 1024 + n % 50_000);
}

function largestHeard(flood: Flood, type: "NEW_CONNECTION_ID" | "MAX_STREAMS"): number {
  let largest = 0;
  for (const frame of flood.heard) {
    if (frame.type !== type) continue;
    largest = Math.max(largest, frame.type === "MAX_STREAMS" ? frame.maximum : frame.sequenceNumber);
  }
  return largest;
}

let opened = 0;
let retired = 0;

const FLOODS: readonly FloodRow[] = [
  {
    name: "Initials of strangers (maxHalfOpenConnections 256, Retry from 128 on; RFC 9000 §8.1.2)",
    perMs: 4,
    datagram: (n) => ({
      from: strangerAt(n),
      bytes: forgedInitial(Uint8Array.of(0x01), {
        destinationId: randomBytes(random, 8),
        sourceId: randomBytes(random, 8),
      }),
    }),
    check: (flood) => ok(table(flood, "connections") <= 2 + 128, String(table(flood, "connections"))),
    // A Retry has its own seal and its token another.
    maxPacketsPerDatagram: 3.5,
    maxAnswerFactor: 0.3,
  },
  {
    name: "NEW_CONNECTION_ID that retires the one before (PENDING_RETIREMENTS_PER_ID 4 × 8; RFC 9000 §5.1.2)",
    perMs: 10,
    frames: (n) => connectionId(100 + n, 100 + n),
    maxPacketsPerDatagram: 2.1,
    maxAnswerFactor: 1.5,
  },
  {
    name: "NEW_CONNECTION_ID that retires the one before, many to a packet (RFC 9000 §5.1.2)",
    perMs: 1,
    frames: (n) =>
      concatBytes(...Array.from({ length: 36 }, (_, i) => connectionId(100 + 36 * n + i, 100 + 36 * n + i))),
    code: TRANSPORT_ERROR.CONNECTION_ID_LIMIT_ERROR,
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 1,
  },
  {
    name: "RETIRE_CONNECTION_ID of each that is issued (MAX_LOCAL_CONNECTION_IDS 4; RFC 9000 §5.1.1)",
    perMs: 4,
    frames: (_, flood) => {
      retired = Math.max(retired, 1);
      const newest = largestHeard(flood, "NEW_CONNECTION_ID");
      return newest >= retired ? varints(0x19, retired++) : undefined;
    },
    check: (flood) => ok(table(flood, "routes") <= 2 * (MAX_LOCAL_CONNECTION_IDS + 1), String(table(flood, "routes"))),
    maxPacketsPerDatagram: 3,
    maxAnswerFactor: 3,
  },
  {
    name: "Streams opened and reset (maxBidirectionalStreams 100 at once; RFC 9000 §4.6)",
    perMs: 10,
    frames: (_, flood) => {
      const limit = Math.max(100, largestHeard(flood, "MAX_STREAMS"));
      if (opened >= limit) return Uint8Array.of(0x01);
      const id = 4 * opened++;
      return concatBytes(varints(0x04, id, 0, 0), varints(0x05, id, 0));
    },
    check: ({ server }) => ok(server.stats.streams <= 100, String(server.stats.streams)),
    maxPacketsPerDatagram: 3,
    maxAnswerFactor: 3,
  },
  {
    name: "Packet numbers with a gap after each (MAX_ACK_RANGES 64; RFC 9000 §13.2.4)",
    perMs: 10,
    skippedNumbers: 1,
    frames: () => Uint8Array.of(0x01),
    maxPacketsPerDatagram: 2.1,
    maxAnswerFactor: 0.5,
  },
  {
    name: "CRYPTO with a gap after each byte (MAX_CRYPTO_PIECES 128; RFC 9000 §7.5)",
    perMs: 1,
    frames: (n) => concatBytes(...Array.from({ length: 100 }, (_, i) => varints(0x06, 100 + 200 * n + 2 * i, 1, 1))),
    code: TRANSPORT_ERROR.CRYPTO_BUFFER_EXCEEDED,
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 1,
  },
  {
    name: "STREAM with a gap after each byte (MAX_REASSEMBLY_PIECES 4096; RFC 9000 §21.6)",
    perMs: 2,
    frames: (n) => concatBytes(...Array.from({ length: 100 }, (_, i) => varints(0x0e, 0, 1 + 200 * n + 2 * i, 1, 1))),
    code: TRANSPORT_ERROR.INTERNAL_ERROR,
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 1,
  },
  {
    name: "PATH_CHALLENGE, many to a packet (MAX_PENDING_PATH_RESPONSES 4; RFC 9000 §8.2.2)",
    perMs: 4,
    frames: () => concatBytes(...Array.from({ length: 100 }, () => concatBytes(varints(0x1a), randomBytes(random, 8)))),
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 1,
  },
  {
    name: "PING (one acknowledgement for two; RFC 9000 §13.2.2)",
    perMs: 20,
    frames: () => Uint8Array.of(0x01),
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 1.2,
  },
  {
    name: "MAX_DATA, MAX_STREAM_DATA and MAX_STREAMS (nothing is kept but the largest; RFC 9000 §4)",
    perMs: 10,
    frames: (n) => concatBytes(varints(0x10, 2 ** 40 + n), varints(0x12, 1000 + n), varints(0x13, 1000 + n)),
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 1.2,
  },
  {
    name: "DATAGRAMs that nobody reads (MAX_RECEIVE_DATAGRAMS 256; RFC 9221 §5)",
    perMs: 10,
    isRead: false,
    frames: () => concatBytes(Uint8Array.of(0x30), new Uint8Array(1000)),
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 0.1,
  },
  {
    name: "Data for a stream that is not read (streamWindowBytes 1 MiB; RFC 9000 §4.1)",
    perMs: 4,
    isRead: false,
    frames: (n) => concatBytes(varints(0x0e, 0, 1000 * n, 1000), new Uint8Array(1000)),
    code: TRANSPORT_ERROR.FLOW_CONTROL_ERROR,
    maxPacketsPerDatagram: 2,
    maxAnswerFactor: 0.1,
  },
  {
    name: "Requests whose answers are not acknowledged (MAX_UNSENT_BYTES 256 KiB, the congestion window; RFC 9002 §7)",
    perMs: 1,
    acknowledges: false,
    frames: (n) => n < 90 ? concatBytes(varints(0x0b, 4 * n, 1000), new Uint8Array(1000)) : Uint8Array.of(0x01),
    maxPacketsPerDatagram: 3,
    maxAnswerFactor: 3,
  },
  {
    name: "Packets of the flooder's from other addresses (MAX_PATHS 8, three times what came; RFC 9000 §8, §9.3)",
    perMs: 4,
    frames: () => Uint8Array.of(0x01),
    from: strangerAt,
    check: (flood) => ok(table(flood, "remotes") <= 2 * MAX_PATHS, String(table(flood, "remotes"))),
    maxPacketsPerDatagram: 4,
    maxAnswerFactor: 3,
  },
  {
    name: "Datagrams of another version (MAX_STATELESS_ANSWERS 32 at once; RFC 9000 §6.1)",
    perMs: 4,
    datagram: (n) => {
      const bytes = new Uint8Array(1200);
      bytes.set([0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8]);
      bytes[14] = 8;
      return { from: strangerAt(n), bytes };
    },
    check: (flood) => ok(table(flood, "answers") <= 32),
    maxPacketsPerDatagram: 0.1,
    maxAnswerFactor: 0.05,
  },
  {
    name: "Packets for connections that do not exist (MAX_RESETS_PER_SECOND 20; RFC 9000 §10.3.3)",
    perMs: 20,
    datagram: (n) => ({ from: strangerAt(n), bytes: concatBytes(Uint8Array.of(0x40), randomBytes(random, 99)) }),
    maxPacketsPerDatagram: 0.1,
    maxAnswerFactor: 0.01,
  },
];

for (const row of FLOODS) {
  Deno.test(`Flood of ${row.name}`, () => {
    const outcome = new Flood(row).run();
    const told = JSON.stringify(outcome);
    // What docs/limits.md says.
    if (Deno.env.get("TELL") !== undefined) console.log(told);
    ok(outcome.undisturbedBytes > 300_000, told);
    ok(outcome.honestBytes >= LEAST_HONEST_SHARE * outcome.undisturbedBytes, told);
    strictEqual(outcome.code, row.code, told);
    ok(outcome.answerFactor <= row.maxAnswerFactor, told);
    ok(outcome.packetsPerDatagram <= row.maxPacketsPerDatagram, told);
  });
}
