import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { sha256 } from "../../../protocols/crypto/hash.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import { decodeMessage } from "../../../protocols/tls/messages.ts";
import type { CertificateRequest, HandshakeMessage } from "../../../protocols/tls/messages.ts";
import { chooseCredential } from "../../../protocols/tls/offer.ts";
import { SIGNATURE_SCHEME_CODES, SIGNATURE_SCHEMES } from "../../../protocols/tls/signature_schemes.ts";
import type { SignatureScheme } from "../../../protocols/tls/signature_schemes.ts";
import { certificateOf, credentialOf, KEY_KINDS } from "../../support/key_kinds.ts";
import type { KeyKindName } from "../../support/key_kinds.ts";
import { CLIENT_CONFIG, CLIENT_KEY, SERVER_CONFIG, TlsPair, type TlsSide } from "../../support/tls_pair.ts";
import { refusals, rewrite, without } from "../../support/tls_refusals.ts";

const CERTIFICATES = new Map(KEY_KINDS.map((kind) => [kind, certificateOf(kind)]));
const SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] as const;

/** A client with a certificate for each kind. */
function clientWith(...kinds: readonly KeyKindName[]): TlsConfig {
  return { ...CLIENT_CONFIG, credentials: kinds.map((kind) => credentialOf(CERTIFICATES.get(kind)!)) };
}

/** A server that takes those certificates of clients, and no others. */
function serverFor(...kinds: readonly KeyKindName[]): TlsConfig {
  const certificateSha256 = kinds.map((kind) => CERTIFICATES.get(kind)!.sha256);
  return { ...SERVER_CONFIG, peer: { certificateTypes: ["X509"], certificateSha256, ask: false } };
}

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

const ED25519_CLIENT: TlsConfig = clientWith("Ed25519");
const ED25519_SERVER: TlsConfig = serverFor("Ed25519");

refusals("TlsHandshake refuses requests and answers that may not be (RFC 8446 §4.3.2, §4.4)", [
  {
    what: "CertificateRequest with a context",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate_request", (message) => ({ ...message, context: new Uint8Array(1) })),
    expect: "client illegal_parameter",
  },
  {
    what: "CertificateRequest without signature_algorithms",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate_request", (message) => ({ ...message, extensions: [] })),
    expect: "client missing_extension",
  },
  {
    what: "CertificateRequest with an extension of another message",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate_request", (message): CertificateRequest => ({
      ...message,
      extensions: [...message.extensions, { type: "supported_groups", groups: [0x1d] }],
    })),
    expect: "client illegal_parameter",
  },
  {
    what: "CertificateRequest after Certificate",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: (() => {
      let request: Uint8Array | undefined;
      return (from, one) => {
        const message = decodeMessage(one.data);
        if (message.type === "certificate_request") {
          request = one.data;
          return [];
        }
        return message.type === "certificate" && from === "server" && request !== undefined
          ? [one, { level: one.level, data: request }]
          : [one];
      };
    })(),
    expect: "client unexpected_message",
  },
  {
    what: "CertificateRequest twice",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: (_from, one) => decodeMessage(one.data).type === "certificate_request" ? [one, one] : [one],
    expect: "client unexpected_message",
  },
  {
    what: "a client's Certificate without CertificateVerify",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: (from, one) => from === "client" && decodeMessage(one.data).type === "certificate_verify" ? [] : [one],
    expect: "server unexpected_message",
  },
  {
    what: "a client that goes on to Finished unasked for its certificate",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: (from, one) => from === "client" && decodeMessage(one.data).type.startsWith("certificate") ? [] : [one],
    expect: "server unexpected_message",
  },
  {
    what: "a client's Certificate that nobody asked for",
    client: ED25519_CLIENT,
    server: { ...ED25519_SERVER, peer: { certificateTypes: [], ask: false } },
    change: (from, one) =>
      from === "client" && decodeMessage(one.data).type === "finished"
        ? [{ level: one.level, data: Uint8Array.of(11, 0, 0, 4, 0, 0, 0, 0) }]
        : [one],
    expect: "server unexpected_message",
  },
  {
    what: "a client's Certificate with a context",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate", (message) => ({ ...message, context: new Uint8Array(3) }), "client"),
    expect: "server illegal_parameter",
  },
  {
    what: "a client's Certificate with an extension that was not asked for",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate", (message) => ({
      ...message,
      entries: message.entries.map((entry) => ({
        ...entry,
        extensions: [{ type: "other" as const, code: 5, data: new Uint8Array(0) }],
      })),
    }), "client"),
    expect: "server unsupported_extension",
  },
  {
    what: "a client's CertificateVerify of a scheme for another key",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0403 }), "client"),
    expect: "server illegal_parameter",
  },
  {
    what: "a client's CertificateVerify by PKCS #1, which is for certificates only",
    client: clientWith("RSA"),
    server: serverFor("RSA"),
    change: rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0401 }), "client"),
    expect: "server illegal_parameter",
  },
  {
    what: "a signature that is cut off",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate_verify", (message) => ({
      ...message,
      signature: message.signature.subarray(1),
    }), "client"),
    expect: "server decrypt_error",
  },
  {
    what: "a raw public key where a certificate was agreed on",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite("certificate", (message) => ({
      ...message,
      entries: [{ data: CLIENT_KEY.publicKey.toSpki(), extensions: [] }],
    }), "client"),
    expect: "server certificate_unknown",
  },
  {
    what: "a ClientHello without signature_algorithms",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: rewrite(
      "client_hello",
      (message) => ({ ...message, extensions: without("signature_algorithms")(message) }),
    ),
    expect: "server missing_extension",
  },
]);
