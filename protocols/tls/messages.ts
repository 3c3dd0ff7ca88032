/**
 * Handshake messages (RFC 8446 §4), read and written. Byte arrays of a message that was read are views of its bytes.
 *
 * EndOfEarlyData and KeyUpdate do not exist in QUIC (RFC 9001 §8.3, §6) and are refused like any unknown type.
 *
 * @module
 */

import { equalBytes, fromHex } from "../core/bytes.ts";
import { Reader, TruncatedError } from "../core/reader.ts";
import { unreachable } from "../core/unreachable.ts";
import { Writer } from "../core/writer.ts";
import { TlsAlert } from "./alerts.ts";
import { readExtensions, writeExtensions } from "./extensions.ts";
import type { Extension } from "./extensions.ts";
import { readOpaque, readUint16s, readVector, writeOpaque, writeUint16s, writeVector } from "./vector.ts";

/** A message's type (1 byte) and length (3 bytes). */
export const MESSAGE_HEADER_BYTES = 4;

/** Longest message, without its header, that is taken or sent; a chain of certificates has to fit. */
export const MAX_MESSAGE_BYTES = 0x10000;

/** Longest ClientHello taken: it comes from strangers, and with a post-quantum share it has under 2 KiB. */
export const MAX_CLIENT_HELLO_BYTES = 0x4000;

/** Length of the random values of both hellos. */
export const RANDOM_BYTES = 32;

/** TLS 1.3 in supported_versions: RFC 8446 §4.2.1. */
export const TLS_1_3 = 0x0304;

/** TLS 1.2, which the legacy_version fields say for good (RFC 8446 §4.1.2). */
const LEGACY_VERSION = 0x0303;

/** The random value that makes a ServerHello a HelloRetryRequest: RFC 8446 §4.1.3. Not to be written. */
export const HELLO_RETRY_REQUEST_RANDOM: Uint8Array = fromHex(
  "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c",
);

/** RFC 8446 §4.1.2. */
export interface ClientHello {
  readonly type: "client_hello";
  readonly random: Uint8Array;
  readonly legacySessionId: Uint8Array;
  readonly cipherSuites: readonly number[];
  readonly extensions: readonly Extension[];
}

/** RFC 8446 §4.1.3, and HelloRetryRequest (§4.1.4), which differs by its random value. */
export interface ServerHello {
  readonly type: "server_hello";
  readonly random: Uint8Array;
  readonly legacySessionIdEcho: Uint8Array;
  readonly cipherSuite: number;
  readonly extensions: readonly Extension[];
}

/** RFC 8446 §4.3.1. */
export interface EncryptedExtensions {
  readonly type: "encrypted_extensions";
  readonly extensions: readonly Extension[];
}

/** RFC 8446 §4.3.2. */
export interface CertificateRequest {
  readonly type: "certificate_request";
  readonly context: Uint8Array;
  readonly extensions: readonly Extension[];
}

/** RFC 8446 §4.4.2. */
export interface CertificateEntry {
  /** An X.509 certificate or a SubjectPublicKeyInfo, in DER. */
  readonly data: Uint8Array;
  readonly extensions: readonly Extension[];
}

/** RFC 8446 §4.4.2. */
export interface Certificate {
  readonly type: "certificate";
  readonly context: Uint8Array;
  readonly entries: readonly CertificateEntry[];
}

/** RFC 8446 §4.4.3. */
export interface CertificateVerify {
  readonly type: "certificate_verify";
  readonly scheme: number;
  readonly signature: Uint8Array;
}

/** RFC 8446 §4.4.4. */
export interface Finished {
  readonly type: "finished";
  readonly verifyData: Uint8Array;
}

/** RFC 8446 §4.6.1. */
export interface NewSessionTicket {
  readonly type: "new_session_ticket";
  readonly lifetimeSeconds: number;
  readonly ageAdd: number;
  readonly nonce: Uint8Array;
  readonly ticket: Uint8Array;
  readonly extensions: readonly Extension[];
}

/** A message of the handshake protocol. `type` is the name RFC 8446 §4 gives it. */
export type HandshakeMessage =
  | ClientHello
  | ServerHello
  | NewSessionTicket
  | EncryptedExtensions
  | Certificate
  | CertificateRequest
  | CertificateVerify
  | Finished;

