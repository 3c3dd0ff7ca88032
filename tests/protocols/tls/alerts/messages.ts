/**
 * Messages that are malformed or have no place, and peers that somebody refuses (RFC 8446 §4, §6.2, RFC 9001 §4.1.3, §4.4,
 * §4.6.1, §6, §8.3), for `alerts_table.ts`.
 *
 * @module
 */

import { concatBytes } from "../../../../protocols/core/bytes.ts";
import { decodeMessage } from "../../../../protocols/tls/messages.ts";
import type { HandshakeMessage } from "../../../../protocols/tls/messages.ts";
import { CLIENT_CONFIG, SERVER_CONFIG } from "../../../support/tls_pair.ts";
import type { AlertCase, Change } from "../../../support/tls_refusals.ts";

type Type = HandshakeMessage["type"];
type Side = "client" | "server";

/** Puts bytes in place of every message of that type. */
function replace(type: Type, bytes: (message: Uint8Array) => Uint8Array, side?: Side): () => Change {
  return () => (from, one) => {
    if (decodeMessage(one.data).type !== type || (side !== undefined && from !== side)) return [one];
    return [{ level: one.level, data: bytes(one.data) }];
  };
}

/** Leaves that message out. */
function drop(type: Type, side: Side): () => Change {
  return () => (from, one) => from === side && decodeMessage(one.data).type === type ? [] : [one];
}

/** Another byte at the end, which the length in front counts. */
function longer(message: Uint8Array): Uint8Array {
  const bytes = concatBytes(message, new Uint8Array(1));
  const length = bytes.length - 4;
  bytes.set([length >>> 16, length >>> 8, length], 1);
  return bytes;
}

/** A byte less at the end, which the length in front does not count. */
function shorter(message: Uint8Array): Uint8Array {
  const bytes = message.slice(0, -1);
  const length = bytes.length - 4;
  bytes.set([length >>> 16, length >>> 8, length], 1);
  return bytes;
}

/** One byte changed. */
function changed(at: number, to: number): (message: Uint8Array) => Uint8Array {
  return (message) => {
    const bytes = message.slice();
    bytes[at] = to;
    return bytes;
  };
}

/** A ClientHello with all its extensions twice. */
function twice(hello: Uint8Array): Uint8Array {
  // Type, length, version, random, no session ID, suites, one compression method: behind them the extensions begin.
  const suitesBytes = (hello[39]! << 8) | hello[40]!;
  const at = 41 + suitesBytes + 2;
  const list = hello.subarray(at + 2);
  const bytes = concatBytes(hello, list);
  bytes.set([(2 * list.length) >>> 8, 2 * list.length], at);
  const length = bytes.length - 4;
  bytes.set([length >>> 16, length >>> 8, length], 1);
  return bytes;
}

/** Where the compression method of a ClientHello of ours is. */
function compressionAt(hello: Uint8Array): number {
  return 41 + ((hello[39]! << 8) | hello[40]!) + 1;
}

const LONGEST_AND_ONE = 0x010001;

/** Messages that cannot be read, or say what no message may. */
export const MALFORMED_MESSAGES: readonly AlertCase[] = [
  ...(["client_hello", "server_hello", "encrypted_extensions", "certificate", "certificate_verify"] as const).flatMap(
    (type): AlertCase[] => {
      const expect = type === "client_hello" ? "server decode_error" : "client decode_error";
      return [
        { rule: "RFC 8446 §6.2", input: `${type} with a byte behind its end`, change: replace(type, longer), expect },
        { rule: "RFC 8446 §6.2", input: `${type} without its last byte`, change: replace(type, shorter), expect },
      ];
    },
  ),
  {
    rule: "RFC 8446 §4.1.2",
    input: "a ClientHello that offers compression",
    change: replace("client_hello", (hello) => changed(compressionAt(hello), 1)(hello)),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.2",
    input: "a ClientHello with each extension twice",
    change: replace("client_hello", twice),
    expect: "server illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.3",
    input: "a ServerHello with another legacy version",
    change: replace("server_hello", changed(5, 4)),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.3",
    input: "a ServerHello that chooses compression",
    change: replace("server_hello", changed(4 + 2 + 32 + 1 + 2, 1)),
    expect: "client illegal_parameter",
  },
  {
    rule: "RFC 8446 §4.1.2",
    input: "a ClientHello that says it is longer than 16 KiB",
    change: replace("client_hello", () => Uint8Array.of(1, 0, 0x40, 1)),
    expect: "server decode_error",
  },
  {
    rule: "RFC 8446 §4.4.2",
    input: "a Certificate that says it is longer than 64 KiB",
    change: replace("certificate", () => Uint8Array.of(11, LONGEST_AND_ONE >>> 16, 0, 1)),
    expect: "client decode_error",
  },
];

