/**
 * Elements of DER, the one encoding of ASN.1 that certificates have (X.690 §8, §10; RFC 5280 §4.1). Only the forms that
 * certificates need: tags of one byte, definite lengths of up to two bytes.
 *
 * @module
 */

import type { Reader } from "../../core/reader.ts";

/** Identifier bytes of the universal types, X.680 §8.4. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The bytes are not DER, or not the element that belongs there. */
export class DerError extends Error {
  override readonly name = "DerError";
}

/** Identifier byte of the context-specific tag `number`; `isConstructed` as the type underneath is. */
export function contextTag(number: number, isConstructed: boolean): number {
  return (isConstructed ? 0xa0 : 0x80) | number;
}

/** The next element: its identifier byte and its contents, which `reader` then has passed. */
export function readElement(reader: Reader): { readonly tag: number; readonly contents: Reader } {
  const tag = reader.uint8();
  if ((tag & 0x1f) === 0x1f) throw new DerError("A tag of many bytes");
  const first = reader.uint8();
  if (first < 0x80) return { tag, contents: reader.sub(first) };
  // X.690 §10.1: definite lengths, in as few bytes as can be. Three bytes are more than a handshake message can hold.
  if (first !== 0x81 && first !== 0x82) throw new DerError("A length that is indefinite or too large");
  const length = first === 0x81 ? reader.uint8() : reader.uint16();
  if (length < (first === 0x81 ? 0x80 : 0x100)) throw new DerError("A length is longer than needed");
  return { tag, contents: reader.sub(length) };
}

/** The contents of the next element. @throws {DerError} If its tag is another. */
export function enter(reader: Reader, expected: number): Reader {
  const { tag, contents } = readElement(reader);
  if (tag !== expected) throw new DerError(`An element with tag ${tag}, not ${expected}`);
  return contents;
}

/** The contents of the next element, if there is one with that tag. */
export function enterOptional(reader: Reader, expected: number): Reader | undefined {
  return reader.remaining > 0 && reader.peek() === expected ? enter(reader, expected) : undefined;
}

/** The whole next element, header included, as a view of `bytes`, which `reader` was made of. */
export function readWhole(bytes: Uint8Array, reader: Reader, expected: number): Uint8Array {
  const start = reader.offset;
  enter(reader, expected);
  return bytes.subarray(start, reader.offset);
}

/** @throws {DerError} If something follows. */
export function expectEnd(reader: Reader): void {
  if (reader.remaining > 0) throw new DerError("More than belongs there");
}

/** An OBJECT IDENTIFIER as text: 2.5.29.19 (X.690 §8.19). */
export function readObjectIdentifier(reader: Reader): string {
  const contents = enter(reader, TAG.objectIdentifier);
  const arcs: number[] = [];
  while (contents.remaining > 0) {
    let arc = 0;
    let byte = contents.uint8();
    if (byte === 0x80) throw new DerError("An object identifier is longer than needed");
    while (byte >= 0x80) {
      arc = arc * 0x80 + (byte & 0x7f);
      byte = contents.uint8();
    }
    arc = arc * 0x80 + byte;
    if (!Number.isSafeInteger(arc)) throw new DerError("An object identifier with a number too large");
    if (arcs.length === 0) {
      const top = Math.min(2, Math.floor(arc / 40));
      arcs.push(top, arc - 40 * top);
    } else arcs.push(arc);
  }
  if (arcs.length === 0) throw new DerError("An object identifier without numbers");
  return arcs.join(".");
}

/** A BOOLEAN: X.690 §11.1 knows 0x00 and 0xff. */
export function readBoolean(contents: Reader): boolean {
  const value = contents.uint8();
  if ((value !== 0 && value !== 0xff) || contents.remaining > 0) throw new DerError("A boolean of another value");
  return value === 0xff;
}

/** An INTEGER that is not negative and has up to four bytes. */
export function readSmallInteger(contents: Reader): number {
  const length = contents.remaining;
  let value = contents.uint8();
  if (value >= 0x80 || length > 5) throw new DerError("A number that is negative or too large");
  if (length > 1 && value === 0 && contents.peek() < 0x80) throw new DerError("A number is longer than needed");
  while (contents.remaining > 0) value = value * 0x100 + contents.uint8();
  return value;
}

/** A BIT STRING of whole bytes. */
export function readBytesOfBits(contents: Reader): Uint8Array {
  if (contents.uint8() !== 0) throw new DerError("A bit string that is no whole number of bytes");
  return contents.rest();
}

/** A BIT STRING of named bits (X.690 §11.2.2), the first 16 of them: bit 0 is the highest of the number. */
export function readNamedBits(contents: Reader): number {
  const unused = contents.uint8();
  const bytes = contents.rest();
  const last = bytes.at(-1) ?? 0;
  if (unused > 7 || (bytes.length === 0 && unused > 0) || (last & ((1 << unused) - 1)) !== 0) {
    throw new DerError("A bit string with bits that are not there");
  }
  return ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
}

/** RFC 5280 §4.1.2.5: UTCTime or GeneralizedTime in GMT with seconds, in milliseconds since 1970. */
export function readTime(reader: Reader): number {
  const { tag, contents } = readElement(reader);
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) throw new DerError("A time is expected");
  const text = String.fromCharCode(...contents.bytes(Math.min(contents.remaining, 16)));
  const pattern = tag === TAG.utcTime ? UTC_TIME : GENERALIZED_TIME;
  const match = pattern.exec(text);
  if (match === null) throw new DerError("A time in another form than YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ");
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  // RFC 5280 §4.1.2.5.1: years of two digits are 1950 to 2049.
  const fullYear = tag === TAG.generalizedTime ? year : year + (year < 50 ? 2000 : 1900);
  if (month < 1 || month > 12 || day < 1 || day > daysOfMonth(fullYear, month)) throw new DerError("No such day");
  if (hour > 23 || minute > 59 || second > 59) throw new DerError("No such time of day");
  return ((daysSince1970(fullYear, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000;
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365] as const;

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysOfMonth(year: number, month: number): number {
  const days = DAYS_BEFORE_MONTH[month]! - DAYS_BEFORE_MONTH[month - 1]!;
  return month === 2 && isLeapYear(year) ? days + 1 : days;
}

function daysSince1970(year: number, month: number, day: number): number {
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  const isAfterLeapDay = month > 2 && isLeapYear(year);
  // 719,162 days lie between the first day of year 1 and 1970.
  return before * 365 + leapDays + DAYS_BEFORE_MONTH[month - 1]! + (isAfterLeapDay ? 1 : 0) + day - 1 - 719_162;
}
