import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Ed25519PrivateKey } from "../../../protocols/crypto/ed25519.ts";
import { SigningKey } from "../../../protocols/crypto/signature.ts";
import { rawPublicKeyCredential, x509Credential } from "../../../protocols/tls/certificates.ts";
import type { Credential } from "../../../protocols/tls/certificates.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import type { Extension } from "../../../protocols/tls/extensions.ts";
import { decodeMessage } from "../../../protocols/tls/messages.ts";
import type { HandshakeMessage } from "../../../protocols/tls/messages.ts";
import { decodePem } from "../../../protocols/tls/pem.ts";
import { selfSignedCertificate } from "../../support/certificate.ts";
import { type Change, outcome, refusals, rewrite, without } from "../../support/tls_refusals.ts";
import { CLIENT_CONFIG, CLIENT_KEY, SERVER_CONFIG, SERVER_KEY, TlsPair, TlsSide } from "../../support/tls_pair.ts";

const OTHER_KEY = Ed25519PrivateKey.fromSeed(new Uint8Array(32).fill(0x77));

function dropFromClientHello(type: Extension["type"]): Change {
  return rewrite("client_hello", (message) => ({ ...message, extensions: without(type)(message) }));
}

function dropFromEncryptedExtensions(type: Extension["type"]): Change {
  return rewrite("encrypted_extensions", (message) => ({ ...message, extensions: without(type)(message) }));
}

/** A credential that presents one key and signs with another. */
function imposter(shown: Ed25519PrivateKey, signing: Ed25519PrivateKey): Credential {
  return { ...rawPublicKeyCredential(shown), sign: (_scheme, input) => signing.sign(input) };
}

refusals("TlsHandshake refuses keys that are not proved or not expected (RFC 8446 §4.4.2.4, §4.4.3)", [
  {
    what: "another server key",
    server: { ...SERVER_CONFIG, credentials: [rawPublicKeyCredential(OTHER_KEY)] },
    expect: "client certificate_unknown",
  },
  {
    what: "another client key",
    client: { ...CLIENT_CONFIG, credentials: [rawPublicKeyCredential(OTHER_KEY)] },
    expect: "server certificate_unknown",
  },
  {
    what: "a server without the private key",
    server: { ...SERVER_CONFIG, credentials: [imposter(SERVER_KEY, OTHER_KEY)] },
    expect: "client decrypt_error",
  },
  {
    what: "a client without the private key",
    client: { ...CLIENT_CONFIG, credentials: [imposter(CLIENT_KEY, OTHER_KEY)] },
    expect: "server decrypt_error",
  },
  {
    what: "our own key at the server",
    server: { ...SERVER_CONFIG, peer: { ...SERVER_CONFIG.peer, refusePublicKey: CLIENT_KEY.publicKey.bytes } },
    expect: "server certificate_unknown",
  },
  {
    what: "our own key at the client",
    client: { ...CLIENT_CONFIG, peer: { ...CLIENT_CONFIG.peer, refusePublicKey: SERVER_KEY.publicKey.bytes } },
    expect: "client certificate_unknown",
  },
  {
    what: "a client that has a raw key and declines",
    client: { ...CLIENT_CONFIG, credentials: [{ ...rawPublicKeyCredential(CLIENT_KEY), signatureSchemes: [] }] },
    expect: "server certificate_required",
  },
  {
    what: "a client that has no key at all",
    client: { ...CLIENT_CONFIG, credentials: [] },
    expect: "server certificate_required",
  },
  {
    what: "a server's Certificate that is empty",
    change: rewrite("certificate", (message) => ({ ...message, entries: [] }), "server"),
    expect: "client decode_error",
  },
  {
    what: "two raw public keys",
    change: rewrite("certificate", (message) => ({ ...message, entries: [...message.entries, ...message.entries] })),
    expect: "client illegal_parameter",
  },
  {
    what: "a raw public key that is not Ed25519",
    server: {
      ...SERVER_CONFIG,
      credentials: [{ ...rawPublicKeyCredential(SERVER_KEY), certificates: [new Uint8Array(44)] }],
    },
    expect: "client unsupported_certificate",
  },
  {
    what: "a Certificate with a context",
    change: rewrite("certificate", (message) => ({ ...message, context: new Uint8Array(1) })),
    expect: "client illegal_parameter",
  },
  {
    what: "a Certificate with extensions",
    change: rewrite("certificate", (message) => ({
      ...message,
      entries: message.entries.map((entry) => ({
        ...entry,
        extensions: [{ type: "other" as const, code: 5, data: new Uint8Array(0) }],
      })),
    })),
    expect: "client unsupported_extension",
  },
  {
    what: "a scheme that was not offered",
    change: rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0403 })),
    expect: "client illegal_parameter",
  },
  {
    what: "a scheme that does not exist",
    change: rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0a0a })),
    expect: "client illegal_parameter",
  },
]);

