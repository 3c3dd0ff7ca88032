import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Packet } from "../../lab/mod.ts";
import { toHex } from "../../protocols/core/bytes.ts";
import { BY_RELAY, BY_STREAM, CALL_AT, SignalWorld, sizes, type Way } from "../support/signal_calls.ts";
import type { SignalServiceOptions } from "../support/signal_world.ts";

const MINUTE_MS = 60_000;

/** The Source Connection ID of an Initial (RFC 9000 §17.2.2); `undefined` of anything else. */
function initialSourceId(packet: Packet): string | undefined {
  if (packet.protocol !== "udp" || (packet.payload[0]! & 0xf0) !== 0xc0) return undefined;
  const at = 6 + packet.payload[5]!;
  return toHex(packet.payload.subarray(at + 1, at + 1 + packet.payload[at]!));
}

Deno.test("signaling relay: dialled by name, the echo is back after three round trips, and the session goes direct", () => {
  const world = new SignalWorld();
  const listener = world.listen(BY_RELAY);
  world.net.run({ until: CALL_AT });
  ok(listener.first("registered") !== undefined);
  const caller = world.dial(BY_RELAY);
  world.net.run({ until: CALL_AT + 5000 });
  const [session] = caller.sessions;
  ok(session !== undefined, JSON.stringify(caller.first("failed")?.event));
  deepStrictEqual({
    signaled: session.times.signaled,
    handshake: session.times.handshake,
    firstByte: world.firstByte,
    returned: world.echo.returned,
    path: caller.first("path")?.event.kind,
    direct: caller.first("path")?.event.ms,
  }, { signaled: 155, handshake: 310, firstByte: 465, returned: "hello", path: "direct", direct: 498 });
});

Deno.test("signaling relay: three round trips, whatever the distance", () => {
  for (const rttMs of [10, 50, 300]) {
    const world = new SignalWorld({}, 1, { rttMs });
    world.listen(BY_RELAY);
    world.net.run({ until: CALL_AT });
    world.dial(BY_RELAY);
    world.net.run({ until: CALL_AT + 5000 });
    strictEqual(world.firstByte, 3 * rttMs);
  }
});

Deno.test("signaling relay: one socket and one handshake serve name, reflexive address and relay", () => {
  const world = new SignalWorld();
  const { service } = world;
  const [sentByA, sentByB]: [Packet[], Packet[]] = [[], []];
  for (const [nat, sent] of [[world.natOfA, sentByA], [world.natOfB, sentByB]] as const) {
    nat.up.options = { ...nat.up.options, drop: (packet) => sent.push(packet) < 0 };
  }
  const listener = world.listen(BY_RELAY);
  world.net.run({ until: CALL_AT });
  // What the relay saw: nobody else was asked.
  const seen = listener.all("candidate").map(({ candidate }) => candidate).filter(({ type }) => type === "srflx");
  deepStrictEqual(seen.map(({ address }) => address.host), [world.natOfB.address]);
  deepStrictEqual([service.relay.sizes, service.relay.signalCount], [{ connections: 1, ports: 1, keptPorts: 0 }, 1]);
  const caller = world.dial(BY_RELAY);
  ok(world.until(() => caller.sessions.length > 0, 1000));
  strictEqual(service.relay.sizes.connections, 2);
  const relay = String(service.access.addresses[0]);
  for (const [peer, sent, other] of [[caller, sentByA, world.natOfB], [listener, sentByB, world.natOfA]] as const) {
    strictEqual(peer.bases.length, 1);
    strictEqual(new Set(sent.map(({ source }) => String(source))).size, 1);
    ok(sent.every(({ protocol }) => protocol === "udp"));
    // The relay, a port there, and the other side.
    const hosts = new Set(sent.map(({ destination }) => destination.host));
    deepStrictEqual([...hosts], [world.server.address().host, other.address].slice(0, hosts.size));
    // Initials name the connection that they are of: there was one handshake with the relay.
    const handshakes = sent.filter(({ destination }) => String(destination) === relay).map(initialSourceId);
    strictEqual(new Set(handshakes.filter((id) => id !== undefined)).size, 1);
  }
  // The caller has no use for the relay's server any more.
  ok(world.until(() => service.relay.sizes.connections === 1, 1000));
});

Deno.test("signaling relay: peers at the relay and peers with a stream find each other", () => {
  for (const [waiting, calling] of [[BY_RELAY, BY_STREAM], [BY_STREAM, BY_RELAY], [BY_STREAM, BY_STREAM]] as const) {
    const world = new SignalWorld();
    world.listen(waiting);
    world.net.run({ until: CALL_AT });
    const caller = world.dial(calling);
    world.net.run({ until: CALL_AT + 5000 });
    deepStrictEqual(
      [world.firstByte, world.echo.returned, caller.first("path")?.event.kind],
      [465, "hello", "direct"],
      `${waiting.signaling}, ${calling.signaling}`,
    );
  }
});

