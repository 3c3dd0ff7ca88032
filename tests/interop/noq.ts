/**
 * Starts noq (n0's QUIC in Rust, rustls) in either role: the program of `peers/noq`, built by `.ci/peers.sh`.
 *
 * @module
 */

import { builtProgram, NOQ, PEER_SECONDS, PeerProcess, switches } from "./peers.ts";

const built = builtProgram("cargo", "noq");

/** For `peerTest`. */
export const NOQ_PEER = {
  name: `noq ${NOQ.version}`,
  missing: built === undefined ? "not built" : undefined,
};

/** What either role may be told besides. */
export interface NoqOptions {
  /** @default {"127.0.0.1"} */
  readonly ip?: string;
  /** The one cipher suite it speaks, by its name. */
  readonly suite?: string;
  /** The one key exchange group it takes, by its name. */
  readonly group?: string;
  /** Both roles of address discovery. */
  readonly observe?: boolean;
}

/** What its server may be told besides. */
export interface NoqServerOptions extends NoqOptions {
  /** Any that is free if it is not said. */
  readonly port?: number;
  readonly retry?: boolean;
  /** What tokens of stateless resets are made from. */
  readonly resetKey?: string;
  /** It speaks version 2 alone. */
  readonly "version-2"?: boolean;
  /** A file with the certificate that clients have to have. */
  readonly clientCert?: string;
}

/** What its client does behind the echo, one after the other. */
export interface NoqClientOptions extends NoqOptions {
  readonly exchange?: boolean;
  readonly keyUpdate?: boolean;
  /** It moves to another port in the middle of an exchange. */
  readonly rebind?: boolean;
  /** Echoes on that many streams at once. */
  readonly streams?: number;
  /** Sends that many datagrams, and waits for each to come back. */
  readonly datagrams?: number;
  /** Says `echoed`, and sends until a stateless reset comes. */
  readonly awaitReset?: boolean;
  /** Files with its own certificate and key. */
  readonly ownCert?: string;
  readonly ownKey?: string;
}

/** A server on a free port. It returns datagrams. */
export async function noqServer(
  files: { cert: string; key: string },
  alpn: string,
  options: NoqServerOptions = {},
): Promise<{ process: PeerProcess; port: number }> {
  const process = start("server", ["--cert", files.cert, "--key", files.key, "--alpn", alpn, ...switches(options)]);
  const ready = await process.next("ready");
  return { process, port: Number(ready["port"]) };
}

/** Connects to `port`; says `done` with the outcome of each thing it was asked for. */
export function noqClient(
  port: number,
  files: { cert: string },
  alpn: string,
  options: NoqClientOptions = {},
): PeerProcess {
  return start("client", ["--cert", files.cert, "--alpn", alpn, "--port", String(port), ...switches(options)]);
}

function start(role: string, args: readonly string[]): PeerProcess {
  return new PeerProcess(built ?? "noq-peer", [role, "--seconds", String(PEER_SECONDS), ...args]);
}
