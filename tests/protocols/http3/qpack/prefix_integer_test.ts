import { strictEqual, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../../../protocols/core/bytes.ts";
import { Reader, TruncatedError } from "../../../../protocols/core/reader.ts";
import { Writer } from "../../../../protocols/core/writer.ts";
import {
  PrefixIntegerError,
  readPrefixInteger,
  writePrefixInteger,
} from "../../../../protocols/http3/qpack/prefix_integer.ts";

/** RFC 7541 §C.1, with ones in the bits before the prefix. */
const SAMPLES: readonly (readonly [prefixBits: number, highBits: number, value: number, hex: string])[] = [
  [5, 0xe0, 10, "ea"],
  [5, 0xe0, 1337, "ff9a0a"],
  [8, 0, 42, "2a"],
  // Where the prefix is just full.
  [5, 0, 30, "1e"],
  [5, 0, 31, "1f00"],
  [3, 0x20, 7, "2700"],
  [7, 0x80, 127 + 128, "ff8001"],
];

function write(prefixBits: number, highBits: number, value: number): string {
  const writer = new Writer(new Uint8Array(16));
  writePrefixInteger(writer, prefixBits, highBits, value);
  return toHex(writer.written());
}

Deno.test("Prefix integers are those of the samples (RFC 7541 §C.1)", () => {
  for (const [prefixBits, highBits, value, hex] of SAMPLES) {
    strictEqual(write(prefixBits, highBits, value), hex);
    const reader = new Reader(fromHex(hex));
    strictEqual(readPrefixInteger(reader, prefixBits), value);
    strictEqual(reader.remaining, 0);
  }
});

Deno.test("Prefix integers come back as they were written (RFC 9204 §4.1.1)", () => {
  const values = [0, 1, 6, 7, 8, 62, 63, 64, 254, 255, 256, 16383, 16384, 2 ** 32, Number.MAX_SAFE_INTEGER];
  for (let prefixBits = 1; prefixBits <= 8; prefixBits++) {
    for (const value of values) {
      const reader = new Reader(fromHex(write(prefixBits, 0, value)));
      strictEqual(readPrefixInteger(reader, prefixBits), value, `${value} with ${prefixBits} bits`);
    }
  }
});

Deno.test("Prefix integers truncated anywhere are refused (RFC 7541 §5.1)", () => {
  const whole = fromHex("1f9a8a8a0a");
  for (let length = 0; length < whole.length; length++) {
    throws(() => readPrefixInteger(new Reader(whole.subarray(0, length)), 5), TruncatedError);
  }
});

Deno.test("Prefix integers of 62 bits saturate, and endless ones are refused (RFC 9204 §4.1.1)", () => {
  // 2^62 - 1 behind a prefix of five bits.
  strictEqual(readPrefixInteger(new Reader(fromHex("1fe0ffffffffffffff3f")), 5), Number.MAX_SAFE_INTEGER);
  // Zeros to no end.
  strictEqual(readPrefixInteger(new Reader(fromHex("1f8080808080808080 8000")), 5), 31);
  throws(() => readPrefixInteger(new Reader(fromHex("1f8080808080808080 8080")), 5), PrefixIntegerError);
});
