/**
 * NAT traversal on real QUIC connections that begin at a relay, in the virtual network.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../../../lab/mod.ts";
import { connects, nameOf, NAT_KINDS } from "../../../support/nat_theory.ts";
import { RelayedPair } from "../../../support/relayed_pair.ts";
import type { RelayedOptions, RelayedPeer } from "../../../support/relayed_pair.ts";

const PORT_RESTRICTED = { mapping: "EIM", filtering: "APDF" } as const;
const SYMMETRIC = { mapping: "APDM", filtering: "APDF" } as const;

/** What a stream brings, and what is still to be written to it. */
class Transfer {
  readonly pair: RelayedPair;
  receivedBytes = 0;
  isIntact = true;
  isOver = false;
  #writtenBytes = 0;
  readonly #totalBytes: number;

  /** The server sends so many bytes as soon as the client has opened a stream. */
  constructor(pair: RelayedPair, totalBytes: number) {
    this.pair = pair;
    this.#totalBytes = totalBytes;
    const { client, server } = pair;
    const onClient = client.onEvent;
    let id: number | undefined;
    client.onEvent = (connection, event) => {
      onClient(connection, event);
      if (event.type === "handshakeComplete") {
        id = connection.openStream("bidirectional");
        connection.write(id!, Uint8Array.of(1));
      } else if (event.type === "streamReadable") {
        for (let data = connection.read(event.id); data !== undefined; data = connection.read(event.id)) {
          this.#take(data);
        }
        this.isOver ||= connection.isAtEnd(event.id);
      }
    };
    server.onEvent = (connection, event) => {
      if (event.type === "streamReadable" || event.type === "streamWritable") {
        connection.read(event.id);
        this.#give(server, event.id);
      }
    };
  }

  #take(data: Uint8Array): void {
    for (const [i, byte] of data.entries()) this.isIntact &&= byte === byteAt(this.receivedBytes + i);
    this.receivedBytes += data.length;
  }

  #give(server: RelayedPeer, id: number): void {
    const { connection } = server;
    for (let n = 0; n < 1000 && this.#writtenBytes < this.#totalBytes; n++) {
      const length = Math.min(16_384, this.#totalBytes - this.#writtenBytes);
      const chunk = Uint8Array.from({ length }, (_, i) => byteAt(this.#writtenBytes + i));
      const taken = connection?.write(id, chunk) ?? 0;
      this.#writtenBytes += taken;
      if (taken < length) return;
    }
    if (this.#writtenBytes === this.#totalBytes) {
      connection?.finish(id);
      this.#writtenBytes++;
    }
  }
}

/** A byte that tells where in the stream it is. */
function byteAt(offset: number): number {
  return (offset * 31 + (offset >> 8)) & 0xff;
}

function run(options: RelayedOptions, untilMs: number): RelayedPair {
  const pair = new RelayedPair(options);
  pair.net.run({ until: pair.startedAt + untilMs });
  return pair;
}

/** Since the dial. */
function timesOf(pair: RelayedPair, peer: RelayedPeer): string[] {
  return peer.events.map(({ at, event }) => `${at - pair.startedAt} ${event.type}`);
}

Deno.test("NAT traversal moves a relayed connection to the direct path at 2.2 round trips, behind port-restricted NATs", () => {
  const pair = run({ clientNat: PORT_RESTRICTED, serverNat: PORT_RESTRICTED }, 5000);
  // The server's addresses come with its first flight, the request goes with the client's Finished: 155. The first probe
  // meets the server's NAT as it was, the second, 33 ms later, is answered.
  deepStrictEqual(timesOf(pair, pair.client).filter((line) => !line.includes("observed")), [
    "155 handshakeComplete",
    "310 handshakeConfirmed",
    "343 pathFound",
    "343 pathChanged",
    "498 pathSized",
  ]);
  strictEqual(pair.isDirect, true);
  strictEqual(pair.server.connection?.path.base, pair.server.socket);
  strictEqual(pair.server.connection?.path.isValidated, true);
});

Deno.test("NAT traversal has both ends told their addresses by each other (address-discovery-00 §5)", () => {
  const pair = run({ clientNat: PORT_RESTRICTED, serverNat: PORT_RESTRICTED }, 5000);
  const observed = (peer: RelayedPeer): string[] =>
    peer.events.flatMap(({ event }) => event.type === "observedAddress" ? [`${event.base.kind} ${event.address}`] : []);
  const outer = (nat: typeof pair.nats.client): string => String(nat?.mappings().at(0)?.external);
  deepStrictEqual(observed(pair.client), [`socket ${outer(pair.nats.client)}`, `socket ${outer(pair.nats.client)}`]);
  deepStrictEqual(observed(pair.server), [`tunnel ${pair.relay.bound}`, `socket ${outer(pair.nats.server)}`]);
});

Deno.test("NAT traversal takes every pair of NATs that theory lets connect off the relay, and leaves the others there", () => {
  for (const clientNat of NAT_KINDS) {
    for (const serverNat of NAT_KINDS) {
      const name = `${nameOf(clientNat)} to ${nameOf(serverNat)}`;
      const pair = new RelayedPair({ clientNat, serverNat });
      const transfer = new Transfer(pair, 20_000);
      pair.net.run({ until: pair.startedAt + 8000 });
      strictEqual(pair.isDirect, connects(clientNat, serverNat), name);
      deepStrictEqual([transfer.receivedBytes, transfer.isIntact, transfer.isOver], [20_000, true, true], name);
    }
  }
});

Deno.test("NAT traversal loses no byte on the way, whatever the network does", () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed, "which");
    const [clientNat, serverNat] = [NAT_KINDS[random.below(9)]!, NAT_KINDS[random.below(9)]!];
    const lossRate = random.below(3) * 0.02;
    const pair = new RelayedPair({ seed, clientNat, serverNat, lossRate, rttMs: 20 + random.below(200) });
    const transfer = new Transfer(pair, 200_000);
    const isPossible = connects(clientNat, serverNat);
    pair.net.run({
      until: pair.startedAt + (isPossible ? 120_000 : 25_000),
      stopWhen: () => transfer.isOver && pair.isDirect,
    });
    const isGood = transfer.receivedBytes === 200_000 && transfer.isIntact && pair.isDirect === isPossible;
    if (!isGood) {
      failures.push(
        `seed ${seed}: ${nameOf(clientNat)} to ${
          nameOf(serverNat)
        }, ${lossRate}: ${transfer.receivedBytes}, ${pair.isDirect}`,
      );
    }
  }
  deepStrictEqual(failures, []);
});

