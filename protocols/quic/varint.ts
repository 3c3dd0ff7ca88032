/**
 * Variable-length integers: RFC 9000 §16.
 *
 * @module
 */

import type { Reader } from "../core/reader.ts";
import type { Writer } from "../core/writer.ts";

/** Largest value a varint can say, 2^62 - 1. Only what is compared or echoed is carried this wide. */
export const MAX_VARINT = 0x3fffffffffffffffn;

/**
 * Reads a varint (RFC 9000 §16) as a `number`, saturating at `Number.MAX_SAFE_INTEGER`.
 *
 * Peers do send 2^62 - 1 (RFC 9001 §A.2 carries it as `initial_max_data`), so a large value is not an
 * error. Saturating keeps limits correct; a saturated length, offset or stream ID is refused by the
 * limit check it has to pass anyway. What we compare or echo but never count uses `readVarint62`.
 *
 * @throws {TruncatedError} If the bytes end first.
 */
export function readVarint(reader: Reader): number {
  const first = reader.uint8();
  const prefix = first & 0x3f;
  switch (first >> 6) {
    case 0:
      return prefix;
    case 1:
      return prefix * 0x100 + reader.uint8();
    case 2:
      return prefix * 0x1000000 + reader.uint24();
    default: {
      const high = prefix * 0x1000000 + reader.uint24();
      const low = reader.uint32();
      return high > 0x1fffff ? Number.MAX_SAFE_INTEGER : high * 0x100000000 + low;
    }
  }
}

/** Reads a varint exactly. Not for the per-packet path. @throws {TruncatedError} If the bytes end first. */
export function readVarint62(reader: Reader): bigint {
  if (reader.peek() >> 6 < 3) return BigInt(readVarint(reader));
  const high = BigInt(reader.uint32() - 0xc0000000);
  return (high << 32n) | BigInt(reader.uint32());
}

/**
 * Writes a varint in the shortest of its four lengths.
 *
 * @param value 0 to `Number.MAX_SAFE_INTEGER`.
 * @throws {RangeError} If the value is out of range, or the buffer ends first.
 */
export function writeVarint(writer: Writer, value: number): void {
  if (value < 0x40) {
    if (!(value >= 0)) throw new RangeError(`Cannot write ${value} as a varint: it is not 0 to 2^53 - 1`);
    writer.uint8(value);
  } else if (value < 0x4000) {
    writer.uint16(0x4000 | value);
  } else if (value < 0x40000000) {
    writer.uint32(0x80000000 + value);
  } else {
    if (!(value <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`Cannot write ${value} as a varint: it exceeds 2^53 - 1`);
    }
    writer.uint32(0xc0000000 + Math.floor(value / 0x100000000));
    writer.uint32(value % 0x100000000);
  }
}

/** Writes a varint that may exceed 2^53 - 1. @throws {RangeError} If it is not 0 to 2^62 - 1. */
export function writeVarint62(writer: Writer, value: bigint): void {
  if (value < 0n || value > MAX_VARINT) {
    throw new RangeError(`Cannot write ${value} as a varint: it is not 0 to 2^62 - 1`);
  }
  if (value < 0x40000000n) return writeVarint(writer, Number(value));
  writer.uint32(0xc0000000 + Number(value >> 32n));
  writer.uint32(Number(value & 0xffffffffn));
}

/** Writes `value` (below 2^14) in two bytes: for a length that is patched once it is known. */
export function writeVarint2(writer: Writer, value: number): void {
  if (!(value >= 0 && value < 0x4000)) throw new RangeError(`Cannot write ${value} as a varint of two bytes`);
  writer.uint16(0x4000 | value);
}

/** How many bytes `writeVarint` takes for `value`: 1, 2, 4 or 8. */
export function varintBytes(value: number): number {
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x40000000 ? 4 : 8;
}
