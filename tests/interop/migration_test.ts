/**
 * Moving to another path: ours as the client that moves, with servers nobody here wrote, and as the server of a client that
 * moves.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { selfSignedCertificate } from "../support/certificate.ts";
import { sameBytes } from "../support/same_bytes.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { AIOQUIC_PEER, aioquicServer } from "./aioquic.ts";
import { echoOver, exchangeOver } from "./exchange.ts";
import { Forwarder } from "./forwarder.ts";
import { countingBytes } from "./http3_peer.ts";
import { http3ServerTls, Http3Socket } from "./http3_socket.ts";
import { NGTCP2_CLIENT, ngtcp2Client } from "./ngtcp2.ts";
import { ALPN, pinningTls } from "./ours.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { runtimeServer } from "./runtime_quic.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** Echoes, moves in the middle of an exchange, twice, and echoes again. */
async function moveAround(port: number, certificate: TestCertificate): Promise<void> {
  await using socket = new QuicSocket();
  const session = await socket.connect(port, pinningTls(certificate));
  await echoOver(await session.openStream(), "before");
  const exchanged = exchangeOver(await session.openStream());
  const first = await socket.migrate(session);
  const second = await socket.migrate(session);
  strictEqual(new Set([socket.port, first, second]).size, 3);
  await exchanged;
  await echoOver(await session.openStream(), "after");
}

Deno.test("The runtime's server follows our client to other ports in the middle of 8 MiB each way (RFC 9000 §9.2)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  await using server = runtimeServer(certificate, ALPN);
  await moveAround(server.port, certificate);
});

peerTest(
  AIOQUIC_PEER,
  "aioquic's server follows our client to other ports in the middle of 8 MiB each way (RFC 9000 §9.2)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const server = await aioquicServer(files, ALPN);
    await using _process = server.process;
    await moveAround(server.port, certificate);
  },
);

peerTest(AIOQUIC_PEER, "aioquic's server follows our client through a NAT that rebinds (RFC 9000 §9.3)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicServer(files, ALPN);
  await using _process = server.process;
  await using path = new Forwarder(server.port);
  await using socket = new QuicSocket();
  const session = await socket.connect(path.insidePort, pinningTls(certificate));
  await echoOver(await session.openStream(), "before");
  path.rebind();
  await echoOver(await session.openStream(), "after");
  await exchangeOver(await session.openStream());
});

peerTest(
  NGTCP2_CLIENT,
  "Our server follows ngtcp2's client that moves while it downloads (RFC 9000 §9.3)",
  async () => {
    await using socket = Http3Socket.server(http3ServerTls(selfSignedCertificate("P-256")));
    using folder = temporaryFolder();
    const log = await ngtcp2Client(socket.port, ["/bytes/20000000"], folder.path, ["--change-local-addr=20ms"]);
    ok(/Local address is now/.test(log));
    sameBytes(Deno.readFileSync(`${folder.path}/20000000`), countingBytes(20_000_000));
  },
);

// It uploads: whoever only listens cannot be found again behind a NAT that has forgotten it.
peerTest(
  NGTCP2_CLIENT,
  "Our server follows ngtcp2's client that a NAT moves while it uploads (RFC 9000 §9.3)",
  async () => {
    await using socket = Http3Socket.server(http3ServerTls(selfSignedCertificate("P-256")));
    using folder = temporaryFolder();
    const content = countingBytes(10_000_000);
    Deno.writeFileSync(`${folder.path}/upload`, content);
    const options = [
      `--data=${folder.path}/upload`,
      "--http-method=POST",
      "--change-local-addr=20ms",
      "--nat-rebinding",
    ];
    const log = await ngtcp2Client(socket.port, ["/echo"], folder.path, options);
    ok(/Local address is now/.test(log));
    sameBytes(Deno.readFileSync(`${folder.path}/echo`), content);
  },
);
