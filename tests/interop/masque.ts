/**
 * Starts masque-go as a client of a CONNECT-UDP proxy: the program of `peers/masque`, built by `.ci/peers.sh`.
 *
 * @module
 */

import { builtProgram, MASQUE_GO, PEER_SECONDS, PeerProcess } from "./peers.ts";

const built = builtProgram("go", "masque");

/** For `peerTest`. */
export const MASQUE_GO_PEER = {
  name: `masque-go ${MASQUE_GO.version}`,
  missing: built === undefined ? "not built" : undefined,
};

/** Asks a proxy for a tunnel; says `ready` with the `port` of the socket that leads into it, or `refused`. */
export function masqueClient(files: { cert: string }, options: { proxy: string; target: string }): PeerProcess {
  const { proxy, target } = options;
  const args = ["--cert", files.cert, "--proxy", proxy, "--target", target, "--seconds", String(PEER_SECONDS)];
  return new PeerProcess(built ?? "masque-peer", args);
}
