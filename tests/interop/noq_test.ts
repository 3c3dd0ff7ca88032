/**
 * Our QUIC against noq, in both roles, and what only it has: address discovery (draft-ietf-quic-address-discovery-00).
 *
 * @module
 */

import { deepStrictEqual, match, ok, rejects } from "node:assert/strict";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import type { CipherSuiteName } from "../../protocols/tls/cipher_suites.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import type { Session } from "../../transports/session.ts";
import { echoOver, exchangeOver, serveStream } from "./exchange.ts";
import { Forwarder } from "./forwarder.ts";
import { NOQ_PEER, noqClient, type NoqClientOptions, noqServer } from "./noq.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { overIpv6, peerTest, pemFiles } from "./peers.ts";

const SUITES: readonly CipherSuiteName[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];

const OBSERVING = { ...DEFAULT_TRANSPORT_SETTINGS, addressDiscovery: "reports and wants" } as const;

peerTest(NOQ_PEER, "noq tells our client where it comes from, and again when a NAT moves it", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN, { observe: true });
  await using server = process;
  await using path = new Forwarder(port);
  await using socket = new QuicSocket();
  const session = await socket.connect(path.insidePort, pinningTls(certificate), OBSERVING);
  const before = path.outsidePort;
  await socket.observedPort(before);
  // And ours tells it, by the same negotiation: to a server it is the address that we dialled.
  deepStrictEqual(await server.next("observed"), { type: "observed", address: `127.0.0.1:${path.insidePort}` });
  await echoOver(await session.openStream(), "before");
  path.rebind();
  await echoOver(await session.openStream(), "after");
  await socket.observedPort(path.outsidePort);
  deepStrictEqual(socket.observed.map(String), [`127.0.0.1:${before}`, `127.0.0.1:${path.outsidePort}`]);
});

peerTest(NOQ_PEER, "noq is told by our server where it comes from, and again when a NAT moves it", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate), OBSERVING);
  await using path = new Forwarder(socket.port);
  const before = path.outsidePort;
  await using client = noqClient(path.insidePort, files, ALPN, { observe: true, exchange: true });
  const served = serveOne(socket);
  await socket.observedPort(path.insidePort);
  deepStrictEqual(await client.next("observed"), { type: "observed", address: `127.0.0.1:${before}` });
  path.rebind();
  deepStrictEqual(await client.next("observed"), { type: "observed", address: `127.0.0.1:${path.outsidePort}` });
  deepStrictEqual(await client.next("done"), { type: "done", echo: "ok", exchange: "ok" });
  await served;
  // To the client ours has been in one place all the time.
  deepStrictEqual(new Set(socket.observed.map(String)), new Set([`127.0.0.1:${path.insidePort}`]));
});

peerTest(NOQ_PEER, "noq tells our client where it has moved to", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN, { observe: true });
  await using _process = process;
  await using socket = new QuicSocket();
  const session = await socket.connect(port, pinningTls(certificate), OBSERVING);
  await echoOver(await session.openStream(), "before");
  await socket.observedPort(socket.port);
  const moved = await socket.migrate(session);
  await echoOver(await session.openStream(), "after");
  await socket.observedPort(moved);
});

peerTest(NOQ_PEER, "Our server tells noq where it has moved to", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate), OBSERVING);
  await using client = noqClient(socket.port, files, ALPN, { observe: true, rebind: true });
  const served = serveOne(socket);
  const first = await client.next("observed");
  const second = await client.next("observed");
  match(String(second["address"]), /^127\.0\.0\.1:\d+$/);
  ok(second["address"] !== first["address"]);
  deepStrictEqual(await client.next("done"), { type: "done", echo: "ok", rebind: "ok" });
  await served;
});

peerTest(NOQ_PEER, "noq gets no report from our server if it wants none", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate), OBSERVING);
  await using client = noqClient(socket.port, files, ALPN);
  const [done] = await Promise.all([client.next("done", "observed"), serveOne(socket)]);
  deepStrictEqual(done, { type: "done", echo: "ok" });
  deepStrictEqual(socket.observed, []);
});

for (const suite of SUITES) {
  peerTest(NOQ_PEER, `Our client exchanges 8 MiB each way with noq, ${suite}`, async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const { process, port } = await noqServer(files, ALPN, { suite });
    await using _process = process;
    await ourClient(port, pinningTls(certificate), { exchange: true });
  });

  peerTest(NOQ_PEER, `Our server exchanges 8 MiB each way with noq, ${suite}`, async () => {
    const done = await served({ suite, exchange: true });
    deepStrictEqual(done, { type: "done", echo: "ok", exchange: "ok" });
  });
}

peerTest(NOQ_PEER, "Our server follows a key update of noq (RFC 9001 §6)", async () => {
  const done = await served({ keyUpdate: true, exchange: true });
  deepStrictEqual(done, { type: "done", echo: "ok", keyUpdate: "ok", exchange: "ok" });
});

peerTest(NOQ_PEER, "Our server echoes on 1000 streams of noq, a hundred open at once (RFC 9000 §4.6)", async () => {
  deepStrictEqual(await served({ streams: 1000 }), { type: "done", echo: "ok", streams: "ok" });
});

peerTest(NOQ_PEER, "noq echoes on 1000 streams of ours, a hundred open at once (RFC 9000 §4.6)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN);
  await using _process = process;
  await using socket = new QuicSocket();
  const session = await socket.connect(port, pinningTls(certificate));
  await Promise.all(
    Array.from({ length: 1000 }, async (_, at) => echoOver(await session.openStream(), `stream ${at}`)),
  );
});

