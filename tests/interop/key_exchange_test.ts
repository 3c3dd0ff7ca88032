/**
 * Key exchange groups against the runtime's QUIC and ngtcp2: each agreed on at once, and by way of HelloRetryRequest, which
 * shows in that an end which takes only one group reaches an end which has sent a share of another (RFC 8446 §4.1.4).
 *
 * aioquic sends a share of every group it has, and as a server never asks for one: with it there is no retry to test.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import type { NamedGroupName } from "../../protocols/tls/named_groups.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { sameBytes } from "../support/same_bytes.ts";
import { AIOQUIC_PEER, aioquicClient, aioquicServer } from "./aioquic.ts";
import { http3ClientTls, http3ServerTls, Http3Socket } from "./http3_socket.ts";
import { NGTCP2_CLIENT, NGTCP2_SERVER, ngtcp2Client, ngtcp2Server } from "./ngtcp2.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { runtimeClient, runtimeServer } from "./runtime_quic.ts";

const CURVES: readonly NamedGroupName[] = ["secp256r1", "secp384r1"];
/** First flights of two datagrams. */
const HYBRID_FIRST: readonly NamedGroupName[] = ["X25519MLKEM768", "x25519"];
/** As GnuTLS names them. */
const GNUTLS_NAMES: Readonly<Record<string, string>> = { secp256r1: "SECP256R1", secp384r1: "SECP384R1" };

for (const group of CURVES) {
  Deno.test(`Our server asks the runtime's client for a share of ${group} (RFC 8446 §4.1.4)`, async () => {
    const certificate = selfSignedCertificate("Ed25519");
    await using socket = QuicSocket.server({ ...certificateTls(certificate), groups: [group] });
    await Promise.all([
      serveOne(socket),
      runtimeClient(socket.port, certificate, { alpn: ALPN, exchange: true }),
    ]);
  });

  Deno.test(`Our client and the runtime's server agree on ${group}`, async () => {
    const certificate = selfSignedCertificate("Ed25519");
    await using server = runtimeServer(certificate, ALPN);
    await ourClient(server.port, { ...pinningTls(certificate), groups: [group] }, { exchange: true });
  });

  peerTest(NGTCP2_SERVER, `ngtcp2's server asks our client for a share of ${group} (RFC 8446 §4.1.4)`, async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const folder = Deno.makeTempDirSync();
    const content = randomFillSync(new Uint8Array(500_000));
    Deno.writeFileSync(`${folder}/file`, content);
    try {
      await using server = await ngtcp2Server(files, folder, [`--groups=-GROUP-ALL:+GROUP-${GNUTLS_NAMES[group]}`]);
      await using socket = new Http3Socket();
      const peer = await socket.connect(server.port, http3ClientTls(certificate));
      const head = { method: "GET", scheme: "https", authority: "localhost", path: "/file", fields: [] };
      sameBytes((await peer.fetch(head)).content, content);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  peerTest(NGTCP2_CLIENT, `Our server and ngtcp2's client agree on ${group}`, async () => {
    const certificate = selfSignedCertificate("P-256");
    const folder = Deno.makeTempDirSync();
    try {
      await using socket = Http3Socket.server({ ...http3ServerTls(certificate), groups: [group] });
      await ngtcp2Client(socket.port, ["/bytes/100000"], folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

Deno.test("The runtime's server asks our client, which sends no share, for one (RFC 8446 §4.2.8)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await ourClient(server.port, { ...pinningTls(certificate), keyShares: [] }, { exchange: true });
});

for (const keyShares of [["X25519MLKEM768"], HYBRID_FIRST] as const) {
  Deno.test(`Our client, which sends ${keyShares.join(" and ")}, and the runtime's server agree`, async () => {
    const certificate = selfSignedCertificate("Ed25519");
    await using server = runtimeServer(certificate, ALPN);
    const tls = { ...pinningTls(certificate), groups: keyShares, keyShares };
    await ourClient(server.port, tls, { exchange: true });
  });
}

Deno.test("Our server asks the runtime's client for a share of X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem-00)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using socket = QuicSocket.server({ ...certificateTls(certificate), groups: ["X25519MLKEM768"] });
  await Promise.all([
    serveOne(socket),
    runtimeClient(socket.port, certificate, { alpn: ALPN, exchange: true }),
  ]);
});

peerTest(AIOQUIC_PEER, "Our client, which sends X25519MLKEM768 first, falls back to x25519 with aioquic", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, ALPN);
  await using _process = server.process;
  await ourClient(server.port, { ...pinningTls(certificate), keyShares: HYBRID_FIRST }, { exchange: true });
});

peerTest(NGTCP2_SERVER, "Our client, which sends X25519MLKEM768 first, falls back to x25519 with ngtcp2", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const folder = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${folder}/file`, "content");
  try {
    await using server = await ngtcp2Server(files, folder);
    await using socket = new Http3Socket();
    const peer = await socket.connect(server.port, { ...http3ClientTls(certificate), keyShares: HYBRID_FIRST });
    const head = { method: "GET", scheme: "https", authority: "localhost", path: "/file", fields: [] };
    deepStrictEqual((await peer.fetch(head)).content, new TextEncoder().encode("content"));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

peerTest(NGTCP2_CLIENT, "Our server asks ngtcp2's client for a share of secp384r1 (RFC 8446 §4.1.4)", async () => {
  const certificate = selfSignedCertificate("P-256");
  const folder = Deno.makeTempDirSync();
  try {
    await using socket = Http3Socket.server({ ...http3ServerTls(certificate), groups: ["secp384r1"] });
    const groups = "--groups=-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1";
    await ngtcp2Client(socket.port, ["/bytes/100000"], folder, [groups]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

peerTest(AIOQUIC_PEER, "Our client and aioquic's server agree on secp256r1", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, ALPN);
  await using _process = server.process;
  await ourClient(server.port, { ...pinningTls(certificate), groups: ["secp256r1"] }, { exchange: true });
});

peerTest(AIOQUIC_PEER, "Our server and aioquic's client agree on secp256r1", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server({ ...certificateTls(certificate), groups: ["secp256r1"] });
  await Promise.all([serveOne(socket), aioquicClient(socket.port, files, ALPN)]);
});
