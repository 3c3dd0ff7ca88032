import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { toHex } from "../../protocols/core/bytes.ts";
import type { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import {
  CALL_HOLD_MS,
  Hub,
  IDLE_TIMEOUT_MS,
  MAX_CANDIDATE_MESSAGES,
  MAX_CLIENTS_PER_SOURCE,
  MAX_QUEUED_MESSAGES,
  MAX_UNANSWERED_CANDIDATE_MESSAGES,
  MESSAGE_BURST,
  REPLIES_PER_OFFER,
} from "../../service/hub.ts";
import { NAME_HOLD_MS } from "../../service/hub_directory.ts";
import {
  OFFER_BURST_PER_LISTENER,
  OFFER_BURST_PER_SOURCE_AND_LISTENER,
  OFFERS_PER_SECOND_PER_LISTENER,
  OFFERS_PER_SECOND_PER_SOURCE_AND_LISTENER,
} from "../../service/offer_limits.ts";
import { MAX_UNANSWERED_OFFERS } from "../../signaling/admission.ts";
import { encodeMessage } from "../../signaling/messages.ts";
import type { HubMessage } from "../../signaling/messages.ts";
import { keyIdOf } from "../../signaling/identity.ts";
import {
  callIdOf,
  MAX_CLOCK_SKEW_MS,
  RECORD_LIFETIME_MS,
  signOffer,
  signRecord,
  signRegistration,
} from "../../signaling/trust.ts";
import type { EarlyAdmission, ListenerRecord, Offer } from "../../signaling/trust.ts";
import { DEFAULT_DIAL_TIMEOUT_MS } from "../../transports/dial.ts";
import { offerOf, recordOf } from "../support/signed_things.ts";
import { contextOf, EPOCH_MS } from "../support/signaling_exchange.ts";

const BOB = contextOf(2).key;
const ALICE = contextOf(1).key;
const EVE = contextOf(3).key;
const ANY: EarlyAdmission = { any: true, keyIds: [], tags: [] };

/** A hub, and what it wants. */
class Bench {
  readonly hub = new Hub<string>({ stunServers: [":3478"], epochMs: EPOCH_MS });
  now = 0;

  open(client: string, source = "192.0.2.1"): void {
    this.hub.handleOpen(client, source, this.now);
  }

  /** Sends, and returns what the hub sends to whom. */
  say(client: string, message: string): string[] {
    this.hub.handleMessage(client, message, this.now);
    return this.sent();
  }

  sent(): string[] {
    const lines: string[] = [];
    for (let sent = this.hub.pollMessage(); sent !== undefined; sent = this.hub.pollMessage()) {
      const message: { readonly t: string; readonly reason?: string } = JSON.parse(sent.message);
      lines.push(`${sent.client} ${message.t}${message.reason === undefined ? "" : ` ${message.reason}`}`);
    }
    return lines;
  }

  disconnected(): string[] {
    const clients: string[] = [];
    for (let client = this.hub.pollDisconnect(); client !== undefined; client = this.hub.pollDisconnect()) {
      clients.push(client);
      this.hub.handleClosed(client, this.now);
    }
    return clients;
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (let step = 0; step < 100_000; step++) {
      const at = this.hub.pollTimeout();
      if (at === undefined || at > until) break;
      this.now = Math.max(this.now, at);
      this.hub.handleTimeout(this.now);
    }
    this.now = until;
  }
}

function register(
  key: Ed25519PrivateKey,
  changes: Partial<ListenerRecord> = {},
  admission: EarlyAdmission = ANY,
  signer: Ed25519PrivateKey = key,
): string {
  const record = signRecord({ ...recordOf(key), ...changes }, key);
  return encodeMessage({ t: "register", record, registration: signRegistration(record, admission, signer) });
}

function offerBytes(key: Ed25519PrivateKey, changes: Partial<Offer> = {}): Uint8Array {
  return signOffer({ ...offerOf(key), calleeKeyId: undefined, ticket: undefined, ...changes }, key);
}

function offer(key: Ed25519PrivateKey, changes: Partial<Offer> = {}): string {
  return encodeMessage({ t: "offer", offer: offerBytes(key, changes) });
}

/** Signed at `now`. */
function lateOffer(key: Ed25519PrivateKey, now: number, changes: Partial<Offer> = {}): string {
  const issuedAt = EPOCH_MS + Math.floor(now);
  return offer(key, { issuedAt, expiresAt: issuedAt + 30_000, ...changes });
}

function later(ms: number): Partial<ListenerRecord> {
  return { issuedAt: EPOCH_MS + ms, expiresAt: EPOCH_MS + ms + RECORD_LIFETIME_MS };
}

Deno.test("Hub registers whoever signs, and answers offers with the record", () => {
  const bench = new Bench();
  bench.open("bob");
  deepStrictEqual(bench.say("bob", register(BOB)), ["bob registered"]);
  bench.open("alice");
  deepStrictEqual(bench.say("alice", offer(ALICE)), ["alice answer", "bob offer"]);
  deepStrictEqual(bench.hub.sizes, { clients: 2, listeners: 1, names: 1, calls: 1 });
});

Deno.test("Hub finds a callee by name, by key, and by both only if they belong together", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  const bobId = keyIdOf(BOB.publicKey.bytes);
  const cases: readonly [Partial<Offer>, string][] = [
    [{ calleeName: "bob", calleeKeyId: undefined }, "answer"],
    [{ calleeName: undefined, calleeKeyId: bobId }, "answer"],
    [{ calleeName: "bob", calleeKeyId: bobId }, "answer"],
    [{ calleeName: "eve", calleeKeyId: bobId }, "refused unknown"],
    [{ calleeName: "bob", calleeKeyId: keyIdOf(EVE.publicKey.bytes) }, "refused unknown"],
    [{ calleeName: "eve", calleeKeyId: undefined }, "refused unknown"],
  ];
  for (const [index, [changes, expected]] of cases.entries()) {
    bench.open(`caller ${index}`);
    bench.now += 1000;
    const changed = { ...changes, oneTimeKey: new Uint8Array(32).fill(index) };
    strictEqual(bench.say(`caller ${index}`, offer(ALICE, changed))[0], `caller ${index} ${expected}`);
  }
});

