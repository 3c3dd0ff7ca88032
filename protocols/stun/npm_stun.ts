/**
 * STUN messages through the codec of `npm:stun` (RFC 8489 §5, §14; RFC 8445 §16.1). The only file that knows the package.
 *
 * Imported are its codec modules, not its main one, which also loads a command line, a server and a logger that reads the
 * environment. The codec encodes and decodes attributes; what it does not do right is done here or in `layout.ts`:
 *
 * - It checks MESSAGE-INTEGRITY and FINGERPRINT on a message that it encoded again, which fails for padding that is not
 *   zero (RFC 5769 §2.1 has such) and for attributes it does not know, and compares in variable time.
 * - It reads ERROR-CODE as class times (number plus 100), so that 487 becomes 748: here it is read from the bytes.
 * - It throws on bad lengths and reads what follows MESSAGE-INTEGRITY: it only sees what `layout.ts` let pass.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import npmDecode from "stun/src/node_modules/message/decode.js";
import NpmRequest from "stun/src/node_modules/message/request.js";
import { type Address, addressFromBytes, addressOf } from "../core/address.ts";
import { type StunClass, stunClass, stunMethod, TRANSACTION_ID_BYTES } from "./classify.ts";
import { BINDING, MAX_USERNAME_BYTES, STUN_HEADER_BYTES } from "./classify.ts";
import { concatBytes } from "../core/bytes.ts";
import { crc32 } from "./crc32.ts";
import {
  ATTRIBUTES,
  checkFingerprint,
  checkIntegrity,
  FINGERPRINT_ATTRIBUTE_BYTES,
  FINGERPRINT_XOR,
  INTEGRITY_ATTRIBUTE_BYTES,
  integrityOf,
  layoutOf,
  type NotStun,
  type StunLayout,
} from "./layout.ts";

/** A received message. Nothing in it refers to the datagram it came from but what the two checks are asked with. */
export interface StunMessage {
  readonly ok: true;
  readonly class: StunClass;
  readonly method: number;
  readonly transactionId: Uint8Array;
  readonly username: string | undefined;
  readonly realm: string | undefined;
  readonly nonce: string | undefined;
  readonly software: string | undefined;
  /** 0 to 2^32 - 1. */
  readonly priority: number | undefined;
  readonly useCandidate: boolean;
  /** Tiebreaker, 8 bytes. */
  readonly iceControlling: Uint8Array | undefined;
  /** Tiebreaker, 8 bytes. */
  readonly iceControlled: Uint8Array | undefined;
  /** XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS, which servers of RFC 3489 send. */
  readonly mappedAddress: Address | undefined;
  readonly error: { readonly code: number; readonly reason: string } | undefined;
  /** From where a request asks to be answered: RFC 5780 §7.2. */
  readonly changeRequest: ChangeRequest | undefined;
  /** Where a server would answer from that is asked to change both: RFC 5780 §7.4. */
  readonly otherAddress: Address | undefined;
  /** Comprehension-required attributes we do not know: a request that has any is refused with 420 (RFC 8489 §6.3.1). */
  readonly unknownRequired: readonly number[];
  readonly hasIntegrity: boolean;
  /** Whether FINGERPRINT is there; a wrong one makes the datagram no STUN at all. */
  readonly hasFingerprint: boolean;
  /** Where things lie in the datagram, for {@linkcode isAuthentic}. */
  readonly layout: StunLayout;
}

/** CHANGE-REQUEST, RFC 5780 §7.2. */
export interface ChangeRequest {
  readonly host: boolean;
  readonly port: boolean;
}

