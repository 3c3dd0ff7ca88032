import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { X25519KeyPair } from "../../protocols/crypto/x25519.ts";
import type { AllowList } from "../../signaling/admission.ts";
import type { Callee } from "../../signaling/callee.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { formatKey, keyIdOf } from "../../signaling/identity.ts";
import { HubListener } from "../../signaling/listener.ts";
import type { Refusal } from "../../signaling/machines.ts";
import { decodeClientMessage, decodeHubMessage, encodeMessage } from "../../signaling/messages.ts";
import {
  MAX_CLOCK_SKEW_MS,
  OFFER_LIFETIME_MS,
  openOffer,
  openRecord,
  RECORD_LIFETIME_MS,
  signOffer,
  signRecord,
} from "../../signaling/trust.ts";
import type { ListenerRecord, Offer } from "../../signaling/trust.ts";
import { candidate, contextOf, EPOCH_MS, eventsOf, Exchange } from "../support/signaling_exchange.ts";

const HUB = "hub.example";
const BOB = contextOf(2);
const MALLORY = contextOf(66);
const ANY: AllowList = { any: true, keys: [] };
const BY_NAME: Callee & { readonly kind: "name" } = { kind: "name", name: "bob", key: undefined };
const BY_KEY: Callee & { readonly kind: "name" } = { kind: "name", name: "bob", key: BOB.key.publicKey.bytes };
const BY_TICKET: Callee & { readonly kind: "hub" } = {
  kind: "hub",
  taMs: 5,
  keyId: keyIdOf(BOB.key.publicKey.bytes),
  secret: new Uint8Array(16).fill(9),
  hubUrl: "wss://hub.example/signal",
  stunServers: [],
};

/** Bob at the hub, Alice not yet. */
function world(allow: AllowList = ANY): { readonly exchange: Exchange; readonly bob: HubListener } {
  const exchange = new Exchange();
  const bob = new HubListener({
    ...contextOf(2),
    hub: HUB,
    name: "bob",
    allow,
    ticket: { secret: BY_TICKET.secret, hubUrl: BY_TICKET.hubUrl, stunServers: [] },
  });
  exchange.add("bob", bob);
  bob.publish([candidate("198.51.100.2")], 0);
  exchange.run();
  exchange.listenerEvents("bob");
  return { exchange, bob };
}

function call(exchange: Exchange, callee: Exclude<Callee, { readonly kind: "direct" | "relayed" }>): HubCaller {
  const caller = new HubCaller({ ...contextOf(1), hub: HUB, callee });
  exchange.add("alice", caller);
  caller.offer([candidate("203.0.113.1")], exchange.now);
  exchange.run();
  return caller;
}

/** The hub changes the record it hands out. */
function answerWith(exchange: Exchange, change: (record: Uint8Array) => Uint8Array): void {
  exchange.tamper = (text, direction) => {
    const message = direction === "from-hub" ? decodeHubMessage(text) : undefined;
    return message?.t === "answer" ? encodeMessage({ ...message, record: change(message.record) }) : text;
  };
}

/** The hub changes the offer on its way to Bob. */
function offerWith(exchange: Exchange, change: (offer: Uint8Array) => Uint8Array): void {
  exchange.tamper = (text, direction) => {
    const message = direction === "from-hub" ? decodeHubMessage(text) : undefined;
    return message?.t === "offer" ? encodeMessage({ ...message, offer: change(message.offer) }) : text;
  };
}

/** Bob's record with some of it changed, signed by Bob: what Bob would say somewhere else, or has said before. */
function resigned(bytes: Uint8Array, changes: Partial<ListenerRecord>, key = BOB.key): Uint8Array {
  return signRecord({ ...openRecord(bytes)!.content, key: key.publicKey.bytes, ...changes }, key);
}

function reofferred(bytes: Uint8Array, changes: Partial<Offer>, key = contextOf(1).key): Uint8Array {
  return signOffer({ ...openOffer(bytes)!.content, callerKey: key.publicKey.bytes, ...changes }, key);
}