Deno.test("Hub hands the record to admitted keys and to tickets whose tag it was told, and asks for others", () => {
  const bench = new Bench();
  const tag = new Uint8Array(16).fill(6);
  const admission = { any: false, keyIds: [keyIdOf(ALICE.publicKey.bytes)], tags: [tag] };
  bench.open("bob");
  bench.say("bob", register(BOB, {}, admission));
  for (const client of ["alice", "eve", "eve with ticket", "eve with another"]) bench.open(client);
  const proof = new Uint8Array(16);
  deepStrictEqual(bench.say("alice", offer(ALICE)), ["alice answer", "bob offer"]);
  deepStrictEqual(bench.say("eve", offer(EVE)), ["eve forwarded", "bob offer"]);
  deepStrictEqual(
    bench.say("eve with ticket", offer(EVE, { ticket: { tag, proof } })),
    ["eve with ticket answer", "bob offer"],
  );
  const other = { tag: tag.with(0, 0), proof };
  deepStrictEqual(bench.say("eve with another", offer(EVE, { ticket: other })), [
    "eve with another forwarded",
    "bob offer",
  ]);
});

Deno.test("Hub keeps a name for the key that took it, and for a day after its owner has left", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  bench.open("eve");
  deepStrictEqual(bench.say("eve", register(EVE)), ["eve error nameTaken"]);
  deepStrictEqual(bench.disconnected(), ["eve"]);
  bench.hub.handleClosed("bob", bench.now);
  bench.advance(NAME_HOLD_MS - 1);
  bench.open("eve");
  deepStrictEqual(bench.say("eve", register(EVE, later(bench.now))), ["eve error nameTaken"]);
  bench.disconnected();
  bench.advance(1);
  bench.open("eve");
  deepStrictEqual(bench.say("eve", register(EVE, later(bench.now))), ["eve registered"]);
});

Deno.test("Hub lets a key change its name, and frees the old one", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  deepStrictEqual(bench.say("bob", register(BOB, { ...later(1), name: "robert" })), ["bob registered"]);
  bench.open("eve");
  deepStrictEqual(bench.say("eve", register(EVE)), ["eve registered"]);
  deepStrictEqual(bench.hub.sizes.names, 2);
});

