import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { keyIdOf } from "../../signaling/identity.ts";
import { parseKeyList } from "../../signaling/admission.ts";
import { base58Capacity, base58Length, decodeBase58, encodeBase58 } from "../../signaling/base58.ts";
import { parseCallee } from "../../signaling/callee.ts";
import { conventionalStunServer, resolveStunServer } from "../../signaling/hub_names.ts";
import { formatIdentity, formatKey, identityOf, isKeyOf, parseKey } from "../../signaling/identity.ts";
import { KnownPeersTable } from "../../signaling/known_peers.ts";
import { encodeHubTicket, encodeTicketAnswer } from "../../signaling/ticket_codec.ts";
import { EPOCH_MS } from "../support/signaling_exchange.ts";
import { seededRandom } from "../support/seeded_random.ts";

const KEY = new Uint8Array(32).map((_, i) => i * 7);
const OTHER_KEY = KEY.with(31, 0);

Deno.test("Base58 keeps bytes of every length, zeros in front too", () => {
  const random = seededRandom(58);
  for (let length = 0; length < 120; length++) {
    const bytes = random.fill(new Uint8Array(length));
    if (length > 2) bytes.fill(0, 0, length % 3);
    const text = encodeBase58(bytes);
    strictEqual(text.length, base58Length(length));
    strictEqual(base58Capacity(text.length), length);
    deepStrictEqual(decodeBase58(text), bytes);
  }
});

Deno.test("Base58 refuses lengths no bytes have, other characters and numbers too large", () => {
  strictEqual(decodeBase58("1"), undefined);
  strictEqual(decodeBase58("zz"), undefined);
  strictEqual(decodeBase58("10"), undefined);
  deepStrictEqual(decodeBase58("5Q"), Uint8Array.of(255));
  strictEqual(decodeBase58("5R"), undefined);
});

Deno.test("A key is 44 characters, and only of 32 bytes", () => {
  const text = formatKey(KEY);
  strictEqual(text.length, 44);
  deepStrictEqual(parseKey(text), KEY);
  for (let end = 0; end < 44; end++) strictEqual(parseKey(text.slice(0, end)), undefined);
  strictEqual(parseKey(`${text}1`), undefined);
  strictEqual(parseKey(text.replace(/.$/, "l")), undefined);
});

Deno.test("An identity knows its key, whole or by its ID", () => {
  const whole = identityOf(KEY);
  const byId = { key: undefined, keyId: keyIdOf(KEY) };
  ok(isKeyOf(whole, KEY) && isKeyOf(byId, KEY));
  ok(!isKeyOf(whole, OTHER_KEY) && !isKeyOf(byId, OTHER_KEY));
  strictEqual(formatIdentity(whole), formatKey(KEY));
  strictEqual(formatIdentity(byId), `ID:${encodeBase58(keyIdOf(KEY))}`);
});

Deno.test("A callee is a ticket, a name, or a name and its key", () => {
  deepStrictEqual(parseCallee("bob", EPOCH_MS), { kind: "name", name: "bob", key: undefined });
  deepStrictEqual(parseCallee(` bob@${formatKey(KEY)}\n`, EPOCH_MS), { kind: "name", name: "bob", key: KEY });
  const ticket = {
    taMs: 5,
    keyId: keyIdOf(KEY),
    secret: new Uint8Array(16),
    hubUrl: "wss://hub.example/signal",
    stunServers: [],
  };
  deepStrictEqual(parseCallee(encodeHubTicket(ticket).text, EPOCH_MS), { kind: "hub", ...ticket });
});

Deno.test("What is no callee is refused with the reason", () => {
  const answer = { taMs: 5, keyId: keyIdOf(KEY), oneTimeKey: KEY, candidates: [] };
  for (
    const [text, reason] of [
      ["", /neither a ticket nor a name/],
      ["Bob", /small letters/],
      ["bob smith", /small letters/],
      [`x${"y".repeat(70)}`, /tickets begin with TV/],
      ["bob@", /not a key/],
      ["bob@bob", /not a key/],
      ["TVxyz", /damaged/],
      [encodeTicketAnswer(answer, new Uint8Array(16)).text, /answer to a ticket/],
    ] as const
  ) throws(() => parseCallee(text, EPOCH_MS), (error) => error instanceof TypeError && reason.test(error.message));
});

Deno.test("The STUN server by convention is on the hub's host, UDP 3478", () => {
  strictEqual(conventionalStunServer("hub.example"), "hub.example:3478");
  strictEqual(conventionalStunServer("hub.example:8080"), "hub.example:3478");
  strictEqual(conventionalStunServer("[2001:db8::1]:8080"), "[2001:db8::1]:3478");
  strictEqual(conventionalStunServer("[2001:db8::1]"), "[2001:db8::1]:3478");
  strictEqual(resolveStunServer(":9", "192.0.2.1:80"), "192.0.2.1:9");
  strictEqual(resolveStunServer("other:9", "192.0.2.1:80"), "other:9");
});

Deno.test("Known peers are pinned once, and survive as text", () => {
  let text = "";
  const table = new KnownPeersTable({ onPin: (line) => text += line });
  table.pin("hub.example", "bob", KEY);
  table.pin("hub.example", "bob", OTHER_KEY);
  table.pin("other.example", "bob", OTHER_KEY);
  const again = new KnownPeersTable();
  again.load(`# names I have called\n\n${text}`);
  deepStrictEqual(again.lookup("hub.example", "bob"), KEY);
  deepStrictEqual(again.lookup("other.example", "bob"), OTHER_KEY);
  strictEqual(again.lookup("hub.example", "eve"), undefined);
  throws(() => again.load("bob hub.example nokey"), /line 1/);
  throws(() => again.load(`\nBob hub.example ${formatKey(KEY)}`), /line 2/);
});

Deno.test("A file of keys has one a line, and anything after it", () => {
  deepStrictEqual(parseKeyList(`# friends\n${formatKey(KEY)} bob\n\n  ${formatKey(OTHER_KEY)}\n`), [KEY, OTHER_KEY]);
  throws(() => parseKeyList(`${formatKey(KEY)}\nbob`), /line 2/);
});
