/**
 * Starts aioquic in either role.
 *
 * @module
 */

import { AIOQUIC, PEER_SECONDS, PeerProcess, program, pythonPackages } from "./peers.ts";

const SCRIPT = new URL("./peers/aioquic_peer.py", import.meta.url).pathname;
const HTTP3_SCRIPT = new URL("./peers/aioquic_http3_peer.py", import.meta.url).pathname;
const packages = pythonPackages(AIOQUIC);
const python = program("python3");

/** For `peerTest`. */
export const AIOQUIC_PEER = {
  name: `aioquic ${AIOQUIC.version}`,
  missing: python === undefined ? "no python3" : packages === undefined ? "not installed" : undefined,
};

/** A server on a free port of 127.0.0.1. */
export async function aioquicServer(
  files: { cert: string; key: string },
  alpn: string,
  options: readonly "--retry"[] = [],
): Promise<{ process: PeerProcess; port: number }> {
  const process = start("server", ["--cert", files.cert, "--key", files.key, "--alpn", alpn, ...options]);
  const ready = await process.next("ready");
  return { process, port: Number(ready["port"]) };
}

/** Echoes and exchanges with the server on `port`; resolves to what it reports. */
export async function aioquicClient(
  port: number,
  files: { cert: string },
  alpn: string,
  options: readonly ("--exchange" | "--key-update" | "--version-2")[] = ["--exchange"],
): Promise<Readonly<Record<string, unknown>>> {
  const args = ["--cert", files.cert, "--port", String(port), "--alpn", alpn, ...options];
  await using process = start("client", args);
  return await process.next("done");
}

/** An HTTP/3 server on a free port of 127.0.0.1. */
export async function aioquicHttp3Server(
  files: { cert: string; key: string },
): Promise<{ process: PeerProcess; port: number }> {
  const process = start("server", ["--cert", files.cert, "--key", files.key], HTTP3_SCRIPT);
  const ready = await process.next("ready");
  return { process, port: Number(ready["port"]) };
}

/** Asks the HTTP/3 server on `port` for all it has; resolves to what it reports. */
export async function aioquicHttp3Client(
  port: number,
  files: { cert: string },
  options: readonly string[] = [],
): Promise<Readonly<Record<string, unknown>>> {
  const args = ["--cert", files.cert, "--port", String(port), ...options];
  await using process = start("client", args, HTTP3_SCRIPT);
  return await process.next("done");
}

function start(role: string, args: readonly string[], script: string = SCRIPT): PeerProcess {
  const common = [script, role, "--packages", packages ?? "", "--seconds", String(PEER_SECONDS)];
  return new PeerProcess(python ?? "python3", [...common, ...args]);
}
