/**
 * Times of `quic-native` in the virtual network: a cold caller dials a ticket through a relay halfway between the peers,
 * asks for an echo, and its session becomes direct. Times follow from packets on links and from nothing else.
 *
 *     deno run bench/native.ts [--json] [--sequence]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { CALL_AT, NativeWorld, PEER_RTT_MS } from "../tests/support/native_world.ts";
import type { NativeOptions } from "../tests/support/native_world.ts";
import { STUN_PORT } from "../tests/support/virtual_peers.ts";
import { drawSequence } from "./support/sequence.ts";
import { median, table } from "./support/statistics.ts";

/** Milestones, in the order they are reached. `direct`: the caller's packets take the direct path. */
const STEPS = ["handshake", "firstByte", "direct", "both direct"] as const;

type Times = Readonly<Record<typeof STEPS[number], number>>;

/** A network, and how often a call is made in it. */
interface Scenario {
  readonly name: string;
  readonly options: Omit<NativeOptions, "seed">;
  /** 1 where nothing is left to chance. */
  readonly seeds: number;
}

/** What was measured in one network, in ms since the call; `Infinity` for what does not happen. */
export interface NativeResult {
  readonly name: string;
  readonly rttMs: number;
  readonly seeds: number;
  /** Medians, each step by itself. */
  readonly medians: Times;
  /** The slowest first byte, and the latest direct path. */
  readonly slowest: Pick<Times, "firstByte" | "direct">;
}

const SYMMETRIC = { mapping: "APDM", filtering: "APDF" } as const;
const ADDRESS_RESTRICTED = { mapping: "EIM", filtering: "ADF" } as const;

const SCENARIOS: readonly Scenario[] = [
  ...[10, 50, PEER_RTT_MS, 300].map((rttMs) => ({ name: "", options: { rttMs }, seeds: 1 })),
  { name: "no NATs", options: { caller: "public", listener: "public" }, seeds: 1 },
  { name: "symmetric NAT of the caller", options: { caller: SYMMETRIC, listener: ADDRESS_RESTRICTED }, seeds: 1 },
  { name: "symmetric NAT of the listener", options: { caller: ADDRESS_RESTRICTED, listener: SYMMETRIC }, seeds: 1 },
  { name: "symmetric NATs on both sides", options: { caller: SYMMETRIC, listener: SYMMETRIC }, seeds: 1 },
  { name: "jitter of 10 ms each way", options: { link: { jitterMs: 10 } }, seeds: 100 },
  { name: "2 % loss", options: { link: { lossRate: 0.02 } }, seeds: 200 },
];

/** Calls are watched for so long: what has not happened by then is not expected to. */
const WATCHED_MS = 20_000;

/** Calls in every network, or in those where nothing is left to chance. @throws {Error} If a call fails. */
export function measureNative({ isExact = false }: { readonly isExact?: boolean } = {}): readonly NativeResult[] {
  return SCENARIOS.filter(({ seeds }) => !isExact || seeds === 1).map(({ name, options, seeds }) => {
    const calls: Times[] = [];
    for (let seed = 1; seed <= seeds; seed++) calls.push(callOnce({ ...options, seed }));
    const of = (step: typeof STEPS[number]): number[] => calls.map((times) => times[step]);
    return {
      name,
      rttMs: options.rttMs ?? PEER_RTT_MS,
      seeds,
      medians: {
        "handshake": median(of("handshake")),
        "firstByte": median(of("firstByte")),
        "direct": median(of("direct")),
        "both direct": median(of("both direct")),
      },
      slowest: { firstByte: Math.max(...of("firstByte")), direct: Math.max(...of("direct")) },
    };
  });
}

/** As Markdown. */
export function nativeTable(results: readonly NativeResult[]): string {
  const number = (ms: number): string => ms === Infinity ? "never" : String(Math.round(ms * 10) / 10);
  return table(
    ["RTT", "network", ...STEPS, "slowest firstByte", "latest direct"],
    results.map(({ name, rttMs, seeds, medians, slowest }) => [
      String(rttMs),
      seeds === 1 ? name : `${name}, median of ${seeds}`,
      ...STEPS.map((step) => number(medians[step])),
      seeds === 1 ? "" : number(slowest.firstByte),
      seeds === 1 ? "" : number(slowest.direct),
    ]),
  );
}

/** The packets of one call behind port-restricted NATs, until both sides use the direct path; without those of STUN. */
export function nativeSequence(): string {
  const world = new NativeWorld({ seed: 1, trace: { keepEvents: true } });
  const caller = world.call();
  const directAt = Math.max(caller.first("path")?.at ?? Infinity, world.listener.first("path")?.at ?? Infinity);
  const events = world.net.trace.events.filter(({ packet }) =>
    packet.source.port !== STUN_PORT && packet.destination.port !== STUN_PORT
  );
  const lanes = new Map([["a", "caller"], ["server", "relay"], ["b", "listener"]]);
  return drawSequence(events, { startedAt: CALL_AT, endedAt: directAt, lanes });
}

function callOnce(options: NativeOptions): Times {
  const world = new NativeWorld(options);
  world.net.run({ until: CALL_AT });
  // A lost packet may have held up the listener.
  if (!world.until(() => world.listener.first("ticket") !== undefined, WATCHED_MS)) throw new Error("no ticket");
  const startedAt = world.net.now;
  const caller = world.dial();
  const peers = [caller, world.listener];
  world.until(() => peers.every((peer) => peer.first("path") !== undefined) && world.returned !== "", WATCHED_MS);
  const since = (at: number | undefined): number => (at ?? Infinity) - startedAt;
  if (world.firstByteAt === undefined) {
    throw new Error(`Seed ${options.seed}: ${caller.first("failed")?.event.message ?? "no echo"}`);
  }
  const [direct, listenerDirect] = [since(caller.first("path")?.at), since(world.listener.first("path")?.at)];
  return {
    "handshake": since(caller.first("session")?.at),
    "firstByte": since(world.firstByteAt),
    "direct": direct,
    "both direct": Math.max(direct, listenerDirect),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, sequence: { type: "boolean", default: false } },
  });
  const results = measureNative();
  if (values.json) { for (const result of results) console.log(JSON.stringify(result)); }
  else console.log(nativeTable(results));
  if (values.sequence) console.log(`\n${nativeSequence()}`);
}
