/**
 * Alerts: how a handshake fails (RFC 8446 §6). QUIC carries one as the error code 0x0100 + its number (RFC 9001 §4.8), and has
 * some rules of its own about messages, whose breach no alert stands for.
 *
 * @module
 */

/** The alerts of RFC 8446 §6 and RFC 7301 §3.2 that end a handshake, with their numbers. */
export const ALERT_CODES = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const;

/** The RFC's name of an alert. */
export type AlertName = keyof typeof ALERT_CODES;

/**
 * The handshake failed, and the peer is to be told so with `code`.
 *
 * Thrown by the calls that take something in; the connection closes with it. A mistake of the caller is a `TypeError` or
 * `RangeError`, never this.
 */
export class TlsAlert extends Error {
  override readonly name = "TlsAlert";
  /** The RFC's name. */
  readonly alert: AlertName;
  /** The RFC's number; the QUIC error code is 0x0100 more (RFC 9001 §4.8). */
  readonly code: number;

  /** @param message Names the rule that was broken. */
  constructor(alert: AlertName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.alert = alert;
    this.code = ALERT_CODES[alert];
  }
}

/**
 * The peer broke a rule about messages that is not of TLS but of QUIC: the connection closes with PROTOCOL_VIOLATION
 * (RFC 9001 §4.1.3, §4.4, §4.6.1, §8.4).
 *
 * Thrown where a {@linkcode TlsAlert} may be.
 */
export class HandshakeViolation extends Error {
  override readonly name = "HandshakeViolation";
}
