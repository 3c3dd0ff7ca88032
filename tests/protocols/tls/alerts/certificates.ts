/**
 * Requests for certificates, and answers to them, that are refused (RFC 8446 §4.3.2, §4.4), for `alerts_table.ts`.
 *
 * @module
 */

import type { TlsConfig } from "../../../../protocols/tls/config.ts";
import { decodeMessage } from "../../../../protocols/tls/messages.ts";
import type { CertificateRequest } from "../../../../protocols/tls/messages.ts";
import { certificateOf, credentialOf, KEY_KINDS } from "../../../support/key_kinds.ts";
import type { KeyKindName } from "../../../support/key_kinds.ts";
import { CLIENT_CONFIG, CLIENT_KEY, SERVER_CONFIG } from "../../../support/tls_pair.ts";
import { type AlertCase, rewrite } from "../../../support/tls_refusals.ts";

/** A certificate of each kind of key. */
export const CERTIFICATES = new Map(KEY_KINDS.map((kind) => [kind, certificateOf(kind)]));

/** A client with a certificate for each kind. */
export function clientWith(...kinds: readonly KeyKindName[]): TlsConfig {
  return { ...CLIENT_CONFIG, credentials: kinds.map((kind) => credentialOf(CERTIFICATES.get(kind)!)) };
}

/** A server that takes those certificates of clients, and no others. */
export function serverFor(...kinds: readonly KeyKindName[]): TlsConfig {
  const certificateSha256 = kinds.map((kind) => CERTIFICATES.get(kind)!.sha256);
  return { ...SERVER_CONFIG, peer: { certificateTypes: ["X509"], certificateSha256, ask: false } };
}

const ED25519_CLIENT: TlsConfig = clientWith("Ed25519");
const ED25519_SERVER: TlsConfig = serverFor("Ed25519");

/** Requests for certificates, and answers to them, that may not be. */
export const WRONG_CERTIFICATES: readonly AlertCase[] = [
  {
    rule: "RFC 8446 §4.3.2",
    input: "a CertificateRequest with a context",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => rewrite("certificate_request", (message) => ({ ...message, context: new Uint8Array(1) })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.3.2",
    input: "a CertificateRequest without signature_algorithms",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => rewrite("certificate_request", (message) => ({ ...message, extensions: [] })),
    expect: "client missing_extension",
  },
  {
    rule: "RFC 8446 §4.2",
    input: "a CertificateRequest with an extension of another message",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () =>
      rewrite("certificate_request", (message): CertificateRequest => ({
        ...message,
        extensions: [...message.extensions, { type: "supported_groups", groups: [0x1d] }],
      })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4",
    input: "a CertificateRequest after the server's Certificate",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => {
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
    },
    expect: "client unexpected_message",
  },
  {
    rule: "RFC 8446 §4",
    input: "two CertificateRequests",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => (_from, one) => decodeMessage(one.data).type === "certificate_request" ? [one, one] : [one],
    expect: "client unexpected_message",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a client's Certificate without CertificateVerify",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => (from, one) =>
      from === "client" && decodeMessage(one.data).type === "certificate_verify" ? [] : [one],
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4",
    input: "a client's Finished where its Certificate was asked for",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => (from, one) =>
      from === "client" && decodeMessage(one.data).type.startsWith("certificate") ? [] : [one],
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4",
    input: "a client's Certificate that nobody asked for",
    client: ED25519_CLIENT,
    server: { ...ED25519_SERVER, peer: { certificateTypes: [], ask: false } },
    change: () => (from, one) =>
      from === "client" && decodeMessage(one.data).type === "finished"
        ? [{ level: one.level, data: Uint8Array.of(11, 0, 0, 4, 0, 0, 0, 0) }]
        : [one],
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4.4.2",
    input: "a client's Certificate with another context than the request",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => rewrite("certificate", (message) => ({ ...message, context: new Uint8Array(3) }), "client"),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.4.2",
    input: "a client's Certificate with an extension that was not asked for",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () =>
      rewrite("certificate", (message) => ({
        ...message,
        entries: message.entries.map((entry) => ({
          ...entry,
          extensions: [{ type: "other" as const, code: 5, data: new Uint8Array(0) }],
        })),
      }), "client"),
    expect: "server unsupported_extension",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a client's CertificateVerify of a scheme for another kind of key",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () => rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0403 }), "client"),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a client's CertificateVerify by PKCS #1",
    client: clientWith("RSA"),
    server: serverFor("RSA"),
    change: () => rewrite("certificate_verify", (message) => ({ ...message, scheme: 0x0401 }), "client"),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.4.3",
    input: "a signature that is cut off",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () =>
      rewrite("certificate_verify", (message) => ({
        ...message,
        signature: message.signature.subarray(1),
      }), "client"),
    expect: "server decrypt_error",
  },
  {
    rule: "RFC 7250 §4.2",
    input: "a raw public key where a certificate was agreed on",
    client: ED25519_CLIENT,
    server: ED25519_SERVER,
    change: () =>
      rewrite("certificate", (message) => ({
        ...message,
        entries: [{ data: CLIENT_KEY.publicKey.toSpki(), extensions: [] }],
      }), "client"),
    expect: "server certificate_unknown",
  },
];