function failureOf(
  callee: Exclude<Callee, { readonly kind: "direct" | "relayed" }>,
  change: (record: Uint8Array) => Uint8Array,
): {
  readonly reason: string | undefined;
  readonly expected: string | undefined;
  readonly actual: string | undefined;
} {
  const { exchange } = world();
  answerWith(exchange, change);
  call(exchange, callee);
  const events = exchange.callerEvents("alice");
  deepStrictEqual(eventsOf(events, "answer"), []);
  const [failed] = eventsOf(events, "failed");
  return { reason: failed?.reason, expected: failed?.expected, actual: failed?.actual };
}

function refusalsOf(change: (offer: Uint8Array) => Uint8Array): [Refusal, number][] {
  const { exchange, bob } = world();
  offerWith(exchange, change);
  call(exchange, BY_NAME);
  deepStrictEqual(eventsOf(exchange.listenerEvents("bob"), "offer"), []);
  return [...bob.refusals];
}

Deno.test("A hub that puts another key in place of the callee's is found out with NAME@KEY and with a ticket", () => {
  const impostor = (record: Uint8Array): Uint8Array => resigned(record, {}, MALLORY.key);
  const actual = formatKey(MALLORY.key.publicKey.bytes);
  deepStrictEqual(failureOf(BY_KEY, impostor), {
    reason: "otherKey",
    expected: formatKey(BOB.key.publicKey.bytes),
    actual,
  });
  const byTicket = failureOf(BY_TICKET, impostor);
  strictEqual(byTicket.reason, "otherKey");
  ok(byTicket.expected!.startsWith("ID:"));
  strictEqual(byTicket.actual, actual);
});

Deno.test("A hub that changes any byte of the record is found out", () => {
  const { exchange } = world();
  let length = 0;
  answerWith(exchange, (record) => (length = record.length, record));
  call(exchange, BY_NAME);
  ok(length > 150);
  for (let at = 0; at < length; at++) {
    const { reason } = failureOf(BY_NAME, (record) => record.with(at, record[at]! ^ 0x01));
    strictEqual(reason, "untrusted", `byte ${at}`);
  }
});

Deno.test("A hub that cuts the record short is found out", () => {
  for (const length of [0, 1, 63, 64, 65, 100, 150]) {
    const { reason } = failureOf(BY_NAME, (record) => record.subarray(0, length));
    // A message whose record is empty is no answer at all.
    strictEqual(reason, length === 0 ? "hub" : "untrusted", `${length} bytes`);
  }
});

Deno.test("A record for another hub, for another name, or past its time is not believed", () => {
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, { hub: "other.example" })).reason, "untrusted");
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, { name: "eve" })).reason, "untrusted");
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, { name: undefined })).reason, "untrusted");
  const past = EPOCH_MS - MAX_CLOCK_SKEW_MS;
  const old = { issuedAt: past - RECORD_LIFETIME_MS, expiresAt: past };
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, old)).reason, "expired");
  const early = EPOCH_MS + MAX_CLOCK_SKEW_MS + 1;
  const future = { issuedAt: early, expiresAt: early + RECORD_LIFETIME_MS };
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, future)).reason, "expired");
  const endless = { issuedAt: EPOCH_MS, expiresAt: EPOCH_MS + RECORD_LIFETIME_MS + 1 };
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, endless)).reason, "expired");
});

Deno.test("A record whose X25519 key is of small order is not used (RFC 7748 §6.1)", () => {
  strictEqual(failureOf(BY_NAME, (record) => resigned(record, { recordKey: new Uint8Array(32) })).reason, "untrusted");
});

Deno.test("Swapped candidates and a slower Ta are changes of a signed record like any other", () => {
  const rewritten = (record: Uint8Array, changes: Partial<ListenerRecord>): Uint8Array => {
    const forged = resigned(record, changes, MALLORY.key);
    const { key } = openRecord(record)!.content;
    // Bob's key again, Mallory's signature.
    const at = forged.findIndex((_, i) => MALLORY.key.publicKey.bytes.every((byte, j) => forged[i + j] === byte));
    forged.set(key, at);
    return forged;
  };
  for (const changes of [{ candidates: [candidate("192.0.2.66")] }, { taMs: 255 }, { taMs: undefined }]) {
    strictEqual(failureOf(BY_NAME, (record) => rewritten(record, changes)).reason, "untrusted");
  }
});

