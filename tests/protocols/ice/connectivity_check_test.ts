import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex } from "../../../protocols/core/bytes.ts";
import {
  encodeCheck,
  encodeCheckError,
  encodeCheckSuccess,
  grantCheck,
  integrityKeyOf,
  readRequest,
} from "../../../protocols/ice/connectivity_check.ts";
import { resolveConflict } from "../../../protocols/ice/role.ts";
import type { IceRole } from "../../../protocols/ice/types.ts";
import { StunError } from "../../../protocols/stun/errors.ts";
import { decodeStun, encodeStun, isAuthentic, type StunFields } from "../../../protocols/stun/npm_stun.ts";

const alice = { ufrag: "alicefrag", password: "the password of alice, long" };
const bob = { ufrag: "bobfrag", password: "the password of bob, long" };
const transactionId = fromHex("000102030405060708090a0b");
const bobKey = integrityKeyOf(bob);
const source = addressOf("203.0.113.1", 40000);

const check = encodeCheck({
  transactionId,
  local: alice,
  remote: bob,
  remoteKey: bobKey,
  priority: 1862270975,
  role: "controlling",
  tiebreaker: fromHex("0123456789abcdef"),
  useCandidate: true,
});

Deno.test("Check carries what the peer needs, under the peer's password (RFC 8445 §7.2.2)", () => {
  const request = readRequest(check, bob, bobKey);
  if (!request.ok) throw new Error(request.reason);
  strictEqual(request.message.username, "bobfrag:alicefrag");
  deepStrictEqual(grantCheck(request.message), {
    priority: 1862270975,
    useCandidate: true,
    role: "controlling",
    tiebreaker: fromHex("0123456789abcdef"),
  });
});

Deno.test("Check is answered under our own password (RFC 8445 §7.3.1.2)", () => {
  const request = readRequest(check, bob, bobKey);
  if (!request.ok) throw new Error(request.reason);
  const success = encodeCheckSuccess(request.message, source, bobKey);
  const answer = decodeStun(success);
  if (!answer.ok) throw new Error(answer.reason);
  strictEqual(answer.class, "success");
  strictEqual(answer.mappedAddress, source);
  deepStrictEqual(answer.transactionId, transactionId);
  ok(isAuthentic(success, answer, bobKey));
  ok(success.length <= 3 * check.length);
  const refusal = encodeCheckError(request.message, new StunError(487, "conflict"), bobKey);
  const error = decodeStun(refusal);
  if (!error.ok) throw new Error(error.reason);
  deepStrictEqual(error.error, { code: 487, reason: "Role Conflict" });
  ok(isAuthentic(refusal, error, bobKey));
});

Deno.test("Requests that are no check for us are dropped with a reason", () => {
  const fields: StunFields = {
    class: "request",
    transactionId,
    username: "bobfrag:alicefrag",
    priority: 1,
    iceControlling: new Uint8Array(8),
    integrityKey: bobKey,
  };
  const { username: _username, ...anonymous } = fields;
  const { integrityKey: _key, ...unsigned } = fields;
  const cases: readonly (readonly [StunFields, string])[] = [
    [{ ...fields, method: 3 }, "no Binding request"],
    [{ ...fields, fingerprint: false }, "request without FINGERPRINT"],
    [unsigned, "request without credentials"],
    [anonymous, "request without credentials"],
    [{ ...fields, username: "bobfra:alicefrag" }, "request for another agent"],
    [{ ...fields, username: "bobfrag" }, "request for another agent"],
    [{ ...fields, username: "alicefrag:bobfrag" }, "request for another agent"],
    [{ ...fields, integrityKey: integrityKeyOf(alice) }, "request not authentic"],
  ];
  for (const [bad, reason] of cases) {
    // ICE attributes only go into Binding requests.
    const { iceControlling: _role, ...rest } = bad;
    const bytes = encodeStun(bad.method === undefined ? bad : rest);
    deepStrictEqual(readRequest(bytes, bob, bobKey), { ok: false, reason });
  }
});

Deno.test("Check is refused at every truncation and bit-flip", () => {
  for (let end = 0; end < check.length; end++) strictEqual(readRequest(check.subarray(0, end), bob, bobKey).ok, false);
  for (let bit = 0; bit < 8 * check.length; bit++) {
    const flipped = check.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    strictEqual(readRequest(flipped, bob, bobKey).ok, false, `bit ${bit}`);
  }
});

Deno.test("Authentic checks that say too little are refused with a code (RFC 8445 §7.3, RFC 8489 §6.3.1)", () => {
  const codeOf = (fields: Partial<StunFields>): unknown => {
    const bytes = encodeStun({
      class: "request",
      transactionId,
      username: "bobfrag:a",
      integrityKey: bobKey,
      ...fields,
    });
    const request = readRequest(bytes, bob, bobKey);
    if (!request.ok) throw new Error(request.reason);
    try {
      grantCheck(request.message);
      return undefined;
    } catch (error) {
      if (error instanceof StunError) return error.code;
      throw error;
    }
  };
  strictEqual(codeOf({ priority: 1, iceControlled: new Uint8Array(8) }), undefined);
  strictEqual(codeOf({ priority: 1 }), 400);
  strictEqual(codeOf({ iceControlled: new Uint8Array(8) }), 400);
  const decoded = decodeStun(fromHex("00010008 2112a442 000102030405060708090a0b 7ffe0004 00000000"));
  if (!decoded.ok) throw new Error(decoded.reason);
  throws(() => grantCheck(decoded), { code: 420, unknownAttributes: [0x7ffe] });
});

Deno.test("Role conflicts are resolved by the tiebreakers (RFC 8445 §7.3.1.1)", () => {
  const low = fromHex("00000000000000ff");
  const high = fromHex("0100000000000000");
  const outcome = (role: IceRole, tiebreaker: Uint8Array, peerRole: IceRole, peerTiebreaker: Uint8Array): string =>
    resolveConflict({ role, tiebreaker }, { role: peerRole, tiebreaker: peerTiebreaker });
  const table = [
    ["controlling", high, "controlling", low, "refuse"],
    ["controlling", low, "controlling", high, "switch"],
    ["controlling", low, "controlling", low, "refuse"],
    ["controlled", high, "controlled", low, "switch"],
    ["controlled", low, "controlled", high, "refuse"],
    ["controlled", low, "controlled", low, "switch"],
    ["controlling", low, "controlled", high, "none"],
    ["controlled", high, "controlling", low, "none"],
  ] as const;
  for (const [role, own, peerRole, theirs, expected] of table) {
    strictEqual(outcome(role, own, peerRole, theirs), expected);
  }
});
