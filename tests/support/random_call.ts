/**
 * A call in a virtual network drawn from a seed: NATs of any kind on either side or none, any distance, links that lose,
 * copy and reorder.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../lab/mod.ts";
import { connects, nameOf, NAT_KINDS, type NatKind } from "./nat_theory.ts";
import { World } from "./virtual_world.ts";

/** What came of a call. */
export interface RandomCall {
  readonly connected: boolean;
  /** From the call to the first byte of the echo, or to the failure. */
  readonly ms: number;
}

/** Loss of each of the four links between the peers: more, and a call that times out has a right to. */
const MAX_LOSS_RATE = 0.08;

/** How long a listener waits before it is called: its questions to STUN may have been lost twice. */
const SETTLING_MS = 5000;

/** By then a listener is registered, whatever was lost, and a call has come to an end. */
const MAX_MS = 120_000;

/** Makes the call. @throws {Error} If it does not come to what the theory of NATs says (RFC 4787 §4, §5). */
export function randomCall(seed: number): RandomCall {
  const random = new SeededRandom(seed, "random call");
  const place = (): NatKind | "public" => random.chance(0.15) ? "public" : NAT_KINDS[random.below(NAT_KINDS.length)]!;
  const [caller, listener] = [place(), place()];
  const world = new World({
    seed,
    caller,
    listener,
    rttMs: 4 + random.below(300),
    link: {
      lossRate: random.chance(0.3) ? 0 : random.unit() * MAX_LOSS_RATE,
      duplicateRate: random.unit() * 0.1,
      jitterMs: random.unit() * 30,
      reorderRate: random.unit() * 0.05,
      reorderMs: 20,
    },
  });
  const where = `${nameOfPlace(caller)} to ${nameOfPlace(listener)}`;
  const waiting = world.listen();
  world.net.run({ until: MAX_MS, stopWhen: () => waiting.first("registered") !== undefined });
  // The answer is the listener's record: what a listener finds later reaches only callers who come later.
  const startedAt = world.net.now + SETTLING_MS;
  world.net.run({ until: startedAt });
  const peer = world.dial();
  const hasEnded = (): boolean => world.echo.returned !== "" || peer.first("failed") !== undefined;
  world.net.run({ until: startedAt + MAX_MS, stopWhen: hasEnded });
  const failed = peer.first("failed")?.event;
  const connected = world.echo.returned === "hello";
  const outcome = connected ? "connected" : failed?.type === "failed" ? failed.reason : "nothing";
  const isPossible = caller === "public" || listener === "public" || connects(caller, listener);
  strictEqual(outcome, isPossible ? "connected" : "unreachablePeer", where);
  return { connected, ms: world.net.now - startedAt };
}

function nameOfPlace(place: NatKind | "public"): string {
  return place === "public" ? place : nameOf(place);
}
