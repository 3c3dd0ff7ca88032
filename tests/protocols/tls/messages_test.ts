import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { fromHex } from "../../../protocols/core/bytes.ts";
import { TlsAlert } from "../../../protocols/tls/alerts.ts";
import {
  decodeMessage,
  encodeMessage,
  isHelloRetryRequest,
  MAX_MESSAGE_BYTES,
  messageBytes,
} from "../../../protocols/tls/messages.ts";
import type { HandshakeMessage, ServerHello } from "../../../protocols/tls/messages.ts";
import { MESSAGES } from "../../vectors/rfc8448_3.ts";

const RANDOM = new Uint8Array(32).fill(3);
const EMPTY = new Uint8Array(0);

const ALL: readonly HandshakeMessage[] = [
  {
    type: "client_hello",
    random: RANDOM,
    legacySessionId: new Uint8Array(2),
    cipherSuites: [0x1301],
    extensions: [{ type: "supported_versions", versions: [0x0304] }],
  },
  { type: "server_hello", random: RANDOM, legacySessionIdEcho: EMPTY, cipherSuite: 0x1303, extensions: [] },
  { type: "new_session_ticket", lifetimeSeconds: 7, ageAdd: 8, nonce: EMPTY, ticket: RANDOM, extensions: [] },
  { type: "encrypted_extensions", extensions: [] },
  {
    type: "certificate",
    context: EMPTY,
    entries: [{ data: RANDOM, extensions: [] }, { data: RANDOM, extensions: [] }],
  },
  { type: "certificate_request", context: RANDOM, extensions: [{ type: "signature_algorithms", schemes: [0x0807] }] },
  { type: "certificate_verify", scheme: 0x0807, signature: RANDOM },
  { type: "finished", verifyData: RANDOM },
];

Deno.test("Handshake messages are read back as they were written (RFC 8446 §4)", () => {
  for (const message of ALL) {
    const bytes = encodeMessage(message);
    strictEqual(messageBytes(bytes), bytes.length);
    deepStrictEqual(decodeMessage(bytes), message);
  }
});

Deno.test("ServerHello with the special random is HelloRetryRequest (RFC 8446 §4.1.3)", () => {
  const random = fromHex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
  const retry: ServerHello = {
    type: "server_hello",
    random,
    legacySessionIdEcho: EMPTY,
    cipherSuite: 0x1301,
    extensions: [{ type: "key_share", entries: [{ group: 0x17, key: EMPTY }] }],
  };
  deepStrictEqual(decodeMessage(encodeMessage(retry)), retry);
  strictEqual(isHelloRetryRequest(retry), true);
  const plain = decodeMessage(MESSAGES.serverHello);
  strictEqual(plain.type === "server_hello" && isHelloRetryRequest(plain), false);
});

Deno.test("Hellos with compression or another legacy version are refused (RFC 8446 §4.1.2, §4.1.3)", () => {
  const alert = (change: (bytes: Uint8Array) => void, of: Uint8Array): string | undefined => {
    const bytes = of.slice();
    change(bytes);
    try {
      decodeMessage(bytes);
    } catch (error) {
      return error instanceof TlsAlert ? error.alert : undefined;
    }
    return undefined;
  };
  // Behind header, version, random, empty session ID and three suites come two bytes of compression methods.
  const at = 4 + 2 + 32 + 1 + 2 + 6;
  strictEqual(alert((bytes) => bytes[at + 1] = 1, MESSAGES.clientHello), "illegal_parameter");
  strictEqual(alert((bytes) => bytes[5] = 2, MESSAGES.serverHello), "illegal_parameter");
  strictEqual(alert((bytes) => bytes[4 + 2 + 32 + 1 + 2] = 1, MESSAGES.serverHello), "illegal_parameter");
  // legacy_version of a ClientHello says nothing.
  strictEqual(alert((bytes) => bytes[5] = 2, MESSAGES.clientHello), undefined);
});

Deno.test("Message types that QUIC has no use for are refused (RFC 9001 §6, §8.3)", () => {
  for (const type of [0, 3, 5, 6, 24, 254]) {
    throws(() => decodeMessage(Uint8Array.of(type, 0, 0, 0)), (error) => {
      return error instanceof TlsAlert && error.alert === "unexpected_message";
    });
  }
});

Deno.test("encodeMessage writes up to 64 KiB and no more", () => {
  const finished = (length: number): HandshakeMessage => ({ type: "finished", verifyData: new Uint8Array(length) });
  strictEqual(encodeMessage(finished(MAX_MESSAGE_BYTES)).length, 4 + MAX_MESSAGE_BYTES);
  throws(() => encodeMessage(finished(MAX_MESSAGE_BYTES + 1)), RangeError);
});
