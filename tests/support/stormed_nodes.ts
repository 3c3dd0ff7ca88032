/**
 * Storms of strangers around a call and around a relay in the virtual network, each from one seed.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { NodeStorm } from "./node_storm.ts";
import type { StormTarget } from "./node_storm.ts";
import { QuicPeer, startRelay, transferBothWays, TunnelPeer, untilOpen } from "./relay_world.ts";
import type { VirtualPeer } from "./virtual_peers.ts";
import { CALL_AT, World } from "./virtual_world.ts";

function targetOf(peer: VirtualPeer): StormTarget {
  return {
    name: peer.host.name,
    host: peer.host.name,
    bases: () => peer.bases,
    handleDatagram: (datagram, now) => peer.machine.handleDatagram(datagram, now),
    drain: () => peer.drain(),
    sizes: () => peer.machine.tableSizes,
  };
}

/**
 * A call, stormed at both ends while it is made and after. @returns Datagrams of strangers.
 *
 * @throws {Error} If it comes to harm, or anything is left of it.
 */
export function stormedCall(seed: number): number {
  const world = new World({ seed, trace: { keepEvents: true } });
  const listener = world.listen();
  const atListener = new NodeStorm(world.net, [targetOf(listener)], seed);
  atListener.run(CALL_AT - 4000, 3);
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  const storm = new NodeStorm(world.net, [targetOf(listener), targetOf(caller)], seed + 1000);
  storm.run(CALL_AT + 1500, 6);
  strictEqual(world.echo.returned, "hello", `seed ${seed}: ${caller.first("failed")?.event.message}`);
  strictEqual(listener.sessions.length, 1, `seed ${seed}`);
  caller.close();
  world.net.run({ until: world.net.now + 60_000 });
  for (const [table, size] of Object.entries(caller.machine.tableSizes)) {
    strictEqual(size, 0, `seed ${seed} ${table}`);
  }
  listener.close();
  world.net.run({ until: world.net.now + 60_000 });
  for (const [table, size] of Object.entries(listener.machine.tableSizes)) {
    strictEqual(size, 0, `seed ${seed} ${table}`);
  }
  return atListener.sent + storm.sent;
}

/**
 * A transfer through a relay, stormed at the relay and at the port. @returns Datagrams of strangers.
 *
 * @throws {Error} If it comes to harm, or anything is left of it.
 */
export function stormedRelay(seed: number): number {
  const net = new VirtualNetwork({ seed, trace: { keepEvents: true } });
  // Those it listens on, and the ports of its clients: whatever anything has come in by.
  const bases = new Set<Base>();
  const relay = startRelay(net.host("relay", { rttToCoreMs: 20 }), {}, (machine) => ({
    handleDatagram: (datagram, now) => {
      bases.add(datagram.base);
      machine.handleDatagram(datagram, now);
    },
    handleTimeout: (now) => machine.handleTimeout(now),
    pollTransmit: (now) => machine.pollTransmit(now),
    pollEvent: () => machine.pollEvent(),
    pollTimeout: () => machine.pollTimeout(),
  }));
  const bob = new TunnelPeer(net.host("bob", { rttToCoreMs: 20 }), relay);
  const atRelay: StormTarget = {
    name: "relay",
    host: "relay",
    bases: () => [...bases],
    handleDatagram: (datagram, now) => relay.relay.handleDatagram(datagram, now),
    drain: () => relay.driver.drain(),
    sizes: () => relay.relay.sizes,
  };
  const storm = new NodeStorm(net, [atRelay], seed);
  storm.run(300, 4);
  const remote = untilOpen(net, bob);
  const alice = new QuicPeer(net.host("alice", { rttToCoreMs: 20 }));
  const transfers = transferBothWays(alice, bob, 100_000);
  alice.connect(remote, "bob");
  storm.run(net.now + 1200, 4);
  net.run({ until: net.now + 5000 });
  for (const transfer of transfers) {
    strictEqual(transfer.wrongAt, undefined, `seed ${seed}`);
    ok(transfer.endAt !== undefined, `seed ${seed}: ${transfer.receivedBytes} bytes`);
  }
  strictEqual(transfers.length, 2);
  net.run({ until: net.now + 60_000 });
  const { connections, ports } = relay.relay.sizes;
  ok(connections <= 1 && ports <= 1, `seed ${seed}: ${JSON.stringify(relay.relay.sizes)}`);
  return storm.sent;
}