const KEY_UPDATE = Uint8Array.of(24, 0, 0, 1, 0);
const END_OF_EARLY_DATA = Uint8Array.of(5, 0, 0, 0);
const CERTIFICATE_REQUEST = Uint8Array.of(13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 7);
const FINISHED = Uint8Array.of(20, 0, 0, 0);
const TICKET = Uint8Array.of(4, 0, 0, 14, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 1, 7, 0, 0);
/** With early_data that is limited to 0x7fffffff bytes. */
const LIMITED_TICKET = Uint8Array.of(
  ...[4, 0, 0, 22, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 1, 7, 0, 8, 0, 42, 0, 4, 0x7f, 0xff, 0xff, 0xff],
);

/** Messages where they have no place. */
export const MISPLACED_MESSAGES: readonly AlertCase[] = [
  ...([
    ["encrypted_extensions", "server", "client"],
    ["certificate", "server", "client"],
    ["certificate_verify", "server", "client"],
    ["certificate", "client", "server"],
    ["certificate_verify", "client", "server"],
  ] as const).map(([type, side, victim]): AlertCase => ({
    rule: "RFC 8446 §4",
    input: `a ${side} that leaves out ${type}`,
    change: drop(type, side),
    expect: `${victim} unexpected_message`,
  })),
  {
    rule: "RFC 8446 §4",
    input: "EncryptedExtensions where a ClientHello was due",
    change: replace("client_hello", () => Uint8Array.of(8, 0, 0, 2, 0, 0)),
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4",
    input: "a Finished where a ClientHello was due",
    change: replace("client_hello", () => FINISHED),
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4",
    input: "a message of a type that does not exist",
    change: replace("server_hello", () => Uint8Array.of(99, 0, 0, 0)),
    expect: "client unexpected_message",
  },
  {
    rule: "RFC 9001 §6",
    input: "a KeyUpdate during the handshake",
    change: replace("encrypted_extensions", () => KEY_UPDATE),
    expect: "client unexpected_message",
  },
  {
    rule: "RFC 9001 §6",
    input: "a KeyUpdate during the handshake, by a client",
    change: replace("finished", (message) => concatBytes(KEY_UPDATE, message), "client"),
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 9001 §8.3",
    input: "an EndOfEarlyData",
    change: replace("finished", (message) => concatBytes(END_OF_EARLY_DATA, message), "client"),
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 9001 §4.1.3",
    input: "CRYPTO data behind a ServerHello at the level that it ends",
    change: replace("server_hello", (message) => concatBytes(message, Uint8Array.of(8))),
    expect: "client PROTOCOL_VIOLATION",
  },
  {
    rule: "RFC 9001 §4.1.3",
    input: "CRYPTO data behind a ClientHello at the level that it ends",
    change: replace("client_hello", (message) => concatBytes(message, Uint8Array.of(1))),
    expect: "server PROTOCOL_VIOLATION",
  },
  {
    rule: "RFC 9001 §4.1.3",
    input: "CRYPTO data behind a server's Finished at the level that it ends",
    change: replace("finished", (message) => concatBytes(message, Uint8Array.of(4)), "server"),
    expect: "client PROTOCOL_VIOLATION",
  },
  ...(["client", "server"] as const).map((victim): AlertCase => ({
    rule: "RFC 9001 §6",
    input: `a KeyUpdate after the handshake, to the ${victim}`,
    after: KEY_UPDATE,
    expect: `${victim} unexpected_message`,
  })),
  {
    rule: "RFC 9001 §4.4",
    input: "a CertificateRequest after the handshake",
    after: CERTIFICATE_REQUEST,
    expect: "client PROTOCOL_VIOLATION",
  },
  {
    rule: "RFC 9001 §4.6.1",
    input: "a NewSessionTicket whose early_data is not without limit",
    after: LIMITED_TICKET,
    expect: "client PROTOCOL_VIOLATION",
  },
  {
    rule: "RFC 8446 §4.6.1",
    input: "a NewSessionTicket from a client",
    after: TICKET,
    expect: "server unexpected_message",
  },
  {
    rule: "RFC 8446 §4.6.1",
    input: "a NewSessionTicket without its last byte",
    after: shorter(TICKET),
    expect: "client decode_error",
  },
  {
    rule: "RFC 8446 §4",
    input: "a Finished after the handshake",
    after: FINISHED,
    expect: "client unexpected_message",
  },
];

/** Peers that prove their key and are refused by whoever was asked: with the alert that is given. */
export const REFUSED_PEERS: readonly AlertCase[] = ([
  ["access_denied", "client"],
  ["access_denied", "server"],
  ["unknown_ca", "client"],
  ["certificate_expired", "client"],
  ["certificate_revoked", "client"],
] as const).map(([alert, victim]): AlertCase => ({
  rule: "RFC 8446 §6.2",
  input: `a peer of the ${victim} that somebody refuses with ${alert}`,
  client: { ...CLIENT_CONFIG, peer: { ...CLIENT_CONFIG.peer, ask: victim === "client" } },
  server: { ...SERVER_CONFIG, peer: { ...SERVER_CONFIG.peer, ask: victim === "server" } },
  verdict: { accepted: false, alert },
  expect: `${victim} ${alert}`,
}));
