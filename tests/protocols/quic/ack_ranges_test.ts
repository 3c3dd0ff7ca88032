import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AckRanges, MAX_ACK_RANGES, ReceivedPackets } from "../../../protocols/quic/ack_ranges.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { seededRandom } from "../../support/seeded_random.ts";

function rangesOf(ranges: AckRanges): number[][] {
  const list: number[][] = [];
  for (let i = 0; i < ranges.rangeCount; i++) list.push([ranges.largestOf(i), ranges.smallestOf(i)]);
  return list;
}

Deno.test("AckRanges grows one range in order", () => {
  const ranges = new AckRanges();
  strictEqual(ranges.largest, -1);
  strictEqual(ranges.rangeCount, 0);
  for (let n = 0; n < 1000; n++) strictEqual(ranges.add(n), true);
  deepStrictEqual(rangesOf(ranges), [[999, 0]]);
  strictEqual(ranges.largest, 999);
});

Deno.test("AckRanges tells ranges from the highest down, and joins them (RFC 9000 §19.3.1)", () => {
  const ranges = new AckRanges();
  for (const n of [5, 1, 9, 2, 7]) strictEqual(ranges.add(n), true);
  deepStrictEqual(rangesOf(ranges), [[9, 9], [7, 7], [5, 5], [2, 1]]);
  strictEqual(ranges.add(8), true);
  deepStrictEqual(rangesOf(ranges), [[9, 7], [5, 5], [2, 1]]);
  strictEqual(ranges.add(6), true);
  deepStrictEqual(rangesOf(ranges), [[9, 5], [2, 1]]);
  strictEqual(ranges.add(0), true);
  strictEqual(ranges.add(4), true);
  strictEqual(ranges.add(3), true);
  deepStrictEqual(rangesOf(ranges), [[9, 0]]);
});

Deno.test("AckRanges detects duplicates (RFC 9000 §12.3)", () => {
  const ranges = new AckRanges();
  for (const n of [0, 1, 2, 5]) ranges.add(n);
  for (const n of [0, 1, 2, 5]) {
    strictEqual(ranges.has(n), true);
    strictEqual(ranges.add(n), false);
  }
  for (const n of [3, 4, 6]) strictEqual(ranges.has(n), false);
});

Deno.test("AckRanges forgets its lowest range at the limit, and takes what lies below as received (RFC 9000 §13.2.3)", () => {
  const ranges = new AckRanges();
  for (let i = 0; i < MAX_ACK_RANGES; i++) ranges.add(10 + 2 * i);
  strictEqual(ranges.rangeCount, 64);
  ranges.add(1000);
  strictEqual(ranges.rangeCount, 64);
  strictEqual(ranges.smallestOf(63), 12);
  for (const n of [0, 9, 10]) {
    strictEqual(ranges.has(n), true);
    strictEqual(ranges.add(n), false);
  }
  strictEqual(ranges.has(11), false);
  // Full, and below all others: it cannot be kept, but it is not accepted twice.
  strictEqual(ranges.add(14 - 3), true); // Joins 12.
  strictEqual(ranges.rangeCount, 64);
});

Deno.test("AckRanges at the limit counts a lowest newcomer as received without keeping it", () => {
  const ranges = new AckRanges();
  for (let i = 0; i < MAX_ACK_RANGES; i++) ranges.add(10 + 2 * i);
  strictEqual(ranges.add(5), true);
  strictEqual(ranges.has(5), true);
  strictEqual(ranges.has(4), true);
  strictEqual(ranges.has(6), false);
  strictEqual(ranges.smallestOf(63), 10);
});

Deno.test("AckRanges does not say again what the peer knows to be acknowledged, but knows duplicates of it (RFC 9000 §13.2.4)", () => {
  const ranges = new AckRanges();
  for (const n of [0, 1, 2, 5, 6, 9]) ranges.add(n);
  ranges.onAcknowledged(5);
  deepStrictEqual(rangesOf(ranges), [[9, 9], [6, 6]]);
  strictEqual(ranges.has(1), true);
  strictEqual(ranges.has(3), false);
  // A late one must be said.
  strictEqual(ranges.add(3), true);
  deepStrictEqual(rangesOf(ranges), [[9, 9], [6, 5], [3, 3]]);
  strictEqual(ranges.add(10), true);
  ranges.onAcknowledged(10);
  strictEqual(ranges.rangeCount, 0);
  strictEqual(ranges.add(11), true);
  deepStrictEqual(rangesOf(ranges), [[11, 11]]);
  strictEqual(ranges.largest, 11);
});

