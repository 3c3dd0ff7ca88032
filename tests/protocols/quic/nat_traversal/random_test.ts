/**
 * Random operations on both ends of NAT traversal: whatever the applications, the network and a peer without sense do, no end
 * throws, spins, grows without bound or loses a connection ID.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../../../lab/mod.ts";
import { addressOf } from "../../../../protocols/core/address.ts";
import type { Address } from "../../../../protocols/core/address.ts";
import type { LocalCandidate } from "../../../../protocols/core/candidate.ts";
import type { Base } from "../../../../protocols/core/machine.ts";
import { TransportError } from "../../../../protocols/quic/errors.ts";
import type { TraversalFrame } from "../../../../protocols/quic/nat_traversal/dialect.ts";
import { ProbeBudget } from "../../../../protocols/quic/nat_traversal/probe_budget.ts";
import { MAX_PROBED_PATHS } from "../../../../protocols/quic/nat_traversal/prober.ts";
import type { NatTraversal, Probe } from "../../../../protocols/quic/nat_traversal/traversal.ts";
import { TraversalClient } from "../../../../protocols/quic/nat_traversal/traversal_client.ts";
import { TraversalServer } from "../../../../protocols/quic/nat_traversal/traversal_server.ts";
import { setupOf, socketAt, takeFrames } from "../../../support/traversal_ends.ts";

const SEEDS = 60;
const OPERATIONS = 400;
const CONNECTION_IDS = 8;

/** One end, with what a connection keeps for it. */
class End {
  readonly traversal: NatTraversal;
  readonly bases: readonly Base[];
  readonly heldIds = new Set<number>();
  readonly usedIds = new Set<number>();
  /** Frames that the other end has yet to hear, or that are lost. */
  readonly flying: TraversalFrame[] = [];
  readonly probes: Probe[] = [];
  readonly name: "client" | "server";

  constructor(name: "client" | "server", traversal: NatTraversal, network: number) {
    this.name = name;
    this.traversal = traversal;
    this.bases = [1, 2, 3].map((n) => socketAt(`192.168.${network}.${n}:4000`));
  }

  /** Takes all that it has to send. */
  drain(now: number, receivedBytes: number): void {
    this.flying.push(...takeFrames(this.traversal, this.name, now));
    for (let n = 0;; n++) {
      ok(n < 1000, "probes without end");
      const hasFreshId = this.heldIds.size < CONNECTION_IDS;
      const probe = this.traversal.pollProbe(now, { hasFreshId, receivedBytes });
      this.release();
      if (probe === undefined) break;
      ok(hasFreshId || this.heldIds.has(probe.id), "a probe without a connection ID");
      ok(!this.usedIds.has(probe.id), "a number that was given back");
      this.heldIds.add(probe.id);
      this.probes.push(probe);
    }
    const { timeoutAt } = this.traversal;
    ok(timeoutAt === undefined || timeoutAt > now, `nothing left to send, and due at ${timeoutAt} of ${now}`);
    for (let n = 0; this.traversal.pollEvent() !== undefined; n++) ok(n < 1000, "events without end");
    ok(this.heldIds.size <= CONNECTION_IDS + 1);
  }

  release(): void {
    for (let id = this.traversal.pollReleased(); id !== undefined; id = this.traversal.pollReleased()) {
      ok(this.heldIds.delete(id), "given back what it never had");
      this.usedIds.add(id);
    }
  }
}

/** A frame comes in; on too many requests, which nonsense may have used up, a connection would close. */
function hear(traversal: NatTraversal, frame: TraversalFrame, now: number): void {
  try {
    traversal.onFrame(frame, now);
  } catch (error) {
    if (!(error instanceof TransportError) || error.code !== 0x0a) throw error;
  }
}

