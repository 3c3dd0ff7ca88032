/**
 * Our side of an interop pair, in both roles, speaking `exchange.ts`.
 *
 * @module
 */

import type { TlsSettings } from "../../protocols/quic/config.ts";
import { SigningKey } from "../../protocols/crypto/signature.ts";
import { x509Credential } from "../../protocols/tls/certificates.ts";
import type { CipherSuiteName } from "../../protocols/tls/cipher_suites.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import type { Session } from "../../transports/session.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { echoOver, exchangeOver, serveStream } from "./exchange.ts";

/** ALPN of every pair. */
export const ALPN = "q2q";

/** What a client of ours says: the one certificate it takes. */
export function pinningTls(
  certificate: TestCertificate,
  cipherSuites: readonly CipherSuiteName[] = DEFAULT_CIPHER_SUITES,
): TlsSettings {
  return {
    cipherSuites,
    applicationProtocols: [ALPN],
    serverName: "localhost",
    credentials: [],
    peer: { certificateTypes: ["X509"], certificateSha256: [certificate.sha256], ask: false },
    keyLog: false,
  };
}

/** What a server of ours says: the certificate it presents, to clients that stay anonymous. */
export function certificateTls(
  certificate: TestCertificate,
  cipherSuites: readonly CipherSuiteName[] = DEFAULT_CIPHER_SUITES,
): TlsSettings {
  const key = SigningKey.fromPkcs8(new Uint8Array(certificate.key.export({ type: "pkcs8", format: "der" })));
  return {
    cipherSuites,
    applicationProtocols: [ALPN],
    credentials: [x509Credential([certificate.der], key)],
    peer: { certificateTypes: [], ask: false },
    keyLog: false,
  };
}

/** Connects to `port`, echoes and, when asked, exchanges. */
export async function ourClient(port: number, tls: TlsSettings, options: { exchange: boolean }): Promise<void> {
  await using socket = new QuicSocket();
  const session = await socket.connect(port, tls);
  await echoOver(await session.openStream(), "echo of Traverse");
  if (options.exchange) await exchangeOver(await session.openStream());
}

/** Serves every stream of the next session until the peer closes it. */
export async function serveOne(socket: QuicSocket): Promise<Session> {
  const session = await socket.accept();
  const streams: Promise<void>[] = [];
  for await (const stream of session.incomingStreams) streams.push(serveStream(stream));
  await Promise.allSettled(streams);
  return session;
}
