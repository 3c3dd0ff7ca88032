import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf, parseAddress } from "../../../protocols/core/address.ts";
import { IceAgent } from "../../../protocols/ice/agent.ts";
import { DEFAULT_ICE_CONFIG } from "../../../protocols/ice/types.ts";
import { IcePair } from "../../support/ice_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const FAST = { taMs: 5 } as const;

Deno.test("Agents on one link prove a pair in one round trip and agree in two (RFC 8445 §7, §8)", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", {
    role: "controlling",
    addresses: ["192.0.2.1:1000"],
    config: { ...FAST, nomination: "automatic" },
  });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.introduce();
  pair.run(10_000);
  deepStrictEqual(pair.trace(), [
    "0 request a 192.0.2.1:1000 192.0.2.2:2000",
    "0 request b 192.0.2.2:2000 192.0.2.1:1000",
    "50 success a 192.0.2.1:1000 192.0.2.2:2000",
    "50 request a 192.0.2.1:1000 192.0.2.2:2000",
    "50 success b 192.0.2.2:2000 192.0.2.1:1000",
    "50 request b 192.0.2.2:2000 192.0.2.1:1000",
    "100 success a 192.0.2.1:1000 192.0.2.2:2000",
    "100 request+use a 192.0.2.1:1000 192.0.2.2:2000",
    "100 success b 192.0.2.2:2000 192.0.2.1:1000",
    "150 success b 192.0.2.2:2000 192.0.2.1:1000",
  ]);
  deepStrictEqual(a.timeline, [
    "50 authenticatedCheck request",
    "100 authenticatedCheck response",
    "100 valid",
    "200 nominated",
  ]);
  deepStrictEqual(b.timeline, [
    "50 authenticatedCheck request",
    "100 authenticatedCheck response",
    "100 valid",
    "150 nominated",
  ]);
  const expected = {
    base: a.bases[0],
    remote: b.bases[0]!.local,
    mappedAddress: a.bases[0]!.local,
    rttMs: 100,
  };
  deepStrictEqual(a.event("valid")?.pair, expected);
  deepStrictEqual(a.agent.nominated, expected);
  strictEqual(a.event("nominated")?.by, "us");
  strictEqual(b.event("nominated")?.by, "peer");
  strictEqual(b.agent.nominated?.remote, a.bases[0]!.local);
  deepStrictEqual([...a.agent.drops, ...b.agent.drops], []);
});

Deno.test("Agent sends its first check at once and the others each Ta (RFC 8445 §6.1.4.2)", () => {
  const pair = new IcePair({ latencyMs: 1000 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000", "192.0.2.3:1000"] });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000", "192.0.2.4:2000"] });
  pair.introduce();
  pair.run(200);
  strictEqual(DEFAULT_ICE_CONFIG.taMs, 50);
  deepStrictEqual(pair.trace("a"), [
    "0 request a 192.0.2.1:1000 192.0.2.2:2000",
    "50 request a 192.0.2.1:1000 192.0.2.4:2000",
    "100 request a 192.0.2.3:1000 192.0.2.2:2000",
    "150 request a 192.0.2.3:1000 192.0.2.4:2000",
  ]);
  strictEqual(a.agent.report().length, 4);
  strictEqual(b.agent.report().length, 4);
});

Deno.test("Agent repeats a check that is lost (RFC 8445 §14.3)", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.loses = ({ at }) => at < 1000;
  pair.introduce();
  pair.run(3000);
  deepStrictEqual(pair.trace("a").slice(0, 4).map((line) => line.split(" ")[0]), ["0", "500", "1500", "1550"]);
  // The request of 1500 is the third of its transaction, so that it measures nothing; the triggered one does.
  deepStrictEqual(a.timeline, [
    "1550 authenticatedCheck request",
    "1600 authenticatedCheck response",
    "1600 valid",
  ]);
  strictEqual(a.event("valid")?.pair.rttMs, undefined);
  strictEqual(a.agent.report()[0]!.rttMs, 100);
});

