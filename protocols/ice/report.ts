/**
 * What an agent says of itself: why nothing works, and what stands for a base that nobody announced.
 *
 * @module
 */

import type { LocalCandidate } from "../core/candidate.ts";
import type { Base } from "../core/machine.ts";
import type { LocalEntry } from "./pair.ts";
import { candidatePriority, foundationOf } from "./priority.ts";
import type { PairReport } from "./types.ts";

/** One line for people. */
export function describeFailure(report: readonly PairReport[]): string {
  if (report.length === 0) return "no candidate of the peer can be reached from an address of ours";
  const counts = new Map<string, number>();
  for (const { reason = "" } of report) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const reasons = [...counts].map(([reason, count]) => `${count} ${reason}`).join(", ");
  return `${report.length} pairs tried, none works: ${reasons}`;
}

/** What stands for a base that was never announced: not to be told to anyone, and the last choice. */
export function impliedBy(base: Base): LocalEntry {
  const candidate: LocalCandidate = { type: "host", address: base.local, base };
  return { candidate, foundation: foundationOf(candidate), preference: 0, priority: candidatePriority("host", 0) };
}
