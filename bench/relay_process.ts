/**
 * What `bench/relay.ts` and `bench/relay_memory.ts` measure: a relay without limits, or a forwarder that seals each datagram
 * and sends it on. Prints its address (a relay, its certificate's SHA-256 too), then answers each line on stdin: `cpu` is its
 * CPU time in microseconds, `memory` the bytes of its objects, of its array buffers, and those that are resident.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { Driver } from "../io/driver.ts";
import { DenoHost } from "../io/deno_host.ts";
import { addressOf, parseAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { NODE_AEAD_BACKEND } from "../protocols/crypto/node_aead.ts";
import { Relay } from "../service/relay.ts";
import { DEFAULT_RELAY_LIMITS } from "../service/relay_limits.ts";
import { makeSelfSigned } from "../service/self_signed.ts";
import { collectGarbage } from "./support/heap.ts";

function startRelay(host: DenoHost): string[] {
  const base = host.bind(addressOf("127.0.0.1", 0));
  const { credential, sha256 } = makeSelfSigned("relay.bench", host.random, host.epochMs);
  const relay = new Relay({
    bases: [base],
    binder: host,
    random: host.random,
    credential,
    access: { isOpen: true },
    limits: { ...DEFAULT_RELAY_LIMITS, bytesPerSecond: 2 ** 40, bytesPerDay: 2 ** 50 },
    epochMs: host.epochMs,
  });
  new Driver(relay, host, () => {});
  return [base.local.toString(), sha256.toBase64()];
}

/** Straight on the runtime's socket, without driver, host or tables. */
async function forward(socket: Deno.DatagramConn, target: Address): Promise<void> {
  const aead = NODE_AEAD_BACKEND.aead("CHACHA20_POLY1305", new Uint8Array(32));
  const nonce = new Uint8Array(12);
  const buffer = new Uint8Array(2048);
  const to = { transport: "udp", hostname: target.host, port: target.port } as const;
  for (;;) {
    const [payload] = await socket.receive(buffer);
    aead.seal(nonce, buffer, 0, 0, payload.length);
    await socket.send(buffer.subarray(0, payload.length + aead.tagBytes), to);
  }
}

function startForwarder(target: Address): string[] {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  void forward(socket, target);
  return [`127.0.0.1:${socket.addr.transport === "udp" ? socket.addr.port : 0}`];
}

async function answer(question: string): Promise<string> {
  if (question.startsWith("memory")) {
    await collectGarbage();
    const { heapUsed, external, rss } = Deno.memoryUsage();
    return `${heapUsed} ${external} ${rss}`;
  }
  const { user, system } = cpuUsage();
  return String(user + system);
}

if (import.meta.main) {
  const [kind, target = ""] = Deno.args;
  // Set up as `serve` does it.
  const lines = kind === "relay"
    ? startRelay(new DenoHost({ maxSockets: DEFAULT_RELAY_LIMITS.maxPorts + 1, receiveBufferBytes: 2048 }))
    : startForwarder(parseAddress(target));
  for (const line of lines) console.log(line);
  for await (const question of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    console.log(await answer(question));
  }
  Deno.exit(0);
}
