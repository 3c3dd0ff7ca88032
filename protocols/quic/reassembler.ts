/**
 * Puts the data of a stream back in order: RFC 9000 §2.2. CRYPTO streams, which are short, have their own.
 *
 * @module
 */

import { TransportError } from "./errors.ts";

/** Pieces kept of one stream: a peer that sends every other byte runs into it (RFC 9000 §21.6). */
export const MAX_REASSEMBLY_PIECES = 4096;

/** Data that continues a piece is gathered into buffers of at most this size. */
const MAX_PIECE_BYTES = 64 * 1024;

/** Received data, from `start` on; `buffer` may have room for more behind `length`. */
interface Piece {
  readonly start: number;
  length: number;
  readonly buffer: Uint8Array;
}

/** Collects data by offset and gives it out in order. Each byte is copied once, when it comes in. */
export class Reassembler {
  // Ascending and not overlapping, from #first on.
  readonly #pieces: Piece[] = [];
  #first = 0;
  #readOffset = 0;
  #contiguousOffset = 0;
  #highestOffset = 0;
  #pieceBytes = 0;
  /** Length of the piece read last: what the next one is made to hold. */
  #expectedBytes = 0;

  /** Everything below was read. */
  get readOffset(): number {
    return this.#readOffset;
  }

  /** Everything below was received. */
  get contiguousOffset(): number {
    return this.#contiguousOffset;
  }

  /** End of the data received so far, with gaps before it or not. */
  get highestOffset(): number {
    return this.#highestOffset;
  }

  /** Whether `read` would return data. */
  get isReadable(): boolean {
    return this.#contiguousOffset > this.#readOffset;
  }

  /**
   * Takes data in and drops what is there already. The bytes are copied.
   *
   * @throws {TransportError} INTERNAL_ERROR if the data leaves more gaps than are kept track of.
   */
  insert(offset: number, data: Uint8Array): void {
    let from = offset;
    const end = offset + data.length;
    if (end <= this.#contiguousOffset) return;
    if (from < this.#contiguousOffset) from = this.#contiguousOffset;
    if (from >= this.#highestOffset) {
      // Beyond all others: the path of data in order, and of data behind a gap.
      this.#append(from, from === offset ? data : data.subarray(from - offset));
      if (from === this.#contiguousOffset) this.#contiguousOffset = end;
      this.#highestOffset = end;
      return;
    }
    this.#insertBetween(from, end, offset, data);
  }

  /** The next data in order, now the caller's own; `undefined` if there is none. */
  read(): Uint8Array | undefined {
    const piece = this.#pieces[this.#first];
    if (piece === undefined || piece.start !== this.#readOffset) return undefined;
    this.#dropFirst();
    this.#readOffset += piece.length;
    this.#pieceBytes -= piece.length;
    this.#expectedBytes = piece.length;
    return piece.length === piece.buffer.length ? piece.buffer : piece.buffer.subarray(0, piece.length);
  }

  /** Lets go of all data, as if it had been read, gaps and all. */
  clear(): void {
    this.#pieces.length = 0;
    this.#first = 0;
    this.#pieceBytes = 0;
    this.#readOffset = this.#contiguousOffset = this.#highestOffset;
  }

  #append(start: number, data: Uint8Array): void {
    const last = this.#pieces.length > this.#first ? this.#pieces[this.#pieces.length - 1] : undefined;
    const lastBytes = last !== undefined && last.start + last.length === start ? last.length : 0;
    let from = 0;
    if (last !== undefined && lastBytes > 0) {
      from = Math.min(data.length, last.buffer.length - last.length);
      last.buffer.set(from === data.length ? data : data.subarray(0, from), last.length);
      last.length += from;
      this.#pieceBytes += from;
      if (from === data.length) return;
    }
    this.#checkPieces();
    const bytes = data.length - from;
    const buffer = new Uint8Array(Math.max(bytes, Math.min(this.#wantedBytes(start, lastBytes), MAX_PIECE_BYTES)));
    buffer.set(from === 0 ? data : data.subarray(from));
    this.#pieces.push({ start: start + from, length: bytes, buffer });
    this.#pieceBytes += bytes;
  }

  /** Room to make for a new piece, so that there are few of them and little of them is unused. */
  #wantedBytes(start: number, lastBytes: number): number {
    // In order: what was read at once the last time, or as much as waits already.
    if (start === this.#contiguousOffset) return Math.max(this.#expectedBytes, this.#pieceBytes);
    // Behind a gap: twice the piece that goes on here; nothing beyond the data itself where none does.
    return 2 * lastBytes;
  }

  /** Fills what is missing of [`from`, `end`) between the pieces there are. */
  #insertBetween(from: number, end: number, offset: number, data: Uint8Array): void {
    let index = this.#search(from);
    while (from < end) {
      const piece = this.#pieces[index];
      const gapEnd = piece === undefined ? end : Math.min(end, piece.start);
      if (from < gapEnd) {
        this.#checkPieces();
        const buffer = data.slice(from - offset, gapEnd - offset);
        this.#pieces.splice(index, 0, { start: from, length: buffer.length, buffer });
        this.#pieceBytes += buffer.length;
        index++;
      }
      if (piece === undefined) break;
      from = Math.max(from, piece.start + piece.length);
      index++;
    }
    if (end > this.#highestOffset) this.#highestOffset = end;
    let next = this.#search(this.#contiguousOffset);
    for (; next < this.#pieces.length; next++) {
      const piece = this.#pieces[next]!;
      if (piece.start > this.#contiguousOffset) break;
      this.#contiguousOffset = piece.start + piece.length;
    }
  }

  /** Index of the first piece that ends beyond `offset`. */
  #search(offset: number): number {
    let low = this.#first;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const piece = this.#pieces[middle]!;
      if (piece.start + piece.length <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #checkPieces(): void {
    if (this.#pieces.length - this.#first < MAX_REASSEMBLY_PIECES) return;
    throw new TransportError("INTERNAL_ERROR", `More than ${MAX_REASSEMBLY_PIECES} gaps in the data of a stream`);
  }

  #dropFirst(): void {
    this.#first++;
    if (this.#first === this.#pieces.length) {
      this.#pieces.length = 0;
      this.#first = 0;
    } else if (this.#first >= 32 && 2 * this.#first >= this.#pieces.length) {
      this.#pieces.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
