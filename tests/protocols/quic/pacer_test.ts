import { ok, strictEqual } from "node:assert/strict";
import { MAX_BURST_DATAGRAMS, Pacer } from "../../../protocols/quic/pacer.ts";

const BYTES = 1200;

/** Sends until the pacer says no. */
function burst(pacer: Pacer, window: number, rttMs: number, now: number, isInSlowStart = false): number {
  const congestion = { congestionWindowBytes: window, isInSlowStart };
  for (let count = 0; count < 1000; count++) {
    if (pacer.sendAt(congestion, rttMs, now) > now) return count;
    pacer.onPacketSent(BYTES);
  }
  return 1000;
}

Deno.test("Pacer lets the initial window go at once (RFC 9002 §7.7)", () => {
  const pacer = new Pacer(BYTES);
  strictEqual(burst(pacer, 12_000, 100, 1000, true), 10);
});

Deno.test("Pacer then sends 1.25 windows a round trip (RFC 9002 §7.7)", () => {
  const pacer = new Pacer(BYTES);
  const congestion = { congestionWindowBytes: 12_000, isInSlowStart: false };
  strictEqual(burst(pacer, 12_000, 100, 0), 10);
  // 150 bytes a millisecond: a packet each 8 ms.
  strictEqual(pacer.sendAt(congestion, 100, 0), 8);
  strictEqual(pacer.sendAt(congestion, 100, 4), 8);
  strictEqual(burst(pacer, 12_000, 100, 8), 1);
  strictEqual(pacer.sendAt(congestion, 100, 8), 16);
  // 80 ms without sending earn the whole bucket, and no more is saved.
  strictEqual(burst(pacer, 12_000, 100, 100), 10);
});

Deno.test("Pacer sends twice the window a round trip in slow start", () => {
  const pacer = new Pacer(BYTES);
  burst(pacer, 12_000, 100, 0, true);
  strictEqual(pacer.sendAt({ congestionWindowBytes: 12_000, isInSlowStart: true }, 100, 0), 5);
});

Deno.test("Pacer keeps bursts to 32 datagrams and wakes once for many packets on a fast path", () => {
  const pacer = new Pacer(BYTES);
  const window = 1_200_000;
  const congestion = { congestionWindowBytes: window, isInSlowStart: false };
  // 150 kB a millisecond at 10 ms.
  burst(pacer, window, 10, 0);
  strictEqual(burst(pacer, window, 10, 10), MAX_BURST_DATAGRAMS);
  // The bucket is full again after 0.256 ms: waking earlier is not worth it.
  const at = pacer.sendAt(congestion, 10, 10);
  ok(Math.abs(at - 10.256) < 1e-9);
  strictEqual(burst(pacer, window, 10, 10.3), MAX_BURST_DATAGRAMS);
});

Deno.test("Pacer does not hold up a loopback path that acknowledges all the time", () => {
  const pacer = new Pacer(BYTES);
  burst(pacer, 120_000, 0.2, 0);
  strictEqual(burst(pacer, 120_000, 0.2, 0.06), 1000);
  strictEqual(burst(pacer, 120_000, 0, 0.07), 1000);
});

Deno.test("Pacer lets a round trip go that is shorter than any timer, and owes nothing afterwards", () => {
  const pacer = new Pacer(BYTES);
  strictEqual(burst(pacer, 120_000, 1.9, 0), 1000);
  // The last packet of the unpaced ones is in the bucket's books.
  strictEqual(burst(pacer, 120_000, 2, 0), MAX_BURST_DATAGRAMS - 1);
});

Deno.test("Pacer starts over for a new path", () => {
  const pacer = new Pacer(BYTES);
  burst(pacer, 12_000, 100, 0);
  pacer.reset();
  strictEqual(burst(pacer, 12_000, 100, 0), 10);
});
