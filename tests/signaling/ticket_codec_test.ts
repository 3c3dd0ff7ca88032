import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import { sha256 } from "../../protocols/crypto/hash.ts";
import { BASE58_ALPHABET, decodeBase58, encodeBase58 } from "../../signaling/base58.ts";
import {
  answerProof,
  decodeTicket,
  directTicketSecret,
  encodeDirectTicket,
  encodeHubTicket,
  encodeRelayedTicket,
  encodeTicketAnswer,
  MAX_TICKET_LENGTH,
} from "../../signaling/ticket_codec.ts";
import type { DirectTicket, HubTicket } from "../../signaling/ticket_codec.ts";
import { candidate, EPOCH_MS } from "../support/signaling_exchange.ts";
import { seededRandom } from "../support/seeded_random.ts";

const KEY_ID = new Uint8Array(16).fill(0xa1);
const KEY = new Uint8Array(32).fill(0xb2);
const MIX = [
  candidate("192.168.1.20 50001"),
  candidate("203.0.113.9 40000", "srflx"),
  candidate("2001:db8:1:2:aaaa:bbbb:cccc:dddd 50002"),
  candidate("2001:db8:9:2:aaaa:bbbb:cccc:dddd 50003", "srflx"),
];
const DIRECT: Omit<DirectTicket, "kind"> = {
  taMs: 5,
  keyId: KEY_ID,
  recordKey: KEY,
  expiresAt: EPOCH_MS + 600_000,
  candidates: MIX,
  stunServers: [],
};
const HUB: Omit<HubTicket, "kind"> = {
  taMs: 5,
  keyId: KEY_ID,
  secret: new Uint8Array(16).fill(3),
  hubUrl: "wss://hub.example.org/signal",
  stunServers: ["stun.example.org:3478", ":3479"],
};

function problemOf(text: string): string {
  const ticket = decodeTicket(text, EPOCH_MS);
  return ticket.kind === "problem" ? ticket.reason : "none";
}

Deno.test("A direct ticket survives with two candidates of each family, in at most 160 characters", () => {
  const { text, dropped } = encodeDirectTicket(DIRECT);
  deepStrictEqual(dropped, []);
  ok(text.length <= MAX_TICKET_LENGTH, `${text.length}`);
  ok(new RegExp(`^TV[${BASE58_ALPHABET}]+$`).test(text));
  deepStrictEqual(decodeTicket(text, EPOCH_MS), { kind: "direct", ...DIRECT });
});

Deno.test("An answer survives with two candidates of each family, in at most 160 characters", () => {
  const secret = directTicketSecret(KEY);
  const answer = { taMs: 5, keyId: KEY_ID, oneTimeKey: KEY, candidates: MIX };
  const { text, dropped, proven } = encodeTicketAnswer(answer, secret);
  deepStrictEqual(dropped, []);
  ok(text.length <= MAX_TICKET_LENGTH, `${text.length}`);
  const decoded = decodeTicket(text, EPOCH_MS);
  deepStrictEqual(decoded, { kind: "answer", ...answer, proof: answerProof(secret, proven), proven });
});

Deno.test("A hub ticket survives, with and without TLS, port and path", () => {
  for (
    const hubUrl of [
      "wss://hub.example.org/signal",
      "ws://192.0.2.1:8080/signal",
      "ws://[2001:db8::1]:8080/signal",
      "wss://example.org/a/hub",
    ]
  ) {
    const { text } = encodeHubTicket({ ...HUB, hubUrl });
    ok(text.length <= MAX_TICKET_LENGTH);
    deepStrictEqual(decodeTicket(text, EPOCH_MS), { kind: "hub", ...HUB, hubUrl });
  }
  throws(() => encodeHubTicket({ ...HUB, hubUrl: `wss://${"h".repeat(80)}/signal` }), RangeError);
});

Deno.test("Every mix of four with at least two IPv4 candidates fits, and four of one IPv6 network", () => {
  const v4 = [0, 1, 2, 3].map((i) => candidate(`192.0.2.${i + 1} ${40_000 + i}`));
  const v6 = [0, 1, 2, 3].map((i) => candidate(`2001:db8:${i}::${i + 1} ${41_000 + i}`));
  const network = [0, 1, 2, 3].map((i) => candidate(`2001:db8::${i + 1} ${41_000 + i}`));
  for (const candidates of [v4, [...v4.slice(1), v6[0]!], MIX, network]) {
    for (const order of [candidates, candidates.toReversed()]) {
      const { text, dropped } = encodeDirectTicket({ ...DIRECT, candidates: order });
      deepStrictEqual(dropped, []);
      ok(text.length <= MAX_TICKET_LENGTH);
      const decoded = decodeTicket(text, EPOCH_MS);
      ok(decoded.kind === "direct");
      deepStrictEqual(decoded.candidates, order);
      const answer = { taMs: 5, keyId: KEY_ID, oneTimeKey: KEY, candidates: order };
      deepStrictEqual(encodeTicketAnswer(answer, KEY_ID).dropped, []);
    }
  }
});