Deno.test("AckRanges says a late number although an ACK sent before it came was seen (RFC 9000 §13.2.4)", () => {
  const ranges = new AckRanges();
  for (const n of [0, 1, 2, 5, 6]) ranges.add(n);
  ranges.add(3); // After an ACK up to 6 was sent, and before it was seen.
  ranges.onAcknowledged(6);
  deepStrictEqual(rangesOf(ranges), [[6, 5], [3, 3]]);
  ranges.add(7);
  // An ACK up to 7 was sent after 3 came, and so said it.
  ranges.onAcknowledged(7);
  strictEqual(ranges.rangeCount, 0);
});

Deno.test("AckRanges agrees with a set, at random", () => {
  const seed = 0x5eed01;
  const random = seededRandom(seed);
  const ranges = new AckRanges();
  const model = new Set<number>();
  let top = 0;
  for (let i = 0; i < 20_000; i++) {
    // Mostly in order, sometimes back a little: never more than the bounded number of gaps at once.
    const n = randomUnit(random) < 0.7 ? top++ : Math.max(0, top - 1 - Math.floor(randomUnit(random) * 40));
    if (randomUnit(random) < 0.2) continue;
    const isNew = !model.has(n);
    if (n < top - 60) continue;
    strictEqual(ranges.has(n), !isNew, `seed ${seed}, step ${i}, number ${n}`);
    strictEqual(ranges.add(n), isNew, `seed ${seed}, step ${i}, number ${n}`);
    model.add(n);
  }
  for (let i = 0; i < Math.min(8, ranges.rangeCount); i++) {
    strictEqual(model.has(ranges.largestOf(i) + 1), false);
    for (let n = ranges.smallestOf(i); n <= ranges.largestOf(i); n++) strictEqual(model.has(n), true);
  }
});

Deno.test("ReceivedPackets acknowledges every second ack-eliciting packet at once, one alone after max_ack_delay (RFC 9000 §13.2.2)", () => {
  const received = new ReceivedPackets({ isImmediate: false, maxAckDelayMs: 25 });
  strictEqual(received.ackAt, undefined);
  received.onReceived(0, true, 100);
  strictEqual(received.ackAt, 125);
  strictEqual(received.ackDelayMs(110), 10);
  received.onReceived(1, true, 112);
  strictEqual(received.ackAt, 112);
  received.onAckSent();
  strictEqual(received.ackAt, undefined);
  received.onReceived(2, true, 200);
  strictEqual(received.ackAt, 225);
});

Deno.test("ReceivedPackets owes nothing for packets that are not ack-eliciting (RFC 9000 §13.2.1)", () => {
  const received = new ReceivedPackets({ isImmediate: false, maxAckDelayMs: 25 });
  for (let n = 0; n < 10; n++) received.onReceived(n, false, n);
  strictEqual(received.ackAt, undefined);
  strictEqual(received.ackDelayMs(19), 10);
});

Deno.test("ReceivedPackets acknowledges Initial and Handshake packets at once (RFC 9000 §13.2.1)", () => {
  const received = new ReceivedPackets({ isImmediate: true, maxAckDelayMs: 25 });
  received.onReceived(0, true, 100);
  strictEqual(received.ackAt, 100);
});

Deno.test("ReceivedPackets acknowledges at once behind a gap and when a gap is filled (RFC 9000 §13.2.1)", () => {
  const received = new ReceivedPackets({ isImmediate: false, maxAckDelayMs: 25 });
  received.onReceived(0, true, 100);
  received.onAckSent();
  received.onReceived(2, true, 101);
  strictEqual(received.ackAt, 101);
  received.onAckSent();
  received.onReceived(3, true, 102);
  strictEqual(received.ackAt, 127);
  received.onAckSent();
  received.onReceived(1, true, 103);
  strictEqual(received.ackAt, 103);
  // The delay is that of the largest, which came at 102: RFC 9000 §13.2.5.
  strictEqual(received.ackDelayMs(105), 3);
});

Deno.test("ReceivedPackets ignores a duplicate", () => {
  const received = new ReceivedPackets({ isImmediate: false, maxAckDelayMs: 25 });
  received.onReceived(0, true, 100);
  received.onAckSent();
  strictEqual(received.isDuplicate(0), true);
  strictEqual(received.isDuplicate(1), false);
  received.onReceived(0, true, 101);
  strictEqual(received.ackAt, undefined);
});
