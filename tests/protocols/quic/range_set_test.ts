import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { randomUnit } from "../../../protocols/core/random.ts";
import { RangeSet } from "../../../protocols/quic/range_set.ts";
import { seededRandom } from "../../support/seeded_random.ts";

function rangesOf(set: RangeSet): number[][] {
  const list: number[][] = [];
  for (let i = 0; i < set.count; i++) list.push([set.startOf(i), set.endOf(i)]);
  return list;
}

Deno.test("RangeSet merges ranges that overlap or touch", () => {
  const set = new RangeSet();
  set.add(10, 20);
  set.add(30, 40);
  set.add(50, 60);
  set.add(5, 5);
  deepStrictEqual(rangesOf(set), [[10, 20], [30, 40], [50, 60]]);
  set.add(20, 25);
  deepStrictEqual(rangesOf(set), [[10, 25], [30, 40], [50, 60]]);
  set.add(25, 55);
  deepStrictEqual(rangesOf(set), [[10, 60]]);
  set.add(0, 2);
  deepStrictEqual(rangesOf(set), [[0, 2], [10, 60]]);
  strictEqual(set.firstStart, 0);
  strictEqual(set.firstEnd, 2);
});

Deno.test("RangeSet removes the middle, the ends and whole ranges", () => {
  const set = new RangeSet();
  set.add(0, 100);
  set.remove(40, 60);
  deepStrictEqual(rangesOf(set), [[0, 40], [60, 100]]);
  set.remove(30, 70);
  deepStrictEqual(rangesOf(set), [[0, 30], [70, 100]]);
  set.add(40, 50);
  set.remove(0, 75);
  deepStrictEqual(rangesOf(set), [[75, 100]]);
  set.removeBelow(80);
  deepStrictEqual(rangesOf(set), [[80, 100]]);
  set.removeBelow(100);
  strictEqual(set.count, 0);
});

Deno.test("RangeSet agrees with a set of numbers, at random", () => {
  const seed = 0x5eed02;
  const random = seededRandom(seed);
  const set = new RangeSet();
  const model = new Uint8Array(400);
  for (let step = 0; step < 5000; step++) {
    const start = Math.floor(randomUnit(random) * 400);
    const end = Math.min(400, start + Math.floor(randomUnit(random) * 30));
    const kind = randomUnit(random);
    if (kind < 0.6) {
      set.add(start, end);
      model.fill(1, start, end);
    } else if (kind < 0.95) {
      set.remove(start, end);
      model.fill(0, start, end);
    } else {
      set.removeBelow(end);
      model.fill(0, 0, end);
    }
    const expected: number[][] = [];
    for (let i = 0; i < 400; i++) {
      if (model[i] === 1 && model[i - 1] !== 1) expected.push([i, i]);
      if (model[i] === 1) expected.at(-1)![1] = i + 1;
    }
    deepStrictEqual(rangesOf(set), expected, `seed ${seed}, step ${step}`);
  }
});
