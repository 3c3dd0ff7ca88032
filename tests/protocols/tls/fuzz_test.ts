import { ok, strictEqual } from "node:assert/strict";
import { SigningKey } from "../../../protocols/crypto/signature.ts";
import { TlsAlert } from "../../../protocols/tls/alerts.ts";
import { x509Credential } from "../../../protocols/tls/certificates.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import type { CryptoData } from "../../../protocols/tls/events.ts";
import { decodeMessage } from "../../../protocols/tls/messages.ts";
import type { NamedGroupName } from "../../../protocols/tls/named_groups.ts";
import { decodePem } from "../../../protocols/tls/pem.ts";
import { subjectPublicKeyInfo } from "../../../protocols/tls/x509.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { selfSignedCertificate } from "../../support/certificate.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { CLIENT_CONFIG, SERVER_CONFIG, TlsPair } from "../../support/tls_pair.ts";
import { MESSAGES } from "../../vectors/rfc8448_3.ts";

const SEED = 8446;

/** Both may present X.509, so that certificates are damaged too. With a group the server asks for its share. */
function configs(asked?: NamedGroupName): readonly [TlsConfig, TlsConfig] {
  const { der, keyPem } = selfSignedCertificate("P-256");
  const credential = x509Credential([der], SigningKey.fromPkcs8(decodePem(keyPem, "PRIVATE KEY")[0]!));
  return [
    { ...CLIENT_CONFIG, serverName: "relay.example", peer: { certificateTypes: ["X509"], ask: true } },
    { ...SERVER_CONFIG, credentials: [credential], ...(asked === undefined ? {} : { groups: [asked] }) },
  ];
}

/** Every message of a handshake, in the order in which they are said. */
function messagesOf(client: TlsConfig, server: TlsConfig): number {
  let count = 0;
  runWith(client, server, (data) => (count++, data));
  return count;
}

/** Runs with each message passed through `change`, which gets its index; any exception but an alert goes on. */
function runWith(
  client: TlsConfig,
  server: TlsConfig,
  change: (data: CryptoData, index: number) => CryptoData,
): TlsPair {
  let index = 0;
  const apply = (_from: string, data: CryptoData): CryptoData[] => [change(data, index++)];
  const pair = new TlsPair(client, server, SEED);
  pair.run(apply);
  if (pair.client.eventNames.at(-1) === "verifyPeer" && pair.client.alert === undefined) {
    pair.deliver("client", pair.client.run((one) => one.provideVerdict({ accepted: true })), apply);
  }
  return pair;
}

Deno.test("TlsHandshake only waits when any message is cut off at any byte (RFC 8446 §4)", () => {
  const [client, server] = configs();
  const count = messagesOf(client, server);
  strictEqual(count, 10);
  for (let target = 0; target < count; target++) {
    let length = 1;
    for (let cut = 0; cut < length; cut++) {
      const pair = runWith(client, server, (data, index) => {
        if (index !== target) return data;
        length = data.data.length;
        return { level: data.level, data: data.data.subarray(0, cut) };
      });
      // Either side may wait, or take what follows as the rest and refuse it; nobody completes but the client that is
      // cut off after its Finished.
      strictEqual(pair.server.complete, undefined, `message ${target} cut at ${cut}`);
    }
  }
});

Deno.test("TlsHandshake never completes, and never throws anything but an alert, on a flipped bit (RFC 8446 §4.4)", () => {
  const [client, server] = configs();
  const count = messagesOf(client, server);
  for (let target = 0; target < count; target++) {
    let bits = 8;
    // Each byte once, with the bit moving along: every bit of a long certificate would take a minute.
    for (let at = 0; at < bits / 8; at++) {
      const pair = runWith(client, server, (data, index) => {
        if (index !== target) return data;
        bits = data.data.length * 8;
        const damaged = data.data.slice();
        damaged[at]! ^= 1 << (at % 8);
        return { level: data.level, data: damaged };
      });
      strictEqual(pair.server.complete, undefined, `message ${target}, byte ${at}`);
    }
  }
});

Deno.test("TlsHandshake never completes on a flipped bit of a hello about HelloRetryRequest (RFC 8446 §4.4.1)", () => {
  const [client, server] = configs("secp256r1");
  strictEqual(messagesOf(client, server), 12);
  // Both of the client's, the request and ServerHello.
  for (let target = 0; target < 4; target++) {
    let bytes = 1;
    for (let at = 0; at < bytes; at++) {
      const pair = runWith(client, server, (data, index) => {
        if (index !== target) return data;
        bytes = data.data.length;
        const damaged = data.data.slice();
        damaged[at]! ^= 1 << (at % 8);
        return { level: data.level, data: damaged };
      });
      strictEqual(pair.server.complete, undefined, `message ${target}, byte ${at}`);
    }
  }
});

for (const group of [undefined, "X25519MLKEM768"] as const) {
  Deno.test(`TlsHandshake never throws anything but an alert on random bytes, ${group ?? "x25519"}`, () => {
    console.log(`seed ${SEED}`);
    damageAtRandom(...configs(group));
  });
}

function damageAtRandom(client: TlsConfig, server: TlsConfig): void {
  const random = seededRandom(SEED);
  const count = messagesOf(client, server);
  for (let round = 0; round < 400; round++) {
    const target = Math.floor(randomUnit(random) * count);
    runWith(client, server, (data, index) => {
      if (index !== target) return data;
      const damaged = data.data.slice();
      const from = Math.floor(randomUnit(random) * damaged.length);
      const to = from + Math.floor(randomUnit(random) * (damaged.length - from));
      random.fill(damaged.subarray(from, to));
      return { level: data.level, data: damaged };
    });
  }
}

Deno.test("decodeMessage refuses every message cut off at any byte, and any with a byte too many (RFC 8446 §4)", () => {
  for (const [name, bytes] of Object.entries(MESSAGES)) {
    for (let length = 0; length < bytes.length; length++) {
      const alert = alertOf(() => decodeMessage(bytes.subarray(0, length)));
      strictEqual(alert, "decode_error", `${name} at ${length}`);
      // The same with a header that says the shorter length, so that the cut is inside a field.
      if (length < 4) continue;
      const shorter = bytes.slice(0, length);
      shorter[1] = 0;
      shorter[2] = (length - 4) >>> 8;
      shorter[3] = length - 4;
      // Finished has no inner structure: its length is checked when it is compared.
      if (name !== "serverFinished" && name !== "clientFinished") {
        const inner = alertOf(() => decodeMessage(shorter));
        // A cut behind the last extension's neighbour may be a whole message: only ClientHello's end is optional.
        ok(inner === "decode_error", `${name} inside at ${length}: ${inner}`);
      }
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    strictEqual(alertOf(() => decodeMessage(longer)), "decode_error", name);
  }
});

Deno.test("subjectPublicKeyInfo never throws, whatever the certificate (RFC 5280 §4.1)", () => {
  for (const algorithm of ["Ed25519", "P-256"] as const) {
    const { der, key } = selfSignedCertificate(algorithm);
    ok(subjectPublicKeyInfo(der) !== undefined && key !== undefined);
    for (let length = 0; length < der.length; length++) {
      strictEqual(subjectPublicKeyInfo(der.subarray(0, length)), undefined, `${algorithm} at ${length}`);
    }
    for (let bit = 0; bit < der.length * 8; bit++) {
      const damaged = der.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      subjectPublicKeyInfo(damaged);
    }
  }
});

function alertOf(action: () => void): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof TlsAlert) return error.alert;
    throw error;
  }
}
