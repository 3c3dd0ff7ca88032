import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Random } from "../../../protocols/core/random.ts";
import type { IceRole } from "../../../protocols/ice/types.ts";
import { type IceHost, IcePair } from "../../support/ice_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

Deno.test("Role conflict ends with the larger tiebreaker controlling, whoever notices first (RFC 8445 §7.3.1.1)", () => {
  const cases = [
    // role of both, a's tiebreaker, b's tiebreaker, who hears first, roles in the end
    ["controlling", 2, 1, "a", ["controlling", "controlled"]],
    ["controlling", 2, 1, "b", ["controlling", "controlled"]],
    ["controlling", 1, 2, "a", ["controlled", "controlling"]],
    ["controlling", 1, 2, "b", ["controlled", "controlling"]],
    ["controlled", 2, 1, "a", ["controlling", "controlled"]],
    ["controlled", 2, 1, "b", ["controlling", "controlled"]],
    ["controlled", 1, 2, "a", ["controlled", "controlling"]],
    ["controlled", 1, 2, "b", ["controlled", "controlling"]],
  ] as const;
  for (const [role, ofA, ofB, first, roles] of cases) {
    const { pair, a, b } = conflict(role, ofA, ofB);
    // Who hears first is whose peer may send: the other's datagrams of the first 200 ms are lost.
    pair.loses = ({ at, from }) => at < 200 && from.startsWith(`${first} `);
    pair.introduce();
    pair.run(5000);
    const name = `both ${role}, ${ofA} against ${ofB}, ${first} hears first`;
    deepStrictEqual([a.agent.role, b.agent.role], roles, name);
    const changes = [a, b].map(({ events }) => events.filter(({ event }) => event.type === "roleChanged").length);
    deepStrictEqual(changes, [a.agent.role === role ? 0 : 1, b.agent.role === role ? 0 : 1], name);
    // And they agree on the pair all the same.
    strictEqual(a.agent.nominated?.remote, b.bases[0]!.local, name);
    strictEqual(b.agent.nominated?.remote, a.bases[0]!.local, name);
  }
});

Deno.test("Agents with equal roles and equal tiebreakers still agree on a pair (RFC 8445 §7.2.5.1)", () => {
  for (const role of ["controlling", "controlled"] as const) {
    const { pair, a, b } = conflict(role, 7, 7);
    pair.introduce();
    pair.run(60_000);
    strictEqual(a.agent.nominated?.remote, b.bases[0]!.local, role);
    strictEqual(b.agent.nominated?.remote, a.bases[0]!.local, role);
  }
});

Deno.test("Agent that is told 487 repeats the check in the other role (RFC 8445 §7.2.5.1)", () => {
  const { pair, a, b } = conflict("controlling", 1, 2);
  // Only b's ears are open at first: a asks, is refused, and asks again as the controlled side.
  pair.loses = ({ at, from, what }) => at < 120 && from.startsWith("b ") && what === "request";
  pair.introduce();
  pair.run(120);
  deepStrictEqual(pair.trace().filter((line) => !/request b/.test(line)), [
    "0 request a 192.0.2.1:1000 192.0.2.2:2000",
    "50 error 487 b 192.0.2.2:2000 192.0.2.1:1000",
    "100 request a 192.0.2.1:1000 192.0.2.2:2000",
  ]);
  deepStrictEqual(a.timeline, ["100 roleChanged"]);
  deepStrictEqual(b.timeline, []);
  pair.run(1000);
  deepStrictEqual(a.timeline, [
    "100 roleChanged",
    "200 authenticatedCheck response",
    "200 valid",
    "200 authenticatedCheck request",
    "300 nominated",
  ]);
});

Deno.test("Agent that becomes controlling nominates what it was told to before", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlled", addresses: ["192.0.2.1:1000"], random: tiebreaker(9, 1) });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], random: tiebreaker(1, 2) });
  a.agent.nominate(a.bases[0]!, b.bases[0]!.local, 0);
  pair.introduce();
  pair.run(5000);
  strictEqual(a.agent.role, "controlling");
  strictEqual(a.event("nominated")?.by, "us");
  strictEqual(b.event("nominated")?.by, "peer");
});

function conflict(role: IceRole, ofA: number, ofB: number): { pair: IcePair; a: IceHost; b: IceHost } {
  const pair = new IcePair({ latencyMs: 50 });
  const config = { taMs: 5, nomination: "automatic" } as const;
  const a = pair.host("a", { role, addresses: ["192.0.2.1:1000"], config, random: tiebreaker(ofA, 1) });
  const b = pair.host("b", { role, addresses: ["192.0.2.2:2000"], config, random: tiebreaker(ofB, 2) });
  return { pair, a, b };
}

/** Fills the first eight bytes it is asked for, the tiebreaker, with a chosen one; the rest comes from a seed. */
function tiebreaker(first: number, seed: number): Random {
  const random = seededRandom(seed);
  let isFirst = true;
  return {
    fill<T extends Uint8Array>(bytes: T): T {
      if (!isFirst) return random.fill(bytes);
      isFirst = false;
      bytes.fill(first);
      return bytes;
    },
  };
}