Deno.test("Hub takes a registration only from the record's key, and only a later one", () => {
  const bench = new Bench();
  bench.open("bob");
  const first = register(BOB);
  bench.say("bob", first);
  bench.open("eve");
  // The record alone, as every admitted caller has it, is not enough.
  deepStrictEqual(bench.say("eve", register(BOB, later(1), ANY, EVE)), ["eve error malformed"]);
  bench.disconnected();
  bench.open("eve");
  deepStrictEqual(bench.say("eve", first), ["eve error stale"]);
  bench.disconnected();
  // Nor when its owner is away.
  bench.hub.handleClosed("bob", bench.now);
  bench.open("eve");
  deepStrictEqual(bench.say("eve", first), ["eve error stale"]);
});

Deno.test("Hub believes no record that is past its time", () => {
  const bench = new Bench();
  bench.open("bob");
  deepStrictEqual(bench.say("bob", register(BOB, later(MAX_CLOCK_SKEW_MS + 1))), ["bob error stale"]);
  bench.disconnected();
  bench.open("bob");
  deepStrictEqual(bench.say("bob", register(BOB, later(-RECORD_LIFETIME_MS - MAX_CLOCK_SKEW_MS))), [
    "bob error stale",
  ]);
});

Deno.test("Hub gives a key that comes back on another connection its place, and ends the old one", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  bench.open("bob again");
  deepStrictEqual(bench.say("bob again", register(BOB, later(1))), ["bob error replaced", "bob again registered"]);
  deepStrictEqual(bench.disconnected(), ["bob"]);
  bench.open("alice");
  deepStrictEqual(bench.say("alice", offer(ALICE)), ["alice answer", "bob again offer"]);
});

Deno.test("Hub carries answers, refusals and candidates only between the two of a call", () => {
  const bench = new Bench();
  const nobody = { any: false, keyIds: [], tags: [] };
  for (const client of ["bob", "eve", "alice"]) bench.open(client);
  bench.say("bob", register(BOB, {}, nobody));
  bench.say("eve", register(EVE, { name: "eve" }));
  const bytes = offerBytes(ALICE);
  const id = callIdOf(bytes);
  bench.say("alice", encodeMessage({ t: "offer", offer: bytes }));
  const something = Uint8Array.of(1);
  const candidates = encodeMessage({ t: "candidates", call: id, candidates: something });
  const answer = encodeMessage({ t: "answer", call: id, record: something });
  const refuse = encodeMessage({ t: "refuse", call: id, reason: "denied" });
  for (const message of [candidates, answer, refuse]) deepStrictEqual(bench.say("eve", message), []);
  for (const message of [answer, refuse]) deepStrictEqual(bench.say("alice", message), []);
  deepStrictEqual(bench.say("bob", candidates), []);
  deepStrictEqual(bench.say("alice", candidates), ["bob candidates"]);
  deepStrictEqual(bench.say("bob", answer), ["alice answer"]);
  deepStrictEqual(bench.say("bob", refuse), ["alice refused denied"]);
  deepStrictEqual(bench.say("alice", candidates), []);
  strictEqual(bench.hub.sizes.calls, 0);
});

Deno.test("Hub carries 16 messages with candidates a call", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.open("alice");
  bench.say("bob", register(BOB));
  const bytes = offerBytes(ALICE);
  bench.say("alice", encodeMessage({ t: "offer", offer: bytes }));
  const message = encodeMessage({ t: "candidates", call: callIdOf(bytes), candidates: Uint8Array.of(1) });
  let carried = 0;
  for (let i = 0; i < 40; i++) carried += bench.say("alice", message).length;
  strictEqual(carried, MAX_CANDIDATE_MESSAGES);
});

Deno.test("Hub does not carry the same offer twice", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.open("alice");
  bench.open("eve");
  bench.say("bob", register(BOB));
  const message = offer(ALICE);
  deepStrictEqual(bench.say("alice", message), ["alice answer", "bob offer"]);
  deepStrictEqual(bench.say("eve", message), []);
  strictEqual(bench.hub.counters.get("replayed_offers"), 1);
});

Deno.test("Hub forgets calls after a minute, and callers' calls when they leave", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.open("alice");
  bench.say("bob", register(BOB));
  bench.say("alice", offer(ALICE));
  bench.advance(CALL_HOLD_MS);
  strictEqual(bench.hub.sizes.calls, 0);
  bench.now += 1;
  bench.say("alice", offer(ALICE, { issuedAt: EPOCH_MS + bench.now, expiresAt: EPOCH_MS + bench.now + 1000 }));
  strictEqual(bench.hub.sizes.calls, 1);
  bench.hub.handleClosed("alice", bench.now);
  strictEqual(bench.hub.sizes.calls, 0);
});

