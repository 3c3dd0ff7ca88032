/**
 * Moving to another path with ngtcp2 at the other end: by our client's will, by a NAT, to a preferred address on either
 * side, and from IPv4 to IPv6.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { RequestHead } from "../../protocols/http3/message.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { sameBytes } from "../support/same_bytes.ts";
import { Forwarder } from "./forwarder.ts";
import { countingBytes } from "./http3_peer.ts";
import { http3ClientTls, http3ServerTls, Http3Socket, type Http3SocketOptions } from "./http3_socket.ts";
import { freePort, NGTCP2_CLIENT, NGTCP2_SERVER, ngtcp2Client, ngtcp2Server } from "./ngtcp2.ts";
import { overIpv6, peerTest, pemFiles } from "./peers.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const GET: RequestHead = { method: "GET", scheme: "https", authority: "localhost", path: "/file", fields: [] };
const FILE_BYTES = 10_000_000;

peerTest(
  NGTCP2_SERVER,
  "ngtcp2's server follows our client that moves while it downloads (RFC 9000 §9.2)",
  async () => {
    await using server = await fileServer();
    await using socket = new Http3Socket();
    const peer = await socket.connect(server.port, server.tls);
    const answer = peer.fetch(GET);
    const first = await socket.migrate(peer);
    const second = await socket.migrate(peer);
    sameBytes((await answer).content, server.content);
    deepStrictEqual(socket.paths, [first, second].map((port) => `127.0.0.1:${port} > 127.0.0.1:${server.port}`));
  },
);

peerTest(NGTCP2_SERVER, "ngtcp2's server follows our client through a NAT that rebinds (RFC 9000 §9.3)", async () => {
  await using server = await fileServer();
  await using path = new Forwarder(server.port);
  // The PING of a client that hears nothing shows the server where it is now.
  await using socket = new Http3Socket(undefined, { keepAliveMs: 100 });
  const peer = await socket.connect(path.insidePort, server.tls);
  const answer = peer.fetch(GET);
  const before = path.outsidePort;
  path.rebind();
  sameBytes((await answer).content, server.content);
  ok(path.outsidePort !== before);
  sameBytes((await peer.fetch(GET)).content, server.content);
});

peerTest(NGTCP2_SERVER, "Our client goes on to the address that ngtcp2's server prefers (RFC 9000 §9.6)", async () => {
  const preferred = freePort("127.0.0.1");
  await using server = await fileServer({ options: [`--preferred-ipv4-addr=127.0.0.1:${preferred}`] });
  await using socket = new Http3Socket();
  const peer = await socket.connect(server.port, server.tls);
  await socket.moved(1);
  deepStrictEqual(socket.paths, [`127.0.0.1:${socket.port} > 127.0.0.1:${preferred}`]);
  sameBytes((await peer.fetch(GET)).content, server.content);
  // RFC 9000 §18.2: from there it may move on.
  const port = await socket.migrate(peer);
  sameBytes((await peer.fetch(GET)).content, server.content);
  deepStrictEqual(socket.paths.slice(1), [`127.0.0.1:${port} > 127.0.0.1:${preferred}`]);
});

for (const host of ["127.0.0.1", "::1"]) {
  const peer = host === "::1" ? overIpv6(NGTCP2_CLIENT) : NGTCP2_CLIENT;
  peerTest(peer, `ngtcp2's client goes on to the address that our server prefers, ${host}`, async () => {
    using folder = temporaryFolder();
    await using socket = Http3Socket.server(http3ServerTls(selfSignedCertificate("P-256")), { host, preferred: true });
    // It begins to download some time after the handshake, and so has moved before.
    const options = ["--delay-stream=300ms"];
    await ngtcp2Client(socket.port, [`/bytes/${FILE_BYTES}`], folder.path, options, host);
    sameBytes(Deno.readFileSync(`${folder.path}/${FILE_BYTES}`), countingBytes(FILE_BYTES));
    strictEqual(socket.paths.length, 1);
    ok(socket.paths[0]?.startsWith(`${addressOf(host, socket.preferredPort ?? 0)} > `), String(socket.paths[0]));
  });
}

peerTest(overIpv6(NGTCP2_SERVER), "Our client downloads from ngtcp2's server, and moves, over IPv6", async () => {
  await using server = await fileServer({ host: "::1" });
  await using socket = new Http3Socket(undefined, { host: "::1" });
  const peer = await socket.connect(server.port, server.tls);
  const answer = peer.fetch(GET);
  const port = await socket.migrate(peer);
  sameBytes((await answer).content, server.content);
  deepStrictEqual(socket.paths, [`[::1]:${port} > [::1]:${server.port}`]);
});

peerTest(
  overIpv6(NGTCP2_CLIENT),
  "Our server serves ngtcp2's client that moves while it downloads, over IPv6",
  async () => {
    using folder = temporaryFolder();
    await using socket = Http3Socket.server(http3ServerTls(selfSignedCertificate("P-256")), { host: "::1" });
    const options = ["--change-local-addr=20ms"];
    const log = await ngtcp2Client(socket.port, [`/bytes/${FILE_BYTES}`], folder.path, options, "::1");
    ok(/Local address is now \[::1\]/.test(log));
    sameBytes(Deno.readFileSync(`${folder.path}/${FILE_BYTES}`), countingBytes(FILE_BYTES));
  },
);

// RFC 9000 §9.6: what a server prefers may be of the other family, for a client that has both.
peerTest(
  overIpv6(NGTCP2_SERVER),
  "Our client goes from IPv4 to the IPv6 address that ngtcp2's server prefers",
  async () => {
    const preferred = freePort("::1");
    await using server = await fileServer({ options: [`--preferred-ipv6-addr=[::1]:${preferred}`] });
    await using socket = new Http3Socket();
    const peer = await socket.connect(server.port, server.tls);
    const answer = peer.fetch(GET);
    const port = await socket.migrate(peer, "::1", addressOf("::1", preferred));
    sameBytes((await answer).content, server.content);
    deepStrictEqual(socket.paths, [`[::1]:${port} > [::1]:${preferred}`]);
    sameBytes((await peer.fetch(GET)).content, server.content);
  },
);

/** ngtcp2's server with a file, and what our client has to say to it. */
async function fileServer({ host = "127.0.0.1", options = [] }: FileServerOptions = {}): Promise<RunningServer> {
  const certificate = selfSignedCertificate("P-256");
  const files = pemFiles(certificate);
  const folder = temporaryFolder();
  const content = countingBytes(FILE_BYTES);
  Deno.writeFileSync(`${folder.path}/file`, content);
  const server = await ngtcp2Server(files, folder.path, options, host);
  return {
    port: server.port,
    tls: http3ClientTls(certificate),
    content,
    async [Symbol.asyncDispose](): Promise<void> {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
      files[Symbol.dispose]();
    },
  };
}

interface FileServerOptions extends Pick<Http3SocketOptions, "host"> {
  readonly options?: readonly string[];
}

interface RunningServer extends AsyncDisposable {
  readonly port: number;
  readonly tls: ReturnType<typeof http3ClientTls>;
  readonly content: Uint8Array;
}
