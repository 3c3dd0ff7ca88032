/**
 * What the relay's process spends on a forwarded megabyte, beside a bare forwarder of UDP with one AEAD pass, by turns; and
 * how fast a transfer is through it.
 *
 *     deno run -A --unstable-net bench/relay.ts [--rounds 3] [--mebibytes 32] [--json]
 *
 * Both run in processes of their own (`bench/relay_process.ts`); datagrams of 1200 bytes come at a steady rate that neither
 * is busy with, and CPU time is the process's own, sockets, garbage collector and compiler included. For the rate one stream
 * of QUIC goes through the relay as fast as it can, both of its ends in this process; directly, likewise.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { PlainPeer, TunnelPeer } from "../tests/support/relay_world.ts";
import { measureRate } from "./relay_rate.ts";
import { ForwarderProcess, hostOf } from "./support/forwarder_process.ts";
import { median, ratio, table } from "./support/statistics.ts";

const DATAGRAM_BYTES = 1200;
/** Datagrams every 5 ms: 38 Mb/s at most, and 30 with what a timer takes. */
const BATCH = 20;
const BATCH_MS = 5;
const BATCHES = 600;
/** Before measuring: until then the runtime compiles the relay's code, which one that runs for days does once. */
const WARM_UP_BATCHES = 1500;

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
  const address = await process.address();
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
  await using process = new ForwarderProcess("relay");
  const peer = new TunnelPeer(inside, await process.relay(), { isRaw: true });
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
  const { values } = parseArgs({
    options: { rounds: { type: "string" }, mebibytes: { type: "string" }, json: { type: "boolean" } },
  });
  const bytes = Number(values.mebibytes ?? 32) * 2 ** 20;
  const rows = [
    { name: "UDP forwarder, one AEAD pass", cpu: measureForwarder, rate: undefined },
    { name: "relay, to the tunnel", cpu: () => measureRelay("in"), rate: () => measureRate("in", bytes) },
    { name: "relay, from the tunnel", cpu: () => measureRelay("out"), rate: () => measureRate("out", bytes) },
    { name: "no relay", cpu: undefined, rate: () => measureRate("direct", bytes) },
  ].map((row) => ({ ...row, cpus: new Array<number>(), rates: new Array<number>() }));
  for (let round = 0; round < Number(values.rounds ?? 3); round++) {
    for (const { cpu, cpus } of rows) if (cpu !== undefined) cpus.push(await cpu());
    for (const { rate, rates } of rows) if (rate !== undefined) rates.push(await rate());
  }
  if (values.json) console.log(JSON.stringify(rows));
  else {
    const base = median(rows[0]?.cpus ?? []);
    const cells = (each: readonly number[], of: (value: number) => string): string =>
      each.length === 0 ? "" : of(median(each));
    console.log(table(
      ["", "µs a datagram", "ms a megabyte", "ratio", "one stream, MB/s"],
      rows.map(({ name, cpus, rates }) => [
        name,
        cells(cpus, (cpu) => cpu.toFixed(1)),
        cells(cpus, (cpu) => (cpu * 1000 / DATAGRAM_BYTES).toFixed(1)),
        cells(cpus, (cpu) => ratio(cpu, base)),
        cells(rates, (rate) => rate.toFixed(1)),
      ]),
    ));
  }
}
