import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { keyIdOf } from "../../signaling/identity.ts";
import { encodeMessage } from "../../signaling/messages.ts";
import { MESSAGE_HEADER_ROOM_BYTES, offerOf, recordOf } from "../support/signed_things.ts";
import { isSignedBy, readFields, sealFields } from "../../signaling/signed.ts";
import {
  isCurrent,
  MAX_CLOCK_SKEW_MS,
  MAX_EARLY_ADMISSIONS,
  openLaterCandidates,
  openOffer,
  openRecord,
  openRegistration,
  signLaterCandidates,
  signOffer,
  signRecord,
  signRegistration,
} from "../../signaling/trust.ts";
import { candidate, contextOf } from "../support/signaling_exchange.ts";

const { key } = contextOf(1);
const RECORD = recordOf(key);
const OFFER = offerOf(key);

Deno.test("A record survives being signed and opened", () => {
  const bytes = signRecord(RECORD, key);
  deepStrictEqual(openRecord(bytes), { content: RECORD, bytes });
  const sparse = { ...RECORD, name: undefined, taMs: undefined, candidates: [] };
  deepStrictEqual(openRecord(signRecord(sparse, key))!.content, sparse);
});

Deno.test("An offer survives being signed and opened", () => {
  const bytes = signOffer(OFFER, key);
  deepStrictEqual(openOffer(bytes), { content: OFFER, bytes });
  const sparse = { ...OFFER, calleeKeyId: undefined, taMs: undefined, ticket: undefined };
  deepStrictEqual(openOffer(signOffer(sparse, key))!.content, sparse);
});

Deno.test("The longest offer and record fit into a header", () => {
  const candidates = Array.from({ length: 12 }, (_, i) => candidate(`2001:db8::${i + 1}`));
  const hub = `${"h".repeat(120)}:65535`;
  const offer = signOffer({ ...OFFER, hub, candidates, calleeName: "n".repeat(63) }, key);
  ok(encodeMessage({ t: "offer", offer }).length * 4 / 3 < MESSAGE_HEADER_ROOM_BYTES);
  const record = signRecord({ ...RECORD, hub, candidates }, key);
  const registration = signRegistration(record, { any: false, keyIds: [], tags: [new Uint8Array(16)] }, key);
  ok(encodeMessage({ t: "register", record, registration }).length * 4 / 3 < MESSAGE_HEADER_ROOM_BYTES);
});

Deno.test("An offer without a callee is none", () => {
  strictEqual(openOffer(signOffer({ ...OFFER, calleeName: undefined, calleeKeyId: undefined }, key)), undefined);
});

Deno.test("Signed things cut short at any byte, or with any byte changed, are none", () => {
  const record = signRecord(RECORD, key);
  const registration = signRegistration(record, { any: true, keyIds: [keyIdOf(RECORD.key)], tags: [] }, key);
  const later = signLaterCandidates({ call: "c", sequence: 1, candidates: [candidate("192.0.2.1")] }, key);
  const opened = openRecord(record)!;
  const things: readonly [Uint8Array, (bytes: Uint8Array) => unknown][] = [
    [record, openRecord],
    [signOffer(OFFER, key), openOffer],
    [later, (bytes) => openLaterCandidates(bytes, RECORD.key)],
    [registration, (bytes) => openRegistration(bytes, opened)],
  ];
  for (const [bytes, open] of things) {
    ok(open(bytes) !== undefined);
    for (let i = 0; i < bytes.length; i++) {
      strictEqual(open(bytes.subarray(0, i)), undefined);
      strictEqual(open(bytes.with(i, bytes[i]! ^ 0x10)), undefined);
    }
    strictEqual(open(new Uint8Array([...bytes, 0])), undefined);
  }
});

Deno.test("A signature of one kind of thing does not pass for another", () => {
  const fields = readFields(signOffer(OFFER, key))!;
  const bytes = sealFields("record", fields, key);
  ok(isSignedBy(OFFER.callerKey, "record", bytes));
  strictEqual(openOffer(bytes), undefined);
});

