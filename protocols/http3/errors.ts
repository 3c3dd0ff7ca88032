/**
 * Whose fault an end of a request or of a connection is, and the codes that say so: RFC 9114 §8.1, RFC 9204 §6,
 * RFC 9297 §5.2.
 *
 * @module
 */

/** Codes of QUIC's application error space by the names of their RFCs. */
export const HTTP3_ERROR = {
  /** RFC 9297 §5.2. */
  H3_DATAGRAM_ERROR: 0x33,
  H3_NO_ERROR: 0x0100,
  H3_GENERAL_PROTOCOL_ERROR: 0x0101,
  H3_INTERNAL_ERROR: 0x0102,
  H3_STREAM_CREATION_ERROR: 0x0103,
  H3_CLOSED_CRITICAL_STREAM: 0x0104,
  H3_FRAME_UNEXPECTED: 0x0105,
  H3_FRAME_ERROR: 0x0106,
  H3_EXCESSIVE_LOAD: 0x0107,
  H3_ID_ERROR: 0x0108,
  H3_SETTINGS_ERROR: 0x0109,
  H3_MISSING_SETTINGS: 0x010a,
  H3_REQUEST_REJECTED: 0x010b,
  H3_REQUEST_CANCELLED: 0x010c,
  H3_REQUEST_INCOMPLETE: 0x010d,
  H3_MESSAGE_ERROR: 0x010e,
  H3_CONNECT_ERROR: 0x010f,
  H3_VERSION_FALLBACK: 0x0110,
  /** RFC 9204 §6. */
  QPACK_DECOMPRESSION_FAILED: 0x0200,
  QPACK_ENCODER_STREAM_ERROR: 0x0201,
  QPACK_DECODER_STREAM_ERROR: 0x0202,
} as const;

/** The name of a code. */
export type Http3ErrorName = keyof typeof HTTP3_ERROR;

/**
 * The peer broke a rule that the whole connection stands on, which therefore closes with `code`: RFC 9114 §8.
 *
 * Thrown only while handling what came in; `Http3Connection` catches it in one place.
 */
export class Http3Error extends Error {
  override readonly name = "Http3Error";
  /** What CONNECTION_CLOSE will carry. */
  readonly code: Http3ErrorName;

  /** @param message Names the rule: it is sent to the peer as the reason phrase. */
  constructor(code: Http3ErrorName, message: string) {
    super(message);
    this.code = code;
  }
}

/** The peer broke a rule of one request: its stream ends with `code`, and nothing else does (RFC 9114 §8). */
export class Http3StreamError extends Error {
  override readonly name = "Http3StreamError";
  /** What RESET_STREAM and STOP_SENDING will carry. */
  readonly code: Http3ErrorName;

  /** @param message Names the rule: the application is told. */
  constructor(code: Http3ErrorName, message: string) {
    super(message);
    this.code = code;
  }
}

/** `0x010e` as `H3_MESSAGE_ERROR`; what is unknown as hexadecimal (RFC 9114 §9: it means H3_NO_ERROR). */
export function nameHttp3Error(code: number): string {
  for (const [name, value] of Object.entries(HTTP3_ERROR)) if (value === code) return name;
  return `0x${code.toString(16)}`;
}
