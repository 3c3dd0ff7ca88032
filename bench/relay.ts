/**
 * What the relay's process spends on a forwarded megabyte, beside a bare forwarder of UDP with one AEAD pass, by turns.
 *
 *     deno run -A --unstable-net bench/relay.ts [--rounds 3] [--json]
 *
 * Both run in processes of their own (`bench/relay_process.ts`); datagrams of 1200 bytes come at a steady rate that neither
 * is busy with, and CPU time is the process's own, sockets included.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { DenoHost } from "../io/deno_host.ts";
import { addressOf, parseAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { type PeerHost, PlainPeer, TunnelPeer } from "../tests/support/relay_world.ts";
import { median, ratio, table } from "./support/statistics.ts";

const DATAGRAM_BYTES = 1200;
/** Datagrams every 5 ms: 38 Mb/s. */
const BATCH = 20;
const BATCH_MS = 5;
const BATCHES = 600;
/** Before measuring, so that both are compiled. */
const WARM_UP_BATCHES = 150;

/** A forwarder in a process of its own. */
class ForwarderProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  constructor(kind: string, target: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--unstable-net", new URL("relay_process.ts", import.meta.url).pathname, kind, target],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** The next line it prints. */
  async line(): Promise<string> {
    return String((await this.#lines.next()).value);
  }

  /** CPU time so far, in microseconds. */
  async cpu(): Promise<number> {
    await this.#writer.write(new TextEncoder().encode("cpu\n"));
    return Number(await this.line());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop() ?? "";
    yield* parts;
  }
}

function hostOf(name: string): PeerHost & { closeAll(): void } {
  const host = new DenoHost();
  const more = {
    name,
    address: (port = 0): Address => addressOf("127.0.0.1", port),
    closeAll: (): void => host[Symbol.dispose](),
  };
  return Object.assign(host, more);
}

/** Sends at the rate, and says what the process spent on each datagram that `received` counts, in microseconds. */
async function measure(send: () => void, received: () => number, process: ForwarderProcess): Promise<number> {
  const batches = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < BATCH; j++) send();
      await sleep(BATCH_MS);
    }
    await sleep(200);
  };
  await batches(WARM_UP_BATCHES);
  const [cpu, count] = [await process.cpu(), received()];
  await batches(BATCHES);
  return (await process.cpu() - cpu) / (received() - count);
}

async function measureForwarder(): Promise<number> {
  const [from, to] = [hostOf("from"), hostOf("to")];
  const [sender, sink] = [new PlainPeer(from), new PlainPeer(to)];
  await using process = new ForwarderProcess("forwarder", sink.base.local.toString());
  const address = parseAddress(await process.line());
  const payload = new Uint8Array(DATAGRAM_BYTES);
  try {
    return await measure(() => sender.send(address, payload), () => sink.received.length, process);
  } finally {
    from.closeAll();
    to.closeAll();
  }
}

async function measureRelay(direction: "in" | "out"): Promise<number> {
  const [outside, inside] = [hostOf("outside"), hostOf("inside")];
  const plain = new PlainPeer(outside);
  await using process = new ForwarderProcess("relay", "");
  const address = parseAddress(await process.line());
  const sha256 = Uint8Array.fromBase64(await process.line());
  const peer = new TunnelPeer(inside, { address, certificate: { sha256 } }, { isRaw: true });
  const opened = Promise.withResolvers<void>();
  peer.onEvent = () => opened.resolve();
  await opened.promise;
  const { base } = peer.tunnel;
  if (base === undefined) throw new Error("the tunnel did not open");
  const payload = new Uint8Array(DATAGRAM_BYTES);
  const sendOut = (): void => {
    peer.tunnel.send({ base, remote: plain.base.local, payload }, inside.now());
    peer.driver.drain();
  };
  // The address gets its compressed context.
  sendOut();
  await sleep(100);
  try {
    return direction === "out"
      ? await measure(sendOut, () => plain.received.length, process)
      : await measure(() => plain.send(base.local, payload), () => peer.received.length, process);
  } finally {
    inside.closeAll();
    outside.closeAll();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { rounds: { type: "string" }, json: { type: "boolean" } } });
  const results: Record<"forwarder" | "in" | "out", number[]> = { forwarder: [], in: [], out: [] };
  for (let round = 0; round < Number(values.rounds ?? 3); round++) {
    results.forwarder.push(await measureForwarder());
    results.in.push(await measureRelay("in"));
    results.out.push(await measureRelay("out"));
  }
  if (values.json) console.log(JSON.stringify(results));
  else {
    const base = median(results.forwarder);
    const row = (name: string, each: number[]): string[] => [
      name,
      median(each).toFixed(1),
      (median(each) * 1000 / DATAGRAM_BYTES).toFixed(1),
      ratio(median(each), base),
    ];
    console.log(table(["CPU time", "µs a datagram", "ms a megabyte", "ratio"], [
      row("UDP forwarder, one AEAD pass", results.forwarder),
      row("relay, to the tunnel", results.in),
      row("relay, from the tunnel", results.out),
    ]));
  }
}
