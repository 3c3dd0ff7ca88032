/**
 * Starts quic-go in either role: the program of `peers/quicgo`, built by `.ci/peers.sh`.
 *
 * @module
 */

import { builtProgram, PEER_SECONDS, PeerProcess, QUIC_GO, switches } from "./peers.ts";

const built = builtProgram("go", "quicgo");

/** For `peerTest`. */
export const QUIC_GO_PEER = {
  name: `quic-go ${QUIC_GO.version}`,
  missing: built === undefined ? "not built" : undefined,
};

/** What its server may be told. */
export interface QuicGoServerOptions {
  readonly ip?: string;
  /** Any that is free if it is not said. */
  readonly port?: number;
  readonly retry?: boolean;
  /** 32 bytes, hexadecimal: what tokens of stateless resets are made from. */
  readonly resetKey?: string;
  /** It speaks version 2 alone. */
  readonly "version-2"?: boolean;
  /** The one key exchange group it takes, by its name. */
  readonly group?: string;
  /** A file with the certificate that clients have to have. */
  readonly clientCert?: string;
}

/** What its client does behind the echo, one after the other. */
export interface QuicGoClientOptions {
  readonly ip?: string;
  /** It begins with version 2, and can do version 1. */
  readonly "version-2"?: boolean;
  readonly exchange?: boolean;
  /** It moves to another port in the middle of an exchange. */
  readonly migrate?: boolean;
  /** Echoes on that many streams at once. */
  readonly streams?: number;
  /** Sends that many datagrams, and waits for each to come back. */
  readonly datagrams?: number;
  /** Says `echoed`, and sends until a stateless reset comes. */
  readonly awaitReset?: boolean;
  /** The one key exchange group it takes, by its name. */
  readonly group?: string;
  /** Files with its own certificate and key. */
  readonly ownCert?: string;
  readonly ownKey?: string;
}

/** A server. It returns datagrams. */
export async function quicGoServer(
  files: { cert: string; key: string },
  alpn: string,
  options: QuicGoServerOptions = {},
): Promise<{ process: PeerProcess; port: number }> {
  const process = start("server", ["--cert", files.cert, "--key", files.key, "--alpn", alpn, ...switches(options)]);
  const ready = await process.next("ready");
  return { process, port: Number(ready["port"]) };
}

/** Connects to `port`, and resolves to what it reports. */
export async function quicGoClient(
  port: number,
  files: { cert: string },
  alpn: string,
  options: QuicGoClientOptions = {},
): Promise<Readonly<Record<string, unknown>>> {
  await using process = startQuicGoClient(port, files, alpn, options);
  return await process.next("done");
}

/** Connects to `port`. */
export function startQuicGoClient(
  port: number,
  files: { cert: string },
  alpn: string,
  options: QuicGoClientOptions = {},
): PeerProcess {
  const args = ["--cert", files.cert, "--alpn", alpn, "--port", String(port), ...switches(options)];
  return start("client", args);
}

function start(role: string, args: readonly string[]): PeerProcess {
  return new PeerProcess(built ?? "quicgo-peer", [role, "--seconds", String(PEER_SECONDS), ...args]);
}
