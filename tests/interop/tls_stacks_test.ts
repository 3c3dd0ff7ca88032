/**
 * Key exchange groups, HelloRetryRequest and client certificates with two more stacks of TLS: rustls in noq, and Go's
 * `crypto/tls` in quic-go.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import type { TlsSettings } from "../../protocols/quic/config.ts";
import type { NamedGroupName } from "../../protocols/tls/named_groups.ts";
import { selfSignedCertificate, type TestCertificate } from "../support/certificate.ts";
import { certificateOf, credentialOf, KEY_KINDS } from "../support/key_kinds.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { NOQ_PEER, noqClient, noqServer } from "./noq.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { type PeerProcess, peerTest, pemFiles } from "./peers.ts";
import { QUIC_GO_PEER, quicGoServer, startQuicGoClient } from "./quicgo.ts";

/** What both programs take. */
interface Stack {
  readonly name: string;
  readonly peer: typeof NOQ_PEER;
  readonly groups: readonly NamedGroupName[];
  server(
    files: Files,
    options: { group?: string; clientCert?: string },
  ): Promise<{ process: PeerProcess; port: number }>;
  client(port: number, files: Files, options: { group?: string; ownCert?: string; ownKey?: string }): PeerProcess;
}

interface Files {
  readonly cert: string;
  readonly key: string;
}

const STACKS: readonly Stack[] = [
  {
    name: "noq",
    peer: NOQ_PEER,
    groups: ["secp256r1", "secp384r1"],
    server: (files, options) => noqServer(files, ALPN, options),
    client: (port, files, options) => noqClient(port, files, ALPN, options),
  },
  {
    name: "quic-go",
    peer: QUIC_GO_PEER,
    groups: ["secp256r1", "secp384r1", "X25519MLKEM768"],
    server: (files, options) => quicGoServer(files, ALPN, options),
    client: (port, files, options) => startQuicGoClient(port, files, ALPN, options),
  },
];

/** What the stack's client says that has talked to a server of ours. */
async function served(
  stack: Stack,
  tls: (certificate: TestCertificate) => TlsSettings,
  options: Parameters<Stack["client"]>[2],
  certificate: TestCertificate = selfSignedCertificate("P-256"),
): Promise<unknown> {
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(tls(certificate));
  await using client = stack.client(socket.port, files, options);
  const [done] = await Promise.all([client.next("done"), serveOne(socket)]);
  return done["echo"];
}

for (const stack of STACKS) {
  const { name, peer } = stack;
  for (const group of stack.groups) {
    peerTest(peer, `${name}'s server asks our client for a share of ${group} (RFC 8446 §4.1.4)`, async () => {
      const certificate = selfSignedCertificate("P-256");
      using files = pemFiles(certificate);
      const { process, port } = await stack.server(files, { group });
      await using _process = process;
      await ourClient(port, pinningTls(certificate), { exchange: false });
    });

    peerTest(peer, `Our client, which has ${group} alone, and ${name}'s server agree`, async () => {
      const certificate = selfSignedCertificate("P-256");
      using files = pemFiles(certificate);
      const { process, port } = await stack.server(files, { group });
      await using _process = process;
      await ourClient(port, { ...pinningTls(certificate), groups: [group] }, { exchange: false });
    });

    // Where its first flight has no share of that group, this is a retry.
    peerTest(peer, `Our server, which has ${group} alone, and ${name}'s client agree`, async () => {
      const tls = (certificate: TestCertificate): TlsSettings => ({ ...certificateTls(certificate), groups: [group] });
      strictEqual(await served(stack, tls, { group }), "ok");
      strictEqual(await served(stack, tls, {}), "ok");
    });
  }

  for (const kind of KEY_KINDS) {
    peerTest(
      peer,
      `Our client and ${name}'s server take each other's certificate, ${kind} (RFC 8446 §4.3.2)`,
      async () => {
        const [certificate, own] = [certificateOf(kind), certificateOf(kind)];
        using files = pemFiles(certificate);
        using ownFiles = pemFiles(own);
        const { process, port } = await stack.server(files, { clientCert: ownFiles.cert });
        await using _process = process;
        await ourClient(port, { ...pinningTls(certificate), credentials: [credentialOf(own)] }, { exchange: false });
      },
    );

    peerTest(
      peer,
      `Our server and ${name}'s client take each other's certificate, ${kind} (RFC 8446 §4.3.2)`,
      async () => {
        const own = certificateOf(kind);
        using ownFiles = pemFiles(own);
        const tls = (certificate: TestCertificate): TlsSettings => ({
          ...certificateTls(certificate),
          peer: { certificateTypes: ["X509"], certificateSha256: [own.sha256], ask: false },
        });
        strictEqual(
          await served(stack, tls, { ownCert: ownFiles.cert, ownKey: ownFiles.key }, certificateOf(kind)),
          "ok",
        );
      },
    );
  }
}
