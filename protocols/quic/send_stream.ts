/**
 * The sending part of a stream: RFC 9000 §3.1, its buffer, and what of it is sent, acknowledged or lost.
 *
 * @module
 */

import { SendCredit } from "./flow_control.ts";
import { RangeSet } from "./range_set.ts";

/** Data that may wait to be sent for the first time: enough for a few batches of packets, the rest is back-pressure. */
export const MAX_UNSENT_BYTES: number = 256 * 1024;
/** Data kept until it is acknowledged, sent or not: what a fast path far away has in flight. */
export const MAX_BUFFERED_BYTES: number = 16 * 1024 * 1024;
/** Small writes are gathered into blocks of at most this size. */
const MAX_BLOCK_BYTES = 64 * 1024;

/** States of RFC 9000 §3.1. */
export type SendStreamState = "Ready" | "Send" | "DataSent" | "DataRecvd" | "ResetSent" | "ResetRecvd";

/** What one STREAM frame is going to carry. */
export interface StreamRange {
  offset: number;
  length: number;
  fin: boolean;
}

/** The sending part of one stream. */
export class SendStream {
  /** What the peer allows on this stream. */
  readonly credit: SendCredit = new SendCredit();
  #state: SendStreamState = "Ready";
  #resetCode = 0;
  #isResetPending = false;
  // Chunk i holds the bytes from #chunkStarts[i] on; chunks before #firstChunk are acknowledged and let go.
  readonly #chunks: Uint8Array[] = [];
  readonly #chunkStarts: number[] = [];
  #firstChunk = 0;
  /** The block that small writes go to; its filled part is the last chunk. */
  #block: Uint8Array | undefined = undefined;
  /** Index of the chunk that the next new data comes from. */
  #nextChunk = 0;
  /** End of what was written. */
  #writtenOffset = 0;
  /** End of what was sent at least once. */
  #sentOffset = 0;
  /** Everything below is acknowledged; ranges above it are in `#acked`. */
  #ackedOffset = 0;
  readonly #acked = new RangeSet();
  /** What was sent and must be sent again. */
  readonly #lost = new RangeSet();
  #isFinished = false;
  #isFinPending = false;
  #isFinAcked = false;
  #wantsRoom = false;

  /** RFC 9000 §3.1. */
  get state(): SendStreamState {
    return this.#state;
  }

  /** Whether nothing more will be sent or heard: RFC 9000 §3.1's terminal states. */
  get isTerminal(): boolean {
    return this.#state === "DataRecvd" || this.#state === "ResetRecvd";
  }

  /** Whether `write` may still be called: neither finished nor reset. */
  get isOpen(): boolean {
    return !this.#isFinished && (this.#state === "Ready" || this.#state === "Send");
  }

  /** Bytes `write` would take now. */
  get roomBytes(): number {
    if (!this.isOpen) return 0;
    const unsentBytes = this.#writtenOffset - this.#sentOffset;
    const bufferedBytes = this.#writtenOffset - this.#ackedOffset;
    return Math.max(0, Math.min(MAX_UNSENT_BYTES - unsentBytes, MAX_BUFFERED_BYTES - bufferedBytes));
  }

  /** Bytes written and not yet acknowledged. */
  get bufferedBytes(): number {
    return this.#writtenOffset - this.#ackedOffset;
  }

  /** Bytes sent at least once: the final size of a stream that is reset now. */
  get sentOffset(): number {
    return this.#sentOffset;
  }

  /** Offset of what `select` would choose. */
  get nextOffset(): number {
    return this.#lost.count > 0 ? this.#lost.firstStart : this.#sentOffset;
  }

  /** Whether a frame could be sent that needs no credit: lost data, or a FIN with no new data before it. */
  get hasRepair(): boolean {
    return this.#lost.count > 0 || (this.#isFinPending && this.#sentOffset === this.#writtenOffset);
  }

  /** Whether data waits to be sent for the first time, credit or not. */
  get hasNew(): boolean {
    return this.#writtenOffset > this.#sentOffset;
  }

  /** Whether RESET_STREAM waits to be sent. */
  get isResetPending(): boolean {
    return this.#isResetPending;
  }

  /** Of a stream that was reset: what RESET_STREAM says. */
  get resetCode(): number {
    return this.#resetCode;
  }

