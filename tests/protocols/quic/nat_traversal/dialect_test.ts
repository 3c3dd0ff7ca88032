import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../../protocols/core/bytes.ts";
import { Reader, TruncatedError } from "../../../../protocols/core/reader.ts";
import { Writer } from "../../../../protocols/core/writer.ts";
import { TransportError } from "../../../../protocols/quic/errors.ts";
import {
  decodeParameter,
  decodeTraversalFrame,
  encodeParameter,
  encodeTraversalFrame,
  layoutOf,
  traversalFrameBytes,
} from "../../../../protocols/quic/nat_traversal/dialect.ts";
import type { TraversalFrame } from "../../../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../../../protocols/quic/nat_traversal/draft_seemann_02.ts";
import type { Role } from "../../../../protocols/quic/stream_id.ts";
import { readVarint, writeVarint62 } from "../../../../protocols/quic/varint.ts";

const DIALECT = DRAFT_SEEMANN_02;

/** Frames as draft-seemann-quic-nat-traversal-02 §4 lays them out. */
const FRAMES: readonly (readonly [string, TraversalFrame])[] = [
  ["803d7e90 00 c0000201 1151", {
    type: "ADD_ADDRESS",
    sequenceNumber: 0,
    address: addressOf("192.0.2.1", 4433),
  }],
  ["803d7e91 01 20010db8000000000000000000000001 01bb", {
    type: "ADD_ADDRESS",
    sequenceNumber: 1,
    address: addressOf("2001:db8::1", 443),
  }],
  ["803d7e92 01 00 cb007107 c350", {
    type: "PUNCH_ME_NOW",
    round: 1,
    pairedWithSequenceNumber: 0,
    address: addressOf("203.0.113.7", 50000),
  }],
  ["803d7e93 4041 7fff 20010db8000000000000000000000001 ffff", {
    type: "PUNCH_ME_NOW",
    round: 65,
    pairedWithSequenceNumber: 16383,
    address: addressOf("2001:db8::1", 65535),
  }],
  ["803d7e94 00", { type: "REMOVE_ADDRESS", sequenceNumber: 0 }],
];

function decode(bytes: Uint8Array, sender: Role): TraversalFrame {
  const reader = new Reader(bytes);
  const type = readVarint(reader);
  const layout = layoutOf(DIALECT, type);
  if (layout === undefined) throw new Error("no such type");
  const frame = decodeTraversalFrame(layout, type, reader, sender);
  strictEqual(reader.remaining, 0);
  return frame;
}

const senderOf = (frame: TraversalFrame): Role => frame.type === "PUNCH_ME_NOW" ? "client" : "server";

Deno.test("Dialect -02 writes and reads the frames of the draft, byte by byte (draft-seemann -02 §4)", () => {
  for (const [hex, frame] of FRAMES) {
    const bytes = fromHex(hex);
    const writer = new Writer(new Uint8Array(64));
    encodeTraversalFrame(DIALECT, frame, writer);
    strictEqual(toHex(writer.written()), toHex(bytes));
    strictEqual(traversalFrameBytes(DIALECT, frame), bytes.length);
    deepStrictEqual(decode(bytes, senderOf(frame)), frame);
  }
});

Deno.test("Dialect -02 finds every truncation of a frame", () => {
  for (const [hex, frame] of FRAMES) {
    const bytes = fromHex(hex);
    for (let length = 4; length < bytes.length; length++) {
      throws(() => decode(bytes.subarray(0, length), senderOf(frame)), TruncatedError);
    }
  }
});

Deno.test("Dialect -02 refuses frames in the wrong direction (draft-seemann -02 §4)", () => {
  for (const [hex, frame] of FRAMES) {
    const wrong = senderOf(frame) === "client" ? "server" : "client";
    throws(
      () => decode(fromHex(hex), wrong),
      (error) => error instanceof TransportError && error.code === 0x0a && error.frameType! >= 0x3d7e90,
    );
  }
});

Deno.test("Dialect -02 knows five frame types and no other", () => {
  const types = Array.from({ length: 0x20 }, (_, i) => 0x3d7e80 + i);
  deepStrictEqual(
    types.filter((type) => layoutOf(DIALECT, type) !== undefined),
    [0x3d7e90, 0x3d7e91, 0x3d7e92, 0x3d7e93, 0x3d7e94],
  );
  strictEqual(layoutOf(DIALECT, 0x01), undefined);
});

Deno.test("Dialect -02 says its transport parameter empty as a client, as a limit as a server (draft-seemann -02 §4)", () => {
  function parameter(sender: Role): string {
    const value = new Writer(new Uint8Array(8));
    encodeParameter(DIALECT, sender, 8, value);
    const writer = new Writer(new Uint8Array(32));
    writeVarint62(writer, DIALECT.transportParameterId);
    writer.uint8(value.written().length);
    writer.bytes(value.written());
    return toHex(writer.written());
  }
  strictEqual(parameter("client"), "fd7e9f0bca12fea600");
  strictEqual(parameter("server"), "fd7e9f0bca12fea60108");
});

Deno.test("Dialect -02 takes no other form of the transport parameter (draft-seemann -02 §4)", () => {
  const read = (sender: Role, hex: string) => decodeParameter(DIALECT, sender, new Reader(fromHex(hex)));
  deepStrictEqual(read("client", ""), { concurrencyLimit: undefined });
  deepStrictEqual(read("server", "08"), { concurrencyLimit: 8 });
  deepStrictEqual(read("server", "4001"), { concurrencyLimit: 1 });
  deepStrictEqual(read("server", "ffffffffffffffff"), { concurrencyLimit: Number.MAX_SAFE_INTEGER });
  const wrong: readonly (readonly [Role, string])[] = [
    ["client", "08"],
    ["client", "00"],
    ["server", ""],
    ["server", "00"],
    ["server", "4000"],
    ["server", "40"],
    ["server", "0808"],
    ["server", "ffffffffffffff"],
  ];
  for (const [sender, hex] of wrong) {
    throws(() => read(sender, hex), (error) => error instanceof TransportError && error.code === 0x08, hex);
  }
});