Deno.test("Agent nominates the pair it is told, when it is valid (RFC 8445 §8.1.1)", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000", "192.0.2.4:2000"], config: FAST });
  const [, second] = b.bases;
  a.agent.nominate(a.bases[0]!, second!.local, 0);
  pair.introduce();
  pair.run(10_000);
  strictEqual(a.agent.nominated?.remote, second!.local);
  strictEqual(b.agent.nominated?.base, second);
  strictEqual(pair.count("a", "request+use"), 1);
  strictEqual(a.timeline.filter((line) => line.endsWith("nominated")).join(), "205 nominated");
});

Deno.test("Agent without a command nominates nothing", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  // The controlled side may be told too: it does nothing about it.
  b.agent.nominate(b.bases[0]!, a.bases[0]!.local, 0);
  pair.introduce();
  pair.run(60_000);
  strictEqual(a.agent.nominated, undefined);
  strictEqual(pair.count("a", "request+use") + pair.count("b", "request+use"), 0);
  // And then it is quiet: nothing but the two checks each.
  deepStrictEqual([pair.count("a", ""), pair.count("b", "")], [4, 4]);
});

Deno.test("Agent takes the best valid pair when it nominates by itself, and waits for a better one only so long", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", {
    role: "controlling",
    addresses: ["192.0.2.1:1000"],
    config: { ...FAST, nomination: "automatic", nominationDelayMs: 100 },
  });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000", "192.0.2.4:2000"], config: FAST });
  const [best, other] = b.bases;
  // The best never works.
  pair.loses = ({ from, to }) => from.endsWith(`${best!.local}`) || to === `${best!.local}`;
  pair.introduce();
  pair.run(10_000);
  strictEqual(a.agent.nominated?.remote, other!.local);
  // Valid at 105, nominated 100 later, known a round trip after that.
  deepStrictEqual(a.timeline.filter((line) => /valid|nominated/.test(line)), ["105 valid", "305 nominated"]);
});

Deno.test("Agent keeps the nominated pair alive only when nothing else was sent (RFC 8445 §11)", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", {
    role: "controlling",
    addresses: ["192.0.2.1:1000"],
    config: { ...FAST, nomination: "automatic" },
  });
  const b = pair.host("b", {
    role: "controlled",
    addresses: ["192.0.2.2:2000"],
    config: { ...FAST, keepaliveMs: Infinity },
  });
  pair.introduce();
  pair.run(10_000);
  a.agent.noteSent(10_000);
  pair.run(60_000);
  deepStrictEqual(pair.sent.filter(({ what }) => what === "indication").map(({ at }) => at), [25_000, 40_000, 55_000]);
  strictEqual(b.agent.pollTimeout(), undefined);
});

Deno.test("Agent takes candidates one by one, in any order with credentials (RFC 8838)", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  const [baseA, baseB] = [a.bases[0]!, b.bases[0]!];
  strictEqual(a.agent.addRemoteCandidate({ type: "host", address: baseB.local }, 0), undefined);
  b.agent.addLocalCandidate({ type: "host", address: baseB.local, base: baseB }, 0);
  pair.run(1000);
  a.agent.addLocalCandidate({ type: "host", address: baseA.local, base: baseA }, 1000);
  pair.run(2000);
  // A pair, but no password yet.
  strictEqual(pair.sent.length, 0);
  a.agent.setRemoteCredentials(b.credentials, 2000);
  pair.run(3000);
  // b has never heard of a: it answers, and remembers the check until it can return it.
  deepStrictEqual(pair.trace().map((line) => line.split(" ").slice(0, 3).join(" ")), [
    "2000 request a",
    "2050 success b",
  ]);
  deepStrictEqual(b.timeline, ["2050 authenticatedCheck request"]);
  deepStrictEqual(b.agent.report().map(({ remoteType, state }) => [remoteType, state]), [["prflx", "waiting"]]);
  b.agent.setRemoteCredentials(a.credentials, 3000);
  pair.run(4000);
  deepStrictEqual(b.timeline.slice(1), ["3100 authenticatedCheck response", "3100 valid"]);
});

