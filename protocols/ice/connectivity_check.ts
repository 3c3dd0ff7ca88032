/**
 * The messages of a connectivity check: what is asked, what is answered, and what makes either worth believing
 * (RFC 8445 §7.2.2, §7.2.5, §7.3).
 *
 * Deviation: RFC 8489 §9.1.3 answers a request that is not authentic with 400 or 401. We are silent, so that a stranger
 * cannot find out that someone listens, or make us send.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { BINDING } from "../stun/classify.ts";
import { STUN_ERROR_CODES, STUN_REASONS, StunError } from "../stun/errors.ts";
import type { NotStun } from "../stun/layout.ts";
import { decodeStun, encodeStun, isAuthentic, type StunMessage } from "../stun/npm_stun.ts";
import type { IceCredentials, IceRole } from "./types.ts";

const utf8 = new TextEncoder();

/** The short-term key of a password: RFC 8489 §9.1.1. */
export function integrityKeyOf(credentials: IceCredentials): Uint8Array {
  return utf8.encode(credentials.password);
}

/** What a check says. */
export interface CheckFields {
  readonly transactionId: Uint8Array;
  readonly local: IceCredentials;
  readonly remote: IceCredentials;
  readonly remoteKey: Uint8Array;
  /** Of our candidate as if it were peer-reflexive: RFC 8445 §7.1.1. */
  readonly priority: number;
  readonly role: IceRole;
  readonly tiebreaker: Uint8Array;
  readonly useCandidate: boolean;
}

/** The Binding request of a check: RFC 8445 §7.2.2. */
export function encodeCheck(fields: CheckFields): Uint8Array {
  return encodeStun({
    class: "request",
    transactionId: fields.transactionId,
    username: `${fields.remote.ufrag}:${fields.local.ufrag}`,
    priority: fields.priority,
    useCandidate: fields.useCandidate,
    ...(fields.role === "controlling" ? { iceControlling: fields.tiebreaker } : { iceControlled: fields.tiebreaker }),
    integrityKey: fields.remoteKey,
  });
}

/** The answer to a check from `source`: RFC 8445 §7.3.1.2. */
export function encodeCheckSuccess(request: StunMessage, source: Address, localKey: Uint8Array): Uint8Array {
  return encodeStun({
    class: "success",
    transactionId: request.transactionId,
    xorMappedAddress: source,
    integrityKey: localKey,
  });
}

/** The answer to an authentic check that cannot be granted. */
export function encodeCheckError(request: StunMessage, error: StunError, localKey: Uint8Array): Uint8Array {
  return encodeStun({
    class: "error",
    transactionId: request.transactionId,
    error: { code: error.code, reason: STUN_REASONS[error.code] },
    ...(error.unknownAttributes.length === 0 ? {} : { unknownAttributes: error.unknownAttributes }),
    integrityKey: localKey,
  });
}

/** A keep-alive: no authentication, nothing to answer (RFC 8445 §11). */
export function encodeKeepalive(transactionId: Uint8Array): Uint8Array {
  return encodeStun({ class: "indication", transactionId });
}

/** A request from whoever has our password. */
export interface AuthenticRequest {
  readonly ok: true;
  readonly message: StunMessage;
}

/** Decodes a request and says whether it is a check for us: RFC 8445 §7.3, RFC 8489 §9.1.3. */
export function readRequest(
  datagram: Uint8Array,
  local: IceCredentials,
  localKey: Uint8Array,
): AuthenticRequest | NotStun {
  const message = decodeStun(datagram);
  if (!message.ok) return message;
  if (message.method !== BINDING) return { ok: false, reason: "no Binding request" };
  // RFC 8445 §7.1: checks carry FINGERPRINT. What has none is something else, or was made to look like a check.
  if (!message.hasFingerprint) return { ok: false, reason: "request without FINGERPRINT" };
  if (!message.hasIntegrity || message.username === undefined) {
    return { ok: false, reason: "request without credentials" };
  }
  if (!message.username.startsWith(`${local.ufrag}:`)) return { ok: false, reason: "request for another agent" };
  if (!isAuthentic(datagram, message, localKey)) return { ok: false, reason: "request not authentic" };
  return { ok: true, message };
}

/** What a granted check says. */
export interface GrantedCheck {
  readonly priority: number;
  readonly useCandidate: boolean;
  /** The role the peer believes to have, and its tiebreaker. */
  readonly role: IceRole;
  readonly tiebreaker: Uint8Array;
}

/**
 * What an authentic request asks.
 *
 * @throws {StunError} With the code for the peer.
 */
export function grantCheck(message: StunMessage): GrantedCheck {
  if (message.unknownRequired.length > 0) {
    throw new StunError(STUN_ERROR_CODES.UNKNOWN_ATTRIBUTE, "check with an attribute that must be understood", {
      unknownAttributes: message.unknownRequired,
    });
  }
  const { priority, useCandidate, iceControlling, iceControlled } = message;
  if (priority === undefined || priority === 0 || priority > 0x7fffffff) {
    throw new StunError(STUN_ERROR_CODES.BAD_REQUEST, "check without a usable PRIORITY");
  }
  if (iceControlling !== undefined) return { priority, useCandidate, role: "controlling", tiebreaker: iceControlling };
  if (iceControlled !== undefined) return { priority, useCandidate, role: "controlled", tiebreaker: iceControlled };
  throw new StunError(STUN_ERROR_CODES.BAD_REQUEST, "check without a role");
}
