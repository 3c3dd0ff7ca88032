/**
 * Signed things: a list of typed fields, and after it an Ed25519 signature over a context string and the fields as they
 * were sent. Fields nobody knows are passed over, so that a later version may add some; they are signed with the rest.
 *
 *     version (8) = 1 · { type (8) · length (16) · value } ... · signature (64 bytes)
 *
 * @module
 */

import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { addressFromBytes, addressOf } from "../protocols/core/address.ts";
import { concatBytes } from "../protocols/core/bytes.ts";
import { Reader } from "../protocols/core/reader.ts";
import { Writer } from "../protocols/core/writer.ts";
import { ED25519_SIGNATURE_BYTES, Ed25519PublicKey } from "../protocols/crypto/ed25519.ts";
import type { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { MAX_CANDIDATES } from "./machines.ts";

/** Largest signed thing, in bytes: a registration with its list of admitted keys. */
export const MAX_SIGNED_BYTES = 3072;

const VERSION = 1;
const FIELD_HEADER_BYTES = 3;
const CANDIDATE_TYPES = ["host", "srflx", "prflx", "relay"] as const;

/** Fields by type, in ascending order of type on the wire. */
export type Fields = ReadonlyMap<number, Uint8Array>;

/** The kind of thing that is signed: a signature over one never passes for another. */
export type SigningContext = "record" | "offer" | "candidates" | "registration";

/** Encodes and signs. @throws {RangeError} If it gets longer than {@linkcode MAX_SIGNED_BYTES}. */
export function sealFields(context: SigningContext, fields: Fields, key: Ed25519PrivateKey): Uint8Array {
  let length = 1;
  for (const value of fields.values()) length += FIELD_HEADER_BYTES + value.length;
  const total = length + ED25519_SIGNATURE_BYTES;
  if (total > MAX_SIGNED_BYTES) {
    throw new RangeError(`Cannot sign: ${total} bytes are more than ${MAX_SIGNED_BYTES}`);
  }
  const writer = new Writer(new Uint8Array(total));
  writer.uint8(VERSION);
  for (const [type, value] of [...fields].sort(([a], [b]) => a - b)) {
    writer.uint8(type);
    writer.uint16(value.length);
    writer.bytes(value);
  }
  writer.bytes(key.sign(signedBytes(context, writer.buffer.subarray(0, length))));
  return writer.buffer;
}

/** The fields, views of `bytes`, without looking at the signature; `undefined` if they are malformed. */
export function readFields(bytes: Uint8Array): Fields | undefined {
  const end = bytes.length - ED25519_SIGNATURE_BYTES;
  if (end < 1 || bytes.length > MAX_SIGNED_BYTES || bytes[0] !== VERSION) return undefined;
  const reader = new Reader(bytes, 1, end);
  const fields = new Map<number, Uint8Array>();
  let last = -1;
  while (reader.remaining > 0) {
    if (reader.remaining < FIELD_HEADER_BYTES) return undefined;
    const type = reader.uint8();
    const length = reader.uint16();
    // Ascending types leave one encoding of everything, and no field twice.
    if (type <= last || length > reader.remaining) return undefined;
    fields.set(type, reader.bytes(length));
    last = type;
  }
  return fields;
}

/** Whether the owner of `key` signed these bytes as a thing of this kind. */
export function isSignedBy(key: Uint8Array, context: SigningContext, bytes: Uint8Array): boolean {
  const end = bytes.length - ED25519_SIGNATURE_BYTES;
  if (end < 1) return false;
  return Ed25519PublicKey.fromBytes(key).verify(signedBytes(context, bytes.subarray(0, end)), bytes.subarray(end));
}

function signedBytes(context: SigningContext, body: Uint8Array): Uint8Array {
  return concatBytes(new TextEncoder().encode(`traverse 1 ${context}\0`), body);
}

/** A field of exactly `length` bytes, copied; `undefined` if it is absent or of another length. */
export function fixedField(fields: Fields, type: number, length: number): Uint8Array | undefined {
  const value = fields.get(type);
  return value?.length === length ? value.slice() : undefined;
}

/** An instant in milliseconds since 1970, in 6 bytes. */
export function encodeInstant(epochMs: number): Uint8Array {
  const writer = new Writer(new Uint8Array(6));
  const whole = Math.max(0, Math.floor(epochMs));
  writer.uint16(Math.floor(whole / 0x100000000));
  writer.uint32(whole % 0x100000000);
  return writer.buffer;
}

/** Reads what {@linkcode encodeInstant} writes. */
export function instantField(fields: Fields, type: number): number | undefined {
  const value = fields.get(type);
  if (value?.length !== 6) return undefined;
  const reader = new Reader(value);
  return reader.uint16() * 0x100000000 + reader.uint32();
}

/** Text as UTF-8. */
export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A text field of 1 to `maxBytes` bytes; `undefined` if it is absent, longer, or not UTF-8. */
export function textField(fields: Fields, type: number, maxBytes: number): string | undefined {
  const value = fields.get(type);
  if (value === undefined || value.length === 0 || value.length > maxBytes) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return undefined;
  }
}

/** In place of a family: a name follows, its length before it. */
const NAMED = 0;

/** Of a label and ".local", as DNS has them. */
const MAX_CANDIDATE_NAME_BYTES = 69;

/** One byte each for type and family, then port and address; the zone of a link-local address means nothing elsewhere. */
export function encodeCandidates(candidates: readonly RemoteCandidate[]): Uint8Array {
  const writer = new Writer(new Uint8Array(candidates.length * (5 + MAX_CANDIDATE_NAME_BYTES)));
  for (const { type, address, name } of candidates) {
    writer.uint8(CANDIDATE_TYPES.indexOf(type));
    writer.uint8(name === undefined ? address.family : NAMED);
    writer.uint16(address.port);
    const host = name === undefined ? address.bytes : encodeText(name);
    if (name !== undefined) writer.uint8(host.length);
    writer.bytes(host);
  }
  return writer.written();
}

/**
 * Reads at most {@linkcode MAX_CANDIDATES} candidates; `undefined` if they are malformed or more. One with a name is read like
 * any other: that nobody asks for it here is no fault of what it came with.
 */
export function candidatesField(fields: Fields, type: number): RemoteCandidate[] | undefined {
  const value = fields.get(type);
  if (value === undefined) return undefined;
  const reader = new Reader(value);
  const candidates: RemoteCandidate[] = [];
  while (reader.remaining > 0) {
    if (candidates.length === MAX_CANDIDATES || reader.remaining < 4) return undefined;
    const candidateType = CANDIDATE_TYPES[reader.uint8()];
    const family = reader.uint8();
    const port = reader.uint16();
    if (family === NAMED && candidateType !== undefined) {
      const name = readName(reader);
      if (name === undefined) return undefined;
      candidates.push({ type: candidateType, address: addressOf("0.0.0.0", port), name });
      continue;
    }
    const length = family === 4 ? 4 : family === 6 ? 16 : undefined;
    if (candidateType === undefined || length === undefined || reader.remaining < length) return undefined;
    candidates.push({ type: candidateType, address: addressFromBytes(reader.bytes(length), port) });
  }
  return candidates;
}

/** Letters, digits, hyphens and dots; `undefined` if it is malformed. */
function readName(reader: Reader): string | undefined {
  const length = reader.remaining === 0 ? 0 : reader.uint8();
  if (length === 0 || length > MAX_CANDIDATE_NAME_BYTES || reader.remaining < length) return undefined;
  const name = new TextDecoder().decode(reader.bytes(length));
  return /^[0-9A-Za-z.-]+$/.test(name) ? name : undefined;
}