Deno.test("An older record than the one in hand changes nothing", () => {
  const { exchange, bob } = world();
  let first: Uint8Array | undefined;
  answerWith(exchange, (record) => first ??= record);
  call(exchange, BY_NAME);
  exchange.callerEvents("alice");
  exchange.advanceTo(1000);
  bob.publish([candidate("198.51.100.3")], exchange.now);
  exchange.run();
  deepStrictEqual(exchange.callerEvents("alice"), []);
});

Deno.test("A hub that changes any byte of the offer gets nothing from the listener", () => {
  const { exchange } = world();
  let length = 0;
  offerWith(exchange, (offer) => (length = offer.length, offer));
  call(exchange, BY_NAME);
  for (let at = 0; at < length; at++) {
    deepStrictEqual(refusalsOf((offer) => offer.with(at, offer[at]! ^ 0x80)), [["forged", 1]], `byte ${at}`);
  }
});

Deno.test("An offer for another hub, another name or another key is refused", () => {
  deepStrictEqual(refusalsOf((offer) => reofferred(offer, { hub: "other.example" })), [["misdirected", 1]]);
  deepStrictEqual(refusalsOf((offer) => reofferred(offer, { calleeName: "eve" })), [["misdirected", 1]]);
  const calleeKeyId = keyIdOf(MALLORY.key.publicKey.bytes);
  deepStrictEqual(refusalsOf((offer) => reofferred(offer, { calleeKeyId })), [["misdirected", 1]]);
});

Deno.test("An offer past its time, from the future or with an endless life is refused", () => {
  const past = EPOCH_MS - MAX_CLOCK_SKEW_MS;
  for (
    const changes of [
      { issuedAt: past - 1, expiresAt: past },
      { issuedAt: EPOCH_MS + MAX_CLOCK_SKEW_MS + 1, expiresAt: EPOCH_MS + MAX_CLOCK_SKEW_MS + 2 },
      { issuedAt: EPOCH_MS, expiresAt: EPOCH_MS + OFFER_LIFETIME_MS + 1 },
    ]
  ) deepStrictEqual(refusalsOf((offer) => reofferred(offer, changes)), [["expired", 1]]);
});

Deno.test("An offer whose X25519 key is of small order is refused (RFC 7748 §6.1)", () => {
  deepStrictEqual(refusalsOf((offer) => reofferred(offer, { oneTimeKey: new Uint8Array(32) })), [["forged", 1]]);
});

Deno.test("An offer played again is refused for as long as it would be believed", () => {
  const { exchange, bob } = world();
  let recorded: string | undefined;
  exchange.tamper = (text, direction, client) => {
    if (direction === "from-hub" && client === "bob" && decodeHubMessage(text)?.t === "offer") recorded = text;
    return text;
  };
  call(exchange, BY_NAME);
  strictEqual(eventsOf(exchange.listenerEvents("bob"), "offer").length, 1);
  for (let i = 1; i <= 3; i++) {
    bob.handleMessage(recorded!, exchange.now);
    exchange.run();
    deepStrictEqual([...bob.refusals], [["replayed", i]]);
    exchange.advanceTo(exchange.now + 40_000);
  }
  exchange.advanceTo(OFFER_LIFETIME_MS + MAX_CLOCK_SKEW_MS - 1);
  bob.handleMessage(recorded!, exchange.now);
  deepStrictEqual([...bob.refusals], [["replayed", 4]]);
  exchange.advanceTo(OFFER_LIFETIME_MS + MAX_CLOCK_SKEW_MS);
  bob.handleMessage(recorded!, exchange.now);
  deepStrictEqual([...bob.refusals], [["replayed", 4], ["expired", 1]]);
});

Deno.test("A caller played again by the hub under another key is not admitted by a list", () => {
  const { exchange, bob } = world({ any: false, keys: [contextOf(1).key.publicKey.bytes] });
  offerWith(exchange, (offer) => reofferred(offer, {}, MALLORY.key));
  call(exchange, BY_NAME);
  deepStrictEqual([...bob.refusals], [["denied", 1]]);
});

