/**
 * The runtime's own QUIC (quinn inside Deno) as a peer, in both roles, speaking `exchange.ts`.
 *
 * @module
 */

import type { TestCertificate } from "../support/certificate.ts";
import { echoOver, exchangeOver, serveStream } from "./exchange.ts";

/** A server that serves every stream of every connection until it is closed. */
export interface RuntimeServer extends AsyncDisposable {
  readonly port: number;
}

/** Listens on a free port of 127.0.0.1. */
export function runtimeServer(certificate: TestCertificate, alpn: string): RuntimeServer {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({ cert: certificate.pem, key: certificate.keyPem, alpnProtocols: [alpn] });
  const served = serveConnections(listener);
  return {
    port: endpoint.addr.port,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.stop();
      endpoint.close();
      await served;
    },
  };
}

async function serveConnections(listener: Deno.QuicListener): Promise<void> {
  const connections: Promise<void>[] = [];
  try {
    for await (const incoming of listener) connections.push(serveConnection(incoming));
  } catch {
    // The listener was stopped.
  }
  await Promise.all(connections);
}

async function serveConnection(incoming: Deno.QuicIncoming): Promise<void> {
  const streams: Promise<void>[] = [];
  try {
    const connection = await incoming.accept();
    streams.push(returnDatagrams(connection));
    for await (const stream of connection.incomingBidirectionalStreams) streams.push(serveStream(stream));
  } catch {
    // The handshake failed or the connection ended: which of them is for the client's side of the test to assert.
  }
  await Promise.allSettled(streams);
}

async function returnDatagrams(connection: Deno.QuicConn): Promise<void> {
  for (;;) await connection.sendDatagram(await connection.readDatagram());
}

/** Connects to 127.0.0.1, pins the certificate, and runs the echo and, when asked, the exchange. */
export async function runtimeClient(
  port: number,
  certificate: TestCertificate,
  options: { alpn: string; exchange: boolean; afterEcho?: () => void },
): Promise<void> {
  const connection = await runtimeConnection(port, certificate, options.alpn);
  await echoOver(await connection.createBidirectionalStream(), "echo of the runtime");
  options.afterEcho?.();
  if (options.exchange) await exchangeOver(await connection.createBidirectionalStream());
  connection.close({ closeCode: 0, reason: "done" });
  await connection.closed;
}

/** Connects to 127.0.0.1 and pins the certificate. */
export async function runtimeConnection(
  port: number,
  certificate: TestCertificate,
  alpn: string,
): Promise<Deno.QuicConn> {
  const pinned = {
    hostname: "127.0.0.1",
    port,
    serverName: "localhost",
    alpnProtocols: [alpn],
    // Not in the runtime's types: it passes the option of WebTransport through.
    serverCertificateHashes: [{ algorithm: "sha-256", value: certificate.sha256 }],
  };
  return await Deno.connectQuic(pinned);
}
