import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../../protocols/core/address.ts";
import type { Datagram } from "../../../protocols/core/machine.ts";
import { Checklist } from "../../../protocols/ice/checklist.ts";
import type { LocalEntry, Pair, RemoteEntry } from "../../../protocols/ice/pair.ts";
import { encodeStun } from "../../../protocols/stun/npm_stun.ts";
import { Transaction } from "../../../protocols/stun/transaction.ts";
import { socketBase } from "../../support/ice_pair.ts";

const base = socketBase("10.0.0.1:1000");

Deno.test("Checklist checks waiting pairs by priority", () => {
  const list = new Checklist("controlling", 100);
  list.add(local(10), remote("192.0.2.1:1", 10, "a"));
  const better = list.add(local(10), remote("192.0.2.1:2", 20, "b"));
  strictEqual(list.next(), better);
});

Deno.test("Checklist checks one pair of a foundation, and the others when nothing else is left (RFC 8445 §6.1.4.2)", () => {
  const list = new Checklist("controlling", 100);
  const first = list.add(local(10), remote("192.0.2.1:1", 10, "same"))!;
  const second = list.add(local(10), remote("192.0.2.1:2", 20, "same"))!;
  const other = list.add(local(10), remote("192.0.2.1:3", 5, "other"))!;
  deepStrictEqual([first, second, other].map(({ state }) => state.name), ["waiting", "frozen", "waiting"]);
  strictEqual(list.next(), first);
  begin(first);
  strictEqual(list.next(), other);
  begin(other);
  // Held back while a pair of its foundation is in progress.
  strictEqual(list.next(), undefined);
  first.enterFailed("timeout", undefined);
  strictEqual(list.next(), second);
});

Deno.test("Checklist unfreezes pairs like one that was proved (RFC 8445 §7.2.5.3.3)", () => {
  const list = new Checklist("controlling", 100);
  const first = list.add(local(10), remote("192.0.2.1:1", 10, "same"))!;
  const second = list.add(local(10), remote("192.0.2.1:2", 20, "same"))!;
  begin(first);
  list.unfreeze(first.foundation);
  strictEqual(second.state.name, "waiting");
});

Deno.test("Checklist checks triggered pairs first, in their order (RFC 8445 §6.1.4.1)", () => {
  const list = new Checklist("controlling", 100);
  const low = list.add(local(10), remote("192.0.2.1:1", 1, "a"))!;
  const middle = list.add(local(10), remote("192.0.2.1:2", 2, "b"))!;
  const high = list.add(local(10), remote("192.0.2.1:3", 3, "c"))!;
  list.trigger(middle);
  list.trigger(low);
  list.trigger(middle);
  const order: Pair[] = [];
  for (let step = 0; step < 3; step++) {
    const pair = list.next()!;
    order.push(pair);
    list.untrigger(pair);
    begin(pair);
  }
  deepStrictEqual(order, [middle, low, high]);
});

Deno.test("Checklist has one pair for a base and a remote address, with the better candidate (RFC 8445 §6.1.2.4)", () => {
  const list = new Checklist("controlling", 100);
  const to = remote("192.0.2.1:1", 10, "a");
  const pair = list.add(local(5, "srflx"), to);
  strictEqual(list.add(local(10), to), pair);
  strictEqual(pair?.local.priority, 10);
  strictEqual(list.add(local(7, "srflx"), to), pair);
  strictEqual(pair?.local.priority, 10);
  strictEqual(list.pairs.length, 1);
  strictEqual(list.find(base, addressOf("192.0.2.1", 1)), pair);
});

Deno.test("Checklist drops the worst pair at its limit, but none in progress (RFC 8445 §6.1.2.5)", () => {
  const list = new Checklist("controlling", 2);
  const worst = list.add(local(10), remote("192.0.2.1:1", 1, "a"))!;
  begin(worst);
  const middle = list.add(local(10), remote("192.0.2.1:2", 2, "b"));
  const best = list.add(local(10), remote("192.0.2.1:3", 3, "c"));
  deepStrictEqual(list.pairs, [worst, best]);
  strictEqual(list.find(base, middle!.remote.address), undefined);
  strictEqual(list.add(local(10), remote("192.0.2.1:4", 2, "d")), undefined);
});

function local(priority: number, type: "host" | "srflx" = "host"): LocalEntry {
  return { candidate: { type, address: base.local, base }, foundation: "1", preference: 1, priority };
}

function remote(address: string, priority: number, foundation: string): RemoteEntry {
  return { address: parseAddress(address), type: "host", foundation, priority };
}

function begin(pair: Pair): void {
  const payload = encodeStun({ class: "request", transactionId: new Uint8Array(12) });
  const request: Datagram = { base: pair.base, remote: pair.remote.address, payload };
  pair.enterInProgress(new Transaction(request, { now: 0 }));
}
