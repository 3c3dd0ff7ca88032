/**
 * What a STUN server says (RFC 8489 §6.3, §13): the address a Binding request came from, to anyone, without credentials. A
 * server of several addresses also says so, and answers from another one if asked to (RFC 5780 §6.1).
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { BINDING, isStun, stunClass, stunMethod } from "./classify.ts";
import { STUN_ERROR_CODES, STUN_REASONS } from "./errors.ts";
import { ATTRIBUTES } from "./layout.ts";
import { decodeStun, encodeStun } from "./npm_stun.ts";
import type { ChangeRequest, StunFields } from "./npm_stun.ts";

/**
 * Most bytes of an answer for each byte of the question. A source address can be forged; what we send there must be no
 * better a weapon than what QUIC allows itself (RFC 9000 §8).
 */
export const MAX_ANSWER_FACTOR = 3;

/** Where a server is, as RFC 5780 §6.1 has it. */
export interface StunOrigins {
  /** The farthest from here that it can answer from: OTHER-ADDRESS. */
  readonly other: Address;
  /** Where an answer leaves from that is asked for from elsewhere; `undefined` if the server has nothing such. */
  changed(change: ChangeRequest): Address | undefined;
}

/** An answer, and where it leaves from. */
export interface StunAnswer {
  readonly payload: Uint8Array;
  readonly origin: Address;
}

/**
 * Answers a Binding request with XOR-MAPPED-ADDRESS, or with error 420 if it asks for what we do not know.
 *
 * @param datagram What came in; borrowed.
 * @param source Where it came from.
 * @param local Where it came in.
 * @param origins Of a server that can answer from elsewhere.
 * @returns The answer for `source`, or `undefined` when there is to be none: for anything but a Binding request.
 */
export function respondToBinding(
  datagram: Uint8Array,
  source: Address,
  local: Address,
  origins?: StunOrigins,
): StunAnswer | undefined {
  // Cheap refusals first: this is open to all the world.
  if (!isStun(datagram) || stunClass(datagram) !== "request" || stunMethod(datagram) !== BINDING) return undefined;
  const request = decodeStun(datagram);
  if (!request.ok) return undefined;
  const { transactionId, changeRequest, hasFingerprint: fingerprint } = request;
  const origin = changeRequest === undefined ? local : origins?.changed(changeRequest);
  const unknownAttributes = origin === undefined
    // RFC 5780 §7.2: who cannot change does not know the attribute.
    ? [...request.unknownRequired, ATTRIBUTES.CHANGE_REQUEST]
    : request.unknownRequired;
  const code = STUN_ERROR_CODES.UNKNOWN_ATTRIBUTE;
  if (origin === undefined || unknownAttributes.length > 0) {
    const error = { code, reason: STUN_REASONS[code] };
    const payload = encodeStun({ class: "error", transactionId, error, unknownAttributes, fingerprint });
    return isSmallEnough(payload, datagram) ? { payload, origin: local } : undefined;
  }
  const answer: StunFields = { class: "success", transactionId, xorMappedAddress: source, fingerprint };
  if (origins !== undefined) {
    const payload = encodeStun({ ...answer, responseOrigin: origin, otherAddress: origins.other });
    if (isSmallEnough(payload, datagram)) return { payload, origin };
  }
  const payload = encodeStun(answer);
  return isSmallEnough(payload, datagram) ? { payload, origin } : undefined;
}

function isSmallEnough(answer: Uint8Array, question: Uint8Array): boolean {
  return answer.length <= MAX_ANSWER_FACTOR * question.length;
}
