/**
 * Sessions of `quic-native` while the network changes under them: addresses of either peer are replaced, NATs forget.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { NatOptions, VirtualHost } from "../../lab/mod.ts";
import { COMPARE_INTERVAL_MS } from "../../transports/bases.ts";
import { complete, NativeDuplex } from "../support/native_duplex.ts";
import { CALL_AT, NativeWorld, PEER_RTT_MS, PORT_RESTRICTED } from "../support/native_world.ts";
import type { NativeOptions, NativePeer } from "../support/native_world.ts";

const SYMMETRIC: NatOptions = { mapping: "APDM", filtering: "APDF" };
const LATENT = { rttToCoreMs: PEER_RTT_MS / 2 };
const RATE_BITS_PER_SECOND = 20_000_000;
const MIB = 1024 * 1024;
const MAX_MS = 60_000;

interface ChangeOptions extends Partial<NativeOptions> {
  readonly totalBytes?: number;
  /** Before the listener has its address at the relay. */
  readonly prepare?: (world: NativeWorld) => void;
}

/** Lets a transfer flow each way, and changes something in its middle. */
class Change {
  readonly world: NativeWorld;
  readonly transfer: NativeDuplex;
  readonly totalBytes: number;
  /** When it changed. */
  at = NaN;

  constructor(options: ChangeOptions = {}) {
    this.totalBytes = options.totalBytes ?? 8 * MIB;
    const world = this.world = new NativeWorld({ seed: 1, ...options });
    options.prepare?.(world);
    world.net.run({ until: CALL_AT });
    for (const nat of [world.natOfA, world.natOfB]) {
      for (const link of [nat?.up, nat?.down]) {
        if (link !== undefined) {
          link.options = { ...link.options, rateBitsPerSecond: RATE_BITS_PER_SECOND, queueMs: 100 };
        }
      }
    }
    this.transfer = new NativeDuplex(world, this.totalBytes);
  }

  /** Runs until the path is of that kind and bytes have flowed on it, changes, and runs until all has arrived. */
  run(kind: "relayed" | "direct", change: (world: NativeWorld) => void): this {
    const { world, transfer } = this;
    ok(world.until(() => transfer.caller.path === kind && world.listener.path === kind, 5000), `not ${kind}`);
    world.net.run({ until: world.net.now + 500 });
    ok(!transfer.isDone);
    this.at = world.net.now;
    change(world);
    world.net.run({ until: this.at + MAX_MS, stopWhen: () => transfer.isDone, maxEvents: 20_000_000 });
    deepStrictEqual(transfer.outcome, complete(this.totalBytes));
    deepStrictEqual([transfer.caller.sessions.length, world.listener.sessions.length], [1, 1]);
    return this;
  }

  /** How a peer's path changed since. */
  kinds(peer: NativePeer): string[] {
    const kinds = peer.all("path").filter(({ at }) => at >= this.at).map(({ event }) => event.kind);
    return kinds.filter((kind, index) => kind !== kinds[index - 1]);
  }

  /** When the caller's path became so for the first time since. */
  when(kind: "relayed" | "direct"): number {
    const found = this.transfer.caller.all("path").find(({ at, event }) => at >= this.at && event.kind === kind);
    return (found?.at ?? NaN) - this.at;
  }

  /** Longest time without a byte since, in either direction. */
  get gapRtts(): number {
    return this.transfer.longestGap(this.at) / PEER_RTT_MS;
  }
}

/** Takes all IPv4 addresses of a host away and gives it one behind another NAT, as from Wi-Fi to a mobile network. */
function move(world: NativeWorld, host: VirtualHost, kind: NatOptions = PORT_RESTRICTED): void {
  const nat = world.net.nat({ ...kind, ...LATENT });
  for (const { address } of host.interfaces()) if (address.family === 4) host.removeAddress(address.host);
  world.net.attach(host, `wwan${nat.name}`, { behind: nat });
}
/** The same in IPv6, without a NAT. */
function moveIpv6(world: NativeWorld, host: VirtualHost, address: string): void {
  for (const { address } of host.interfaces()) if (address.family === 6) host.removeAddress(address.host);
  world.net.attach(host, `wwan ${address}`, { ...LATENT, address });
}

