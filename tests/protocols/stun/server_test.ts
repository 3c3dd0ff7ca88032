import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex } from "../../../protocols/core/bytes.ts";
import { decodeStun, encodeStun } from "../../../protocols/stun/npm_stun.ts";
import { respondToBinding } from "../../../protocols/stun/server.ts";
import { RFC5769_2_1_REQUEST, RFC5769_2_2_IPV4_RESPONSE } from "../../vectors/rfc5769_vectors.ts";

const transactionId = fromHex("0102030405060708090a0b0c");
const sources = [addressOf("203.0.113.7", 50000), addressOf("2001:db8::7", 50000)];

Deno.test("STUN server tells where a request came from, in at most three times its bytes (RFC 8489 §6.3)", () => {
  for (const source of sources) {
    for (const fingerprint of [false, true]) {
      const request = encodeStun({ class: "request", transactionId, fingerprint });
      const answer = respondToBinding(request, source)!;
      ok(answer.length <= 3 * request.length);
      const message = decodeStun(answer);
      if (!message.ok) throw new Error(message.reason);
      strictEqual(message.class, "success");
      deepStrictEqual(message.transactionId, transactionId);
      strictEqual(message.mappedAddress, source);
      strictEqual(message.hasFingerprint, fingerprint);
    }
  }
});

Deno.test("STUN server answers a request that authenticates itself without looking at that", () => {
  strictEqual(decodeStun(respondToBinding(RFC5769_2_1_REQUEST, sources[0]!)!).ok, true);
});

Deno.test("STUN server refuses what it does not know (RFC 8489 §6.3.1)", () => {
  const request = fromHex("00010008 2112a442 0102030405060708090a0b0c 7ffe0004 00000000");
  const answer = respondToBinding(request, sources[0]!)!;
  ok(answer.length <= 3 * request.length);
  const message = decodeStun(answer);
  if (!message.ok) throw new Error(message.reason);
  deepStrictEqual(message.error, { code: 420, reason: "Unknown Attribute" });
  // UNKNOWN-ATTRIBUTES with one type and its padding.
  ok(Array.from(answer).join().includes(Array.from(fromHex("000a0002 7ffe0000")).join()));
});

Deno.test("STUN server is silent to everything else", () => {
  const silent = [
    new Uint8Array(0),
    RFC5769_2_2_IPV4_RESPONSE,
    encodeStun({ class: "indication", transactionId }),
    encodeStun({ class: "request", method: 3, transactionId }),
    fromHex("00010008 2112a442 0102030405060708090a0b0c 80280004 00000000"),
  ];
  for (const payload of silent) strictEqual(respondToBinding(payload, sources[0]!), undefined);
  const request = encodeStun({ class: "request", transactionId });
  for (let end = 0; end < request.length; end++) {
    strictEqual(respondToBinding(request.subarray(0, end), sources[0]!), undefined);
  }
});
