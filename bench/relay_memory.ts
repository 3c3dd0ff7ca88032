/**
 * What a relay's process holds for each bound peer: tunnels are opened to one relay, each with a port of its own, and its
 * memory is read after garbage collection, before and after; then again when datagrams have gone each way.
 *
 *     deno run -A --unstable-net bench/relay_memory.ts [--peers 1000] [--json]
 *
 * The peers are in this process, eight of each address of 127.0.0.0/8, as a relay allows.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { type KnownRelay, PlainPeer, TunnelPeer } from "../tests/support/relay_world.ts";
import { ForwarderProcess, hostOf, type ProcessMemory } from "./support/forwarder_process.ts";
import { table } from "./support/statistics.ts";

/** As `DEFAULT_RELAY_LIMITS` has it. */
const PORTS_PER_ADDRESS = 8;
/** Before the first reading: what is made once, and compiled. */
const FIRST_PEERS = 50;
/** Handshakes at a time. */
const AT_A_TIME = 10;
const DATAGRAMS = 64;
const DATAGRAM_BYTES = 1200;

/** Readings of the process, in order. */
interface Reading {
  readonly name: string;
  readonly peers: number;
  readonly memory: ProcessMemory;
}

async function open(known: KnownRelay, index: number): Promise<TunnelPeer> {
  const address = `127.1.${index / PORTS_PER_ADDRESS >> 8}.${1 + (index / PORTS_PER_ADDRESS & 0xff) % 254}`;
  const peer = new TunnelPeer(hostOf(`peer ${index}`, address), known, { isRaw: true });
  const opened = Promise.withResolvers<void>();
  peer.onEvent = () => opened.resolve();
  await opened.promise;
  if (peer.tunnel.base === undefined) throw new Error(`tunnel ${index} did not open: ${peer.closed?.reason}`);
  peer.onEvent = () => {};
  return peer;
}

/** Datagrams to everybody and back. */
async function talk(peers: readonly TunnelPeer[]): Promise<void> {
  const host = hostOf("plain");
  const plain = new PlainPeer(host);
  const payload = new Uint8Array(DATAGRAM_BYTES);
  for (let i = 0; i < DATAGRAMS; i += 8) {
    for (const peer of peers) {
      const { base } = peer.tunnel;
      if (base === undefined) continue;
      for (let j = 0; j < 8; j++) {
        peer.tunnel.send({ base, remote: plain.base.local, payload }, performance.now());
        plain.send(base.local, payload);
      }
      peer.driver.drain();
      await sleep(0);
    }
  }
  await sleep(1000);
  host.closeAll();
}

async function measure(count: number): Promise<Reading[]> {
  await using process = new ForwarderProcess("relay");
  const known = await process.relay();
  const peers: TunnelPeer[] = [];
  const openUpTo = async (total: number): Promise<void> => {
    while (peers.length < total) {
      const more = Math.min(AT_A_TIME, total - peers.length);
      peers.push(...await Promise.all(Array.from({ length: more }, (_, i) => open(known, peers.length + i))));
    }
    await sleep(1000);
  };
  const read = async (name: string): Promise<Reading> => ({
    name,
    peers: peers.length,
    memory: await process.memory(),
  });
  await openUpTo(FIRST_PEERS);
  await talk(peers);
  const readings = [await read("at first")];
  await openUpTo(FIRST_PEERS + count);
  readings.push(await read("a peer that is bound, and idle"));
  await talk(peers);
  readings.push(await read(`… and has been sent and has sent ${DATAGRAMS} datagrams`));
  return readings;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { peers: { type: "string", default: "1000" }, json: { type: "boolean" } } });
  const readings = await measure(Number(values.peers));
  const [first, ...others] = readings;
  const kibibytes = (of: keyof ProcessMemory, { memory, peers }: Reading): string => {
    const bytes = (memory[of] - (first?.memory[of] ?? 0)) / (peers - FIRST_PEERS);
    return `${(bytes / 1024).toFixed(1)} KiB`;
  };
  const rows = others.map((reading) => [
    reading.name,
    kibibytes("objects", reading),
    kibibytes("buffers", reading),
    kibibytes("resident", reading),
  ]);
  console.log(values.json ? JSON.stringify(readings) : table(["", "objects", "buffers", "resident"], rows));
  Deno.exit(0);
}
