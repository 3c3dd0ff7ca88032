/**
 * DER written (X.690 §10), as far as certificates made in tests need it.
 *
 * @module
 */

import { Buffer } from "node:buffer";

export function toPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return tlv(0x30, ...parts);
}

export function integer(bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  return tlv(0x02, Uint8Array.from(bytes));
}

export function oid(...bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  return tlv(0x06, Uint8Array.from(bytes));
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return tlv(0x0c, ascii(text));
}

export function octetString(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return tlv(0x04, content);
}

export function bitString(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return tlv(0x03, Uint8Array.of(0), content);
}

export function utcTime(at: number): Uint8Array<ArrayBuffer> {
  // YYMMDDHHMMSSZ, good until 2049 (RFC 5280 §4.1.2.5.1).
  return tlv(0x17, ascii(new Date(at).toISOString().replace(/[-:T]/g, "").slice(2, 14) + "Z"));
}

export function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** One DER element: X.690 §8.1.3 definite lengths. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  let offset = header.length;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
