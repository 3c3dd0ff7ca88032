/**
 * Field sections as HEADERS frames carry them: RFC 9204 §4.5. The dynamic table has no capacity on either side, so that
 * sections stand for themselves, none waits for another stream, and none is acknowledged (RFC 9204 §2.1.1, §3.2.3).
 *
 * @module
 */

import { Reader, TruncatedError } from "../../core/reader.ts";
import { Writer } from "../../core/writer.ts";
import { Http3Error, Http3StreamError } from "../errors.ts";
import type { Field } from "../message.ts";
import { decodeHuffman, encodeHuffman, huffmanBytes, HuffmanError } from "./huffman.ts";
import { PrefixIntegerError, readPrefixInteger, writePrefixInteger } from "./prefix_integer.ts";
import { findStatic, STATIC_TABLE } from "./static_table.ts";

/** RFC 9114 §4.2.2: what each field counts for besides its name and value. */
const FIELD_OVERHEAD_BYTES = 32;
/** Prefix, and the integers before a name and a value, at their longest. */
const PREFIX_BYTES = 2;
const MAX_FIELD_HEADER_BYTES = 16;

/** Values that no hop may put into a table, where others could find them out by trying: RFC 9204 §7.1.3. */
const NEVER_INDEXED: ReadonlySet<string> = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);

/** The size of a field section as SETTINGS_MAX_FIELD_SECTION_SIZE counts it: RFC 9114 §4.2.2. */
export function fieldSectionBytes(fields: readonly Field[]): number {
  let bytes = 0;
  for (const [name, value] of fields) bytes += name.length + value.length + FIELD_OVERHEAD_BYTES;
  return bytes;
}

/**
 * Decodes a field section.
 *
 * @param maxBytes Largest size, as `fieldSectionBytes` counts.
 * @throws {Http3Error} QPACK_DECOMPRESSION_FAILED.
 * @throws {Http3StreamError} H3_EXCESSIVE_LOAD, if it is larger: with no dynamic table nothing else is lost by not reading
 * it to its end.
 */
export function decodeFieldSection(bytes: Uint8Array, maxBytes: number): Field[] {
  const reader = new Reader(bytes);
  try {
    readSectionPrefix(reader);
    const fields: Field[] = [];
    let leftBytes = maxBytes;
    while (reader.remaining > 0) {
      const field = readField(reader, leftBytes);
      leftBytes -= field[0].length + field[1].length + FIELD_OVERHEAD_BYTES;
      if (leftBytes < 0) throw tooLarge();
      fields.push(field);
    }
    return fields;
  } catch (error) {
    if (error instanceof TruncatedError || error instanceof PrefixIntegerError || error instanceof HuffmanError) {
      throw failed(error.message);
    }
    throw error;
  }
}

/** Encodes a field section. Characters of names and values are bytes, 0 to 255. */
export function encodeFieldSection(fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  let roomBytes = PREFIX_BYTES;
  for (const [name, value] of fields) roomBytes += MAX_FIELD_HEADER_BYTES + name.length + value.length;
  const bytes = new Uint8Array(roomBytes);
  const writer = new Writer(bytes);
  // RFC 9204 §4.5.1: Required Insert Count 0, Delta Base 0.
  writer.uint16(0);
  for (const field of fields) writeField(writer, field);
  return bytes.subarray(0, writer.offset);
}

/** RFC 9204 §4.5.1. */
function readSectionPrefix(reader: Reader): void {
  // §4.5.1.1: with a maximum capacity of 0 no other Encoded Insert Count can be meant.
  if (readPrefixInteger(reader, 8) !== 0) throw failed("A field section requires the dynamic table");
  const isNegative = (reader.peek() & 0x80) !== 0;
  readPrefixInteger(reader, 7);
  // §4.5.1.2: Base would be below 0.
  if (isNegative) throw failed("The Base of a field section is negative");
}

/** RFC 9204 §4.5.2 to §4.5.6, told apart by the first bits. */
function readField(reader: Reader, maxBytes: number): Field {
  const first = reader.peek();
  if (first >= 0x80) {
    // Indexed Field Line: 1 T index(6+).
    if ((first & 0x40) === 0) throw failed("A field line refers to the dynamic table");
    return staticEntry(readPrefixInteger(reader, 6));
  }
  if (first >= 0x40) {
    // Literal Field Line with Name Reference: 0 1 N T index(4+).
    if ((first & 0x10) === 0) throw failed("A field name refers to the dynamic table");
    const name = staticEntry(readPrefixInteger(reader, 4))[0];
    return [name, readString(reader, 7, maxBytes)];
  }
  if (first >= 0x20) {
    // Literal Field Line with Literal Name: 0 0 1 N H length(3+).
    const name = readString(reader, 3, maxBytes);
    return [name, readString(reader, 7, maxBytes - name.length)];
  }
  // 0001 Indexed Field Line, 0000 Literal Field Line, both with Post-Base reference.
  throw failed("A field line refers to the dynamic table");
}

function staticEntry(index: number): Field {
  const entry = STATIC_TABLE[index];
  // RFC 9204 §3.1.
  if (entry === undefined) throw failed(`The static table has no entry ${index}`);
  return entry;
}

/** A string literal whose H bit stands before `prefixBits` bits of length: RFC 9204 §4.1.2. */
function readString(reader: Reader, prefixBits: number, maxBytes: number): string {
  const isHuffman = (reader.peek() & (1 << prefixBits)) !== 0;
  const bytes = reader.bytes(readPrefixInteger(reader, prefixBits));
  if (isHuffman) {
    const text = decodeHuffman(bytes, Math.max(0, maxBytes));
    if (text === undefined) throw tooLarge();
    return text;
  }
  if (bytes.length > maxBytes) throw tooLarge();
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function writeField(writer: Writer, [name, value]: Field): void {
  const found = findStatic(name, value);
  const isNeverIndexed = NEVER_INDEXED.has(name);
  if (found?.index !== undefined && !isNeverIndexed) {
    writePrefixInteger(writer, 6, 0xc0, found.index);
    return;
  }
  if (found !== undefined) {
    writePrefixInteger(writer, 4, isNeverIndexed ? 0x70 : 0x50, found.nameIndex);
  } else {
    writeString(writer, 3, isNeverIndexed ? 0x30 : 0x20, name);
  }
  writeString(writer, 7, 0, value);
}

/** A string literal, Huffman-coded where that is shorter. */
function writeString(writer: Writer, prefixBits: number, highBits: number, text: string): void {
  const codedBytes = huffmanBytes(text);
  if (codedBytes < text.length) {
    writePrefixInteger(writer, prefixBits, highBits | (1 << prefixBits), codedBytes);
    encodeHuffman(text, writer.buffer, writer.skip(codedBytes));
    return;
  }
  writePrefixInteger(writer, prefixBits, highBits, text.length);
  for (let i = 0; i < text.length; i++) writer.uint8(text.charCodeAt(i));
}

function failed(message: string): Http3Error {
  return new Http3Error("QPACK_DECOMPRESSION_FAILED", message);
}

function tooLarge(): Http3StreamError {
  return new Http3StreamError("H3_EXCESSIVE_LOAD", "A field section is larger than SETTINGS_MAX_FIELD_SECTION_SIZE");
}
