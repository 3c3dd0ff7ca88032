import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../../../protocols/core/address.ts";
import type { LocalCandidate } from "../../../../protocols/core/candidate.ts";
import type { Base } from "../../../../protocols/core/machine.ts";
import {
  MAX_LOCAL_CANDIDATES,
  MAX_REMOTE_ADDRESSES,
  MAX_TOMBSTONES,
  PairTable,
} from "../../../../protocols/quic/nat_traversal/pair_table.ts";

const RULES = { allowLoopback: false };

function socket(local: string): Base {
  return { kind: "socket", local: parseAddress(local), maxPayloadBytes: 1472 };
}

function host(base: Base): LocalCandidate {
  return { type: "host", address: base.local, base };
}

function srflx(base: Base, address: string): LocalCandidate {
  return { type: "srflx", address: parseAddress(address), base };
}

const LAN = socket("192.168.1.2:4000");
const V6 = socket("[2001:db8:1::2]:4000");

function pairsOf(table: PairTable): string[] {
  return table.pairs.map(({ local, remote }) => `${local.address} ${remote}`);
}

Deno.test("PairTable pairs what both sides name, whenever they do", () => {
  const table = new PairTable(RULES);
  strictEqual(table.addRemote(0, parseAddress("203.0.113.7:50000")), true);
  strictEqual(table.pairs.length, 0);
  strictEqual(table.addLocal(host(LAN)), true);
  strictEqual(table.addLocal(host(LAN)), false);
  strictEqual(table.addLocal(srflx(LAN, "198.51.100.1:4000")), true);
  strictEqual(table.addLocal(host(V6)), true);
  strictEqual(table.addRemote(1, parseAddress("10.0.0.1:50000")), true);
  strictEqual(table.addRemote(2, parseAddress("[2001:db8:2::1]:50000")), true);
  deepStrictEqual(
    pairsOf(table),
    [
      "192.168.1.2:4000 10.0.0.1:50000",
      "[2001:db8:1::2]:4000 [2001:db8:2::1]:50000",
      "198.51.100.1:4000 203.0.113.7:50000",
      "192.168.1.2:4000 203.0.113.7:50000",
      "198.51.100.1:4000 10.0.0.1:50000",
    ],
  );
  strictEqual(table.pairs[2]?.local.type, "srflx");
  // What stays is the same pair; rounds remember it.
  const first = table.pairs[0];
  table.addRemote(3, parseAddress("203.0.113.7:50001"));
  strictEqual(table.pairs[0], first);
  table.removeLocals(({ type }) => type === "srflx");
  deepStrictEqual(table.pairs.length, 4);
  strictEqual(table.pairs[0], first);
});

Deno.test("PairTable takes neither relays nor tunnels, nor more than 32 candidates", () => {
  const table = new PairTable(RULES);
  strictEqual(table.addLocal({ type: "relay", address: LAN.local, base: LAN }), false);
  strictEqual(table.addLocal(host({ ...LAN, kind: "tunnel" })), false);
  const taken = Array.from({ length: 40 }, (_, n) => table.addLocal(srflx(LAN, `198.51.100.1:${n + 1}`)));
  strictEqual(taken.filter(Boolean).length, MAX_LOCAL_CANDIDATES);
});

Deno.test("PairTable ignores a late ADD_ADDRESS after its REMOVE_ADDRESS, in either order (draft-seemann -02 §4)", () => {
  const table = new PairTable(RULES);
  table.addLocal(host(LAN));
  const address = parseAddress("203.0.113.7:50000");
  strictEqual(table.removeRemote(4), undefined);
  strictEqual(table.addRemote(4, address), false);
  strictEqual(table.addRemote(5, address), true);
  strictEqual(table.addRemote(5, address), false);
  strictEqual(table.removeRemote(5), address);
  strictEqual(table.removeRemote(5), undefined);
  strictEqual(table.addRemote(5, address), false);
  deepStrictEqual([table.pairs.length, table.remotes.size, table.ignored], [0, 0, 5]);
});

Deno.test("PairTable takes another address under a number as an update, and one address under two numbers once", () => {
  const table = new PairTable(RULES);
  table.addLocal(host(LAN));
  table.addRemote(0, parseAddress("203.0.113.7:50000"));
  strictEqual(table.addRemote(0, parseAddress("203.0.113.7:50001")), true);
  deepStrictEqual(pairsOf(table), ["192.168.1.2:4000 203.0.113.7:50001"]);
  strictEqual(table.addRemote(1, parseAddress("203.0.113.7:50001")), true);
  strictEqual(table.pairs.length, 1);
  table.pairs[0]!.timesAsked = 3;
  table.removeRemote(0);
  deepStrictEqual(table.pairs.map(({ sequenceNumber, timesAsked }) => [sequenceNumber, timesAsked]), [[1, 3]]);
});

Deno.test("PairTable keeps 32 addresses of a list of thousands, and 256 tombstones", () => {
  const table = new PairTable(RULES);
  for (let n = 0; n < 32; n++) table.addLocal(srflx(LAN, `198.51.100.1:${n + 1}`));
  for (let n = 0; n < 5000; n++) table.addRemote(n, addressOf(`203.0.${n >> 8}.${n & 255}`, 50000));
  strictEqual(table.remotes.size, MAX_REMOTE_ADDRESSES);
  strictEqual(table.refused, 5000 - MAX_REMOTE_ADDRESSES);
  strictEqual(table.pairs.length, 32 * 32);
  for (let n = 10_000; n < 15_000; n++) table.removeRemote(n);
  strictEqual(table.remotes.size, MAX_REMOTE_ADDRESSES);
  // The room of one that was removed can be taken; the oldest tombstone is forgotten, the youngest are not.
  table.removeRemote(0);
  strictEqual(table.addRemote(14_999, addressOf("203.0.113.1", 1)), false);
  strictEqual(table.addRemote(15_000 - MAX_TOMBSTONES, addressOf("203.0.113.1", 1)), true);
  // Addresses that cannot be reached at all take no room.
  table.removeRemote(1);
  strictEqual(table.addRemote(20_000, addressOf("127.0.0.1", 1)), false);
  strictEqual(table.addRemote(20_001, addressOf("203.0.113.2", 1)), true);
});