/** Both peers have IPv6 as well; the relay has not. */
function dualStack({ net, a, b }: NativeWorld): void {
  net.attach(a, "eth0", { ...LATENT, address: "2001:db8:a::1" });
  net.attach(b, "eth0", { ...LATENT, address: "2001:db8:b::1" });
}

/** What happens in mid-transfer, and whether the peer it happens to knows at once by its own socket. */
const CHANGES: readonly (readonly [string, (world: NativeWorld, kind?: NatOptions) => void, maxGapRtts: number])[] = [
  ["the caller has another address", (world, kind) => move(world, world.a, kind), 4],
  ["the listener has another address", (world, kind) => move(world, world.b, kind), 6],
  ["the caller's NAT forgets", ({ natOfA }) => natOfA?.rebind(), 6],
  ["the listener's NAT forgets", ({ natOfB }) => natOfB?.rebind(), 6],
  ["the caller's NAT has another address", ({ natOfA, net }) => natOfA?.rebind({ address: net.unusedAddress() }), 6],
  ["the listener's NAT has another address", ({ natOfB, net }) => natOfB?.rebind({ address: net.unusedAddress() }), 6],
];

for (const [what, change, maxGapRtts] of CHANGES) {
  Deno.test(`quic-native: ${what} in mid-transfer: relayed, direct again, and nothing is lost (RFC 9000 §9)`, () => {
    const changed = new Change().run("direct", change);
    const { gapRtts, transfer, world } = changed;
    deepStrictEqual(changed.kinds(transfer.caller), ["relayed", "direct"]);
    deepStrictEqual(changed.kinds(world.listener), ["relayed", "direct"]);
    ok(gapRtts <= maxGapRtts, `${gapRtts} RTT without a byte`);
    ok(changed.when("direct") <= 7 * PEER_RTT_MS, `direct after ${changed.when("direct")} ms`);
    // What does not hold any more was withdrawn: each peer tells where it is now, once per socket and NAT.
    for (const peer of [transfer.caller, world.listener]) {
      const told = peer.all("candidate").length - peer.all("candidateWithdrawn").length;
      strictEqual(told, 2, `${peer.host.name} tells ${told} addresses`);
    }
    // The tunnel has followed: nobody had to register again.
    deepStrictEqual([world.listener.all("unregistered").length, world.listener.all("ticket").length], [0, 1]);
  });
}

for (const [what, change] of CHANGES.slice(0, 4)) {
  Deno.test(`quic-native: ${what} in mid-transfer through the relay, which keeps port and tunnel (RFC 9000 §9.3)`, () => {
    const changed = new Change({ totalBytes: MIB, caller: SYMMETRIC, listener: SYMMETRIC });
    const { target } = changed.world;
    const { gapRtts, transfer, world } = changed.run("relayed", (it) => change(it, SYMMETRIC));
    deepStrictEqual([transfer.caller.path, world.listener.path], ["relayed", "relayed"]);
    ok(gapRtts <= 3, `${gapRtts} RTT without a byte`);
    deepStrictEqual([world.listener.all("unregistered").length, world.listener.all("ticket").length], [0, 1]);
    deepStrictEqual(world.target.addresses, target.addresses);
  });
}

