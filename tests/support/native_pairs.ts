/**
 * Calls behind pairs of NATs, through a relay over links that lose packets: each comes to what theory says.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { connects, nameOf, NAT_KINDS } from "./nat_theory.ts";
import { CALL_AT, NativeWorld } from "./native_world.ts";

/** Of each link of both peers. */
const LOSS_RATE = 0.02;

/** By then a listener has its address at the relay, whatever was lost. */
const MAX_SETTLING_MS = 30_000;

/** By then a session that can be direct is, and everything that was said has arrived. */
const MAX_MS = 60_000;

/** How long pairs that cannot be direct are watched. */
const RELAYED_MS = 10_000;

/** Calls of one seed: how many became direct, how many stayed, and how long that took all together. */
export interface PairsOutcome {
  readonly direct: number;
  readonly relayed: number;
  /** From the call to the direct path, all of them. */
  readonly directMs: number;
}

/**
 * Calls from behind one kind of NAT, which nine seeds in a row go through, to listeners behind every kind.
 *
 * @throws {Error} If one does not come to what the theory says (RFC 4787 §4, §5).
 */
export function callEveryKind(seed: number): PairsOutcome {
  let [direct, relayed, directMs] = [0, 0, 0];
  const failures: string[] = [];
  const caller = NAT_KINDS[seed % NAT_KINDS.length]!;
  for (const listener of NAT_KINDS) {
    const isPossible = connects(caller, listener);
    const world = new NativeWorld({ seed, caller, listener, link: { lossRate: LOSS_RATE } });
    const { net } = world;
    world.until(() => world.listener.first("ticket") !== undefined, MAX_SETTLING_MS);
    net.run({ until: Math.max(net.now, CALL_AT) });
    const startedAt = net.now;
    const peer = world.dial();
    let directAt: number | undefined;
    const isOver = (): boolean => {
      if (peer.path === "direct" && world.listener.path === "direct") directAt ??= net.now;
      return world.returned === "hello" && directAt !== undefined;
    };
    world.until(isOver, isPossible ? MAX_MS : RELAYED_MS);
    const is = `${peer.path}, ${world.listener.path}, ${world.returned}`;
    const path = isPossible ? "direct" : "relayed";
    if (is !== `${path}, ${path}, hello`) failures.push(`${nameOf(caller)} to ${nameOf(listener)}: ${is}`);
    if (directAt === undefined) relayed++;
    else {
      direct++;
      directMs += directAt - startedAt;
    }
  }
  deepStrictEqual(failures, []);
  return { direct, relayed, directMs };
}