/** What a message to be sent says; attributes are written in this order. */
export interface StunFields {
  readonly class: StunClass;
  /** @default {BINDING} */
  readonly method?: number;
  /** 12 bytes. */
  readonly transactionId: Uint8Array;
  readonly xorMappedAddress?: Address;
  readonly error?: { readonly code: number; readonly reason: string };
  readonly unknownAttributes?: readonly number[];
  readonly username?: string;
  /** 1 to 2^31 - 1. */
  readonly priority?: number;
  readonly useCandidate?: boolean;
  /** Tiebreaker, 8 bytes. */
  readonly iceControlling?: Uint8Array;
  /** Tiebreaker, 8 bytes. */
  readonly iceControlled?: Uint8Array;
  readonly software?: string;
  /** RFC 5780 §7.2. */
  readonly changeRequest?: ChangeRequest;
  /** RFC 5780 §7.3. */
  readonly responseOrigin?: Address;
  /** RFC 5780 §7.4. */
  readonly otherAddress?: Address;
  /** Adds MESSAGE-INTEGRITY made with this key. */
  readonly integrityKey?: Uint8Array;
  /** Adds FINGERPRINT. @default {true} */
  readonly fingerprint?: boolean;
}

/** The part of the package that is used, as it says it is: it has no types of its own. */
interface NpmMessage {
  readonly transactionId: Uint8Array;
  getAttribute(type: number): { readonly value: unknown } | undefined;
}

interface NpmBuilder {
  setType(type: number): void;
  setTransactionId(id: Buffer): boolean;
  addXorAddress(host: string, port: number): unknown;
  addError(code: number, reason: string): unknown;
  addUnknownAttributes(types: readonly number[]): unknown;
  addUsername(username: string): unknown;
  addPriority(priority: number): unknown;
  addUseCandidate(): unknown;
  addIceControlling(tiebreaker: Buffer): unknown;
  addIceControlled(tiebreaker: Buffer): unknown;
  addSoftware(software: string): unknown;
  toBuffer(): Buffer;
}

const decodeWithNpm: (bytes: Buffer) => NpmMessage = npmDecode;
const Builder: new () => NpmBuilder = NpmRequest;

const CLASS_BITS: Readonly<Record<StunClass, number>> = {
  request: 0x000,
  indication: 0x010,
  success: 0x100,
  error: 0x110,
};

/** Flags of CHANGE-REQUEST, in its last byte. */
const CHANGE_HOST = 0x04;
const CHANGE_PORT = 0x02;

const utf8 = new TextDecoder();

/**
 * Decodes a datagram.
 *
 * @param datagram Borrowed: the message keeps nothing of it.
 * @returns The message, or why it is none. Never throws.
 */
export function decodeStun(datagram: Uint8Array): StunMessage | NotStun {
  const layout = layoutOf(datagram);
  if (!layout.ok) return layout;
  if (layout.fingerprintAt >= 0 && !checkFingerprint(datagram, layout)) {
    return { ok: false, reason: "wrong FINGERPRINT" };
  }
  // The one copy: what the codec returns are views of it.
  const counted = Buffer.from(datagram.subarray(0, layout.attributesEnd));
  counted.writeUInt16BE(layout.attributesEnd - STUN_HEADER_BYTES, 2);
  let message: NpmMessage;
  try {
    message = decodeWithNpm(counted);
  } catch {
    return { ok: false, reason: "an attribute does not decode" };
  }
  return {
    ok: true,
    class: stunClass(datagram),
    method: stunMethod(datagram),
    transactionId: new Uint8Array(message.transactionId),
    username: textOf(message, ATTRIBUTES.USERNAME),
    realm: textOf(message, ATTRIBUTES.REALM),
    nonce: textOf(message, ATTRIBUTES.NONCE),
    software: textOf(message, ATTRIBUTES.SOFTWARE),
    priority: numberOf(message, ATTRIBUTES.PRIORITY),
    useCandidate: message.getAttribute(ATTRIBUTES.USE_CANDIDATE) !== undefined,
    iceControlling: bytesOf(message, ATTRIBUTES.ICE_CONTROLLING),
    iceControlled: bytesOf(message, ATTRIBUTES.ICE_CONTROLLED),
    mappedAddress: addressIn(message, ATTRIBUTES.XOR_MAPPED_ADDRESS) ?? addressIn(message, ATTRIBUTES.MAPPED_ADDRESS),
    error: errorIn(datagram, layout.errorCodeAt),
    changeRequest: changeRequestIn(datagram, layout.changeRequestAt),
    otherAddress: plainAddressIn(datagram, layout.otherAddressAt),
    unknownRequired: layout.unknownRequired,
    hasIntegrity: layout.integrityAt >= 0,
    hasFingerprint: layout.fingerprintAt >= 0,
    layout,
  };
}