Deno.test("Agent answers on a base that was never announced, and pairs it in its right later", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  const [baseA, baseB] = [a.bases[0]!, b.bases[0]!];
  b.agent.setRemoteCredentials(a.credentials, 0);
  a.agent.setRemoteCredentials(b.credentials, 0);
  a.agent.addLocalCandidate({ type: "host", address: baseA.local, base: baseA }, 0);
  a.agent.addRemoteCandidate({ type: "host", address: baseB.local }, 0);
  pair.run(1000);
  strictEqual(b.event("valid")?.pair.remote, baseA.local);
  b.agent.addLocalCandidate({ type: "host", address: baseB.local, base: baseB }, 1000);
  b.agent.addRemoteCandidate({ type: "host", address: addressOf("192.0.2.9", 1) }, 1000);
  strictEqual(b.agent.report().length, 2);
});

Deno.test("Agent fails when both sides have said all and nothing is left, with the reasons as data (RFC 8838 §10)", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.loses = () => true;
  pair.introduce();
  pair.run(60_000);
  deepStrictEqual(a.timeline, ["39500 failed"]);
  strictEqual(a.event("failed")?.reason, "1 pairs tried, none works: 1 timeout");
  const [report] = a.event("failed")!.report;
  deepStrictEqual(
    { state: report!.state, reason: report!.reason, requestsSent: report!.requestsSent },
    { state: "failed", reason: "timeout", requestsSent: 7 },
  );
  strictEqual(a.agent.pollTimeout(), undefined);
});

Deno.test("Agent does not fail before the end of both sides' candidates", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  a.agent.setRemoteCredentials(a.credentials, 0);
  a.agent.endOfLocalCandidates(0);
  pair.run(100_000);
  strictEqual(a.timeline.length, 0);
  a.agent.endOfRemoteCandidates(100_000);
  pair.run(100_000);
  deepStrictEqual(a.timeline, ["100000 failed"]);
  strictEqual(a.event("failed")?.reason, "no candidate of the peer can be reached from an address of ours");
});

Deno.test("Agent that has failed is revived by a check of the peer's", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const config = { ...FAST, requestCount: 2, lastMultiplier: 2 };
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.loses = ({ at }) => at < 3000;
  pair.introduce();
  pair.run(10_000);
  // 0 and 500, then 2 x 500 of patience.
  deepStrictEqual(a.timeline, [
    "1500 failed",
    "3550 authenticatedCheck request",
    "3650 authenticatedCheck response",
    "3650 valid",
  ]);
  ok(b.timeline.includes("3600 valid") || b.timeline.includes("3650 valid"));
});

Deno.test("Agent that keeps trying asks every pair anew until the time is over", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const config = { ...FAST, keepTryingUntil: 600_000 };
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  a.agent.setRemoteCredentials(b.credentials, 0);
  a.agent.addLocalCandidate({ type: "host", address: a.bases[0]!.local, base: a.bases[0]! }, 0);
  a.agent.addRemoteCandidate({ type: "host", address: b.bases[0]!.local }, 0);
  a.agent.endOfLocalCandidates(0);
  a.agent.endOfRemoteCandidates(0);
  pair.loses = ({ to }) => to.startsWith("192.0.2.2");
  pair.run(90_000);
  strictEqual(pair.count("a", "request"), 46);
  strictEqual(a.timeline.length, 0);
  pair.loses = () => false;
  b.agent.setRemoteCredentials(a.credentials, 90_000);
  pair.run(92_100);
  deepStrictEqual(a.timeline.filter((line) => line.endsWith("valid")), ["92100 valid"]);
});

