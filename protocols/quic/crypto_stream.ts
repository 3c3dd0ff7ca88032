/**
 * CRYPTO streams: the ordered bytes of TLS in one packet number space, in both directions: RFC 9000 §7.5, §19.6. They
 * have no ID, no flow control and no end, and carry a few kilobytes.
 *
 * @module
 */

import type { Writer } from "../core/writer.ts";
import { TransportError } from "./errors.ts";
import { cryptoHeaderBytes, writeCryptoHeader } from "./frame_writer.ts";
import { RangeSet } from "./range_set.ts";

/** RFC 9000 §7.5: at least 4096. A certificate chain fits; one that does not would be beyond TLS's own limits here. */
export const MAX_CRYPTO_BUFFER_BYTES = 65_536;

/**
 * Stretches kept of it that do not touch: more than a chain of certificates makes that arrives in any order, or a ClientHello
 * that is cut up on purpose. A client could have thousands of them sorted before anybody knows it (RFC 9000 §21.6).
 */
export const MAX_CRYPTO_PIECES = 128;

/** A CRYPTO frame smaller than this is not worth its header. */
const MIN_CRYPTO_DATA_BYTES = 1;

const NO_BYTES = new Uint8Array(0);

/** A range of bytes that a packet carries. */
export interface CryptoRange {
  readonly type: "CRYPTO";
  /** The stream it belongs to: each packet number space has its own. */
  readonly stream: CryptoSendStream;
  readonly offset: number;
  readonly length: number;
}

/** What TLS wants sent. Everything is kept until the space is discarded. */
export class CryptoSendStream {
  #data: Uint8Array = NO_BYTES;
  readonly #toSend: RangeSet = new RangeSet();
  readonly #acknowledged: RangeSet = new RangeSet();

  /** Appends; the bytes are copied. */
  write(data: Uint8Array): void {
    const offset = this.#data.length;
    const whole = new Uint8Array(offset + data.length);
    whole.set(this.#data);
    whole.set(data, offset);
    this.#data = whole;
    this.#toSend.add(offset, whole.length);
  }

  /** Whether bytes wait to be sent. */
  get hasToSend(): boolean {
    return this.#toSend.count > 0;
  }

  /** Whether bytes that were sent are not acknowledged yet, or wait to be sent. */
  get isOutstanding(): boolean {
    return this.#data.length > 0 &&
      !(this.#acknowledged.count === 1 && this.#acknowledged.firstStart === 0 &&
        this.#acknowledged.firstEnd === this.#data.length);
  }

  /** Writes one CRYPTO frame if there is something to send and room; returns what it carries. */
  writeFrame(writer: Writer): CryptoRange | undefined {
    if (this.#toSend.count === 0) return undefined;
    const offset = this.#toSend.firstStart;
    const roomBytes = writer.remaining - cryptoHeaderBytes(offset);
    if (roomBytes < MIN_CRYPTO_DATA_BYTES) return undefined;
    const length = Math.min(this.#toSend.firstEnd - offset, roomBytes);
    writeCryptoHeader(writer, offset, length);
    writer.bytes(this.#data.subarray(offset, offset + length));
    this.#toSend.remove(offset, offset + length);
    return { type: "CRYPTO", stream: this, offset, length };
  }

  /** A packet with the range was acknowledged. */
  onAcked(offset: number, length: number): void {
    this.#acknowledged.add(offset, offset + length);
    this.#toSend.remove(offset, offset + length);
  }

  /** A packet with the range was lost: RFC 9000 §13.3. */
  onLost(offset: number, length: number): void {
    this.#toSend.add(offset, offset + length);
    this.#forgetAcknowledged();
  }

  /** Everything that is not acknowledged is sent again: a probe, RFC 9002 §6.2.4. */
  resend(): void {
    if (this.#data.length === 0) return;
    this.#toSend.add(0, this.#data.length);
    this.#forgetAcknowledged();
  }

  #forgetAcknowledged(): void {
    const acknowledged = this.#acknowledged;
    for (let i = 0; i < acknowledged.count; i++) this.#toSend.remove(acknowledged.startOf(i), acknowledged.endOf(i));
  }
}

/** What the peer's TLS sent, put in order. */
export class CryptoReceiveStream {
  #buffer: Uint8Array = NO_BYTES;
  /** Offset in the stream of the first byte of the buffer: everything below was read. */
  #readOffset = 0;
  readonly #received: RangeSet = new RangeSet();

  /** How far the stream was read. */
  get readOffset(): number {
    return this.#readOffset;
  }

  /**
   * A CRYPTO frame came in; what is kept is copied.
   *
   * @throws {TransportError} CRYPTO_BUFFER_EXCEEDED, RFC 9000 §7.5.
   */
  receive(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    if (end <= this.#readOffset) return;
    if (end - this.#readOffset > MAX_CRYPTO_BUFFER_BYTES) {
      throw new TransportError("CRYPTO_BUFFER_EXCEEDED", `More than ${MAX_CRYPTO_BUFFER_BYTES} bytes of CRYPTO wait`, {
        frameType: 0x06,
      });
    }
    const skip = Math.max(0, this.#readOffset - offset);
    const at = offset + skip - this.#readOffset;
    this.#reserve(end - this.#readOffset);
    this.#buffer.set(data.subarray(skip), at);
    this.#received.add(offset + skip, end);
    if (this.#received.count > MAX_CRYPTO_PIECES) {
      throw new TransportError("CRYPTO_BUFFER_EXCEEDED", `More than ${MAX_CRYPTO_PIECES} pieces of CRYPTO wait`, {
        frameType: 0x06,
      });
    }
  }

  /** The bytes that are next in order, now the caller's own; `undefined` if there are none. */
  read(): Uint8Array | undefined {
    if (this.#received.count === 0 || this.#received.firstStart !== this.#readOffset) return undefined;
    const length = this.#received.firstEnd - this.#readOffset;
    const data = this.#buffer.slice(0, length);
    this.#readOffset += length;
    this.#received.removeBelow(this.#readOffset);
    this.#buffer = this.#received.count === 0 ? NO_BYTES : this.#buffer.slice(length);
    return data;
  }

  /** Whether bytes wait behind a gap. */
  get hasGap(): boolean {
    return this.#received.count > 0;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    // Behind a gap it may grow byte by byte.
    const larger = new Uint8Array(this.#received.count === 0 ? bytes : Math.min(2 * bytes, MAX_CRYPTO_BUFFER_BYTES));
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}
