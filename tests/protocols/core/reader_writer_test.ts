import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Reader, TruncatedError } from "../../../protocols/core/reader.ts";
import { Writer } from "../../../protocols/core/writer.ts";

Deno.test("Reader and Writer are inverse, field by field", () => {
  const writer = new Writer(new Uint8Array(16));
  writer.uint8(0xfe);
  writer.uint16(0xfedc);
  writer.uint24(0xfedcba);
  writer.uint32(0xfedcba98);
  writer.bytes(new Uint8Array([1, 2]));
  writer.zeros(1);
  const written = writer.written();
  strictEqual(written.length, 13);
  const reader = new Reader(written);
  deepStrictEqual([reader.uint8(), reader.uint16(), reader.uint24(), reader.uint32()], [
    0xfe,
    0xfedc,
    0xfedcba,
    0xfedcba98,
  ]);
  deepStrictEqual([...reader.rest()], [1, 2, 0]);
});

Deno.test("Reader throws TruncatedError at every missing byte, and reads nothing", () => {
  for (let length = 0; length < 4; length++) {
    const reader = new Reader(new Uint8Array(8), 2, 2 + length);
    throws(() => reader.uint32(), TruncatedError);
    strictEqual(reader.remaining, length);
  }
  throws(() => new Reader(new Uint8Array(3)).bytes(Number.MAX_SAFE_INTEGER), TruncatedError);
});

Deno.test("Writer refuses to pass its end", () => {
  const bytes = new Uint8Array(4);
  const writer = new Writer(bytes, 0, 2);
  throws(() => writer.uint24(1), RangeError);
  writer.uint16(0x0102);
  deepStrictEqual([...bytes], [1, 2, 0, 0]);
});

Deno.test("Reader.sub bounds what is read and moves on", () => {
  const reader = new Reader(new Uint8Array([1, 2, 3]));
  const sub = reader.sub(2);
  strictEqual(sub.uint16(), 0x0102);
  throws(() => sub.uint8(), TruncatedError);
  strictEqual(reader.uint8(), 3);
});
