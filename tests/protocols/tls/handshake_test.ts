import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { toHex } from "../../../protocols/core/bytes.ts";
import { rawPublicKeyCredential, x509Credential } from "../../../protocols/tls/certificates.ts";
import type { Credential } from "../../../protocols/tls/certificates.ts";
import type { CipherSuiteName } from "../../../protocols/tls/cipher_suites.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import { TlsHandshake } from "../../../protocols/tls/handshake.ts";
import { decodePem } from "../../../protocols/tls/pem.ts";
import { SigningKey } from "../../../protocols/crypto/signature.ts";
import { selfSignedCertificate } from "../../support/certificate.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { CLIENT_CONFIG, CLIENT_KEY, SERVER_CONFIG, SERVER_KEY, TlsPair, TlsSide } from "../../support/tls_pair.ts";

const SUITES: readonly CipherSuiteName[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];

interface TestCredential {
  readonly credential: Credential;
  readonly sha256: Uint8Array;
}

function x509(algorithm: "Ed25519" | "P-256"): TestCredential {
  const { der, keyPem, sha256 } = selfSignedCertificate(algorithm);
  const key = SigningKey.fromPkcs8(decodePem(keyPem, "PRIVATE KEY")[0]!);
  return { credential: x509Credential([der], key), sha256 };
}

/** Every way to authenticate, as a pair of configs. */
function modes(): { name: string; client: TlsConfig; server: TlsConfig; types: readonly string[] }[] {
  const noClient = { certificateTypes: [], ask: false };
  const ed25519 = x509("Ed25519");
  const p256 = x509("P-256");
  const list = [
    {
      name: "raw keys both ways",
      client: CLIENT_CONFIG,
      server: SERVER_CONFIG,
      types: ["RawPublicKey", "RawPublicKey"],
    },
    {
      name: "raw key of the server only",
      client: { ...CLIENT_CONFIG, credentials: [] },
      server: { ...SERVER_CONFIG, peer: noClient },
      types: ["RawPublicKey", "none"],
    },
  ];
  for (const [name, { credential, sha256 }] of [["Ed25519", ed25519], ["P-256", p256]] as const) {
    const peer = { certificateTypes: ["X509"], certificateSha256: [sha256], ask: false } as const;
    list.push({
      name: `pinned ${name} certificate of the server only`,
      client: { ...CLIENT_CONFIG, credentials: [], peer },
      server: { ...SERVER_CONFIG, credentials: [credential], peer: noClient },
      types: ["X509", "none"],
    });
    list.push({
      name: `pinned ${name} certificate of the server, raw key of the client`,
      client: { ...CLIENT_CONFIG, peer },
      server: { ...SERVER_CONFIG, credentials: [credential] },
      types: ["X509", "RawPublicKey"],
    });
    list.push({
      name: `raw key of the server, pinned ${name} certificate of the client`,
      client: { ...CLIENT_CONFIG, credentials: [credential] },
      server: { ...SERVER_CONFIG, peer },
      types: ["RawPublicKey", "X509"],
    });
  }
  return list;
}

Deno.test("TlsHandshake completes with every suite and every way to authenticate (RFC 8446 §2, RFC 7250 §4)", () => {
  for (const { name, client, server, types } of modes()) {
    for (const suite of SUITES) {
      const pair = new TlsPair({ ...client, cipherSuites: [suite] }, server).run();
      const label = `${name}, ${suite}`;
      strictEqual(pair.client.alert, undefined, label);
      strictEqual(pair.server.alert, undefined, label);
      ok(pair.client.handshake.isComplete && pair.server.handshake.isComplete, label);
      deepStrictEqual(
        [
          pair.client.complete?.peer?.certificateType ?? "none",
          pair.server.complete?.peer?.certificateType ?? "none",
        ],
        types,
        label,
      );
      for (const level of ["handshake", "application"] as const) {
        deepStrictEqual(pair.client.secret(level, "write"), pair.server.secret(level, "read"), label);
        deepStrictEqual(pair.client.secret(level, "read"), pair.server.secret(level, "write"), label);
        strictEqual(pair.client.secret(level, "read")?.length, suite.endsWith("384") ? 48 : 32);
      }
      const exported = pair.client.handshake.exportKeyingMaterial("EXPORTER-test", new Uint8Array([1]), 40);
      deepStrictEqual(pair.server.handshake.exportKeyingMaterial("EXPORTER-test", new Uint8Array([1]), 40), exported);
      strictEqual(exported.length, 40);
    }
  }
});

