/**
 * `demo`: a server and two peers as separate processes on this machine, with data both ways, checked and timed.
 *
 * @module
 */

import { DenoHost } from "../io/deno_host.ts";
import type { Host } from "../io/host.ts";
import { toHex } from "../protocols/core/bytes.ts";
import { randomBytes } from "../protocols/core/random.ts";
import { RunningHash } from "../protocols/crypto/hash.ts";
import { integerOption, parseArgs } from "./args.ts";
import { startChild } from "./child.ts";
import type { Child, Fact } from "./child.ts";
import { noWords } from "./options.ts";
import type { Library } from "./options.ts";
import { printLine } from "./standard_streams.ts";
import { Status } from "./status.ts";

/** What is sent each way where nothing is said. */
const DEFAULT_SIZE_MIB = 16;

const MIB = 1024 * 1024;

/** Bytes that go into a pipe at once. */
const CHUNK_BYTES = 64 * 1024;

/** What `demo --help` prints. */
export const DEMO_HELP =
  `Runs a server and two peers as separate processes on this machine and sends data both ways, by each transport.

  demo
  demo --size 64 --json

usage: demo [options]

  --transport NAME   only this transport; default: each there is
  --size MIB         how much each side sends; default ${DEFAULT_SIZE_MIB}
  --json             one JSON object a transport on stdout`;

/** What one transport did. */
interface DemoResult {
  readonly transport: string;
  readonly bytes: number;
  readonly sha256: "ok" | "mismatch";
  readonly connectMs: number;
  readonly mbps: number;
  /** When the session's packets, which passed through a relay at first, went directly; only where they did. */
  readonly directMs?: number;
}

/** How the peers of a transport find each other. */
interface Arrangement {
  /** The server's options. */
  readonly serve: readonly string[];
  /** What the peers are told, by what the server has said when it was ready. */
  readonly listen: (ready: Fact) => readonly string[];
  readonly connect: (ready: Fact) => readonly string[];
}

const THROUGH_HUB: Arrangement = {
  serve: [],
  listen: ({ url, stun }) => ["--signaling", String(url), "--stun", String(stun)],
  connect: ({ url, stun }) => ["--signaling", String(url), "--stun", String(stun)],
};

const THROUGH_RELAY: Arrangement = {
  serve: ["--relay", "127.0.0.1:0"],
  listen: ({ relay }) => ["--via", String(relay)],
  connect: () => [],
};

const THROUGH_BOTH: Arrangement = {
  serve: THROUGH_RELAY.serve,
  listen: (ready) => [...THROUGH_HUB.listen(ready), ...THROUGH_RELAY.listen(ready)],
  connect: THROUGH_HUB.connect,
};

/** Of transports that need more than a hub. */
const ARRANGEMENTS: ReadonlyMap<string, Arrangement> = new Map([["quic-native", THROUGH_RELAY], [
  "auto",
  THROUGH_BOTH,
]]);

/** Runs the command. Returns the exit code: 1 if any byte went wrong. */
export async function demo(words: readonly string[], library: Library): Promise<number> {
  const args = parseArgs(words, { boolean: ["json", "help"], string: ["transport", "size"] });
  noWords(args);
  const status = new Status(args.flag("json"));
  const size = integerOption("size", args.value("size") ?? String(DEFAULT_SIZE_MIB), { min: 1, max: 4096 }) * MIB;
  const chosen = args.value("transport");
  const host = new DenoHost();
  let isFine = true;
  for (const transport of chosen === undefined ? library.names("transport") : [chosen]) {
    const result = await run(transport, size, status, host);
    isFine &&= result.sha256 === "ok";
    printLine(args.flag("json") ? JSON.stringify(result) : inWords(result));
  }
  return isFine ? 0 : 1;
}

function inWords({ transport, bytes, sha256, connectMs, mbps, directMs }: DemoResult): string {
  const said = `${transport}: ${bytes / MIB} MiB each way, SHA-256 ${sha256}, ` +
    `connected in ${connectMs} ms, ${mbps} Mb/s each way`;
  if (directMs === undefined) return said;
  const [from, to] = [`${transport}: relayed from ${connectMs} ms on`, `${transport}: direct  from ${directMs} ms on`];
  return `${said}\n${from}, through the relay\n${to}, the same connection, without it`;
}

