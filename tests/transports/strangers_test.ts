import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { Driver } from "../../io/driver.ts";
import type { PacketEvent, VirtualNat, VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { EndpointEvent } from "../../protocols/quic/events.ts";
import { isStun } from "../../protocols/stun/classify.ts";
import { BUSY_CODE } from "../../transports/accept_calls.ts";
import { rawKeyTls } from "../support/quic_pair.ts";
import { dialName, keyOf } from "../support/virtual_peers.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";
import { CALL_AT, World } from "../support/virtual_world.ts";

/** UDP datagrams a host has sent since an instant, but for those to STUN servers. */
function sentBy(world: World, host: string, from = CALL_AT): PacketEvent[] {
  return world.net.trace.events.filter((event) =>
    event.type === "sent" && event.where === host && event.at >= from && event.packet.protocol === "udp" &&
    event.packet.destination.port !== 3478
  );
}

function isQuic({ packet }: PacketEvent): boolean {
  return !isStun(packet.payload);
}

function assertEmpty(peer: VirtualPeer): void {
  for (const [table, size] of Object.entries(peer.machine.tableSizes)) {
    strictEqual(size, 0, `${peer.host.name} ${table}`);
  }
}

Deno.test("early dial: a callee that is dead is sent two datagrams, and with IPv6 twice two, at 20 ms, and no more", () => {
  for (const [hasIpv6, expected] of [[false, [155, 175]], [true, [155, 155, 175, 175]]] as const) {
    const world = new World({ seed: 1, hasIpv6, trace: { keepEvents: true } });
    world.listen();
    world.net.run({ until: CALL_AT });
    // The hub does not know yet, and hands out its record.
    world.b.hasPower = false;
    const caller = world.dial();
    world.net.run({ until: CALL_AT + 10_000 });
    const quic = sentBy(world, "a").filter(isQuic);
    deepStrictEqual(quic.map(({ at }) => at - CALL_AT), expected);
    ok(quic.every(({ packet }) => packet.payload.length === 1200));
    const failed = caller.first("failed");
    strictEqual(failed?.event.reason, "unreachablePeer");
    match(failed.event.message, /none answered/);
    assertEmpty(caller);
    // And nothing more ever.
    const count = world.net.trace.count("sent");
    world.net.run({ until: CALL_AT + 120_000 });
    deepStrictEqual(sentBy(world, "a", CALL_AT + 10_000), []);
    ok(world.net.trace.count("sent") - count < 20);
  }
});

Deno.test("a stranger's Initial meets silence at a listener, whatever the NAT lets in, and is counted", () => {
  const world = new World({ seed: 2, listener: "public", trace: { keepEvents: true } });
  const listener = world.listen();
  world.net.run({ until: CALL_AT });
  const stranger = world.net.host("stranger");
  const endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, stranger.random);
  const driver = new Driver(endpoint, stranger, (_event: EndpointEvent) => {});
  const base = stranger.bind(stranger.address());
  const tls = rawKeyTls(keyOf(stranger, 2), keyOf(world.b, 2));
  const remote = addressOf(world.b.address().host, listener.bases[0]!.local.port);
  endpoint.connect({ base, remote, tls, transport: DEFAULT_TRANSPORT_SETTINGS }, world.net.now);
  driver.drain();
  // Another version, a stray short header, garbage: nothing of it is answered either.
  const other = new Uint8Array(1200);
  other.set([0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8]);
  for (const payload of [other, new Uint8Array(50).fill(0x40), new Uint8Array(50).fill(0xff)]) {
    stranger.send({ base, remote, payload });
  }
  world.net.run({ until: CALL_AT + 60_000 });
  const received = sentBy(world, "stranger").length;
  ok(received > 5);
  deepStrictEqual(sentBy(world, "b"), []);
  const { drops } = listener.machine;
  deepStrictEqual(Object.fromEntries(drops), {
    "not admitted": received - 3,
    "unknown version": 1,
    "no connection": 1,
    "header is truncated": 1,
  });
  assertEmptyBut(listener, ["deadlines", "transactions"]);
});

function assertEmptyBut(peer: VirtualPeer, tables: readonly string[]): void {
  for (const [table, size] of Object.entries(peer.machine.tableSizes)) {
    if (!tables.includes(table)) strictEqual(size, 0, `${peer.host.name} ${table}`);
  }
}

Deno.test("a caller who is not on the list gets nothing, no packet and no candidate, and is counted", () => {
  const world = new World({ seed: 3, trace: { keepEvents: true } });
  const listener = world.listen({ allow: { any: false, keys: [keyOf(world.server, 3).publicKey.bytes] } });
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 60_000 });
  strictEqual(caller.first("failed")?.event.reason, "denied");
  match(caller.first("failed")!.event.message, /^bob does not admit our key .*: ask for a ticket or for --allow$/);
  deepStrictEqual(listener.all("refused").map(({ reason }) => reason), ["denied"]);
  deepStrictEqual([sentBy(world, "a"), sentBy(world, "b")], [[], []]);
  // Nor does the hub tell: a record names its candidates, and none has reached the caller.
  const told = world.net.trace.events.filter(({ type, where, packet }) =>
    type === "delivered" && where === "a" && packet.protocol === "tcp"
  ).map(({ packet }) => new TextDecoder().decode(packet.payload)).join("");
  match(told, /"t":"refused"/);
  ok(!told.includes('"record"'), told);
  assertEmpty(caller);
});

