/**
 * The capsules that open and close contexts: COMPRESSION_ASSIGN, COMPRESSION_ACK, COMPRESSION_CLOSE of
 * draft-ietf-masque-connect-udp-listen-13. Whether a context may be opened or closed is for `contexts.ts`.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { Reader, TruncatedError } from "../core/reader.ts";
import { unreachable } from "../core/unreachable.ts";
import { Writer } from "../core/writer.ts";
import { type Capsule, encodeCapsule } from "../http3/capsule.ts";
import { Http3StreamError } from "../http3/errors.ts";
import { readVarint, varintBytes, writeVarint } from "../quic/varint.ts";
import { ipVersionBytes, readIpVersion, readTuple, tupleBytes, writeTuple } from "./tuple.ts";

/** The capsule types. */
export const COMPRESSION_CAPSULE = {
  COMPRESSION_ASSIGN: 0x11,
  COMPRESSION_ACK: 0x12,
  COMPRESSION_CLOSE: 0x13,
} as const;

/** Longest value of them: a varint, and an IPv6 address with its port. */
export const MAX_COMPRESSION_VALUE_BYTES = 27;

/** Says something of a context. */
export type CompressionCapsule =
  /** `target` absent: the uncompressed context, whose datagrams name their addresses themselves. */
  | { readonly type: "COMPRESSION_ASSIGN"; readonly contextId: number; readonly target: Address | undefined }
  | { readonly type: "COMPRESSION_ACK"; readonly contextId: number }
  | { readonly type: "COMPRESSION_CLOSE"; readonly contextId: number };

/** The capsule as bytes. */
export function encodeCompressionCapsule(capsule: CompressionCapsule): Uint8Array<ArrayBuffer> {
  const target = capsule.type === "COMPRESSION_ASSIGN" ? capsule.target : undefined;
  const isAssign = capsule.type === "COMPRESSION_ASSIGN";
  const value = new Uint8Array(varintBytes(capsule.contextId) + (isAssign ? tupleBytes(target) : 0));
  const writer = new Writer(value);
  writeVarint(writer, capsule.contextId);
  if (isAssign) writeTuple(writer, target);
  return encodeCapsule(COMPRESSION_CAPSULE[capsule.type], value);
}

/**
 * Reads a capsule that the parser cut out.
 *
 * @returns `undefined` for any other type.
 * @throws {Http3StreamError} H3_MESSAGE_ERROR, if it is malformed: RFC 9297 §3.3.
 */
export function decodeCompressionCapsule(capsule: Capsule): CompressionCapsule | undefined {
  const name = nameOf(capsule.type);
  if (name === undefined) return undefined;
  const reader = new Reader(capsule.value);
  try {
    const contextId = readVarint(reader);
    // The one context that exists from the beginning.
    if (contextId === 0) throw malformed(`${name} names context 0`);
    const decoded = decodeRest(name, contextId, reader);
    if (reader.remaining > 0) throw malformed(`${name} has ${reader.remaining} bytes too many`);
    return decoded;
  } catch (error) {
    if (error instanceof TruncatedError) throw malformed(`${name} ends inside a field`);
    throw error;
  }
}

/** What RFC 9297 §3.3 makes of an error of the capsule protocol: a malformed message, RFC 9114 §4.1.2. */
export function malformed(message: string): Http3StreamError {
  return new Http3StreamError("H3_MESSAGE_ERROR", message);
}

function decodeRest(name: CompressionCapsule["type"], contextId: number, reader: Reader): CompressionCapsule {
  switch (name) {
    case "COMPRESSION_ASSIGN": {
      const version = readIpVersion(reader);
      if (version === 0) return { type: name, contextId, target: undefined };
      if (ipVersionBytes(version) === undefined) throw malformed(`${name} has IP version ${version}`);
      return { type: name, contextId, target: readTuple(reader, version) };
    }
    case "COMPRESSION_ACK":
    case "COMPRESSION_CLOSE":
      return { type: name, contextId };
    default:
      return unreachable(name);
  }
}

function nameOf(type: number): CompressionCapsule["type"] | undefined {
  switch (type) {
    case COMPRESSION_CAPSULE.COMPRESSION_ASSIGN:
      return "COMPRESSION_ASSIGN";
    case COMPRESSION_CAPSULE.COMPRESSION_ACK:
      return "COMPRESSION_ACK";
    case COMPRESSION_CAPSULE.COMPRESSION_CLOSE:
      return "COMPRESSION_CLOSE";
    default:
      return undefined;
  }
}