Deno.test("signaling relay: ice-then-quic needs no STUN server either, and the echo is as fast as with one", () => {
  const way: Way = { signaling: "relay", transport: "ice-then-quic" };
  const world = new SignalWorld();
  world.listen(way);
  world.net.run({ until: CALL_AT });
  const caller = world.dial(way);
  world.net.run({ until: CALL_AT + 5000 });
  const [session] = caller.sessions;
  ok(session !== undefined, JSON.stringify(caller.first("failed")?.event));
  deepStrictEqual([session.times.signaled, world.firstByte, world.echo.returned], [155, 465, "hello"]);
});

Deno.test("signaling relay: auto is as fast, with either of the two at the other end", () => {
  for (const [waiting, calling] of [["auto", "auto"], ["auto", "quic-native"], ["auto", "ice-then-quic"]] as const) {
    const world = new SignalWorld();
    world.listen({ signaling: "relay", transport: waiting });
    world.net.run({ until: CALL_AT });
    const caller = world.dial({ signaling: "relay", transport: calling });
    world.net.run({ until: CALL_AT + 5000 });
    const [session] = caller.sessions;
    ok(session !== undefined, JSON.stringify(caller.first("failed")?.event));
    deepStrictEqual([calling, world.firstByte, world.echo.returned], [calling, 465, "hello"]);
    strictEqual(session.isRelayed?.(session.connection.path) ?? false, false, calling);
  }
});

Deno.test("signaling relay: a peer that lets nobody know where it is tells nobody what the relay sees", () => {
  const way: Way = { signaling: "relay", transport: "auto", policy: "required" };
  const world = new SignalWorld();
  const listener = world.listen(way);
  world.net.run({ until: CALL_AT });
  const caller = world.dial(way);
  world.net.run({ until: CALL_AT + 5000 });
  const [session] = caller.sessions;
  ok(session !== undefined, JSON.stringify(caller.first("failed")?.event));
  deepStrictEqual([world.firstByte, world.echo.returned], [465, "hello"]);
  strictEqual(session.isRelayed?.(session.connection.path), true);
  for (const peer of [caller, listener]) deepStrictEqual(peer.all("candidate"), []);
});

Deno.test("signaling relay: nothing is left in any table when the session is over and the listener has closed", () => {
  const world = new SignalWorld();
  const listener = world.listen(BY_RELAY);
  world.net.run({ until: CALL_AT });
  const caller = world.dial(BY_RELAY);
  world.net.run({ until: CALL_AT + 5000 });
  caller.close();
  listener.close();
  world.net.run({ until: CALL_AT + 15_000 });
  for (const peer of [caller, listener]) {
    ok(peer.first("released") !== undefined);
    deepStrictEqual(sizes(peer), {});
  }
  const { relay, hub } = world.service;
  deepStrictEqual([relay.sizes.connections, relay.signalCount, hub.sizes.clients, hub.sizes.calls], [0, 0, 0, 0]);
});

Deno.test("signaling relay: a listener that waits costs 10 packets a minute, those that keep its port among them", () => {
  const world = new SignalWorld();
  world.listen(BY_RELAY);
  world.net.run({ until: 5 * MINUTE_MS });
  const packets: Packet[] = [];
  for (const link of [world.natOfB.up, world.natOfB.down]) {
    link.options = { ...link.options, drop: (packet) => packets.push(packet) < 0 };
  }
  world.net.run({ until: 15 * MINUTE_MS });
  strictEqual(packets.length, 100);
});

Deno.test("signaling relay: a wrong token and a relay without a hub end it at once, and say why", () => {
  const cases: readonly [SignalServiceOptions, Way, RegExp][] = [
    [
      { hubToken: "sesame" },
      BY_RELAY,
      /^Cannot signal through 203\.0\.113\.\d+:4443: the answer is 401, a --token is asked for$/,
    ],
    [{ hubToken: "sesame" }, { ...BY_RELAY, token: "guess" }, /the answer is 401, another --token is asked for$/],
    [{ hasNoHub: true }, BY_RELAY, /the answer is 404, there is no hub$/],
  ];
  for (const [options, way, message] of cases) {
    const world = new SignalWorld(options);
    const listener = world.listen(way);
    const caller = world.dial(way);
    world.net.run({ until: 1000 });
    // A listener has nothing to say before it has its port.
    for (const [peer, at] of [[caller, 155], [listener, 232.5]] as const) {
      const failed = peer.first("failed");
      deepStrictEqual([failed?.event.reason, failed?.at], ["hub", at], peer.host.name);
      match(failed?.event.message ?? "", message);
    }
  }
  const world = new SignalWorld({ hubToken: "sesame" });
  world.listen({ ...BY_RELAY, token: "sesame" });
  world.net.run({ until: CALL_AT });
  world.dial({ ...BY_RELAY, token: "sesame" });
  world.net.run({ until: CALL_AT + 1000 });
  strictEqual(world.firstByte, 465);
});

