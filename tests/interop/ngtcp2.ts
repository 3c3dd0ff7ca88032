/**
 * Starts ngtcp2's example programs, which speak HTTP/3.
 *
 * @module
 */

import { program } from "./peers.ts";

const client = program("gtlsclient");
const server = program("gtlsserver");

/** For `peerTest`. */
export const NGTCP2_CLIENT = {
  name: "gtlsclient of ngtcp2",
  missing: client === undefined ? "not installed" : undefined,
};
export const NGTCP2_SERVER = {
  name: "gtlsserver of ngtcp2",
  missing: server === undefined ? "not installed" : undefined,
};

/** Seconds after which either ends by itself. */
const LIMIT_SECONDS = "60";

/** A server that serves `folder`; disposing of it ends it. */
export interface FileServer extends AsyncDisposable {
  readonly port: number;
}

/** A port that nobody has at the moment. */
export function freePort(host: string): number {
  const probe = Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 });
  const port = probe.addr.transport === "udp" ? probe.addr.port : 0;
  probe.close();
  return port;
}

/** Starts it on a port that was free a moment ago, and waits until it answers. */
export async function ngtcp2Server(
  files: { cert: string; key: string },
  folder: string,
  options: readonly string[] = [],
  host = "127.0.0.1",
): Promise<FileServer> {
  const port = freePort(host);
  const args = ["--quiet", `--htdocs=${folder}`, ...options, host, String(port), files.key, files.cert];
  const child = spawn(server ?? "gtlsserver", args, "null");
  const running: FileServer = {
    port,
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill();
      await child.status;
    },
  };
  await answering(host, port);
  return running;
}

/**
 * Fetches `https://localhost` + path for each of the paths, at once, into a folder.
 *
 * @throws {Error} With what it wrote, if it fails.
 */
export async function ngtcp2Client(
  port: number,
  paths: readonly string[],
  folder: string,
  options: readonly string[] = [],
  host = "127.0.0.1",
): Promise<string> {
  const urls = paths.map((path) => `https://localhost:${port}${path}`);
  const args = [
    "--no-quic-dump",
    "--no-http-dump",
    "--exit-on-all-streams-close",
    `--download=${folder}`,
    `--nstreams=${urls.length}`,
    ...options,
    host,
    String(port),
    ...urls,
  ];
  const child = spawn(client ?? "gtlsclient", args, "piped");
  const { code, stderr } = await child.output();
  const log = new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(`gtlsclient ended with ${code}: ${log.slice(-2000)}`);
  return log;
}

function spawn(command: string, args: readonly string[], stderr: "null" | "piped"): Deno.ChildProcess {
  return new Deno.Command("timeout", {
    args: [LIMIT_SECONDS, command, ...args],
    stdin: "null",
    stdout: "null",
    stderr,
  }).spawn();
}

/** Asks until there is an answer: a version that nobody speaks is answered by Version Negotiation (RFC 9000 §6.1). */
async function answering(hostname: string, port: number): Promise<void> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  const answer = socket.receive().then(() => true, () => false);
  const request = new Uint8Array(1200);
  request.set([0xc0, 0x1a, 0x1a, 0x1a, 0x1a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
  let answered = false;
  for (let attempt = 0; attempt < 100 && !answered; attempt++) {
    await socket.send(request, { transport: "udp", hostname, port }).catch(() => 0);
    answered = await Promise.race([answer, pause(50)]);
  }
  socket.close();
  if (!answered) throw new Error(`gtlsserver does not answer on port ${port}`);
}

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}
