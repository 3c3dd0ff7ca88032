/**
 * A session of `quic-native` in a virtual network drawn from a seed: NATs of any kind on both sides, links that lose, copy
 * and reorder, a relay and a direct path that come and go, NATs that forget, and a transfer through all of it.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { SeededRandom } from "../../lab/mod.ts";
import type { Link } from "../../lab/mod.ts";
import { connects, nameOf, NAT_KINDS } from "./nat_theory.ts";
import { NativeTransfer } from "./native_transfer.ts";
import { NativeWorld } from "./native_world.ts";

/** What came of it. */
export interface RandomNativeSession {
  readonly bytes: number;
  readonly isDirect: boolean;
  /** From the call to the last byte. */
  readonly ms: number;
}

/** By then the listener has its address, whatever was lost. */
const MAX_SETTLING_MS = 30_000;
/** Things happen for so long from the call. */
const STORM_MS = 15_000;
/** How long the relay, or the direct path, is silent at most: a connection bears twice as much. */
const MAX_SILENCE_MS = 3000;
/** By then the transfer is over. */
const MAX_TRANSFER_MS = 600_000;
/** By then a path that is there is in use: three rounds of a minute, and what a listener needs to find itself again. */
const MAX_SEARCH_MS = 240_000;
/** By then nothing is left of closed sessions: idle and closing timeouts of the peers and of the relay. */
const MAX_CLOSING_MS = 120_000;

/** Plays it. @throws {Error} If a byte is lost, the path is not what the NATs allow, or something is left. */
export function randomNativeSession(seed: number): RandomNativeSession {
  const random = new SeededRandom(seed, "random native session");
  const [caller, listener] = [NAT_KINDS[random.below(9)]!, NAT_KINDS[random.below(9)]!];
  const world = new NativeWorld({
    seed,
    caller,
    listener,
    rttMs: 4 + random.below(200),
    link: {
      lossRate: random.chance(0.3) ? 0 : random.unit() * 0.05,
      duplicateRate: random.unit() * 0.1,
      jitterMs: random.unit() * 20,
      reorderRate: random.unit() * 0.05,
      reorderMs: 20,
    },
  });
  const { net, natOfA, natOfB } = world;
  const where = `${nameOf(caller)} to ${nameOf(listener)}`;
  world.until(() => world.listener.first("ticket") !== undefined, MAX_SETTLING_MS);
  const startedAt = net.now;
  const totalBytes = 10_000 + random.below(1_000_000);
  const transfer = new NativeTransfer(world, random.chance(0.5) ? "caller" : "listener", totalBytes);

  const [nic] = world.relay.host.interfaces();
  const relayLinks = [nic?.up, nic?.down].filter((link) => link !== undefined);
  // Nothing of it before the session is there: a call fails after 10 s, and is allowed to.
  let isSilent = false;
  let isDirectCut = false;
  for (const link of relayLinks) change(link, { drop: () => isSilent });
  for (const [nat, other] of [[natOfA, natOfB], [natOfB, natOfA]] as const) {
    if (nat !== undefined) {
      change(nat.up, { drop: ({ destination }) => isDirectCut && destination.host === other?.address });
    }
  }
  const during = (begin: () => void, end: () => void): void => {
    const at = startedAt + 1000 + random.below(STORM_MS);
    net.at(at, begin);
    net.at(at + random.below(MAX_SILENCE_MS), end);
  };
  for (let n = random.below(6); n > 0; n--) {
    switch (random.below(5)) {
      case 0:
        during(() => isSilent = true, () => isSilent = false);
        break;
      case 1:
      case 2:
        during(() => isDirectCut = true, () => isDirectCut = false);
        break;
      case 3:
        during(
          () => relayLinks.forEach((link) => change(link, { mtuBytes: 1308, jitterMs: 50 })),
          () => relayLinks.forEach((link) => change(link, { mtuBytes: 1500, jitterMs: 0 })),
        );
        break;
      case 4: {
        const nat = random.chance(0.5) ? natOfA : natOfB;
        during(() => nat?.rebind(), () => {});
        break;
      }
    }
  }
  const peer = transfer.caller;
  net.run({
    until: startedAt + MAX_TRANSFER_MS,
    stopWhen: () =>
      (transfer.doneAt !== undefined && net.now > startedAt + STORM_MS + MAX_SILENCE_MS) ||
      peer.first("failed") !== undefined || peer.told("closed").length > 0,
    maxEvents: 20_000_000,
  });
  deepStrictEqual({
    where,
    failed: peer.first("failed")?.event.message,
    closed: peer.told("closed").map(({ event }) => event.reason),
    bytes: transfer.deliveredBytes,
    wrongAt: transfer.wrongAt,
    isDone: transfer.doneAt !== undefined,
  }, { where, failed: undefined, closed: [], bytes: totalBytes, wrongAt: undefined, isDone: true });

  const expected = connects(caller, listener) ? "direct" : "relayed";
  const isThere = (): boolean => peer.path === expected && world.listener.path === expected;
  world.until(isThere, MAX_SEARCH_MS);
  deepStrictEqual([where, peer.path, world.listener.path], [where, expected, expected]);

  peer.close();
  world.listener.close();
  net.run({ until: net.now + MAX_CLOSING_MS });
  const left = [peer, world.listener].map(({ machine }) => Object.entries(machine.tableSizes).filter(([, n]) => n > 0));
  deepStrictEqual([where, ...left, world.relay.relay.sizes.connections], [where, [], [], 0]);
  return { bytes: totalBytes, isDirect: expected === "direct", ms: (transfer.doneAt ?? NaN) - startedAt };
}

function change(link: Link, options: Partial<Link["options"]>): void {
  link.options = { ...link.options, ...options };
}