Deno.test("a second caller is told that the listener is busy, and gets through when the first has gone", () => {
  const world = new World({ seed: 4 });
  const listener = world.listen();
  world.net.run({ until: CALL_AT });
  const first = world.dial();
  world.net.run({ until: CALL_AT + 1000 });
  strictEqual(first.sessions.length, 1);
  const c = world.net.host("c", { behind: world.net.nat({ rttToCoreMs: 77.5 }) });
  const d = world.net.host("d", { behind: world.net.nat({ rttToCoreMs: 77.5 }) });
  const second = dialName(world.net, c, "bob", { hub: world.hub, stun: world.stun });
  world.net.run({ until: CALL_AT + 2000 });
  strictEqual(second.first("failed")?.event.reason, "busy");
  first.close();
  world.net.run({ until: CALL_AT + 3000 });
  const third = dialName(world.net, d, "bob", { hub: world.hub, stun: world.stun });
  world.net.run({ until: CALL_AT + 4000 });
  deepStrictEqual([third.sessions.length, listener.sessions.length], [1, 2]);
});

Deno.test("two early attempts make one session; the other is dropped on both sides, and nothing is left in the end", () => {
  const world = new World({ seed: 5, hasIpv6: true, trace: { keepEvents: true } });
  const { listener, caller } = world.call();
  strictEqual(world.echo.returned, "hello");
  strictEqual(world.timesOf(caller)["firstByte"], 465);
  deepStrictEqual([caller.sessions.length, listener.sessions.length], [1, 1]);
  const targets = new Set(sentBy(world, "a").filter(isQuic).map(({ packet }) => packet.destination.family));
  strictEqual(targets.size, 2);
  strictEqual(caller.machine.tableSizes["connections"], 1);
  world.net.run({ until: CALL_AT + 1000 });
  caller.close();
  // RFC 9000 §10.2: closing and draining take three probe timeouts; the attempt that was dropped without a word, its
  // idle timeout.
  world.net.run({ until: CALL_AT + 35_000 });
  assertEmpty(caller);
  assertEmptyBut(listener, ["deadlines", "transactions"]);
  listener.close();
  assertEmpty(listener);
});

Deno.test("early dial: somebody else at the address, with another key or another protocol, does not end the call", () => {
  // Both homes number their hosts alike, behind one carrier's NAT: the listener's private address is a stranger's here.
  for (const protocol of ["q2q", "h3"]) {
    const homes = (net: VirtualNetwork): VirtualNat[] => {
      const carrier = net.nat({ name: "carrier", rttToCoreMs: 77.5, inside: "100.64.0" });
      return ["left", "right"].map((name) => net.nat({ name, behind: carrier, rttToCoreMs: 4, inside: "192.168.7" }));
    };
    let nats: VirtualNat[] | undefined;
    const world = new World({
      seed: 6,
      caller: (net) => ({ behind: (nats ??= homes(net))[0]!, address: "192.168.7.2" }),
      listener: (net) => ({ behind: (nats ??= homes(net))[1]!, address: "192.168.7.3" }),
      trace: { keepEvents: true },
    });
    const stranger = world.net.host("stranger", { behind: nats![0]!, address: "192.168.7.3" });
    const tls = { ...rawKeyTls(keyOf(stranger, 6), keyOf(stranger, 6)), applicationProtocols: [protocol] };
    const peer = { certificateTypes: ["RawPublicKey"], ask: true } as const;
    const server = { tls: { ...tls, peer }, transport: DEFAULT_TRANSPORT_SETTINGS };
    const driver = new Driver(
      new QuicEndpoint({ ...DEFAULT_ENDPOINT_CONFIG, server }, stranger.random),
      stranger,
      () => {},
    );
    const { bases } = world.listen();
    stranger.bind(addressOf("192.168.7.3", bases[0]!.local.port));
    driver.drain();
    world.net.run({ until: CALL_AT });
    const caller = world.dial();
    world.net.run({ until: CALL_AT + 5000 });
    ok(sentBy(world, "stranger").length > 0, "the stranger was not met");
    strictEqual(world.echo.returned, "hello", String(caller.first("failed")?.event.message));
    strictEqual(caller.sessions[0]!.connection.path.remote.host, "203.0.113.2");
  }
});

Deno.test("of two callers at the same moment one gets the session, the other is told that the listener is busy", () => {
  const world = new World({ seed: 31 });
  const listener = world.listen();
  world.net.run({ until: CALL_AT });
  const c = world.net.host("c", { behind: world.net.nat({ rttToCoreMs: 77.5 }) });
  const callers = [world.dial(), dialName(world.net, c, "bob", { hub: world.hub, stun: world.stun })];
  world.net.run({ until: CALL_AT + 3000 });
  strictEqual(listener.sessions.length, 1);
  const ends = callers.flatMap((caller) =>
    caller.happened.flatMap(({ event }) =>
      event.type === "connection" && event.event.type === "closed" ? [[event.event.by, event.event.code]] : []
    )
  );
  deepStrictEqual(ends, [["application", BUSY_CODE]]);
});
