import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Address } from "../../../protocols/core/address.ts";
import { randomBytes } from "../../../protocols/core/random.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../../protocols/quic/config.ts";
import { HalfOpenHandshakes, MAX_UNOPENED_PER_SECOND, provenSource } from "../../../protocols/quic/half_open.ts";
import { PacketHeader } from "../../../protocols/quic/packet.ts";
import { CLIENT_KEY, Pair, rawKeyTls, SERVER_ADDRESS, SERVER_KEY } from "../../support/quic_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { forgedInitial } from "../../support/stranger.ts";

const random = seededRandom(21);

function initial(frames: Uint8Array): Uint8Array {
  return forgedInitial(frames, { destinationId: randomBytes(random, 8), sourceId: randomBytes(random, 8) });
}

function stranger(n: number): Address {
  return addressOf(`203.0.${113 + (n >> 8)}.${n & 0xff}`, 40_000);
}

Deno.test("HalfOpenHandshakes gives a proven source a sixteenth once half of the places are taken, and counts a /64 as one", () => {
  const handshakes = new HalfOpenHandshakes(32);
  for (let n = 0; n < 16; n++) {
    ok(handshakes.hasPlace("a"));
    strictEqual(handshakes.isUnderLoad(0), false);
    handshakes.begin("a");
  }
  strictEqual(handshakes.isUnderLoad(0), true);
  strictEqual(handshakes.hasPlace("a"), false);
  for (const source of ["b", "b"]) {
    ok(handshakes.hasPlace(source));
    handshakes.begin(source);
  }
  strictEqual(handshakes.hasPlace("b"), false);
  ok(handshakes.hasPlace("c") && handshakes.hasPlace(undefined));
  for (let n = 0; n < 16; n++) handshakes.end("a");
  deepStrictEqual([handshakes.count, handshakes.sources, handshakes.isUnderLoad(0)], [2, 1, false]);
  strictEqual(provenSource(addressOf("2001:db8::1", 1)), provenSource(addressOf("2001:db8::ffff:1", 2)));
  ok(provenSource(addressOf("192.0.2.1", 1)) !== provenSource(addressOf("192.0.2.2", 1)));
});

Deno.test("Handshakes that fail count until they are forgotten, so that a flood of them meets Retry (RFC 9000 §8.1.2)", () => {
  const pair = new Pair({ server: { maxHalfOpenConnections: 16 } });
  // Each opens, and says something that ends the connection at once.
  for (let n = 0; n < 100; n++) pair.inject(initial(Uint8Array.of(0x1f)), stranger(n), SERVER_ADDRESS);
  pair.runTo(pair.now + 20);
  strictEqual(pair.server.endpoint.tableSizes["connections"], 8);
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 92);
  // Who answers the Retry gets in beside them.
  const { client } = pair.established();
  strictEqual(client.state, "confirmed");
  pair.runTo(pair.now + 5000);
  strictEqual(pair.server.endpoint.tableSizes["connections"], 1);
});

Deno.test("Initials that do not open meet Retry beyond a hundred a second (RFC 9000 §8.1.2)", () => {
  const pair = new Pair();
  for (let n = 0; n < 300; n++) {
    const bytes = initial(Uint8Array.of(1));
    bytes[900]! ^= 1;
    pair.inject(bytes, stranger(n), SERVER_ADDRESS);
  }
  pair.runTo(pair.now + 20);
  strictEqual(pair.server.endpoint.drops.get("Initial does not open"), MAX_UNOPENED_PER_SECOND);
  strictEqual(pair.server.endpoint.drops.get("Retry sent"), 300 - MAX_UNOPENED_PER_SECOND);
  strictEqual(pair.server.endpoint.tableSizes["connections"], 0);
});

Deno.test("One address that proves itself and stops in the handshake leaves places for others (RFC 9000 §21.2)", () => {
  const pair = new Pair({
    server: {
      maxHalfOpenConnections: 32,
      server: {
        tls: rawKeyTls(SERVER_KEY, CLIENT_KEY),
        transport: DEFAULT_TRANSPORT_SETTINGS,
        addressValidation: { retry: "always", newTokens: false },
      },
    },
  });
  // Only Retry gets through to the client: its handshakes are begun with its address proven, and never end.
  let isHonest = false;
  pair.filter = (from, bytes) => isHonest || from === pair.client || (bytes[0]! & 0xf0) === 0xf0;
  for (let n = 0; n < 64; n++) {
    pair.connect();
    pair.runTo(pair.now + 25);
  }
  const { halfOpen = 0 } = pair.server.endpoint.tableSizes;
  strictEqual(halfOpen, 16);
  isHonest = true;
  // From the same host it would have no place; from another it has.
  pair.rebindClient(addressOf("192.0.2.77", 50_000));
  const honest = pair.connect();
  pair.runUntil(() => honest.state === "confirmed");
  strictEqual(honest.state, "confirmed");
});

Deno.test("A token of an earlier Retry, from anywhere, takes a connection only while there is no load (RFC 9000 §8.1.3)", () => {
  const pair = new Pair({
    server: {
      maxHalfOpenConnections: 8,
      server: {
        tls: rawKeyTls(SERVER_KEY, CLIENT_KEY),
        transport: DEFAULT_TRANSPORT_SETTINGS,
        addressValidation: { retry: "always", newTokens: false },
      },
    },
  });
  let token = new Uint8Array(0);
  const header = new PacketHeader();
  pair.filter = (from, bytes) => {
    if (from === pair.client && header.read(bytes, 0, bytes.length) === undefined && header.token.length > 0) {
      token = header.token.slice();
    }
    // Only Retry gets to the client.
    return from === pair.client || (bytes[0]! & 0xf0) === 0xf0;
  };
  const { endpoint } = pair.server;
  const playAgain = (n: number): void => {
    const options = { destinationId: randomBytes(random, 8), sourceId: randomBytes(random, 8), token };
    pair.inject(forgedInitial(Uint8Array.of(1), options), stranger(n), SERVER_ADDRESS);
    pair.runTo(pair.now + pair.link.latencyMs);
  };
  pair.connect();
  pair.runTo(pair.now + 35);
  playAgain(0);
  // That one is told.
  strictEqual(endpoint.tableSizes["connections"], 2);
  for (let n = 0; n < 2; n++) {
    pair.connect();
    pair.runTo(pair.now + 35);
  }
  strictEqual(endpoint.tableSizes["halfOpen"], 4);
  for (let n = 1; n <= 20; n++) playAgain(n);
  strictEqual(endpoint.tableSizes["connections"], 4);
  strictEqual(endpoint.drops.get("token is invalid"), 21);
});
