import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ALLOW_TICKET_ONLY } from "../../signaling/admission.ts";
import type { AllowList } from "../../signaling/admission.ts";
import { parseCallee } from "../../signaling/callee.ts";
import type { Callee } from "../../signaling/callee.ts";
import { CALL_LIFETIME_MS, HubCaller, MAX_CALL_ATTEMPTS } from "../../signaling/caller.ts";
import { formatKey } from "../../signaling/identity.ts";
import { KnownPeersTable } from "../../signaling/known_peers.ts";
import { HubListener, KEEP_ALIVE_MS } from "../../signaling/listener.ts";
import type { HubListenerOptions } from "../../signaling/listener.ts";
import type { CallerEvent, MachineContext } from "../../signaling/machines.ts";
import { encodeMessage } from "../../signaling/messages.ts";
import { candidate, contextOf, EPOCH_MS, eventsOf, Exchange } from "../support/signaling_exchange.ts";

const HUB = "hub.example";
const ANY: AllowList = { any: true, keys: [] };
const ALICE = contextOf(1);
const BOB = contextOf(2);
const BOB_KEY = BOB.key.publicKey.bytes;
const ALICE_KEY = ALICE.key.publicKey.bytes;

function listen(
  exchange: Exchange,
  options: Partial<HubListenerOptions> & { readonly context?: MachineContext; readonly client?: string } = {},
): HubListener {
  const { context, client, ...rest } = options;
  const listener = new HubListener({ ...(context ?? contextOf(2)), hub: HUB, name: "bob", allow: ANY, ...rest });
  exchange.add(client ?? "bob", listener);
  listener.publish([candidate("198.51.100.2")], exchange.now);
  exchange.run();
  return listener;
}

function call(
  exchange: Exchange,
  callee: Exclude<Callee, { readonly kind: "direct" | "relayed" }> = { kind: "name", name: "bob", key: undefined },
  options: { readonly context?: MachineContext; readonly client?: string; readonly known?: KnownPeersTable } = {},
): HubCaller {
  const { context, client, ...rest } = options;
  const caller = new HubCaller({ ...(context ?? contextOf(1)), hub: HUB, callee, ...rest });
  exchange.add(client ?? "alice", caller);
  caller.offer([candidate("203.0.113.1")], exchange.now);
  exchange.run();
  return caller;
}

function failure(events: readonly CallerEvent[]): string | undefined {
  return eventsOf(events, "failed")[0]?.reason;
}

Deno.test("A call to an admitting listener takes one message each way, and one to the listener", () => {
  const exchange = new Exchange();
  listen(exchange);
  deepStrictEqual(exchange.log.splice(0), ["bob>register", "bob<registered"]);
  call(exchange);
  deepStrictEqual(exchange.log, ["alice>offer", "alice<answer", "bob<offer"]);

  const events = exchange.callerEvents("alice");
  deepStrictEqual(events.map(({ type }) => type), ["open", "stunServers", "answer"]);
  deepStrictEqual(eventsOf(events, "stunServers")[0]!.servers, ["hub.example:3478"]);
  const answered = eventsOf(events, "answer")[0]!.call;
  const offered = eventsOf(exchange.listenerEvents("bob"), "offer")[0]!.call;
  strictEqual(answered.id, offered.id);
  deepStrictEqual(answered.remote.key, BOB_KEY);
  deepStrictEqual(offered.remote.key, ALICE_KEY);
  deepStrictEqual(answered.candidates, [candidate("198.51.100.2")]);
  deepStrictEqual(offered.candidates, [candidate("203.0.113.1")]);
  deepStrictEqual(answered.localCredentials, offered.remoteCredentials);
  deepStrictEqual(answered.remoteCredentials, offered.localCredentials);
  strictEqual(answered.localCredentials.usernameFragment.length, 8);
  strictEqual(answered.localCredentials.password.length, 32);
  strictEqual(answered.taMs, 5);
  strictEqual(answered.expiresAt, CALL_LIFETIME_MS);
});

