import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import { AckRanges } from "../../../protocols/quic/ack_ranges.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { FRAME_RULES, FrameDecoder } from "../../../protocols/quic/frame.ts";
import type { Frame } from "../../../protocols/quic/frame.ts";
import * as write from "../../../protocols/quic/frame_writer.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** A copy of the frame that outlives the decoder's own. */
function copyOf(frame: Frame): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...frame };
  for (const [key, value] of Object.entries(copy)) if (value instanceof Uint8Array) copy[key] = value.slice();
  if (frame.type === "ACK") copy.ranges = frame.ranges.slice(0, 2 * frame.rangeCount);
  return copy;
}

function decodeAll(bytes: Uint8Array, packet: "I" | "H" | "0" | "1" = "1"): Record<string, unknown>[] {
  const decoder = new FrameDecoder();
  decoder.reset(bytes, packet);
  const frames: Record<string, unknown>[] = [];
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(copyOf(frame));
  return frames;
}

function written(action: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(new Uint8Array(512));
  action(writer);
  return writer.written().slice();
}

const eight = fromHex("0102030405060708");
const token = fromHex("000102030405060708090a0b0c0d0e0f");
const text = new TextEncoder().encode("because");

/** Every frame that is written, with what must come out of reading it. */
const SAMPLES: readonly (readonly [Uint8Array, Record<string, unknown>])[] = [
  [written((w) => write.writePing(w)), { type: "PING" }],
  [
    written((w) => write.writeResetStream(w, 4, 70, 16384)),
    { type: "RESET_STREAM", streamId: 4, code: 70, finalSize: 16384 },
  ],
  [written((w) => write.writeStopSending(w, 8, 71)), { type: "STOP_SENDING", streamId: 8, code: 71 }],
  [
    written((w) => {
      write.writeCryptoHeader(w, 100, text.length);
      w.bytes(text);
    }),
    { type: "CRYPTO", offset: 100, data: text },
  ],
  [fromHex("0702abcd"), { type: "NEW_TOKEN", token: fromHex("abcd") }],
  [
    written((w) => {
      write.writeStreamHeader(w, 5, 0, text.length, false);
      w.bytes(text);
    }),
    { type: "STREAM", streamId: 5, offset: 0, fin: false, data: text },
  ],
  [
    written((w) => {
      write.writeStreamHeader(w, 6, 2 ** 40, text.length, true);
      w.bytes(text);
    }),
    { type: "STREAM", streamId: 6, offset: 2 ** 40, fin: true, data: text },
  ],
  [written((w) => write.writeMaxData(w, 2 ** 33)), { type: "MAX_DATA", maximum: 2 ** 33 }],
  [written((w) => write.writeMaxStreamData(w, 4, 9)), { type: "MAX_STREAM_DATA", streamId: 4, maximum: 9 }],
  [written((w) => write.writeMaxStreams(w, true, 9)), { type: "MAX_STREAMS", bidirectional: true, maximum: 9 }],
  [written((w) => write.writeMaxStreams(w, false, 9)), { type: "MAX_STREAMS", bidirectional: false, maximum: 9 }],
  [written((w) => write.writeDataBlocked(w, 77)), { type: "DATA_BLOCKED", limit: 77 }],
  [written((w) => write.writeStreamDataBlocked(w, 4, 77)), { type: "STREAM_DATA_BLOCKED", streamId: 4, limit: 77 }],
  [written((w) => write.writeStreamsBlocked(w, true, 3)), { type: "STREAMS_BLOCKED", bidirectional: true, limit: 3 }],
  [written((w) => write.writeStreamsBlocked(w, false, 3)), { type: "STREAMS_BLOCKED", bidirectional: false, limit: 3 }],
  [
    written((w) =>
      write.writeNewConnectionId(w, {
        sequenceNumber: 3,
        retirePriorTo: 2,
        connectionId: eight,
        statelessResetToken: token,
      })
    ),
    {
      type: "NEW_CONNECTION_ID",
      sequenceNumber: 3,
      retirePriorTo: 2,
      connectionId: eight,
      statelessResetToken: token,
    },
  ],
  [written((w) => write.writeRetireConnectionId(w, 3)), { type: "RETIRE_CONNECTION_ID", sequenceNumber: 3 }],
  [written((w) => write.writePathChallenge(w, eight)), { type: "PATH_CHALLENGE", data: eight }],
  [written((w) => write.writePathResponse(w, eight)), { type: "PATH_RESPONSE", data: eight }],
  [
    written((w) => write.writeConnectionClose(w, { isApplication: false, code: 10, frameType: 6, reason: text })),
    { type: "CONNECTION_CLOSE", isApplication: false, code: 10, frameType: 6, reason: text },
  ],
  [
    written((w) => write.writeConnectionClose(w, { isApplication: true, code: 10, frameType: 6, reason: text })),
    { type: "CONNECTION_CLOSE", isApplication: true, code: 10, frameType: 0, reason: text },
  ],
  [written((w) => write.writeHandshakeDone(w)), { type: "HANDSHAKE_DONE" }],
  [written((w) => write.writeDatagram(w, text)), { type: "DATAGRAM", data: text }],
  [
    fromHex("0219050301020104"),
    { type: "ACK", largestAcknowledged: 25, ackDelay: 5, rangeCount: 4, ranges: [25, 24] },
  ],
];

