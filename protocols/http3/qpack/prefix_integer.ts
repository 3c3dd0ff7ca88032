/**
 * Integers whose first bits share a byte with something else: RFC 7541 §5.1, RFC 9204 §4.1.1.
 *
 * @module
 */

import type { Reader } from "../../core/reader.ts";
import type { Writer } from "../../core/writer.ts";

/** Bytes behind the first one: nine say 62 bits and more, which RFC 9204 §4.1.1 asks for. Zeros may not go on for ever. */
export const MAX_CONTINUATION_BYTES = 10;

/** An integer has more than `MAX_CONTINUATION_BYTES`. Decoders turn it into the error of the place it stands in. */
export class PrefixIntegerError extends Error {
  override readonly name = "PrefixIntegerError";
}

/**
 * Reads an integer whose first byte is the reader's next, saturating at `Number.MAX_SAFE_INTEGER`: no index or length is
 * that large, so that the check it has to pass anyway refuses it.
 *
 * @param prefixBits How many low bits of the first byte belong to it, 1 to 8.
 * @throws {TruncatedError} If the bytes end first.
 * @throws {PrefixIntegerError} If it does not end.
 */
export function readPrefixInteger(reader: Reader, prefixBits: number): number {
  const limit = (1 << prefixBits) - 1;
  let value = reader.uint8() & limit;
  if (value < limit) return value;
  let factor = 1;
  for (let count = 0; count < MAX_CONTINUATION_BYTES; count++) {
    const byte = reader.uint8();
    value = Math.min(value + (byte & 0x7f) * factor, Number.MAX_SAFE_INTEGER);
    if (byte < 0x80) return value;
    factor *= 0x80;
  }
  throw new PrefixIntegerError(`An integer has more than ${MAX_CONTINUATION_BYTES + 1} bytes`);
}

/**
 * Writes an integer.
 *
 * @param prefixBits How many low bits of the first byte it may use, 1 to 8.
 * @param highBits What the other bits of the first byte are, already in their place.
 * @param value 0 to `Number.MAX_SAFE_INTEGER`.
 */
export function writePrefixInteger(writer: Writer, prefixBits: number, highBits: number, value: number): void {
  const limit = (1 << prefixBits) - 1;
  if (value < limit) return writer.uint8(highBits | value);
  writer.uint8(highBits | limit);
  let rest = value - limit;
  while (rest >= 0x80) {
    writer.uint8(0x80 | (rest % 0x80));
    rest = Math.floor(rest / 0x80);
  }
  writer.uint8(rest);
}
