/**
 * Links and time of the virtual network: arithmetic of rate, queue and loss.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Link, type LinkOptions, type Packet, SeededRandom, Trace, VirtualClock } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";

interface Scene {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  readonly link: Link;
  /** `ID@ARRIVAL`. */
  readonly arrivals: string[];
}

function scene(options: LinkOptions, seed = 1): Scene {
  const clock = new VirtualClock();
  const trace = new Trace();
  const arrivals: string[] = [];
  const link = new Link("link", options, { clock, trace, seed }, ({ id }) => arrivals.push(`${id}@${clock.now}`));
  return { clock, trace, link, arrivals };
}

function packet(id: number, bytes = 100): Packet {
  const payload = new Uint8Array(bytes - 28);
  const [source, destination] = [addressOf("192.0.2.1", 1), addressOf("192.0.2.2", 2)];
  return { protocol: "udp", id, source, destination, bytes, payload };
}

function drain(clock: VirtualClock): void {
  for (let step = 0; step < 1_000_000 && clock.step(); step++);
}

Deno.test("VirtualClock runs events by time, then in the order they were scheduled", () => {
  const clock = new VirtualClock();
  const order: string[] = [];
  for (const [at, name] of [[5, "a"], [1, "b"], [5, "c"], [0, "d"], [1, "e"]] as const) {
    clock.schedule(at, () => order.push(`${clock.now}${name}`));
  }
  const cancelled = clock.schedule(2, () => order.push("never"));
  clock.schedule(1, () => clock.schedule(0, () => order.push(`${clock.now}late`)));
  clock.cancel(cancelled);
  strictEqual(clock.peek(), 0);
  drain(clock);
  deepStrictEqual(order, ["0d", "1b", "1e", "1late", "5a", "5c"]);
  strictEqual(clock.peek(), undefined);
  throws(() => clock.schedule(Number.NaN, () => {}), RangeError);
});

Deno.test("VirtualClock orders a thousand random instants", () => {
  const clock = new VirtualClock();
  const random = new SeededRandom(3);
  const seen: number[] = [];
  for (let i = 0; i < 1000; i++) clock.schedule(random.below(100), () => seen.push(clock.now));
  drain(clock);
  deepStrictEqual(seen, seen.toSorted((a, b) => a - b));
  strictEqual(seen.length, 1000);
});

Deno.test("Link delays by its latency, and by its rate one packet after the other", () => {
  // 80 kbit/s is 10 bytes a ms: 10 ms for each packet of 100 bytes.
  const { clock, link, arrivals } = scene({ latencyMs: 7, rateBitsPerSecond: 80_000 });
  for (let id = 1; id <= 3; id++) link.transmit(packet(id));
  strictEqual(link.backlogBytes, 300);
  strictEqual(link.backlogClearsAt(100), 20);
  clock.schedule(25, () => strictEqual(link.backlogBytes, 50));
  clock.schedule(100, () => link.transmit(packet(4, 50)));
  drain(clock);
  deepStrictEqual(arrivals, ["1@17", "2@27", "3@37", "4@112"]);
});

Deno.test("Link drops what its queue cannot hold, by bytes or by time", () => {
  const byBytes = scene({ rateBitsPerSecond: 80_000, queueBytes: 300 });
  for (let id = 1; id <= 5; id++) byBytes.link.transmit(packet(id));
  // At 10 ms the first is gone and another fits.
  byBytes.clock.schedule(10, () => [6, 7].forEach((id) => byBytes.link.transmit(packet(id))));
  drain(byBytes.clock);
  deepStrictEqual(byBytes.arrivals, ["1@10", "2@20", "3@30", "6@40"]);
  deepStrictEqual([...byBytes.trace.drops], [["queue full", 3]]);

  const byTime = scene({ rateBitsPerSecond: 80_000, queueMs: 20 });
  for (let id = 1; id <= 5; id++) byTime.link.transmit(packet(id));
  drain(byTime.clock);
  // The third waits exactly 20 ms before its first bit leaves.
  deepStrictEqual(byTime.arrivals, ["1@10", "2@20", "3@30"]);
});

