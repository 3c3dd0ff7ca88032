import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import { AEAD_PROPERTIES, aeadLimits } from "../../../protocols/crypto/aead.ts";
import type { AeadBackend, AeadName } from "../../../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../../../protocols/crypto/node_aead.ts";
import { writeShortHeader } from "../../../protocols/quic/packet.ts";
import { deriveHeaderKey, PacketSealer } from "../../../protocols/quic/packet_protection.ts";
import { CIPHER_SUITES } from "../../../protocols/tls/cipher_suites.ts";
import { DEFAULT_CIPHER_SUITES } from "../../../protocols/tls/config.ts";
import { QuicEndpoint } from "../../../protocols/quic/endpoint.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../../../protocols/quic/config.ts";
import { CLIENT_KEY, Pair, rawKeyTls, readAll, SERVER_KEY } from "../../support/quic_pair.ts";
import { backendWith, RogueEnd } from "../../support/rogue_end.ts";

const SUITE = CIPHER_SUITES.TLS_CHACHA20_POLY1305_SHA256;
const PING = fromHex("01");
/** Asks for no acknowledgement: who gets it has nothing to say. */
const PADDING = fromHex("00");

Deno.test("Limits of each AEAD are those of RFC 9001 §6.6, or what a backend wants less", () => {
  deepStrictEqual(
    Object.entries(AEAD_PROPERTIES).map(([name, { confidentialityLimitPackets, integrityLimitPackets }]) => [
      name,
      confidentialityLimitPackets,
      integrityLimitPackets,
    ]),
    [
      ["AES_128_GCM", 2 ** 23, 2 ** 52],
      ["AES_256_GCM", 2 ** 23, 2 ** 52],
      ["CHACHA20_POLY1305", Infinity, 2 ** 36],
    ],
  );
  const stricter = backendWith({ confidentialityLimitPackets: 100 });
  deepStrictEqual(aeadLimits(stricter, "AES_128_GCM"), {
    confidentialityLimitPackets: 100,
    integrityLimitPackets: 2 ** 52,
  });
  const laxer = backendWith({});
  strictEqual(aeadLimits(laxer, "AES_256_GCM").confidentialityLimitPackets, 2 ** 23);
});

Deno.test("Keys are not updated before the handshake is confirmed (RFC 9001 §6.1)", () => {
  const pair = new Pair();
  const client = pair.connect();
  pair.runUntil(() => client.isEstablished);
  strictEqual(client.state, "established");
  strictEqual(client.updateKeys(), false);
  pair.runUntil(() => client.state === "confirmed");
  client.ping();
  pair.runTo(pair.now + 100);
  strictEqual(client.updateKeys(), true);
});

for (const suite of DEFAULT_CIPHER_SUITES) {
  Deno.test(`Keys are updated five times under data with ${suite} (RFC 9001 §6)`, () => {
    const tls = { cipherSuites: [suite] };
    const pair = new Pair({
      clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), ...tls },
      serverTls: { ...rawKeyTls(SERVER_KEY, CLIENT_KEY), ...tls },
    });
    const { client, server } = pair.established();
    const id = client.openStream("unidirectional")!;
    let read = 0;
    pair.server.onEvent = (connection, event) => {
      if (event.type === "streamReadable") read += readAll(connection, event.id).length;
    };
    let updates = 0;
    for (let round = 0; round < 100 && updates < 5; round++) {
      client.write(id, new Uint8Array(5000));
      pair.runTo(pair.now + 100);
      if ((round % 2 === 0 ? client : server).updateKeys()) updates++;
    }
    client.ping();
    server.ping();
    pair.runTo(pair.now + 500);
    strictEqual(updates, 5);
    deepStrictEqual([client.stats.keyUpdates, server.stats.keyUpdates], [5, 5]);
    strictEqual(read % 5000, 0);
    ok(read > 0 && client.stats.bytesInFlight === 0);
  });
}

Deno.test("Both ends may update at the same moment: it is one update (RFC 9001 §6.1)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  client.ping();
  server.ping();
  pair.runTo(pair.now + 200);
  deepStrictEqual([client.updateKeys(), server.updateKeys()], [true, true]);
  client.ping();
  server.ping();
  pair.runTo(pair.now + 1000);
  deepStrictEqual([client.stats.keyUpdates, server.stats.keyUpdates], [1, 1]);
  deepStrictEqual([client.state, server.state], ["confirmed", "confirmed"]);
  deepStrictEqual([client.updateKeys(), client.stats.bytesInFlight, server.stats.bytesInFlight], [true, 0, 0]);
});

Deno.test("Keys are fresh before the confidentiality limit, as often as it takes (RFC 9001 §6.6)", () => {
  const limit = 400;
  const aead = backendWith({ confidentialityLimitPackets: limit });
  const pair = new Pair({ server: { aead } });
  const endpoint = new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, aead }, pair.random);
  Object.assign(pair.client, { endpoint });
  const { client, server } = pair.established();
  const id = client.openStream("unidirectional")!;
  let read = 0;
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") read += readAll(connection, event.id).length;
  };
  let written = 0;
  for (let round = 0; round < 2000 && written < 3_000_000; round++) {
    written += client.write(id, new Uint8Array(20_000));
    pair.runTo(pair.now + 20);
  }
  pair.runTo(pair.now + 5000);
  strictEqual(read, written);
  const { keyUpdates, sentPackets } = client.stats;
  ok(sentPackets > 5 * limit, `${sentPackets}`);
  // Each phase has sealed less than the limit.
  ok(sentPackets < limit * (keyUpdates + 1), `${sentPackets} packets, ${keyUpdates} updates`);
  strictEqual(server.stats.keyUpdates, keyUpdates);
});

