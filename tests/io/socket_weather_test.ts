/**
 * Sockets that fail while a session runs: every error a system can return, from sends and from receives, on every base of
 * both ends.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { DenoHost, type UdpSocket } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import {
  DEFAULT_ENDPOINT_CONFIG,
  DEFAULT_TRANSPORT_SETTINGS,
  type EndpointConfig,
} from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { ConnectionEvent, EndpointEvent } from "../../protocols/quic/events.ts";
import { rawKeyTls, testKey } from "../support/quic_pair.ts";

const CODES = ["EINVAL", "ENETUNREACH", "EPERM", "EMSGSIZE", "ECONNRESET"];
const LOOPBACK = addressOf("127.0.0.1", 0);
const MEBIBYTE = 2 ** 20;
/** One in so many sends fails, and one in so many receives. */
const FAIL_EVERY = 20;

/** A real socket, some of whose calls fail. */
class StormySocket implements UdpSocket {
  readonly #socket: Deno.DatagramConn;
  readonly addr: Deno.Addr;
  #sends = 0;
  #receives = 0;

  constructor(hostname: string, port: number) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname, port });
    this.addr = this.#socket.addr;
  }

  send(payload: Uint8Array, to: Deno.Addr): Promise<number> {
    if (++this.#sends % FAIL_EVERY === 0) return Promise.reject(failure(this.#sends / FAIL_EVERY));
    return this.#socket.send(payload, to);
  }

  receive(buffer: Uint8Array): Promise<[Uint8Array, Deno.Addr]> {
    if (++this.#receives % FAIL_EVERY === 0) return Promise.reject(failure(this.#receives / FAIL_EVERY));
    return this.#socket.receive(buffer);
  }

  close(): void {
    this.#socket.close();
  }
}

function failure(count: number): Error {
  const code = CODES[count % CODES.length]!;
  return Object.assign(new Error(code), { code });
}

class Peer {
  readonly host = new DenoHost({ openSocket: (hostname, port) => new StormySocket(hostname, port) });
  readonly driver: Driver<EndpointEvent>;
  readonly endpoint: QuicEndpoint;
  readonly bases: Base[] = [];
  readonly finished = Promise.withResolvers<void>();
  received = 0;
  isIntact = true;
  #left = MEBIBYTE;

  constructor(config: EndpointConfig) {
    this.endpoint = new QuicEndpoint(config, this.host.random);
    this.driver = new Driver(this.endpoint, this.host, (event) => {
      if (event.type === "connection") this.#handle(event.connection, event.event);
    });
    for (let i = 0; i < 3; i++) this.bases.push(this.host.bind(LOOPBACK));
  }

  #handle(connection: QuicConnection, event: ConnectionEvent): void {
    if (event.type === "handshakeComplete") this.#write(connection, connection.openStream("unidirectional")!);
    if (event.type === "streamWritable") this.#write(connection, event.id);
    if (event.type === "streamReadable") this.#read(connection, event.id);
    if (event.type === "closed") this.finished.reject(new Error(`The session ended: ${JSON.stringify(event)}`));
  }

  /** Byte n of the stream is n modulo 251. */
  #write(connection: QuicConnection, id: number): void {
    while (this.#left > 0) {
      const at = MEBIBYTE - this.#left;
      const chunk = Uint8Array.from({ length: Math.min(16_384, this.#left) }, (_, i) => (at + i) % 251);
      const taken = connection.write(id, chunk);
      this.#left -= taken;
      if (taken < chunk.length) return;
    }
    connection.finish(id);
  }

  #read(connection: QuicConnection, id: number): void {
    for (let data = connection.read(id); data !== undefined; data = connection.read(id)) {
      const at = this.received;
      this.isIntact &&= data.every((byte, i) => byte === (at + i) % 251);
      this.received += data.length;
    }
    if (connection.isAtEnd(id)) this.finished.resolve();
  }
}

Deno.test("Socket errors on every base while sessions run are counted, and lose nothing", async () => {
  const client = testKey("client");
  const server = testKey("server");
  const transport = DEFAULT_TRANSPORT_SETTINGS;
  const servers: Peer[] = [];
  const clients: Peer[] = [];
  // Three sessions, so that each of the three bases at either end has one.
  for (let i = 0; i < 3; i++) {
    servers.push(new Peer({ ...DEFAULT_ENDPOINT_CONFIG, server: { tls: rawKeyTls(server, client), transport } }));
    clients.push(new Peer(DEFAULT_ENDPOINT_CONFIG));
    const [base, remote] = [clients[i]!.bases[i]!, servers[i]!.bases[i]!.local];
    clients[i]!.endpoint.connect({ base, remote, tls: rawKeyTls(client, server), transport }, clients[i]!.host.now());
    clients[i]!.driver.drain();
  }
  const peers = [...clients, ...servers];
  await Promise.all(peers.map(({ finished }) => finished.promise));
  for (const peer of peers) {
    deepStrictEqual([peer.received, peer.isIntact], [MEBIBYTE, true]);
    deepStrictEqual([...peer.driver.socketErrors.keys()].sort(), [...CODES].sort());
    ok([...peer.driver.socketErrors.values()].every((count) => count >= 5));
    peer.host[Symbol.dispose]();
  }
});

Deno.test("A process ends when its host is disposed of, with an alarm set and a datagram on its way", async () => {
  const { status, stdout } = await run(
    ["--allow-net=127.0.0.1"],
    `
    const host = new DenoHost();
    host.attach({ handleDatagram() {}, drain() {}, handleAlarm() {}, handleRoom() {}, handleSocketError() {} });
    const base = host.bind(addressOf("127.0.0.1", 0));
    host.setAlarm(host.now() + 3_600_000);
    host.send({ base, remote: base.local, payload: new Uint8Array(3) });
    host[Symbol.dispose]();
    console.log("disposed");`,
  );
  deepStrictEqual([status, stdout], [0, "disposed\n"]);
});

Deno.test("DenoHost without permission to list interfaces has none, and says which flag is missing", async () => {
  const { status, stdout } = await run(
    [],
    `
    const { interfaces, missing } = new DenoHost().describeInterfaces();
    console.log(interfaces.length, missing.join());`,
  );
  strictEqual(stdout.trim(), "0 Cannot list network interfaces: allow it with --allow-sys=networkInterfaces");
  strictEqual(status, 0);
});

Deno.test("DenoHost counts a send that is not permitted as an error of that remote", async () => {
  const { stdout } = await run(
    ["--allow-net=127.0.0.1:0"],
    `
    const host = new DenoHost();
    host.attach({
      handleDatagram() {}, drain() {}, handleAlarm() {}, handleRoom() {},
      handleSocketError({ remote, code }) {
        console.log(remote.toString(), code);
        host[Symbol.dispose]();
      },
    });
    const base = host.bind(addressOf("127.0.0.1", 0));
    host.send({ base, remote: addressOf("192.0.2.1", 9), payload: new Uint8Array(3) });`,
  );
  strictEqual(stdout.trim(), "192.0.2.1:9 NotCapable");
});

/** Runs a few lines in a process of their own, with exactly these permissions. */
async function run(permissions: readonly string[], code: string): Promise<{ status: number; stdout: string }> {
  const imports = ["io/deno_host.ts", "protocols/core/address.ts"].map((path) =>
    new URL(`../../${path}`, import.meta.url)
  );
  const source = `import { DenoHost } from "${imports[0]}"; import { addressOf } from "${imports[1]}";${code}`;
  const url = `data:application/typescript,${encodeURIComponent(source)}`;
  const args = ["run", "--no-check", "--no-prompt", "--unstable-net", ...permissions, url];
  const output = await new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" }).output();
  if (!output.success) throw new Error(new TextDecoder().decode(output.stderr));
  return { status: output.code, stdout: new TextDecoder().decode(output.stdout) };
}
