/**
 * Clients of a relay that say almost the right thing in HTTP/3, in capsules and in datagrams, beside an honest one: what they
 * write is damaged before QUIC seals it (RFC 9114, RFC 9297, RFC 9298).
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import { randomUnit } from "../../protocols/core/random.ts";
import { QuicPeer, startRelay, transferBothWays, TunnelPeer, untilOpen } from "./relay_world.ts";
import { seededRandom } from "./seeded_random.ts";
import { below, mutated, pick, Seen } from "./stranger.ts";

/** Rogues, one after the other. */
const ROGUES = 8;
/** Time that a connection without a port, or a client that is silent, has at a relay. */
const SETTLING_MS = 120_000;

/**
 * Rogue clients at a relay, while two honest peers talk through it. @returns Writes that were damaged.
 *
 * @throws {Error} If the honest ones come to harm, or anything is left.
 */
export function rogueTunnels(seed: number): number {
  const random = seededRandom(seed ^ 0x57_02_13);
  const net = new VirtualNetwork({ seed });
  const place = { rttToCoreMs: 10 };
  const relay = startRelay(net.host("relay", place));
  const bob = new TunnelPeer(net.host("bob", place), relay);
  const alice = new QuicPeer(net.host("alice", place));
  const transfers = transferBothWays(alice, bob, 200_000);
  alice.connect(untilOpen(net, bob), "bob");
  let damaged = 0;
  for (let n = 0; n < ROGUES; n++) {
    const rogue = new TunnelPeer(net.host(`rogue ${n}`, place), relay, { outer: { keepAliveMs: 500 }, isRaw: true });
    const { outerConnection: connection } = rogue;
    const rate = pick(random, [0.1, 0.5, 1]);
    const seen = new Seen(random);
    const change = (data: Uint8Array): Uint8Array => {
      seen.add(data);
      if (data.length === 0 || randomUnit(random) >= rate) return data;
      damaged++;
      return mutated(data, random, seen.any());
    };
    const write = connection.write.bind(connection);
    connection.write = (id, data): number => {
      write(id, change(data));
      return data.length;
    };
    const sendDatagram = connection.sendDatagram.bind(connection);
    connection.sendDatagram = (data): boolean => sendDatagram(change(data));
    for (let i = 0; i < 10; i++) {
      net.run({ until: net.now + below(random, 60) });
      const { base } = rogue.tunnel;
      if (base === undefined) continue;
      const payload = new Uint8Array(1 + below(random, 1000));
      rogue.tunnel.send(
        { base, remote: pick(random, [alice.base.local, relay.address, bob.base.local]), payload },
        net.now,
      );
      rogue.driver.drain();
    }
    const { connections, ports } = relay.relay.sizes;
    ok(connections <= n + 2 && ports <= n + 2, `seed ${seed}: ${JSON.stringify(relay.relay.sizes)}`);
    connection.close(0, "", net.now);
    rogue.driver.drain();
  }
  net.run({ until: net.now + 5000 });
  strictEqual(transfers.length, 2);
  for (const transfer of transfers) {
    strictEqual(transfer.wrongAt, undefined, `seed ${seed}`);
    ok(transfer.endAt !== undefined, `seed ${seed}: ${transfer.receivedBytes} bytes`);
  }
  net.run({ until: net.now + SETTLING_MS });
  const { connections, ports } = relay.relay.sizes;
  ok(connections === 1 && ports === 1, `seed ${seed}: ${JSON.stringify(relay.relay.sizes)}`);
  return damaged;
}