Deno.test("Link swallows what is larger than its MTU", () => {
  const { clock, link, arrivals, trace } = scene({ mtuBytes: 1280 });
  link.transmit(packet(1, 1280));
  link.transmit(packet(2, 1281));
  drain(clock);
  deepStrictEqual(arrivals, ["1@0"]);
  deepStrictEqual([...trace.drops], [["too big", 1]]);
});

Deno.test("Link loses, duplicates and drops on purpose", () => {
  const lossy = scene({ lossRate: 0.3 });
  for (let id = 1; id <= 10_000; id++) lossy.link.transmit(packet(id));
  const lost = lossy.trace.drops.get("loss") ?? 0;
  ok(lost > 2850 && lost < 3150, `${lost} of 10,000 lost with seed 1`);

  const twice = scene({ duplicateRate: 1, latencyMs: 1 });
  twice.link.transmit(packet(1));
  drain(twice.clock);
  deepStrictEqual(twice.arrivals, ["1@1", "1@1"]);

  const scripted = scene({ drop: ({ id }, index) => id === 7 || index === 1 });
  for (const id of [5, 6, 7, 8]) scripted.link.transmit(packet(id));
  drain(scripted.clock);
  deepStrictEqual(scripted.arrivals, ["5@0", "8@0"]);
  strictEqual(scripted.trace.drops.get("scripted"), 2);
});

Deno.test("Link loses in bursts of the mean length asked for, at the same rate", () => {
  const { link, trace, clock, arrivals } = scene({ lossRate: 0.1, lossBurstPackets: 5 });
  const count = 50_000;
  for (let id = 1; id <= count; id++) link.transmit(packet(id));
  drain(clock);
  const lost = trace.drops.get("loss") ?? 0;
  let bursts = 0;
  let last = 0;
  for (const id of arrivals.map((arrival) => parseInt(arrival))) {
    if (id > last + 1) bursts++;
    last = id;
  }
  ok(Math.abs(lost / count - 0.1) < 0.01, `rate ${lost / count}`);
  ok(Math.abs(lost / bursts - 5) < 0.5, `mean burst ${lost / bursts}`);
});

Deno.test("Link keeps the order under jitter, and breaks it only for reordered packets", () => {
  const jittery = scene({ latencyMs: 10, jitterMs: 20 });
  for (let id = 1; id <= 100; id++) jittery.clock.schedule(id, () => jittery.link.transmit(packet(id)));
  drain(jittery.clock);
  deepStrictEqual(jittery.arrivals.map((arrival) => parseInt(arrival)), Array.from({ length: 100 }, (_, i) => i + 1));
  ok(jittery.arrivals.every((arrival) => {
    const [id, at] = arrival.split("@").map(Number);
    return at! - id! >= 10;
  }));

  let sent = 0;
  const held = scene({ latencyMs: 10, reorderRate: 1, reorderMs: 15 });
  held.clock.schedule(0, () => held.link.transmit(packet(++sent)));
  held.clock.schedule(1, () => {
    held.link.options = { latencyMs: 10 };
    held.link.transmit(packet(++sent));
  });
  drain(held.clock);
  deepStrictEqual(held.arrivals, ["2@11", "1@25"]);
});

Deno.test("Link refuses numbers that mean nothing", () => {
  for (const options of [{ lossRate: 1.1 }, { lossRate: -1 }, { latencyMs: -1 }, { rateBitsPerSecond: 0 }]) {
    throws(() => scene(options), RangeError);
  }
});

Deno.test("SeededRandom repeats itself for a seed and label, and is uniform enough", () => {
  const draw = (seed: number, label: string): number[] => {
    const random = new SeededRandom(seed, label);
    return Array.from({ length: 4 }, () => random.uint32());
  };
  deepStrictEqual(draw(1, "a"), draw(1, "a"));
  strictEqual(new Set([...draw(1, "a"), ...draw(1, "b"), ...draw(2, "a"), ...draw(-1, "a")]).size, 16);
  const random = new SeededRandom(1);
  const bytes = random.fill(new Uint8Array(100_000));
  const counts = new Array<number>(256).fill(0);
  for (const byte of bytes) counts[byte]!++;
  // Chi-squared with 255 degrees of freedom: 99.99 % of uniform samples are below 347.
  const chiSquared = counts.reduce((sum, count) => sum + (count - 390.625) ** 2 / 390.625, 0);
  ok(chiSquared < 347, `chi-squared ${chiSquared}`);
});
