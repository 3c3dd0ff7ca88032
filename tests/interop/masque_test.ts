/**
 * Our relay as the proxy of a CONNECT-UDP client nobody here wrote (RFC 9298): extended CONNECT (RFC 9220), HTTP Datagrams and
 * the fields of the capsule protocol (RFC 9297).
 *
 * @module
 */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { DenoHost } from "../../io/deno_host.ts";
import { serve, type Service } from "../../service/serve.ts";
import { acceptWebSocket } from "../../signaling/websocket.ts";
import { selfSignedCertificate, type TestCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { echoOver } from "./exchange.ts";
import { MASQUE_GO_PEER, masqueClient } from "./masque.ts";
import { certificateTls, pinningTls, serveOne } from "./ours.ts";
import { overIpv6, peerTest, pemFiles } from "./peers.ts";

/** `serve --relay` on loopback, where everybody may use it. */
function startRelay(certificate: TestCertificate, relay = "127.0.0.1:0"): Promise<Service> {
  const host = new DenoHost();
  const tls = { cert: certificate.pem, key: certificate.keyPem };
  return serve({
    host,
    epochMs: host.epochMs,
    acceptUpgrade: acceptWebSocket,
    listen: "127.0.0.1:0",
    stun: [],
    relay,
    tls,
  });
}

for (const host of ["127.0.0.1", "::1"]) {
  const peer = host === "::1" ? overIpv6(MASQUE_GO_PEER) : MASQUE_GO_PEER;
  peerTest(peer, `masque-go sends UDP through our relay and hears the answers, ${host} (RFC 9298 §5)`, async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const bracketed = host === "::1" ? "[::1]" : host;
    await using service = await startRelay(certificate, `${bracketed}:0`);
    const target = Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 });
    const port = target.addr.transport === "udp" ? target.addr.port : 0;
    await using client = masqueClient(files, {
      proxy: String(service.relay?.addresses[0]),
      target: `${bracketed}:${port}`,
    });
    const ready = await client.next("ready", "refused");
    deepStrictEqual({ ...ready, port: 0 }, {
      type: "ready",
      status: 200,
      capsuleProtocol: "?1",
      proxyStatus: "",
      port: 0,
    });
    const user = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    let relayed: Deno.Addr | undefined;
    for (const bytes of [1, 1000, 1200, 0]) {
      const sent = new Uint8Array(bytes).fill(bytes & 0xff);
      await user.send(sent, { transport: "udp", hostname: "127.0.0.1", port: Number(ready["port"]) });
      const [arrived, from] = await target.receive();
      deepStrictEqual(arrived, sent);
      relayed = from;
      await target.send(arrived, from);
      deepStrictEqual((await user.receive())[0], sent);
    }
    // RFC 9298 §6.1: what does not fit into a datagram of the outer path is lost, and nothing else is.
    if (relayed !== undefined) {
      await target.send(new Uint8Array(1400), relayed);
      await target.send(new Uint8Array(10), relayed);
    }
    strictEqual((await user.receive())[0].length, 10);
    match(service.metrics(), /^traverse_relay_dropped_too_large_total 1$/m);
    // RFC 9298 §3.1: from whom it has not asked for it hears nothing.
    const stranger = Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 });
    if (relayed !== undefined) {
      await stranger.send(new Uint8Array(20), relayed);
      await target.send(new Uint8Array(30), relayed);
    }
    strictEqual((await user.receive())[0].length, 30);
    match(service.metrics(), /^traverse_relay_dropped_no_context_total 1$/m);
    stranger.close();
    target.close();
    user.close();
    match(service.metrics(), /^traverse_relay_ports 1$/m);
  });
}

peerTest(
  MASQUE_GO_PEER,
  "Our client reaches our server with QUIC through masque-go and our relay (RFC 9298 §6.2)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    await using service = await startRelay(certificate);
    await using target = QuicSocket.server(certificateTls(certificate));
    const served = serveOne(target);
    await using client = masqueClient(files, {
      proxy: String(service.relay?.addresses[0]),
      target: `127.0.0.1:${target.port}`,
    });
    const ready = await client.next("ready", "refused");
    {
      await using socket = new QuicSocket();
      const session = await socket.connect(Number(ready["port"]), pinningTls(certificate));
      await echoOver(await session.openStream(), "through a tunnel ".repeat(10_000));
    }
    await served;
    strictEqual(service.metrics().includes('reason="unknown context"'), false);
  },
);

peerTest(MASQUE_GO_PEER, "masque-go is told why our relay opens no tunnel (RFC 9298 §3.1, RFC 9209)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  await using service = await startRelay(certificate);
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ["target.example:443", 502, /error=dns_error/],
    ["224.0.0.251:5353", 502, /error=destination_ip_prohibited/],
    ["127.0.0.1:0", 400, /error=http_request_error/],
  ];
  for (const [target, status, reason] of cases) {
    await using client = masqueClient(files, { proxy: String(service.relay?.addresses[0]), target });
    const refused = await client.next("refused", "ready");
    strictEqual(refused["status"], status, target);
    match(String(refused["proxyStatus"]), reason);
  }
});
