import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import { ConnectionBudget, ProbeBudget } from "../../../../protocols/quic/nat_traversal/probe_budget.ts";
import { MAX_PROBED_PATHS, Prober } from "../../../../protocols/quic/nat_traversal/prober.ts";
import { seededRandom } from "../../../support/seeded_random.ts";
import { endlessBudget, FREE_LEAVE, socketAt } from "../../../support/traversal_ends.ts";

const BASE = socketAt("192.168.1.2:4000");
const at = (port: number) => addressOf("203.0.113.7", port);
const to = (port: number) => ({ base: BASE, remote: at(port) });

function makeProber(budget = endlessBudget()): Prober {
  return new Prober(seededRandom(1), new ConnectionBudget(budget, true));
}

Deno.test("Prober has one path for a base and a remote address, with a number of its own", () => {
  const prober = makeProber();
  const path = prober.open(BASE, at(1), 0);
  strictEqual(prober.open(BASE, at(1), 5), path);
  strictEqual(prober.find(BASE, at(2)), undefined);
  strictEqual(prober.open(socketAt("192.168.1.2:4001"), at(1), 0)?.id, 1);
});

Deno.test("Prober names the paths whose connection IDs are free: those that were sent on (RFC 9000 §9.5)", () => {
  const prober = makeProber();
  for (const port of [1, 2, 3]) prober.open(BASE, at(port), 0);
  strictEqual(prober.poll(0, FREE_LEAVE)?.id, 0);
  strictEqual(prober.poll(0, FREE_LEAVE)?.id, 1);
  prober.close(({ remote }) => remote !== at(2));
  strictEqual(prober.pollReleased(), 0);
  strictEqual(prober.pollReleased(), undefined);
  // A path that is opened again is another one.
  strictEqual(prober.open(BASE, at(1), 0)?.id, 3);
});

Deno.test("Prober keeps 32 paths; a new one takes the place of one that has failed, or has none", () => {
  const prober = makeProber();
  for (let port = 1; port <= MAX_PROBED_PATHS; port++) prober.open(BASE, at(port), 0);
  strictEqual(prober.open(BASE, at(100), 0), undefined);
  prober.onUnreachable(to(7));
  strictEqual(prober.open(BASE, at(100), 0)?.id, MAX_PROBED_PATHS);
  strictEqual(prober.find(BASE, at(7)), undefined);
  strictEqual(prober.paths.length, MAX_PROBED_PATHS);
});

Deno.test("Prober without connection IDs goes on with the paths that have theirs", () => {
  const prober = makeProber();
  prober.open(BASE, at(1), 0);
  prober.poll(0, FREE_LEAVE);
  prober.open(BASE, at(2), 0);
  const none = { ...FREE_LEAVE, hasFreshId: false };
  strictEqual(prober.poll(0, none), undefined);
  strictEqual(prober.timeoutAt, 33);
  strictEqual(prober.poll(33, none)?.id, 0);
  strictEqual(prober.poll(33, FREE_LEAVE)?.id, 1);
});

Deno.test("Prober tells answers from answers that took another way, and both from others (RFC 9000 §8.2.3)", () => {
  const prober = makeProber();
  prober.open(BASE, at(1), 0);
  const { challenge } = prober.poll(0, FREE_LEAVE)!;
  strictEqual(prober.onResponse(to(1), new Uint8Array(8), 40, 10), undefined);
  strictEqual(prober.onResponse(to(2), challenge!, 40, 10), "strays");
  strictEqual(prober.pollReport(), undefined);
  strictEqual(prober.onResponse(to(1), challenge!, 40, 10), "answers");
  strictEqual(prober.pollReport()?.change, "answered");
  strictEqual(prober.onResponse(to(1), challenge!, 40, 10), "answers");
  strictEqual(prober.pollReport(), undefined);
});

Deno.test("Prober counts what it sends and what the budget held back", () => {
  const prober = makeProber(new ProbeBudget());
  prober.open(BASE, at(1), 0);
  const leave = { hasFreshId: true, receivedBytes: 40 };
  strictEqual(prober.poll(0, leave)?.bytes, 50);
  strictEqual(prober.poll(33, leave)?.bytes, 50);
  strictEqual(prober.poll(66, leave), undefined);
  deepStrictEqual([prober.probesSent, prober.probeBytesSent, prober.probesWithheld], [2, 100, 1]);
});
