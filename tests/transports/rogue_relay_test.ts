import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Link, Packet } from "../../lab/mod.ts";
import { NativeTransfer } from "../support/native_transfer.ts";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";
import type { NativeOptions, NativePeer } from "../support/native_world.ts";
import { Babbler, LyingRelay } from "../support/rogue_relay.ts";
import { seededRandom } from "../support/seeded_random.ts";

// A relay that dies, lies, reorders, swallows or babbles: the session lives or ends as it should, and nothing is left of it.

const SYMMETRIC = { mapping: "APDM", filtering: "APDF" } as const;
const VICTIM = addressOf("198.51.100.200", 5555);
const MIB = 1024 * 1024;
/** Idle timeouts of both ends (RFC 9000 §10.1), and the time until a listener gives up the relay. */
const ENDED_MS = 120_000;

function linksOf(world: NativeWorld): { up: Link; down: Link } {
  const [nic] = world.relay.host.interfaces();
  const { up, down } = nic ?? {};
  ok(up !== undefined && down !== undefined);
  return { up, down };
}

function change(link: Link, options: Partial<Link["options"]>): void {
  link.options = { ...link.options, ...options };
}

/** The relay hears nothing, says nothing, or both. */
function cut(world: NativeWorld, which: "up" | "down" | "both"): void {
  const links = linksOf(world);
  if (which !== "down") change(links.up, { drop: () => true });
  if (which !== "up") change(links.down, { drop: () => true });
}

function reasonsOf(peer: NativePeer): string[] {
  return peer.told("closed").map(({ event }) => event.reason);
}

/** Tables that are not empty. */
function sizes({ machine }: NativePeer): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(machine.tableSizes).filter(([, size]) => size > 0));
}

/** A transfer of so many bytes that ends whole, by then. */
function assertDelivered(world: NativeWorld, transfer: NativeTransfer, bytes: number, maxMs = 600_000): void {
  world.net.run({ until: world.net.now + maxMs, stopWhen: () => transfer.doneAt !== undefined, maxEvents: 20_000_000 });
  deepStrictEqual(
    { delivered: transfer.deliveredBytes, wrongAt: transfer.wrongAt, isDone: transfer.doneAt !== undefined },
    { delivered: bytes, wrongAt: undefined, isDone: true },
  );
}

/** Both peers close, and nothing is left. */
function assertClean(world: NativeWorld, caller: NativePeer): void {
  caller.close();
  world.listener.close();
  world.net.run({ until: world.net.now + ENDED_MS });
  deepStrictEqual([sizes(caller), sizes(world.listener)], [{}, {}]);
}

for (const which of ["up", "down", "both"] as const) {
  Deno.test(`quic-native: in mid-transfer the relay's way ${which} dies: a session that is direct loses nothing`, () => {
    const world = new NativeWorld({ seed: 1 });
    world.net.run({ until: CALL_AT });
    const transfer = new NativeTransfer(world, "listener", 2 * MIB);
    ok(world.until(() => transfer.caller.path === "direct" && transfer.deliveredBytes > 50_000, 5000));
    cut(world, which);
    assertDelivered(world, transfer, 2 * MIB);
    strictEqual(transfer.caller.path, "direct");
    assertClean(world, transfer.caller);
  });

  Deno.test(`quic-native: in mid-transfer the relay's way ${which} dies: a session that has no other way ends on both sides`, () => {
    const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC });
    world.net.run({ until: CALL_AT });
    const transfer = new NativeTransfer(world, "listener", 8 * MIB);
    ok(world.until(() => transfer.deliveredBytes > 50_000, 10_000));
    cut(world, which);
    world.net.run({ until: world.net.now + ENDED_MS });
    strictEqual(transfer.doneAt, undefined);
    for (const peer of [transfer.caller, world.listener]) {
      strictEqual(reasonsOf(peer).length, 1, peer.host.name);
      match(reasonsOf(peer)[0] ?? "", /Nothing was heard/);
    }
    deepStrictEqual(sizes(transfer.caller), {});
    assertClean(world, transfer.caller);
  });
}