Deno.test("Hub tells callers who wait for a listener that it has left", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.open("alice");
  bench.say("bob", register(BOB, {}, { any: false, keyIds: [], tags: [] }));
  deepStrictEqual(bench.say("alice", offer(ALICE)), ["alice forwarded", "bob offer"]);
  bench.hub.handleClosed("bob", bench.now);
  deepStrictEqual(bench.sent(), ["alice refused unknown"]);
});

Deno.test("Hub disconnects who sends nonsense, another version or too much", () => {
  const bench = new Bench();
  for (const [client, message, reason] of [["a", "x", "malformed"], ["b", '{"v":2,"t":"ping"}', "version"]] as const) {
    bench.open(client);
    deepStrictEqual(bench.say(client, message), [`${client} error ${reason}`]);
    deepStrictEqual(bench.disconnected(), [client]);
  }
  bench.open("c");
  const ping = encodeMessage({ t: "ping" });
  for (let i = 0; i < MESSAGE_BURST; i++) deepStrictEqual(bench.say("c", ping), ["c pong"]);
  deepStrictEqual(bench.say("c", ping), ["c error limited"]);
  deepStrictEqual(bench.say("c", ping), []);
  deepStrictEqual(bench.disconnected(), ["c"]);
});

Deno.test("Hub disconnects a client whose messages nobody takes", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  for (let i = 0; i < MAX_QUEUED_MESSAGES + 10; i++) {
    bench.open(`caller ${i}`, `192.0.2.${i % 200}`);
    bench.hub.handleMessage(`caller ${i}`, lateOffer(contextOf(1000 + i).key, bench.now), bench.now);
    bench.now += 1000 / OFFERS_PER_SECOND_PER_LISTENER;
  }
  deepStrictEqual(bench.disconnected(), ["bob"]);
  strictEqual(bench.hub.counters.get("unsent_messages"), 1);
});

Deno.test("Hub takes four offers a second from one key", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  const answers: string[] = [];
  for (let i = 0; i < 6; i++) {
    bench.open(`alice ${i}`);
    const oneTimeKey = new Uint8Array(32).fill(i);
    answers.push(bench.say(`alice ${i}`, offer(ALICE, { oneTimeKey }))[0]!.slice(8));
  }
  deepStrictEqual(answers, ["answer", "answer", "answer", "answer", "refused limited", "refused limited"]);
});

/** Strangers' offers, each with a new key, `perSecond` of them from each source; Bob refuses all that reach him. */
class Flood {
  readonly bench: Bench;
  /** Offers that reached Bob. */
  forwarded = 0;
  #count = 0;

  constructor(bench: Bench) {
    this.bench = bench;
  }

  run(seconds: number, options: { readonly perSecond: number; readonly sources: readonly string[] }): void {
    const { bench } = this;
    for (let i = 0; i < seconds * options.perSecond; i++) {
      for (const source of options.sources) this.#strike(source);
      for (const gone of bench.disconnected()) ok(gone !== "bob", `Bob was thrown out after ${bench.now} ms`);
      bench.now += 1000 / options.perSecond;
    }
  }

  #strike(source: string): void {
    const { bench } = this;
    const client = `mallory ${this.#count++}`;
    bench.open(client, source);
    const call = offerBytes(contextOf(10_000 + this.#count).key, {
      issuedAt: EPOCH_MS + Math.floor(bench.now),
      expiresAt: EPOCH_MS + Math.floor(bench.now) + 30_000,
    });
    const sent = bench.say(client, encodeMessage({ t: "offer", offer: call }));
    // Gone before it is answered: the call is forgotten by then.
    bench.hub.handleClosed(client, bench.now);
    if (!sent.includes("bob offer")) return;
    this.forwarded++;
    bench.say("bob", encodeMessage({ t: "refuse", call: callIdOf(call), reason: "denied" }));
  }
}