peerTest(NOQ_PEER, "Our server returns datagrams of noq (RFC 9221)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate));
  await using client = noqClient(socket.port, files, ALPN, { datagrams: 50 });
  const session = await socket.accept();
  const returned = returnDatagrams(session);
  for await (const stream of session.incomingStreams) void serveStream(stream);
  deepStrictEqual(await client.next("done"), { type: "done", echo: "ok", datagrams: "ok" });
  await returned;
});

peerTest(NOQ_PEER, "noq returns our datagrams (RFC 9221)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN);
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

peerTest(NOQ_PEER, "Our client comes back with the token of noq's Retry (RFC 9000 §8.1.2)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN, { retry: true });
  await using _process = process;
  await ourClient(port, pinningTls(certificate), { exchange: false });
});

peerTest(NOQ_PEER, "Our client learns from a stateless reset that noq was restarted (RFC 9000 §10.3)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const first = await noqServer(files, ALPN, { resetKey: "the same" });
  await using socket = new QuicSocket();
  const session = await socket.connect(first.port, pinningTls(certificate));
  await echoOver(await session.openStream(), "before");
  // No CONNECTION_CLOSE: it is killed.
  await first.process[Symbol.asyncDispose]();
  await using _second = (await noqServer(files, ALPN, { resetKey: "the same", port: first.port })).process;
  const stream = await session.openStream();
  await stream.writable.getWriter().write(new Uint8Array(100)).catch(() => {});
  const closed = await session.closed;
  deepStrictEqual([closed.by, closed.reason], ["transport", "The peer has lost the connection"]);
});

peerTest(NOQ_PEER, "noq learns from a stateless reset that our server was restarted (RFC 9000 §10.3.2)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const config = {
    resetKey: new Uint8Array(32).fill(0x5a),
    server: { tls: certificateTls(certificate), transport: DEFAULT_TRANSPORT_SETTINGS },
  };
  await using first = new QuicSocket(config);
  await using second = new QuicSocket(config);
  await using path = new Forwarder(first.port);
  await using client = noqClient(path.insidePort, files, ALPN, { awaitReset: true });
  const session = await first.accept();
  for await (const stream of session.incomingStreams) {
    await serveStream(stream);
    break;
  }
  await client.next("echoed");
  path.redirect(second.port);
  deepStrictEqual(await client.next("done"), { type: "done", echo: "ok", reset: "ok" });
});

peerTest(NOQ_PEER, "Our client gives up at noq's word that it speaks version 2 alone (RFC 9000 §6.2)", async () => {
  const certificate = selfSignedCertificate("Ed25519");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN, { "version-2": true });
  await using _process = process;
  await using socket = new QuicSocket();
  await rejects(socket.connect(port, pinningTls(certificate)), /version/i);
});

peerTest(
  NOQ_PEER,
  "Our server follows noq to another port in the middle of 8 MiB each way (RFC 9000 §9.3)",
  async () => {
    deepStrictEqual(await served({ rebind: true }), { type: "done", echo: "ok", rebind: "ok" });
  },
);

peerTest(
  NOQ_PEER,
  "noq follows our client to other ports in the middle of 8 MiB each way (RFC 9000 §9.2)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const { process, port } = await noqServer(files, ALPN);
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

peerTest(overIpv6(NOQ_PEER), "Our client exchanges 8 MiB each way with noq over IPv6, and moves", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN, { ip: "::1" });
  await using _process = process;
  await using socket = new QuicSocket({}, "::1");
  const session = await socket.connect(port, pinningTls(certificate));
  await echoOver(await session.openStream(), "before");
  const exchanged = exchangeOver(await session.openStream());
  await socket.migrate(session);
  await exchanged;
});

peerTest(
  overIpv6(NOQ_PEER),
  "Our server exchanges 8 MiB each way with noq over IPv6, and tells its address",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    await using socket = QuicSocket.server(certificateTls(certificate), OBSERVING, "::1");
    await using client = noqClient(socket.port, files, ALPN, { ip: "::1", exchange: true, observe: true });
    const served = serveOne(socket);
    match(String((await client.next("observed"))["address"]), /^\[::1\]:\d+$/);
    deepStrictEqual(await client.next("done"), { type: "done", echo: "ok", exchange: "ok" });
    await served;
  },
);

peerTest(NOQ_PEER, "Our client exchanges 8 MiB each way with noq over a path that loses and reorders", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const { process, port } = await noqServer(files, ALPN);
  await using _process = process;
  await using path = new Forwarder(port, { loss: 0.01, reordering: 0.01, seed: 5 });
  await ourClient(path.insidePort, pinningTls(certificate), { exchange: true });
});

peerTest(NOQ_PEER, "Our server exchanges 8 MiB each way with noq over a path that loses and reorders", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate));
  await using path = new Forwarder(socket.port, { loss: 0.01, reordering: 0.01, seed: 6 });
  await using client = noqClient(path.insidePort, files, ALPN, { exchange: true });
  const [done] = await Promise.all([client.next("done"), serveOne(socket)]);
  deepStrictEqual(done, { type: "done", echo: "ok", exchange: "ok" });
});

/** What noq's client says that has talked to a server of ours. */
async function served(options: NoqClientOptions): Promise<Readonly<Record<string, unknown>>> {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using socket = QuicSocket.server(certificateTls(certificate));
  await using client = noqClient(socket.port, files, ALPN, options);
  const [done] = await Promise.all([client.next("done"), serveOne(socket)]);
  return done;
}

async function returnDatagrams(session: Session): Promise<void> {
  const writer = session.datagrams.writable.getWriter();
  try {
    for await (const datagram of session.datagrams.readable) await writer.write(datagram);
  } catch {
    // The session is over: what came back is for the peer to say.
  }
}