const TYPE_CODES: Readonly<Record<HandshakeMessage["type"], number>> = {
  client_hello: 1,
  server_hello: 2,
  new_session_ticket: 4,
  encrypted_extensions: 8,
  certificate: 11,
  certificate_request: 13,
  certificate_verify: 15,
  finished: 20,
};

const CLIENT_HELLO_CODE = TYPE_CODES.client_hello;

/**
 * The length of a whole message with its header, from its first four bytes.
 *
 * @throws {TlsAlert} decode_error, if it is longer than we take.
 */
export function messageBytes(header: Uint8Array): number {
  const reader = new Reader(header);
  const limit = reader.uint8() === CLIENT_HELLO_CODE ? MAX_CLIENT_HELLO_BYTES : MAX_MESSAGE_BYTES;
  const length = reader.uint24();
  if (length > limit) throw new TlsAlert("decode_error", `A handshake message of ${length} bytes: at most ${limit}`);
  return MESSAGE_HEADER_BYTES + length;
}

/**
 * Reads one whole message, header included.
 *
 * @throws {TlsAlert} decode_error, illegal_parameter or unexpected_message.
 */
export function decodeMessage(bytes: Uint8Array): HandshakeMessage {
  try {
    const reader = new Reader(bytes);
    const code = reader.uint8();
    const body = readVector(reader, 3, { min: 0, max: MAX_MESSAGE_BYTES });
    const message = readBody(body, code);
    if (body.remaining + reader.remaining > 0) throw new TlsAlert("decode_error", "Bytes after the end of a message");
    return message;
  } catch (error) {
    if (error instanceof TruncatedError) throw new TlsAlert("decode_error", error.message, { cause: error });
    throw error;
  }
}

// Where messages are written before their length is known. Nothing is kept in it between calls.
const scratch = new Uint8Array(MESSAGE_HEADER_BYTES + MAX_MESSAGE_BYTES);

/**
 * Writes one message, header included, into a new array.
 *
 * @throws {RangeError} If it is longer than 64 KiB.
 */
export function encodeMessage(message: HandshakeMessage): Uint8Array {
  const writer = new Writer(scratch);
  writer.uint8(TYPE_CODES[message.type]);
  writeVector(writer, 3, () => writeBody(writer, message));
  return writer.written().slice();
}

/** Whether the message asks for another ClientHello: RFC 8446 §4.1.3. */
export function isHelloRetryRequest(message: ServerHello): boolean {
  return equalBytes(message.random, HELLO_RETRY_REQUEST_RANDOM);
}

function readBody(reader: Reader, code: number): HandshakeMessage {
  switch (code) {
    case TYPE_CODES.client_hello:
      return readClientHello(reader);
    case TYPE_CODES.server_hello:
      return readServerHello(reader);
    case TYPE_CODES.new_session_ticket:
      return readNewSessionTicket(reader);
    case TYPE_CODES.encrypted_extensions:
      return { type: "encrypted_extensions", extensions: readExtensions(reader, "EE") };
    case TYPE_CODES.certificate:
      return readCertificate(reader);
    case TYPE_CODES.certificate_request: {
      const context = readOpaque(reader, 1, { min: 0, max: 0xff });
      return { type: "certificate_request", context, extensions: readExtensions(reader, "CR") };
    }
    case TYPE_CODES.certificate_verify: {
      const scheme = reader.uint16();
      return { type: "certificate_verify", scheme, signature: readOpaque(reader, 2, { min: 0, max: 0xffff }) };
    }
    case TYPE_CODES.finished:
      return { type: "finished", verifyData: reader.rest() };
    default:
      throw new TlsAlert("unexpected_message", `A handshake message of type ${code}`);
  }
}

function writeBody(writer: Writer, message: HandshakeMessage): void {
  switch (message.type) {
    case "client_hello":
      return writeClientHello(writer, message);
    case "server_hello":
      return writeServerHello(writer, message);
    case "new_session_ticket":
      return writeNewSessionTicket(writer, message);
    case "encrypted_extensions":
      return writeExtensions(writer, message.extensions, "EE");
    case "certificate":
      return writeCertificate(writer, message);
    case "certificate_request":
      writeOpaque(writer, 1, message.context);
      return writeExtensions(writer, message.extensions, "CR");
    case "certificate_verify":
      writer.uint16(message.scheme);
      return writeOpaque(writer, 2, message.signature);
    case "finished":
      return writer.bytes(message.verifyData);
    default:
      return unreachable(message);
  }
}

