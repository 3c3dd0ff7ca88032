/**
 * Hellos and answers to them that are refused (RFC 8446 §4.1, §4.2, RFC 9001 §4.2, §8), for `alerts_table.ts`.
 *
 * @module
 */

import type { Extension } from "../../../../protocols/tls/extensions.ts";
import { CLIENT_CONFIG, SERVER_CONFIG } from "../../../support/tls_pair.ts";
import { type AlertCase, type Change, rewrite, without } from "../../../support/tls_refusals.ts";

function dropFromClientHello(type: Extension["type"]): Change {
  return rewrite("client_hello", (message) => ({ ...message, extensions: without(type)(message) }));
}

function dropFromEncryptedExtensions(type: Extension["type"]): Change {
  return rewrite("encrypted_extensions", (message) => ({ ...message, extensions: without(type)(message) }));
}

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

/** Hellos without what QUIC needs. */
export const POOR_HELLOS: readonly AlertCase[] = [
  {
    rule: "RFC 7301 §3.2",
    input: "a ClientHello without an application protocol in common",
    client: { ...CLIENT_CONFIG, applicationProtocols: ["h3"] },
    expect: "server no_application_protocol",
  },
  {
    rule: "RFC 9001 §8.1",
    input: "a ClientHello without application protocols",
    change: () => dropFromClientHello("application_layer_protocol_negotiation"),
    expect: "server no_application_protocol",
  },
  {
    rule: "RFC 9001 §8.1",
    input: "EncryptedExtensions without an application protocol",
    change: () => dropFromEncryptedExtensions("application_layer_protocol_negotiation"),
    expect: "client no_application_protocol",
  },
  {
    rule: "RFC 9001 §8.1",
    input: "EncryptedExtensions with a protocol that was not offered",
    change: () =>
      rewrite("encrypted_extensions", (message) => ({
        ...message,
        extensions: [
          ...without("application_layer_protocol_negotiation")(message),
          { type: "application_layer_protocol_negotiation", protocols: ["h3"] },
        ],
      })),
    expect: "client no_application_protocol",
  },
  {
    rule: "RFC 9001 §8.2",
    input: "a ClientHello without quic_transport_parameters",
    change: () => dropFromClientHello("quic_transport_parameters"),
    expect: "server missing_extension",
  },
  {
    rule: "RFC 9001 §8.2",
    input: "a ClientHello with quic_transport_parameters at the number of a draft",
    change: () =>
      rewrite("client_hello", (message) => ({
        ...message,
        extensions: [
          ...without("quic_transport_parameters")(message),
          { type: "other", code: 0xffa5, data: new Uint8Array(0) },
        ],
      })),
    expect: "server missing_extension",
  },
  {
    rule: "RFC 9001 §8.2",
    input: "EncryptedExtensions without quic_transport_parameters",
    change: () => dropFromEncryptedExtensions("quic_transport_parameters"),
    expect: "client missing_extension",
  },
  {
    rule: "RFC 9001 §4.2",
    input: "a ClientHello without supported_versions",
    change: () => dropFromClientHello("supported_versions"),
    expect: "server protocol_version",
  },
  {
    rule: "RFC 8446 §9.2",
    input: "a ClientHello without key_share",
    change: () => dropFromClientHello("key_share"),
    expect: "server missing_extension",
  },
  {
    rule: "RFC 8446 §9.2",
    input: "a ClientHello without supported_groups",
    change: () => dropFromClientHello("supported_groups"),
    expect: "server missing_extension",
  },
  {
    rule: "RFC 8446 §9.2",
    input: "a ClientHello without signature_algorithms",
    change: () => dropFromClientHello("signature_algorithms"),
    expect: "server missing_extension",
  },
  {
    rule: "RFC 8446 §4.1.1",
    input: "a ClientHello without a cipher suite in common",
    client: { ...CLIENT_CONFIG, cipherSuites: ["TLS_AES_128_GCM_SHA256"] },
    server: { ...SERVER_CONFIG, cipherSuites: ["TLS_CHACHA20_POLY1305_SHA256"] },
    expect: "server handshake_failure",
  },
  {
    rule: "RFC 9001 §8.4",
    input: "a ClientHello with a session ID",
    change: () => rewrite("client_hello", (message) => ({ ...message, legacySessionId: new Uint8Array(32) })),
    expect: "server PROTOCOL_VIOLATION",
  },
  {
    rule: "RFC 8446 §4.2.1",
    input: "a ClientHello that offers TLS 1.2 only",
    change: () =>
      rewrite("client_hello", (message) => ({
        ...message,
        extensions: [...without("supported_versions")(message), { type: "supported_versions", versions: [0x0303] }],
      })),
    expect: "server protocol_version",
  },
];

