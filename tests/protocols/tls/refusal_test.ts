import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { SigningKey } from "../../../protocols/crypto/signature.ts";
import { x509Credential } from "../../../protocols/tls/certificates.ts";
import type { Credential } from "../../../protocols/tls/certificates.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import { decodeMessage } from "../../../protocols/tls/messages.ts";
import type { HandshakeMessage } from "../../../protocols/tls/messages.ts";
import { decodePem } from "../../../protocols/tls/pem.ts";
import { selfSignedCertificate } from "../../support/certificate.ts";
import { outcome, rewrite } from "../../support/tls_refusals.ts";
import { CLIENT_CONFIG, SERVER_CONFIG, TlsPair, TlsSide } from "../../support/tls_pair.ts";

function x509(algorithm: "Ed25519" | "P-256"): { credential: Credential; sha256: Uint8Array } {
  const { der, keyPem, sha256 } = selfSignedCertificate(algorithm);
  const key = SigningKey.fromPkcs8(decodePem(keyPem, "PRIVATE KEY")[0]!);
  return { credential: x509Credential([der], key), sha256 };
}

Deno.test("TlsHandshake refuses certificates that are not the pinned one, or not X.509, or not asked for", () => {
  const ours = x509("P-256");
  const other = x509("P-256");
  const noClient = { certificateTypes: [], ask: false };
  const client: TlsConfig = {
    ...CLIENT_CONFIG,
    peer: { certificateTypes: ["X509"], certificateSha256: [ours.sha256], ask: false },
  };
  const serve = (credential: Credential): TlsConfig => ({
    ...SERVER_CONFIG,
    credentials: [credential],
    peer: noClient,
  });
  strictEqual(outcome(client, serve(other.credential)), "client certificate_unknown");
  const forged = { ...ours.credential, sign: other.credential.sign! };
  strictEqual(outcome(client, serve(forged)), "client decrypt_error");
  const garbage = { ...ours.credential, certificates: [new Uint8Array(100).fill(0x30)] };
  const asking: TlsConfig = { ...client, peer: { certificateTypes: ["X509"], ask: true } };
  strictEqual(outcome(asking, serve(garbage)), "client bad_certificate");
  const tooMany = { ...ours.credential, certificates: new Array(17).fill(ours.credential.certificates[0]) };
  strictEqual(outcome(asking, serve(tooMany)), "client bad_certificate");
  // A client that wants raw keys, and a server that has none.
  strictEqual(outcome(CLIENT_CONFIG, serve(ours.credential)), "server unsupported_certificate");
  strictEqual(outcome(client, SERVER_CONFIG), "server unsupported_certificate");
  // An Ed25519 certificate with our own key in it is our own key all the same.
  const edCertificate = x509("Ed25519");
  const pair = new TlsPair(
    { ...CLIENT_CONFIG, peer: { certificateTypes: ["X509"], certificateSha256: [edCertificate.sha256], ask: false } },
    serve(edCertificate.credential),
  ).run();
  const own = pair.client.complete!.peer!.ed25519PublicKey!;
  const refusing: TlsConfig = {
    ...CLIENT_CONFIG,
    peer: {
      certificateTypes: ["X509"],
      certificateSha256: [edCertificate.sha256],
      refusePublicKey: own,
      ask: false,
    },
  };
  strictEqual(outcome(refusing, serve(edCertificate.credential)), "client certificate_unknown");
});

Deno.test("TlsHandshake refuses data at another level, or behind a change of keys (RFC 9001 §4.1.3, RFC 8446 §5.1)", () => {
  for (const level of ["early", "handshake", "application"] as const) {
    const server = new TlsSide(SERVER_CONFIG, 1);
    server.run((handshake) => handshake.handleCrypto(level, new Uint8Array(1)));
    strictEqual(server.failure, "PROTOCOL_VIOLATION", level);
  }
  for (const last of ["client_hello", "server_hello"] as const) {
    const append = rewrite(last, (message) => message);
    const pair = new TlsPair().run((from, one) => {
      const [changed] = append(from, one);
      return decodeMessage(one.data).type === last
        ? [{ level: one.level, data: Uint8Array.from([...changed!.data, 0]) }]
        : [one];
    });
    strictEqual(pair.client.failure ?? pair.server.failure, "PROTOCOL_VIOLATION", last);
  }
  const finished = new TlsPair().run((from, one) =>
    decodeMessage(one.data).type === "finished" && from === "server"
      ? [{ level: one.level, data: Uint8Array.from([...one.data, 8]) }]
      : [one]
  );
  strictEqual(finished.client.failure, "PROTOCOL_VIOLATION");
});

Deno.test("TlsHandshake refuses messages out of order and unknown ones (RFC 8446 §4)", () => {
  const types: readonly HandshakeMessage["type"][] = [
    "client_hello",
    "server_hello",
    "encrypted_extensions",
    "certificate_request",
    "certificate",
    "certificate_verify",
  ];
  for (const dropped of types) {
    for (const from of ["client", "server"] as const) {
      const pair = new TlsPair().run((sender, one) =>
        sender === from && decodeMessage(one.data).type === dropped ? [] : [one]
      );
      const receiver = from === "client" ? pair.server : pair.client;
      const wasSent = pair[from].sent.some(({ data }) => decodeMessage(data).type === dropped);
      // Behind a lost ClientHello nothing comes at all; a lost CertificateRequest shows in the signature.
      const expected = !wasSent || dropped === "client_hello"
        ? undefined
        : dropped === "certificate_request"
        ? "decrypt_error"
        : dropped === "server_hello"
        ? "PROTOCOL_VIOLATION" // What follows is at a level that has no keys yet.
        : "unexpected_message";
      strictEqual(receiver.failure, expected, `${from} ${dropped}`);
    }
  }
});

Deno.test("TlsHandshake refuses messages that say they are too long, at once", () => {
  const server = new TlsSide(SERVER_CONFIG, 1);
  server.run((handshake) => handshake.handleCrypto("initial", Uint8Array.of(1, 0, 0x40, 0)));
  strictEqual(server.alert, undefined);
  const strict = new TlsSide(SERVER_CONFIG, 1);
  strict.run((handshake) => handshake.handleCrypto("initial", Uint8Array.of(1, 0, 0x40, 1)));
  strictEqual(strict.alert?.alert, "decode_error");
  const client = new TlsSide(CLIENT_CONFIG, 1);
  client.run((handshake) => handshake.start());
  client.run((handshake) => handshake.handleCrypto("initial", Uint8Array.of(2, 1, 0, 1)));
  strictEqual(client.alert?.alert, "decode_error");
});

Deno.test("TlsHandshake takes nothing more once it has failed", () => {
  const pair = new TlsPair({ ...CLIENT_CONFIG, applicationProtocols: ["h3"] }).run();
  strictEqual(pair.server.alert?.alert, "no_application_protocol");
  const good = new TlsPair().client.run((handshake) => handshake.start());
  deepStrictEqual(pair.server.run((handshake) => handshake.handleCrypto("initial", good[0]!.data)), []);
  strictEqual(pair.server.complete, undefined);
});
