/**
 * Certificates of every kind of key at either end, and client certificates, against ngtcp2 (GnuTLS), aioquic and the
 * runtime's QUIC. ngtcp2's server asks for one and does not care whose; the runtime's knows no client certificates.
 *
 * @module
 */

import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import type { TlsSettings } from "../../protocols/quic/config.ts";
import type { Session } from "../../transports/session.ts";
import type { TestCertificate } from "../support/certificate.ts";
import { certificateOf, credentialOf, KEY_KINDS } from "../support/key_kinds.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { AIOQUIC_PEER } from "./aioquic.ts";
import { http3ClientTls, http3ServerTls, Http3Socket } from "./http3_socket.ts";
import { NGTCP2_CLIENT, NGTCP2_SERVER, ngtcp2Client, ngtcp2Server } from "./ngtcp2.ts";
import { ALPN, certificateTls, ourClient, pinningTls, serveOne } from "./ours.ts";
import { AIOQUIC, PEER_SECONDS, PeerProcess, peerTest, pemFiles, program, pythonPackages } from "./peers.ts";
import { runtimeClient, runtimeServer } from "./runtime_quic.ts";

const SCRIPT = new URL("./peers/aioquic_client_certificate_peer.py", import.meta.url).pathname;

function aioquic(role: "client" | "server", args: readonly string[]): PeerProcess {
  const common = ["--packages", pythonPackages(AIOQUIC) ?? "", "--seconds", String(PEER_SECONDS), "--alpn", ALPN];
  return new PeerProcess(program("python3") ?? "python3", [SCRIPT, role, ...common, ...args]);
}

/** A server that asks for this one certificate. */
function asking<T extends TlsSettings>(tls: T, client: TestCertificate): TlsSettings {
  return { ...tls, peer: { certificateTypes: ["X509"], certificateSha256: [client.sha256], ask: false } };
}

/** A client that presents this one. */
function presenting<T extends TlsSettings>(tls: T, client: TestCertificate): TlsSettings {
  return { ...tls, credentials: [credentialOf(client)] };
}

/** A folder with one file in it; removed when disposed of. */
function servedFolder(): { readonly path: string } & Disposable {
  const path = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${path}/file`, "content");
  return { path, [Symbol.dispose]: (): void => Deno.removeSync(path, { recursive: true }) };
}

async function fetchFile(port: number, tls: TlsSettings): Promise<void> {
  await using socket = new Http3Socket();
  const peer = await socket.connect(port, tls);
  const head = { method: "GET", scheme: "https", authority: "localhost", path: "/file", fields: [] };
  deepStrictEqual((await peer.fetch(head)).content, new TextEncoder().encode("content"));
}

for (const kind of KEY_KINDS) {
  Deno.test(`Our client and the runtime's server, ${kind} certificate`, async () => {
    const certificate = certificateOf(kind);
    await using server = runtimeServer(certificate, ALPN);
    await ourClient(server.port, pinningTls(certificate), { exchange: false });
  });

  Deno.test(`Our server and the runtime's client, ${kind} certificate`, async () => {
    const certificate = certificateOf(kind);
    await using socket = QuicSocket.server(certificateTls(certificate));
    await Promise.all([
      serveOne(socket),
      runtimeClient(socket.port, certificate, { alpn: ALPN, exchange: false }),
    ]);
  });

  peerTest(NGTCP2_SERVER, `Our client shows ngtcp2's server its ${kind} certificate (RFC 8446 §4.3.2)`, async () => {
    const certificate = certificateOf(kind);
    using files = pemFiles(certificate);
    using folder = servedFolder();
    await using server = await ngtcp2Server(files, folder.path, ["--verify-client"]);
    await fetchFile(server.port, presenting(http3ClientTls(certificate), certificate));
  });

  peerTest(NGTCP2_CLIENT, `Our server asks ngtcp2's client for its ${kind} certificate (RFC 8446 §4.3.2)`, async () => {
    const certificate = certificateOf(kind);
    using files = pemFiles(certificate);
    using folder = servedFolder();
    await using socket = Http3Socket.server(asking(http3ServerTls(certificate), certificate));
    await ngtcp2Client(socket.port, ["/bytes/1000"], folder.path, [`--cert=${files.cert}`, `--key=${files.key}`]);
  });

  peerTest(AIOQUIC_PEER, `Our client shows aioquic's server its ${kind} certificate (RFC 8446 §4.3.2)`, async () => {
    const certificate = certificateOf(kind);
    using files = pemFiles(certificate);
    await using server = aioquic("server", ["--cert", files.cert, "--key", files.key, "--ask"]);
    const port = Number((await server.next("ready"))["port"]);
    await ourClient(port, presenting(pinningTls(certificate), certificate), { exchange: false });
  });

  peerTest(AIOQUIC_PEER, `Our server asks aioquic's client for its ${kind} certificate (RFC 8446 §4.3.2)`, async () => {
    const certificate = certificateOf(kind);
    using files = pemFiles(certificate);
    await using socket = QuicSocket.server(asking(certificateTls(certificate), certificate));
    const args = ["--port", String(socket.port), "--cert", files.cert];
    await using client = aioquic("client", [...args, "--client-cert", files.cert, "--client-key", files.key]);
    const [session, done]: [Session, Readonly<Record<string, unknown>>] = await Promise.all([
      serveOne(socket),
      client.next("done"),
    ]);
    strictEqual(done["echo"], "ok");
    await session.closed;
  });
}

peerTest(
  NGTCP2_SERVER,
  "Our client has nothing to show ngtcp2's server, and is refused by name (RFC 8446 §4.4.2.4)",
  async () => {
    const certificate = certificateOf("P-256");
    using files = pemFiles(certificate);
    using folder = servedFolder();
    await using server = await ngtcp2Server(files, folder.path, ["--verify-client"]);
    // CRYPTO_ERROR with the alert certificate_required: 0x174.
    await rejects(fetchFile(server.port, http3ClientTls(certificate)), /"by":"peer","code":372/);
  },
);

peerTest(NGTCP2_CLIENT, "Our server refuses ngtcp2's client without a certificate (RFC 8446 §4.4.2.4)", async () => {
  const certificate = certificateOf("P-256");
  using folder = servedFolder();
  await using socket = Http3Socket.server(asking(http3ServerTls(certificate), certificate));
  const log = await ngtcp2Client(socket.port, ["/bytes/1000"], folder.path);
  match(log, /0x174/);
});
