import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { DeadlineHeap } from "../../../protocols/core/deadline_heap.ts";

Deno.test("DeadlineHeap orders set, moved and cleared timers", () => {
  const heap = new DeadlineHeap<string>();
  const [a, b, c] = [heap.entry("a"), heap.entry("b"), heap.entry("c")];
  heap.set(a, 30);
  heap.set(b, 20);
  heap.set(c, 10);
  strictEqual(heap.first(), c);
  heap.set(c, 40);
  strictEqual(heap.first(), b);
  heap.set(b, undefined);
  strictEqual(heap.first(), a);
  strictEqual(heap.size, 2);
  heap.set(a, undefined);
  heap.set(c, undefined);
  heap.set(c, undefined);
  deepStrictEqual([heap.size, heap.first()], [0, undefined]);
});

Deno.test("DeadlineHeap agrees with a sorted list over random operations, seed 1", () => {
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  const heap = new DeadlineHeap<number>();
  const entries = Array.from({ length: 64 }, (_, i) => heap.entry(i));
  const model = new Map<number, number>();
  for (let step = 0; step < 20_000; step++) {
    const i = random(64);
    if (random(4) === 0) {
      heap.set(entries[i]!, undefined);
      model.delete(i);
    } else {
      const at = random(1000);
      heap.set(entries[i]!, at);
      model.set(i, at);
    }
    strictEqual(heap.size, model.size);
    strictEqual(heap.first()?.at, model.size === 0 ? undefined : Math.min(...model.values()));
  }
});
