import { strictEqual } from "node:assert/strict";
import { Rtt } from "../../../protocols/quic/rtt.ts";

Deno.test("Rtt assumes 333 ms before the first sample, so that the first probe comes after 999 ms (RFC 9002 §6.2.2)", () => {
  const rtt = new Rtt();
  strictEqual(rtt.smoothedMs, 333);
  strictEqual(rtt.variationMs, 166.5);
  strictEqual(rtt.probeTimeoutMs, 999);
  strictEqual(rtt.firstSampleAt, undefined);
});

Deno.test("Rtt takes the first sample whole, without the acknowledgement delay (RFC 9002 §5.3)", () => {
  const rtt = new Rtt();
  rtt.update(100, 20, 1000);
  strictEqual(rtt.latestMs, 100);
  strictEqual(rtt.minMs, 100);
  strictEqual(rtt.smoothedMs, 100);
  strictEqual(rtt.variationMs, 50);
  strictEqual(rtt.firstSampleAt, 1000);
});

Deno.test("Rtt subtracts the acknowledgement delay from later samples and smooths them (RFC 9002 §5.3)", () => {
  const rtt = new Rtt();
  rtt.update(100, 0, 1000);
  rtt.update(120, 10, 1100);
  // Adjusted to 110: rttvar 3/4 * 50 + 1/4 * 10, smoothed 7/8 * 100 + 1/8 * 110.
  strictEqual(rtt.variationMs, 40);
  strictEqual(rtt.smoothedMs, 101.25);
  strictEqual(rtt.probeTimeoutMs, 261.25);
  strictEqual(rtt.minMs, 100);
  strictEqual(rtt.firstSampleAt, 1000);
});

Deno.test("Rtt does not believe a delay that would bring the sample below min_rtt (RFC 9002 §5.3)", () => {
  const rtt = new Rtt();
  rtt.update(100, 0, 0);
  rtt.update(104, 10, 1);
  strictEqual(rtt.smoothedMs, 0.875 * 100 + 0.125 * 104);
});

Deno.test("Rtt keeps the smallest sample, undelayed, until persistent congestion (RFC 9002 §5.2)", () => {
  const rtt = new Rtt();
  rtt.update(100, 0, 0);
  rtt.update(60, 50, 1);
  rtt.update(80, 0, 2);
  strictEqual(rtt.minMs, 60);
  rtt.onPersistentCongestion();
  strictEqual(rtt.minMs, 80);
});

Deno.test("Rtt adds at least the granularity to the probe timeout (RFC 9002 §6.2.1)", () => {
  const rtt = new Rtt();
  for (let i = 0; i < 100; i++) rtt.update(8, 0, i);
  strictEqual(rtt.smoothedMs, 8);
  strictEqual(rtt.probeTimeoutMs, 9);
});

Deno.test("Rtt can be provided before the first sample and not after it", () => {
  const rtt = new Rtt();
  rtt.provide(20);
  strictEqual(rtt.smoothedMs, 20);
  strictEqual(rtt.variationMs, 10);
  strictEqual(rtt.probeTimeoutMs, 60);
  rtt.provide(NaN);
  rtt.provide(0);
  strictEqual(rtt.smoothedMs, 20);
  rtt.update(30, 0, 0);
  rtt.provide(5);
  strictEqual(rtt.smoothedMs, 30);
});

Deno.test("Rtt starts over on a new path (RFC 9000 §9.4)", () => {
  const rtt = new Rtt(50);
  rtt.update(30, 0, 0);
  rtt.reset();
  strictEqual(rtt.smoothedMs, 333);
  strictEqual(rtt.firstSampleAt, undefined);
  strictEqual(rtt.latestMs, 0);
});
