import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { MAX_MESSAGE_LENGTH } from "../../signaling/channel.ts";
import { decodeClientMessage, decodeHubMessage, encodeMessage, isStunServer } from "../../signaling/messages.ts";
import type { ClientMessage, HubMessage } from "../../signaling/messages.ts";
import { MAX_SIGNED_BYTES } from "../../signaling/signed.ts";
import { seededRandom } from "../support/seeded_random.ts";

const SIGNED = new Uint8Array(150).map((_, i) => i);
const CLIENT_MESSAGES: readonly ClientMessage[] = [
  { t: "register", record: SIGNED, registration: SIGNED.subarray(1) },
  { t: "offer", offer: SIGNED },
  { t: "candidates", call: "abc", candidates: SIGNED },
  { t: "answer", call: "abc", record: SIGNED },
  { t: "refuse", call: "abc", reason: "denied" },
  { t: "ping" },
];
const HUB_MESSAGES: readonly HubMessage[] = [
  { t: "registered", stun: [":3478", "[2001:db8::1]:3478", "stun.example:19302"] },
  { t: "registered", stun: [], relays: [{ url: "https://relay.example", token: "T" }, { url: "https://[::1]:1#ab" }] },
  { t: "pong", relays: [{ url: "https://relay.example" }] },
  { t: "forwarded", stun: [] },
  { t: "answer", record: SIGNED, stun: [":3478"] },
  { t: "refused", reason: "busy" },
  { t: "offer", offer: SIGNED, answered: true },
  { t: "candidates", call: "abc", candidates: SIGNED },
  { t: "pong" },
  { t: "error", reason: "nameTaken" },
];

Deno.test("Messages survive being written and read", () => {
  for (const message of CLIENT_MESSAGES) deepStrictEqual(decodeClientMessage(encodeMessage(message)), message);
  for (const message of HUB_MESSAGES) deepStrictEqual(decodeHubMessage(encodeMessage(message)), message);
});

Deno.test("An offer is one line of JSON with its version", () => {
  strictEqual(encodeMessage({ t: "offer", offer: Uint8Array.of(1, 2, 255) }), '{"v":1,"t":"offer","offer":"AQL_"}');
});

Deno.test("The longest messages fit", () => {
  const longest = new Uint8Array(MAX_SIGNED_BYTES);
  const register = encodeMessage({ t: "register", record: longest.subarray(0, 700), registration: longest });
  ok(register.length < MAX_MESSAGE_LENGTH);
  strictEqual(decodeClientMessage(register)?.t, "register");
});

Deno.test("Messages cut short at any character are undefined", () => {
  for (const message of CLIENT_MESSAGES) {
    const text = encodeMessage(message);
    for (let end = 0; end < text.length; end++) strictEqual(decodeClientMessage(text.slice(0, end)), undefined);
  }
  for (const message of HUB_MESSAGES) {
    const text = encodeMessage(message);
    for (let end = 0; end < text.length; end++) strictEqual(decodeHubMessage(text.slice(0, end)), undefined);
  }
});

Deno.test("Fields nobody knows are passed over", () => {
  deepStrictEqual(decodeHubMessage('{"t":"pong","later":{"a":[1]}}'), { t: "pong" });
});

Deno.test("Fields that are missing, of another type or too long are refused", () => {
  const long = "a".repeat(MAX_SIGNED_BYTES * 2);
  for (
    const text of [
      '"ping"',
      "null",
      "7",
      '[{"t":"ping"}]',
      '{"t":7}',
      '{"t":"offer"}',
      '{"t":"offer","offer":7}',
      '{"t":"offer","offer":""}',
      '{"t":"offer","offer":"a*"}',
      `{"t":"offer","offer":"${long}"}`,
      '{"t":"register","record":"AQ"}',
      '{"t":"register","registration":"AQ"}',
      '{"t":"answer","record":"AQ"}',
      '{"t":"answer","call":7,"record":"AQ"}',
      `{"t":"answer","call":"${"c".repeat(257)}","record":"AQ"}`,
      '{"t":"refuse","call":"a","reason":"because"}',
      '{"t":"candidates","call":"a"}',
      '{"t":"__proto__"}',
      `{"t":"ping","x":"${"x".repeat(MAX_MESSAGE_LENGTH)}"}`,
    ]
  ) strictEqual(decodeClientMessage(text), undefined, text.slice(0, 60));
  for (
    const text of [
      '{"t":"answer"}',
      '{"t":"answer","record":"AQ","stun":"a:1"}',
      '{"t":"answer","record":"AQ","stun":["a"]}',
      '{"t":"registered","stun":[7]}',
      `{"t":"registered","stun":[${Array(9).fill('"a:1"').join()}]}`,
      '{"t":"registered","stun":[],"relays":"https://a"}',
      '{"t":"registered","stun":[],"relays":["https://a"]}',
      '{"t":"registered","stun":[],"relays":[{"token":"T"}]}',
      '{"t":"registered","stun":[],"relays":[{"url":"https://a","token":7}]}',
      `{"t":"pong","relays":[{"url":"${"u".repeat(257)}"}]}`,
      `{"t":"pong","relays":[${Array(5).fill('{"url":"https://a"}').join()}]}`,
      '{"t":"pong","relays":[null]}',
      '{"t":"refused","reason":""}',
      '{"t":"error"}',
    ]
  ) strictEqual(decodeHubMessage(text), undefined, text);
});

Deno.test("Another version is told from nonsense", () => {
  deepStrictEqual(decodeClientMessage('{"v":2,"t":"hello"}'), { t: "version" });
  deepStrictEqual(decodeHubMessage('{"v":"1","t":"answer"}'), { t: "version" });
});

Deno.test("STUN servers are HOST:PORT and nothing else", () => {
  for (const text of [":3478", "a:1", "stun.example.org:65535", "192.0.2.1:3478", "[::1]:3478"]) ok(isStunServer(text));
  for (const text of ["", "a", "a:", "a:0", "a:123456", "a b:1", "::1:3478", "[x]:1", "http://a:1", "a/b:1"]) {
    ok(!isStunServer(text), text);
  }
});

Deno.test("Messages with random changes never throw", () => {
  const seed = 20261122;
  const random = seededRandom(seed);
  const draw = new Uint8Array(3);
  for (let round = 0; round < 2000; round++) {
    const all = [...CLIENT_MESSAGES, ...HUB_MESSAGES];
    const text = encodeMessage(all[round % all.length]!);
    random.fill(draw);
    const at = ((draw[0]! << 8) | draw[1]!) % text.length;
    const changed = text.slice(0, at) + String.fromCharCode(draw[2]!) + text.slice(at + 1);
    decodeClientMessage(changed);
    decodeHubMessage(changed);
  }
});
