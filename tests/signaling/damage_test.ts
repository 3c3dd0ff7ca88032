import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parseKeyList } from "../../signaling/admission.ts";
import { base58Length, decodeBase58, encodeBase58 } from "../../signaling/base58.ts";
import { parseCallee } from "../../signaling/callee.ts";
import { formatKey, keyIdOf, parseKey } from "../../signaling/identity.ts";
import { KnownPeersTable, MAX_PINS } from "../../signaling/known_peers.ts";
import { isStunServer } from "../../signaling/messages.ts";
import { encodeHubTicket } from "../../signaling/ticket_codec.ts";
import { MAX_MESSAGE_HEADER_BYTES, readMessageHeader } from "../../signaling/websocket.ts";
import { beginnings, damaged } from "../support/damaged_text.ts";
import { EPOCH_MS } from "../support/signaling_exchange.ts";

const SEED = 20261123;
const ROUNDS = 2000;
const KEY = new Uint8Array(32).map((_, i) => i * 7);
const OTHER_KEY = KEY.with(31, 0);

/** What `read` returns, or the message of its TypeError; any other error goes on. */
function resultOf<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return error.message;
  }
}

Deno.test("Base58 cut short or damaged has bytes of its length, or none", () => {
  for (const bytes of [KEY, Uint8Array.of(0, 0, 1), new Uint8Array(117).fill(255)]) {
    const text = encodeBase58(bytes);
    for (const head of [...beginnings(text), ...damaged(text, SEED, ROUNDS)]) {
      const decoded = decodeBase58(head);
      ok(decoded === undefined || base58Length(decoded.length) === head.length, `seed ${SEED}: ${head}`);
      if (decoded !== undefined) strictEqual(encodeBase58(decoded), head, `seed ${SEED}`);
    }
  }
});

Deno.test("A key is looked at no further when its length is wrong", () => {
  // Decoded, a million characters would take minutes.
  strictEqual(parseKey("2".repeat(1_000_000)), undefined);
});

Deno.test("A list of keys cut short at any byte has whole keys, or says which line is wrong", () => {
  const text = `# friends\n${formatKey(KEY)} bob\n\n${formatKey(OTHER_KEY)}\r\n`;
  const [bobEnd, eveEnd] = [formatKey(KEY), formatKey(OTHER_KEY)].map((key) => text.indexOf(key) + key.length);
  for (const head of beginnings(text)) {
    const keys = resultOf(() => parseKeyList(head));
    if (typeof keys === "string") {
      const line = head.length < bobEnd! ? 2 : 4;
      strictEqual(keys, `Cannot read keys: line ${line} does not begin with a key`, head);
    } else {
      deepStrictEqual(keys, [KEY, OTHER_KEY].slice(0, head.length >= eveEnd! ? 2 : head.length >= bobEnd! ? 1 : 0));
    }
  }
  for (const other of damaged(text, SEED, ROUNDS)) {
    const keys = resultOf(() => parseKeyList(other));
    ok(typeof keys === "string" || keys.every((key) => key.length === 32), `seed ${SEED}: ${other}`);
  }
});

Deno.test("Known peers cut short at any byte are loaded up to there, or not at all", () => {
  const text = `bob hub.example ${formatKey(KEY)}\n# a friend\neve other.example:80 ${formatKey(OTHER_KEY)}\n`;
  const [bobEnd, eveEnd] = [formatKey(KEY), formatKey(OTHER_KEY)].map((key) => text.indexOf(key) + key.length);
  for (const head of beginnings(text)) {
    const table = new KnownPeersTable();
    const problem = resultOf(() => table.load(head));
    if (problem !== undefined) {
      strictEqual(
        problem,
        `Cannot read known peers: line ${head.length < bobEnd! ? 1 : 3} is not "NAME HUB KEY"`,
        head,
      );
    }
    const isLoaded = problem === undefined;
    deepStrictEqual(table.lookup("hub.example", "bob"), isLoaded && head.length >= bobEnd! ? KEY : undefined, head);
    deepStrictEqual(
      table.lookup("other.example:80", "eve"),
      isLoaded && head.length >= eveEnd! ? OTHER_KEY : undefined,
    );
  }
  for (const other of damaged(text, SEED, ROUNDS)) {
    const problem = resultOf(() => new KnownPeersTable().load(other));
    ok(problem === undefined || /line \d+ is not/.test(problem), `seed ${SEED}: ${other}`);
  }
});