  /**
   * Appends data, which is copied.
   *
   * @returns How many bytes were taken, from the front; the rest must be offered again when there is room. Always 0 once
   * the stream was reset.
   * @throws {TypeError} If the stream was finished.
   */
  write(data: Uint8Array): number {
    const takenBytes = this.#admit(data.length);
    let from = 0;
    while (from < takenBytes) {
      const block = this.#block;
      const last = this.#chunks.length - 1;
      const usedBytes = block === undefined ? 0 : this.#chunks[last]!.length;
      if (block === undefined || usedBytes === block.length) {
        // As large as what waits already, so that a short stream costs little and a long one few blocks.
        const wantedBytes = Math.max(takenBytes - from, Math.min(this.bufferedBytes, MAX_BLOCK_BYTES));
        this.#block = new Uint8Array(Math.min(wantedBytes, MAX_BLOCK_BYTES));
        this.#chunks.push(this.#block.subarray(0, 0));
        this.#chunkStarts.push(this.#writtenOffset);
        continue;
      }
      const bytes = Math.min(takenBytes - from, block.length - usedBytes);
      block.set(data.subarray(from, from + bytes), usedBytes);
      this.#chunks[last] = block.subarray(0, usedBytes + bytes);
      this.#writtenOffset += bytes;
      from += bytes;
    }
    return takenBytes;
  }

  /**
   * Appends data without a copy: the caller gives the bytes away, and must never write to them again.
   *
   * @returns As `write`.
   * @throws {TypeError} If the stream was finished.
   */
  give(data: Uint8Array): number {
    const takenBytes = this.#admit(data.length);
    if (takenBytes === 0) return 0;
    this.#block = undefined;
    this.#chunks.push(takenBytes === data.length ? data : data.subarray(0, takenBytes));
    this.#chunkStarts.push(this.#writtenOffset);
    this.#writtenOffset += takenBytes;
    return takenBytes;
  }

  /** No more data will be written: FIN follows the last byte. Harmless when repeated or after a reset. */
  finish(): void {
    if (!this.isOpen) return;
    this.#isFinished = true;
    this.#isFinPending = true;
    this.#wantsRoom = false;
  }

