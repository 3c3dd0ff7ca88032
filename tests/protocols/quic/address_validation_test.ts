import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { NODE_AEAD_BACKEND } from "../../../protocols/crypto/node_aead.ts";
import {
  AddressTokens,
  MAX_CARRIED_TOKEN_BYTES,
  NEW_TOKEN_LIFETIME_MS,
  RETRY_TOKEN_LIFETIME_MS,
} from "../../../protocols/quic/address_tokens.ts";
import { DEFAULT_TRANSPORT_SETTINGS, MAX_TOKEN_BYTES } from "../../../protocols/quic/config.ts";
import type { AddressValidation, EndpointConfig } from "../../../protocols/quic/config.ts";
import { TRANSPORT_ERROR } from "../../../protocols/quic/errors.ts";
import type { ConnectionEvent } from "../../../protocols/quic/events.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, Pair, rawKeyTls, SERVER_KEY } from "../../support/quic_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const ELSEWHERE = addressOf("203.0.113.9", 50000);
const OTHER_PORT = addressOf("192.0.2.1", 50001);

function serverWith(
  addressValidation: AddressValidation,
  others: Partial<EndpointConfig> = {},
): Partial<EndpointConfig> {
  return {
    ...others,
    server: {
      tls: rawKeyTls(SERVER_KEY, CLIENT_KEY),
      transport: DEFAULT_TRANSPORT_SETTINGS,
      addressValidation,
    },
  };
}

/** The type of a long header packet: 0 Initial, 3 Retry. */
function longType(bytes: Uint8Array): number {
  return (bytes[0]! >> 4) & 3;
}

function newTokens(pair: Pair): Uint8Array[] {
  return pair.client.events.flatMap(({ event }) => event.type === "newToken" ? [event.token] : []);
}

Deno.test("A Retry costs one round trip, names the IDs it replaced, and proves the address (RFC 9000 §7.3, §8.1.2)", () => {
  const pair = new Pair({ server: serverWith({ retry: "always", newTokens: false }) });
  const sizes: number[] = [];
  pair.filter = (from, bytes) => {
    if (from === pair.server) sizes.push(bytes.length);
    return true;
  };
  const { client, server } = pair.established();
  // 20 ms for the Retry, 20 for the handshake: the client checked original_destination_ and retry_source_connection_id.
  strictEqual(pair.client.timeOf("handshakeComplete"), 40);
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 1);
  ok(sizes[0]! < 1200 / 3);
  strictEqual(client.state, "confirmed");
  strictEqual(server.state, "confirmed");
  strictEqual(pair.server.connections.length, 1);
});

Deno.test("A server that has sent Retry remembers nothing of it (RFC 9000 §8.1.2)", () => {
  const pair = new Pair({ server: serverWith({ retry: "always", newTokens: false }) });
  pair.filter = (from) => from === pair.client;
  pair.connect();
  pair.runTo(400);
  ok(pair.server.endpoint.drops.get("Retry sent")! >= 1);
  for (const [table, size] of Object.entries(pair.server.endpoint.tableSizes)) strictEqual(size, 0, table);
});

Deno.test("Whoever begins a handshake while half of them are under way gets a Retry (RFC 9000 §8.1)", () => {
  const pair = new Pair({
    server: serverWith({ retry: "under load", newTokens: false }, { maxHalfOpenConnections: 4 }),
  });
  // Handshakes that stay half open: nothing of the server's gets to the client.
  pair.filter = (from) => from === pair.client;
  for (let i = 0; i < 3; i++) {
    pair.connect();
    pair.runTo(pair.now + 15);
  }
  strictEqual(pair.server.endpoint.tableSizes["halfOpen"], 2);
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 1);
});