Deno.test("quic-native: IPv6 addresses of both peers are replaced, one after the other; the relay has IPv4 only", () => {
  const changed = new Change({ prepare: dualStack });
  const { world, transfer } = changed;
  changed.run("direct", ({ net, a, b }) => {
    strictEqual(transfer.caller.sessions[0]?.connection.path.remote.family, 6);
    moveIpv6(world, a, "2001:db8:a::2");
    net.at(net.now + 1500, () => moveIpv6(world, b, "2001:db8:b::2"));
  });
  // The system goes on sending from an IPv6 address that is gone, so that the comparison alone tells.
  ok(changed.gapRtts * PEER_RTT_MS <= COMPARE_INTERVAL_MS + 6 * PEER_RTT_MS, `${changed.gapRtts} RTT without a byte`);
  deepStrictEqual([transfer.caller.path, world.listener.path], ["direct", "direct"]);
  const { path } = transfer.caller.sessions[0]!.connection;
  deepStrictEqual([path.base.local.host, path.remote.host], ["2001:db8:a::2", "2001:db8:b::2"]);
});

Deno.test("quic-native: an address is replaced while nobody says anything: within a comparison and three round trips the path is direct again", () => {
  for (const side of ["a", "b"] as const) {
    const world = new NativeWorld({ seed: 1 });
    const caller = world.call(20_000);
    const { net } = world;
    const at = net.now;
    move(world, world[side]);
    const limitMs = COMPARE_INTERVAL_MS + (side === "a" ? 3 : 9) * PEER_RTT_MS;
    ok(world.until(() => caller.all("path").at(-1)!.at > at && caller.path === "direct", limitMs), side);
    net.run({ until: net.now + 1000 });
    deepStrictEqual([caller.path, world.listener.path], ["direct", "direct"]);
    const before = net.now;
    ok(echoes(world, caller));
    strictEqual(net.now - before, PEER_RTT_MS);
  }
});

Deno.test("quic-native: a network that is away for ten seconds and comes back with the same address is as if nothing had been", () => {
  const world = new NativeWorld({ seed: 1 });
  const caller = world.call(20_000);
  const { net, a } = world;
  const { address } = a.interface();
  const nat = world.natOfA!;
  a.removeAddress(address.host);
  const connection = caller.sessions[0]!.connection;
  const { path } = connection;
  connection.ping();
  caller.drain();
  net.run({ until: net.now + 10_000 });
  net.attach(a, "eth0", { behind: nat, address: address.host });
  net.run({ until: net.now + 5000 });
  deepStrictEqual(caller.all("base"), []);
  deepStrictEqual([connection.path.base, caller.path], [path.base, "direct"]);
  ok(echoes(world, caller));
});

Deno.test("quic-native: addresses that change every second for a minute leave one session and bounded tables", () => {
  for (const side of ["a", "b"] as const) {
    const world = new NativeWorld({ seed: 1 });
    const caller = world.call(5000);
    const { net } = world;
    const peer = side === "a" ? caller : world.listener;
    for (let second = 0; second < 60; second++) {
      move(world, world[side]);
      net.run({ until: net.now + 1000 });
      const { routes = 0, remotes = 0, deadlines = 0, transactions = 0 } = peer.machine.tableSizes;
      ok(
        routes <= 64 && remotes <= 32 && deadlines <= 16 && transactions <= 256,
        JSON.stringify(peer.machine.tableSizes),
      );
    }
    ok(echoes(world, caller), side);
    // So many probes to one host have to be earned again: what a peer can make another one send to it is bounded.
    ok(world.until(() => caller.path === "direct" && world.listener.path === "direct", 120_000), side);
    ok(echoes(world, caller));
    deepStrictEqual([caller.sessions.length, world.listener.sessions.length], [1, 1]);
    // As many candidates as there are addresses: those before have been withdrawn.
    const told = peer.all("candidate").length - peer.all("candidateWithdrawn").length;
    ok(told <= 2, `${told} candidates`);
  }
});

/** Says something and waits for its echo. */
function echoes(world: NativeWorld, caller: NativePeer): boolean {
  const connection = caller.sessions[0]?.connection;
  const id = connection?.openStream("bidirectional");
  if (connection === undefined || id === undefined) return false;
  const before = world.returned.length;
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  caller.drain();
  return world.until(() => world.returned.slice(before) === "again", 2000);
}
