/**
 * Writes big-endian fields into a caller's buffer, in wire order.
 *
 * @module
 */

/** A cursor over a buffer that the caller owns. Writing past its end is our own mistake, so it throws `RangeError`. */
export class Writer {
  #bytes: Uint8Array;
  #offset: number;
  #end: number;

  /** Writes into `bytes` from `start` (inclusive), never at or past `end`. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** Starts over on another buffer, so that one writer can serve every packet without an allocation. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** Index of the next byte in the underlying buffer. */
  get offset(): number {
    return this.#offset;
  }

  /** Moves the cursor, for a length that is patched afterwards. */
  set offset(value: number) {
    this.#offset = value;
  }

  /** Room left, in bytes. */
  get remaining(): number {
    return this.#end - this.#offset;
  }

  /** The buffer underneath. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** View of what was written since `start`. */
  written(start = 0): Uint8Array {
    return this.#bytes.subarray(start, this.#offset);
  }

  /** Writes the low 8 bits of `value`. */
  uint8(value: number): void {
    this.#bytes[this.#advance(1)] = value;
  }

  /** Writes the low 16 bits of `value`. */
  uint16(value: number): void {
    const at = this.#advance(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Writes the low 24 bits of `value`. */
  uint24(value: number): void {
    const at = this.#advance(3);
    this.#bytes[at] = value >>> 16;
    this.#bytes[at + 1] = value >>> 8;
    this.#bytes[at + 2] = value;
  }

  /** Writes the low 32 bits of `value`. */
  uint32(value: number): void {
    const at = this.#advance(4);
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
  }

  /** Copies `data`. */
  bytes(data: Uint8Array): void {
    this.#bytes.set(data, this.#advance(data.length));
  }

  /** Writes `count` zero bytes. */
  zeros(count: number): void {
    const at = this.#advance(count);
    this.#bytes.fill(0, at, at + count);
  }

  /** Passes over `count` bytes, to be patched later; returns where they begin. */
  skip(count: number): number {
    return this.#advance(count);
  }

  #advance(length: number): number {
    const at = this.#offset;
    if (length > this.#end - at) throw new RangeError(`Cannot write ${length} bytes: ${this.#end - at} left`);
    this.#offset = at + length;
    return at;
  }
}