Deno.test("TlsHandshake reports in the order that QUIC needs (RFC 9001 §4.1, §5.7)", () => {
  const pair = new TlsPair().run();
  deepStrictEqual(pair.client.eventNames, [
    "secrets handshake read",
    "secrets handshake write",
    "transportParameters",
    "secrets application read",
    "secrets application write",
    "handshakeComplete",
  ]);
  deepStrictEqual(pair.server.eventNames, [
    "transportParameters",
    "secrets handshake write",
    "secrets handshake read",
    "secrets application write",
    "secrets application read",
    "handshakeComplete",
  ]);
  deepStrictEqual(pair.client.sent.map(({ level, data }) => [level, data[0]]), [
    ["initial", 1],
    ["handshake", 11],
    ["handshake", 15],
    ["handshake", 20],
  ]);
  deepStrictEqual(pair.server.sent.map(({ level, data }) => [level, data[0]]), [
    ["initial", 2],
    ["handshake", 8],
    ["handshake", 13],
    ["handshake", 11],
    ["handshake", 15],
    ["handshake", 20],
  ]);
});

Deno.test("TlsHandshake hands over parameters, protocol, name and keys (RFC 9001 §8.2, RFC 7301, RFC 6066 §3)", () => {
  const pair = new TlsPair(
    { ...CLIENT_CONFIG, serverName: "relay.example", applicationProtocols: ["h3", "q2q"] },
    SERVER_CONFIG,
  ).run();
  const parameters = (side: TlsSide): Uint8Array | undefined => {
    const event = side.events.find((event) => event.type === "transportParameters");
    return event?.bytes;
  };
  deepStrictEqual(parameters(pair.client), SERVER_CONFIG.transportParameters);
  deepStrictEqual(parameters(pair.server), CLIENT_CONFIG.transportParameters);
  for (const { complete } of [pair.client, pair.server]) {
    strictEqual(complete?.applicationProtocol, "q2q");
    strictEqual(complete?.serverName, "relay.example");
  }
  deepStrictEqual(pair.client.complete?.peer?.ed25519PublicKey, SERVER_KEY.publicKey.bytes);
  deepStrictEqual(pair.server.complete?.peer?.ed25519PublicKey, CLIENT_KEY.publicKey.bytes);
});

Deno.test("TlsHandshake says the same bytes for the same seed, and others for another", () => {
  const trace = (seed: number): string[] => {
    const pair = new TlsPair(CLIENT_CONFIG, SERVER_CONFIG, seed).run();
    return [...pair.client.sent, ...pair.server.sent].map(({ level, data }) => `${level} ${toHex(data)}`);
  };
  deepStrictEqual(trace(7), trace(7));
  ok(trace(7)[0] !== trace(9)[0]);
});

Deno.test("TlsHandshake takes messages split at every byte, and several at once (RFC 9001 §4.1.3)", () => {
  const split = new TlsPair().run((_from, { level, data }) =>
    Array.from(data, (_, i) => ({ level, data: data.subarray(i, i + 1) }))
  );
  ok(split.client.complete !== undefined && split.server.complete !== undefined);

  const client = new TlsSide(CLIENT_CONFIG, 1);
  const server = new TlsSide(SERVER_CONFIG, 2);
  const joined = (data: readonly { level: string; data: Uint8Array }[], level: string): Uint8Array =>
    Uint8Array.from(data.filter((one) => one.level === level).flatMap((one) => [...one.data]));
  const hello = client.run((handshake) => handshake.start());
  const flight = server.run((handshake) => handshake.handleCrypto("initial", joined(hello, "initial")));
  client.run((handshake) => handshake.handleCrypto("initial", joined(flight, "initial")));
  const answer = client.run((handshake) => handshake.handleCrypto("handshake", joined(flight, "handshake")));
  server.run((handshake) => handshake.handleCrypto("handshake", joined(answer, "handshake")));
  ok(client.complete !== undefined && server.complete !== undefined);
});