Deno.test("ICE credentials are in no message and differ from call to call (RFC 8445 §5.3)", () => {
  const exchange = new Exchange();
  const seen: string[] = [];
  exchange.tamper = (message) => (seen.push(message), message);
  listen(exchange);
  call(exchange);
  const first = eventsOf(exchange.callerEvents("alice"), "answer")[0]!.call;
  call(exchange, undefined, { context: { ...ALICE, random: contextOf(77).random }, client: "alice again" });
  const second = eventsOf(exchange.callerEvents("alice again"), "answer")[0]!.call;
  notDeepStrictEqual(first.localCredentials, second.localCredentials);
  notDeepStrictEqual(first.id, second.id);
  for (const { usernameFragment, password } of [first.localCredentials, first.remoteCredentials]) {
    ok(!seen.some((message) => message.includes(usernameFragment) || message.includes(password)));
  }
});

Deno.test("Ta is the larger proposal, and 50 ms with a peer that makes none (RFC 8445 §14.2)", () => {
  const exchange = new Exchange();
  listen(exchange, { taMs: 20 });
  call(exchange);
  strictEqual(eventsOf(exchange.callerEvents("alice"), "answer")[0]!.call.taMs, 20);
  strictEqual(eventsOf(exchange.listenerEvents("bob"), "offer")[0]!.call.taMs, 20);
});

Deno.test("A listener whom the hub must ask answers itself, one message later", () => {
  const exchange = new Exchange();
  const keys = Array.from({ length: 101 }, (_, i) => contextOf(1000 + i).key.publicKey.bytes);
  listen(exchange, { allow: { any: false, keys: [...keys, ALICE_KEY] } });
  exchange.log.length = 0;
  call(exchange);
  deepStrictEqual(exchange.log, ["alice>offer", "alice<forwarded", "bob<offer", "bob>answer", "alice<answer"]);
  strictEqual(eventsOf(exchange.callerEvents("alice"), "answer").length, 1);
});

Deno.test("Only whom the list names is admitted; others get nothing but a refusal, and are counted", () => {
  const exchange = new Exchange();
  const listener = listen(exchange, { allow: { any: false, keys: [ALICE_KEY] } });
  call(exchange);
  strictEqual(eventsOf(exchange.callerEvents("alice"), "answer").length, 1);

  exchange.log.length = 0;
  call(exchange, undefined, { context: contextOf(3), client: "mallory" });
  deepStrictEqual(exchange.log, [
    "mallory>offer",
    "mallory<forwarded",
    "bob<offer",
    "bob>refuse",
    "mallory<refused",
  ]);
  strictEqual(failure(exchange.callerEvents("mallory")), "denied");
  deepStrictEqual([...listener.refusals], [["denied", 1]]);
  const refused = eventsOf(exchange.listenerEvents("bob"), "refused")[0]!;
  strictEqual(refused.caller, formatKey(contextOf(3).key.publicKey.bytes));
});

Deno.test("A ticket admits, a ticket of the same listener with another secret does not", () => {
  const exchange = new Exchange();
  const secret = new Uint8Array(16).fill(7);
  const ticket = { secret, hubUrl: "wss://hub.example/signal", stunServers: [] };
  const listener = listen(exchange, { allow: ALLOW_TICKET_ONLY, ticket });
  const [told] = eventsOf(exchange.listenerEvents("bob"), "ticket");
  ok(told!.text.length <= 160);
  const callee = parseCallee(told!.text, EPOCH_MS);
  ok(callee.kind === "hub");
  strictEqual(callee.hubUrl, "wss://hub.example/signal");
  exchange.log.length = 0;
  call(exchange, callee);
  deepStrictEqual(exchange.log, ["alice>offer", "alice<answer", "bob<offer"]);
  const answered = eventsOf(exchange.callerEvents("alice"), "answer")[0]!.call;
  const offered = eventsOf(exchange.listenerEvents("bob"), "offer")[0]!.call;
  deepStrictEqual(answered.localCredentials, offered.remoteCredentials);

  exchange.log.length = 0;
  call(exchange, { ...callee, secret: new Uint8Array(16) }, { context: contextOf(3), client: "mallory" });
  strictEqual(failure(exchange.callerEvents("mallory")), "denied");
  ok(!exchange.log.includes("mallory<answer"));
  deepStrictEqual([...listener.refusals], [["denied", 1]]);
});