Deno.test("A ticket's tag, which the hub knows, does not admit without the proof, which it does not", () => {
  const { exchange, bob } = world({ any: false, keys: [] });
  let stolen: Offer["ticket"];
  offerWith(exchange, (bytes) => {
    stolen = openOffer(bytes)!.content.ticket;
    // The hub calls for itself, with a one-time key whose other half it knows.
    return reofferred(bytes, { oneTimeKey: X25519KeyPair.generate(MALLORY.random).publicKey }, MALLORY.key);
  });
  call(exchange, BY_TICKET);
  ok(stolen !== undefined);
  deepStrictEqual([...bob.refusals], [["denied", 1]]);
  deepStrictEqual(eventsOf(exchange.listenerEvents("bob"), "offer"), []);
});

Deno.test("A hub that hands out the record to whom it likes gains nobody admission", () => {
  const { exchange, bob } = world({ any: false, keys: [] });
  let record: Uint8Array | undefined;
  exchange.tamper = (text, direction) => {
    const sent = direction === "to-hub" ? decodeClientMessage(text) : decodeHubMessage(text);
    if (sent?.t === "register") record = sent.record;
    return text;
  };
  exchange.advanceTo(1000);
  bob.publish([candidate("198.51.100.2")], exchange.now);
  exchange.run();
  answerWith(exchange, (handed) => handed);
  exchange.tamper = (text, direction) =>
    direction === "from-hub" && decodeHubMessage(text)?.t === "forwarded"
      ? encodeMessage({ t: "answer", record: record!, stun: [] })
      : text;
  call(exchange, BY_NAME);
  deepStrictEqual([...bob.refusals], [["denied", 1]]);
  deepStrictEqual(eventsOf(exchange.listenerEvents("bob"), "offer"), []);
});

Deno.test("Later candidates that the caller did not sign, or that come again, are refused and counted", () => {
  const { exchange, bob } = world();
  const caller = call(exchange, BY_NAME);
  exchange.listenerEvents("bob");
  const seen: string[] = [];
  exchange.tamper = (text, direction) => {
    const message = direction === "from-hub" ? decodeHubMessage(text) : undefined;
    if (message?.t !== "candidates") return text;
    seen.push(text);
    return encodeMessage({ ...message, candidates: message.candidates.with(20, message.candidates[20]! ^ 1) });
  };
  caller.addCandidates([candidate("203.0.113.2")], 0);
  exchange.run();
  deepStrictEqual([...bob.refusals], [["forged", 1]]);
  bob.handleMessage(seen[0]!, 0);
  bob.handleMessage(seen[0]!, 0);
  deepStrictEqual([...bob.refusals], [["forged", 1], ["replayed", 1]]);
  strictEqual(eventsOf(exchange.listenerEvents("bob"), "candidates").length, 0);
  exchange.run();
  strictEqual(eventsOf(exchange.listenerEvents("bob"), "candidates").length, 1);
});

Deno.test("Nonsense from a hub fails a call that waits, and does nothing to a listener or to a call that is answered", () => {
  for (const nonsense of ["", "{", "null", "[]", '{"t":"nonsense"}', '{"t":"answer"}', "x".repeat(8193)]) {
    const { exchange, bob } = world();
    exchange.tamper = (text, direction) => (direction === "from-hub" ? nonsense : text);
    const caller = call(exchange, BY_NAME);
    strictEqual(eventsOf(exchange.callerEvents("alice"), "failed")[0]?.reason, "hub");
    bob.handleMessage(nonsense, 0);
    strictEqual(bob.pollEvent(), undefined);
    caller.handleMessage(nonsense, 0);
    strictEqual(caller.pollEvent(), undefined);
  }
});

Deno.test("A hub of another version is named as such", () => {
  const { exchange } = world();
  exchange.tamper = (text, direction) => (direction === "from-hub" ? '{"v":2,"t":"answer"}' : text);
  call(exchange, BY_NAME);
  const [failed] = eventsOf(exchange.callerEvents("alice"), "failed");
  strictEqual(failed!.reason, "hub");
  ok(failed!.message.includes("another version"));
});
