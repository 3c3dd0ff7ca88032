/**
 * What a STUN server says (RFC 8489 §6.3, §13): the address a Binding request came from, to anyone, without credentials.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { BINDING, isStun, stunClass, stunMethod } from "./classify.ts";
import { STUN_ERROR_CODES, STUN_REASONS } from "./errors.ts";
import { decodeStun, encodeStun } from "./npm_stun.ts";

/**
 * Most bytes of an answer for each byte of the question. A source address can be forged; what we send there must be no
 * better a weapon than what QUIC allows itself (RFC 9000 §8).
 */
export const MAX_ANSWER_FACTOR = 3;

/**
 * Answers a Binding request with XOR-MAPPED-ADDRESS, or with error 420 if it asks for what we do not know.
 *
 * @param datagram What came in; borrowed.
 * @param source Where it came from.
 * @returns The answer for `source`, or `undefined` when there is to be none: for anything but a Binding request.
 */
export function respondToBinding(datagram: Uint8Array, source: Address): Uint8Array | undefined {
  // Cheap refusals first: this is open to all the world.
  if (!isStun(datagram) || stunClass(datagram) !== "request" || stunMethod(datagram) !== BINDING) return undefined;
  const request = decodeStun(datagram);
  if (!request.ok) return undefined;
  const { transactionId, unknownRequired, hasFingerprint: fingerprint } = request;
  const code = STUN_ERROR_CODES.UNKNOWN_ATTRIBUTE;
  const answer = unknownRequired.length > 0
    ? encodeStun({
      class: "error",
      transactionId,
      error: { code, reason: STUN_REASONS[code] },
      unknownAttributes: unknownRequired,
      fingerprint,
    })
    : encodeStun({ class: "success", transactionId, xorMappedAddress: source, fingerprint });
  return answer.length <= MAX_ANSWER_FACTOR * datagram.length ? answer : undefined;
}
