/**
 * What a STUN request can be refused with (RFC 8489 §14.8, §18.3; RFC 8445 §7.2.2 and §7.3.1.1).
 *
 * @module
 */

/** The error codes we send or act upon, by the RFC's names. */
export const STUN_ERROR_CODES = {
  BAD_REQUEST: 400,
  UNAUTHENTICATED: 401,
  UNKNOWN_ATTRIBUTE: 420,
  STALE_NONCE: 438,
  ROLE_CONFLICT: 487,
  SERVER_ERROR: 500,
} as const;

/** One of {@linkcode STUN_ERROR_CODES}. */
export type StunErrorCode = (typeof STUN_ERROR_CODES)[keyof typeof STUN_ERROR_CODES];

/** Reason phrases of RFC 8489 §14.8 and RFC 8445 §7.3.1.1. */
export const STUN_REASONS: Readonly<Record<StunErrorCode, string>> = {
  400: "Bad Request",
  401: "Unauthenticated",
  420: "Unknown Attribute",
  438: "Stale Nonce",
  487: "Role Conflict",
  500: "Server Error",
};

/**
 * The peer's request cannot be granted, and `code` says why to whoever is told.
 *
 * Thrown and caught inside an engine that handles a request; it never leaves it.
 */
export class StunError extends Error {
  override readonly name = "StunError";
  readonly code: StunErrorCode;
  /** Comprehension-required attributes we do not know, for code 420. */
  readonly unknownAttributes: readonly number[];

  /** @param message What was wrong, for our own reports: the peer gets the code's standard phrase. */
  constructor(code: StunErrorCode, message: string, options: { unknownAttributes?: readonly number[] } = {}) {
    super(message);
    this.code = code;
    this.unknownAttributes = options.unknownAttributes ?? [];
  }
}