Deno.test("Known peers in a file are held by the same limit as others", () => {
  const table = new KnownPeersTable();
  const lines = Array.from({ length: MAX_PINS + 1 }, (_, i) => `p${i} hub ${formatKey(KEY)}`);
  table.load(lines.join("\n"));
  strictEqual(table.lookup("hub", "p0"), undefined);
  deepStrictEqual(table.lookup("hub", "p1"), KEY);
  deepStrictEqual(table.lookup("hub", `p${MAX_PINS}`), KEY);
});

Deno.test("A callee cut short or damaged is another name, or is refused with a reason", () => {
  const ticket = encodeHubTicket({
    taMs: 5,
    keyId: keyIdOf(KEY),
    secret: new Uint8Array(16).fill(9),
    hubUrl: "wss://hub.example/signal",
    stunServers: [],
  }).text;
  for (const head of beginnings(ticket)) {
    strictEqual(typeof resultOf(() => parseCallee(head, EPOCH_MS)), "string", head);
  }
  for (const other of damaged(ticket, SEED, ROUNDS)) {
    const callee = resultOf(() => parseCallee(other, EPOCH_MS));
    // White space is passed over; the checksum finds the rest.
    ok(typeof callee === "string" || other.replace(/\s/g, "") === ticket, `seed ${SEED}: ${other}`);
  }
  const pinned = `bob@${formatKey(KEY)}`;
  for (const head of beginnings(pinned)) {
    const callee = resultOf(() => parseCallee(head, EPOCH_MS));
    if (head !== "" && !head.includes("@")) deepStrictEqual(callee, { kind: "name", name: head, key: undefined });
    else strictEqual(typeof callee, "string", head);
  }
  for (const other of damaged(pinned, SEED, ROUNDS)) {
    const callee = resultOf(() => parseCallee(other, EPOCH_MS));
    // Nobody loses the key without noticing.
    if (typeof callee === "string" || !other.includes("@")) continue;
    ok(callee.kind === "name" && callee.key !== undefined, `seed ${SEED}: ${other}`);
  }
});

Deno.test("A STUN server cut short is one with another port, or none", () => {
  for (const [text, portAt] of [["stun.example:3478", 13], ["[2001:db8::1]:3478", 14], [":3478", 1]] as const) {
    ok(isStunServer(text));
    for (const head of beginnings(text)) strictEqual(isStunServer(head), head.length > portAt, head);
    for (const other of damaged(text, SEED, ROUNDS)) {
      if (!isStunServer(other)) continue;
      const port = Number(/:(\d+)$/.exec(other)?.[1]);
      ok(port >= 1 && port <= 65535, `seed ${SEED}: ${other}`);
    }
  }
  for (const port of ["65536", "99999", "00080", "+1"]) ok(!isStunServer(`stun.example:${port}`), port);
});

Deno.test("The first message in a header, cut short or damaged, is another text or empty", () => {
  const message = '{"t":"offer","v":1,"note":"h\u00e9llo"}';
  const header = new TextEncoder().encode(message).toBase64({ alphabet: "base64url", omitPadding: true });
  strictEqual(readMessageHeader(header), message);
  strictEqual(readMessageHeader(undefined), undefined);
  for (const head of beginnings(header)) {
    const text = readMessageHeader(head);
    ok(text !== undefined && message.startsWith(text), head);
  }
  for (const other of damaged(header, SEED, ROUNDS)) strictEqual(typeof readMessageHeader(other), "string");
  // Twice, too long, another alphabet, half a character.
  for (
    const other of [[header, header], `${header}, ${header}`, "A".repeat(MAX_MESSAGE_HEADER_BYTES + 1), "_/8", "w"]
  ) {
    strictEqual(readMessageHeader(other), "");
  }
});
