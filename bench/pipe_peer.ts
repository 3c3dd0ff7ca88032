/**
 * One end of `memory.ts`, and of `throughput.ts` where it goes through Web Streams: a source that is piped into a session's
 * stream, or a sink that may stop reading for a while. Both say what their process holds, and, unless told `--plain`, the
 * hash of what went through.
 *
 *     deno run -A --unstable-net bench/pipe_peer.ts receive --mebibytes 1024 --pause-seconds 10
 *     deno run -A --unstable-net bench/pipe_peer.ts send --port PORT --peer KEY --mebibytes 1024
 *
 * @module
 */

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { DenoHost } from "../io/deno_host.ts";
import { fromHex, toHex } from "../protocols/core/bytes.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { QuicSocket } from "../tests/support/quic_socket.ts";
import { heapBytes, residentBytes } from "./support/heap.ts";
import { cpuTime, report } from "./support/roles.ts";
import { tlsSettings } from "./support/tls.ts";

const CHUNK_BYTES = 64 * 1024;
const SAMPLE_MS = 100;
/** Until so much has gone through, the runtime compiles: growth is told from here too. */
const WARM_UP_BYTES = 64 * 2 ** 20;

/** The most that this process has held, over what it held at the start and after the warm-up. */
class Growth {
  readonly #timer = setInterval(() => this.#sample(), SAMPLE_MS);
  readonly #residentAtStart = residentBytes();
  readonly #heapAtStart = heapBytes();
  #residentAtWarmUp = 0;
  #resident = 0;
  #heap = 0;

  /** @param bytes How much has gone through. */
  progress(bytes: number): void {
    if (this.#residentAtWarmUp === 0 && bytes >= WARM_UP_BYTES) this.#residentAtWarmUp = residentBytes();
  }

  end(): Readonly<Record<string, number>> {
    this.#sample();
    clearInterval(this.#timer);
    return {
      heapGrowthBytes: this.#heap - this.#heapAtStart,
      residentGrowthBytes: this.#resident - this.#residentAtWarmUp,
      residentGrowthFromStartBytes: this.#resident - this.#residentAtStart,
    };
  }

  #sample(): void {
    this.#resident = Math.max(this.#resident, residentBytes());
    this.#heap = Math.max(this.#heap, heapBytes());
  }
}

async function receive(total: number, { pauseMs, isPlain }: { pauseMs: number; isPlain: boolean }): Promise<void> {
  const key = Ed25519PrivateKey.generate(new DenoHost().random);
  await using socket = QuicSocket.server(tlsSettings({ own: key }));
  report({ type: "ready", port: socket.port, key: toHex(key.publicKey.bytes) });
  const session = await socket.accept();
  const { value: readable } = await session.incomingUnidirectionalStreams.getReader().read();
  if (readable === undefined) throw new Error("The peer opened no stream");
  const growth = new Growth();
  const hash = createHash("sha256");
  let bytes = 0;
  let begunAt = 0;
  let hasPaused = pauseMs === 0;
  for await (const chunk of readable) {
    if (begunAt === 0) begunAt = performance.now();
    if (!isPlain) hash.update(chunk);
    bytes += chunk.length;
    growth.progress(bytes);
    if (hasPaused || bytes < total / 4) continue;
    hasPaused = true;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  const seconds = (performance.now() - begunAt) / 1000;
  report({ type: "done", bytes, seconds, sha256: hash.digest("hex"), ...growth.end(), ...cpuTime() });
  session.close();
  await session.closed;
}

async function send(to: { port: number; peer: Uint8Array }, total: number, isPlain: boolean): Promise<void> {
  const key = Ed25519PrivateKey.generate(new DenoHost().random);
  await using socket = new QuicSocket();
  const session = await socket.connect(to.port, tlsSettings({ own: key, peer: to.peer }));
  const growth = new Growth();
  const hash = createHash("sha256");
  let bytes = 0;
  const random = new DenoHost().random.fill(new Uint8Array(2 * CHUNK_BYTES));
  const source = new ReadableStream<Uint8Array>({
    pull(controller): void {
      growth.progress(bytes);
      if (bytes === total) return controller.close();
      const start = (bytes / 7) % CHUNK_BYTES >>> 0;
      const chunk = random.slice(start, start + Math.min(CHUNK_BYTES, total - bytes));
      if (!isPlain) hash.update(chunk);
      bytes += chunk.length;
      controller.enqueue(chunk);
    },
  });
  await source.pipeTo(await session.openUnidirectionalStream());
  report({ type: "done", bytes, sha256: hash.digest("hex"), ...growth.end(), ...cpuTime() });
  await session.closed;
}

if (import.meta.main) {
  const { positionals: [role], values } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: "string", default: "0" },
      peer: { type: "string", default: "" },
      mebibytes: { type: "string", default: "1024" },
      "pause-seconds": { type: "string", default: "0" },
      plain: { type: "boolean", default: false },
    },
  });
  const total = Number(values.mebibytes) * 2 ** 20;
  const isPlain = values.plain;
  if (role === "receive") await receive(total, { pauseMs: Number(values["pause-seconds"]) * 1000, isPlain });
  else await send({ port: Number(values.port), peer: fromHex(values.peer) }, total, isPlain);
}