/** What the relay says of where its clients are. */
const LIES: readonly (readonly [what: string, lie: (remote: Address, now: number) => Address])[] = [
  ["somebody else's address", () => VICTIM],
  ["loopback", ({ port }) => addressOf("127.0.0.1", port)],
  ["multicast", ({ port }) => addressOf("239.255.255.250", port)],
  ["port 0", ({ host }) => addressOf(host, 0)],
  ["an address of IPv6", ({ port }) => addressOf("2001:db8::66", port)],
  ["another port every second", ({ host }, now) => addressOf(host, 10_000 + Math.floor(now / 1000))],
  ["the truth at first, and then somebody else's address", (remote, now) => now < 2000 ? remote : VICTIM],
  ["another host every second", ({ port }, now) => addressOf(`198.18.0.${1 + Math.floor(now / 1000) % 250}`, port)],
];

for (const [what, lie] of LIES) {
  Deno.test(`quic-native: a relay that tells its clients ${what} for their own costs the direct path nothing (address-discovery-00 §7)`, () => {
    const options: NativeOptions = { seed: 1, wrapRelay: (relay) => new LyingRelay(relay, lie) };
    const world = new NativeWorld(options);
    const toVictim: Packet[] = [];
    for (const nat of [world.natOfA!, world.natOfB!]) {
      change(nat.up, { drop: (packet) => packet.destination === VICTIM && toVictim.push(packet) < 0 });
    }
    // Long enough for the relay to have changed its mind.
    world.net.run({ until: 40_000 });
    strictEqual(
      world.listener.all("candidateWithdrawn").some(({ event }) => event.candidate.server === world.stun),
      false,
    );
    const transfer = new NativeTransfer(world, "listener", MIB);
    assertDelivered(world, transfer, MIB, 120_000);
    deepStrictEqual([transfer.caller.path, world.listener.path], ["direct", "direct"]);
    // Small probes, as often as a target may get them.
    ok(toVictim.every(({ bytes }) => bytes < 100) && toVictim.length <= 18, `${toVictim.length}`);
    assertClean(world, transfer.caller);
  });
}

Deno.test("quic-native: a relay that gives somebody else's address for the listener's: the call fails within 10 s, and nobody hangs", () => {
  const publicHost = "198.51.100.200";
  const world = new NativeWorld({ seed: 1, relay: { publicHost } });
  const toVictim: Packet[] = [];
  change(world.natOfA!.up, { drop: (packet) => packet.destination.host === publicHost && toVictim.push(packet) < 0 });
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 10_000 });
  match(caller.first("failed")?.event.message ?? "", /^No connection: nobody answered at the relayed address 198/);
  strictEqual(caller.sessions.length, 0);
  // Initials of one handshake that nobody answers (RFC 9002 §6.2.4).
  ok(toVictim.length >= 2 && toVictim.length <= 16, `${toVictim.length}`);
  world.net.run({ until: CALL_AT + ENDED_MS });
  deepStrictEqual(sizes(caller), {});
  assertClean(world, caller);
});