async function run(transport: string, size: number, status: Status, host: Host): Promise<DemoResult> {
  const children: Child[] = [];
  const start = (...words: string[]): Child => {
    const child = startChild(words);
    children.push(child);
    return child;
  };
  try {
    const arranged = ARRANGEMENTS.get(transport) ?? THROUGH_HUB;
    status.note(`${transport}: starting a server ...`);
    const server = start("serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", ...arranged.serve, "--json");
    const up = await server.fact("ready");
    const peer = ["--transport", transport, "--loopback", "--json"];
    status.note("starting a peer that listens ...");
    const listener = start("listen", ...arranged.listen(up), ...peer, "--once");
    const { ticket } = await listener.fact("ready");
    status.note(`ticket ${ticket}`);
    status.note("starting a peer that calls ...");
    const caller = start("connect", String(ticket), ...arranged.connect(up), ...peer);
    const connected = await caller.fact("connected");
    status.note(`connected ${describe(connected)}`);
    const began = host.now();
    const moved = isRelayed(connected) ? caller.fact("path") : Promise.resolve(undefined);
    const ends = [exchange(caller, size, host, moved), exchange(listener, size, host)] as const;
    const [path, fromCaller, fromListener] = await Promise.all([moved, ...ends]);
    const seconds = (host.now() - began) / 1000;
    const closed = await caller.fact("closed");
    status.note(`done after ${seconds.toFixed(2)} s: ${JSON.stringify(closed["ms"])} ms`);
    const codes = [await caller.exit(), await listener.exit()];
    const isFine = fromCaller.sent === fromListener.received && fromListener.sent === fromCaller.received &&
      codes.every((code) => code === 0);
    return {
      transport,
      bytes: size,
      sha256: isFine ? "ok" : "mismatch",
      connectMs: handshakeMs(connected),
      mbps: Math.round(size * 8 / seconds / 1e5) / 10,
      ...(path === undefined ? {} : { directMs: Number(path["ms"]) }),
    };
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

function handshakeMs(connected: { readonly [field: string]: unknown }): number {
  const ms = connected["ms"];
  const handshake = typeof ms === "object" && ms !== null && "handshake" in ms ? ms.handshake : undefined;
  return typeof handshake === "number" ? handshake : NaN;
}

function isRelayed(connected: { readonly [field: string]: unknown }): boolean {
  const path = connected["path"];
  return typeof path === "object" && path !== null && "kind" in path && path.kind === "relayed";
}

function describe(connected: { readonly [field: string]: unknown }): string {
  return `${JSON.stringify(connected["path"])} at ${JSON.stringify(connected["ms"])} ms`;
}

/**
 * Sends `size` random bytes into the child's stdin and reads its stdout to the end; SHA-256 of both.
 *
 * @param until What has to happen before stdin ends.
 */
async function exchange(
  child: Child,
  size: number,
  host: Host,
  until?: Promise<unknown>,
): Promise<{ readonly sent: string; readonly received: string }> {
  const [sent, received] = [new RunningHash("SHA-256"), new RunningHash("SHA-256")];
  const feeding = async (): Promise<void> => {
    const writer = child.stdin.getWriter();
    await feed(writer, size, sent, host);
    await until;
    await writer.close();
  };
  await Promise.all([feeding(), drain(child, received)]);
  return { sent: toHex(sent.digest()), received: toHex(received.digest()) };
}

async function feed(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  size: number,
  hash: RunningHash,
  host: Host,
): Promise<void> {
  for (let left = size; left > 0;) {
    const chunk = randomBytes(host.random, Math.min(CHUNK_BYTES, left));
    hash.update(chunk);
    await writer.write(chunk);
    left -= chunk.length;
  }
}

async function drain(child: Child, hash: RunningHash): Promise<void> {
  for await (const chunk of child.stdout) hash.update(chunk);
}