Deno.test("A token of NEW_TOKEN spares the Retry, once, from any port of the same address (RFC 9000 §8.1.3)", () => {
  const pair = new Pair({ server: serverWith({ retry: "always", newTokens: true }) });
  pair.established();
  pair.runTo(pair.now + 100);
  const [token] = newTokens(pair);
  ok(token !== undefined);
  pair.rebindClient(OTHER_PORT);
  const before = pair.now;
  const second = pair.connect({ token });
  pair.runUntil(() => second.state === "confirmed");
  strictEqual(pair.now - before, 40);
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 1);
  // Used before: as if there were none.
  const third = pair.connect({ token });
  pair.runUntil(() => third.state === "confirmed");
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 2);
  // Each connection gets one, and no two are alike.
  pair.runTo(pair.now + 100);
  const all = newTokens(pair);
  strictEqual(all.length, 3);
  notDeepStrictEqual(all[0], all[1]);
});

Deno.test("NEW_TOKEN is sent again when it is lost (RFC 9000 §13.3)", () => {
  const pair = new Pair({ server: serverWith({ retry: "never", newTokens: true }) });
  // It leaves at 30 ms, when the client's Finished has come in.
  pair.filter = (from) => from === pair.client || pair.now < 30 || pair.now >= 60;
  pair.connect();
  pair.runTo(5000);
  strictEqual(newTokens(pair).length, 1);
  ok(pair.client.timeOf("newToken")! >= 70);
});

Deno.test("A proven address is not limited to three times what came (RFC 9000 §8.1)", () => {
  // Nothing but the Retry gets to the client, so that the server repeats its flight as long as it may.
  const bytesOf = (retry: AddressValidation["retry"]): number => {
    const pair = new Pair({ server: serverWith({ retry, newTokens: false }) });
    pair.filter = (from, bytes) => {
      return from === pair.client ? pair.sent.client <= (retry === "always" ? 2 : 1) : longType(bytes) === 3;
    };
    pair.connect();
    pair.runTo(20_000);
    return pair.sentBytes.server;
  };
  ok(bytesOf("never") <= 3 * 1200);
  ok(bytesOf("always") > 3 * 1200);
});

Deno.test("A token of a Retry that is too old or of another address ends with INVALID_TOKEN (RFC 9000 §8.1.2)", () => {
  const withHeldBack = (change: (pair: Pair) => void): ConnectionEvent | undefined => {
    const pair = new Pair({ server: serverWith({ retry: "always", newTokens: false }) });
    let heldBack: Uint8Array | undefined;
    pair.filter = (from, bytes) => {
      if (from !== pair.client || pair.server.endpoint.drops.get("Retry sent") === undefined) return true;
      heldBack ??= bytes;
      return false;
    };
    pair.connect();
    pair.runUntil(() => heldBack !== undefined);
    change(pair);
    pair.filter = (from) => from === pair.server;
    const from = pair.now > RETRY_TOKEN_LIFETIME_MS ? CLIENT_ADDRESS : ELSEWHERE;
    pair.inject(heldBack!, from, pair.server.base.local);
    pair.runTo(pair.now + 200);
    strictEqual(pair.server.endpoint.drops.get("token is invalid"), 1);
    strictEqual(pair.server.connections.length, 0);
    return pair.client.events.find(({ event }) => event.type === "closed")?.event;
  };
  withHeldBack(() => {});
  const closed = withHeldBack((pair) => pair.runTo(pair.now + RETRY_TOKEN_LIFETIME_MS + 100));
  ok(closed?.type === "closed");
  strictEqual(closed.code, TRANSPORT_ERROR.INVALID_TOKEN);
});

Deno.test("Who is let in by a token stays so after a Retry, and is known by it; others get nothing (RFC 9000 §8.1.2)", () => {
  const pair = new Pair({ server: serverWith({ retry: "always", newTokens: false }, { admission: "listed" }) });
  const ticket = new Uint8Array(16).fill(7);
  pair.server.endpoint.admitToken(ticket, Infinity);
  const tokens: Uint8Array[] = [];
  const poll = pair.server.endpoint.pollEvent.bind(pair.server.endpoint);
  pair.server.endpoint.pollEvent = () => {
    const event = poll();
    if (event?.type === "incoming") tokens.push(event.token);
    return event;
  };
  pair.established({ token: ticket });
  deepStrictEqual(tokens, [ticket]);
  pair.connect({ token: new Uint8Array(16).fill(8) });
  pair.connect();
  pair.runTo(pair.now + 50);
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 1);
  strictEqual(pair.server.endpoint.drops.get("not admitted"), 2);
});