Deno.test("Hub keeps a listener on whom one source presses 30 offers a second, and lets others through", () => {
  const bench = new Bench();
  bench.open("bob");
  const known = keyIdOf(ALICE.publicKey.bytes);
  bench.say("bob", register(BOB, {}, { any: false, keyIds: [known], tags: [] }));
  const flood = new Flood(bench);
  flood.run(20, { perSecond: 30, sources: ["192.0.2.66"] });
  const share = OFFER_BURST_PER_SOURCE_AND_LISTENER + 20 * OFFERS_PER_SECOND_PER_SOURCE_AND_LISTENER;
  ok(flood.forwarded <= share, `${flood.forwarded} offers reached Bob`);
  bench.open("alice", "192.0.2.66");
  deepStrictEqual(bench.say("alice", lateOffer(ALICE, bench.now)), ["alice answer", "bob offer"]);
  bench.open("neighbour", "192.0.2.66");
  deepStrictEqual(bench.say("neighbour", lateOffer(EVE, bench.now)), ["neighbour refused limited"]);
  bench.advance(500);
  bench.open("eve", "192.0.2.3");
  deepStrictEqual(bench.say("eve", lateOffer(EVE, bench.now)), ["eve forwarded", "bob offer"]);
});

Deno.test("Hub leaves a listener that admits everybody a place for others, however hard one source presses", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  const flood = new Flood(bench);
  // A flood all the time, and one that has saved up its burst.
  for (const quietMs of [0, 60_000]) {
    bench.advance(quietMs);
    const before = flood.forwarded;
    flood.run(Math.ceil(DEFAULT_DIAL_TIMEOUT_MS / 1000), { perSecond: 30, sources: ["192.0.2.66"] });
    ok(flood.forwarded - before < MAX_UNANSWERED_OFFERS, `${flood.forwarded - before} of Bob's places are taken`);
  }
  bench.open("eve", "192.0.2.3");
  deepStrictEqual(bench.say("eve", lateOffer(EVE, bench.now)), ["eve answer", "bob offer"]);
});

Deno.test("Hub keeps a listener on whom many sources press, and lets those through whom it admits", () => {
  const bench = new Bench();
  bench.open("bob");
  const tag = new Uint8Array(16).fill(6);
  bench.say("bob", register(BOB, {}, { any: false, keyIds: [keyIdOf(ALICE.publicKey.bytes)], tags: [tag] }));
  const flood = new Flood(bench);
  const sources = Array.from({ length: 30 }, (_, i) => `2001:db8:0:${i.toString(16)}::1`);
  flood.run(10, { perSecond: 2, sources });
  const most = OFFER_BURST_PER_LISTENER + 10 * OFFERS_PER_SECOND_PER_LISTENER;
  ok(flood.forwarded <= most, `${flood.forwarded} offers reached Bob`);
  bench.open("alice", sources[0]);
  deepStrictEqual(bench.say("alice", lateOffer(ALICE, bench.now)), ["alice answer", "bob offer"]);
  bench.open("eve", sources[1]);
  const ticket = { tag, proof: new Uint8Array(16) };
  deepStrictEqual(bench.say("eve", lateOffer(EVE, bench.now, { ticket })), ["eve answer", "bob offer"]);
  ok((bench.hub.counters.get("limited_offers") ?? 0) > 0);
});

Deno.test("Hub owes a listener four replies for each offer, and takes tokens for more", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.open("alice", "192.0.2.2");
  bench.say("bob", register(BOB));
  const bytes = offerBytes(ALICE);
  bench.say("alice", encodeMessage({ t: "offer", offer: bytes }));
  const answer = encodeMessage({ t: "answer", call: callIdOf(bytes), record: Uint8Array.of(1) });
  // One token went for the registration.
  const free = REPLIES_PER_OFFER + MESSAGE_BURST - 1;
  for (let i = 0; i < free; i++) deepStrictEqual(bench.say("bob", answer), ["alice answer"]);
  deepStrictEqual(bench.say("bob", answer), ["bob error limited"]);
});

Deno.test("Hub carries four messages with candidates to a listener that has not answered", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.open("alice");
  bench.say("bob", register(BOB, {}, { any: false, keyIds: [], tags: [] }));
  const bytes = offerBytes(ALICE);
  bench.say("alice", encodeMessage({ t: "offer", offer: bytes }));
  const message = encodeMessage({ t: "candidates", call: callIdOf(bytes), candidates: Uint8Array.of(1) });
  let carried = 0;
  for (let i = 0; i < 20; i++) carried += bench.say("alice", message).length;
  strictEqual(carried, MAX_UNANSWERED_CANDIDATE_MESSAGES);
  bench.say("bob", encodeMessage({ t: "answer", call: callIdOf(bytes), record: Uint8Array.of(1) }));
  deepStrictEqual(bench.say("alice", message), ["bob candidates"]);
});