Deno.test("What does not fit is dropped from the end and named", () => {
  const v6 = [0, 1, 2, 3].map((i) => candidate(`2001:db8:${i}::${i + 1} ${41_000 + i}`));
  const { text, dropped } = encodeDirectTicket({ ...DIRECT, candidates: v6 });
  deepStrictEqual(dropped, [v6[3]]);
  ok(text.length <= MAX_TICKET_LENGTH);
  const decoded = decodeTicket(text, EPOCH_MS);
  ok(decoded.kind === "direct");
  deepStrictEqual(decoded.candidates, v6.slice(0, 3));
});

Deno.test("STUN servers go along where there is room", () => {
  const few = { ...DIRECT, candidates: MIX.slice(0, 2), stunServers: ["stun.example.org:3478"] };
  deepStrictEqual(decodeTicket(encodeDirectTicket(few).text, EPOCH_MS), { kind: "direct", ...few });
  const full = encodeDirectTicket({ ...DIRECT, stunServers: ["stun.example.org:3478"] });
  deepStrictEqual(decodeTicket(full.text, EPOCH_MS), { kind: "direct", ...DIRECT });
});

Deno.test("Expiry is kept to the minute, for a reader whose clock is days off", () => {
  const { text } = encodeDirectTicket({ ...DIRECT, expiresAt: EPOCH_MS + 61_000 });
  for (const offsetMs of [-20 * 86_400_000, 0, 20 * 86_400_000]) {
    const decoded = decodeTicket(text, EPOCH_MS + offsetMs);
    ok(decoded.kind === "direct");
    strictEqual(decoded.expiresAt, EPOCH_MS + 120_000);
  }
});

Deno.test("A typo and a foreign string are told apart", () => {
  const { text } = encodeDirectTicket(DIRECT);
  for (let at = 2; at < text.length; at++) {
    const other = text[at] === "7" ? "8" : "7";
    strictEqual(problemOf(text.slice(0, at) + other + text.slice(at + 1)), "typo", `character ${at}`);
  }
  for (let at = 2; at < text.length - 1; at++) {
    if (text[at] === text[at + 1]) continue;
    const swapped = text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2);
    strictEqual(problemOf(swapped), "typo", `characters ${at} and ${at + 1}`);
  }
  for (let end = 2; end < text.length; end++) strictEqual(problemOf(text.slice(0, end)), "typo", `${end} characters`);
  strictEqual(problemOf(`${text}1`), "typo");
  strictEqual(problemOf(text.replace(/.$/, "0")), "typo");
  for (const foreign of ["", "T", "hello", "https://example.org", "ssh-ed25519 AAAA", `TV${"1".repeat(159)}`]) {
    strictEqual(problemOf(foreign), "foreign", foreign);
  }
});

Deno.test("White space that mail programs put in is passed over", () => {
  const { text } = encodeDirectTicket(DIRECT);
  const wrapped = ` ${text.slice(0, 70)}\r\n  ${text.slice(70)}\n`;
  deepStrictEqual(decodeTicket(wrapped, EPOCH_MS), { kind: "direct", ...DIRECT });
});

/** The string of a payload whose checksum is right. */
function withChecksum(payload: Uint8Array): string {
  return `TV${encodeBase58(new Uint8Array([...payload, ...sha256(payload).subarray(0, 3)]))}`;
}

Deno.test("Payloads cut short at any byte, or changed, with a checksum that was mended, never throw", () => {
  const seed = 7;
  const random = seededRandom(seed);
  const draw = new Uint8Array(2);
  const answer = encodeTicketAnswer({ taMs: 5, keyId: KEY_ID, oneTimeKey: KEY, candidates: MIX }, KEY_ID);
  for (const text of [encodeDirectTicket(DIRECT).text, encodeHubTicket(HUB).text, answer.text]) {
    const payload = decodeBase58(text.slice(2))!.subarray(0, -3);
    strictEqual(withChecksum(payload), text);
    for (let end = 2; end < payload.length; end++) {
      const decoded = decodeTicket(withChecksum(payload.subarray(0, end)), EPOCH_MS);
      strictEqual(decoded.kind, "problem", `seed ${seed}, ${end} bytes`);
    }
    for (let round = 0; round < 1000; round++) {
      random.fill(draw);
      const at = draw[0]! % payload.length;
      const decoded = decodeTicket(withChecksum(payload.with(at, draw[1]!)), EPOCH_MS);
      if (decoded.kind === "problem") strictEqual(decoded.reason, "version", `seed ${seed}, round ${round}`);
    }
  }
});

