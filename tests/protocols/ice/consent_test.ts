import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { IceConfig } from "../../../protocols/ice/types.ts";
import { type IceHost, IcePair } from "../../support/ice_pair.ts";

/** What runs over the path of `a`, as the agent sees it. */
interface Traffic {
  answeredAt: number;
  isWaiting: boolean;
}

const SETTLED_AT = 1000;

Deno.test("Consent is checked where nothing else shows it, 80 to 120 % of 5 s apart, each check a transaction of its own (RFC 7675 §5.1)", () => {
  const { pair, a, b } = underConsent({ isWaiting: true });
  pair.run(SETTLED_AT + 600_000);
  const at = checksOf(pair, "a");
  const gaps = at.slice(1).map((each, i) => each - at[i]!);
  ok(gaps.every((gap) => gap >= 4000 && gap <= 6000), `${gaps}`);
  ok(new Set(gaps).size > gaps.length / 2, "the gaps are not random");
  ok(at.length >= 100 && at.length <= 150, `${at.length} checks`);
  strictEqual(pair.count("b", "success") - at.length <= 3, true);
  deepStrictEqual([a, b].map((host) => host.event("consentExpired")), [undefined, undefined]);
});

Deno.test("No check leaves while acknowledgements show consent, however long", () => {
  const { pair, a, traffic } = underConsent({ isWaiting: true });
  for (let now = SETTLED_AT; now < SETTLED_AT + 120_000; now += 4000) {
    traffic.answeredAt = now;
    pair.run(now + 4000);
  }
  deepStrictEqual(checksOf(pair, "a"), []);
  strictEqual(a.event("consentExpired"), undefined);
});

Deno.test("Consent ends 30 s after the last sign, is in doubt before, and nothing more is sent (RFC 7675 §5.1)", () => {
  const { pair, a, traffic } = underConsent({ isWaiting: true });
  traffic.answeredAt = SETTLED_AT + 3000;
  pair.loses = ({ from }) => from.startsWith("b ");
  pair.run(SETTLED_AT + 200_000);
  const [doubt, expired] = (["consentInDoubt", "consentExpired"] as const).map((type) =>
    a.events.filter(({ event }) => event.type === type).map(({ at }) => at - traffic.answeredAt)
  );
  deepStrictEqual(expired, [30_000]);
  ok(doubt?.length === 1 && doubt[0]! > 9000 && doubt[0]! < 15_000, `${doubt}`);
  const checks = checksOf(pair, "a");
  ok(checks.length >= 5 && checks.length <= 7, `${checks}`);
  ok(checks.every((at) => at < traffic.answeredAt + 30_000));
});

Deno.test("Where nothing is said for 14 s a sign is asked for, then checked for, and doubted early enough to begin anew", () => {
  const { pair, a } = underConsent({ isWaiting: false });
  pair.loses = ({ from }) => from.startsWith("b ");
  pair.run(SETTLED_AT + 200_000);
  const told = a.events.filter(({ event }) => event.type.startsWith("consent"));
  deepStrictEqual(told.map(({ at, event }) => `${at - SETTLED_AT} ${event.type}`), [
    "14000 consentQuiet",
    "17000 consentInDoubt",
    "30000 consentExpired",
  ]);
});

Deno.test("An answer that is not authentic, an error, or one that comes another way is no consent", () => {
  const { pair, a } = underConsent({ isWaiting: true });
  // Somebody on the way writes over the last bytes of what b answers.
  pair.damages = ({ from, what }, payload) => {
    if (from.startsWith("b ") && what === "success") payload[payload.length - 10]! ^= 1;
  };
  pair.run(SETTLED_AT + 100_000);
  strictEqual(a.events.filter(({ event }) => event.type === "consentExpired").length, 1);
  ok([...a.agent.drops.values()].some((count) => count >= 5), `${[...a.agent.drops]}`);
});

Deno.test("Consent goes over to the path in use when that changes", () => {
  const { pair, a, traffic } = underConsent({ isWaiting: true });
  pair.run(SETTLED_AT + 20_000);
  const { base, remote } = { base: a.bases[1]!, remote: pair.hosts[1]!.bases[0]!.local };
  a.agent.keepConsent({ base, remote, answeredAt: () => traffic.answeredAt, isWaiting: () => true }, pair.now);
  const movedAt = pair.now;
  pair.run(movedAt + 20_000);
  const later = pair.sent.filter(({ at, from, what }) => at > movedAt && from.startsWith("a ") && what === "request");
  deepStrictEqual([...new Set(later.map(({ from }) => from))], [`a ${base.local}`]);
  a.agent.endConsent();
  const sent = pair.sent.length;
  pair.run(movedAt + 100_000);
  deepStrictEqual(pair.sent.slice(sent).filter(({ what, from }) => what === "request" && from.startsWith("a ")), []);
});

/** Two agents that have agreed on a pair, and `a` keeps consent from {@linkcode SETTLED_AT} on. */
function underConsent({ isWaiting }: { readonly isWaiting: boolean }): {
  pair: IcePair;
  a: IceHost;
  b: IceHost;
  traffic: Traffic;
} {
  const pair = new IcePair({ latencyMs: 50 });
  const config: Partial<IceConfig> = { taMs: 5, nomination: "automatic", keepaliveMs: Infinity };
  const a = pair.host("a", { role: "controlling", addresses: ["192.0.2.1:1000", "192.0.2.1:1001"], config });
  const b = pair.host("b", { role: "controlled", addresses: ["192.0.2.2:2000"], config });
  pair.introduce();
  pair.run(SETTLED_AT);
  pair.sent.length = 0;
  const traffic: Traffic = { answeredAt: -Infinity, isWaiting };
  const { base, remote } = a.agent.nominated!;
  a.agent.keepConsent(
    { base, remote, answeredAt: () => traffic.answeredAt, isWaiting: () => traffic.isWaiting },
    SETTLED_AT,
  );
  return { pair, a, b, traffic };
}

function checksOf(pair: IcePair, name: string): number[] {
  return pair.sent.filter(({ from, what }) => from.startsWith(`${name} `) && what === "request").map(({ at }) => at);
}
