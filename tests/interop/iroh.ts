/**
 * Starts iroh in either role. To be called inside a namespace (`namespace.ts`).
 *
 * @module
 */

import { IROH, npmPackages, PEER_SECONDS, PeerProcess, program } from "./peers.ts";
import { NO_NAMESPACE } from "./namespace.ts";

const SCRIPT = new URL("./peers/iroh_peer.mjs", import.meta.url).pathname;
const packages = npmPackages(IROH);
const node = program("node");

/** For `peerTest`. */
export const IROH_PEER = {
  name: `iroh ${IROH.version}`,
  missing: node === undefined ? "no node" : packages === undefined ? "not installed" : NO_NAMESPACE,
};

/** A server, its port and its key. */
export async function irohServer(): Promise<{ process: PeerProcess; port: number; key: string }> {
  const process = start("server", []);
  const ready = await process.next("ready");
  return { process, port: Number(ready["port"]), key: String(ready["key"]) };
}

/** Echoes and exchanges with the server that has `key`, in hexadecimal. */
export function irohClient(port: number, key: string): PeerProcess {
  return start("client", [key, String(port)]);
}

function start(role: string, args: readonly string[]): PeerProcess {
  const common = ["--no-deprecation", SCRIPT, packages ?? "", role, String(PEER_SECONDS)];
  return new PeerProcess(node ?? "node", [...common, ...args]);
}
