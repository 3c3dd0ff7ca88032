import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { type IceHost, IcePair, socketBase } from "../../support/ice_pair.ts";

const SETTLED_AT = 1000;
const ofA = { ufrag: "anewfrag", password: "a-new-password-of-22-characters" };
const ofB = { ufrag: "bnewfrag", password: "b-new-password-of-22-characters" };

Deno.test("Restart checks all pairs anew with other credentials, and the pair in use stays until another is agreed on (RFC 8445 §9)", () => {
  const { pair, a, b } = settled();
  const [before, after] = [a.agent.nominated!, "192.0.2.2:2001"];
  b.agent.expectRestart({ local: ofB, remote: ofA });
  // The pair in use does not work any more.
  pair.loses = ({ from, to }) => [from, to].some((end) => end.endsWith("192.0.2.2:2000"));
  a.agent.restart({ local: ofA, remote: ofB }, SETTLED_AT);
  strictEqual(a.agent.nominated, before);
  strictEqual(a.agent.localUfrag, "anewfrag");
  pair.run(SETTLED_AT + 100);
  // The first check with these has restarted the peer, which answers and checks in return.
  ok(b.event("restarted") !== undefined);
  strictEqual(b.agent.localUfrag, "bnewfrag");
  strictEqual(a.agent.nominated, before);
  pair.run(SETTLED_AT + 5000);
  strictEqual(`${a.agent.nominated?.remote}`, after);
  strictEqual(`${b.agent.nominated?.base.local}`, after);
  deepStrictEqual([a.agent.role, b.agent.role], ["controlling", "controlled"]);
});

Deno.test("After a restart consent to the path in use is asked and given with the credentials of before (RFC 8445 §9)", () => {
  const { pair, a, b } = settled();
  const { base, remote } = a.agent.nominated!;
  a.agent.keepConsent({ base, remote, answeredAt: () => -Infinity, isWaiting: () => true }, SETTLED_AT);
  // New checks come to nothing: their credentials are known to nobody.
  a.agent.restart({ local: ofA, remote: ofB }, SETTLED_AT);
  pair.run(SETTLED_AT + 90_000);
  strictEqual(a.event("consentExpired"), undefined);
  strictEqual(a.agent.nominated?.remote, remote);
  strictEqual(b.event("restarted"), undefined);
});

Deno.test("Restart by the peer takes credentials that were expected, authentic ones, and not twice in a second", () => {
  const { pair, a, b } = settled();
  b.agent.expectRestart({ local: ofB, remote: ofA });
  a.agent.restart({ local: ofA, remote: { ...ofB, password: "another-password-of-22-chars" } }, SETTLED_AT);
  pair.run(SETTLED_AT + 2000);
  strictEqual(b.event("restarted"), undefined);
  ok((b.agent.drops.get("request for another agent") ?? 0) > 0);
  a.agent.restart({ local: ofA, remote: ofB }, pair.now);
  pair.run(pair.now + 60);
  strictEqual(b.events.filter(({ event }) => event.type === "restarted").length, 1);
  const again = { ufrag: "bthird", password: "b-third-password-of-22-characters" };
  b.agent.expectRestart({ local: again, remote: ofA });
  a.agent.restart({ local: ofA, remote: again }, pair.now);
  pair.run(pair.now + 300);
  strictEqual(b.events.filter(({ event }) => event.type === "restarted").length, 1);
  strictEqual(b.agent.drops.get("restart too soon")! > 0, true);
  // The check is sent again, and by then it may.
  pair.run(pair.now + 3000);
  strictEqual(b.events.filter(({ event }) => event.type === "restarted").length, 2);
});

Deno.test("Restart refuses credentials that are easy to guess (RFC 8445 §5.3)", () => {
  const { a } = settled();
  const short = { ufrag: "abc", password: "short" };
  throws(() => a.agent.restart({ local: short, remote: ofB }, SETTLED_AT), RangeError);
  throws(() => a.agent.expectRestart({ local: short, remote: ofB }), RangeError);
});

Deno.test("A better pair that is proved later is told, and nominated when it is in use, by both (RFC 5245 §8.1.1.1)", () => {
  const { pair, a, b, open } = lateBetter();
  const [good, better] = ["192.0.2.1:1001", "192.0.2.1:1000"];
  strictEqual(`${a.agent.nominated?.base.local}`, good);
  const { base, remote } = a.agent.nominated!;
  strictEqual(a.agent.betterThan(base, remote), undefined);
  open();
  pair.run(pair.now + 10_000);
  const found = a.agent.betterThan(base, remote);
  strictEqual(`${found?.base.local}`, better);
  // Nothing is nominated before it is used.
  strictEqual(`${a.agent.nominated?.base.local}`, good);
  a.agent.nominate(found!.base, found!.remote, pair.now);
  pair.run(pair.now + 1000);
  strictEqual(`${a.agent.nominated?.base.local}`, better);
  strictEqual(`${b.agent.nominated?.remote}`, better);
  const nominations = b.events.flatMap(({ event }) => event.type === "nominated" ? [event.by] : []);
  deepStrictEqual(nominations, ["peer", "peer"]);
  // And back: what is in use is what counts.
  a.agent.nominate(base, remote, pair.now);
  pair.run(pair.now + 1000);
  strictEqual(`${a.agent.nominated?.base.local}`, good);
  strictEqual(`${b.agent.nominated?.remote}`, good);
});

Deno.test("A path that was never a pair is checked and nominated when it comes into use", () => {
  const { pair, a, b } = settled();
  const added = socketBase("192.0.2.1:1999");
  a.bases.push(added);
  a.agent.nominate(added, b.bases[0]!.local, pair.now);
  pair.run(pair.now + 2000);
  strictEqual(a.agent.nominated?.base, added);
  strictEqual(`${b.agent.nominated?.remote}`, "192.0.2.1:1999");
});

/** Two agents with two pairs, that have agreed on the first. */
function settled(): { pair: IcePair; a: IceHost; b: IceHost } {
  const pair = new IcePair({ latencyMs: 20 });
  const config = { taMs: 5, nomination: "automatic", keepaliveMs: Infinity } as const;
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000"], config });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000", "192.0.2.2:2001"], config });
  pair.introduce();
  pair.run(SETTLED_AT);
  return { pair, a, b };
}

/** As `settled`, with a better pair whose packets are lost until `open`. */
function lateBetter(): { pair: IcePair; a: IceHost; b: IceHost; open: () => void } {
  const pair = new IcePair({ latencyMs: 20 });
  const config = { taMs: 5, nomination: "automatic", keepaliveMs: Infinity } as const;
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000", "192.0.2.1:1001"], config });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config });
  let isOpen = false;
  pair.loses = ({ from, to }) => !isOpen && [from, to].some((end) => end.endsWith("192.0.2.1:1000"));
  pair.introduce();
  pair.run(SETTLED_AT);
  return { pair, a, b, open: () => void (isOpen = true) };
}
