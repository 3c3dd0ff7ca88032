/**
 * An IP address and port as frames carry them: 4 or 16 bytes and 2, in network order. The family is in the frame's type.
 *
 * @module
 */

import { addressFromBytes } from "../../core/address.ts";
import type { Address } from "../../core/address.ts";
import type { Reader } from "../../core/reader.ts";
import type { Writer } from "../../core/writer.ts";

/**
 * Reads an address; one that is IPv4-mapped becomes the IPv4 address it maps.
 *
 * @throws {TruncatedError} If the bytes end first.
 */
export function readAddress(reader: Reader, family: 4 | 6): Address {
  const bytes = reader.bytes(family === 4 ? 4 : 16);
  return addressFromBytes(bytes, reader.uint16());
}

/** Writes an address. A zone is not said: it means nothing elsewhere (RFC 4007 §6). */
export function writeAddress(writer: Writer, address: Address): void {
  writer.bytes(address.bytes);
  writer.uint16(address.port);
}

/** What {@linkcode writeAddress} takes. */
export function addressFieldBytes(address: Address): number {
  return address.bytes.length + 2;
}
