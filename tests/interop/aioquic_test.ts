/**
 * Our QUIC against aioquic, in both roles.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { selfSignedCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { AIOQUIC_PEER, aioquicClient, aioquicServer } from "./aioquic.ts";
import { Forwarder } from "./forwarder.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { runtimeClient, runtimeServer } from "./runtime_quic.ts";

const DONE = { type: "done", echo: "ok", exchange: "ok" };

peerTest(AIOQUIC_PEER, "aioquic as server exchanges 8 MiB each way with the runtime's QUIC", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, ALPN);
  await using _process = server.process;
  await runtimeClient(server.port, certificate, { alpn: ALPN, exchange: true });
});

peerTest(AIOQUIC_PEER, "aioquic as client exchanges 8 MiB each way with the runtime's QUIC", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  await using server = runtimeServer(certificate, ALPN);
  deepStrictEqual(await aioquicClient(server.port, files, ALPN), DONE);
});

for (const algorithm of ["Ed25519", "P-256"] as const) {
  peerTest(AIOQUIC_PEER, `Our client exchanges 8 MiB each way with aioquic's server, ${algorithm}`, async () => {
    const certificate = selfSignedCertificate(algorithm);
    using files = pemFiles(certificate);
    const server = await aioquicServer(files, ALPN);
    await using _process = server.process;
    await ourClient(server.port, pinningTls(certificate), { exchange: true });
  });

  peerTest(AIOQUIC_PEER, `Our server exchanges 8 MiB each way with aioquic's client, ${algorithm}`, async () => {
    const certificate = selfSignedCertificate(algorithm);
    using files = pemFiles(certificate);
    await using socket = QuicSocket.server(certificateTls(certificate));
    const [done] = await Promise.all([
      aioquicClient(socket.port, files, ALPN),
      serveOne(socket),
    ]);
    deepStrictEqual(done, DONE);
  });
}

peerTest(AIOQUIC_PEER, "Our client comes back with the token of aioquic's Retry (RFC 9000 §8.1.2)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, ALPN, ["--retry"]);
  await using _process = server.process;
  await ourClient(server.port, pinningTls(certificate), { exchange: false });
});

peerTest(AIOQUIC_PEER, "Our server follows a key update of aioquic's client (RFC 9001 §6)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate));
  const [done] = await Promise.all([
    aioquicClient(socket.port, files, ALPN, ["--exchange", "--key-update"]),
    serveOne(socket),
  ]);
  deepStrictEqual(done, DONE);
});

peerTest(
  AIOQUIC_PEER,
  "Our client exchanges 8 MiB each way with aioquic over a path that loses and reorders",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const server = await aioquicServer(files, ALPN);
    await using _process = server.process;
    await using path = new Forwarder(server.port, { loss: 0.01, reordering: 0.01, seed: 1 });
    await ourClient(path.insidePort, pinningTls(certificate), { exchange: true });
  },
);

peerTest(
  AIOQUIC_PEER,
  "Our server tells aioquic's client, which begins with version 2, to speak version 1 (RFC 9000 §6)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    await using socket = QuicSocket.server(certificateTls(certificate));
    const [done] = await Promise.all([aioquicClient(socket.port, files, ALPN, ["--version-2"]), serveOne(socket)]);
    deepStrictEqual(done, { type: "done", echo: "ok" });
    strictEqual(socket.drops.get("unknown version"), 1);
  },
);
