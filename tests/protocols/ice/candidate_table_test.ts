import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../../protocols/core/address.ts";
import type { CandidateType } from "../../../protocols/core/candidate.ts";
import { CandidateTable, MAX_LOCAL_CANDIDATES } from "../../../protocols/ice/candidate_table.ts";
import type { RemoteEntry } from "../../../protocols/ice/pair.ts";
import { DEFAULT_ICE_CONFIG, type IceConfig } from "../../../protocols/ice/types.ts";
import { socketBase } from "../../support/ice_pair.ts";

const lan = socketBase("192.168.1.5:1000");
const bridge = socketBase("172.17.0.1:1001");
const loopback = socketBase("127.0.0.1:1002");

Deno.test("Candidate table refuses redundant local candidates (RFC 8445 §5.1.3)", () => {
  const table = tableOf({});
  const host = { type: "host", address: lan.local, base: lan } as const;
  strictEqual(table.addLocal(host, 5)?.priority, 126 * 2 ** 24 + 5 * 256 + 255);
  strictEqual(table.addLocal({ ...host, type: "srflx" }, 5), undefined);
  strictEqual(table.local.length, 1);
});

Deno.test("Candidate table gives all candidates of a base one preference, the first base the best", () => {
  const table = tableOf({});
  const preferences = [
    table.addLocal({ type: "host", address: lan.local, base: lan }, undefined),
    table.addLocal({ type: "host", address: bridge.local, base: bridge }, undefined),
    table.addLocal({ type: "srflx", address: addressOf("203.0.113.1", 9), base: lan }, undefined),
  ].map((entry) => entry?.preference);
  deepStrictEqual(preferences, [65535, 65534, 65535]);
  strictEqual(table.bestOf(lan)?.candidate.type, "host");
});

Deno.test("Candidate table bounds local candidates", () => {
  const table = tableOf({});
  for (let port = 1; port <= MAX_LOCAL_CANDIDATES; port++) {
    table.addLocal({ type: "srflx", address: addressOf("203.0.113.1", port), base: lan }, undefined);
  }
  strictEqual(table.addLocal({ type: "host", address: lan.local, base: lan }, undefined), undefined);
});

Deno.test("Candidate table refuses remote candidates by scope, number and repetition", () => {
  const table = tableOf({ maxRemoteCandidates: 2 });
  strictEqual(add(table, "127.0.0.1:5000"), "loopback address");
  strictEqual(add(table, "192.0.2.1:53"), "port 53 of a service");
  strictEqual(add(table, "192.0.2.1:5000"), undefined);
  strictEqual(add(table, "192.0.2.1:5000"), "known already");
  strictEqual(add(table, "192.0.2.1:5001"), undefined);
  strictEqual(add(table, "192.0.2.1:5002"), "more than 2 candidates");
});

Deno.test("Candidate table bounds peer-reflexive candidates apart", () => {
  const table = tableOf({ maxPeerReflexive: 1 });
  const priority = 7;
  strictEqual(typeof table.addPeerReflexive(addressOf("192.0.2.1", 1), priority), "object");
  strictEqual(typeof table.addPeerReflexive(addressOf("192.0.2.1", 1), priority), "object");
  strictEqual(
    table.addPeerReflexive(addressOf("192.0.2.1", 2), priority),
    "more than 1 peer-reflexive candidates",
  );
  strictEqual(table.addPeerReflexive(addressOf("224.0.0.1", 2), priority), "multicast address");
  strictEqual(add(table, "192.0.2.1:2"), undefined);
});

Deno.test("Candidate table learns from signaling what a check has revealed before (RFC 8838 §11)", () => {
  const table = tableOf({});
  const revealed = table.addPeerReflexive(addressOf("192.0.2.1", 1), 7);
  strictEqual(add(table, "192.0.2.1:1", "srflx"), undefined);
  deepStrictEqual([...table.remote], [revealed]);
  strictEqual((revealed as RemoteEntry).type, "srflx");
  strictEqual((revealed as RemoteEntry).priority, 1694498815);
});

Deno.test("Candidate table pairs within a family, and narrow scopes with their like (RFC 8445 §6.1.2.2)", () => {
  const table = tableOf({ allowLoopback: true });
  const linkLocal = socketBase("[fe80::1]:1000");
  const global6 = socketBase("[2001:db8::1]:1000");
  const wildcard = socketBase("0.0.0.0:1000");
  const pairs = (base: typeof lan, remote: string): boolean => table.mayPair(base, entry(remote));
  strictEqual(pairs(lan, "192.0.2.1:1"), true);
  strictEqual(pairs(lan, "[2001:db8::2]:1"), false);
  strictEqual(pairs(global6, "[2001:db8::2]:1"), true);
  strictEqual(pairs(global6, "[fe80::2]:1"), false);
  strictEqual(pairs(linkLocal, "[fe80::2]:1"), true);
  strictEqual(pairs(linkLocal, "[2001:db8::2]:1"), false);
  strictEqual(pairs(loopback, "127.0.0.1:1"), true);
  strictEqual(pairs(loopback, "192.0.2.1:1"), false);
  strictEqual(pairs(lan, "127.0.0.1:1"), false);
  strictEqual(pairs(wildcard, "127.0.0.1:1"), true);
});

Deno.test("Candidate table skips a remote host that is ours too while the peer has another", () => {
  const table = tableOf({});
  table.addLocal({ type: "host", address: lan.local, base: lan }, undefined);
  table.addLocal({ type: "host", address: bridge.local, base: bridge }, undefined);
  strictEqual(add(table, "192.168.1.5:1000"), "our own address");
  add(table, "172.17.0.1:4000");
  const shared = [...table.remote][0]!;
  // All it has shown is ours: it may run on this machine.
  strictEqual(table.mayPair(lan, shared), true);
  add(table, "192.168.1.7:4000");
  strictEqual(table.mayPair(lan, shared), false);
  strictEqual(table.mayPair(lan, [...table.remote][1]!), true);
});

function tableOf(config: Partial<IceConfig>): CandidateTable {
  return new CandidateTable({ ...DEFAULT_ICE_CONFIG, ...config });
}

function add(table: CandidateTable, address: string, type: CandidateType = "host"): string | undefined {
  const added = table.addRemote({ type, address: parseAddress(address) }, {});
  return typeof added === "string" ? added : undefined;
}

function entry(address: string): RemoteEntry {
  return { address: parseAddress(address), type: "host", foundation: "1", priority: 1 };
}
