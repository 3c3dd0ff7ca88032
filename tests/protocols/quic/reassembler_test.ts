import { deepStrictEqual, notStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes } from "../../../protocols/core/bytes.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { MAX_REASSEMBLY_PIECES, Reassembler } from "../../../protocols/quic/reassembler.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** Byte `i` of the data all these tests send. */
function dataOf(start: number, end: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: end - start }, (_, i) => ((start + i) * 7 + ((start + i) >> 8)) & 0xff);
}

function readAll(reassembler: Reassembler): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < 100_000; i++) {
    const part = reassembler.read();
    if (part === undefined) break;
    parts.push(part);
  }
  return concatBytes(...parts);
}

Deno.test("Reassembler gives data in order as it came, in an array of the reader's own", () => {
  const reassembler = new Reassembler();
  strictEqual(reassembler.isReadable, false);
  const data = dataOf(0, 100);
  reassembler.insert(0, data);
  data.fill(0);
  strictEqual(reassembler.isReadable, true);
  strictEqual(reassembler.contiguousOffset, 100);
  const read = reassembler.read()!;
  deepStrictEqual(read, dataOf(0, 100));
  strictEqual(reassembler.readOffset, 100);
  strictEqual(reassembler.read(), undefined);
  // Its buffer is not used again: the reader may give it away.
  reassembler.insert(100, dataOf(100, 200));
  notStrictEqual(reassembler.read()!.buffer, read.buffer);
});

Deno.test("Reassembler gathers what waits, up to 64 KiB a piece", () => {
  const reassembler = new Reassembler();
  for (let i = 0; i < 200; i++) reassembler.insert(1200 * i, dataOf(1200 * i, 1200 * (i + 1)));
  let pieces = 0;
  let bytes = 0;
  for (let i = 0; i < 200; i++) {
    const piece = reassembler.read();
    if (piece === undefined) break;
    ok(piece.buffer.byteLength <= 65_536);
    deepStrictEqual(piece, dataOf(bytes, bytes + piece.length));
    bytes += piece.length;
    pieces++;
  }
  strictEqual(bytes, 240_000);
  strictEqual(pieces, 10);
});

Deno.test("Reassembler holds data behind a gap until it is filled", () => {
  const reassembler = new Reassembler();
  reassembler.insert(100, dataOf(100, 200));
  reassembler.insert(300, dataOf(300, 400));
  strictEqual(reassembler.isReadable, false);
  strictEqual(reassembler.read(), undefined);
  strictEqual(reassembler.highestOffset, 400);
  reassembler.insert(0, dataOf(0, 100));
  strictEqual(reassembler.contiguousOffset, 200);
  deepStrictEqual(readAll(reassembler), dataOf(0, 200));
  reassembler.insert(200, dataOf(200, 300));
  deepStrictEqual(readAll(reassembler), dataOf(200, 400));
});

Deno.test("Reassembler drops duplicates and takes only what is missing of overlaps (RFC 9000 §2.2)", () => {
  const reassembler = new Reassembler();
  reassembler.insert(50, dataOf(50, 60));
  reassembler.insert(70, dataOf(70, 80));
  reassembler.insert(50, dataOf(50, 60));
  reassembler.insert(40, dataOf(40, 90));
  reassembler.insert(0, dataOf(0, 45));
  strictEqual(reassembler.contiguousOffset, 90);
  reassembler.insert(30, dataOf(30, 95));
  deepStrictEqual(readAll(reassembler), dataOf(0, 95));
  reassembler.insert(0, dataOf(0, 95));
  strictEqual(reassembler.isReadable, false);
  reassembler.insert(90, dataOf(90, 100));
  deepStrictEqual(readAll(reassembler), dataOf(95, 100));
});

Deno.test("Reassembler makes no room beyond the data behind a gap", () => {
  const reassembler = new Reassembler();
  for (let i = 0; i < 100; i++) reassembler.insert(1 + 2000 * i, dataOf(0, 1000));
  reassembler.insert(0, dataOf(0, 1));
  reassembler.read();
  strictEqual(reassembler.read()!.buffer.byteLength, 1000);
});

Deno.test("Reassembler keeps a bounded number of pieces (RFC 9000 §21.6)", () => {
  const reassembler = new Reassembler();
  const one = Uint8Array.of(1);
  for (let i = 0; i < MAX_REASSEMBLY_PIECES; i++) reassembler.insert(1 + 2 * i, one);
  throws(
    () => reassembler.insert(1 + 2 * MAX_REASSEMBLY_PIECES, one),
    (error) => error instanceof TransportError && error.code === 0x01,
  );
});

Deno.test("Reassembler takes an empty frame for nothing", () => {
  const reassembler = new Reassembler();
  reassembler.insert(0, dataOf(0, 0));
  reassembler.insert(10, dataOf(0, 0));
  strictEqual(reassembler.isReadable, false);
  reassembler.insert(0, dataOf(0, 20));
  deepStrictEqual(readAll(reassembler), dataOf(0, 20));
});

Deno.test("Reassembler gives every byte once and in order, whatever comes when, at random", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const total = 5000;
    const whole = dataOf(0, total);
    const reassembler = new Reassembler();
    const parts: Uint8Array[] = [];
    let read = 0;
    for (let step = 0; step < 100_000 && read < total; step++) {
      // Near what is missing, forwards or backwards, with overlaps.
      const base = Math.floor(read + (randomUnit(random) - 0.2) * 600);
      const start = Math.min(total, Math.max(0, base));
      const end = Math.min(total, start + Math.floor(randomUnit(random) * 120));
      reassembler.insert(start, whole.subarray(start, end));
      if (randomUnit(random) < 0.3) {
        const part = reassembler.read();
        if (part !== undefined) {
          deepStrictEqual(part, whole.slice(read, read + part.length), `seed ${seed}, step ${step}`);
          parts.push(part);
          read += part.length;
          strictEqual(reassembler.readOffset, read);
        }
      }
    }
    strictEqual(read, total, `seed ${seed}`);
    strictEqual(reassembler.isReadable, false);
    // Nothing handed out was written to afterwards.
    deepStrictEqual(concatBytes(...parts), whole, `seed ${seed}`);
  }
});
