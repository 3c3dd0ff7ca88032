/**
 * HelloRetryRequests and second ClientHellos that are refused (RFC 8446 §4.1.2, §4.1.4), for `alerts_table.ts`.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import type { TlsConfig } from "../../../../protocols/tls/config.ts";
import type { CryptoData } from "../../../../protocols/tls/events.ts";
import type { Extension } from "../../../../protocols/tls/extensions.ts";
import { MAX_COOKIE_BYTES } from "../../../../protocols/tls/hello_retry.ts";
import { decodeMessage, encodeMessage, isHelloRetryRequest } from "../../../../protocols/tls/messages.ts";
import type { ClientHello, HandshakeMessage, ServerHello } from "../../../../protocols/tls/messages.ts";
import { NAMED_GROUPS } from "../../../../protocols/tls/named_groups.ts";
import { seededRandom } from "../../../support/seeded_random.ts";
import { CLIENT_CONFIG, SERVER_CONFIG } from "../../../support/tls_pair.ts";
import { type AlertCase, type Change, without } from "../../../support/tls_refusals.ts";

const P384_SERVER: TlsConfig = { ...SERVER_CONFIG, groups: ["secp384r1"] };
const NO_KEY = new Uint8Array(0);

/** Rewrites the request, or the first or second ClientHello. */
export function rewriteHello(which: "first" | "second", change: (hello: ClientHello) => HandshakeMessage): Change {
  let hellos = 0;
  return (from, one) => {
    const message = decodeMessage(one.data);
    if (message.type !== "client_hello" || ++hellos !== (which === "first" ? 1 : 2)) return [one];
    strictEqual(from, "client");
    return [{ level: one.level, data: encodeMessage(change(message)) }];
  };
}

function rewriteRequest(change: (request: ServerHello) => HandshakeMessage): Change {
  return (_from, one) => {
    const message = decodeMessage(one.data);
    if (message.type !== "server_hello" || !isHelloRetryRequest(message)) return [one];
    return [{ level: one.level, data: encodeMessage(change(message)) }];
  };
}

function withExtension(message: { extensions: readonly Extension[] }, extension: Extension): Extension[] {
  return [...without(extension.type)(message), extension];
}