Deno.test("Hub counts the connections of an IPv6 /64 together", () => {
  const bench = new Bench();
  for (let i = 0; i <= MAX_CLIENTS_PER_SOURCE; i++) bench.open(`client ${i}`, `2001:db8::${i.toString(16)}`);
  deepStrictEqual(bench.sent(), [`client ${MAX_CLIENTS_PER_SOURCE} error full`]);
  bench.open("neighbour", "2001:db8:0:1::1");
  bench.open("mapped", "::ffff:192.0.2.1");
  deepStrictEqual(bench.sent(), []);
});

Deno.test("Hub takes so many connections from one address, and disconnects who is silent", () => {
  const bench = new Bench();
  for (let i = 0; i <= MAX_CLIENTS_PER_SOURCE; i++) bench.open(`client ${i}`);
  deepStrictEqual(bench.sent(), [`client ${MAX_CLIENTS_PER_SOURCE} error full`]);
  deepStrictEqual(bench.disconnected(), [`client ${MAX_CLIENTS_PER_SOURCE}`]);
  bench.open("elsewhere", "192.0.2.2");
  bench.advance(IDLE_TIMEOUT_MS + 10_000);
  strictEqual(bench.disconnected().length, MAX_CLIENTS_PER_SOURCE + 1);
  deepStrictEqual(bench.hub.sizes, { clients: 0, listeners: 0, names: 0, calls: 0 });
  bench.advance(10_000);
  strictEqual(bench.hub.pollTimeout(), undefined);
});

Deno.test("Hub forgets records of those who left when they expire", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.say("bob", register(BOB));
  bench.hub.handleClosed("bob", bench.now);
  bench.advance(RECORD_LIFETIME_MS + 10_000);
  deepStrictEqual(bench.hub.sizes, { clients: 0, listeners: 0, names: 1, calls: 0 });
  bench.advance(NAME_HOLD_MS);
  deepStrictEqual(bench.hub.sizes, { clients: 0, listeners: 0, names: 0, calls: 0 });
});

Deno.test("Hub answers a registration and an offer with its STUN servers", () => {
  const bench = new Bench();
  bench.open("bob");
  bench.hub.handleMessage("bob", register(BOB), 0);
  const sent = bench.hub.pollMessage()!;
  const message: HubMessage = JSON.parse(sent.message);
  ok(message.t === "registered");
  deepStrictEqual(message.stun, [":3478"]);
});

Deno.test("Hub names its relays to listeners, with leave for their key that it renews in time", () => {
  const bench = new Bench();
  const asked: string[] = [];
  const hub = new Hub<string>({
    stunServers: [],
    epochMs: EPOCH_MS,
    relaysFor: (key, now) => {
      asked.push(`${toHex(key).slice(0, 4)} ${now}`);
      return [{ url: "https://192.0.2.1:4433", token: `T${now}` }];
    },
  });
  const heard = (text: string, now: number): unknown => {
    hub.handleMessage("bob", text, now);
    const sent = hub.pollMessage();
    strictEqual(hub.pollMessage(), undefined);
    return sent === undefined ? undefined : JSON.parse(sent.message);
  };
  hub.handleOpen("bob", "192.0.2.1", bench.now);
  const ping = encodeMessage({ t: "ping" });
  // Only whoever has registered is told.
  deepStrictEqual(heard(ping, 0), { t: "pong" });
  const relays = (token: string): unknown => [{ url: "https://192.0.2.1:4433", token }];
  deepStrictEqual(heard(register(BOB), 0), { t: "registered", stun: [], relays: relays("T0") });
  deepStrictEqual(heard(ping, 30_000), { t: "pong" });
  deepStrictEqual(heard(ping, 149_999), { t: "pong" });
  deepStrictEqual(heard(ping, 150_000), { t: "pong", relays: relays("T150000") });
  deepStrictEqual(heard(ping, 180_000), { t: "pong" });
  const key = toHex(BOB.publicKey.bytes).slice(0, 4);
  deepStrictEqual(asked, [`${key} 0`, `${key} 150000`]);
});