Deno.test("A bare name is not admitted by default", () => {
  const exchange = new Exchange();
  const ticket = { secret: new Uint8Array(16), hubUrl: "ws://hub.example/signal", stunServers: [] };
  listen(exchange, { allow: ALLOW_TICKET_ONLY, ticket });
  call(exchange);
  strictEqual(failure(exchange.callerEvents("alice")), "denied");
});

Deno.test("A busy listener says so, and its hub hands nothing out meanwhile", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  exchange.advanceTo(1000);
  listener.setBusy(true, exchange.now);
  exchange.run();
  exchange.log.length = 0;
  call(exchange);
  deepStrictEqual(exchange.log, ["alice>offer", "alice<forwarded", "bob<offer", "bob>refuse", "alice<refused"]);
  strictEqual(failure(exchange.callerEvents("alice")), "busy");
  exchange.advanceTo(2000);
  listener.setBusy(false, exchange.now);
  exchange.run();
  call(exchange, undefined, { client: "again", context: contextOf(5) });
  strictEqual(eventsOf(exchange.callerEvents("again"), "answer").length, 1);
});

Deno.test("A name nobody registered is unknown, and so is one whose owner has left", () => {
  const exchange = new Exchange();
  call(exchange, { kind: "name", name: "nobody", key: undefined });
  strictEqual(failure(exchange.callerEvents("alice")), "unknown");
  listen(exchange);
  exchange.isReachable = false;
  exchange.cut("bob");
  exchange.isReachable = true;
  call(exchange, undefined, { client: "carol", context: contextOf(4) });
  strictEqual(failure(exchange.callerEvents("carol")), "unknown");
});

Deno.test("The first key of a bare name is pinned once it is proved, another later is refused with both shown", () => {
  const known = new KnownPeersTable();
  const exchange = new Exchange();
  listen(exchange);
  const caller = call(exchange, undefined, { known });
  strictEqual(known.lookup(HUB, "bob"), undefined);
  caller.confirm(BOB_KEY);
  deepStrictEqual(known.lookup(HUB, "bob"), BOB_KEY);

  const other = contextOf(9);
  const later = new Exchange();
  listen(later, { context: other });
  call(later, undefined, { known });
  const [failed] = eventsOf(later.callerEvents("alice"), "failed");
  strictEqual(failed!.reason, "otherKey");
  strictEqual(failed!.expected, formatKey(BOB_KEY));
  strictEqual(failed!.actual, formatKey(other.key.publicKey.bytes));
});

Deno.test("NAME@KEY is answered by that key alone", () => {
  const exchange = new Exchange();
  listen(exchange);
  call(exchange, { kind: "name", name: "bob", key: BOB_KEY });
  deepStrictEqual(eventsOf(exchange.callerEvents("alice"), "answer")[0]!.call.remote.key, BOB_KEY);
});

Deno.test("Our own key is refused as peer, by caller and listener", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  call(exchange, { kind: "name", name: "bob", key: BOB_KEY }, { context: contextOf(2) });
  strictEqual(failure(exchange.callerEvents("alice")), "ourself");
  call(exchange, undefined, { context: contextOf(2), client: "bob too" });
  strictEqual(failure(exchange.callerEvents("bob too")), "ourself");
  deepStrictEqual([...listener.refusals], [["ourself", 1]]);
});

Deno.test("Later candidates reach the listener signed, 12 in all, and a later record reaches the caller", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  const caller = call(exchange);
  exchange.log.length = 0;
  caller.addCandidates([candidate("203.0.113.2", "srflx")], exchange.now);
  caller.addCandidates(Array.from({ length: 20 }, (_, i) => candidate(`203.0.113.${100 + i}`)), exchange.now);
  exchange.run();
  deepStrictEqual(exchange.log, [
    "alice>candidates",
    "alice>candidates",
    "bob<candidates",
    "bob<candidates",
  ]);
  const told = eventsOf(exchange.listenerEvents("bob"), "candidates");
  deepStrictEqual(told[0]!.candidates, [candidate("203.0.113.2", "srflx")]);
  strictEqual(told[1]!.candidates.length, 10);

  exchange.callerEvents("alice");
  exchange.advanceTo(1000);
  listener.publish([candidate("198.51.100.77")], exchange.now);
  exchange.run();
  deepStrictEqual(eventsOf(exchange.callerEvents("alice"), "candidates")[0]!.candidates, [candidate("198.51.100.77")]);
});