/** HelloRetryRequests that may not be. */
export const WRONG_REQUESTS: readonly AlertCase[] = [
  {
    rule: "RFC 8446 §4.2.8",
    input: "a HelloRetryRequest for a group that has a share already",
    server: P384_SERVER,
    change: () =>
      rewriteRequest((request) => ({
        ...request,
        extensions: withExtension(request, { type: "key_share", entries: [{ group: 0x001d, key: NO_KEY }] }),
      })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8",
    input: "a HelloRetryRequest for a group that was not offered",
    client: { ...CLIENT_CONFIG, groups: ["x25519", "secp384r1"] },
    server: P384_SERVER,
    change: () =>
      rewriteRequest((request) => ({
        ...request,
        extensions: withExtension(request, { type: "key_share", entries: [{ group: 0x0017, key: NO_KEY }] }),
      })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.4",
    input: "a HelloRetryRequest that asks for nothing",
    server: P384_SERVER,
    change: () => rewriteRequest((request) => ({ ...request, extensions: without("key_share")(request) })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.4",
    input: "a second HelloRetryRequest",
    server: P384_SERVER,
    change: () => {
      let request: CryptoData | undefined;
      return (from, one): CryptoData[] => {
        if (from === "client" || one.level !== "initial") return [one];
        return request === undefined ? [request = one] : [request];
      };
    },
    expect: "client unexpected_message",
  },
  {
    rule: "RFC 8446 §4.1.4",
    input: "a HelloRetryRequest with a cipher suite that was not offered",
    client: { ...CLIENT_CONFIG, cipherSuites: ["TLS_AES_128_GCM_SHA256"] },
    server: P384_SERVER,
    change: () => rewriteRequest((request) => ({ ...request, cipherSuite: 0x1302 })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.4",
    input: "a ServerHello with another cipher suite than the HelloRetryRequest before it",
    server: P384_SERVER,
    change: () => rewriteRequest((request) => ({ ...request, cipherSuite: 0x1302 })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.3",
    input: "a HelloRetryRequest that echoes a session ID",
    server: P384_SERVER,
    change: () => rewriteRequest((request) => ({ ...request, legacySessionIdEcho: new Uint8Array(32) })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.4",
    input: "a HelloRetryRequest that chooses a version not offered",
    server: P384_SERVER,
    change: () =>
      rewriteRequest((request) => ({
        ...request,
        extensions: withExtension(request, { type: "supported_versions", versions: [0x0303] }),
      })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 9001 §4.2",
    input: "a HelloRetryRequest without supported_versions",
    server: P384_SERVER,
    change: () => rewriteRequest((request) => ({ ...request, extensions: without("supported_versions")(request) })),
    expect: "client protocol_version",
  },
  {
    rule: "RFC 8446 §4.1.4",
    input: "a HelloRetryRequest with an extension that was not offered",
    server: P384_SERVER,
    change: () =>
      rewriteRequest((request) => ({
        ...request,
        extensions: [...request.extensions, { type: "other", code: 0xfafa, data: NO_KEY }],
      })),
    expect: "client unsupported_extension",
  },
  {
    rule: "RFC 8446 §4.2",
    input: "a HelloRetryRequest with an extension of another message",
    server: P384_SERVER,
    change: () =>
      rewriteRequest((request) => ({
        ...request,
        extensions: [...request.extensions, { type: "application_layer_protocol_negotiation", protocols: ["q2q"] }],
      })),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.2",
    input: "a HelloRetryRequest with a cookie above 8,192 bytes",
    server: P384_SERVER,
    change: () =>
      rewriteRequest((request) => ({
        ...request,
        extensions: [...request.extensions, { type: "cookie", cookie: new Uint8Array(MAX_COOKIE_BYTES + 1) }],
      })),
    expect: "client handshake_failure",
  },
  {
    rule: "RFC 8446 §4.2.8",
    input: "a ServerHello of another group than the HelloRetryRequest before it",
    server: P384_SERVER,
    change: () => (from, one) => {
      const message = decodeMessage(one.data);
      if (from === "client" || message.type !== "server_hello" || isHelloRetryRequest(message)) return [one];
      const key = NAMED_GROUPS.x25519.generate(seededRandom(3)).publicKey;
      const extensions = withExtension(message, { type: "key_share", entries: [{ group: 0x001d, key }] });
      return [{ level: one.level, data: encodeMessage({ ...message, extensions }) }];
    },
    expect: "client illegal_parameter",
  },
];

/** Second ClientHellos that were not asked for so. */
export const WRONG_SECOND_HELLOS: readonly AlertCase[] = [
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello that is the first once more",
    server: P384_SERVER,
    change: () => {
      let first: CryptoData | undefined;
      return (from, one): CryptoData[] => {
        if (from === "server" || one.level !== "initial") return [one];
        return [first ??= one];
      };
    },
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8",
    input: "a second ClientHello with a share beside the one asked for",
    server: P384_SERVER,
    change: () =>
      rewriteHello("second", (hello) => {
        const asked = hello.extensions.find((extension) => extension.type === "key_share")!.entries;
        const entries = [...asked, { group: 0x001d, key: new Uint8Array(32).fill(9) }];
        return { ...hello, extensions: withExtension(hello, { type: "key_share", entries }) };
      }),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello without key_share",
    server: P384_SERVER,
    change: () => rewriteHello("second", (hello) => ({ ...hello, extensions: without("key_share")(hello) })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2.8.2",
    input: "a P-384 share that is not a point of the curve",
    server: P384_SERVER,
    change: () =>
      rewriteHello("second", (hello) => {
        const entries = [{ group: 0x0018, key: new Uint8Array(97).fill(4) }];
        return { ...hello, extensions: withExtension(hello, { type: "key_share", entries }) };
      }),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello with other cipher suites",
    server: P384_SERVER,
    change: () => rewriteHello("second", (hello) => ({ ...hello, cipherSuites: [0x1301] })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello with another random value",
    server: P384_SERVER,
    change: () => rewriteHello("second", (hello) => ({ ...hello, random: new Uint8Array(32) })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello with a cookie that nobody gave",
    server: P384_SERVER,
    change: () =>
      rewriteHello("second", (hello) => ({
        ...hello,
        extensions: [...hello.extensions, { type: "cookie", cookie: new Uint8Array(1) }],
      })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello with another application protocol",
    server: P384_SERVER,
    change: () =>
      rewriteHello("second", (hello) => ({
        ...hello,
        extensions: withExtension(hello, { type: "application_layer_protocol_negotiation", protocols: ["h3"] }),
      })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello with other transport parameters",
    server: P384_SERVER,
    change: () =>
      rewriteHello("second", (hello) => ({
        ...hello,
        extensions: withExtension(hello, { type: "quic_transport_parameters", bytes: new Uint8Array(2) }),
      })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a second ClientHello with an extension less",
    server: P384_SERVER,
    change: () =>
      rewriteHello("second", (hello) => ({ ...hello, extensions: without("client_certificate_type")(hello) })),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a ClientHello where Finished was due",
    server: P384_SERVER,
    change: () => {
      let second: CryptoData | undefined;
      return (from, one): CryptoData[] => {
        const message = decodeMessage(one.data);
        if (message.type === "client_hello") second = one;
        // At the level that is read now, as a client without shame would.
        return from === "client" && message.type === "finished" ? [{ level: "handshake", data: second!.data }] : [one];
      };
    },
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4.1.1",
    input: "a ClientHello without a group in common",
    client: { ...CLIENT_CONFIG, groups: ["x25519"] },
    server: P384_SERVER,
    expect: "server handshake_failure",
  },
];
