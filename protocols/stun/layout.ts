/**
 * Where the attributes of a received STUN message lie, and the two checks that only the received bytes can answer:
 * FINGERPRINT and MESSAGE-INTEGRITY (RFC 8489 §14.5, §14.7). A message that was decoded and encoded again would lose the
 * contents of padding and of unknown attributes, which both checks cover.
 *
 * @module
 */

import { equalSecrets } from "../crypto/constant_time.ts";
import { HASH_BYTES, hmac } from "../crypto/hash.ts";
import { isStun, STUN_HEADER_BYTES } from "./classify.ts";
import { crc32 } from "./crc32.ts";

/** Largest message looked at: an ICE message has about 130 bytes, and none may be fragmented (RFC 8489 §6.1). */
export const MAX_MESSAGE_BYTES = 1280;

/** RFC 8489 §14.7. */
export const FINGERPRINT_XOR = 0x5354554e;

/** Bytes of MESSAGE-INTEGRITY with its header. */
export const INTEGRITY_ATTRIBUTE_BYTES = 24;

/** Bytes of FINGERPRINT with its header. */
export const FINGERPRINT_ATTRIBUTE_BYTES = 8;

/** RFC 8489 §18.3, the attributes of RFC 8445 §7.1, and of RFC 5780 §7 those that are used. */
export const ATTRIBUTES = {
  MAPPED_ADDRESS: 0x0001,
  CHANGE_REQUEST: 0x0003,
  USERNAME: 0x0006,
  MESSAGE_INTEGRITY: 0x0008,
  ERROR_CODE: 0x0009,
  UNKNOWN_ATTRIBUTES: 0x000a,
  REALM: 0x0014,
  NONCE: 0x0015,
  XOR_MAPPED_ADDRESS: 0x0020,
  PRIORITY: 0x0024,
  USE_CANDIDATE: 0x0025,
  SOFTWARE: 0x8022,
  FINGERPRINT: 0x8028,
  ICE_CONTROLLED: 0x8029,
  ICE_CONTROLLING: 0x802a,
  RESPONSE_ORIGIN: 0x802b,
  OTHER_ADDRESS: 0x802c,
} as const;

/** Types below this one must be understood: RFC 8489 §14. */
const COMPREHENSION_OPTIONAL = 0x8000;

const KNOWN: ReadonlySet<number> = new Set(Object.values(ATTRIBUTES));

/** Where things are. Offsets are of attribute headers; -1 where there is none. */
export interface StunLayout {
  readonly ok: true;
  readonly integrityAt: number;
  readonly fingerprintAt: number;
  /** End of the attributes that count: where MESSAGE-INTEGRITY or FINGERPRINT begins, or the end of the message. */
  readonly attributesEnd: number;
  /** Offset of ERROR-CODE, or -1. */
  readonly errorCodeAt: number;
  /** Offset of CHANGE-REQUEST, or -1. */
  readonly changeRequestAt: number;
  /** Offset of OTHER-ADDRESS, or -1. */
  readonly otherAddressAt: number;
  /** Comprehension-required types that count and that we do not know. */
  readonly unknownRequired: readonly number[];
}

/** Bytes that are not a STUN message, and why. */
export interface NotStun {
  readonly ok: false;
  readonly reason: string;
}

/** The exact length of a value, where the RFC gives one: a decoder further on relies on it. */
function isValueLength(type: number, length: number, family: number): boolean {
  switch (type) {
    case ATTRIBUTES.MAPPED_ADDRESS:
    case ATTRIBUTES.XOR_MAPPED_ADDRESS:
    case ATTRIBUTES.RESPONSE_ORIGIN:
    case ATTRIBUTES.OTHER_ADDRESS:
      return (length === 8 && family === 1) || (length === 20 && family === 2);
    case ATTRIBUTES.MESSAGE_INTEGRITY:
      return length === HASH_BYTES["SHA-1"];
    case ATTRIBUTES.ERROR_CODE:
      return length >= 4 && length <= 4 + 763;
    case ATTRIBUTES.UNKNOWN_ATTRIBUTES:
      return length % 2 === 0;
    case ATTRIBUTES.USERNAME:
      return length <= 508;
    case ATTRIBUTES.REALM:
    case ATTRIBUTES.NONCE:
    case ATTRIBUTES.SOFTWARE:
      return length <= 763;
    case ATTRIBUTES.CHANGE_REQUEST:
    case ATTRIBUTES.PRIORITY:
    case ATTRIBUTES.FINGERPRINT:
      return length === 4;
    case ATTRIBUTES.USE_CANDIDATE:
      return length === 0;
    case ATTRIBUTES.ICE_CONTROLLED:
    case ATTRIBUTES.ICE_CONTROLLING:
      return length === 8;
    default:
      return true;
  }
}

