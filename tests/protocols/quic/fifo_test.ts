import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Fifo } from "../../../protocols/quic/fifo.ts";

Deno.test("Fifo gives entries in the order they came, while it grows and wraps around", () => {
  const fifo = new Fifo<number>();
  strictEqual(fifo.peek(), undefined);
  strictEqual(fifo.shift(), undefined);
  const taken: number[] = [];
  let next = 0;
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 7; i++) fifo.push(next++);
    for (let i = 0; i < 5; i++) {
      strictEqual(fifo.peek(), taken.length);
      taken.push(fifo.shift()!);
    }
    strictEqual(fifo.count, next - taken.length);
  }
  for (let i = 0; i < 1000 && fifo.count > 0; i++) taken.push(fifo.shift()!);
  deepStrictEqual(taken, Array.from({ length: next }, (_, i) => i));
  strictEqual(fifo.peek(), undefined);
});
