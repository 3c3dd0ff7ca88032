import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../../protocols/quic/config.ts";
import { QuicEndpoint } from "../../../protocols/quic/endpoint.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, Pair, rawKeyTls, SERVER_ADDRESS, SERVER_KEY } from "../../support/quic_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const STRANGER = addressOf("203.0.113.9", 9999);

function assertEmpty(endpoint: QuicEndpoint): void {
  for (const [table, size] of Object.entries(endpoint.tableSizes)) strictEqual(size, 0, table);
}

/** What a pair sends before anything is answered. */
function firstInitial(): Uint8Array {
  const pair = new Pair();
  const sent: Uint8Array[] = [];
  pair.filter = (_from, bytes) => {
    sent.push(bytes);
    return false;
  };
  pair.connect();
  pair.drain();
  return sent[0]!;
}

Deno.test("Endpoint forgets everything about connections that are over (RFC 9000 §10.2)", () => {
  const pair = new Pair({ link: { latencyMs: 1 } });
  for (let i = 0; i < 200; i++) {
    const { client } = pair.established();
    if (i % 3 === 0) client.close(0, "", pair.now);
    else if (i % 3 === 1) pair.server.connections.at(-1)!.close(1, "server", pair.now);
    else client.abandon();
    pair.client.events.length = 0;
    pair.server.events.length = 0;
  }
  // The abandoned ones are found out by idle timeout.
  pair.runTo(pair.now + 70_000, 100_000);
  assertEmpty(pair.client.endpoint);
  assertEmpty(pair.server.endpoint);
});

Deno.test("Endpoint that lists whom it admits is silent to others (design: admission)", () => {
  const pair = new Pair({ server: { admission: "listed" } });
  const refused = pair.connect({ transport: { ...DEFAULT_TRANSPORT_SETTINGS, idleTimeoutMs: 5000 } });
  pair.runUntil(() => refused.state === "drained");
  strictEqual(pair.sent.server, 0);
  strictEqual(refused.closeReason?.by, "idle");
  ok(pair.server.endpoint.drops.get("not admitted")! >= 3);
  assertEmpty(pair.server.endpoint);

  pair.server.endpoint.admit(CLIENT_ADDRESS, pair.now + 1000);
  pair.established();
  pair.server.endpoint.unadmit(CLIENT_ADDRESS);
  const late = pair.connect();
  pair.runTo(pair.now + 500);
  strictEqual(late.state, "handshaking");
  // A connection that exists goes on.
  strictEqual(pair.server.connections.length, 1);
  pair.server.endpoint.admit(CLIENT_ADDRESS, pair.now + 100);
  pair.runTo(pair.now + 5000);
  strictEqual(late.state, "handshaking");
});

Deno.test("Endpoint keeps to its limits of connections and handshakes", () => {
  const tls = rawKeyTls(SERVER_KEY, CLIENT_KEY);
  const addressValidation = { retry: "never", newTokens: false } as const;
  const handshakes = new Pair({
    server: { maxHalfOpenConnections: 2, server: { tls, transport: DEFAULT_TRANSPORT_SETTINGS, addressValidation } },
  });
  handshakes.filter = (from) => from.name === "client";
  for (let i = 0; i < 5; i++) handshakes.connect();
  handshakes.runTo(50);
  strictEqual(handshakes.server.endpoint.connectionCount, 2);
  strictEqual(handshakes.server.endpoint.drops.get("too many handshakes"), 3);

  const connections = new Pair({ server: { maxConnections: 1 } });
  connections.established();
  connections.connect();
  connections.runTo(connections.now + 50);
  strictEqual(connections.server.endpoint.connectionCount, 1);
  strictEqual(connections.server.endpoint.drops.get("too many connections"), 1);
});

Deno.test("Endpoint answers an unknown version with the one it speaks, if asked in full size (RFC 9000 §6.1)", () => {
  const pair = new Pair();
  const answers: string[] = [];
  pair.filter = (_from, bytes) => {
    answers.push(toHex(bytes));
    return true;
  };
  const hello = new Uint8Array(1200);
  hello.set(fromHex("c06b3343cf0801020304050607080411121314"));
  pair.inject(hello, STRANGER, SERVER_ADDRESS);
  pair.inject(hello.slice(0, 1199), STRANGER, SERVER_ADDRESS);
  pair.runTo(100);
  strictEqual(answers.length, 1);
  strictEqual(answers[0]!.slice(2), "0000000004111213140801020304050607080000" + "0001");
  strictEqual(pair.server.endpoint.drops.get("unknown version"), 2);
  assertEmpty(pair.server.endpoint);
});