Deno.test("Tokens are sealed: nothing that is cut or changed is one (RFC 9000 §8.1.4)", () => {
  const tokens = new AddressTokens(NODE_AEAD_BACKEND, seededRandom(814));
  const id = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const carried = new Uint8Array(MAX_CARRIED_TOKEN_BYTES).fill(5);
  const retry = tokens.forRetry(CLIENT_ADDRESS, id, carried, 1000.5);
  deepStrictEqual(tokens.open(retry, CLIENT_ADDRESS, 1000 + RETRY_TOKEN_LIFETIME_MS), {
    type: "retried",
    originalDestinationId: id,
    token: carried,
  });
  strictEqual(tokens.open(retry, CLIENT_ADDRESS, 1001 + RETRY_TOKEN_LIFETIME_MS).type, "invalid");
  strictEqual(tokens.open(retry, OTHER_PORT, 1000).type, "invalid");
  strictEqual(tokens.open(retry, ELSEWHERE, 1000).type, "invalid");
  const next = tokens.forNextTime(CLIENT_ADDRESS, 1000);
  for (const token of [retry, next]) {
    for (let length = 0; length < token.length; length++) {
      strictEqual(tokens.open(token.subarray(0, length), CLIENT_ADDRESS, 1000).type, "foreign");
    }
    for (let bit = 0; bit < 8 * token.length; bit++) {
      const damaged = token.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      strictEqual(tokens.open(damaged, CLIENT_ADDRESS, 1000).type, "foreign");
    }
  }
  strictEqual(new AddressTokens(NODE_AEAD_BACKEND, seededRandom(1)).open(next, CLIENT_ADDRESS, 1000).type, "foreign");
  strictEqual(tokens.open(next, ELSEWHERE, 1000).type, "foreign");
  strictEqual(tokens.open(next, OTHER_PORT, 1000 + NEW_TOKEN_LIFETIME_MS).type, "known");
  strictEqual(tokens.open(next, OTHER_PORT, 1000).type, "foreign");
  const late = tokens.forNextTime(CLIENT_ADDRESS, 1000);
  strictEqual(tokens.open(late, CLIENT_ADDRESS, 1001 + NEW_TOKEN_LIFETIME_MS).type, "foreign");
});

Deno.test("An Initial is answered with one Retry packet and nothing else (RFC 9000 §17.2.5)", () => {
  const pair = new Pair({ server: serverWith({ retry: "always", newTokens: false }) });
  const packets: Uint8Array[] = [];
  pair.filter = (from, bytes) => {
    if (from === pair.server) packets.push(bytes);
    return true;
  };
  pair.connect();
  pair.runTo(25);
  strictEqual(packets.length, 1);
  strictEqual(longType(packets[0]!), 3);
});

Deno.test("A token that means nothing and is too long to be carried is no way around a Retry (RFC 9000 §8.1.2)", () => {
  for (const tokenBytes of [MAX_CARRIED_TOKEN_BYTES + 1, MAX_TOKEN_BYTES]) {
    const pair = new Pair({ server: serverWith({ retry: "always", newTokens: false }) });
    const { client } = pair.established({ token: new Uint8Array(tokenBytes).fill(7) });
    strictEqual(pair.server.endpoint.drops.get("Retry sent"), 1);
    strictEqual(client.state, "confirmed");
    // One that was admitted by name is worth more than the proof, and gets through whole.
    const known = new Pair({ server: serverWith({ retry: "always", newTokens: false }, { admission: "listed" }) });
    const token = new Uint8Array(tokenBytes).fill(8);
    known.server.endpoint.admitToken(token, Infinity);
    known.established({ token });
    strictEqual(known.server.endpoint.drops.get("Retry sent"), undefined);
  }
});