Deno.test("Frame survives encoding and decoding, one and all together (RFC 9000 §19)", () => {
  const frames = SAMPLES.filter(([, frame]) => frame.type !== "ACK");
  for (const [bytes, frame] of frames) deepStrictEqual(decodeAll(bytes), [frame]);
  deepStrictEqual(decodeAll(concatBytes(...frames.map(([bytes]) => bytes))), frames.map(([, frame]) => frame));
});

Deno.test("STREAM and DATAGRAM without a length reach to the end of the packet (RFC 9000 §19.8, RFC 9221 §4)", () => {
  deepStrictEqual(decodeAll(fromHex("0804aabbcc")), [
    { type: "STREAM", streamId: 4, offset: 0, fin: false, data: fromHex("aabbcc") },
  ]);
  deepStrictEqual(decodeAll(fromHex("0d0402aabbcc")), [
    { type: "STREAM", streamId: 4, offset: 2, fin: true, data: fromHex("aabbcc") },
  ]);
  deepStrictEqual(decodeAll(fromHex("30aabbcc")), [{ type: "DATAGRAM", data: fromHex("aabbcc") }]);
});

Deno.test("PADDING is passed over in one piece (RFC 9000 §19.1)", () => {
  const bytes = concatBytes(new Uint8Array(1000), Uint8Array.of(1), new Uint8Array(3));
  deepStrictEqual(decodeAll(bytes), [{ type: "PADDING" }, { type: "PING" }, { type: "PADDING" }]);
});

Deno.test("ACK says ranges from the highest down, as they were received (RFC 9000 §19.3.1)", () => {
  const ranges = new AckRanges();
  for (const n of [0, 1, 2, 5, 9, 10, 11, 12, 300]) ranges.add(n);
  const bytes = written((w) => write.writeAck(w, ranges, 125));
  deepStrictEqual(decodeAll(bytes), [{
    type: "ACK",
    largestAcknowledged: 300,
    ackDelay: 125,
    rangeCount: 4,
    ranges: [300, 300, 12, 9, 5, 5, 2, 0],
  }]);
  // With ECN counts, which are read and dropped.
  deepStrictEqual(decodeAll(concatBytes(fromHex("03050a0002010203"), Uint8Array.of(1))), [
    { type: "ACK", largestAcknowledged: 5, ackDelay: 10, rangeCount: 1, ranges: [5, 3] },
    { type: "PING" },
  ]);
});

Deno.test("ACK that has no room says the highest ranges (RFC 9000 §13.2.3)", () => {
  const ranges = new AckRanges();
  for (let n = 0; n < 100; n += 2) ranges.add(n);
  const writer = new Writer(new Uint8Array(64));
  write.writeAck(writer, ranges, 0);
  const [ack] = decodeAll(writer.written());
  ok(ack !== undefined && Number(ack.rangeCount) >= 3 && Number(ack.rangeCount) < 50);
  strictEqual(ack.largestAcknowledged, 98);
});

function codeOf(action: () => unknown): number | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof TransportError) return error.code;
    throw error;
  }
  return undefined;
}