/**
 * Whether MESSAGE-INTEGRITY was made with `key` (RFC 8489 §14.5), over the bytes as they were received, in constant time.
 *
 * @param datagram The datagram that `message` was decoded from.
 * @param key Short-term: the password in UTF-8 (RFC 8489 §9.1.1).
 */
export function isAuthentic(datagram: Uint8Array, message: StunMessage, key: Uint8Array): boolean {
  return checkIntegrity(datagram, message.layout, key);
}

/**
 * Encodes a message.
 *
 * @returns A new array that is the caller's.
 * @throws {RangeError} If a field does not fit its attribute.
 */
export function encodeStun(fields: StunFields): Uint8Array {
  if (fields.transactionId.length !== TRANSACTION_ID_BYTES) {
    throw new RangeError(`Cannot encode STUN: the transaction ID has ${fields.transactionId.length} bytes, not 12`);
  }
  const attributes = encodeAttributes(fields);
  const integrityAt = attributes.length;
  const fingerprintAt = integrityAt + (fields.integrityKey === undefined ? 0 : INTEGRITY_ATTRIBUTE_BYTES);
  const hasFingerprint = fields.fingerprint !== false;
  const message = new Uint8Array(fingerprintAt + (hasFingerprint ? FINGERPRINT_ATTRIBUTE_BYTES : 0));
  message.set(attributes);
  const view = new DataView(message.buffer);
  if (fields.integrityKey !== undefined) {
    view.setUint16(integrityAt, ATTRIBUTES.MESSAGE_INTEGRITY);
    view.setUint16(integrityAt + 2, INTEGRITY_ATTRIBUTE_BYTES - 4);
    message.set(integrityOf(message, integrityAt, fields.integrityKey), integrityAt + 4);
  }
  view.setUint16(2, message.length - STUN_HEADER_BYTES);
  if (hasFingerprint) {
    view.setUint16(fingerprintAt, ATTRIBUTES.FINGERPRINT);
    view.setUint16(fingerprintAt + 2, FINGERPRINT_ATTRIBUTE_BYTES - 4);
    view.setUint32(fingerprintAt + 4, crc32(message, fingerprintAt) ^ FINGERPRINT_XOR);
  }
  return message;
}

/** Header and attributes without MESSAGE-INTEGRITY and FINGERPRINT. */
function encodeAttributes(fields: StunFields): Uint8Array {
  const method = fields.method ?? BINDING;
  const builder = new Builder();
  builder.setType(CLASS_BITS[fields.class] | ((method & 0xf80) << 2) | ((method & 0x70) << 1) | (method & 0xf));
  builder.setTransactionId(Buffer.from(fields.transactionId));
  if (fields.xorMappedAddress !== undefined) {
    const { host, port } = fields.xorMappedAddress;
    // A zone has a meaning on one machine only, and the codec does not know it.
    builder.addXorAddress(host.split("%", 1)[0]!, port);
  }
  if (fields.error !== undefined) builder.addError(fields.error.code, fields.error.reason);
  if (fields.unknownAttributes !== undefined) builder.addUnknownAttributes(fields.unknownAttributes);
  if (fields.username !== undefined) {
    if (fields.username.length > MAX_USERNAME_BYTES) throw new RangeError("Cannot encode USERNAME: over 508 bytes");
    builder.addUsername(fields.username);
  }
  if (fields.priority !== undefined) {
    if (!Number.isInteger(fields.priority) || fields.priority < 1 || fields.priority > 0x7fffffff) {
      throw new RangeError(`Cannot encode PRIORITY: ${fields.priority} is not 1 to 2^31 - 1`);
    }
    builder.addPriority(fields.priority);
  }
  if (fields.useCandidate === true) builder.addUseCandidate();
  if (fields.iceControlling !== undefined) builder.addIceControlling(Buffer.from(fields.iceControlling));
  if (fields.iceControlled !== undefined) builder.addIceControlled(Buffer.from(fields.iceControlled));
  if (fields.software !== undefined) builder.addSoftware(fields.software);
  return concatBytes(builder.toBuffer(), ...behaviourAttributes(fields));
}

