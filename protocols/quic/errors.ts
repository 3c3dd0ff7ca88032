/**
 * Whose fault a connection's end is, and the codes that say so on the wire: RFC 9000 §20.
 *
 * @module
 */

/** Transport error codes by the names of RFC 9000 §20.1; a TLS alert is `CRYPTO_ERROR` plus its number. */
export const TRANSPORT_ERROR = {
  NO_ERROR: 0x00,
  INTERNAL_ERROR: 0x01,
  CONNECTION_REFUSED: 0x02,
  FLOW_CONTROL_ERROR: 0x03,
  STREAM_LIMIT_ERROR: 0x04,
  STREAM_STATE_ERROR: 0x05,
  FINAL_SIZE_ERROR: 0x06,
  FRAME_ENCODING_ERROR: 0x07,
  TRANSPORT_PARAMETER_ERROR: 0x08,
  CONNECTION_ID_LIMIT_ERROR: 0x09,
  PROTOCOL_VIOLATION: 0x0a,
  INVALID_TOKEN: 0x0b,
  APPLICATION_ERROR: 0x0c,
  CRYPTO_BUFFER_EXCEEDED: 0x0d,
  KEY_UPDATE_ERROR: 0x0e,
  AEAD_LIMIT_REACHED: 0x0f,
  NO_VIABLE_PATH: 0x10,
  CRYPTO_ERROR: 0x0100,
} as const;

/** The name of a code of RFC 9000 §20.1. */
export type TransportErrorName = keyof typeof TRANSPORT_ERROR;

/**
 * The peer broke a rule of RFC 9000, so the connection closes with `code`.
 *
 * Thrown only while handling a packet; the connection catches it in one place and turns it into CONNECTION_CLOSE.
 * A mistake of the caller is a `TypeError` or `RangeError`, never this.
 */
export class TransportError extends Error {
  override readonly name = "TransportError";
  /** What CONNECTION_CLOSE will carry. */
  readonly code: number;
  /** Type of the frame at fault, where one is. */
  readonly frameType: number | undefined;

  /**
   * @param code A name of RFC 9000 §20.1, or the number of a code outside that table (0x0100 to 0x01ff: TLS alerts).
   * @param message Names the rule: it is sent to the peer as the reason phrase.
   */
  constructor(code: TransportErrorName | number, message: string, options: { readonly frameType?: number } = {}) {
    super(message);
    this.code = typeof code === "number" ? code : TRANSPORT_ERROR[code];
    this.frameType = options.frameType;
  }

  /** The same, caused by a frame of this type unless it names one already: RFC 9000 §19.19. */
  causedBy(frameType: number): TransportError {
    return this.frameType === undefined ? new TransportError(this.code, this.message, { frameType }) : this;
  }
}