Deno.test("Fields nobody knows are passed over, and signed with the rest", () => {
  const fields = new Map(readFields(signRecord(RECORD, key))!);
  fields.set(200, Uint8Array.of(1, 2, 3));
  const bytes = sealFields("record", fields, key);
  deepStrictEqual(openRecord(bytes)!.content, RECORD);
  strictEqual(openRecord(bytes.with(bytes.length - 65, 9)), undefined);
});

Deno.test("Fields of a wrong length or content are refused", () => {
  const good = readFields(signRecord(RECORD, key))!;
  const changes: readonly [number, Uint8Array][] = [
    [1, new Uint8Array(0)],
    [1, new Uint8Array(129).fill(0x61)],
    [1, Uint8Array.of(0xff)],
    [2, new TextEncoder().encode("Upper")],
    [2, new TextEncoder().encode("TVticket")],
    [2, new TextEncoder().encode("a b")],
    [3, new Uint8Array(31)],
    [4, new Uint8Array(33)],
    [5, Uint8Array.of(0)],
    [5, Uint8Array.of(1, 2)],
    [6, Uint8Array.of(0, 4, 0, 1, 192, 0, 2)],
    [6, Uint8Array.of(4, 4, 0, 1, 192, 0, 2, 1)],
    [6, Uint8Array.of(0, 5, 0, 1, 192, 0, 2, 1)],
    [6, new Uint8Array(13 * 8).map((_, i) => [0, 4, 1, 1, 192, 0, 2, 1][i % 8]!)],
    [7, new Uint8Array(5)],
    [8, new Uint8Array(7)],
  ];
  for (const [type, value] of changes) {
    const fields = new Map(good).set(type, value);
    strictEqual(openRecord(sealFields("record", fields, key)), undefined, `field ${type}: ${value}`);
  }
  for (const type of [1, 3, 4, 6, 7, 8]) {
    const fields = new Map(good);
    fields.delete(type);
    strictEqual(openRecord(sealFields("record", fields, key)), undefined, `no field ${type}`);
  }
});

Deno.test("A key that is no point of the curve signs nothing", () => {
  const bytes = signRecord({ ...RECORD, key: new Uint8Array(32).fill(0xff) }, key);
  strictEqual(openRecord(bytes), undefined);
});

Deno.test("A registration is for one record, and holds 100 admissions", () => {
  const record = openRecord(signRecord(RECORD, key))!;
  const other = openRecord(signRecord({ ...RECORD, issuedAt: RECORD.issuedAt + 1 }, key))!;
  const keyIds = Array.from({ length: MAX_EARLY_ADMISSIONS }, (_, i) => new Uint8Array(16).fill(i));
  const bytes = signRegistration(record.bytes, { any: false, keyIds, tags: [] }, key);
  deepStrictEqual(openRegistration(bytes, record)!.admission, { any: false, keyIds, tags: [] });
  strictEqual(openRegistration(bytes, other), undefined);
  const tooMany = { any: false, keyIds, tags: [new Uint8Array(16)] };
  strictEqual(openRegistration(signRegistration(record.bytes, tooMany, key), record), undefined);
  const stranger = Ed25519PrivateKey.generate(contextOf(2).random);
  strictEqual(openRegistration(signRegistration(record.bytes, { ...tooMany, tags: [] }, stranger), record), undefined);
});

Deno.test("What is too long to be signed is the caller's mistake", () => {
  throws(() => sealFields("offer", new Map([[1, new Uint8Array(4000)]]), key), RangeError);
});

Deno.test("Things are current between issue and expiry, give or take two minutes", () => {
  const thing = { issuedAt: 1_000_000, expiresAt: 1_030_000 };
  strictEqual(isCurrent(thing, 1_000_000 - MAX_CLOCK_SKEW_MS - 1, 30_000), false);
  strictEqual(isCurrent(thing, 1_000_000 - MAX_CLOCK_SKEW_MS, 30_000), true);
  strictEqual(isCurrent(thing, 1_030_000 + MAX_CLOCK_SKEW_MS - 1, 30_000), true);
  strictEqual(isCurrent(thing, 1_030_000 + MAX_CLOCK_SKEW_MS, 30_000), false);
  strictEqual(isCurrent(thing, 1_010_000, 29_999), false);
});