Deno.test("Client that is told another version gives up, and is not fooled (RFC 9000 §6.2)", () => {
  for (const [isLying, expected] of [[false, "drained"], [true, "handshaking"]] as const) {
    const pair = new Pair();
    pair.filter = (from) => from.name === "server";
    const sent: Uint8Array[] = [];
    pair.filter = (_from, bytes) => {
      sent.push(bytes);
      return false;
    };
    const connection = pair.connect();
    pair.drain();
    const dcid = sent[0]!.slice(6, 14);
    const scid = sent[0]!.slice(15, 23);
    if (isLying) dcid[0]! ^= 1;
    const answer = fromHex(`c00000000008${toHex(scid)}08${toHex(dcid)}6b3343cf`);
    pair.inject(answer, SERVER_ADDRESS, CLIENT_ADDRESS);
    pair.runTo(50);
    strictEqual(connection.state, expected);
    if (isLying) strictEqual(pair.client.endpoint.drops.get("unexpected Version Negotiation"), 1);
    else strictEqual(connection.closeReason?.by, "transport");
  }
});

Deno.test("Endpoint drops an Initial that is too small or does not open (RFC 9000 §14.1, §5.2.2)", () => {
  const initial = firstInitial();
  const pair = new Pair();
  pair.inject(initial.slice(0, 1199), STRANGER, SERVER_ADDRESS);
  const garbled = initial.slice();
  garbled[600]! ^= 1;
  pair.inject(garbled, STRANGER, SERVER_ADDRESS);
  pair.runTo(100);
  const { drops } = pair.server.endpoint;
  strictEqual(drops.get("Initial is too small") ?? drops.get("header is truncated"), 1);
  strictEqual(drops.get("Initial does not open"), 1);
  strictEqual(pair.sent.server, 0);
  strictEqual(pair.server.connections.length, 0);
  assertEmpty(pair.server.endpoint);
});

Deno.test("Client without a server drops what it did not ask for (RFC 9000 §5.2.2)", () => {
  const pair = new Pair();
  pair.inject(firstInitial(), STRANGER, CLIENT_ADDRESS);
  pair.runTo(100);
  strictEqual(pair.client.endpoint.drops.get("not a server"), 1);
});

Deno.test("Stateless reset ends the connection that the peer has lost (RFC 9000 §10.3)", () => {
  const resetKey = new Uint8Array(32).fill(7);
  const pair = new Pair({ server: { resetKey } });
  const { client, server } = pair.established();
  server.abandon();
  pair.runTo(pair.now + 100);
  client.ping();
  pair.runUntil(() => client.state === "drained");
  deepStrictEqual(client.closeReason, { by: "reset", code: 0, reason: "The peer has lost the connection" });
  // Shorter than what it answers, and not longer than a small packet.
  const reset = Number(pair.trace.at(-1)!.split(" ")[2]);
  ok(reset >= 21 && reset <= 42);
});

Deno.test("Stateless reset is told from a packet only by its token (RFC 9000 §10.3.1)", () => {
  const pair = new Pair();
  const { client } = pair.established();
  for (let seed = 1; seed <= 50; seed++) {
    const bytes = seededRandom(seed).fill(new Uint8Array(40));
    bytes[0] = 0x40 | (bytes[0]! & 0x3f);
    pair.inject(bytes, SERVER_ADDRESS, CLIENT_ADDRESS);
  }
  pair.runTo(pair.now + 100);
  strictEqual(client.state, "confirmed");
  ok(pair.client.endpoint.drops.get("no connection")! >= 50);
});

Deno.test("Stateless resets are limited, so that two endpoints do not go on forever (RFC 9000 §10.3.3)", () => {
  const pair = new Pair();
  for (let seed = 1; seed <= 100; seed++) {
    const bytes = seededRandom(seed).fill(new Uint8Array(100));
    bytes[0] = 0x40 | (bytes[0]! & 0x3f);
    pair.inject(bytes, STRANGER, SERVER_ADDRESS);
  }
  pair.runTo(100);
  strictEqual(pair.sent.server, 20);
});