/** Walks the attributes of a datagram. What follows MESSAGE-INTEGRITY is ignored but for FINGERPRINT (RFC 8489 §14.5). */
export function layoutOf(datagram: Uint8Array): StunLayout | NotStun {
  if (!isStun(datagram)) return { ok: false, reason: "not STUN" };
  if (datagram.length > MAX_MESSAGE_BYTES) return { ok: false, reason: "longer than a STUN message may be" };
  let integrityAt = -1;
  let fingerprintAt = -1;
  let attributesEnd = datagram.length;
  let errorCodeAt = -1;
  let changeRequestAt = -1;
  let otherAddressAt = -1;
  const unknownRequired: number[] = [];
  let at = STUN_HEADER_BYTES;
  while (at < datagram.length) {
    // The message length is a multiple of four, so the four bytes of an attribute header are always there.
    const type = (datagram[at]! << 8) | datagram[at + 1]!;
    const length = (datagram[at + 2]! << 8) | datagram[at + 3]!;
    const next = at + 4 + ((length + 3) & ~3);
    if (next > datagram.length) return { ok: false, reason: "an attribute ends after the message" };
    const counts = integrityAt < 0;
    if (counts || type === ATTRIBUTES.FINGERPRINT) {
      if (!isValueLength(type, length, length > 1 ? datagram[at + 5]! : 0)) {
        return { ok: false, reason: "an attribute has the wrong length" };
      }
    }
    if (type === ATTRIBUTES.FINGERPRINT) {
      // RFC 8489 §14.7: it is the last attribute, and what it covers ends where it begins.
      if (next !== datagram.length) return { ok: false, reason: "FINGERPRINT is not last" };
      fingerprintAt = at;
      if (counts) attributesEnd = at;
    } else if (counts && type === ATTRIBUTES.MESSAGE_INTEGRITY) {
      integrityAt = at;
      attributesEnd = at;
    } else if (counts && type === ATTRIBUTES.ERROR_CODE) {
      if (errorCodeAt < 0) errorCodeAt = at;
    } else if (counts && type === ATTRIBUTES.CHANGE_REQUEST) {
      if (changeRequestAt < 0) changeRequestAt = at;
    } else if (counts && type === ATTRIBUTES.OTHER_ADDRESS) {
      if (otherAddressAt < 0) otherAddressAt = at;
    } else if (counts && type < COMPREHENSION_OPTIONAL && !KNOWN.has(type)) {
      unknownRequired.push(type);
    }
    at = next;
  }
  const found = { integrityAt, fingerprintAt, attributesEnd, errorCodeAt, changeRequestAt, otherAddressAt };
  return { ok: true, ...found, unknownRequired };
}

/** Whether FINGERPRINT is there and right: RFC 8489 §14.7. */
export function checkFingerprint(datagram: Uint8Array, layout: StunLayout): boolean {
  const at = layout.fingerprintAt;
  if (at < 0) return false;
  const value =
    ((datagram[at + 4]! << 24) | (datagram[at + 5]! << 16) | (datagram[at + 6]! << 8) | datagram[at + 7]!) >>> 0;
  return ((crc32(datagram, at) ^ FINGERPRINT_XOR) >>> 0) === value;
}

/** Whether MESSAGE-INTEGRITY is there and made with `key`: RFC 8489 §14.5. Compared in constant time. */
export function checkIntegrity(datagram: Uint8Array, layout: StunLayout, key: Uint8Array): boolean {
  const at = layout.integrityAt;
  if (at < 0) return false;
  const expected = datagram.subarray(at + 4, at + INTEGRITY_ATTRIBUTE_BYTES);
  return equalSecrets(integrityOf(datagram, at, key), expected);
}

/** HMAC-SHA1 over `message[0, at)`, with the length as if the message ended after the MESSAGE-INTEGRITY that begins at `at`. */
export function integrityOf(message: Uint8Array, at: number, key: Uint8Array): Uint8Array {
  const header = message.slice(0, 4);
  const length = at + INTEGRITY_ATTRIBUTE_BYTES - STUN_HEADER_BYTES;
  header[2] = length >>> 8;
  header[3] = length;
  return hmac("SHA-1", key, header, message.subarray(4, at));
}
