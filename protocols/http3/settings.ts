/**
 * The SETTINGS frame: RFC 9114 §7.2.4, RFC 9204 §5, RFC 9220 §5, RFC 9297 §2.1.1.
 *
 * No reserved setting is sent (§7.2.4.1 says that endpoints SHOULD): it would have to differ from connection to connection
 * to be of use, and nothing else here needs randomness.
 *
 * @module
 */

import { Reader, TruncatedError } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import { readVarint62, writeVarint } from "../quic/varint.ts";
import type { Http3Options, PeerSettings } from "./config.ts";
import { Http3Error } from "./errors.ts";
import { encodeFrame } from "./frame.ts";

/** Setting identifiers. */
export const SETTING = {
  QPACK_MAX_TABLE_CAPACITY: 0x01,
  MAX_FIELD_SECTION_SIZE: 0x06,
  QPACK_BLOCKED_STREAMS: 0x07,
  ENABLE_CONNECT_PROTOCOL: 0x08,
  H3_DATAGRAM: 0x33,
} as const;

/** Settings a peer may send; a SETTINGS frame fits in `MAX_CONTROL_FRAME_BYTES`, but each is remembered for a while. */
export const MAX_SETTINGS = 64;

/** RFC 9114 §11.2.2: identifiers of HTTP/2 that mean nothing here. */
const RESERVED: ReadonlySet<bigint> = new Set([0x00n, 0x02n, 0x03n, 0x04n, 0x05n]);

/** Pairs of identifier and value are at most this long together, with five of them. */
const MAX_SETTINGS_BYTES = 80;

/** The SETTINGS frame of our end. */
export function encodeSettings(options: Http3Options, isServer: boolean): Uint8Array<ArrayBuffer> {
  const writer = new Writer(new Uint8Array(MAX_SETTINGS_BYTES));
  const write = (identifier: number, value: number): void => {
    writeVarint(writer, identifier);
    writeVarint(writer, value);
  };
  write(SETTING.QPACK_MAX_TABLE_CAPACITY, 0);
  write(SETTING.MAX_FIELD_SECTION_SIZE, options.maxFieldSectionBytes);
  write(SETTING.QPACK_BLOCKED_STREAMS, 0);
  // RFC 8441 §3: a client's would mean nothing.
  if (isServer && options.enableConnectProtocol) write(SETTING.ENABLE_CONNECT_PROTOCOL, 1);
  if (options.enableDatagrams) write(SETTING.H3_DATAGRAM, 1);
  return encodeFrame("SETTINGS", writer.written());
}

/**
 * Reads the payload of a SETTINGS frame.
 *
 * @throws {Http3Error} H3_SETTINGS_ERROR, for a reserved identifier, one that comes twice, or a value that is not 0 or 1
 * where it must be; H3_FRAME_ERROR, if it is cut short; H3_EXCESSIVE_LOAD, for more than `MAX_SETTINGS`.
 */
export function decodeSettings(payload: Uint8Array): PeerSettings {
  const reader = new Reader(payload);
  const values = new Map<bigint, bigint>();
  while (reader.remaining > 0) {
    const [identifier, value] = readPair(reader);
    if (RESERVED.has(identifier)) throw failed(`Setting 0x${identifier.toString(16)} is reserved`);
    if (values.has(identifier)) throw failed(`Setting 0x${identifier.toString(16)} came twice`);
    if (values.size === MAX_SETTINGS) throw new Http3Error("H3_EXCESSIVE_LOAD", "There are too many settings");
    values.set(identifier, value);
  }
  const maxFieldSectionBytes = values.get(BigInt(SETTING.MAX_FIELD_SECTION_SIZE));
  return {
    maxFieldSectionBytes: maxFieldSectionBytes === undefined ? Infinity : Number(maxFieldSectionBytes),
    enableConnectProtocol: booleanOf(values, SETTING.ENABLE_CONNECT_PROTOCOL),
    enableDatagrams: booleanOf(values, SETTING.H3_DATAGRAM),
  };
}

function readPair(reader: Reader): readonly [bigint, bigint] {
  try {
    return [readVarint62(reader), readVarint62(reader)];
  } catch (error) {
    if (error instanceof TruncatedError) throw new Http3Error("H3_FRAME_ERROR", "SETTINGS ends inside a setting");
    throw error;
  }
}

/** RFC 8441 §3, RFC 9297 §2.1.1. */
function booleanOf(values: ReadonlyMap<bigint, bigint>, identifier: number): boolean {
  const value = values.get(BigInt(identifier)) ?? 0n;
  if (value > 1n) throw failed(`Setting 0x${identifier.toString(16)} is ${value}, and not 0 or 1`);
  return value === 1n;
}

function failed(message: string): Http3Error {
  return new Http3Error("H3_SETTINGS_ERROR", message);
}
