import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { Reader, TruncatedError } from "../../../protocols/core/reader.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import {
  MAX_VARINT,
  readVarint,
  readVarint62,
  varintBytes,
  writeVarint,
  writeVarint2,
  writeVarint62,
} from "../../../protocols/quic/varint.ts";

const SAMPLES: readonly (readonly [string, bigint])[] = [
  ["c2197c5eff14e88c", 151288809941952652n],
  ["9d7f3e7d", 494878333n],
  ["7bbd", 15293n],
  ["25", 37n],
  ["4025", 37n],
];

Deno.test("Varint reads the samples (RFC 9000 §A.1)", () => {
  for (const [hex, value] of SAMPLES) {
    strictEqual(readVarint62(new Reader(fromHex(hex))), value);
    const expected = value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
    strictEqual(readVarint(new Reader(fromHex(hex))), expected);
  }
});

Deno.test("Varint saturates at 2^53 - 1 (RFC 9000 §16)", () => {
  strictEqual(readVarint(new Reader(fromHex("ffffffffffffffff"))), Number.MAX_SAFE_INTEGER);
  strictEqual(readVarint(new Reader(fromHex("c020000000000000"))), Number.MAX_SAFE_INTEGER);
  strictEqual(readVarint(new Reader(fromHex("c01fffffffffffff"))), Number.MAX_SAFE_INTEGER);
  strictEqual(readVarint(new Reader(fromHex("c01ffffffffffffe"))), Number.MAX_SAFE_INTEGER - 1);
});

Deno.test("Varint is written in its shortest length (RFC 9000 §16)", () => {
  const edges = [0, 63, 64, 16383, 16384, 2 ** 30 - 1, 2 ** 30, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER];
  deepStrictEqual(edges.map(varintBytes), [1, 1, 2, 2, 4, 4, 8, 8, 8]);
  for (const value of edges) {
    const writer = new Writer(new Uint8Array(8));
    writeVarint(writer, value);
    strictEqual(writer.offset, varintBytes(value));
    strictEqual(readVarint(new Reader(writer.written())), value);
  }
  const writer = new Writer(new Uint8Array(16));
  writeVarint62(writer, MAX_VARINT);
  writeVarint62(writer, 37n);
  writeVarint2(writer, 37);
  strictEqual(toHex(writer.written()), "ffffffffffffffff254025");
});

Deno.test("Varint refuses what it cannot carry (RFC 9000 §16)", () => {
  const writer = new Writer(new Uint8Array(8));
  for (const value of [-1, NaN, 2 ** 53]) throws(() => writeVarint(writer, value), RangeError);
  for (const value of [-1n, 2n ** 62n]) throws(() => writeVarint62(writer, value), RangeError);
  throws(() => writeVarint2(writer, 16384), RangeError);
});

Deno.test("Varint truncated at every byte is TruncatedError (RFC 9000 §16)", () => {
  for (const [hex] of SAMPLES) {
    const bytes = fromHex(hex);
    for (let length = 0; length < bytes.length; length++) {
      throws(() => readVarint(new Reader(bytes, 0, length)), TruncatedError);
      throws(() => readVarint62(new Reader(bytes, 0, length)), TruncatedError);
    }
  }
});