Deno.test("signaling relay: a listener comes back when the relay has started again, and is called as before", () => {
  const world = new SignalWorld();
  const listener = world.listen(BY_RELAY);
  world.net.run({ until: CALL_AT });
  world.service.restart();
  ok(world.until(() => listener.first("unregistered") !== undefined, 2 * MINUTE_MS));
  match(listener.first("unregistered")?.event.reason ?? "", /the relay|The hub/);
  ok(world.until(() => listener.all("registered").length > 1, 2 * MINUTE_MS));
  // Its tunnel may take a pause longer.
  ok(world.until(() => world.service.relay.sizes.ports === 1, MINUTE_MS));
  world.net.run({ until: world.net.now + 1000 });
  const at = world.net.now;
  world.dial(BY_RELAY);
  ok(world.until(() => world.echo.returned === "hello", 5000));
  strictEqual((world.echo.firstByteAt ?? NaN) - at, 465);
});

Deno.test("signaling relay: a caller whose relay dies before the answer tries again, and says so in the end", () => {
  const world = new SignalWorld();
  world.listen(BY_RELAY);
  world.net.run({ until: CALL_AT });
  const caller = world.dial(BY_RELAY);
  world.net.run({ until: CALL_AT + 100 });
  world.setDead(true);
  world.net.run({ until: CALL_AT + 11_000 });
  const failed = caller.first("failed");
  strictEqual(failed?.event.reason, "unreachable");
  ok((failed?.at ?? NaN) - CALL_AT <= 10_500, `${failed?.at}`);
  caller.close();
  world.net.run({ until: CALL_AT + 2 * MINUTE_MS });
  deepStrictEqual(sizes(caller), {});
});

Deno.test("signaling relay: a listener that loses the way to its relay is back when there is one again", () => {
  const world = new SignalWorld();
  const listener = world.listen(BY_RELAY);
  world.net.run({ until: CALL_AT });
  world.setDead(true);
  ok(world.until(() => listener.first("unregistered") !== undefined, MINUTE_MS));
  world.net.run({ until: CALL_AT + 3 * MINUTE_MS });
  world.setDead(false);
  ok(world.until(() => world.service.hub.sizes.listeners === 1 && world.service.relay.signalCount === 1, MINUTE_MS));
  ok(world.until(() => world.service.relay.sizes.ports === 1, MINUTE_MS));
  world.net.run({ until: world.net.now + 1000 });
  const caller = world.dial(BY_RELAY);
  ok(world.until(() => world.echo.returned === "hello", 5000), JSON.stringify(caller.first("failed")?.event));
});

Deno.test("signaling relay: 2 % loss, jitter and duplicates cost time and nothing else", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = new SignalWorld({}, seed, { lossRate: 0.02, jitterMs: 10, duplicateRate: 0.02 });
    world.listen(BY_RELAY);
    world.net.run({ until: CALL_AT });
    const caller = world.dial(BY_RELAY);
    ok(
      world.until(() => world.echo.returned === "hello", 9000),
      `seed ${seed}: ${JSON.stringify(caller.first("failed")?.event)}`,
    );
  }
});

Deno.test("signaling relay: whoever wants the secrets of connections is told those of the one to the relay too", () => {
  const world = new SignalWorld();
  const listener = world.listen({ ...BY_RELAY, keyLog: true });
  world.net.run({ until: CALL_AT });
  const labels = listener.all("connection").flatMap(({ event }) => event.type === "keyLog" ? [event.label] : []);
  deepStrictEqual(
    new Set(labels),
    new Set([
      "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
      "SERVER_HANDSHAKE_TRAFFIC_SECRET",
      "CLIENT_TRAFFIC_SECRET_0",
      "SERVER_TRAFFIC_SECRET_0",
      "EXPORTER_SECRET",
    ]),
  );
});

Deno.test("signaling relay: what the hub says before it hangs up is heard: a name that is taken, a key that came again", () => {
  const way: Way = { signaling: "relay", transport: "ice-then-quic" };
  const world = new SignalWorld();
  const first = world.listen(way);
  world.net.run({ until: CALL_AT });
  const other = world.net.host("other", { rttToCoreMs: 40 });
  const taken = world.listen(way, other);
  const third = world.net.host("third", { rttToCoreMs: 40 });
  const again = world.listen(way, third, world.b);
  world.net.run({ until: CALL_AT + 5000 });
  deepStrictEqual(
    [first, taken, again].map((peer) => peer.first("failed")?.event.reason),
    ["replaced", "nameTaken", undefined],
  );
  strictEqual(world.service.hub.sizes.listeners, 1);
  ok(again.first("registered") !== undefined);
});