Deno.test("A later record that crosses a call on its way reaches the caller all the same", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  exchange.advanceTo(60_000);
  // The hub has not got it when it answers for the listener with what it has.
  exchange.tamper = (message, direction) =>
    direction === "to-hub" && message.includes('"t":"register"') ? undefined : message;
  listener.publish([candidate("198.51.100.77", "srflx")], exchange.now);
  exchange.run();
  exchange.log.length = 0;
  call(exchange);
  deepStrictEqual(exchange.log, ["alice>offer", "alice<answer", "bob<offer", "bob>answer", "alice<answer"]);
  const events = exchange.callerEvents("alice");
  deepStrictEqual(eventsOf(events, "answer")[0]!.call.candidates, [candidate("198.51.100.2")]);
  deepStrictEqual(eventsOf(events, "candidates")[0]!.candidates, [candidate("198.51.100.77", "srflx")]);
});

Deno.test("A caller whose hub restarts comes back, and gives the listener the time to come back too", () => {
  const exchange = new Exchange();
  const caller = new HubCaller({ ...contextOf(1), hub: HUB, callee: { kind: "name", name: "bob", key: undefined } });
  exchange.tamper = (message, direction) => direction === "to-hub" ? undefined : message;
  exchange.add("alice", caller);
  caller.offer([candidate("203.0.113.1")], exchange.now);
  exchange.run();
  exchange.restartHub();
  exchange.tamper = (message) => message;
  exchange.advanceTo(2000);
  strictEqual(failure(exchange.callerEvents("alice")), undefined);
  listen(exchange);
  exchange.advanceTo(20_000);
  strictEqual(eventsOf(exchange.callerEvents("alice"), "answer").length, 1);
});

Deno.test("A name that nobody takes after a hub's restart is unknown in the end", () => {
  const exchange = new Exchange();
  const caller = new HubCaller({ ...contextOf(1), hub: HUB, callee: { kind: "name", name: "bob", key: undefined } });
  exchange.tamper = (message, direction) => direction === "to-hub" ? undefined : message;
  exchange.add("alice", caller);
  caller.offer([candidate("203.0.113.1")], exchange.now);
  exchange.run();
  exchange.restartHub();
  exchange.tamper = (message) => message;
  exchange.advanceTo(30_000);
  strictEqual(failure(exchange.callerEvents("alice")), "unknown");
});

Deno.test("A settled call takes no more candidates", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  const caller = call(exchange);
  const [offered] = eventsOf(exchange.listenerEvents("bob"), "offer");
  listener.settle(offered!.call.id);
  caller.addCandidates([candidate("203.0.113.2")], exchange.now);
  exchange.run();
  deepStrictEqual(exchange.listenerEvents("bob"), []);
});

Deno.test("Candidates nobody should send to are left out (RFC 9000 §21.5.6)", () => {
  const exchange = new Exchange();
  const listener = new HubListener({ ...BOB, hub: HUB, name: "bob", allow: ANY });
  exchange.add("bob", listener);
  listener.publish(
    [candidate("127.0.0.1"), candidate("224.0.0.1"), candidate("198.51.100.2 53"), candidate("198.51.100.2 0")],
    0,
  );
  exchange.run();
  call(exchange);
  deepStrictEqual(eventsOf(exchange.callerEvents("alice"), "answer")[0]!.call.candidates, []);
});

Deno.test("A hub that cannot be reached is tried three times", () => {
  const exchange = new Exchange();
  exchange.isReachable = false;
  call(exchange);
  exchange.advanceTo(60_000);
  const events = exchange.callerEvents("alice");
  strictEqual(eventsOf(events, "open").length, MAX_CALL_ATTEMPTS);
  strictEqual(failure(events), "unreachable");
  strictEqual(exchange.nextTimeout(), undefined);
});

