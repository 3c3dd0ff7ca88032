import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import {
  ConnectionBudget,
  DEFAULT_PROBE_LIMITS,
  ProbeBudget,
} from "../../../../protocols/quic/nat_traversal/probe_budget.ts";

const target = (port: number, host = "198.51.100.1") => addressOf(host, port);

/** How often `take` succeeds before it does not, at most 100,000 times. */
function count(take: (n: number) => boolean): number {
  for (let n = 0; n < 100_000; n++) if (!take(n)) return n;
  throw new Error("no limit");
}

Deno.test("ProbeBudget gives a target 900 bytes a minute, whoever asks", () => {
  const shared = new ProbeBudget();
  const first = new ConnectionBudget(shared, false);
  const second = new ConnectionBudget(shared, false);
  strictEqual(count((n) => (n % 2 === 0 ? first : second).take(target(1), 50, 0, n)), 18);
  strictEqual(first.take(target(2), 50, 0, 20), true);
  // The window began with the first probe.
  strictEqual(second.take(target(1), 50, 0, 59_999), false);
  strictEqual(second.take(target(1), 50, 0, 60_000), true);
});

Deno.test("ProbeBudget gives all ports of a host 18,000 bytes a minute, a /64 of IPv6 being one host", () => {
  for (const host of [() => "198.51.100.1", (n: number) => `2001:db8::${(n + 1).toString(16)}`]) {
    const shared = new ProbeBudget();
    strictEqual(count((n) => shared.take(target(1 + n, host(n)), 50, 0)), 360);
    strictEqual(shared.take(target(1, "2001:db8:0:1::1"), 50, 0), true);
  }
});

Deno.test("ProbeBudget gives the whole process 10 MB a minute", () => {
  const shared = new ProbeBudget({ ...DEFAULT_PROBE_LIMITS, maxTargets: 1e6 });
  strictEqual(count((n) => shared.take(target(1, `198.${n >> 16}.${(n >> 8) & 255}.${n & 255}`), 900, 0)), 11_111);
  strictEqual(shared.take(target(1, "203.0.113.1"), 900, 60_000), true);
});

Deno.test("ProbeBudget remembers so many targets; while they count, others get nothing", () => {
  const shared = new ProbeBudget({ ...DEFAULT_PROBE_LIMITS, maxTargets: 4 });
  deepStrictEqual([1, 2, 3, 4, 5].map((port) => shared.take(target(port, `198.51.100.${port}`), 50, port)), [
    true,
    true,
    true,
    true,
    false,
  ]);
  strictEqual(shared.targets, 4);
  // The first is forgotten at 60,001 and makes room.
  strictEqual(shared.take(target(5, "198.51.100.5"), 50, 60_000), false);
  strictEqual(shared.take(target(5, "198.51.100.5"), 50, 60_001), true);
  strictEqual(shared.targets, 4);
});

Deno.test("ProbeBudget forgives a target that has answered", () => {
  const shared = new ProbeBudget();
  const connection = new ConnectionBudget(shared, false);
  strictEqual(count(() => connection.take(target(1), 50, 0, 0)), 18);
  connection.onProven(target(1));
  strictEqual(count(() => connection.take(target(1), 50, 0, 0)), 18);
});

Deno.test("ConnectionBudget gives one connection 16,000 bytes a minute", () => {
  const shared = new ProbeBudget();
  const connection = new ConnectionBudget(shared, false);
  const take = (n: number, now: number) => connection.take(target(1, `198.51.${n >> 8}.${n & 255}`), 50, 0, now);
  strictEqual(count((n) => take(n, n)), 320);
  strictEqual(take(400, 59_999), false);
  strictEqual(take(400, 60_000), true);
  strictEqual(new ConnectionBudget(shared, false).take(target(1, "203.0.113.1"), 50, 0, 0), true);
});

Deno.test("ConnectionBudget of who is asked gives three bytes for each received, over all targets and for ever (RFC 9000 §8)", () => {
  const connection = new ConnectionBudget(new ProbeBudget(), true);
  const take = (received: number) => (n: number) =>
    connection.take(target(1, `198.51.${n >> 8}.${n & 255}`), 50, received, n);
  strictEqual(count(take(0)), 0);
  strictEqual(count(take(1000)), 60);
  strictEqual(count(take(1000)), 0);
  strictEqual(connection.take(target(2), 50, 1000, 1e9), false);
  strictEqual(connection.take(target(2), 50, 1017, 1e9), true);
});
