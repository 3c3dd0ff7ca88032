/**
 * Keys and proofs that are refused (RFC 8446 §4.4, RFC 7250 §4.2), for `alerts_table.ts`.
 *
 * @module
 */

import { Ed25519PrivateKey } from "../../../../protocols/crypto/ed25519.ts";
import { rawPublicKeyCredential } from "../../../../protocols/tls/certificates.ts";
import type { Credential } from "../../../../protocols/tls/certificates.ts";
import { CLIENT_CONFIG, CLIENT_KEY, SERVER_CONFIG, SERVER_KEY } from "../../../support/tls_pair.ts";
import { type AlertCase, rewrite } from "../../../support/tls_refusals.ts";

const OTHER_KEY = Ed25519PrivateKey.fromSeed(new Uint8Array(32).fill(0x77));

/** A credential that presents one key and signs with another. */
function imposter(shown: Ed25519PrivateKey, signing: Ed25519PrivateKey): Credential {
  return { ...rawPublicKeyCredential(shown), sign: (_scheme, input) => signing.sign(input) };
}

/** Keys that are not proved, or not the expected ones. */
export const UNPROVED_KEYS: readonly AlertCase[] = [
  {
    rule: "RFC 7250 §4.2",
    input: "a server's raw public key that is not the expected one",
    server: { ...SERVER_CONFIG, credentials: [rawPublicKeyCredential(OTHER_KEY)] },
    expect: "client certificate_unknown",
  },
  {
    rule: "RFC 7250 §4.2",
    input: "a client's raw public key that is not among those expected",
    client: { ...CLIENT_CONFIG, credentials: [rawPublicKeyCredential(OTHER_KEY)] },
    expect: "server certificate_unknown",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a server's CertificateVerify by another key than the one it presents",
    server: { ...SERVER_CONFIG, credentials: [imposter(SERVER_KEY, OTHER_KEY)] },
    expect: "client decrypt_error",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a client's CertificateVerify by another key than the one it presents",
    client: { ...CLIENT_CONFIG, credentials: [imposter(CLIENT_KEY, OTHER_KEY)] },
    expect: "server decrypt_error",
  },
  {
    rule: "RFC 8446 §6.2",
    input: "a client that proves the server's refused key",
    server: { ...SERVER_CONFIG, peer: { ...SERVER_CONFIG.peer, refusePublicKey: CLIENT_KEY.publicKey.bytes } },
    expect: "server certificate_unknown",
  },
  {
    rule: "RFC 8446 §6.2",
    input: "a server that proves the client's own key",
    client: { ...CLIENT_CONFIG, peer: { ...CLIENT_CONFIG.peer, refusePublicKey: SERVER_KEY.publicKey.bytes } },
    expect: "client certificate_unknown",
  },
  {
    rule: "RFC 8446 §4.4.2.4",
    input: "an empty Certificate of a client that offered a raw public key",
    client: { ...CLIENT_CONFIG, credentials: [{ ...rawPublicKeyCredential(CLIENT_KEY), signatureSchemes: [] }] },
    expect: "server certificate_required",
  },
  {
    rule: "RFC 8446 §4.4.2.4",
    input: "a client that can present nothing where raw public keys are asked for",
    client: { ...CLIENT_CONFIG, credentials: [] },
    expect: "server certificate_required",
  },
  {
    rule: "RFC 8446 §4.4.2.4",
    input: "a server's Certificate that is empty",
    change: () => rewrite("certificate", (message) => ({ ...message, entries: [] }), "server"),
    expect: "client decode_error",
  },
  {
    rule: "RFC 8446 §4.4.2",
    input: "a Certificate with two raw public keys",
    change: () =>
      rewrite("certificate", (message) => ({ ...message, entries: [...message.entries, ...message.entries] })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 7250 §4.2",
    input: "a raw public key that is not Ed25519",
    server: {
      ...SERVER_CONFIG,
      credentials: [{ ...rawPublicKeyCredential(SERVER_KEY), certificates: [new Uint8Array(44)] }],
    },
    expect: "client unsupported_certificate",
  },
  {
    rule: "RFC 8446 §4.4.2",
    input: "a server's Certificate with a context",
    change: () => rewrite("certificate", (message) => ({ ...message, context: new Uint8Array(1) })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.4.2",
    input: "a server's Certificate with an extension that was not asked for",
    change: () =>
      rewrite("certificate", (message) => ({
        ...message,
        entries: message.entries.map((entry) => ({
          ...entry,
          extensions: [{ type: "other" as const, code: 5, data: new Uint8Array(0) }],
        })),
      })),
    expect: "client unsupported_extension",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a server's CertificateVerify of a scheme that was not offered",
    change: () => rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0403 })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a server's CertificateVerify of a scheme that does not exist",
    change: () => rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0a0a })),
    expect: "client illegal_parameter",
  },
];

/** A Finished that does not verify. */
export const WRONG_FINISHED: readonly AlertCase[] = [
  {
    rule: "RFC 8446 §4.4.4",
    input: "a server's Finished that does not verify",
    change: () => rewrite("finished", ({ type }) => ({ type, verifyData: new Uint8Array(32) }), "server"),
    expect: "client decrypt_error",
  },
  {
    rule: "RFC 8446 §4.4.4",
    input: "a client's Finished that does not verify",
    change: () => rewrite("finished", ({ type }) => ({ type, verifyData: new Uint8Array(32) }), "client"),
    expect: "server decrypt_error",
  },
  {
    rule: "RFC 8446 §4.4.4",
    input: "a Finished that is a byte too short",
    change: () =>
      rewrite("finished", ({ type, verifyData }) => ({ type, verifyData: verifyData.subarray(1) }), "client"),
    expect: "server decrypt_error",
  },
];