Deno.test("Frame that is malformed is FRAME_ENCODING_ERROR (RFC 9000 §12.4, §19)", () => {
  const bad = {
    "unknown type": "1f",
    "unknown type of four bytes": "803d7e90",
    "ACK below 0": "02050000" + "06",
    "ACK range below 0": "0205000100" + "0500",
    "empty NEW_TOKEN": "0700",
    "MAX_STREAMS above 2^60": "12d000000000000001",
    "STREAMS_BLOCKED above 2^60": "17d000000000000001",
    "connection ID of 0 bytes": "18000000" + "00".repeat(16),
    "connection ID of 21 bytes": "18000015" + "00".repeat(37),
    "Retire Prior To above": "18010208" + "00".repeat(24),
    "data shorter than its length": "0a0405aabb",
    "length of 2^62 - 1": "0600ffffffffffffffff",
  };
  for (const [name, hex] of Object.entries(bad)) strictEqual(codeOf(() => decodeAll(fromHex(hex))), 0x07, name);
});

Deno.test("Frame in the wrong packet is PROTOCOL_VIOLATION, as Table 3 says (RFC 9000 §12.4)", () => {
  for (const [bytes, frame] of SAMPLES) {
    const rule = FRAME_RULES[bytes[0]!]!;
    strictEqual(rule.name, frame.type);
    for (const packet of ["I", "H", "0", "1"] as const) {
      const code = frame.type === "ACK" ? undefined : codeOf(() => decodeAll(bytes, packet));
      if (frame.type !== "ACK") {
        strictEqual(code, rule.packets.includes(packet) ? undefined : 0x0a, `${rule.name} ${packet}`);
      }
    }
  }
});

Deno.test("Frame rules are those of Table 3 (RFC 9000 §12.4, RFC 9221 §4)", () => {
  const rows = FRAME_RULES.map((rule, type) => ({ rule, type })).filter(({ rule }) => rule !== undefined);
  strictEqual(rows.length, 33);
  const of = (test: (rule: NonNullable<typeof FRAME_RULES[number]>) => boolean): string[] => [
    ...new Set(rows.filter(({ rule }) => test(rule!)).map(({ rule }) => rule!.name)),
  ];
  deepStrictEqual(of((rule) => !rule.isAckEliciting), ["PADDING", "ACK", "CONNECTION_CLOSE"]);
  deepStrictEqual(of((rule) => rule.isProbing), ["PADDING", "NEW_CONNECTION_ID", "PATH_CHALLENGE", "PATH_RESPONSE"]);
  deepStrictEqual(of((rule) => !rule.isInFlight), ["ACK"]);
  deepStrictEqual(of((rule) => rule.packets.includes("I")), ["PADDING", "PING", "ACK", "CRYPTO", "CONNECTION_CLOSE"]);
  deepStrictEqual(of((rule) => !rule.packets.includes("0")), [
    "ACK",
    "CRYPTO",
    "NEW_TOKEN",
    "PATH_RESPONSE",
    "HANDSHAKE_DONE",
  ]);
});

Deno.test("Frame truncated at every byte is FRAME_ENCODING_ERROR, or ends where it may (RFC 9000 §12.4)", () => {
  for (const [bytes, frame] of SAMPLES) {
    if (frame.type === "ACK") continue;
    for (let length = 1; length < bytes.length; length++) {
      strictEqual(codeOf(() => decodeAll(bytes.subarray(0, length))), 0x07, `${frame.type} ${length}`);
    }
  }
  const ack = fromHex("03190503010201040005010203");
  for (let length = 1; length < ack.length; length++) {
    strictEqual(codeOf(() => decodeAll(ack.subarray(0, length))), 0x07, `ACK ${length}`);
  }
});

Deno.test("Frames of random bytes throw nothing but TransportError (RFC 9000 §11.1)", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const random = seededRandom(seed);
    const bytes = random.fill(new Uint8Array(1 + seed % 64));
    bytes[0] = bytes[0]! % 0x33;
    const code = codeOf(() => decodeAll(bytes));
    ok(code === undefined || code === 0x07 || code === 0x0a, `seed ${seed}`);
  }
});

Deno.test("Frame writers refuse what has no room", () => {
  throws(() => write.writePathChallenge(new Writer(new Uint8Array(8)), eight), RangeError);
});
