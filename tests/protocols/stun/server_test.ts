import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex } from "../../../protocols/core/bytes.ts";
import { decodeStun, encodeStun } from "../../../protocols/stun/npm_stun.ts";
import { respondToBinding } from "../../../protocols/stun/server.ts";
import { RFC5769_2_1_REQUEST, RFC5769_2_2_IPV4_RESPONSE } from "../../vectors/rfc5769_vectors.ts";

const SERVER = addressOf("192.0.2.1", 3478);
const transactionId = fromHex("0102030405060708090a0b0c");
const sources = [addressOf("203.0.113.7", 50000), addressOf("2001:db8::7", 50000)];

Deno.test("STUN server tells where a request came from, in at most three times its bytes (RFC 8489 §6.3)", () => {
  for (const source of sources) {
    for (const fingerprint of [false, true]) {
      const request = encodeStun({ class: "request", transactionId, fingerprint });
      const answer = respondToBinding(request, source, SERVER)!.payload;
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
  strictEqual(decodeStun(respondToBinding(RFC5769_2_1_REQUEST, sources[0]!, SERVER)!.payload).ok, true);
});

Deno.test("STUN server refuses what it does not know (RFC 8489 §6.3.1)", () => {
  const request = fromHex("00010008 2112a442 0102030405060708090a0b0c 7ffe0004 00000000");
  const answer = respondToBinding(request, sources[0]!, SERVER)!.payload;
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
  for (const payload of silent) strictEqual(respondToBinding(payload, sources[0]!, SERVER), undefined);
  const request = encodeStun({ class: "request", transactionId });
  for (let end = 0; end < request.length; end++) {
    strictEqual(respondToBinding(request.subarray(0, end), sources[0]!, SERVER), undefined);
  }
});

Deno.test("STUN server that cannot answer from elsewhere does not know CHANGE-REQUEST (RFC 5780 §7.2)", () => {
  const request = encodeStun({ class: "request", transactionId, changeRequest: { host: true, port: false } });
  const answer = respondToBinding(request, sources[0]!, SERVER)!;
  strictEqual(answer.origin, SERVER);
  const message = decodeStun(answer.payload);
  if (!message.ok) throw new Error(message.reason);
  strictEqual(message.error?.code, 420);
});

Deno.test("STUN server of two addresses says where it is, and answers from where it is asked to (RFC 5780 §7)", () => {
  const other = addressOf("192.0.2.2", 3479);
  const origins = { other, changed: ({ host }: { readonly host: boolean }) => host ? other : undefined };
  const plain = respondToBinding(encodeStun({ class: "request", transactionId }), sources[0]!, SERVER, origins)!;
  strictEqual(plain.origin, SERVER);
  const told = decodeStun(plain.payload);
  if (!told.ok) throw new Error(told.reason);
  strictEqual(told.otherAddress, other);
  strictEqual(told.mappedAddress, sources[0]);
  // RESPONSE-ORIGIN 192.0.2.1:3478.
  ok(Array.from(plain.payload).join().includes(Array.from(fromHex("802b0008 00010d96 c0000201")).join()));
  const changed = encodeStun({ class: "request", transactionId, changeRequest: { host: true, port: true } });
  strictEqual(respondToBinding(changed, sources[0]!, SERVER, origins)!.origin, other);
  const other420 = encodeStun({ class: "request", transactionId, changeRequest: { host: false, port: true } });
  strictEqual(respondToBinding(other420, sources[0]!, SERVER, origins)!.origin, SERVER);
});

Deno.test("CHANGE-REQUEST and OTHER-ADDRESS are read as they are written, and refused cut short (RFC 5780 §7)", () => {
  for (const otherAddress of [addressOf("192.0.2.2", 3479), addressOf("2001:db8::2", 3479)]) {
    const changeRequest = { host: true, port: true };
    const bytes = encodeStun({ class: "request", transactionId, changeRequest, otherAddress });
    const message = decodeStun(bytes);
    if (!message.ok) throw new Error(message.reason);
    deepStrictEqual([message.changeRequest, message.otherAddress], [changeRequest, otherAddress]);
    for (let end = 0; end < bytes.length; end++) strictEqual(decodeStun(bytes.subarray(0, end)).ok, false);
  }
  const wrong = fromHex("0001000c 2112a442 0102030405060708090a0b0c 00030008 0000000000000006");
  strictEqual(decodeStun(wrong).ok, false);
});