/** Key shares that may not be used. */
export const UNUSABLE_SHARES: readonly AlertCase[] = [
  {
    rule: "RFC 8446 §7.4.2",
    input: "a client's X25519 share of small order",
    change: () => shares("client_hello", [{ group: X25519, key: SMALL_ORDER }]),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §7.4.2",
    input: "a server's X25519 share of small order",
    change: () => shares("server_hello", [{ group: X25519, key: SMALL_ORDER }]),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8.2",
    input: "a client's X25519 share of 31 bytes",
    change: () => shares("client_hello", [{ group: X25519, key: new Uint8Array(31).fill(9) }]),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8",
    input: "two key shares of one group",
    change: () => shares("client_hello", [{ group: X25519, key: SMALL_ORDER }, { group: X25519, key: SMALL_ORDER }]),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8",
    input: "a key share of a group that is not offered",
    change: () => shares("client_hello", [{ group: 0x0017, key: SMALL_ORDER }]),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8",
    input: "a server's key share of a group that the client sent none of",
    change: () => shares("server_hello", [{ group: 0x0017, key: new Uint8Array(65) }]),
    expect: "client illegal_parameter",
  },
];

/** Answers to something else than was offered. */
export const WRONG_ANSWERS: readonly AlertCase[] = [
  {
    rule: "RFC 8446 §4.1.3",
    input: "a ServerHello with a cipher suite that was not offered",
    change: () => rewrite("server_hello", (message) => ({ ...message, cipherSuite: 0x1304 })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.1",
    input: "a ServerHello that chooses a version not offered",
    change: () =>
      rewrite("server_hello", (message) => ({
        ...message,
        extensions: [...without("supported_versions")(message), { type: "supported_versions", versions: [0x0303] }],
      })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 9001 §4.2",
    input: "a ServerHello of TLS 1.2",
    change: () =>
      rewrite("server_hello", (message) => ({ ...message, extensions: without("supported_versions")(message) })),
    expect: "client protocol_version",
  },
  {
    rule: "RFC 8446 §9.2",
    input: "a ServerHello without key_share",
    change: () => rewrite("server_hello", (message) => ({ ...message, extensions: without("key_share")(message) })),
    expect: "client missing_extension",
  },
  {
    rule: "RFC 8446 §4.1.3",
    input: "a ServerHello that echoes a session ID",
    change: () => rewrite("server_hello", (message) => ({ ...message, legacySessionIdEcho: new Uint8Array(1) })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2",
    input: "EncryptedExtensions with an extension that was not asked for",
    change: () =>
      rewrite("encrypted_extensions", (message) => ({
        ...message,
        extensions: [...message.extensions, { type: "other", code: 0xfafa, data: new Uint8Array(0) }],
      })),
    expect: "client unsupported_extension",
  },
  {
    rule: "RFC 7250 §4.2",
    input: "EncryptedExtensions with a certificate type that was not offered",
    change: () =>
      rewrite("encrypted_extensions", (message) => ({
        ...message,
        extensions: [
          ...without("server_certificate_type")(message),
          { type: "server_certificate_type", certificateTypes: [1] },
        ],
      })),
    expect: "client illegal_parameter",
  },
];
