/**
 * Our QUIC against the runtime's own, in both roles.
 *
 * @module
 */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { echoOver, exchangeOver } from "./exchange.ts";
import { Forwarder } from "./forwarder.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { runtimeClient, runtimeConnection, runtimeServer } from "./runtime_quic.ts";

Deno.test("The runtime's QUIC exchanges 8 MiB each way with itself, certificate pinned", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await runtimeClient(server.port, certificate, { alpn: ALPN, exchange: true });
});

for (const algorithm of ["Ed25519", "P-256"] as const) {
  Deno.test(`Our client exchanges 8 MiB each way with the runtime's server, ${algorithm}`, async () => {
    const certificate = selfSignedCertificate(algorithm);
    await using server = runtimeServer(certificate, ALPN);
    await ourClient(server.port, pinningTls(certificate), { exchange: true });
  });

  Deno.test(`Our server exchanges 8 MiB each way with the runtime's client, ${algorithm}`, async () => {
    const certificate = selfSignedCertificate(algorithm);
    await using socket = QuicSocket.server(certificateTls(certificate));
    await Promise.all([
      serveOne(socket),
      runtimeClient(socket.port, certificate, { alpn: ALPN, exchange: true }),
    ]);
  });
}

for (const suite of DEFAULT_CIPHER_SUITES) {
  Deno.test(`Our client and the runtime's server echo with ${suite}`, async () => {
    const certificate = selfSignedCertificate("Ed25519");
    await using server = runtimeServer(certificate, ALPN);
    await ourClient(server.port, pinningTls(certificate, [suite]), { exchange: false });
  });

  Deno.test(`Our server and the runtime's client echo with ${suite}`, async () => {
    const certificate = selfSignedCertificate("Ed25519");
    await using socket = QuicSocket.server(certificateTls(certificate, [suite]));
    await Promise.all([
      serveOne(socket),
      runtimeClient(socket.port, certificate, { alpn: ALPN, exchange: false }),
    ]);
  });
}

Deno.test("Our client exchanges 8 MiB each way with the runtime over a path that loses and reorders", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await using path = new Forwarder(server.port, { loss: 0.01, reordering: 0.01, seed: 2 });
  await ourClient(path.insidePort, pinningTls(certificate), { exchange: true });
});

Deno.test("Our server exchanges 8 MiB each way with the runtime over a path that loses and reorders", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using socket = QuicSocket.server(certificateTls(certificate));
  await using path = new Forwarder(socket.port, { loss: 0.01, reordering: 0.01, seed: 3 });
  await Promise.all([
    serveOne(socket),
    runtimeClient(path.insidePort, certificate, { alpn: ALPN, exchange: true }),
  ]);
});

Deno.test("The runtime's server follows our client through a NAT that rebinds (RFC 9000 §9.3)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await using path = new Forwarder(server.port);
  await using socket = new QuicSocket();
  const session = await socket.connect(path.insidePort, pinningTls(certificate));
  await echoOver(await session.openStream(), "before");
  path.rebind();
  await echoOver(await session.openStream(), "after");
  await exchangeOver(await session.openStream());
});

Deno.test("Our server follows the runtime's client through a NAT that rebinds (RFC 9000 §9.3)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using socket = QuicSocket.server(certificateTls(certificate));
  await using path = new Forwarder(socket.port);
  const served = serveOne(socket);
  await runtimeClient(path.insidePort, certificate, { alpn: ALPN, exchange: true, afterEcho: () => path.rebind() });
  const session = await served;
  strictEqual(session.path.remote.port, path.outsidePort);
});

Deno.test("Datagrams go both ways with the runtime's server (RFC 9221)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await using socket = new QuicSocket();
  const session = await socket.connect(server.port, pinningTls(certificate));
  await session.datagrams.writable.getWriter().write(new TextEncoder().encode("a datagram"));
  const { value } = await session.datagrams.readable.getReader().read();
  strictEqual(new TextDecoder().decode(value), "a datagram");
});

Deno.test("The runtime's client sees with which code and reason our server closes (RFC 9000 §19.19)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using socket = QuicSocket.server(certificateTls(certificate));
  const accepted = socket.accept();
  const connection = await runtimeConnection(socket.port, certificate, ALPN);
  (await accepted).close(4711, "enough");
  deepStrictEqual({ ...await connection.closed }, { closeCode: 4711, reason: "enough" });
});

Deno.test("Our server sees with which code and reason the runtime's client closes (RFC 9000 §19.19)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using socket = QuicSocket.server(certificateTls(certificate));
  const accepted = socket.accept();
  const connection = await runtimeConnection(socket.port, certificate, ALPN);
  const session = await accepted;
  connection.close({ closeCode: 4712, reason: "enough" });
  deepStrictEqual(await session.closed, { by: "peer", code: 4712, reason: "enough" });
  await connection.closed;
});

Deno.test("Unidirectional streams of the runtime's client reach our server (RFC 9000 §2.1)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using socket = QuicSocket.server(certificateTls(certificate));
  const accepted = socket.accept();
  const connection = await runtimeConnection(socket.port, certificate, ALPN);
  const session = await accepted;
  const writer = (await connection.createUnidirectionalStream()).getWriter();
  await writer.write(new TextEncoder().encode("one way"));
  await writer.close();
  const { value } = await session.incomingUnidirectionalStreams.getReader().read();
  strictEqual(await new Response(value ?? null).text(), "one way");
  connection.close({ closeCode: 0, reason: "" });
  await connection.closed;
});

Deno.test("Our client refuses the runtime's server when its certificate is not the pinned one", async () => {
  await using server = runtimeServer(selfSignedCertificate("Ed25519"), ALPN);
  const tls = pinningTls(selfSignedCertificate("Ed25519"));
  await rejects(
    ourClient(server.port, tls, { exchange: false }),
    /The peer presents another certificate than the pinned one/,
  );
});

Deno.test("Our client and the runtime's server part over protocols they do not share (RFC 7301 §3.2)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, "other");
  // 0x178: CRYPTO_ERROR with the alert no_application_protocol, RFC 9001 §4.8.
  await rejects(ourClient(server.port, pinningTls(certificate), { exchange: false }), /"by":"peer","code":376/);
});
