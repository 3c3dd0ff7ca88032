/**
 * Networks that change at random under a session of `quic-native`: whatever happens to the addresses and NATs of both peers,
 * the session lives, and is direct again when it stops.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../lab/mod.ts";
import type { VirtualHost, VirtualNat } from "../../lab/mod.ts";
import { randomUnit } from "../../protocols/core/random.ts";
import { NativeWorld, PEER_RTT_MS, PORT_RESTRICTED } from "../support/native_world.ts";
import type { NativePeer } from "../support/native_world.ts";

const SEEDS = 12;
const CHANGES = 15;
const LATENT = { rttToCoreMs: PEER_RTT_MS / 2 };
/** Idle for longer than this a session ends: changes come sooner. */
const MAX_PAUSE_MS = 8000;
/** Until pauses between rounds and the budget for probes have let a direct path be found again. */
const MAX_DIRECT_MS = 180_000;

/** A listener that says nothing finds out that its NAT has forgotten when it next keeps its tunnel alive: 15 s. */
const MAX_ECHO_MS = 28_000;

/** A host and the NAT that it is behind at the moment. */
interface Place {
  readonly host: VirtualHost;
  nat: VirtualNat;
}

const KINDS = ["move", "rebind", "renumber", "away", "second"] as const;

/** Does something to the network of a peer, and says what. */
function change({ net }: NativeWorld, place: Place, kind: typeof KINDS[number], random: SeededRandom): string {
  const { host } = place;
  switch (kind) {
    case "move":
      for (const { address } of host.interfaces()) host.removeAddress(address.host);
      place.nat = net.nat({ ...PORT_RESTRICTED, ...LATENT });
      net.attach(host, `if ${place.nat.name}`, { behind: place.nat });
      break;
    case "rebind":
      place.nat.rebind();
      break;
    case "renumber":
      place.nat.rebind({ address: net.unusedAddress() });
      break;
    case "away": {
      // For a moment, and back with the same address.
      const { name, address } = host.interface();
      const { nat } = place;
      host.removeAddress(address.host);
      const backAt = net.now + 4000 * randomUnit(random);
      net.at(backAt, () => net.attach(host, `${name} again`, { behind: nat, address: address.host }));
      net.run({ until: backAt });
      break;
    }
    case "second": {
      // Another one beside it; then the first goes.
      const [first] = host.interfaces();
      place.nat = net.nat({ ...PORT_RESTRICTED, ...LATENT });
      net.attach(host, `if ${place.nat.name}`, { behind: place.nat });
      net.run({ until: net.now + 3000 * randomUnit(random) });
      if (first !== undefined) host.removeAddress(first.address.host);
      break;
    }
  }
  return `${kind} ${host.name}`;
}

/** Says something, and waits for its echo. */
function echoes(world: NativeWorld, caller: NativePeer, maxMs: number): boolean {
  const connection = caller.sessions[0]?.connection;
  const id = connection?.openStream("bidirectional");
  if (connection === undefined || id === undefined) return false;
  const before = world.returned.length;
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  caller.drain();
  return world.until(() => world.returned.slice(before) === "again", maxMs);
}

Deno.test(`quic-native outlives ${CHANGES} random changes of the network, seeds 1 to ${SEEDS}`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new NativeWorld({ seed, link: { lossRate: 0.01 } });
    const caller = world.call(5000);
    const random = new SeededRandom(seed, "changes");
    const places: Place[] = [{ host: world.a, nat: world.natOfA! }, { host: world.b, nat: world.natOfB! }];
    const done: string[] = [];
    for (let count = 0; count < CHANGES; count++) {
      const place = places[Math.floor(2 * randomUnit(random))]!;
      const kind = KINDS[Math.floor(KINDS.length * randomUnit(random))]!;
      done.push(change(world, place, kind, random));
      // Half of the time nobody says anything.
      if (randomUnit(random) < 0.5) ok(echoes(world, caller, MAX_ECHO_MS), `seed ${seed}: ${done.join(", ")}`);
      world.net.run({ until: world.net.now + MAX_PAUSE_MS * randomUnit(random) });
    }
    const story = `seed ${seed}: ${done.join(", ")}`;
    ok(echoes(world, caller, MAX_ECHO_MS), story);
    deepStrictEqual([caller.sessions.length, world.listener.sessions.length], [1, 1], story);
    ok(world.until(() => caller.path === "direct" && world.listener.path === "direct", MAX_DIRECT_MS), story);
    // The next question to STUN tells what nobody else has seen.
    world.net.run({ until: world.net.now + 20_000 });
    for (const peer of [caller, world.listener]) {
      const told = peer.all("candidate").length - peer.all("candidateWithdrawn").length;
      strictEqual(told, 2, `${story}: ${peer.host.name} tells ${told} addresses`);
      const { routes = 0, remotes = 0 } = peer.machine.tableSizes;
      ok(routes <= 64 && remotes <= 32, story);
    }
  }
});
