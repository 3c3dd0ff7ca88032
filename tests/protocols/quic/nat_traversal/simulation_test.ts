import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../../../lab/mod.ts";
import { connects, nameOf, NAT_KINDS } from "../../../support/nat_theory.ts";
import { PunchingWorld } from "../../../support/punching_peers.ts";

/** Between the peers, through the relay and around it. */
const RTT_MS = 155;

Deno.test("NAT traversal finds a path between exactly those NATs that theory lets connect", () => {
  for (const clientNat of NAT_KINDS) {
    for (const serverNat of NAT_KINDS) {
      const name = `${nameOf(clientNat)} to ${nameOf(serverNat)}`;
      const world = new PunchingWorld({ seed: 1, clientNat, serverNat });
      strictEqual(world.run(9000), connects(clientNat, serverNat), name);
    }
  }
});

Deno.test("NAT traversal finds its path one round trip after the server's address is there, behind port-restricted NATs", () => {
  const nat = { mapping: "EIM", filtering: "APDF" } as const;
  const world = new PunchingWorld({ seed: 1, clientNat: nat, serverNat: nat });
  ok(world.run(9000));
  // Both have their reflexive addresses at 77.5, when the server's host address reaches the client: the pair of the two opens
  // the server's NAT at 155, just as its reflexive address reaches the client. So the first probe there is answered.
  strictEqual(world.client.path?.at, 2 * RTT_MS);
  strictEqual(world.client.events.at(-1)?.at, 3 * RTT_MS);
});

Deno.test("NAT traversal finds every path that there is in spite of loss and reordering, with any limits", () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= 120; seed++) {
    const random = new SeededRandom(seed, "which");
    const kind = () => random.below(10) === 0 ? undefined : NAT_KINDS[random.below(NAT_KINDS.length)];
    const [clientNat, serverNat] = [kind(), kind()];
    const open = { mapping: "EIM", filtering: "EIF" } as const;
    const isPossible = connects(clientNat ?? open, serverNat ?? open);
    const world = new PunchingWorld({
      seed,
      clientNat,
      serverNat,
      rttMs: 10 + random.below(300),
      lossRate: random.below(3) * 0.05,
      relayJitterMs: random.below(2) * 200,
      concurrencyLimit: 1 + random.below(8),
      connectionIds: 4 + random.below(12),
    });
    const isFound = world.run(isPossible ? 300_000 : 12_000);
    if (isFound !== isPossible) {
      const names = [clientNat, serverNat].map((nat) => nat === undefined ? "none" : nameOf(nat));
      failures.push(`seed ${seed}: ${names.join(" to ")}: ${isFound}`);
    }
  }
  deepStrictEqual(failures, []);
});

Deno.test("NAT traversal does not settle on a path that is too narrow for 1200 bytes (RFC 9000 §14.1)", () => {
  const nat = { mapping: "EIM", filtering: "ADF" } as const;
  const world = new PunchingWorld({ seed: 1, clientNat: nat, serverNat: nat, mtuBytes: 1000 });
  strictEqual(world.run(600_000), false);
  const types = world.client.events.map(({ event }) => event.type);
  deepStrictEqual(types.slice(0, 3), ["pathFound", "pathFailed", "roundFailed"]);
  deepStrictEqual(new Set(types.slice(2)), new Set(["roundFailed"]));
});

Deno.test("NAT traversal goes through again after a NAT has lost its mappings, once told so", () => {
  const nat = { mapping: "EIM", filtering: "APDF" } as const;
  const world = new PunchingWorld({ seed: 1, clientNat: nat, serverNat: nat });
  ok(world.run(9000));
  const before = world.client.path;
  world.client.events.length = 0;
  world.client.end.restart(world.net.now);
  world.client.drain();
  ok(world.run(world.net.now + 9000));
  strictEqual(world.client.path?.remote, before?.remote);
});

Deno.test("NAT traversal ends by itself: nothing is sent once the path is proven, and little for a path that is not there", () => {
  const nat = { mapping: "EIM", filtering: "APDF" } as const;
  const good = new PunchingWorld({ seed: 1, clientNat: nat, serverNat: nat });
  good.net.run({ until: 600_000 });
  ok(good.client.probesSent <= 24, `${good.client.probesSent}`);
  ok(good.server.probesSent <= 24, `${good.server.probesSent}`);
  const symmetric = { mapping: "APDM", filtering: "APDF" } as const;
  const bad = new PunchingWorld({ seed: 1, clientNat: symmetric, serverNat: symmetric });
  bad.net.run({ until: 600_000 });
  strictEqual(bad.client.path, undefined);
  // Ten minutes: a round a minute, two targets each.
  const rounds = bad.client.events.filter(({ event }) => event.type === "roundFailed").length;
  strictEqual(rounds, 10);
  ok(bad.server.end.counts.probeBytesSent < 13_000, `${bad.server.end.counts.probeBytesSent}`);
});
