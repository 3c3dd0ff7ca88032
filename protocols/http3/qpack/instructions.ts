/**
 * What comes in on the peer's QPACK encoder and decoder streams: RFC 9204 §4.3, §4.4. Our dynamic table has a maximum
 * capacity of 0, and we insert nothing into the peer's, so that few instructions can be right. We open neither stream:
 * RFC 9204 §4.2 allows that to who does not use the table.
 *
 * @module
 */

import { Http3Error } from "../errors.ts";
import { MAX_CONTINUATION_BYTES } from "./prefix_integer.ts";

/** Set Dynamic Table Capacity (001, five bits of capacity) to 0. */
const SET_CAPACITY_ZERO = 0x20;

/**
 * Takes bytes of the peer's encoder stream. Each of them is an instruction of its own, as larger capacities and insertions
 * are errors from their first byte on.
 *
 * @throws {Http3Error} QPACK_ENCODER_STREAM_ERROR, for a capacity above 0 (RFC 9204 §4.3.1) and for an insertion, which does
 * not fit (§3.2.2).
 */
export function receiveEncoderInstructions(bytes: Uint8Array): void {
  for (const byte of bytes) {
    if (byte === SET_CAPACITY_ZERO) continue;
    const what = (byte & 0xe0) === SET_CAPACITY_ZERO ? "A capacity is set that was" : "An entry is inserted that was";
    throw new Http3Error("QPACK_ENCODER_STREAM_ERROR", `${what} not allowed: the maximum capacity is 0`);
  }
}

/** The peer's decoder stream. */
export class DecoderInstructions {
  /** Bytes of an integer that goes on; -1 between instructions. */
  #continuationBytes = -1;

  /**
   * Takes bytes of the stream.
   *
   * @throws {Http3Error} QPACK_DECODER_STREAM_ERROR, for acknowledging what refers to nothing (RFC 9204 §4.4.1) or was not
   * inserted (§4.4.3).
   */
  receive(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#continuationBytes >= 0) this.#onContinuation(byte);
      else this.#onFirst(byte);
    }
  }

  #onFirst(byte: number): void {
    if (byte >= 0x80) throw failed("A field section is acknowledged that needed no acknowledgment");
    if (byte < 0x40) throw failed("An insertion is acknowledged that was not made");
    // Stream Cancellation (01, six bits of stream ID): of any stream, and without effect.
    if ((byte & 0x3f) === 0x3f) this.#continuationBytes = 0;
  }

  #onContinuation(byte: number): void {
    if (++this.#continuationBytes > MAX_CONTINUATION_BYTES) throw failed("A stream ID does not end");
    if (byte < 0x80) this.#continuationBytes = -1;
  }
}

function failed(message: string): Http3Error {
  return new Http3Error("QPACK_DECODER_STREAM_ERROR", message);
}