Deno.test("NAT traversal tells of a path when the client may move to it: not before the handshake is confirmed (RFC 9000 §9)", () => {
  let waited = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const pair = new RelayedPair({ seed, clientNat: PORT_RESTRICTED, serverNat: PORT_RESTRICTED, lossRate: 0.1 });
    pair.net.run({ until: pair.startedAt + 60_000, stopWhen: () => pair.isDirect });
    strictEqual(pair.isDirect, true, `seed ${seed}`);
    const [confirmedAt, foundAt] = [pair.client.timeOf("handshakeConfirmed"), pair.client.timeOf("pathFound")];
    ok(confirmedAt !== undefined && foundAt !== undefined && foundAt >= confirmedAt, `seed ${seed}`);
    if (foundAt === confirmedAt) waited++;
  }
  ok(waited > 0);
});

Deno.test("NAT traversal done, the connection outlives its relay", () => {
  const pair = new RelayedPair({ clientNat: PORT_RESTRICTED, serverNat: PORT_RESTRICTED });
  const transfer = new Transfer(pair, 1_000_000);
  pair.net.run({ until: pair.startedAt + 600 });
  ok(transfer.receivedBytes < 1_000_000);
  strictEqual(pair.isDirect, true);
  pair.relay.isDead = true;
  pair.net.run({ until: pair.startedAt + 20_000 });
  deepStrictEqual([transfer.receivedBytes, transfer.isIntact, transfer.isOver], [1_000_000, true, true]);
});

Deno.test("NAT traversal is off unless both ends ask for it", () => {
  for (const off of ["client", "server"] as const) {
    const pair = run({ [off]: { natTraversal: undefined } }, 5000);
    strictEqual(pair.client.connection?.state, "confirmed");
    strictEqual(pair.client.connection.traversalCounts, undefined);
    strictEqual(pair.server.connection?.traversalCounts, undefined);
    strictEqual(pair.isDirect, false);
    deepStrictEqual([pair.client.direct, pair.server.direct], [{ datagrams: 0, bytes: 0 }, { datagrams: 0, bytes: 0 }]);
  }
});

Deno.test("NAT traversal sends small probes of less than 60 bytes, and counts no less than leaves", () => {
  const pair = run({ clientNat: SYMMETRIC, serverNat: SYMMETRIC }, 20_000);
  for (const peer of [pair.client, pair.server]) {
    const counts = peer.connection?.traversalCounts;
    ok(counts !== undefined && counts.probesSent > 0);
    strictEqual(peer.direct.datagrams, counts.probesSent);
    ok(peer.direct.bytes <= counts.probeBytesSent, `${peer.direct.bytes} of ${counts.probeBytesSent}`);
    ok(peer.direct.bytes < 60 * peer.direct.datagrams);
  }
});

Deno.test("NAT traversal leaves connection IDs as they were: none is used up by rounds that fail (RFC 9000 §5.1.2)", () => {
  const pair = run({ clientNat: SYMMETRIC, serverNat: SYMMETRIC, client: { keepAliveMs: 15_000 } }, 600_000);
  strictEqual(pair.client.connection?.state, "confirmed");
  strictEqual(pair.isDirect, false);
  const rounds = pair.client.events.filter(({ event }) => event.type === "roundFailed").length;
  strictEqual(rounds, 10);
  // And the last round asked as much as the first: nothing that was to be had for the asking has run out.
  strictEqual(pair.server.connection?.traversalCounts?.probesSent, 10 * 18);
});
