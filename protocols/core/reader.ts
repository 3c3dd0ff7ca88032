/**
 * Reads big-endian fields from borrowed bytes, in wire order.
 *
 * @module
 */

/** The bytes ended inside a field. Decoders of each protocol turn it into that protocol's own error. */
export class TruncatedError extends Error {
  override readonly name = "TruncatedError";
}

/** A cursor over borrowed bytes; `subarray`s it returns are views that live as long as the input. */
export class Reader {
  #bytes: Uint8Array;
  #offset: number;
  #end: number;

  /** Reads `bytes` from `start` (inclusive) to `end` (exclusive). */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** Starts over on other bytes, so that one reader can serve every packet without an allocation. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** Index of the next byte in the underlying bytes. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes not yet read. */
  get remaining(): number {
    return this.#end - this.#offset;
  }

  /** The next byte without consuming it. @throws {TruncatedError} If there is none. */
  peek(): number {
    if (this.#offset >= this.#end) throw new TruncatedError("The bytes end before a field");
    return this.#bytes[this.#offset]!;
  }

  /** @throws {TruncatedError} If the bytes end first. */
  uint8(): number {
    return this.#bytes[this.#advance(1)]!;
  }

  /** @throws {TruncatedError} If the bytes end first. */
  uint16(): number {
    const at = this.#advance(2);
    const b = this.#bytes;
    return (b[at]! << 8) | b[at + 1]!;
  }

  /** @throws {TruncatedError} If the bytes end first. */
  uint24(): number {
    const at = this.#advance(3);
    const b = this.#bytes;
    return (b[at]! << 16) | (b[at + 1]! << 8) | b[at + 2]!;
  }

  /** @throws {TruncatedError} If the bytes end first. */
  uint32(): number {
    const at = this.#advance(4);
    const b = this.#bytes;
    return b[at]! * 0x1000000 + ((b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!);
  }

  /** A view of the next `length` bytes. @throws {TruncatedError} If the bytes end first. */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A view of all that is left. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** A reader over the next `length` bytes, which this one skips. @throws {TruncatedError} If the bytes end first. */
  sub(length: number): Reader {
    const at = this.#advance(length);
    return new Reader(this.#bytes, at, at + length);
  }

  /** Passes over `length` bytes. @throws {TruncatedError} If the bytes end first. */
  skip(length: number): void {
    this.#advance(length);
  }

  #advance(length: number): number {
    const at = this.#offset;
    // A saturated varint as length fails here like any other that is too long.
    if (length > this.#end - at) throw new TruncatedError("The bytes end before a field");
    this.#offset = at + length;
    return at;
  }
}