for (const text of ["127.0.0.1:4000", "0.0.0.0:4000", "224.0.0.1:4000", "203.0.113.9:53", "203.0.113.9:0"]) {
  Deno.test(`quic-native: a ticket that names ${text} is nobody's: the call fails at once, and nothing is sent there (RFC 9000 §21.5.6)`, () => {
    const world = new NativeWorld({ seed: 1 });
    world.net.run({ until: CALL_AT });
    const address = parseAddress(text);
    const sent: Packet[] = [];
    change(world.natOfA!.up, { drop: (packet) => packet.destination === address && sent.push(packet) < 0 });
    const caller = world.dial({ addresses: [address] });
    world.net.run({ until: CALL_AT + 1000 });
    match(caller.first("failed")?.event.message ?? "", /^No connection: the relayed address .* cannot be a peer's/);
    deepStrictEqual([sent.length, caller.sessions.length], [0, 0]);
    world.net.run({ until: CALL_AT + ENDED_MS });
    deepStrictEqual(sizes(caller), {});
    // A good one beside it is dialled all the same.
    const host = world.net.host("other", { rttToCoreMs: 40 });
    const other = world.dial({ host, addresses: [address, ...world.target.addresses] });
    ok(world.until(() => other.path === "direct", 5000));
  });
}

for (const publicHost of ["127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255"]) {
  Deno.test(`quic-native: a relay that gives ${publicHost} for the listener's address is none: the listener hands out no ticket, and says why`, () => {
    const world = new NativeWorld({ seed: 1, relay: { publicHost } });
    world.net.run({ until: 60_000 });
    strictEqual(world.listener.first("ticket"), undefined);
    const tries = world.listener.all("unregistered");
    ok(tries.length >= 2 && tries.length <= 20, `${tries.length}`);
    match(tries[0]?.event.reason ?? "", new RegExp(`the proxy tells ${publicHost}, which is`));
    world.listener.close();
    world.net.run({ until: world.net.now + ENDED_MS });
    deepStrictEqual(sizes(world.listener), {});
    strictEqual(world.relay.relay.sizes.connections, 0);
  });
}

/** The relay closes every connection to it, with or without saying so first. */
function closeConnections({ net, relay }: NativeWorld, isAnnounced: boolean): void {
  for (const step of isAnnounced ? ["announce", "close"] as const : ["close"] as const) {
    relay.relay.leave(step, net.now);
    relay.driver.drain();
  }
}

for (const isAnnounced of [true, false]) {
  const how = isAnnounced ? "after GOAWAY" : "without GOAWAY";
  Deno.test(`quic-native: a relay that closes its connections in mid-transfer, ${how}, is found again, and no byte is lost (RFC 9114 §5.2)`, () => {
    for (const place of [{}, { caller: SYMMETRIC, listener: SYMMETRIC }]) {
      for (const sender of ["caller", "listener"] as const) {
        const world = new NativeWorld({ seed: 1, ...place });
        world.net.run({ until: CALL_AT });
        const { addresses } = world.target;
        const transfer = new NativeTransfer(world, sender, 2 * MIB);
        ok(world.until(() => transfer.deliveredBytes > 100_000, 10_000));
        for (let times = 0; times < 3; times++) {
          closeConnections(world, isAnnounced);
          world.net.run({ until: world.net.now + 2000 });
        }
        assertDelivered(world, transfer, 2 * MIB);
        // The listener is where it was: its key has its port back.
        deepStrictEqual(world.target.addresses, addresses);
        assertClean(world, transfer.caller);
      }
    }
  });
}

Deno.test("quic-native: a direct path that begins to swallow large packets in mid-transfer is survived, there or by the relay (RFC 8899 §4.3)", () => {
  for (const sender of ["caller", "listener"] as const) {
    const world = new NativeWorld({ seed: 1 });
    world.net.run({ until: CALL_AT });
    const transfer = new NativeTransfer(world, sender, 4 * MIB);
    ok(world.until(() => transfer.caller.path === "direct" && transfer.deliveredBytes > MIB, 30_000));
    for (const nat of [world.natOfA!, world.natOfB!]) {
      change(nat.down, { drop: ({ bytes, source }) => bytes > 1240 && source.host !== world.relay.address.host });
    }
    assertDelivered(world, transfer, 4 * MIB);
    assertClean(world, transfer.caller);
  }
});

Deno.test("quic-native: a relay that reorders, duplicates and delays by chance loses no byte, relayed and over the switch", () => {
  for (const place of [{}, { caller: SYMMETRIC, listener: SYMMETRIC }]) {
    const world = new NativeWorld({ seed: 3, ...place });
    for (const link of Object.values(linksOf(world))) {
      change(link, { jitterMs: 30, reorderRate: 0.1, reorderMs: 40, duplicateRate: 0.1, lossRate: 0.01 });
    }
    world.net.run({ until: CALL_AT });
    const transfer = new NativeTransfer(world, "caller", 512 * 1024);
    assertDelivered(world, transfer, 512 * 1024);
    assertClean(world, transfer.caller);
  }
});

Deno.test("quic-native: a relay that swallows large packets carries sessions in small ones (RFC 9000 §14.4)", () => {
  for (const sender of ["caller", "listener"] as const) {
    const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC });
    world.net.run({ until: CALL_AT });
    // What a tunnel needs for inner Initials: 1280 bytes of UDP, and IPv4 and UDP headers.
    for (const link of Object.values(linksOf(world))) change(link, { mtuBytes: 1308 });
    const transfer = new NativeTransfer(world, sender, 512 * 1024);
    assertDelivered(world, transfer, 512 * 1024);
    strictEqual(transfer.caller.path, "relayed");
    assertClean(world, transfer.caller);
  }
});