function readClientHello(reader: Reader): ClientHello {
  reader.skip(2); // legacy_version: supported_versions decides (RFC 8446 §4.2.1)
  const random = reader.bytes(RANDOM_BYTES);
  const legacySessionId = readOpaque(reader, 1, { min: 0, max: 32 });
  const cipherSuites = readUint16s(reader, 2, { min: 2, max: 0xfffe });
  const compressionMethods = readOpaque(reader, 1, { min: 1, max: 0xff });
  // RFC 8446 §4.1.2: exactly one byte, zero.
  if (compressionMethods.length !== 1 || compressionMethods[0] !== 0) {
    throw new TlsAlert("illegal_parameter", "A ClientHello that offers compression");
  }
  return { type: "client_hello", random, legacySessionId, cipherSuites, extensions: readExtensions(reader, "CH") };
}

function writeClientHello(writer: Writer, message: ClientHello): void {
  writer.uint16(LEGACY_VERSION);
  writer.bytes(message.random);
  writeOpaque(writer, 1, message.legacySessionId);
  writeUint16s(writer, 2, message.cipherSuites);
  writer.uint8(1);
  writer.uint8(0);
  writeExtensions(writer, message.extensions, "CH");
}

function readServerHello(reader: Reader): ServerHello {
  if (reader.uint16() !== LEGACY_VERSION) throw new TlsAlert("illegal_parameter", "A ServerHello of another version");
  const random = reader.bytes(RANDOM_BYTES);
  const legacySessionIdEcho = readOpaque(reader, 1, { min: 0, max: 32 });
  const cipherSuite = reader.uint16();
  if (reader.uint8() !== 0) throw new TlsAlert("illegal_parameter", "A ServerHello that chooses compression");
  const place = equalBytes(random, HELLO_RETRY_REQUEST_RANDOM) ? "HRR" : "SH";
  const extensions = readExtensions(reader, place);
  return { type: "server_hello", random, legacySessionIdEcho, cipherSuite, extensions };
}

function writeServerHello(writer: Writer, message: ServerHello): void {
  writer.uint16(LEGACY_VERSION);
  writer.bytes(message.random);
  writeOpaque(writer, 1, message.legacySessionIdEcho);
  writer.uint16(message.cipherSuite);
  writer.uint8(0);
  writeExtensions(writer, message.extensions, isHelloRetryRequest(message) ? "HRR" : "SH");
}

function readCertificate(reader: Reader): Certificate {
  const context = readOpaque(reader, 1, { min: 0, max: 0xff });
  const list = readVector(reader, 3, { min: 0, max: MAX_MESSAGE_BYTES });
  const entries: CertificateEntry[] = [];
  while (list.remaining > 0) {
    const data = readOpaque(list, 3, { min: 1, max: MAX_MESSAGE_BYTES });
    entries.push({ data, extensions: readExtensions(list, "CT") });
  }
  return { type: "certificate", context, entries };
}

function writeCertificate(writer: Writer, message: Certificate): void {
  writeOpaque(writer, 1, message.context);
  writeVector(writer, 3, () => {
    for (const { data, extensions } of message.entries) {
      writeOpaque(writer, 3, data);
      writeExtensions(writer, extensions, "CT");
    }
  });
}

function readNewSessionTicket(reader: Reader): NewSessionTicket {
  const lifetimeSeconds = reader.uint32();
  const ageAdd = reader.uint32();
  const nonce = readOpaque(reader, 1, { min: 0, max: 0xff });
  const ticket = readOpaque(reader, 2, { min: 1, max: 0xffff });
  const extensions = readExtensions(reader, "NST");
  return { type: "new_session_ticket", lifetimeSeconds, ageAdd, nonce, ticket, extensions };
}

function writeNewSessionTicket(writer: Writer, message: NewSessionTicket): void {
  writer.uint32(message.lifetimeSeconds);
  writer.uint32(message.ageAdd);
  writeOpaque(writer, 1, message.nonce);
  writeOpaque(writer, 2, message.ticket);
  writeExtensions(writer, message.extensions, "NST");
}
