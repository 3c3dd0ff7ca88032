/**
 * What tests of NAT traversal do with one end of it: take its frames and probes, as a connection would.
 *
 * @module
 */

import { parseAddress } from "../../protocols/core/address.ts";
import type { LocalCandidate } from "../../protocols/core/candidate.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { Reader } from "../../protocols/core/reader.ts";
import { Writer } from "../../protocols/core/writer.ts";
import { decodeTraversalFrame, layoutOf } from "../../protocols/quic/nat_traversal/dialect.ts";
import type { PunchMeNowFrame, TraversalFrame } from "../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../protocols/quic/nat_traversal/draft_seemann_02.ts";
import { DEFAULT_PROBE_LIMITS, ProbeBudget } from "../../protocols/quic/nat_traversal/probe_budget.ts";
import type {
  NatTraversal,
  Probe,
  ProbeLeave,
  TraversalEvent,
  TraversalSetup,
} from "../../protocols/quic/nat_traversal/traversal.ts";
import type { Role } from "../../protocols/quic/stream_id.ts";
import { readVarint } from "../../protocols/quic/varint.ts";
import { seededRandom } from "./seeded_random.ts";

/** No limit but those of the engine. */
export const FREE_LEAVE: ProbeLeave = { hasFreshId: true, receivedBytes: Number.MAX_SAFE_INTEGER };

/** Longest run of a loop in these tests. */
const MAX_STEPS = 100_000;

/** What an end is made with, where a test says nothing else. */
export function setupOf(options: Partial<TraversalSetup> = {}): TraversalSetup {
  return {
    dialect: DRAFT_SEEMANN_02,
    concurrencyLimit: 8,
    random: seededRandom(1),
    budget: new ProbeBudget(),
    rules: { allowLoopback: false },
    ...options,
  };
}

/** A budget that never says no. */
export function endlessBudget(): ProbeBudget {
  const bytes = Number.MAX_SAFE_INTEGER;
  return new ProbeBudget({
    ...DEFAULT_PROBE_LIMITS,
    maxTargetBytes: bytes,
    maxHostBytes: bytes,
    maxProcessBytes: bytes,
    maxConnectionBytes: bytes,
    amplificationFactor: Infinity,
  });
}

/** A base of that address. */
export function socketAt(local: string): Base {
  return { kind: "socket", local: parseAddress(local), maxPayloadBytes: 1472 };
}

/** The base's own address. */
export function hostOf(base: Base): LocalCandidate {
  return { type: "host", address: base.local, base };
}

/** An address that a server has seen the base at. */
export function srflxOf(base: Base, address: string): LocalCandidate {
  return { type: "srflx", address: parseAddress(address), base };
}

/** Reads a frame as the other end's connection would. */
export function decodeFrame(bytes: Uint8Array, sender: Role): TraversalFrame {
  const reader = new Reader(bytes);
  const type = readVarint(reader);
  const layout = layoutOf(DRAFT_SEEMANN_02, type);
  if (layout === undefined) throw new Error(`No frame of type ${type}`);
  return decodeTraversalFrame(layout, type, reader, sender);
}

/** All frames that are due, through their bytes. */
export function takeFrames(end: NatTraversal, sender: Role, now: number): TraversalFrame[] {
  const frames: TraversalFrame[] = [];
  for (let step = 0; step < MAX_STEPS && end.hasFrame(now); step++) {
    const writer = new Writer(new Uint8Array(64));
    if (end.writeFrame(writer, now) === undefined) break;
    frames.push(decodeFrame(writer.written(), sender));
  }
  return frames;
}

/** A request as a line. */
export function showRequest({ round, pairedWithSequenceNumber, address }: PunchMeNowFrame): string {
  return `${round}: ${address} with ${pairedWithSequenceNumber}`;
}

/** All requests of a client that are due, as lines. */
export function takeRequests(end: NatTraversal, now: number): string[] {
  return takeFrames(end, "client", now).map((frame) => frame.type === "PUNCH_ME_NOW" ? showRequest(frame) : frame.type);
}

/** All probes that are due. */
export function takeProbes(end: NatTraversal, now: number, leave: ProbeLeave = FREE_LEAVE): Probe[] {
  const probes: Probe[] = [];
  for (let step = 0; step < MAX_STEPS; step++) {
    const probe = end.pollProbe(now, leave);
    if (probe === undefined) return probes;
    probes.push(probe);
  }
  throw new Error("Probes without end");
}

/** All events. */
export function takeEvents(end: NatTraversal): TraversalEvent[] {
  const events: TraversalEvent[] = [];
  for (let event = end.pollEvent(); event !== undefined; event = end.pollEvent()) events.push(event);
  return events;
}

/** A probe with the instant it left at. */
export interface TimedProbe {
  readonly at: number;
  readonly probe: Probe;
}

/** Lets time pass for one end that nobody answers; what it has sent. */
export function runAlone(end: NatTraversal, until: number, leave: ProbeLeave = FREE_LEAVE): TimedProbe[] {
  const sent: TimedProbe[] = [];
  for (let step = 0; step < MAX_STEPS; step++) {
    const at = end.timeoutAt;
    if (at === undefined || at > until) return sent;
    end.onTimeout(at);
    for (const probe of takeProbes(end, at, leave)) sent.push({ at, probe });
  }
  throw new Error("Time stands still");
}