refusals("TlsHandshake refuses a Finished that does not verify (RFC 8446 §4.4.4)", [
  {
    what: "the server's",
    change: rewrite("finished", ({ type }) => ({ type, verifyData: new Uint8Array(32) }), "server"),
    expect: "client decrypt_error",
  },
  {
    what: "the client's",
    change: rewrite("finished", ({ type }) => ({ type, verifyData: new Uint8Array(32) }), "client"),
    expect: "server decrypt_error",
  },
  {
    what: "one that is too short",
    change: rewrite("finished", ({ type, verifyData }) => ({ type, verifyData: verifyData.subarray(1) }), "client"),
    expect: "server decrypt_error",
  },
]);

refusals("TlsHandshake refuses hellos without what QUIC needs (RFC 9001 §4.2, §8.1, §8.2; RFC 8446 §9.2)", [
  {
    what: "no protocol in common",
    client: { ...CLIENT_CONFIG, applicationProtocols: ["h3"] },
    expect: "server no_application_protocol",
  },
  {
    what: "no ALPN at all",
    change: dropFromClientHello("application_layer_protocol_negotiation"),
    expect: "server no_application_protocol",
  },
  {
    what: "no ALPN in the answer",
    change: dropFromEncryptedExtensions("application_layer_protocol_negotiation"),
    expect: "client no_application_protocol",
  },
  {
    what: "a protocol that was not offered",
    change: rewrite("encrypted_extensions", (message) => ({
      ...message,
      extensions: [
        ...without("application_layer_protocol_negotiation")(message),
        { type: "application_layer_protocol_negotiation", protocols: ["h3"] },
      ],
    })),
    expect: "client no_application_protocol",
  },
  {
    what: "no transport parameters of the client's",
    change: dropFromClientHello("quic_transport_parameters"),
    expect: "server missing_extension",
  },
  {
    what: "no transport parameters of the server's",
    change: dropFromEncryptedExtensions("quic_transport_parameters"),
    expect: "client missing_extension",
  },
  { what: "no versions", change: dropFromClientHello("supported_versions"), expect: "server protocol_version" },
  { what: "no key share", change: dropFromClientHello("key_share"), expect: "server missing_extension" },
  { what: "no groups", change: dropFromClientHello("supported_groups"), expect: "server missing_extension" },
  { what: "no schemes", change: dropFromClientHello("signature_algorithms"), expect: "server missing_extension" },
  {
    what: "no suite in common",
    client: { ...CLIENT_CONFIG, cipherSuites: ["TLS_AES_128_GCM_SHA256"] },
    server: { ...SERVER_CONFIG, cipherSuites: ["TLS_CHACHA20_POLY1305_SHA256"] },
    expect: "server handshake_failure",
  },
  {
    what: "a session ID",
    change: rewrite("client_hello", (message) => ({ ...message, legacySessionId: new Uint8Array(32) })),
    expect: "server PROTOCOL_VIOLATION",
  },
  {
    what: "TLS 1.2 only",
    change: rewrite("client_hello", (message) => ({
      ...message,
      extensions: [...without("supported_versions")(message), { type: "supported_versions", versions: [0x0303] }],
    })),
    expect: "server protocol_version",
  },
]);