Deno.test("Why a carrier could not be had is told when the caller gives up, and at once by a listener", () => {
  const caller = new HubCaller({ ...ALICE, hub: HUB, callee: { kind: "name", name: "bob", key: undefined } });
  for (let attempt = 0; attempt < MAX_CALL_ATTEMPTS; attempt++) {
    const now = caller.pollTimeout() ?? 0;
    caller.handleTimeout(now);
    caller.handleClosed(now, "Cannot reach hub.example: connection refused");
  }
  let told = caller.pollEvent();
  while (told !== undefined && told.type !== "failed") told = caller.pollEvent();
  strictEqual(
    told?.message,
    "Cannot reach hub.example: connection refused: is the hub running, and the URL right?",
  );
  const listener = new HubListener({ ...BOB, hub: HUB, name: "bob", allow: ANY });
  listener.pollEvent();
  listener.handleClosed(0, "because");
  const lost = listener.pollEvent();
  ok(lost?.type === "unregistered");
  strictEqual(lost.reason, "because");
  strictEqual(lost.retryAt, lost.pauseMs);
  strictEqual(listener.pollTimeout(), lost.retryAt);
});

function reasons(exchange: Exchange): string[] {
  return eventsOf(exchange.listenerEvents("bob"), "unregistered").map(({ reason }) => reason);
}

Deno.test("A listener says why nobody can call it, whatever the reason", () => {
  const exchange = new Exchange();
  exchange.isReachable = false;
  listen(exchange);
  deepStrictEqual(reasons(exchange), ["The hub hub.example cannot be reached"]);
  exchange.isReachable = true;
  exchange.advanceTo(1000);
  exchange.cut("bob");
  exchange.run();
  deepStrictEqual(reasons(exchange), ["The hub hub.example has ended the connection"]);
  for (
    const [code, reason] of [
      ["full", "The hub hub.example has too much to do"],
      ["stale", "The hub hub.example takes our record for an old one: compare the two clocks"],
      ["malformed", "The hub hub.example does not understand our record"],
    ] as const
  ) {
    const other = new Exchange();
    other.tamper = (message, direction) => {
      return direction === "to-hub" ? message : encodeMessage({ t: "error", reason: code });
    };
    listen(other);
    deepStrictEqual(reasons(other), [reason]);
  }
});

Deno.test("A hub that does not let us in is not asked again, by caller or listener", () => {
  const caller = new HubCaller({ ...ALICE, hub: HUB, callee: { kind: "name", name: "bob", key: undefined } });
  const listener = new HubListener({ ...BOB, hub: HUB, name: "bob", allow: ANY });
  for (const machine of [caller, listener]) {
    strictEqual(machine.pollEvent()?.type, "open");
    machine.handleClosed(0, "another --token is asked for", true);
    deepStrictEqual(machine.pollEvent(), {
      type: "failed",
      reason: "hub",
      message: "another --token is asked for",
    });
    strictEqual(machine.pollTimeout(), undefined);
  }
});

Deno.test("A hub that does not answer is given up after 10 s", () => {
  const exchange = new Exchange();
  exchange.tamper = () => undefined;
  call(exchange);
  exchange.advanceTo(9_999);
  strictEqual(failure(exchange.callerEvents("alice")), undefined);
  exchange.advanceTo(10_000);
  strictEqual(failure(exchange.callerEvents("alice")), "unreachable");
});

Deno.test("A listener comes back to a hub that restarted, and is reached as before", () => {
  const exchange = new Exchange();
  listen(exchange);
  exchange.advanceTo(3_600_000);
  exchange.restartHub();
  exchange.run();
  exchange.advanceTo(3_600_000 + 1_000);
  const events = exchange.listenerEvents("bob");
  deepStrictEqual(events.slice(-3).map(({ type }) => type), ["open", "stunServers", "registered"]);
  exchange.log.length = 0;
  call(exchange);
  deepStrictEqual(exchange.log, ["alice>offer", "alice<answer", "bob<offer"]);
});

Deno.test("Of two listeners with one key the later is called, and the earlier ends with the reason", () => {
  const exchange = new Exchange();
  listen(exchange);
  exchange.listenerEvents("bob");
  exchange.advanceTo(1000);
  listen(exchange, { client: "bob too" });
  exchange.advanceTo(3_600_000);
  const events = exchange.listenerEvents("bob");
  deepStrictEqual(events, [{
    type: "failed",
    reason: "replaced",
    message: "Another listener with our key has registered at hub.example: use another --key on one side",
  }]);
  ok(!exchange.listenerEvents("bob too").some(({ type }) => type === "unregistered"));
  call(exchange);
  strictEqual(eventsOf(exchange.listenerEvents("bob too"), "offer").length, 1);
});

