import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { sha256 } from "../../../protocols/crypto/hash.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import { decodeMessage } from "../../../protocols/tls/messages.ts";
import type { CertificateRequest, HandshakeMessage } from "../../../protocols/tls/messages.ts";
import { chooseCredential } from "../../../protocols/tls/offer.ts";
import { SIGNATURE_SCHEME_CODES, SIGNATURE_SCHEMES } from "../../../protocols/tls/signature_schemes.ts";
import type { SignatureScheme } from "../../../protocols/tls/signature_schemes.ts";
import { KEY_KINDS } from "../../support/key_kinds.ts";
import type { KeyKindName } from "../../support/key_kinds.ts";
import { CLIENT_CONFIG, SERVER_CONFIG, TlsPair, type TlsSide } from "../../support/tls_pair.ts";
import { CERTIFICATES, clientWith, serverFor } from "./alerts/certificates.ts";

const SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] as const;

function handshakeMessages(side: TlsSide): HandshakeMessage[] {
  return side.sent.filter(({ level }) => level === "handshake").map(({ data }) => decodeMessage(data));
}

Deno.test("Client and server authenticate by X.509 with every kind of key and every suite (RFC 8446 §4.3.2, §4.4)", () => {
  for (const kind of KEY_KINDS) {
    const certificate = CERTIFICATES.get(kind)!;
    for (const suite of SUITES) {
      const client: TlsConfig = {
        ...clientWith(kind),
        cipherSuites: [suite],
        peer: { certificateTypes: ["X509"], certificateSha256: [certificate.sha256], ask: false },
      };
      const pair = new TlsPair(client, { ...serverFor(kind), credentials: client.credentials }).run();
      const label = `${kind}, ${suite}`;
      deepStrictEqual([pair.client.failure, pair.server.failure], [undefined, undefined], label);
      for (const side of [pair.client, pair.server]) {
        deepStrictEqual(side.complete?.peer?.certificates.map((der) => sha256(der)), [sha256(certificate.der)], label);
      }
      deepStrictEqual(handshakeMessages(pair.client).map(({ type }) => type), [
        "certificate",
        "certificate_verify",
        "finished",
      ]);
    }
  }
});

Deno.test("CertificateRequest names every scheme there is a row for, and has no context (RFC 8446 §4.3.2)", () => {
  const pair = new TlsPair(clientWith("P-256"), serverFor("P-256")).run();
  const request = handshakeMessages(pair.server).find(({ type }) => type === "certificate_request");
  deepStrictEqual(request, {
    type: "certificate_request",
    context: new Uint8Array(0),
    extensions: [
      { type: "signature_algorithms", schemes: SIGNATURE_SCHEMES.map((scheme) => SIGNATURE_SCHEME_CODES[scheme]) },
    ],
  });
});

Deno.test("A client that is asked for what it has not declines in silence, and is refused by name (RFC 8446 §4.4.2.4)", () => {
  for (const credentials of [[], clientWith("P-256").credentials.map((one) => ({ ...one, signatureSchemes: [] }))]) {
    const pair = new TlsPair({ ...CLIENT_CONFIG, credentials }, serverFor("P-256")).run();
    deepStrictEqual([pair.client.failure, pair.server.failure], [undefined, "certificate_required"]);
    // RFC 8446 §4.4.3: no CertificateVerify where there is no certificate.
    deepStrictEqual(handshakeMessages(pair.client).map(({ type }) => type), ["certificate", "finished"]);
    const [certificate] = handshakeMessages(pair.client);
    deepStrictEqual(certificate, { type: "certificate", context: new Uint8Array(0), entries: [] });
  }
  // A server of somebody else, which takes RSA of PKCS #1 only.
  const request: CertificateRequest = {
    type: "certificate_request",
    context: new Uint8Array(0),
    extensions: [{ type: "signature_algorithms", schemes: [0x0401] }],
  };
  strictEqual(chooseCredential(clientWith(...KEY_KINDS).credentials, "X509", request), undefined);
});

Deno.test("A client presents its first certificate whose key the server can verify (RFC 8446 §4.4.2.3)", () => {
  const orders: readonly (readonly [readonly KeyKindName[], SignatureScheme])[] = [
    [["RSA", "P-256"], "rsa_pss_rsae_sha256"],
    [["P-384", "Ed25519"], "ecdsa_secp384r1_sha384"],
    [["Ed25519"], "ed25519"],
  ];
  for (const [kinds, scheme] of orders) {
    const pair = new TlsPair(clientWith(...kinds), serverFor(...kinds)).run();
    strictEqual(pair.server.failure, undefined);
    const proof = handshakeMessages(pair.client).find((message) => message.type === "certificate_verify");
    strictEqual(proof?.scheme, SIGNATURE_SCHEME_CODES[scheme]);
  }
});

Deno.test("A server that asks somebody about its client waits with the chain as it was sent (RFC 8446 §4.4.2)", () => {
  const server: TlsConfig = { ...SERVER_CONFIG, peer: { certificateTypes: ["X509"], ask: true } };
  for (const accepted of [true, false]) {
    const pair = new TlsPair(clientWith("P-384"), server).run();
    const asked = pair.server.events.find((event) => event.type === "verifyPeer");
    deepStrictEqual(asked?.peer.certificates, [CERTIFICATES.get("P-384")!.der]);
    strictEqual(pair.server.secret("application", "read"), undefined);
    pair.server.run((handshake) =>
      handshake.provideVerdict(accepted ? { accepted } : { accepted, alert: "unknown_ca" })
    );
    deepStrictEqual([pair.server.failure, pair.server.complete !== undefined], [
      accepted ? undefined : "unknown_ca",
      accepted,
    ]);
  }
});
