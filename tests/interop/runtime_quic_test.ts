/**
 * Our QUIC against the runtime's own, in both roles.
 *
 * @module
 */

import { selfSignedCertificate } from "../support/certificate.ts";
import { runtimeClient, runtimeServer } from "./runtime_quic.ts";

for (const algorithm of ["Ed25519", "P-256"] as const) {
  Deno.test(`The runtime's QUIC exchanges 8 MiB each way with itself, ${algorithm} certificate pinned`, async () => {
    const certificate = selfSignedCertificate(algorithm);
    await using server = runtimeServer(certificate, "q2q");
    await runtimeClient(server.port, certificate, { alpn: "q2q", exchange: true });
  });
}
