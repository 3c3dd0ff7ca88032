/**
 * What a connection with NAT traversal on spends, for each run of datagrams, on asking whether a probe is due.
 *
 *     deno run bench/prober.ts
 *
 * @module
 */

import { addressOf } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import { ConnectionBudget, ProbeBudget } from "../protocols/quic/nat_traversal/probe_budget.ts";
import { MAX_PROBED_PATHS, Prober } from "../protocols/quic/nat_traversal/prober.ts";
import { median, table } from "./support/statistics.ts";

const POLLS = 200_000;
const ROUNDS = 5;
/** After so long every path has failed. */
const PROBED_MS = 30_000;
const BASE: Base = { kind: "socket", local: addressOf("10.0.0.1", 1), maxPayloadBytes: 1500 };
const LEAVE = { hasFreshId: true, receivedBytes: 1e9 };

/** A prober whose paths have all been given up. */
function proberOf(paths: number): Prober {
  const random = { fill: <T extends Uint8Array>(bytes: T): T => bytes.fill(1) };
  const prober = new Prober(random, new ConnectionBudget(new ProbeBudget(), false));
  for (let i = 0; i < paths; i++) prober.open(BASE, addressOf(`192.0.2.${i + 1}`, 5), 0);
  for (let now = 0; now < PROBED_MS; now += 5) {
    while (prober.poll(now, LEAVE) !== undefined);
    prober.onTimeout(now);
    while (prober.pollReport() !== undefined);
  }
  return prober;
}

/** Microseconds for a poll and the question when the next is due. */
function measure(prober: Prober): number {
  const begunAt = performance.now();
  for (let i = 0; i < POLLS; i++) if (prober.poll(PROBED_MS, LEAVE) !== undefined || prober.timeoutAt === 0) return NaN;
  return (performance.now() - begunAt) * 1000 / POLLS;
}

if (import.meta.main) {
  const rows = [0, 1, 4, MAX_PROBED_PATHS].map((paths) => {
    const prober = proberOf(paths);
    return [String(paths), median(Array.from({ length: ROUNDS }, () => measure(prober))).toFixed(2)];
  });
  console.log(table(["paths", "µs a run of datagrams"], rows));
}