Deno.test("Keys are updated before the old ones are gone, where the limit would end the connection (RFC 9001 §6.5)", () => {
  const limit = 40;
  const aead = backendWith({ confidentialityLimitPackets: limit });
  const pair = new Pair({ server: { aead }, link: { latencyMs: 50 } });
  const { client, server } = pair.established();
  const id = server.openStream("unidirectional")!;
  let read = 0;
  pair.client.onEvent = (connection, event) => {
    if (event.type === "streamReadable") read += readAll(connection, event.id).length;
  };
  let written = 0;
  // As fast as acknowledgements come back: a phase lasts less than three probe timeouts.
  for (let round = 0; round < 400 && written < 400_000; round++) {
    written += server.write(id, new Uint8Array(4000));
    pair.runTo(pair.now + 25);
  }
  pair.runTo(pair.now + 3000);
  deepStrictEqual([client.state, server.state, read], ["confirmed", "confirmed", written]);
  const { keyUpdates, sentPackets } = server.stats;
  ok(sentPackets < limit * (keyUpdates + 1), `${sentPackets} packets, ${keyUpdates} updates`);
});

Deno.test("Peer that updates is followed at once, before it is acknowledged (RFC 9001 §6.2)", () => {
  const rogue = new RogueEnd();
  const { sentPackets } = rogue.victim.stats;
  const before = rogue.phaseHeard;
  rogue.sealer.update();
  rogue.say(PING);
  rogue.pair.runTo(rogue.pair.now + 100);
  strictEqual(rogue.victim.stats.keyUpdates, 1);
  ok(rogue.victim.stats.sentPackets > sentPackets);
  deepStrictEqual([before, rogue.phaseHeard, rogue.unreadPackets], [0, 1, 0]);
  strictEqual(rogue.victim.state, "confirmed");
});

Deno.test("Packets of the old phase are taken for three probe timeouts after the update, and no longer (RFC 9001 §6.5)", () => {
  for (const lateByProbeTimeouts of [0, 2.5, 3.5]) {
    const rogue = new RogueEnd();
    const { pair, victim } = rogue;
    const old = rogue.oldSealer();
    const late = rogue.takeNumber();
    rogue.sealer.update();
    rogue.say(PADDING);
    const before = victim.stats.receivedPackets;
    pair.runTo(pair.now + lateByProbeTimeouts * victim.stats.probeTimeoutMs);
    rogue.say(PADDING, old, late);
    strictEqual(victim.stats.receivedPackets - before, lateByProbeTimeouts < 3 ? 1 : 0, `${lateByProbeTimeouts}`);
    strictEqual(rogue.victim.closeReason, undefined);
    strictEqual(victim.stats.keyUpdates, 1);
  }
});

Deno.test("Header protection outlives every update (RFC 9001 §6.1)", () => {
  const secret = new Uint8Array(32).fill(0x51);
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, SUITE, secret);
  const hp = deriveHeaderKey(SUITE, secret);
  const protection = NODE_AEAD_BACKEND.headerProtection(SUITE.aead, hp);
  for (let update = 0; update < 3; update++) {
    const writer = new Writer(new Uint8Array(64));
    writeShortHeader(writer, new Uint8Array(8), sealer.keyPhase, 7 + update, 4);
    writer.zeros(4 + 16);
    sealer.seal(writer.buffer, 0, 9, 4, writer.offset - 16, 7 + update);
    const mask = protection.mask(writer.buffer, 13);
    const number = writer.buffer.slice(9, 13).map((byte, i) => byte ^ mask[1 + i]!);
    strictEqual(toHex(number), `0000000${7 + update}`);
    strictEqual(((writer.buffer[0]! ^ (mask[0]! & 0x1f)) >> 2) & 1, update % 2);
    sealer.update();
  }
});

Deno.test("No key is made while a packet is opened or an update goes, forged or true (RFC 9001 §6.3, §9.5)", () => {
  let made = 0;
  const counting: AeadBackend = {
    ...NODE_AEAD_BACKEND,
    aead: (name: AeadName, key: Uint8Array) => {
      made++;
      return NODE_AEAD_BACKEND.aead(name, key);
    },
  };
  const rogue = new RogueEnd({ server: { aead: counting } });
  const { pair, victim } = rogue;
  const during = (action: () => void): number => {
    const before = made;
    action();
    return made - before;
  };
  // Forged, with either phase bit: header protection makes the bit random.
  for (let i = 0; i < 8; i++) strictEqual(during(() => rogue.forge(new Uint8Array(60).fill(0x40 + i))), 0);
  rogue.sealer.update();
  strictEqual(during(() => rogue.say(PING)), 0);
  strictEqual(victim.stats.keyUpdates, 1);
  // The keys of the phase after that are made when those of the one before go.
  strictEqual(during(() => pair.runTo(pair.now + 4 * victim.stats.probeTimeoutMs)), 2);
  rogue.sealer.update();
  strictEqual(during(() => rogue.say(PING)), 0);
  strictEqual(victim.stats.keyUpdates, 2);
});
