import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { fromHex } from "../../protocols/core/bytes.ts";
import { decodeStun, isAuthentic, type StunMessage } from "../../protocols/stun/npm_stun.ts";
import {
  RFC5769_2_1_REQUEST,
  RFC5769_2_2_IPV4_RESPONSE,
  RFC5769_2_3_IPV6_RESPONSE,
  RFC5769_2_4_LONG_TERM_REQUEST,
  RFC5769_2_4_PASSWORD,
  RFC5769_PASSWORD,
} from "./rfc5769_vectors.ts";

const KEY = new TextEncoder().encode(RFC5769_PASSWORD);
const WRONG_KEY = new TextEncoder().encode("VOkJxbRl1RmTxUk/WvJxBT");

Deno.test("STUN reads and authenticates the sample request (RFC 5769 §2.1)", () => {
  const message = decoded(RFC5769_2_1_REQUEST);
  strictEqual(message.class, "request");
  strictEqual(message.method, 1);
  deepStrictEqual(message.transactionId, fromHex("b7e7a701bc34d686fa87dfae"));
  strictEqual(message.software, "STUN test client");
  strictEqual(message.priority, 0x6e0001ff);
  deepStrictEqual(message.iceControlled, fromHex("932ff9b151263b36"));
  strictEqual(message.iceControlling, undefined);
  strictEqual(message.username, "evtj:h6vY");
  strictEqual(message.hasFingerprint, true);
  ok(isAuthentic(RFC5769_2_1_REQUEST, message, KEY));
  ok(!isAuthentic(RFC5769_2_1_REQUEST, message, WRONG_KEY));
});

Deno.test("STUN reads and authenticates the sample IPv4 response (RFC 5769 §2.2)", () => {
  const message = decoded(RFC5769_2_2_IPV4_RESPONSE);
  strictEqual(message.class, "success");
  strictEqual(message.software, "test vector");
  strictEqual(String(message.mappedAddress), "192.0.2.1:32853");
  strictEqual(message.hasFingerprint, true);
  ok(isAuthentic(RFC5769_2_2_IPV4_RESPONSE, message, KEY));
});

Deno.test("STUN reads and authenticates the sample IPv6 response (RFC 5769 §2.3)", () => {
  const message = decoded(RFC5769_2_3_IPV6_RESPONSE);
  strictEqual(message.class, "success");
  strictEqual(String(message.mappedAddress), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
  strictEqual(message.hasFingerprint, true);
  ok(isAuthentic(RFC5769_2_3_IPV6_RESPONSE, message, KEY));
});

Deno.test("STUN reads and authenticates the sample request with long-term authentication (RFC 5769 §2.4)", () => {
  const message = decoded(RFC5769_2_4_LONG_TERM_REQUEST);
  strictEqual(message.username, "\u30de\u30c8\u30ea\u30c3\u30af\u30b9");
  strictEqual(message.nonce, "f//499k954d6OL34oL9FSTvy64sA");
  strictEqual(message.realm, "example.org");
  strictEqual(message.hasFingerprint, false);
  const identity = `${message.username}:${message.realm}:${RFC5769_2_4_PASSWORD}`;
  ok(isAuthentic(RFC5769_2_4_LONG_TERM_REQUEST, message, createHash("md5").update(identity).digest()));
  ok(!isAuthentic(RFC5769_2_4_LONG_TERM_REQUEST, message, new TextEncoder().encode(RFC5769_2_4_PASSWORD)));
});

function decoded(bytes: Uint8Array): StunMessage {
  const message = decodeStun(bytes);
  if (!message.ok) throw new Error(message.reason);
  return message;
}
