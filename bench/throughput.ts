/**
 * One stream over loopback between two processes: ours, the yardstick (`datapath.ts`), aioquic and the runtime's own QUIC,
 * run by turns so that whatever else the machine does hits all alike; medians and ratios.
 *
 *     deno run -A --unstable-net bench/throughput.ts [--rounds 5] [--only datapath,aioquic] [--json]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { AIOQUIC, PeerProcess, pemFiles, program, pythonPackages } from "../tests/interop/peers.ts";
import { selfSignedCertificate } from "../tests/support/certificate.ts";
import { median, ratio, table } from "./support/statistics.ts";

/** How a stack is run: two command lines, and how much it is given so that a run takes seconds. */
interface Contestant {
  readonly name: string;
  readonly mebibytes: number;
  readonly receive: readonly string[];
  readonly send: readonly string[];
  /** Why it cannot run here. */
  readonly missing?: string;
}

/** One run of one stack. */
interface Run {
  /** MB/s. */
  readonly rate: number;
  readonly cpuOfSender: number;
  readonly cpuOfReceiver: number;
}

/** What was measured of one stack. */
export interface ThroughputResult {
  readonly name: string;
  readonly mebibytes: number;
  /** MB/s (10^6 bytes of stream data), one a round. */
  readonly rates: readonly number[];
  readonly median: number;
  /** CPU time of the sender and the receiver, in seconds for 10^9 bytes, start-up included; medians. */
  readonly cpuOfSender: number;
  readonly cpuOfReceiver: number;
  readonly missing?: string;
}

/** Runs every stack `rounds` times, by turns. */
export async function measureThroughput(options: {
  readonly rounds: number;
  readonly only?: readonly string[];
  readonly scale?: number;
}): Promise<readonly ThroughputResult[]> {
  using files = pemFiles(selfSignedCertificate("P-256"));
  const chosen = contestants(files, options.scale ?? 1).filter(({ name }) => options.only?.includes(name) ?? true);
  const runs = new Map<string, Run[]>(chosen.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const contestant of chosen) {
      if (contestant.missing === undefined) runs.get(contestant.name)?.push(await runPair(contestant));
    }
  }
  return chosen.map(({ name, mebibytes, missing }) => {
    const measured = runs.get(name) ?? [];
    const rates = measured.map(({ rate }) => rate);
    const cpuOfSender = median(measured.map((run) => run.cpuOfSender));
    const cpuOfReceiver = median(measured.map((run) => run.cpuOfReceiver));
    const result = { name, mebibytes, rates, median: median(rates), cpuOfSender, cpuOfReceiver };
    return missing === undefined ? result : { ...result, missing };
  });
}

function contestants(files: { readonly cert: string; readonly key: string }, scale: number): readonly Contestant[] {
  const packages = pythonPackages(AIOQUIC);
  const python = program("python3");
  const aioquic = [python ?? "", file("peers/aioquic_peer.py")];
  const common = ["--packages", packages ?? "", "--cert", files.cert];
  const missing = python === undefined ? "no python3" : `aioquic ${AIOQUIC.version} is not installed: see .ci/peers.sh`;
  const sizes = (mebibytes: number): number => Math.max(1, Math.round(mebibytes * scale));
  return [
    typescript("traverse", "traverse_peer.ts", sizes(128), []),
    typescript("traverse by FFI", "traverse_peer.ts", sizes(512), ["--ffi", "--aes"]),
    typescript("traverse by node:dgram", "traverse_peer.ts", sizes(64), ["--dgram"]),
    typescript("traverse, Web Streams", "pipe_peer.ts", sizes(128), ["--plain"]),
    typescript("datapath", "datapath.ts", sizes(128), ["--acks", "two"]),
    typescript("datapath, our ACK rate", "datapath.ts", sizes(128), ["--acks", "batch"]),
    {
      name: "aioquic",
      mebibytes: sizes(48),
      receive: [...aioquic, "receive", ...common, "--key", files.key],
      send: [...aioquic, "send", ...common, "--mebibytes", String(sizes(48))],
      ...((python === undefined || packages === undefined) && { missing }),
    },
    typescript("runtime", "runtime_quic.ts", sizes(512), ["--cert", files.cert, "--key", files.key]),
  ];
}

