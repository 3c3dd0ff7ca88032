/**
 * Our QUIC against aioquic, in both roles.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { selfSignedCertificate } from "../support/certificate.ts";
import { AIOQUIC_PEER, aioquicClient, aioquicServer } from "./aioquic.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { runtimeClient, runtimeServer } from "./runtime_quic.ts";

const DONE = { type: "done", echo: "ok", exchange: "ok" };

peerTest(AIOQUIC_PEER, "aioquic as server exchanges 8 MiB each way with the runtime's QUIC", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, "q2q");
  await using _process = server.process;
  await runtimeClient(server.port, certificate, { alpn: "q2q", exchange: true });
});

peerTest(AIOQUIC_PEER, "aioquic as client exchanges 8 MiB each way with the runtime's QUIC", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  await using server = runtimeServer(certificate, "q2q");
  deepStrictEqual(await aioquicClient(server.port, files, { alpn: "q2q", exchange: true }), DONE);
});
