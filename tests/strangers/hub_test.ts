import { ok, strictEqual } from "node:assert/strict";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { Hub, MAX_CLIENTS_PER_SOURCE } from "../../service/hub.ts";
import { MAX_NAMES_PER_SOURCE } from "../../service/hub_directory.ts";
import { encodeMessage } from "../../signaling/messages.ts";
import { RECORD_LIFETIME_MS, signOffer, signRecord, signRegistration } from "../../signaling/trust.ts";
import { damaged } from "../support/damaged_text.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { EPOCH_MS } from "../support/signaling_exchange.ts";
import { offerOf, recordOf } from "../support/signed_things.ts";

const HONEST = "198.51.100.7";
const FLOOD = "203.0.113.66";
const random = seededRandom(77);
const BOB = Ed25519PrivateKey.generate(random);
const ALICE = Ed25519PrivateKey.generate(random);

function register(key: Ed25519PrivateKey, name: string, now = 0): string {
  const issuedAt = EPOCH_MS + Math.floor(now);
  const record = signRecord({ ...recordOf(key), name, issuedAt, expiresAt: issuedAt + RECORD_LIFETIME_MS }, key);
  return encodeMessage({
    t: "register",
    record,
    registration: signRegistration(record, { any: true, keyIds: [], tags: [] }, key),
  });
}

function offer(key: Ed25519PrivateKey, name: string, now = 0): string {
  const issuedAt = EPOCH_MS + Math.floor(now);
  const plain = { calleeName: name, calleeKeyId: undefined, ticket: undefined };
  return encodeMessage({
    t: "offer",
    offer: signOffer({ ...offerOf(key), ...plain, issuedAt, expiresAt: issuedAt + 30_000 }, key),
  });
}

/** Takes what the hub says; answers which clients got which kinds. */
function drain(hub: Hub<string>, now: number): string[] {
  const said: string[] = [];
  for (let sent = hub.pollMessage(); sent !== undefined; sent = hub.pollMessage()) {
    const { t }: { readonly t: string } = JSON.parse(sent.message);
    said.push(`${sent.client} ${t}`);
  }
  for (let client = hub.pollDisconnect(); client !== undefined; client = hub.pollDisconnect()) {
    hub.handleClosed(client, now);
  }
  return said;
}

Deno.test("Damaged messages at a hub cost their sender the connection at most, and leave nothing; a call beside them goes through", () => {
  const hub = new Hub<string>({ stunServers: [":3478"], epochMs: EPOCH_MS });
  hub.handleOpen("bob", HONEST, 0);
  hub.handleMessage("bob", register(BOB, "bob"), 0);
  const eve = Ed25519PrivateKey.generate(random);
  const texts = [
    register(eve, "eve"),
    offer(eve, "bob"),
    encodeMessage({ t: "ping" }),
    encodeMessage({ t: "refuse", call: "00".repeat(16), reason: "busy" }),
  ];
  let now = 0;
  let messages = 0;
  for (const [n, text] of texts.entries()) {
    for (const bad of damaged(text, 100 + n, 1500)) {
      const client = `eve ${messages++}`;
      hub.handleOpen(client, FLOOD, now);
      hub.handleMessage(client, bad, now);
      drain(hub, now);
      hub.handleClosed(client, now);
      now += 5;
      hub.handleTimeout(now);
      const { clients, listeners, names, calls } = hub.sizes;
      ok(clients <= 2 && listeners <= 200 && names <= 200 && calls <= 100, JSON.stringify(hub.sizes));
    }
  }
  hub.handleMessage("bob", encodeMessage({ t: "ping" }), now);
  hub.handleOpen("alice", HONEST, now);
  hub.handleMessage("alice", offer(ALICE, "bob", now), now);
  ok(drain(hub, now).includes("bob offer"));
});

Deno.test("A flood of names from one source takes nobody else's name, whose owner is away (MAX_NAMES_PER_SOURCE)", () => {
  const hub = new Hub<string>({ stunServers: [], epochMs: EPOCH_MS });
  hub.handleOpen("bob", HONEST, 0);
  hub.handleMessage("bob", register(BOB, "bob"), 0);
  hub.handleClosed("bob", 1);
  drain(hub, 1);
  let now = 10;
  for (let n = 0; n < 2 * MAX_NAMES_PER_SOURCE; n++) {
    const client = `flood ${n}`;
    hub.handleOpen(client, FLOOD, now);
    hub.handleMessage(client, register(Ed25519PrivateKey.generate(random), `name-${n}`, now), now);
    ok(drain(hub, now).includes(`${client} registered`));
    hub.handleClosed(client, now);
    now += 50;
  }
  strictEqual(hub.sizes.names, 1 + MAX_NAMES_PER_SOURCE);
  // Bob's is still his.
  hub.handleOpen("thief", "192.0.2.200", now);
  hub.handleMessage("thief", register(Ed25519PrivateKey.generate(random), "bob", now), now);
  ok(!drain(hub, now).includes("thief registered"));
  hub.handleOpen("bob again", HONEST, now);
  hub.handleMessage("bob again", register(BOB, "bob", now), now);
  ok(drain(hub, now).includes("bob again registered"));
});

Deno.test("Connections from one source beyond its limit are turned away, others are served (MAX_CLIENTS_PER_SOURCE)", () => {
  const hub = new Hub<string>({ stunServers: [], epochMs: EPOCH_MS });
  for (let n = 0; n < 2 * MAX_CLIENTS_PER_SOURCE; n++) {
    hub.handleOpen(`flood ${n}`, FLOOD, n);
    drain(hub, n);
    ok(hub.sizes.clients <= MAX_CLIENTS_PER_SOURCE + 1);
  }
  hub.handleOpen("bob", HONEST, 1000);
  hub.handleMessage("bob", register(BOB, "bob"), 1000);
  ok(drain(hub, 1000).includes("bob registered"));
});