Deno.test("Random bytes and flipped bits never throw and never confuse a connection (RFC 9000 §5.2)", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pair = new Pair({ seed, link: { latencyMs: 3 } });
    const captured: Uint8Array[] = [];
    pair.filter = (_from, bytes) => {
      if (captured.length < 40) captured.push(bytes);
      return true;
    };
    const { client, server } = pair.established();
    const id = client.openStream("bidirectional")!;
    client.write(id, new Uint8Array(5000));
    pair.runTo(pair.now + 50);
    const random = seededRandom(1000 + seed);
    for (let i = 0; i < 200; i++) {
      const draw = random.fill(new Uint8Array(4));
      let bytes: Uint8Array;
      if (i % 2 === 0) {
        bytes = captured[draw[0]! % captured.length]!.slice();
        bytes[((draw[1]! << 8) | draw[2]!) % bytes.length]! ^= 1 << (draw[3]! & 7);
      } else {
        bytes = random.fill(new Uint8Array(1 + draw[0]! * 5));
      }
      pair.inject(bytes, CLIENT_ADDRESS, SERVER_ADDRESS);
      pair.inject(bytes, SERVER_ADDRESS, CLIENT_ADDRESS);
    }
    pair.runTo(pair.now + 50);
    strictEqual(client.state, "confirmed", `seed ${seed}`);
    strictEqual(server.state, "confirmed", `seed ${seed}`);
    client.close(0, "", pair.now);
    pair.runUntil(() => server.state === "drained");
  }
});

Deno.test("Truncated datagrams at every byte are dropped during the handshake and after (RFC 9000 §12.2)", () => {
  const pair = new Pair({ link: { latencyMs: 1 } });
  const captured: { name: string; bytes: Uint8Array }[] = [];
  pair.filter = (from, bytes) => {
    captured.push({ name: from.name, bytes });
    return true;
  };
  const { client, server } = pair.established();
  for (const { name, bytes } of captured.slice(0, 4)) {
    for (let length = 0; length < bytes.length; length++) {
      const [from, to] = name === "client" ? [CLIENT_ADDRESS, SERVER_ADDRESS] : [SERVER_ADDRESS, CLIENT_ADDRESS];
      pair.inject(bytes.slice(0, length), from, to);
    }
  }
  pair.runTo(pair.now + 100);
  strictEqual(client.state, "confirmed");
  strictEqual(server.state, "confirmed");
});

Deno.test("Endpoint takes a run of datagrams as if each had come alone (RFC 9000 §12.2)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  const sent: Uint8Array[] = [];
  pair.filter = (from, bytes) => {
    if (from.name !== "client") return true;
    sent.push(bytes);
    return false;
  };
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(3000));
  client.finish(id);
  pair.drain();
  deepStrictEqual(sent.map(({ length }) => length).slice(0, 2), [1200, 1200]);
  const payload = new Uint8Array(2400 + sent[2]!.length);
  sent.slice(0, 3).forEach((bytes, i) => payload.set(bytes, 1200 * i));
  const before = payload.slice();
  pair.server.endpoint.handleDatagram(
    { base: pair.server.base, remote: CLIENT_ADDRESS, payload, segmentBytes: 1200 },
    pair.now,
  );
  // Lent, so not written to.
  deepStrictEqual(payload, before);
  let read = 0;
  for (let data = server.read(id); data !== undefined; data = server.read(id)) read += data.length;
  strictEqual(read, 3000);
});

Deno.test("Endpoint passes over what no socket can have received", () => {
  const { endpoint, base } = new Pair().server;
  const take = (payload: Uint8Array, segmentBytes?: number): void =>
    endpoint.handleDatagram({
      base,
      remote: STRANGER,
      payload,
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    }, 0);
  take(new Uint8Array(0));
  take(new Uint8Array(70_000));
  take(new Uint8Array(10), 0);
  deepStrictEqual([...endpoint.drops], [["empty datagram", 1], ["not a datagram", 2]]);
});

Deno.test("Endpoint refuses settings that cannot work", () => {
  const random = seededRandom(1);
  throws(() => new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, resetKey: new Uint8Array(8) }, random), RangeError);
  const tls = rawKeyTls(SERVER_KEY, undefined);
  for (
    const bad of [
      { maxUdpPayloadBytes: 1199 },
      { maxUdpPayloadBytes: 1453 },
      { idleTimeoutMs: -1 },
      { keepAliveMs: 0 },
      { streamWindowBytes: 0 },
      { maxAckDelayMs: 16384 },
      { maxDatagramFrameBytes: -1 },
    ]
  ) {
    const transport = { ...DEFAULT_TRANSPORT_SETTINGS, ...bad };
    throws(() => new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, server: { tls, transport } }, random), RangeError);
  }
});

Deno.test("QuicEndpoint takes a late copy of an Initial for what it is, and begins no other connection (RFC 9000 §5.2)", () => {
  const pair = new Pair();
  const initials: Uint8Array[] = [];
  pair.filter = (from, bytes) => {
    if (from === pair.client && initials.length === 0) initials.push(bytes);
    return true;
  };
  pair.established();
  pair.runTo(pair.now + 1000);
  pair.inject(initials[0]!, CLIENT_ADDRESS, SERVER_ADDRESS);
  pair.runTo(pair.now + 1000);
  strictEqual(pair.server.connections.length, 1);
  strictEqual(pair.server.endpoint.connectionCount, 1);
});
