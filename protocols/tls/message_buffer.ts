/**
 * Puts handshake messages together from CRYPTO data, which may split them anywhere (RFC 9001 §4.1.3).
 *
 * @module
 */

import { MAX_MESSAGE_BYTES, MESSAGE_HEADER_BYTES, messageBytes } from "./messages.ts";
import { TlsAlert } from "./alerts.ts";

/**
 * Bytes kept that were not taken yet: two messages of the largest size. More can only pile up while the handshake waits
 * for a signature or a verdict, and no honest peer has that much to say before it is answered.
 */
export const MAX_BUFFERED_BYTES = 2 * (MESSAGE_HEADER_BYTES + MAX_MESSAGE_BYTES);

const INITIAL_CAPACITY_BYTES = 2048;

const NO_BYTES = new Uint8Array(0);

/** Bytes in, whole messages out. */
export class MessageBuffer {
  #bytes: Uint8Array<ArrayBuffer> = NO_BYTES;
  #start = 0;
  #end = 0;

  /** Bytes not yet taken as part of a message. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /**
   * Adds a copy of `data`.
   *
   * @throws {TlsAlert} unexpected_message, if more piles up than {@linkcode MAX_BUFFERED_BYTES}.
   */
  add(data: Uint8Array): void {
    const needed = this.bufferedBytes + data.length;
    if (needed > MAX_BUFFERED_BYTES) throw new TlsAlert("unexpected_message", "More handshake data than is waited for");
    if (this.#end + data.length > this.#bytes.length) this.#makeRoom(needed);
    this.#bytes.set(data, this.#end);
    this.#end += data.length;
  }

  /**
   * The next whole message with its header, a copy that belongs to the caller; `undefined` if its end is not here yet.
   *
   * @throws {TlsAlert} decode_error, as soon as a message says that it is longer than we take.
   */
  take(): Uint8Array | undefined {
    if (this.bufferedBytes < MESSAGE_HEADER_BYTES) return undefined;
    const length = messageBytes(this.#bytes.subarray(this.#start, this.#start + MESSAGE_HEADER_BYTES));
    if (this.bufferedBytes < length) return undefined;
    const message = this.#bytes.slice(this.#start, this.#start + length);
    this.#start += length;
    // Nothing may come for as long as the connection lasts.
    if (this.#start === this.#end) this.clear();
    return message;
  }

  /** Forgets everything and frees the memory. */
  clear(): void {
    this.#bytes = NO_BYTES;
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(needed: number): void {
    const kept = this.#bytes.subarray(this.#start, this.#end);
    let capacity = Math.max(this.#bytes.length, INITIAL_CAPACITY_BYTES);
    while (capacity < needed) capacity *= 2;
    const bytes = capacity > this.#bytes.length ? new Uint8Array(capacity) : this.#bytes;
    bytes.set(kept);
    this.#bytes = bytes;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
