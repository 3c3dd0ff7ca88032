/**
 * Keys that we update while 8 MiB go each way, every thousand packets or so, as the limit of an AEAD would have it (RFC 9001
 * §6.6), with the runtime's QUIC and aioquic following.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import type { Aead, AeadBackend, AeadName, HeaderProtection } from "../../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { TlsSettings } from "../../protocols/quic/config.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { AIOQUIC_PEER, aioquicClient, aioquicServer } from "./aioquic.ts";
import { exchangeOver } from "./exchange.ts";
import { ALPN, certificateTls, pinningTls, serveOne } from "./ours.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { runtimeClient, runtimeServer } from "./runtime_quic.ts";

/** Half of them, or a quarter more where the last update was a moment ago, and the keys are updated. */
const LIMIT_PACKETS = 2000;
const MIN_UPDATES = 3;

/** Of one connection without an update: two for Initial and Handshake each, two for 1-RTT and two for the phase after. */
const KEYS_OF_NO_UPDATE = 8;

/** A backend with a low limit, which counts the keys it makes: an update makes two. */
class LimitedBackend implements AeadBackend {
  readonly name = "limited";
  readonly limits = { confidentialityLimitPackets: LIMIT_PACKETS, integrityLimitPackets: 2 ** 36 };
  keys = 0;

  aead(name: AeadName, key: Uint8Array): Aead {
    this.keys++;
    return NODE_AEAD_BACKEND.aead(name, key);
  }

  headerProtection(name: AeadName, key: Uint8Array): HeaderProtection {
    return NODE_AEAD_BACKEND.headerProtection(name, key);
  }

  /** The connection is over: whether it has updated its keys often enough. */
  check(): void {
    ok(this.keys >= KEYS_OF_NO_UPDATE + 2 * MIN_UPDATES, `${this.keys} keys`);
  }
}

/** Exchanges 8 MiB each way with the server on `port`. */
async function exchangeUpdating(port: number, tls: TlsSettings): Promise<void> {
  const aead = new LimitedBackend();
  await using socket = new QuicSocket({ aead });
  const session = await socket.connect(port, tls);
  await exchangeOver(await session.openStream());
  aead.check();
}

/** Serves one client that exchanges 8 MiB each way. */
async function serveUpdating(certificate: TestCertificate, client: (port: number) => Promise<unknown>): Promise<void> {
  const aead = new LimitedBackend();
  const server = { tls: certificateTls(certificate), transport: DEFAULT_TRANSPORT_SETTINGS };
  await using socket = new QuicSocket({ aead, server });
  await Promise.all([serveOne(socket), client(socket.port)]);
  aead.check();
}

Deno.test("The runtime's server follows our client's key updates (RFC 9001 §6.2)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await exchangeUpdating(server.port, pinningTls(certificate));
});

Deno.test("The runtime's client follows our server's key updates (RFC 9001 §6.2)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await serveUpdating(certificate, (port) => runtimeClient(port, certificate, { alpn: ALPN, exchange: true }));
});

peerTest(AIOQUIC_PEER, "aioquic's server follows our client's key updates (RFC 9001 §6.2)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, ALPN);
  await using _process = server.process;
  await exchangeUpdating(server.port, pinningTls(certificate));
});

peerTest(AIOQUIC_PEER, "aioquic's client follows our server's key updates (RFC 9001 §6.2)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await serveUpdating(certificate, (port) => aioquicClient(port, files, ALPN));
});