Deno.test("quic-native: a relay that begins to swallow large packets in mid-transfer is survived (RFC 8899 §4.3)", () => {
  const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC });
  world.net.run({ until: CALL_AT });
  const transfer = new NativeTransfer(world, "listener", MIB);
  ok(world.until(() => transfer.deliveredBytes > 200_000, 60_000));
  for (const link of Object.values(linksOf(world))) change(link, { mtuBytes: 1308 });
  assertDelivered(world, transfer, MIB);
  assertClean(world, transfer.caller);
});

Deno.test("quic-native: a direct path that carries no 1200 bytes is left again, and the transfer loses nothing (RFC 9000 §8.2.1)", () => {
  for (const sender of ["caller", "listener"] as const) {
    const world = new NativeWorld({ seed: 1 });
    const [hostA, hostB] = [world.natOfA!.address, world.natOfB!.address];
    for (const nat of [world.natOfA!, world.natOfB!]) {
      const isDirect = ({ source, destination }: Packet): boolean =>
        (source.host === hostA && destination.host === hostB) || (source.host === hostB && destination.host === hostA);
      change(nat.down, { drop: (packet) => packet.bytes > 1000 && isDirect(packet) });
    }
    world.net.run({ until: CALL_AT });
    const transfer = new NativeTransfer(world, sender, MIB);
    assertDelivered(world, transfer, MIB);
    world.net.run({ until: world.net.now + 5000 });
    deepStrictEqual([transfer.caller.path, world.listener.path], ["relayed", "relayed"], sender);
    assertClean(world, transfer.caller);
  }
});

Deno.test("quic-native: a direct path that carries 1200 bytes and no more is used as it is (RFC 9000 §14.3)", () => {
  const world = new NativeWorld({ seed: 1 });
  for (const nat of [world.natOfA!, world.natOfB!]) {
    change(nat.down, { drop: ({ bytes, source }) => bytes > 1240 && source.host !== world.relay.address.host });
  }
  world.net.run({ until: CALL_AT });
  const transfer = new NativeTransfer(world, "listener", 2 * MIB);
  assertDelivered(world, transfer, 2 * MIB);
  deepStrictEqual([transfer.caller.path, world.listener.path], ["direct", "direct"]);
  assertClean(world, transfer.caller);
});

Deno.test("quic-native: a relay that answers garbage is no relay: the listener says so, tries again more rarely, and keeps nothing", () => {
  const world = new NativeWorld({ seed: 1, wrapRelay: () => new Babbler(seededRandom(5)) });
  world.net.run({ until: 120_000 });
  strictEqual(world.listener.first("ticket"), undefined);
  const tries = world.listener.all("unregistered");
  ok(tries.length >= 2 && tries.length <= 20, `${tries.length}`);
  world.listener.close();
  world.net.run({ until: world.net.now + ENDED_MS });
  deepStrictEqual(sizes(world.listener), {});
});

Deno.test("quic-native: garbage from strangers at the relayed address, a thousand datagrams a second, harms no session", () => {
  const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC });
  const { net } = world;
  net.run({ until: CALL_AT });
  const stranger = net.host("stranger");
  const base = stranger.bind(stranger.address(7000));
  const random = seededRandom(9);
  const [address] = world.target.addresses;
  ok(address !== undefined);
  const transfer = new NativeTransfer(world, "caller", 256 * 1024);
  for (let n = 0; n < 10_000; n++) {
    net.at(CALL_AT + n, () => {
      const payload = random.fill(new Uint8Array(n % 5 === 0 ? 1200 : 40));
      if (n % 2 === 0) payload.set([0xc0, 0, 0, 0, 1]);
      stranger.send({ base, remote: address, payload });
    });
  }
  assertDelivered(world, transfer, 256 * 1024);
  strictEqual(transfer.caller.path, "relayed");
  strictEqual(world.listener.sessions.length, 1);
  assertClean(world, transfer.caller);
});
