import { ok } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import { refuseRemote } from "../../../../protocols/core/address_scope.ts";
import { concatBytes, toHex } from "../../../../protocols/core/bytes.ts";
import type { Random } from "../../../../protocols/core/random.ts";
import { randomUnit } from "../../../../protocols/core/random.ts";
import { Writer } from "../../../../protocols/core/writer.ts";
import { encodeObservedAddress } from "../../../../protocols/quic/address_discovery.ts";
import { TRANSPORT_ERROR } from "../../../../protocols/quic/errors.ts";
import { encodeTraversalFrame } from "../../../../protocols/quic/nat_traversal/dialect.ts";
import type { TraversalFrame } from "../../../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../../../protocols/quic/nat_traversal/draft_seemann_02.ts";
import { DirectPath, RELAY } from "../../../support/quic_direct_path.ts";
import { SERVER_ADDRESS } from "../../../support/quic_pair.ts";
import { RawPeer } from "../../../support/raw_peer.ts";
import { seededRandom } from "../../../support/seeded_random.ts";

// Random frames of NAT traversal and address discovery on live connections, right, almost right and wrong.

const SEEDS = 60;
const CODES: readonly number[] = Object.values(TRANSPORT_ERROR);

function below(random: Random, bound: number): number {
  return Math.floor(randomUnit(random) * bound);
}

function randomFrame(random: Random, by: "client" | "server"): Uint8Array {
  const writer = new Writer(new Uint8Array(64));
  const hosts = [
    "198.51.100.1",
    "192.0.2.1",
    "203.0.113.9",
    "127.0.0.1",
    "224.0.0.1",
    "10.0.0.1",
    "2001:db8::9",
    "::1",
  ];
  const host = hosts[below(random, hosts.length)] ?? "";
  const address = addressOf(host, [0, 53, 4433, 50_000, 40_000 + below(random, 9)][below(random, 5)] ?? 1);
  const sequenceNumber = below(random, 4);
  const frames: readonly TraversalFrame[] = by === "server"
    ? [{ type: "ADD_ADDRESS", sequenceNumber, address }, { type: "REMOVE_ADDRESS", sequenceNumber }]
    : [{ type: "PUNCH_ME_NOW", round: below(random, 9), pairedWithSequenceNumber: sequenceNumber, address }];
  const frame = frames[below(random, frames.length)];
  if (frame === undefined || below(random, 4) === 0) encodeObservedAddress({ sequenceNumber, address }, writer);
  else encodeTraversalFrame(DRAFT_SEEMANN_02, frame, writer);
  const bytes = writer.written().slice();
  switch (below(random, 12)) {
    case 0:
      bytes[below(random, bytes.length)]! ^= 1 << below(random, 8);
      return bytes;
    case 1:
      return concatBytes(bytes.subarray(0, below(random, bytes.length)), new Uint8Array(3));
    default:
      return bytes;
  }
}

for (const by of ["client", "server"] as const) {
  Deno.test(`NAT traversal: a ${by} that says random things is borne, or told its code; nothing goes where it must not, seeds 1 to ${SEEDS}`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed);
      const path = new DirectPath({
        seed,
        keyLog: true,
        transport: { keepAliveMs: 5000, addressDiscovery: "reports and wants" },
      });
      const { pair } = path;
      const raw = new RawPeer(pair, by);
      const said: string[] = [];
      const where = (): string => `seed ${seed}: ${said.join(" ")}`;
      pair.onSent = (to) => {
        const isKnown = to === RELAY || to === SERVER_ADDRESS || to === pair.client.base.local;
        ok(isKnown || refuseRemote(to, { allowLoopback: false }) === undefined, `${to}, ${where()}`);
      };
      path.moveWhenFound();
      path.connected();
      pair.runTo(20 + below(random, 500));
      const ours = (): string | undefined => pair[by === "client" ? "server" : "client"].connections[0]?.state;
      for (let n = 0; n < 30 && raw.connection.state === "confirmed" && ours() === "confirmed"; n++) {
        const frames = randomFrame(random, by);
        said.push(toHex(frames));
        raw.prepare(frames);
        raw.connection.ping();
        pair.drain();
        pair.runTo(pair.now + below(random, 300));
      }
      pair.runTo(pair.now + 20_000);
      const reason = pair[by === "client" ? "server" : "client"].connections[0]?.closeReason;
      ok(reason === undefined || (reason.by === "transport" && CODES.includes(reason.code)), where());
      // With the connection closed, nothing of it is left.
      raw.connection.close(0, "", pair.now);
      pair.drain();
      pair.runTo(pair.now + 60_000);
      for (const { endpoint } of [pair.client, pair.server]) {
        ok(
          Object.values(endpoint.tableSizes).every((size) => size === 0),
          `${JSON.stringify(endpoint.tableSizes)}, ${where()}`,
        );
      }
    }
  });
}