/** Replaces the key shares of a hello. */
function shares(type: "client_hello" | "server_hello", entries: readonly { group: number; key: Uint8Array }[]): Change {
  const extensions = (message: { extensions: readonly Extension[] }): Extension[] => [
    ...without("key_share")(message),
    { type: "key_share", entries },
  ];
  return type === "client_hello"
    ? rewrite(type, (message) => ({ ...message, extensions: extensions(message) }))
    : rewrite(type, (message) => ({ ...message, extensions: extensions(message) }));
}

const X25519 = 0x001d;
const SMALL_ORDER = new Uint8Array(32);

refusals("TlsHandshake refuses key shares that may not be used (RFC 8446 §4.2.8, §7.4.2)", [
  {
    what: "a client's share of small order",
    change: shares("client_hello", [{ group: X25519, key: SMALL_ORDER }]),
    expect: "server illegal_parameter",
  },
  {
    what: "a server's share of small order",
    change: shares("server_hello", [{ group: X25519, key: SMALL_ORDER }]),
    expect: "client illegal_parameter",
  },
  {
    what: "a share of the wrong length",
    change: shares("client_hello", [{ group: X25519, key: new Uint8Array(31).fill(9) }]),
    expect: "server illegal_parameter",
  },
  {
    what: "two shares of one group",
    change: shares("client_hello", [{ group: X25519, key: SMALL_ORDER }, { group: X25519, key: SMALL_ORDER }]),
    expect: "server illegal_parameter",
  },
  {
    what: "a share of a group that is not offered",
    change: shares("client_hello", [{ group: 0x0017, key: SMALL_ORDER }]),
    expect: "server illegal_parameter",
  },
  {
    what: "a server's share of another group",
    change: shares("server_hello", [{ group: 0x0017, key: new Uint8Array(65) }]),
    expect: "client illegal_parameter",
  },
]);

refusals("TlsHandshake refuses a ServerHello that answers something else (RFC 8446 §4.1.3, §4.2)", [
  {
    what: "a suite that was not offered",
    change: rewrite("server_hello", (message) => ({ ...message, cipherSuite: 0x1304 })),
    expect: "client illegal_parameter",
  },
  {
    what: "another version",
    change: rewrite("server_hello", (message) => ({
      ...message,
      extensions: [...without("supported_versions")(message), { type: "supported_versions", versions: [0x0303] }],
    })),
    expect: "client illegal_parameter",
  },
  {
    what: "TLS 1.2",
    change: rewrite("server_hello", (message) => ({ ...message, extensions: without("supported_versions")(message) })),
    expect: "client protocol_version",
  },
  {
    what: "no key share",
    change: rewrite("server_hello", (message) => ({ ...message, extensions: without("key_share")(message) })),
    expect: "client missing_extension",
  },
  {
    what: "a session ID",
    change: rewrite("server_hello", (message) => ({ ...message, legacySessionIdEcho: new Uint8Array(1) })),
    expect: "client illegal_parameter",
  },
  {
    what: "an extension that was not asked for",
    change: rewrite("encrypted_extensions", (message) => ({
      ...message,
      extensions: [...message.extensions, { type: "other", code: 0xfafa, data: new Uint8Array(0) }],
    })),
    expect: "client unsupported_extension",
  },
  {
    what: "a certificate type that was not offered",
    change: rewrite("encrypted_extensions", (message) => ({
      ...message,
      extensions: [
        ...without("server_certificate_type")(message),
        { type: "server_certificate_type", certificateTypes: [1] },
      ],
    })),
    expect: "client illegal_parameter",
  },
]);

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