/** Those of RFC 5780, which the codec does not know. */
function behaviourAttributes({ changeRequest, responseOrigin, otherAddress }: StunFields): Uint8Array[] {
  const attributes: Uint8Array[] = [];
  if (changeRequest !== undefined) {
    const flags = (changeRequest.host ? CHANGE_HOST : 0) | (changeRequest.port ? CHANGE_PORT : 0);
    attributes.push(Uint8Array.of(0, ATTRIBUTES.CHANGE_REQUEST, 0, 4, 0, 0, 0, flags));
  }
  if (responseOrigin !== undefined) attributes.push(plainAddress(ATTRIBUTES.RESPONSE_ORIGIN, responseOrigin));
  if (otherAddress !== undefined) attributes.push(plainAddress(ATTRIBUTES.OTHER_ADDRESS, otherAddress));
  return attributes;
}

/** An address as in MAPPED-ADDRESS: RFC 8489 §14.1. */
function plainAddress(type: number, { bytes, family, port }: Address): Uint8Array {
  const header = [type >>> 8, type & 0xff, 0, 4 + bytes.length, 0, family === 4 ? 1 : 2, port >>> 8, port & 0xff];
  return concatBytes(Uint8Array.from(header), bytes);
}

function valueOf(message: NpmMessage, type: number): unknown {
  return message.getAttribute(type)?.value;
}

function bytesOf(message: NpmMessage, type: number): Uint8Array | undefined {
  const value = valueOf(message, type);
  return value instanceof Uint8Array ? new Uint8Array(value) : undefined;
}

function textOf(message: NpmMessage, type: number): string | undefined {
  const value = valueOf(message, type);
  return value instanceof Uint8Array ? utf8.decode(value) : undefined;
}

function numberOf(message: NpmMessage, type: number): number | undefined {
  const value = valueOf(message, type);
  return typeof value === "number" ? value : undefined;
}

function addressIn(message: NpmMessage, type: number): Address | undefined {
  const value = valueOf(message, type);
  if (typeof value !== "object" || value === null || !("address" in value) || !("port" in value)) return undefined;
  const { address, port } = value;
  // The codec leaves a port of 0 and what is no address unset; neither is of use.
  return typeof address === "string" && typeof port === "number" && port > 0 ? addressOf(address, port) : undefined;
}

function changeRequestIn(datagram: Uint8Array, at: number): ChangeRequest | undefined {
  if (at < 0) return undefined;
  const flags = datagram[at + 7]!;
  return { host: (flags & CHANGE_HOST) !== 0, port: (flags & CHANGE_PORT) !== 0 };
}

/** `undefined` for port 0, where nobody is. */
function plainAddressIn(datagram: Uint8Array, at: number): Address | undefined {
  if (at < 0) return undefined;
  const length = (datagram[at + 2]! << 8) | datagram[at + 3]!;
  const port = (datagram[at + 6]! << 8) | datagram[at + 7]!;
  return port === 0 ? undefined : addressFromBytes(datagram.subarray(at + 8, at + 4 + length), port);
}

/** RFC 8489 §14.8: class in three bits, number below 100, phrase. */
function errorIn(datagram: Uint8Array, at: number): { code: number; reason: string } | undefined {
  if (at < 0) return undefined;
  const length = (datagram[at + 2]! << 8) | datagram[at + 3]!;
  const code = (datagram[at + 6]! & 7) * 100 + datagram[at + 7]!;
  return { code, reason: utf8.decode(datagram.subarray(at + 8, at + 4 + length)) };
}
