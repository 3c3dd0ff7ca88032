/**
 * Our QUIC against quic-go, in both roles.
 *
 * @module
 */

import { deepStrictEqual, rejects } from "node:assert/strict";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { CipherSuiteName } from "../../protocols/tls/cipher_suites.ts";
import type { Session } from "../../transports/session.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { echoOver, exchangeOver, serveStream } from "./exchange.ts";
import { Forwarder } from "./forwarder.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { overIpv6, peerTest, pemFiles } from "./peers.ts";
import { QUIC_GO_PEER, quicGoClient, type QuicGoClientOptions, quicGoServer, startQuicGoClient } from "./quicgo.ts";

const SUITES: readonly CipherSuiteName[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];
const DONE = { type: "done", version: "v1", echo: "ok" };

/** What quic-go's client says that has talked to a server of ours. */
async function served(
  options: QuicGoClientOptions,
  suites: readonly CipherSuiteName[] = SUITES,
): Promise<Readonly<Record<string, unknown>>> {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate, suites), undefined, options.ip);
  const [done] = await Promise.all([quicGoClient(socket.port, files, ALPN, options), serveOne(socket)]);
  return done;
}

// It rotates its keys after some hundred packets, and so do we follow it here: RFC 9001 §6.
for (const suite of SUITES) {
  peerTest(QUIC_GO_PEER, `Our client exchanges 8 MiB each way with quic-go, ${suite}`, async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const { process, port } = await quicGoServer(files, ALPN);
    await using _process = process;
    await ourClient(port, pinningTls(certificate, [suite]), { exchange: true });
  });

  peerTest(QUIC_GO_PEER, `Our server exchanges 8 MiB each way with quic-go, ${suite}`, async () => {
    deepStrictEqual(await served({ exchange: true }, [suite]), { ...DONE, exchange: "ok" });
  });
}

peerTest(QUIC_GO_PEER, "Our client comes back with the token of quic-go's Retry (RFC 9000 §8.1.2)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  const { process, port } = await quicGoServer(files, ALPN, { retry: true });
  await using _process = process;
  await ourClient(port, pinningTls(certificate), { exchange: false });
});

peerTest(
  QUIC_GO_PEER,
  "Our server tells quic-go, which begins with version 2, to speak version 1 (RFC 9000 §6)",
  async () => {
    deepStrictEqual(await served({ "version-2": true }), DONE);
  },
);

peerTest(
  QUIC_GO_PEER,
  "Our client gives up at quic-go's word that it speaks version 2 alone (RFC 9000 §6.2)",
  async () => {
    const certificate = selfSignedCertificate("Ed25519");
    using files = pemFiles(certificate);
    const { process, port } = await quicGoServer(files, ALPN, { "version-2": true });
    await using _process = process;
    await using socket = new QuicSocket();
    await rejects(socket.connect(port, pinningTls(certificate)), /version/i);
  },
);

peerTest(
  QUIC_GO_PEER,
  "Our client learns from a stateless reset that quic-go was restarted (RFC 9000 §10.3)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const resetKey = "5a".repeat(32);
    const first = await quicGoServer(files, ALPN, { resetKey });
    await using socket = new QuicSocket();
    const session = await socket.connect(first.port, pinningTls(certificate));
    await echoOver(await session.openStream(), "before");
    // No CONNECTION_CLOSE: it is killed.
    await first.process[Symbol.asyncDispose]();
    await using _second = (await quicGoServer(files, ALPN, { resetKey, port: first.port })).process;
    const stream = await session.openStream();
    await stream.writable.getWriter().write(new Uint8Array(100)).catch(() => {});
    const closed = await session.closed;
    deepStrictEqual([closed.by, closed.reason], ["transport", "The peer has lost the connection"]);
  },
);

peerTest(
  QUIC_GO_PEER,
  "quic-go learns from a stateless reset that our server was restarted (RFC 9000 §10.3.2)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const config = {
      resetKey: new Uint8Array(32).fill(0x5a),
      server: { tls: certificateTls(certificate), transport: DEFAULT_TRANSPORT_SETTINGS },
    };
    await using first = new QuicSocket(config);
    await using second = new QuicSocket(config);
    await using path = new Forwarder(first.port);
    await using client = startQuicGoClient(path.insidePort, files, ALPN, { awaitReset: true });
    const session = await first.accept();
    for await (const stream of session.incomingStreams) {
      await serveStream(stream);
      break;
    }
    await client.next("echoed");
    path.redirect(second.port);
    deepStrictEqual(await client.next("done"), { ...DONE, reset: "ok" });
  },
);

