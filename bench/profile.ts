/**
 * Where the time goes: one stream of ours with the runtime's sampling profiler on both ends, samples grouped by whose code
 * they are in.
 *
 *     deno run -A --unstable-net bench/profile.ts [--mebibytes 128] [--json]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { PeerProcess } from "../tests/interop/peers.ts";
import { DATAGRAM_BYTES, PAYLOAD_BYTES } from "./support/roles.ts";
import { table } from "./support/statistics.ts";

/** One profile as the runtime writes it; times in microseconds. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Microseconds a datagram, by group. */
type Costs = ReadonlyMap<string, number>;

/** Groups in the order they are told, and what belongs to each: the first that fits. */
const GROUPS: readonly { readonly name: string; readonly fits: (functionName: string, url: string) => boolean }[] = [
  { name: "waiting", fits: (name) => name === "(idle)" },
  { name: "garbage collection", fits: (name) => name === "(garbage collector)" },
  { name: "sending: the system call", fits: (name) => name === "op_net_send_udp" },
  { name: "receiving: the system call", fits: (name) => name === "op_net_recv_udp" },
  {
    name: "AEAD and header masks: node:crypto and its buffers",
    fits: (name, url) =>
      /cipher|crypto/i.test(name) ||
      /node\/internal\/(?:crypto|streams|buffer)|_events|async_wrap|protocols\/crypto/.test(url),
  },
  { name: "QUIC: protocols/quic and core", fits: (_, url) => url.includes("/protocols/") },
  { name: "host and driver: io/", fits: (_, url) => url.includes("/io/") },
  { name: "the runtime: promises, event loop, sockets, timers", fits: () => true },
];

/** Profiles of the sender and the receiver. */
export async function measureProfile(mebibytes: number): Promise<{ readonly send: Costs; readonly receive: Costs }> {
  const folder = await Deno.makeTempDir();
  try {
    const receiver = start("receive", `${folder}/receive`, []);
    const ready = await receiver.next("ready");
    const to = ["--port", String(ready["port"]), "--peer", String(ready["key"]), "--mebibytes", String(mebibytes)];
    const sender = start("send", `${folder}/send`, to);
    await Promise.all([receiver.next("done"), sender.next("done")]);
    const datagrams = mebibytes * 2 ** 20 / PAYLOAD_BYTES;
    const send = await readCosts(`${folder}/send`, datagrams);
    const receive = await readCosts(`${folder}/receive`, datagrams);
    await Promise.all([receiver[Symbol.asyncDispose](), sender[Symbol.asyncDispose]()]);
    return { send, receive };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function start(role: string, folder: string, args: readonly string[]): PeerProcess {
  const script = new URL("traverse_peer.ts", import.meta.url).pathname;
  const run = ["run", "--allow-all", "--unstable-net", "--no-check", "--cpu-prof", `--cpu-prof-dir=${folder}`];
  return new PeerProcess(Deno.execPath(), [...run, script, role, ...args]);
}

/** The profile is written when the process ends, which it does by itself soon after it is done. */
async function readCosts(folder: string, datagrams: number): Promise<Costs> {
  for (let tries = 0; tries < 200; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const profile = readProfile(folder);
    if (profile !== undefined) return costsOf(profile, datagrams);
  }
  throw new Error("The runtime wrote no profile");
}

function readProfile(folder: string): Profile | undefined {
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      const profile: unknown = JSON.parse(Deno.readTextFileSync(`${folder}/${name}`));
      if (isProfile(profile)) return profile;
    }
  } catch {
    // Not there yet, or half written.
  }
  return undefined;
}

function isProfile(value: unknown): value is Profile {
  return typeof value === "object" && value !== null && "nodes" in value && "samples" in value && "timeDeltas" in value;
}

function costsOf({ nodes, samples, timeDeltas }: Profile, datagrams: number): Costs {
  const groups = new Map<number, string>();
  for (const { id, callFrame: { functionName, url } } of nodes) {
    groups.set(id, GROUPS.find(({ fits }) => fits(functionName, url))?.name ?? "");
  }
  const costs = new Map<string, number>(GROUPS.map(({ name }) => [name, 0]));
  for (const [index, sample] of samples.entries()) {
    const name = groups.get(sample) ?? "";
    costs.set(name, (costs.get(name) ?? 0) + (timeDeltas[index] ?? 0) / datagrams);
  }
  return costs;
}

/** The costs as rows of a table. */
export function profileTable({ send, receive }: { readonly send: Costs; readonly receive: Costs }): string {
  const busy = (costs: Costs): number =>
    [...costs].reduce((sum, [name, cost]) => name === "waiting" ? sum : sum + cost, 0);
  const cells = (costs: Costs, name: string): string[] => {
    const cost = costs.get(name) ?? 0;
    const share = name === "waiting" ? "" : `${(100 * cost / busy(costs)).toFixed(0)} %`;
    return [cost.toFixed(2), share];
  };
  const head = ["where", "sender, µs a datagram", "share", "receiver, µs a datagram", "share"];
  return table(head, GROUPS.map(({ name }) => [name, ...cells(send, name), ...cells(receive, name)]));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { mebibytes: { type: "string", default: "128" }, json: { type: "boolean", default: false } },
  });
  const profile = await measureProfile(Number(values.mebibytes));
  const plain = { datagramBytes: DATAGRAM_BYTES, send: [...profile.send], receive: [...profile.receive] };
  console.log(values.json ? JSON.stringify(plain) : profileTable(profile));
}