  /**
   * Abandons the stream: RESET_STREAM is due and everything else is let go. Harmless when all was acknowledged already.
   *
   * @returns Whether it had an effect.
   */
  reset(code: number): boolean {
    if (this.#state !== "Ready" && this.#state !== "Send" && this.#state !== "DataSent") return false;
    this.#state = "ResetSent";
    this.#resetCode = code;
    this.#isResetPending = true;
    this.#letGo();
    return true;
  }

  /**
   * Chooses what the next STREAM frame carries: lost data first, then new data within both credits, or a bare FIN.
   *
   * @param maxBytes Room for data in the packet.
   * @param connectionCredit What the peer allows on the connection.
   * @param range Filled in with the choice, which holds until any other call.
   * @returns Whether there is anything.
   */
  select(maxBytes: number, connectionCredit: SendCredit, range: StreamRange): boolean {
    if (this.#lost.count > 0) {
      if (maxBytes <= 0) return false;
      range.offset = this.#lost.firstStart;
      range.length = Math.min(maxBytes, this.#lost.firstEnd - range.offset);
    } else {
      const newBytes = this.#writtenOffset - this.#sentOffset;
      range.offset = this.#sentOffset;
      range.length = Math.min(newBytes, maxBytes, this.credit.availableBytes, connectionCredit.availableBytes);
      if (range.length <= 0 && (newBytes > 0 || !this.#isFinPending || maxBytes < 0)) return false;
    }
    range.fin = this.#isFinished && range.offset + range.length === this.#writtenOffset;
    return true;
  }

  /** Writes the data of the range that `select` chose into `target` from `at` on, and counts it as sent. */
  fill(range: StreamRange, connectionCredit: SendCredit, target: Uint8Array, at: number): void {
    const end = range.offset + range.length;
    if (range.offset < this.#sentOffset) {
      this.#copy(this.#chunkAt(range.offset), range.offset, end, target, at);
      this.#lost.removeBelow(end);
    } else if (range.length > 0) {
      this.#nextChunk = this.#copy(this.#nextChunk, range.offset, end, target, at);
      this.#sentOffset = end;
      this.credit.consume(range.length);
      connectionCredit.consume(range.length);
    }
    if (this.#state === "Ready") this.#state = "Send";
    if (range.fin) {
      this.#isFinPending = false;
      this.#state = "DataSent";
    }
  }

  /** A STREAM frame was acknowledged. */
  onAcked(offset: number, length: number, fin: boolean): void {
    if (this.#state === "ResetSent" || this.isTerminal) return;
    const end = offset + length;
    if (this.#lost.count > 0) this.#lost.remove(offset, end);
    if (offset > this.#ackedOffset) {
      this.#acked.add(offset, end);
    } else if (end > this.#ackedOffset) {
      this.#ackedOffset = end;
      while (this.#acked.count > 0 && this.#acked.firstStart <= this.#ackedOffset) {
        if (this.#acked.firstEnd > this.#ackedOffset) this.#ackedOffset = this.#acked.firstEnd;
        this.#acked.removeBelow(this.#ackedOffset);
      }
      this.#freeChunks();
    }
    if (fin) {
      this.#isFinAcked = true;
      this.#isFinPending = false;
    }
    if (this.#isFinAcked && this.#ackedOffset === this.#writtenOffset) {
      this.#state = "DataRecvd";
      this.#letGo();
    }
  }

  /** A STREAM frame was lost: what of it is not acknowledged through another packet is sent again. */
  onLost(offset: number, length: number, fin: boolean): void {
    if (this.#state === "ResetSent" || this.isTerminal) return;
    let start = Math.max(offset, this.#ackedOffset);
    const end = offset + length;
    if (this.#acked.count > 0) {
      for (let i = this.#acked.search(start); i < this.#acked.count && this.#acked.startOf(i) < end; i++) {
        this.#lost.add(start, this.#acked.startOf(i));
        start = Math.max(start, this.#acked.endOf(i));
      }
    }
    this.#lost.add(start, end);
    if (fin && !this.#isFinAcked) this.#isFinPending = true;
  }

  /**
   * Queues the oldest unacknowledged data, or the FIN, for a probe: RFC 9002 §6.2.4.
   *
   * @returns Whether there is any.
   */
  probe(maxBytes: number): boolean {
    if (this.hasRepair) return true;
    if (this.#state === "ResetSent" || this.isTerminal) return false;
    if (this.#ackedOffset < this.#sentOffset) {
      const end = this.#acked.count > 0 ? this.#acked.firstStart : this.#sentOffset;
      this.#lost.add(this.#ackedOffset, Math.min(end, this.#ackedOffset + maxBytes));
      return true;
    }
    if (this.#state !== "DataSent" || this.#isFinAcked) return false;
    this.#isFinPending = true;
    return true;
  }

  /** RESET_STREAM is in a packet. */
  onResetSent(): void {
    this.#isResetPending = false;
  }

  /** RESET_STREAM was acknowledged. */
  onResetAcked(): void {
    this.#isResetPending = false;
    if (this.#state === "ResetSent") this.#state = "ResetRecvd";
  }

  /** RESET_STREAM was lost. */
  onResetLost(): void {
    if (this.#state === "ResetSent") this.#isResetPending = true;
  }

  /** Whether the writer, once short of room, should be told that there is room again: asked often, told once. */
  takeWritable(): boolean {
    // Half of what may wait: the writer is woken for a batch, not for a packet.
    if (!this.#wantsRoom || this.roomBytes < MAX_UNSENT_BYTES / 2) return false;
    this.#wantsRoom = false;
    return true;
  }

  #admit(bytes: number): number {
    if (this.#isFinished) throw new TypeError("Cannot write: the stream is finished");
    const roomBytes = this.roomBytes;
    if (bytes <= roomBytes) return bytes;
    if (this.isOpen) this.#wantsRoom = true;
    return roomBytes;
  }

  /** Copies [`start`, `end`) to `target`. @returns The index of the chunk that holds `end`. */
  #copy(chunk: number, start: number, end: number, target: Uint8Array, at: number): number {
    let offset = start;
    while (offset < end) {
      const bytes = this.#chunks[chunk]!;
      const from = offset - this.#chunkStarts[chunk]!;
      const count = Math.min(end - offset, bytes.length - from);
      if (count <= 0) {
        chunk++;
        continue;
      }
      target.set(bytes.subarray(from, from + count), at);
      at += count;
      offset += count;
    }
    return chunk;
  }

  #chunkAt(offset: number): number {
    let low = this.#firstChunk;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunkStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Lets go of the chunks that are acknowledged whole; the arrays are compacted once half of them is behind. */
  #freeChunks(): void {
    const chunks = this.#chunks;
    const last = chunks.length - 1;
    while (
      this.#firstChunk <= last &&
      this.#chunkStarts[this.#firstChunk]! + chunks[this.#firstChunk]!.length <= this.#ackedOffset
    ) {
      if (this.#firstChunk === last) {
        this.#block = undefined;
        chunks.length = 0;
        this.#chunkStarts.length = 0;
        this.#firstChunk = 0;
        this.#nextChunk = 0;
        return;
      }
      chunks[this.#firstChunk++] = NO_BYTES;
    }
    if (this.#firstChunk < 32 || 2 * this.#firstChunk < chunks.length) return;
    chunks.splice(0, this.#firstChunk);
    this.#chunkStarts.splice(0, this.#firstChunk);
    this.#nextChunk = Math.max(0, this.#nextChunk - this.#firstChunk);
    this.#firstChunk = 0;
  }

  #letGo(): void {
    this.#chunks.length = 0;
    this.#chunkStarts.length = 0;
    this.#firstChunk = 0;
    this.#nextChunk = 0;
    this.#block = undefined;
    this.#acked.clear();
    this.#lost.clear();
    this.#isFinPending = false;
    this.#wantsRoom = false;
    this.#writtenOffset = this.#sentOffset;
    this.#ackedOffset = this.#sentOffset;
  }
}

const NO_BYTES = new Uint8Array(0);