peerTest(QUIC_GO_PEER, "Our server echoes on 1000 streams of quic-go (RFC 9000 §4.6)", async () => {
  deepStrictEqual(await served({ streams: 1000 }), { ...DONE, streams: "ok" });
});

peerTest(QUIC_GO_PEER, "quic-go echoes on 1000 streams of ours (RFC 9000 §4.6)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await quicGoServer(files, ALPN);
  await using _process = process;
  await using socket = new QuicSocket();
  const session = await socket.connect(port, pinningTls(certificate));
  await Promise.all(
    Array.from({ length: 1000 }, async (_, at) => echoOver(await session.openStream(), `stream ${at}`)),
  );
});

peerTest(QUIC_GO_PEER, "Our server returns datagrams of quic-go (RFC 9221)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate));
  const done = quicGoClient(socket.port, files, ALPN, { datagrams: 50 });
  const session = await socket.accept();
  const returned = returnDatagrams(session);
  for await (const stream of session.incomingStreams) void serveStream(stream);
  deepStrictEqual(await done, { ...DONE, datagrams: "ok" });
  await returned;
});

peerTest(QUIC_GO_PEER, "quic-go returns our datagrams (RFC 9221)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await quicGoServer(files, ALPN);
  await using _process = process;
  await using socket = new QuicSocket();
  const session = await socket.connect(port, pinningTls(certificate));
  const writer = session.datagrams.writable.getWriter();
  const reader = session.datagrams.readable.getReader();
  for (let number = 0; number < 50; number++) {
    const datagram = new Uint8Array(1000).fill(number);
    await writer.write(datagram);
    deepStrictEqual((await reader.read()).value, datagram);
  }
});

peerTest(
  QUIC_GO_PEER,
  "Our server follows quic-go that moves in the middle of 8 MiB each way (RFC 9000 §9.3)",
  async () => {
    deepStrictEqual(await served({ migrate: true }), { ...DONE, migrate: "ok" });
  },
);

peerTest(
  QUIC_GO_PEER,
  "quic-go follows our client that moves in the middle of 8 MiB each way (RFC 9000 §9.2)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const { process, port } = await quicGoServer(files, ALPN);
    await using _process = process;
    await using socket = new QuicSocket();
    const session = await socket.connect(port, pinningTls(certificate));
    await echoOver(await session.openStream(), "before");
    const exchanged = exchangeOver(await session.openStream());
    await socket.migrate(session);
    await socket.migrate(session);
    await exchanged;
    await echoOver(await session.openStream(), "after");
  },
);

peerTest(QUIC_GO_PEER, "quic-go follows our client through a NAT that rebinds (RFC 9000 §9.3)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await quicGoServer(files, ALPN);
  await using _process = process;
  await using path = new Forwarder(port);
  await using socket = new QuicSocket();
  const session = await socket.connect(path.insidePort, pinningTls(certificate));
  await echoOver(await session.openStream(), "before");
  path.rebind();
  await echoOver(await session.openStream(), "after");
  await exchangeOver(await session.openStream());
});

peerTest(overIpv6(QUIC_GO_PEER), "Our server exchanges 8 MiB each way with quic-go over IPv6", async () => {
  deepStrictEqual(await served({ ip: "::1", exchange: true }), { ...DONE, exchange: "ok" });
});

peerTest(
  QUIC_GO_PEER,
  "Our client exchanges 8 MiB each way with quic-go over a path that loses and reorders",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const { process, port } = await quicGoServer(files, ALPN);
    await using _process = process;
    await using path = new Forwarder(port, { loss: 0.01, reordering: 0.01, seed: 5 });
    await ourClient(path.insidePort, pinningTls(certificate), { exchange: true });
  },
);

peerTest(
  QUIC_GO_PEER,
  "Our server exchanges 8 MiB each way with quic-go over a path that loses and reorders",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    await using socket = QuicSocket.server(certificateTls(certificate));
    await using path = new Forwarder(socket.port, { loss: 0.01, reordering: 0.01, seed: 6 });
    const [done] = await Promise.all([
      quicGoClient(path.insidePort, files, ALPN, { exchange: true }),
      serveOne(socket),
    ]);
    deepStrictEqual(done, { ...DONE, exchange: "ok" });
  },
);

async function returnDatagrams(session: Session): Promise<void> {
  const writer = session.datagrams.writable.getWriter();
  try {
    for await (const datagram of session.datagrams.readable) await writer.write(datagram);
  } catch {
    // The session is over: what came back is for the peer to say.
  }
}