Deno.test("TlsHandshake keeps nothing of the data it is given (RFC 9001 §4.1.3)", () => {
  const pair = new TlsPair();
  let last: Uint8Array | undefined;
  pair.run((_from, { level, data }) => {
    last?.fill(0xff);
    last = data.slice();
    return [{ level, data: last }];
  });
  last?.fill(0xff);
  ok(pair.server.complete !== undefined);
  const parameters = pair.server.events.find((event) => event.type === "transportParameters");
  deepStrictEqual(parameters?.bytes, CLIENT_CONFIG.transportParameters);
  deepStrictEqual(pair.client.complete?.peer?.ed25519PublicKey, SERVER_KEY.publicKey.bytes);
});

Deno.test("TlsHandshake chooses the server's first suite that the client offers (RFC 8446 §4.1.1)", () => {
  const pair = new TlsPair(
    { ...CLIENT_CONFIG, cipherSuites: ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"] },
    { ...SERVER_CONFIG, cipherSuites: ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] },
  ).run();
  const secrets = pair.client.events.find((event) => event.type === "secrets");
  strictEqual(secrets?.cipherSuite.name, "TLS_CHACHA20_POLY1305_SHA256");
});

Deno.test("TlsHandshake presents what the client prefers to see among several credentials (RFC 7250 §4.2)", () => {
  const { credential, sha256 } = x509("P-256");
  const server: TlsConfig = { ...SERVER_CONFIG, credentials: [rawPublicKeyCredential(SERVER_KEY), credential] };
  const both = new TlsPair({
    ...CLIENT_CONFIG,
    peer: { certificateTypes: ["X509", "RawPublicKey"], certificateSha256: [sha256], ask: false },
  }, server).run();
  // The client takes both, so the server's order decides.
  strictEqual(both.client.complete?.peer?.certificateType, "RawPublicKey");
  const only = new TlsPair({
    ...CLIENT_CONFIG,
    peer: { certificateTypes: ["X509"], certificateSha256: [sha256], ask: false },
  }, server).run();
  strictEqual(only.client.complete?.peer?.certificateType, "X509");
});

Deno.test("TlsHandshake logs secrets only if asked to, the same on both sides", () => {
  const log = (side: TlsSide): string[] =>
    side.events.flatMap((event) =>
      event.type === "keyLog" ? [`${event.label} ${toHex(event.clientRandom)} ${toHex(event.secret)}`] : []
    ).sort();
  const quiet = new TlsPair().run();
  deepStrictEqual([log(quiet.client), log(quiet.server)], [[], []]);
  const pair = new TlsPair({ ...CLIENT_CONFIG, keyLog: true }, { ...SERVER_CONFIG, keyLog: true }).run();
  deepStrictEqual(log(pair.client), log(pair.server));
  deepStrictEqual(log(pair.client).map((line) => line.split(" ")[0]), [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_TRAFFIC_SECRET_0",
  ]);
});

Deno.test("TlsHandshake waits for a signature and a verdict where it has to ask", () => {
  const { sign: _c, ...clientCredential } = rawPublicKeyCredential(CLIENT_KEY);
  const { sign: _s, ...serverCredential } = rawPublicKeyCredential(SERVER_KEY);
  const peer = { certificateTypes: ["RawPublicKey"], ask: true } as const;
  const pair = new TlsPair(
    { ...CLIENT_CONFIG, credentials: [clientCredential], peer },
    { ...SERVER_CONFIG, credentials: [serverCredential], peer },
  ).run();
  const sign = (side: TlsSide, key: typeof CLIENT_KEY): Uint8Array => {
    const event = side.events.find((event) => event.type === "sign");
    strictEqual(event?.scheme, "ed25519");
    return key.sign(event.input);
  };
  strictEqual(pair.server.eventNames.at(-1), "sign");
  strictEqual(pair.server.secret("application", "write"), undefined);
  throws(() => pair.server.handshake.provideVerdict({ accepted: true }), TypeError);
  pair.deliver("server", pair.server.run((one) => one.provideSignature(sign(pair.server, SERVER_KEY))));
  // The server's Finished has arrived too, and waits behind the verdict.
  strictEqual(pair.client.eventNames.at(-1), "verifyPeer");
  throws(() => pair.client.handshake.provideSignature(new Uint8Array(64)), TypeError);
  pair.deliver("client", pair.client.run((one) => one.provideVerdict({ accepted: true })));
  strictEqual(pair.client.eventNames.at(-1), "sign");
  strictEqual(pair.client.handshake.isComplete, false);
  pair.deliver("client", pair.client.run((one) => one.provideSignature(sign(pair.client, CLIENT_KEY))));
  strictEqual(pair.client.eventNames.at(-1), "handshakeComplete");
  strictEqual(pair.server.eventNames.at(-1), "verifyPeer");
  strictEqual(pair.server.secret("application", "read"), undefined);
  pair.deliver("server", pair.server.run((one) => one.provideVerdict({ accepted: true })));
  strictEqual(pair.server.eventNames.at(-1), "handshakeComplete");
});

