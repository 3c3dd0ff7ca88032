import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { HyStart } from "../../../protocols/quic/hystart.ts";

/** A round with that many samples. */
function round(hyStart: HyStart, rttMs: number, samples = 8): void {
  hyStart.onRoundStart();
  for (let i = 0; i < samples; i++) hyStart.onRttSample(rttMs);
}

Deno.test("HyStart is conservative from an increase by an eighth on, at least 4 ms and at most 16 (RFC 9406 §4.2, §4.3)", () => {
  const phases = ([[10, 13.9], [10, 14], [80, 89.9], [80, 90], [400, 415.9], [400, 416]] as const).map(
    ([before, now]) => {
      const hyStart = new HyStart();
      round(hyStart, before);
      round(hyStart, now);
      return hyStart.phase;
    },
  );
  deepStrictEqual(phases, ["standard", "conservative", "standard", "conservative", "standard", "conservative"]);
});

Deno.test("HyStart believes nothing before the eighth sample of a round, of which the least counts (RFC 9406 §4.2)", () => {
  const hyStart = new HyStart();
  round(hyStart, 80, 1);
  round(hyStart, 200, 7);
  strictEqual(hyStart.phase, "standard");
  hyStart.onRttSample(85);
  strictEqual(hyStart.phase, "standard");
  round(hyStart, 100);
  strictEqual(hyStart.phase, "conservative");
});

Deno.test("HyStart compares with the round just before, and not if that had no sample (RFC 9406 §4.2)", () => {
  const hyStart = new HyStart();
  round(hyStart, 80);
  round(hyStart, 0, 0);
  round(hyStart, 200);
  strictEqual(hyStart.phase, "standard");
  round(hyStart, 209);
  strictEqual(hyStart.phase, "standard");
});

Deno.test("HyStart goes back when the delay does, and watches again (RFC 9406 §4.2)", () => {
  const hyStart = new HyStart();
  round(hyStart, 80);
  round(hyStart, 100);
  strictEqual(hyStart.phase, "conservative");
  round(hyStart, 100);
  strictEqual(hyStart.phase, "conservative");
  round(hyStart, 99.9);
  strictEqual(hyStart.phase, "standard");
  round(hyStart, 120);
  strictEqual(hyStart.phase, "conservative");
});

Deno.test("HyStart ends slow start after five conservative rounds, the one it noticed in included (RFC 9406 §4.2)", () => {
  const hyStart = new HyStart();
  round(hyStart, 80);
  round(hyStart, 100);
  const phases: string[] = [];
  for (let i = 0; i < 5; i++) {
    round(hyStart, 110);
    phases.push(hyStart.phase);
  }
  deepStrictEqual(phases, ["conservative", "conservative", "conservative", "conservative", "over"]);
  round(hyStart, 50);
  strictEqual(hyStart.phase, "over");
});

Deno.test("HyStart starts over for a new path (RFC 9000 §9.4)", () => {
  const hyStart = new HyStart();
  round(hyStart, 80);
  round(hyStart, 100);
  hyStart.reset();
  strictEqual(hyStart.phase, "standard");
  round(hyStart, 300);
  strictEqual(hyStart.phase, "standard");
});
