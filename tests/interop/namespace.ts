/**
 * Runs a scenario in a network namespace of its own, where there is only loopback: for peers that look for port mappers,
 * relays or discovery services wherever there is a route.
 *
 * @module
 */

import { PEER_SECONDS, PeerProcess, program } from "./peers.ts";

const unshare = unshareArguments();

/** Why no namespace can be made here, or `undefined`. */
export const NO_NAMESPACE = unshare === undefined ? "no network namespace can be made here" : undefined;

/** Starts a Deno program of this folder in a new namespace. It has all permissions: it can reach nothing but loopback. */
export function inNamespace(script: string, args: readonly string[]): PeerProcess {
  const path = new URL(script, import.meta.url).pathname;
  const command = ['ip link set lo up && exec "$@"', "sh", Deno.execPath(), "run", "--allow-all", path, ...args];
  return new PeerProcess("timeout", [
    String(PEER_SECONDS),
    ...(unshare ?? []),
    "sh",
    "-c",
    ...command,
  ]);
}

/** Root makes a network namespace as it is, anyone else inside a user namespace where the system lets them. */
function unshareArguments(): readonly string[] | undefined {
  const path = program("unshare");
  if (path === undefined || program("ip") === undefined || program("timeout") === undefined) return undefined;
  for (const flags of [["--net"], ["--map-root-user", "--net"]]) {
    const probe = new Deno.Command(path, { args: [...flags, "ip", "link", "set", "lo", "up"], stderr: "null" });
    if (probe.outputSync().success) return [path, ...flags];
  }
  return undefined;
}
