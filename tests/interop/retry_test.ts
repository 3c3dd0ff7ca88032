/**
 * Clients of others at our server, which asks them by Retry to come again (RFC 9000 §8.1.2), and gives them a token for the
 * next time (§8.1.3).
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { AIOQUIC_PEER, aioquicClient } from "./aioquic.ts";
import { NOQ_PEER, noqClient } from "./noq.ts";
import { ALPN, certificateTls, serveOne } from "./ours.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { QUIC_GO_PEER, quicGoClient } from "./quicgo.ts";
import { runtimeClient } from "./runtime_quic.ts";

/** Whoever comes is asked to come again. */
async function asked(run: (port: number, certificate: TestCertificate) => Promise<unknown>): Promise<void> {
  const certificate = selfSignedCertificate("P-256");
  await using socket = new QuicSocket({
    server: {
      tls: certificateTls(certificate),
      transport: DEFAULT_TRANSPORT_SETTINGS,
      addressValidation: { retry: "always", newTokens: true },
    },
  });
  await Promise.all([run(socket.port, certificate), serveOne(socket)]);
  // A ClientHello in two datagrams is asked twice; the first answer counts.
  ok([1, 2].includes(socket.drops.get("Retry sent") ?? 0));
}

peerTest({ name: "the runtime's QUIC", missing: undefined }, "The runtime's client follows our Retry", async () => {
  await asked((port, certificate) => runtimeClient(port, certificate, { alpn: ALPN, exchange: false }));
});

peerTest(AIOQUIC_PEER, "aioquic's client follows our Retry", async () => {
  await asked(async (port, certificate) => {
    using files = pemFiles(certificate);
    await aioquicClient(port, files, ALPN);
  });
});

peerTest(NOQ_PEER, "noq's client follows our Retry", async () => {
  await asked(async (port, certificate) => {
    using files = pemFiles(certificate);
    await using client = noqClient(port, files, ALPN);
    await client.next("done");
  });
});

peerTest(QUIC_GO_PEER, "quic-go's client follows our Retry", async () => {
  await asked(async (port, certificate) => {
    using files = pemFiles(certificate);
    await quicGoClient(port, files, ALPN);
  });
});
