/**
 * A call of `auto` in a virtual network drawn from a seed: NATs of any kind on either side or none, relays near and far, any
 * distance, links that lose, copy and reorder.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../lab/mod.ts";
import { AutoWorld, pathOf } from "./auto_world.ts";
import { connects, nameOf, NAT_KINDS } from "./nat_theory.ts";
import type { NatKind } from "./nat_theory.ts";

/** Loss of each of the four links between the peers. */
const MAX_LOSS_RATE = 0.05;

/** How long a listener waits before it is called: its questions to STUN and relay may have been lost twice. */
const SETTLING_MS = 5000;

/** By then a listener is registered, whatever was lost; a call has its echo; and a session that can be direct is. */
const MAX_MS = 120_000;

/** Makes the call. @throws {Error} If it has no echo, or its path does not come to what theory says (RFC 4787 §4, §5). */
export function randomAutoCall(seed: number): void {
  const random = new SeededRandom(seed, "random auto call");
  const place = (): NatKind | "public" => random.chance(0.15) ? "public" : NAT_KINDS[random.below(NAT_KINDS.length)]!;
  const [caller, listener] = [place(), place()];
  const world = new AutoWorld({
    seed,
    caller: { nat: caller },
    listener: { nat: listener },
    relays: 1 + random.below(2),
    latencyMs: 1 + random.below(75),
    relayLatencyMs: random.below(60),
    link: {
      lossRate: random.chance(0.3) ? 0 : random.unit() * MAX_LOSS_RATE,
      duplicateRate: random.unit() * 0.1,
      jitterMs: random.unit() * 20,
      reorderRate: random.unit() * 0.05,
      reorderMs: 20,
    },
  });
  world.until(() => world.listener.first("registered") !== undefined, MAX_MS);
  world.net.run({ until: world.net.now + SETTLING_MS });
  const peer = world.dial();
  const isPossible = caller === "public" || listener === "public" || connects(caller, listener);
  world.until(() => {
    if (world.echo.returned !== "hello") return false;
    return !isPossible || (pathOf(peer) === "direct" && pathOf(world.listener) === "direct");
  }, MAX_MS);
  const where = `${nameOfPlace(caller)} to ${nameOfPlace(listener)}`;
  const is = `${world.echo.returned}, ${pathOf(peer)}, ${pathOf(world.listener)}`;
  const path = isPossible ? "direct" : "relayed";
  strictEqual(is, `hello, ${path}, ${path}`, `${where}: ${peer.first("failed")?.event.message ?? "no failure"}`);
}

function nameOfPlace(place: NatKind | "public"): string {
  return place === "public" ? place : nameOf(place);
}