/** A run; throws where a promise is broken. */
function runOperations(seed: number): void {
  const random = new SeededRandom(seed, "operations");
  const budget = new ProbeBudget();
  const setup = (name: string) =>
    setupOf({ random: new SeededRandom(seed, name), budget, concurrencyLimit: 1 + seed % 8 });
  const client = new End("client", new TraversalClient(setup("client")), 1);
  const server = new End("server", new TraversalServer(setup("server")), 2);
  const ends = [client, server] as const;
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const anyAddress = (): Address => addressOf(`192.168.${random.below(4)}.${random.below(6)}`, 4000 + random.below(3));
  const candidateOf = (base: Base): LocalCandidate =>
    random.chance(0.5)
      ? { type: "host", address: base.local, base }
      : { type: "srflx", address: addressOf("203.0.113.1", 1000 + random.below(50)), base };
  let now = 0;
  let receivedBytes = 3000;
  for (let n = 0; n < OPERATIONS; n++) {
    const end = pick(ends);
    const other = end === client ? server : client;
    const { traversal } = end;
    switch (random.below(14)) {
      case 0:
      case 1:
        traversal.addCandidate(candidateOf(pick(end.bases)), now);
        break;
      case 2: {
        const base = pick(end.bases);
        traversal.removeCandidate(base, candidateOf(base).address, now);
        break;
      }
      case 3:
        if (random.chance(0.2)) traversal.removeBase(pick(end.bases), now);
        break;
      case 4:
        traversal.enable(now);
        break;
      case 5:
        if (random.chance(0.2)) traversal.restart(now);
        break;
      case 6: {
        const frame = end.flying.splice(random.below(end.flying.length + 1), 1)[0];
        if (frame !== undefined) traversal.onFrameLost(frame);
        break;
      }
      case 7:
      case 8: {
        // In any order, and some of them twice.
        const at = random.below(end.flying.length + 1);
        const frame = end.flying[at];
        if (frame === undefined) break;
        if (random.chance(0.9)) end.flying.splice(at, 1);
        receivedBytes += 100;
        hear(other.traversal, frame, now);
        break;
      }
      case 9:
      case 10: {
        // A probe arrives, at some base of the other's, from where it was sent or from a NAT's mapping.
        const probe = end.probes.splice(random.below(end.probes.length + 1), 1)[0];
        if (probe === undefined) break;
        const base = other.bases.find(({ local }) => local === probe.remote) ?? pick(other.bases);
        const path = { base, remote: random.chance(0.7) ? probe.base.local : anyAddress() };
        if (!other.traversal.acceptsFrom(base, now)) break;
        if (probe.response !== undefined) other.traversal.onResponse(path, probe.response, probe.bytes, now);
        if (probe.challenge !== undefined) other.traversal.onChallenge(path, probe.challenge, probe.bytes, now);
        break;
      }
      case 11: {
        const path = { base: pick(end.bases), remote: anyAddress() };
        if (random.chance(0.5)) traversal.onUnreachable(path, now);
        else if (traversal.acceptsFrom(path.base, now)) {
          traversal.onChallenge(path, random.fill(new Uint8Array(8)), random.below(1200), now);
        }
        break;
      }
      case 12: {
        // A peer without sense.
        const sequenceNumber = random.below(40);
        const frames: readonly TraversalFrame[] = end === client
          ? [
            { type: "ADD_ADDRESS", sequenceNumber, address: anyAddress() },
            { type: "REMOVE_ADDRESS", sequenceNumber },
          ]
          : [{
            type: "PUNCH_ME_NOW",
            round: random.below(10),
            pairedWithSequenceNumber: sequenceNumber,
            address: anyAddress(),
          }];
        hear(traversal, pick(frames), now);
        break;
      }
      default:
        now += random.below(5) === 0 ? random.below(20_000) : random.below(200);
        for (const { traversal: each } of ends) each.onTimeout(now);
    }
    for (const each of ends) {
      each.release();
      each.drain(now, receivedBytes);
      each.flying.splice(0, each.flying.length - 50);
      each.probes.splice(0, each.probes.length - 50);
    }
  }
  for (const end of ends) {
    end.traversal.stop();
    end.release();
    strictEqual(end.heldIds.size, 0, "connection IDs that nobody gives back");
    strictEqual(end.traversal.hasFrame(now), false);
    strictEqual(end.traversal.timeoutAt, undefined);
    ok(end.traversal.counts.probesSent <= OPERATIONS * MAX_PROBED_PATHS);
  }
}

Deno.test(`NAT traversal keeps its promises through random operations, seeds 1 to ${SEEDS}`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      runOperations(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