Deno.test("Agent that keeps trying fails when the time is over", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const config = { ...FAST, keepTryingUntil: 60_000 };
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config });
  pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.loses = () => true;
  pair.introduce();
  pair.run(100_000);
  deepStrictEqual(a.timeline, ["60000 failed"]);
  strictEqual(pair.count("a", "request"), 30);
});

Deno.test("Agent gives a pair up at once when this host cannot send there, and comes back to it as to any other", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000", "198.51.100.7:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.sendError = (base) => base.local.host === "198.51.100.7" ? "ENETUNREACH" : undefined;
  pair.introduce();
  pair.run(10_000);
  deepStrictEqual(
    a.agent.report().map(({ base, state, reason }) => [`${base.local}`, state, reason]),
    [["192.0.2.1:1000", "succeeded", undefined], ["198.51.100.7:1000", "failed", "ENETUNREACH"]],
  );
  strictEqual(pair.count("a", "request"), 2);
  // Five times by the schedule of a request that is not answered, and once because the peer's check came in.
  strictEqual(a.agent.report()[1]?.requestsSent, 6);
  strictEqual(b.event("valid")?.pair.remote, a.bases[0]!.local);
});

Deno.test("Agent comes back to a pair when the network is back", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  let left = 2;
  pair.sendError = () => left-- > 0 ? "ENETUNREACH" : undefined;
  pair.introduce();
  pair.run(10_000);
  // Both failed once, at 0; both come back at 500, and meet each other half a round trip later.
  deepStrictEqual(a.timeline.slice(-1), ["600 valid"]);
  deepStrictEqual(b.timeline.slice(-1), ["600 valid"]);
});

Deno.test("Agent does not believe errors that a stranger can cause", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.introduce();
  pair.run(10);
  a.agent.handleSocketError({ base: a.bases[0]!, remote: b.bases[0]!.local, code: "ECONNREFUSED" }, 10);
  a.agent.handleSocketError({ base: a.bases[0]!, remote: undefined, code: "ENETUNREACH" }, 10);
  pair.run(100);
  deepStrictEqual(a.timeline.slice(-1), ["100 valid"]);
});

Deno.test("Agent forgets the pairs of a candidate that is withdrawn, but no pair that was proved", () => {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000", "192.0.2.3:1000"], config: FAST });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config: FAST });
  pair.loses = ({ from, to }) => from.includes("192.0.2.3") || to.startsWith("192.0.2.3");
  pair.introduce();
  pair.run(1000);
  for (const base of a.bases) a.agent.removeLocalCandidate({ type: "host", address: base.local, base }, 1000);
  deepStrictEqual(a.agent.report().map(({ base, state }) => [`${base.local}`, state]), [[
    "192.0.2.1:1000",
    "succeeded",
  ]]);
  // A server-reflexive candidate stands for nothing as long as its base has a better one.
  const srflx = { type: "srflx", address: parseAddress("203.0.113.9:9"), base: b.bases[0]! } as const;
  b.agent.addLocalCandidate(srflx, 1000);
  b.agent.removeLocalCandidate(srflx, 1000);
  strictEqual(b.agent.report().length, 2);
});

Deno.test("Agent refuses credentials that are easy to guess, and times out of range (RFC 8445 §5.3, §11, §14.2)", () => {
  const options = { role: "controlling", now: 0, random: seededRandom(1) } as const;
  throws(() => new IceAgent({ ...options, local: { ufrag: "abc", password: "x".repeat(22) } }), RangeError);
  throws(() => new IceAgent({ ...options, local: { ufrag: "abcd", password: "x".repeat(21) } }), RangeError);
  const local = { ufrag: "abcd", password: "x".repeat(22) };
  throws(() => new IceAgent({ ...options, local, config: { taMs: 4 } }), RangeError);
  throws(() => new IceAgent({ ...options, local, config: { keepaliveMs: 14_999 } }), RangeError);
});
