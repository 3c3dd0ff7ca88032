/**
 * coturn as a STUN server on 127.0.0.1.
 *
 * @module
 */

import { program } from "./peers.ts";

const turnserver = program("turnserver");

/** For `peerTest`. */
export const COTURN_PEER = { name: "coturn", missing: turnserver === undefined ? "not installed" : undefined };

/** Seconds after which it ends by itself. */
const LIMIT_SECONDS = 60;

/** A server that listens on `port`; disposing of it ends it. */
export interface StunServer extends AsyncDisposable {
  readonly port: number;
}

/** Its client for RFC 5780, for `peerTest`. */
const discovery = program("turnutils_natdiscovery");
export const COTURN_DISCOVERY = {
  name: "turnutils_natdiscovery of coturn",
  missing: discovery === undefined ? "not installed" : undefined,
};

/** What it says of the NAT between it and the server: its output. */
export async function natDiscovery(server: string, port: number): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("timeout", {
    args: [String(LIMIT_SECONDS), discovery ?? "turnutils_natdiscovery", "-m", "-f", "-p", String(port), server],
    stdin: "null",
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/**
 * Starts it on a port that was free a moment ago, and waits until it answers.
 *
 * @param hosts With two of them it does RFC 5780.
 */
export async function coturn(hosts: readonly string[] = ["127.0.0.1"]): Promise<StunServer> {
  const probe = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = probe.addr.transport === "udp" ? probe.addr.port : 0;
  probe.close();
  const folder = Deno.makeTempDirSync();
  const child = new Deno.Command("timeout", {
    args: [
      String(LIMIT_SECONDS),
      turnserver ?? "turnserver",
      "-n", // no configuration file
      ...hosts.map((host) => `--listening-ip=${host}`),
      ...(hosts.length > 1 ? [`--alt-listening-port=${port + 1}`] : []),
      `--listening-port=${port}`,
      "--stun-only",
      "--no-cli",
      "--no-tcp",
      "--no-tls",
      "--no-dtls",
      "--log-file=stdout",
      "--simple-log",
      `--pidfile=${folder}/pid`,
      `--userdb=${folder}/turndb`,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const server = {
    port,
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill();
      await child.status;
      Deno.removeSync(folder, { recursive: true });
    },
  };
  await answering(port);
  return server;
}

/** Asks until there is an answer: what it logs does not tell when its sockets are open. */
async function answering(port: number): Promise<void> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const answer = socket.receive().then(() => true, () => false);
  // A Binding request (RFC 8489 §5) whose transaction ID matters to nobody.
  const request = Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Array<number>(12).fill(7));
  let answered = false;
  for (let attempt = 0; attempt < 100 && !answered; attempt++) {
    await socket.send(request, { transport: "udp", hostname: "127.0.0.1", port }).catch(() => 0);
    answered = await Promise.race([answer, pause(50)]);
  }
  socket.close();
  if (!answered) throw new Error(`coturn does not answer on port ${port}`);
}

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}
