/**
 * An address as capsules and uncompressed payloads carry it: IP Version, IP Address, UDP Port
 * (draft-ietf-masque-connect-udp-listen-13). Version 0 stands alone, for no address.
 *
 * @module
 */

import { type Address, addressFromBytes } from "../core/address.ts";
import type { Reader } from "../core/reader.ts";
import type { Writer } from "../core/writer.ts";

/** Longest form: version, IPv6 address, port. */
export const MAX_TUPLE_BYTES = 19;

/** Bytes that an address takes; 1 for none. */
export function tupleBytes(address: Address | undefined): number {
  return address === undefined ? 1 : 3 + address.bytes.length;
}

/** Writes an address, or version 0 for none. */
export function writeTuple(writer: Writer, address: Address | undefined): void {
  if (address === undefined) return writer.uint8(0);
  writer.uint8(address.family);
  writer.bytes(address.bytes);
  writer.uint16(address.port);
}

/** The IP Version field. @throws {TruncatedError} If there is none. */
export function readIpVersion(reader: Reader): number {
  return reader.uint8();
}

/** Bytes of an address of that version; `undefined` if there is no such version. */
export function ipVersionBytes(version: number): 4 | 16 | undefined {
  return version === 4 ? 4 : version === 6 ? 16 : undefined;
}

/**
 * Reads what follows the version.
 *
 * @param version 4 or 6.
 * @throws {TruncatedError} If the bytes end first.
 */
export function readTuple(reader: Reader, version: number): Address {
  const bytes = reader.bytes(ipVersionBytes(version) ?? 0);
  return addressFromBytes(bytes, reader.uint16());
}
