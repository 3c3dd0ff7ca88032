/**
 * Time to first byte in the virtual network: a cold caller calls by name a listener that has been waiting, both behind
 * NATs, and asks for an echo. Times follow from packets on links and from nothing else.
 *
 *     deno run bench/first_byte.ts [--json] [--sequence]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { CALL_AT, PEER_RTT_MS, World } from "../tests/support/virtual_world.ts";
import type { WorldOptions } from "../tests/support/virtual_world.ts";
import { drawSequence } from "./support/sequence.ts";
import { median, table } from "./support/statistics.ts";

/** Milestones, in the order they are reached. */
const STEPS = ["gathered", "signaled", "checked", "handshake", "firstByte"] as const;

type Times = Readonly<Record<typeof STEPS[number], number>>;

/** A network, and how often a call is made in it. */
interface Scenario {
  readonly name: string;
  readonly options: Omit<WorldOptions, "seed">;
  /** 1 where nothing is left to chance. */
  readonly seeds: number;
}

/** What was measured in one network, in ms since the call. */
export interface FirstByteResult {
  readonly name: string;
  readonly rttMs: number;
  readonly seeds: number;
  /** Medians, each step by itself. */
  readonly medians: Times;
  /** The slowest first byte. */
  readonly slowest: number;
}

const SCENARIOS: readonly Scenario[] = [
  ...[10, 50, PEER_RTT_MS, 300].flatMap((rttMs) => [
    { name: "", options: { rttMs }, seeds: 1 },
    { name: "dead STUN server, dead interface", options: { rttMs, deadEnds: true }, seeds: 1 },
  ]),
  { name: "latency inside the NATs", options: { latencyAt: "lan" }, seeds: 1 },
  {
    name: "port-restricted NATs",
    options: { caller: { filtering: "APDF" }, listener: { filtering: "APDF" } },
    seeds: 1,
  },
  { name: "symmetric NAT of the caller", options: { caller: { mapping: "APDM" } }, seeds: 1 },
  { name: "symmetric NAT of the listener", options: { listener: { mapping: "APDM" } }, seeds: 1 },
  { name: "no NATs", options: { caller: "public", listener: "public" }, seeds: 1 },
  { name: "jitter of 10 ms each way", options: { link: { jitterMs: 10 } }, seeds: 100 },
  { name: "1 % loss", options: { link: { lossRate: 0.01 } }, seeds: 200 },
];

/** Calls in every network, or in those where nothing is left to chance. @throws {Error} If a call fails. */
export function measureFirstByte({ isExact = false }: { readonly isExact?: boolean } = {}): readonly FirstByteResult[] {
  return SCENARIOS.filter(({ seeds }) => !isExact || seeds === 1).map(({ name, options, seeds }) => {
    const calls: Times[] = [];
    for (let seed = 1; seed <= seeds; seed++) calls.push(callOnce({ ...options, seed }));
    const of = (step: typeof STEPS[number]): number[] => calls.map((times) => times[step]);
    return {
      name,
      rttMs: options.rttMs ?? PEER_RTT_MS,
      seeds,
      medians: {
        gathered: median(of("gathered")),
        signaled: median(of("signaled")),
        checked: median(of("checked")),
        handshake: median(of("handshake")),
        firstByte: median(of("firstByte")),
      },
      slowest: Math.max(...of("firstByte")),
    };
  });
}

/** As Markdown. */
export function firstByteTable(results: readonly FirstByteResult[]): string {
  const number = (ms: number): string => String(Math.round(ms * 10) / 10);
  return table(
    ["RTT", "network", ...STEPS, "slowest"],
    results.map(({ name, rttMs, seeds, medians, slowest }) => [
      String(rttMs),
      seeds === 1 ? name : `${name}, median of ${seeds}`,
      ...STEPS.map((step) => number(medians[step])),
      seeds === 1 ? "" : number(slowest),
    ]),
  );
}

/** The packets of one call in the cell of the seed. */
export function firstByteSequence(): string {
  const world = new World({ seed: 1, trace: { keepEvents: true } });
  world.call();
  const lanes = new Map([["a", "caller"], ["server", "hub and STUN server"], ["b", "listener"]]);
  return drawSequence(world.net.trace.events, {
    startedAt: CALL_AT,
    endedAt: world.echo.firstByteAt ?? Infinity,
    lanes,
  });
}

function callOnce(options: WorldOptions): Times {
  const world = new World(options);
  const { caller } = world.call();
  const { gathered, signaled, checked, handshake, firstByte } = world.timesOf(caller);
  if (
    gathered === undefined || signaled === undefined || checked === undefined || handshake === undefined ||
    firstByte === undefined
  ) throw new Error(`Seed ${options.seed}: ${caller.first("failed")?.event.message ?? "no echo"}`);
  return { gathered, signaled, checked, handshake, firstByte };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, sequence: { type: "boolean", default: false } },
  });
  const results = measureFirstByte();
  if (values.json) { for (const result of results) console.log(JSON.stringify(result)); }
  else console.log(firstByteTable(results));
  if (values.sequence) console.log(`\n${firstByteSequence()}`);
}
