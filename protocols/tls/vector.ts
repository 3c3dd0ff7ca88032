/**
 * Vectors: runs of bytes with their length in front (RFC 8446 §3.4).
 *
 * @module
 */

import type { Reader } from "../core/reader.ts";
import type { Writer } from "../core/writer.ts";
import { TlsAlert } from "./alerts.ts";

/** What the angle brackets of the RFC's syntax say, in bytes: `opaque key<1..2^16-1>`. */
export interface VectorBounds {
  readonly min: number;
  readonly max: number;
}

/** Bytes that the length in front takes. */
export type LengthBytes = 1 | 2 | 3;

/**
 * A reader over the next vector, which `reader` then has passed.
 *
 * @throws {TruncatedError} If the bytes end first.
 * @throws {TlsAlert} decode_error, if the length is out of bounds.
 */
export function readVector(reader: Reader, lengthBytes: LengthBytes, bounds: VectorBounds): Reader {
  const length = lengthBytes === 1 ? reader.uint8() : lengthBytes === 2 ? reader.uint16() : reader.uint24();
  if (length < bounds.min || length > bounds.max) {
    throw new TlsAlert("decode_error", `A vector of ${length} bytes, where ${bounds.min} to ${bounds.max} are allowed`);
  }
  return reader.sub(length);
}

/** A view of the next vector's bytes. Throws as {@linkcode readVector} does. */
export function readOpaque(reader: Reader, lengthBytes: LengthBytes, bounds: VectorBounds): Uint8Array {
  return readVector(reader, lengthBytes, bounds).rest();
}

/** The next vector as numbers of two bytes. Throws as {@linkcode readVector} does. */
export function readUint16s(reader: Reader, lengthBytes: LengthBytes, bounds: VectorBounds): number[] {
  const list = readVector(reader, lengthBytes, bounds);
  const numbers: number[] = [];
  while (list.remaining > 0) numbers.push(list.uint16());
  return numbers;
}

/** Writes what `body` writes, with its length in front. */
export function writeVector(writer: Writer, lengthBytes: LengthBytes, body: () => void): void {
  const lengthAt = writer.skip(lengthBytes);
  body();
  const end = writer.offset;
  writer.offset = lengthAt;
  const length = end - lengthAt - lengthBytes;
  if (lengthBytes === 1) writer.uint8(length);
  else if (lengthBytes === 2) writer.uint16(length);
  else writer.uint24(length);
  writer.offset = end;
}

/** Writes bytes with their length in front. */
export function writeOpaque(writer: Writer, lengthBytes: LengthBytes, bytes: Uint8Array): void {
  writeVector(writer, lengthBytes, () => writer.bytes(bytes));
}

/** Writes numbers of two bytes with the length of all in front. */
export function writeUint16s(writer: Writer, lengthBytes: LengthBytes, numbers: readonly number[]): void {
  writeVector(writer, lengthBytes, () => {
    for (const number of numbers) writer.uint16(number);
  });
}