Deno.test("An idle listener costs two messages each way a minute, and one record each half hour", () => {
  const exchange = new Exchange();
  listen(exchange);
  exchange.log.length = 0;
  exchange.advanceTo(29 * 60_000 + 59_999);
  strictEqual(exchange.log.length, 2 * 59);
  ok(exchange.log.every((entry) => entry === "bob>ping" || entry === "bob<pong"));
  exchange.advanceTo(30 * 60_000);
  deepStrictEqual(exchange.log.slice(2 * 59), ["bob>register", "bob<registered"]);
});

Deno.test("A listener notices a hub that is silent, 10 s after a ping", () => {
  const exchange = new Exchange();
  listen(exchange);
  exchange.listenerEvents("bob");
  exchange.tamper = (message) => (message.includes("pong") ? undefined : message);
  exchange.advanceTo(KEEP_ALIVE_MS + 9_999);
  deepStrictEqual(exchange.listenerEvents("bob"), []);
  exchange.advanceTo(KEEP_ALIVE_MS + 10_000);
  deepStrictEqual(reasons(exchange), ["The hub hub.example does not answer"]);
});

Deno.test("Pauses between attempts double up to 30 s and are spread", () => {
  const exchange = new Exchange();
  listen(exchange);
  exchange.isReachable = false;
  exchange.listenerEvents("bob");
  exchange.cut("bob");
  exchange.advanceTo(600_000);
  const retries = eventsOf(exchange.listenerEvents("bob"), "unregistered").map(({ retryAt }) => retryAt);
  const pauses = retries.map((at, i) => at - (retries[i - 1] ?? 0));
  pauses.forEach((pauseMs, i) => {
    const base = Math.min(30_000, 500 * 2 ** i);
    ok(pauseMs >= base / 2 && pauseMs <= base * 1.5, `pause ${i} is ${pauseMs} ms`);
  });
  ok(pauses.length > 15);
});

Deno.test("Candidates found one after the other go into one record", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  exchange.log.length = 0;
  for (let i = 1; i <= 10; i++) {
    listener.publish(Array.from({ length: i }, (_, j) => candidate(`198.51.100.${j + 1}`)), exchange.now);
    exchange.run();
  }
  exchange.advanceTo(1000);
  deepStrictEqual(exchange.log, ["bob>register", "bob<registered"]);
  call(exchange);
  strictEqual(eventsOf(exchange.callerEvents("alice"), "answer")[0]!.call.candidates.length, 10);
});

Deno.test("A listener takes four offers a second from one caller and 32 unanswered ones in all", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  for (let i = 0; i < 40; i++) {
    call(exchange, undefined, { context: contextOf(100 + i), client: `caller ${i}` });
    exchange.advanceTo(exchange.now + 100);
  }
  strictEqual(eventsOf(exchange.listenerEvents("bob"), "offer").length, 32);
  deepStrictEqual([...listener.refusals], [["limited", 8]]);

  const other = new Exchange();
  listen(other);
  const random = contextOf(55).random;
  for (let i = 0; i < 6; i++) call(other, undefined, { context: { ...ALICE, random }, client: `call ${i}` });
  strictEqual(eventsOf(other.listenerEvents("bob"), "offer").length, 4);
  strictEqual(failure(other.callerEvents("call 4")), "limited");
});

Deno.test("Unanswered calls are forgotten when ICE would have failed", () => {
  const exchange = new Exchange();
  const listener = listen(exchange);
  for (let i = 0; i < 32; i++) {
    call(exchange, undefined, { context: contextOf(100 + i), client: `caller ${i}` });
    exchange.advanceTo(exchange.now + 40);
  }
  exchange.advanceTo(exchange.now + CALL_LIFETIME_MS);
  call(exchange);
  strictEqual(eventsOf(exchange.callerEvents("alice"), "answer").length, 1);
  deepStrictEqual([...listener.refusals], []);
});