Deno.test("A hub ticket survives with a relay's URL, by address and by name, with the digest of its certificate and without", () => {
  const digest = `#${"0123456789abcdef".repeat(4)}`;
  const long = "h".repeat(37);
  for (
    const hubUrl of [
      `https://203.0.113.255:65535${digest}`,
      `https://[2001:db8:1111:2222:3333:4444:5555:6666]:65535${digest}`,
      "https://[2001:db8::1]:443",
      `https://relay.example.org:4433${digest}`,
      `https://relay.example.org${digest}`,
      "https://relay.example.org",
      `https://${long}:4433${digest}`,
      `https://${"h".repeat(74)}`,
    ]
  ) {
    const { text } = encodeHubTicket({ ...HUB, hubUrl, stunServers: [] });
    ok(text.length <= MAX_TICKET_LENGTH, `${hubUrl}: ${text.length}`);
    deepStrictEqual(decodeTicket(text, EPOCH_MS), { kind: "hub", ...HUB, hubUrl, stunServers: [] });
  }
  throws(() => encodeHubTicket({ ...HUB, hubUrl: `https://${long}x:4433${digest}` }), RangeError);
  throws(() => encodeHubTicket({ ...HUB, hubUrl: `https://${"h".repeat(75)}` }), RangeError);
  throws(() => encodeHubTicket({ ...HUB, hubUrl: "http://relay.example.org" }), TypeError);
});

Deno.test("A hub ticket with a relay's URL, cut short anywhere or with other lengths, is refused", () => {
  const hubUrl = `https://192.0.2.1:4433#${"ab".repeat(32)}`;
  const { text } = encodeHubTicket({ ...HUB, hubUrl, stunServers: [] });
  const bytes = decodeBase58(text.slice(2))!;
  const payload = bytes.subarray(0, bytes.length - 3);
  const ticketOf = (changed: Uint8Array): string => {
    const sum = sha256(changed).subarray(0, 3);
    return `TV${encodeBase58(Uint8Array.from([...changed, ...sum]))}`;
  };
  for (let length = 2; length < payload.length; length++) {
    strictEqual(problemOf(ticketOf(payload.slice(0, length))), "version", `${length}`);
  }
  // Version and Ta, key ID, secret: then the hub's text of one letter, the digest's length, and the address's.
  for (const [at, values] of [[36, [1, 31, 33]], [71, [0, 3, 5, 15]]] as const) {
    for (const value of values) {
      const changed = payload.slice();
      changed[at] = value;
      strictEqual(problemOf(ticketOf(changed)), "version", `${at} ${value}`);
    }
  }
});

Deno.test("A ticket with addresses at relays survives, four of IPv6 too; a fifth is dropped and told", () => {
  const [v4, v6] = [addressOf("192.0.2.45", 54321), addressOf("2001:db8:1111:2222:3333:4444:5555:6666", 65535)];
  const [other4, other6] = [addressOf("198.51.100.7", 1), addressOf("2001:db8::1", 443)];
  const keyId = new Uint8Array(16).fill(1);
  const token = new Uint8Array(16).fill(2);
  const lists = [[v4], [v6], [v4, other4], [v6, v4], [v4, v6, other4, other6], [v6, other6, v6, other6]];
  for (const addresses of lists) {
    const { text, dropped } = encodeRelayedTicket({ keyId, token, addresses });
    ok(text.length <= MAX_TICKET_LENGTH, `${text.length}`);
    deepStrictEqual([decodeTicket(text, EPOCH_MS), dropped], [{ kind: "relayed", keyId, token, addresses }, []]);
  }
  const addresses = [v4, other4, v6, other6, v4];
  const { text, dropped } = encodeRelayedTicket({ keyId, token, addresses });
  deepStrictEqual(decodeTicket(text, EPOCH_MS), { kind: "relayed", keyId, token, addresses: addresses.slice(0, 4) });
  deepStrictEqual(dropped, [{ type: "relay", address: v4 }]);
});
