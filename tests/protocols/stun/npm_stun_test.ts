import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { addressOf } from "../../../protocols/core/address.ts";
import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
import { crc32 } from "../../../protocols/stun/crc32.ts";
import {
  decodeStun,
  encodeStun,
  isAuthentic,
  type StunFields,
  type StunMessage,
} from "../../../protocols/stun/npm_stun.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import {
  RFC5769_2_1_REQUEST,
  RFC5769_2_4_LONG_TERM_REQUEST,
  RFC5769_2_4_PASSWORD,
  RFC5769_ALL,
} from "../../vectors/rfc5769_vectors.ts";

const ID = fromHex("000102030405060708090a0b");
const KEY = new TextEncoder().encode("a password of 24 letters");
const TIEBREAKER = fromHex("fedcba9876543210");

Deno.test("CRC-32 gives the check value of its catalogue entry", () => {
  strictEqual(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

Deno.test("STUN messages come back as they were said", () => {
  const request = roundTrip({
    class: "request",
    transactionId: ID,
    username: "remote:local",
    priority: 0x7effffff,
    useCandidate: true,
    iceControlling: TIEBREAKER,
    integrityKey: KEY,
  });
  strictEqual(request.class, "request");
  deepStrictEqual(request.transactionId, ID);
  strictEqual(request.username, "remote:local");
  strictEqual(request.priority, 0x7effffff);
  strictEqual(request.useCandidate, true);
  deepStrictEqual(request.iceControlling, TIEBREAKER);
  strictEqual(request.iceControlled, undefined);
  strictEqual(request.hasIntegrity, true);
  strictEqual(request.hasFingerprint, true);
  const indication = roundTrip({ class: "indication", transactionId: ID });
  strictEqual(indication.hasIntegrity, false);
  strictEqual(indication.useCandidate, false);
});

Deno.test("STUN carries addresses of both families XORed (RFC 8489 §14.2)", () => {
  const addresses = [
    ["192.0.2.1", 1],
    ["33.18.164.66", 8466], // XORs to zero, all of it
    ["2001:db8::1", 65535],
    ["::1", 4433],
  ] as const;
  for (const [host, port] of addresses) {
    const xorMappedAddress = addressOf(host, port);
    const message = roundTrip({ class: "success", transactionId: ID, xorMappedAddress });
    strictEqual(message.mappedAddress, xorMappedAddress);
  }
  const linkLocal = roundTrip({ class: "success", transactionId: ID, xorMappedAddress: addressOf("fe80::1%eth0", 9) });
  strictEqual(linkLocal.mappedAddress, addressOf("fe80::1", 9));
});

Deno.test("STUN reads class and number of an error (RFC 8489 §14.8)", () => {
  for (const code of [300, 400, 401, 420, 438, 487, 500, 699]) {
    const message = roundTrip({ class: "error", transactionId: ID, error: { code, reason: "why not" } });
    deepStrictEqual(message.error, { code, reason: "why not" });
  }
});

Deno.test("STUN ignores what follows MESSAGE-INTEGRITY but FINGERPRINT (RFC 8489 §14.5)", () => {
  const authentic = encodeStun({
    class: "request",
    transactionId: ID,
    username: "a:b",
    integrityKey: KEY,
    fingerprint: false,
  });
  // USE-CANDIDATE, an unknown attribute that would have to be understood, a PRIORITY of no length.
  const appended = concatBytes(authentic, fromHex("00250000 7fff0000 00240000"));
  appended[3] = appended.length - 20;
  const message = decoded(appended);
  strictEqual(message.useCandidate, false);
  strictEqual(message.priority, undefined);
  deepStrictEqual(message.unknownRequired, []);
  ok(isAuthentic(appended, message, KEY));
});

Deno.test("STUN authenticates the received bytes, not what was understood of them (RFC 8489 §14.5)", () => {
  // RFC 5769 §2.4, because it has no FINGERPRINT that would notice first.
  const identity = `\u30de\u30c8\u30ea\u30c3\u30af\u30b9:example.org:${RFC5769_2_4_PASSWORD}`;
  const key = createHash("md5").update(identity).digest();
  ok(isAuthentic(RFC5769_2_4_LONG_TERM_REQUEST, decoded(RFC5769_2_4_LONG_TERM_REQUEST), key));
  for (let at = 0; at < RFC5769_2_4_LONG_TERM_REQUEST.length; at++) {
    const changed = RFC5769_2_4_LONG_TERM_REQUEST.slice();
    changed[at]! ^= 0x01;
    const message = decodeStun(changed);
    // The padding of USERNAME and REALM is covered too.
    if (message.ok) ok(!isAuthentic(changed, message, key), `byte ${at}`);
  }
});

Deno.test("STUN names attributes it would have to understand (RFC 8489 §6.3.1)", () => {
  const bytes = fromHex("00010010 2112a442 000102030405060708090a0b 7ffe0004 00000000 fffe0004 00000000");
  deepStrictEqual(decoded(bytes).unknownRequired, [0x7ffe]);
});

Deno.test("STUN looks at the first of equal attributes only (RFC 8489 §14)", () => {
  const bytes = fromHex("00010010 2112a442 000102030405060708090a0b 00240004 00000001 00240004 00000002");
  strictEqual(decoded(bytes).priority, 1);
});

Deno.test("STUN refuses wrong lengths with a reason", () => {
  const header = "2112a442 000102030405060708090a0b";
  const cases = [
    [`00010000 2112a443 000102030405060708090a0b`, "not STUN"],
    [`00010004 ${header} 00060001`, "an attribute ends after the message"],
    [`00010008 ${header} 00240003 00000001`, "an attribute has the wrong length"],
    [`01010008 ${header} 00200004 00010001`, "an attribute has the wrong length"],
    [`0101000c ${header} 00200008 0002a147 e112a643`, "an attribute has the wrong length"],
    [`00010004 ${header} 00080000`, "an attribute has the wrong length"],
    [`0001000c ${header} 80280004 00000000 00250000`, "FINGERPRINT is not last"],
    [`00010008 ${header} 80280004 00000000`, "wrong FINGERPRINT"],
  ] as const;
  for (const [hex, reason] of cases) deepStrictEqual(decodeStun(fromHex(hex)), { ok: false, reason });
  const long = new Uint8Array(20 + 1264);
  long.set(fromHex(`000104f0 ${header}`));
  deepStrictEqual(decodeStun(long), { ok: false, reason: "longer than a STUN message may be" });
});

Deno.test("STUN decoder never throws: truncations at every byte, every bit-flip, random attributes", () => {
  for (const [, bytes] of RFC5769_ALL) {
    for (let end = 0; end < bytes.length; end++) strictEqual(decodeStun(bytes.subarray(0, end)).ok, false);
    // Truncated with a length that fits, so that the attributes are looked at.
    for (let end = 20; end < bytes.length; end += 4) {
      const cut = bytes.slice(0, end);
      cut[3] = end - 20;
      decodeStun(cut);
    }
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      decodeStun(flipped);
    }
  }
  const seed = 5769;
  const random = seededRandom(seed);
  const types = [
    0x01,
    0x06,
    0x08,
    0x09,
    0x0a,
    0x14,
    0x15,
    0x20,
    0x24,
    0x25,
    0x8022,
    0x8029,
    0x802a,
    0x0c,
    0x12,
    0x8023,
  ];
  for (let round = 0; round < 5000; round++) {
    const bytes = random.fill(new Uint8Array(20 + 4 * (round % 24)));
    bytes.set(RFC5769_2_1_REQUEST.subarray(0, 8));
    bytes[2] = 0;
    bytes[3] = bytes.length - 20;
    for (let at = 20; at < bytes.length;) {
      const type = types[bytes[at]! % types.length]!;
      bytes[at] = type >> 8;
      bytes[at + 1] = type;
      bytes[at + 2] = 0;
      bytes[at + 3]! %= 24;
      at += 4 + ((bytes[at + 3]! + 3) & ~3);
    }
    try {
      decodeStun(bytes);
    } catch (error) {
      throw new Error(`Seed ${seed}, round ${round}`, { cause: error });
    }
  }
});

Deno.test("STUN encoder refuses what does not fit", () => {
  throws(() => encodeStun({ class: "request", transactionId: new Uint8Array(11) }), RangeError);
  throws(() => encodeStun({ class: "request", transactionId: ID, username: "x".repeat(509) }), RangeError);
  throws(() => encodeStun({ class: "request", transactionId: ID, priority: 0 }), RangeError);
  throws(() => encodeStun({ class: "request", transactionId: ID, priority: 2 ** 31 }), RangeError);
});

function decoded(bytes: Uint8Array): StunMessage {
  const message = decodeStun(bytes);
  if (!message.ok) throw new Error(message.reason);
  return message;
}

function roundTrip(fields: StunFields): StunMessage {
  const bytes = encodeStun(fields);
  const message = decoded(bytes);
  strictEqual(isAuthentic(bytes, message, KEY), fields.integrityKey !== undefined);
  return message;
}