function typescript(name: string, script: string, mebibytes: number, options: readonly string[]): Contestant {
  const command = [Deno.execPath(), "run", "--allow-all", "--unstable-net", "--no-check", file(script)];
  return {
    name,
    mebibytes,
    receive: [...command, "receive", ...options],
    send: [...command, "send", ...options, "--mebibytes", String(mebibytes)],
  };
}

/** Runs both ends once. */
async function runPair(contestant: Contestant): Promise<Run> {
  await using receiver = start(contestant.receive);
  const ready = await receiver.next("ready");
  const extra = typeof ready["key"] === "string" ? ["--peer", ready["key"]] : [];
  await using sender = start([...contestant.send, "--port", String(ready["port"]), ...extra]);
  // A sender that fails says so here, instead of leaving the receiver waiting.
  const [done, sent] = await Promise.all([receiver.next("done"), sender.next("done")]);
  const bytes = Number(done["bytes"]);
  if (!(bytes >= contestant.mebibytes * 2 ** 20)) {
    throw new Error(`${contestant.name} lost bytes: ${JSON.stringify(done)}`);
  }
  const gigabytes = bytes / 1e9;
  return {
    rate: 1000 * gigabytes / Number(done["seconds"]),
    cpuOfSender: Number(sent["cpuSeconds"]) / gigabytes,
    cpuOfReceiver: Number(done["cpuSeconds"]) / gigabytes,
  };
}

function start([command, ...args]: readonly string[]): PeerProcess {
  return new PeerProcess(command ?? "", args);
}

function file(name: string): string {
  return new URL(name, import.meta.url).pathname;
}

/** What the stream of ours has to reach, as a factor on another stack's median. */
const LEAST_FACTORS: Readonly<Record<string, number>> = { datapath: 0.6, "datapath, our ACK rate": 0.6, aioquic: 1.5 };

/** What the stream by foreign functions has to reach, as a factor on the runtime's own QUIC, which is native. */
const LEAST_FFI_FACTOR = 0.5;

/** What is not reached, in words. */
export function throughputShortfalls(results: readonly ThroughputResult[]): readonly string[] {
  const ours = results.find(({ name }) => name === "traverse")?.median ?? NaN;
  const medianOf = (wanted: string): number => results.find(({ name }) => name === wanted)?.median ?? NaN;
  const isFfiSlow = medianOf("traverse by FFI") < LEAST_FFI_FACTOR * medianOf("runtime");
  const ffi = isFfiSlow ? [`traverse by FFI is slower than ${LEAST_FFI_FACTOR} × the runtime's QUIC`] : [];
  return results.flatMap(({ name, median, missing }) => {
    const factor = LEAST_FACTORS[name];
    if (factor === undefined || missing !== undefined || ours >= factor * median) return [];
    return [`traverse is slower than ${factor} × ${name}: ${ours.toFixed(1)} MB/s, ${median.toFixed(1)} MB/s`];
  }).concat(ffi);
}

/** The results as rows of a table. */
export function throughputTable(results: readonly ThroughputResult[]): string {
  const of = (name: string): number | undefined => results.find((result) => result.name === name)?.median;
  const rows = results.map(({ name, mebibytes, rates, median, cpuOfSender, cpuOfReceiver, missing }) =>
    missing !== undefined ? [name, `skipped: ${missing}`, "", "", "", "", "", ""] : [
      name,
      `${mebibytes} MiB × ${rates.length}`,
      median.toFixed(1),
      `${Math.min(...rates).toFixed(1)}–${Math.max(...rates).toFixed(1)}`,
      `${cpuOfSender.toFixed(1)} + ${cpuOfReceiver.toFixed(1)}`,
      ratio(median, of("datapath")),
      ratio(median, of("datapath, our ACK rate")),
      ratio(median, of("aioquic")),
    ]
  );
  return table([
    "stack",
    "runs",
    "MB/s, median",
    "range",
    "CPU s/GB, send + receive",
    "of datapath",
    "of datapath, our ACK rate",
    "of aioquic",
  ], rows);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      scale: { type: "string", default: "1" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const results = await measureThroughput({
    rounds: Number(values.rounds),
    scale: Number(values.scale),
    ...(values.only !== undefined && { only: values.only.split(",") }),
  });
  console.log(values.json ? JSON.stringify(results) : throughputTable(results));
  for (const shortfall of throughputShortfalls(results)) console.error(shortfall);
}