Deno.test("TlsHandshake fails with the alert of a verdict", () => {
  const pair = new TlsPair({ ...CLIENT_CONFIG, peer: { ...CLIENT_CONFIG.peer, ask: true } }).run();
  pair.client.run((one) => one.provideVerdict({ accepted: false, alert: "access_denied" }));
  strictEqual(pair.client.alert?.alert, "access_denied");
  strictEqual(pair.client.alert?.code, 49);
  strictEqual(pair.client.complete, undefined);
});

Deno.test("TlsHandshake takes a ticket afterwards, and nothing else (RFC 9001 §4.4, §4.6.1, §6)", () => {
  const ticket = Uint8Array.of(4, 0, 0, 14, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 1, 7, 0, 0);
  const early = (size: number): Uint8Array =>
    Uint8Array.of(4, 0, 0, 22, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 1, 7, 0, 8, 0, 42, 0, 4, size, 0xff, 0xff, 0xff);
  for (const message of [ticket, early(0xff)]) {
    const { client } = new TlsPair().run();
    client.run((handshake) => handshake.handleCrypto("application", message));
    strictEqual(client.alert, undefined);
  }
  const refused = [
    [early(0x7f), "PROTOCOL_VIOLATION"],
    [Uint8Array.of(24, 0, 0, 1, 0), "unexpected_message"],
    [Uint8Array.of(13, 0, 0, 3, 0, 0, 0), "PROTOCOL_VIOLATION"],
  ] as const;
  for (const [message, alert] of refused) {
    const { client } = new TlsPair().run();
    client.run((handshake) => handshake.handleCrypto("application", message));
    strictEqual(client.failure, alert);
  }
  const { server } = new TlsPair().run();
  server.run((handshake) => handshake.handleCrypto("application", ticket));
  strictEqual(server.alert?.alert, "unexpected_message");
});

Deno.test("TlsHandshake refuses a config that cannot work", () => {
  const random = seededRandom(1);
  const refuse = (config: TlsConfig, error: typeof RangeError | typeof TypeError): void =>
    throws(() => new TlsHandshake(config, random), error);
  refuse({ ...CLIENT_CONFIG, cipherSuites: [] }, RangeError);
  refuse({ ...CLIENT_CONFIG, applicationProtocols: [] }, RangeError);
  refuse({ ...CLIENT_CONFIG, applicationProtocols: [""] }, RangeError);
  refuse({ ...CLIENT_CONFIG, applicationProtocols: ["x".repeat(256)] }, RangeError);
  refuse({ ...CLIENT_CONFIG, serverName: "192.0.2.1" }, TypeError);
  refuse({ ...CLIENT_CONFIG, peer: { certificateTypes: [], ask: false } }, RangeError);
  refuse({ ...CLIENT_CONFIG, peer: { certificateTypes: ["X509"], ask: false } }, TypeError);
  refuse({ ...CLIENT_CONFIG, peer: { ...CLIENT_CONFIG.peer, publicKeys: [new Uint8Array(31)] } }, RangeError);
  refuse({ ...SERVER_CONFIG, credentials: [] }, RangeError);
  refuse({ ...SERVER_CONFIG, serverName: "relay.example" }, TypeError);
  const client = new TlsHandshake(CLIENT_CONFIG, random);
  client.start();
  throws(() => client.start(), TypeError);
  throws(() => client.exportKeyingMaterial("EXPORTER-test", new Uint8Array(0), 32), TypeError);
});
