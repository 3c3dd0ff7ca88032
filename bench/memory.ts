/**
 * Memory: what 10,000 handshakes leave behind (at most 1 MiB more than 1,000, every table empty), and what both ends hold
 * while 1 GiB is piped into a reader that stops for 10 s (each grows by at most 32 MiB, nothing is lost).
 *
 *     deno run -A --unstable-net bench/memory.ts [--handshakes 10000] [--mebibytes 1024] [--pause-seconds 10] [--json]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { PeerProcess } from "../tests/interop/peers.ts";
import { table } from "./support/statistics.ts";

/** What is allowed. */
export const MAX_HANDSHAKE_GROWTH_BYTES: number = 2 ** 20;
export const MAX_PIPE_GROWTH_BYTES: number = 32 * 2 ** 20;

/** What was measured. */
export interface MemoryResult {
  readonly handshakes: {
    readonly count: number;
    /** After garbage collection: JavaScript's heap, and what the system gave the process. */
    readonly grownBytes: number;
    readonly residentGrownBytes: number;
    readonly leftovers: number;
  };
  readonly pipe: {
    readonly mebibytes: number;
    readonly pauseSeconds: number;
    /** Both ends counted and hashed the same. */
    readonly isWhole: boolean;
    readonly sender: Growth;
    readonly receiver: Growth;
  };
  readonly isWithinLimits: boolean;
}

/** By how much one process grew, at most. */
interface Growth {
  /** Objects and array buffers, garbage that was not collected yet included, since the session was established. */
  readonly heapBytes: number;
  /** What the system gave the process, since the first 64 MiB had gone through and the code was compiled. */
  readonly residentBytes: number;
  /** The same since the session was established. */
  readonly residentFromStartBytes: number;
}

/** How much is done. */
export interface MemoryOptions {
  readonly handshakes: number;
  readonly mebibytes: number;
  readonly pauseSeconds: number;
}

/** Runs both. */
export async function measureMemory(options: MemoryOptions): Promise<MemoryResult> {
  const handshakes = await measureHandshakes(options.handshakes);
  const pipe = await measurePipe(options);
  const ends = [pipe.sender, pipe.receiver];
  const isWithinLimits = handshakes.grownBytes <= MAX_HANDSHAKE_GROWTH_BYTES && handshakes.leftovers === 0 &&
    pipe.isWhole && ends.every((end) => Math.max(end.heapBytes, end.residentBytes) <= MAX_PIPE_GROWTH_BYTES);
  return { handshakes, pipe, isWithinLimits };
}

async function measureHandshakes(count: number): Promise<MemoryResult["handshakes"]> {
  await using process = start("handshakes.ts", ["--count", String(count)], ["--v8-flags=--expose-gc"]);
  const done = await process.next("done");
  const leftovers = Array.isArray(done["leftovers"]) ? done["leftovers"].length : NaN;
  const residentGrownBytes = Number(done["residentGrownBytes"]);
  return { count, grownBytes: Number(done["grownBytes"]), residentGrownBytes, leftovers };
}

async function measurePipe({ mebibytes, pauseSeconds }: MemoryOptions): Promise<MemoryResult["pipe"]> {
  const amount = ["--mebibytes", String(mebibytes)];
  await using receiver = start("pipe_peer.ts", ["receive", ...amount, "--pause-seconds", String(pauseSeconds)]);
  const ready = await receiver.next("ready");
  const to = ["--port", String(ready["port"]), "--peer", String(ready["key"])];
  await using sender = start("pipe_peer.ts", ["send", ...amount, ...to]);
  const [received, sent] = await Promise.all([receiver.next("done"), sender.next("done")]);
  const isWhole = received["bytes"] === mebibytes * 2 ** 20 && received["sha256"] === sent["sha256"];
  return { mebibytes, pauseSeconds, isWhole, sender: growthOf(sent), receiver: growthOf(received) };
}

function growthOf(done: Readonly<Record<string, unknown>>): Growth {
  return {
    heapBytes: Number(done["heapGrowthBytes"]),
    residentBytes: Number(done["residentGrowthBytes"]),
    residentFromStartBytes: Number(done["residentGrowthFromStartBytes"]),
  };
}

function start(script: string, args: readonly string[], flags: readonly string[] = []): PeerProcess {
  const path = new URL(script, import.meta.url).pathname;
  const run = ["run", "--allow-all", "--unstable-net", "--no-check", ...flags];
  return new PeerProcess(Deno.execPath(), [...run, path, ...args]);
}

/** The results as rows of a table. */
export function memoryTable({ handshakes, pipe }: MemoryResult): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const limit = mebibytes(MAX_PIPE_GROWTH_BYTES);
  const what = `${pipe.mebibytes} MiB into a reader that stops for ${pipe.pauseSeconds} s`;
  return table(["what", "measured", "limit"], [
    [
      `heap after ${handshakes.count} handshakes, over that after ${handshakes.count / 10}`,
      mebibytes(handshakes.grownBytes),
      mebibytes(MAX_HANDSHAKE_GROWTH_BYTES),
    ],
    ["… resident memory", mebibytes(handshakes.residentGrownBytes), ""],
    ["tables that are not empty then", String(handshakes.leftovers), "0"],
    ...(["sender", "receiver"] as const).flatMap((end) => [
      [`${what}: heap of the ${end} grows by`, mebibytes(pipe[end].heapBytes), limit],
      [`… its resident memory, from the first 64 MiB on`, mebibytes(pipe[end].residentBytes), limit],
      [`… from the start, with the code that is compiled`, mebibytes(pipe[end].residentFromStartBytes), ""],
    ]),
    ["SHA-256 of what was sent and of what was read", pipe.isWhole ? "equal" : "DIFFERENT", "equal"],
  ]);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      handshakes: { type: "string", default: "10000" },
      mebibytes: { type: "string", default: "1024" },
      "pause-seconds": { type: "string", default: "10" },
      json: { type: "boolean", default: false },
    },
  });
  const result = await measureMemory({
    handshakes: Number(values.handshakes),
    mebibytes: Number(values.mebibytes),
    pauseSeconds: Number(values["pause-seconds"]),
  });
  console.log(values.json ? JSON.stringify(result) : memoryTable(result));
  if (!result.isWithinLimits) Deno.exit(1);
}
