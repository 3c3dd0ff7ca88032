/**
 * What we send on one stream: frames that are passed on whole, with back-pressure. The connection underneath takes as much
 * as it has room for; what it leaves of a frame that was begun is kept here, and nothing new is taken until it is gone.
 *
 * @module
 */

import { Writer } from "../core/writer.ts";
import type { QuicConnection } from "../quic/connection.ts";
import { MAX_FRAME_HEADER_BYTES, writeFrameHeader } from "./frame.ts";

/** Content of one DATA frame: what waits here at most, besides heads. */
export const MAX_DATA_FRAME_BYTES: number = 16 * 1024;

/** Heads and control frames that wait here because nobody reads them; more are refused. */
export const MAX_WAITING_BYTES: number = 128 * 1024;

/** The sending part of a stream. */
export class StreamOutput {
  readonly #quic: QuicConnection;
  readonly #id: number;
  readonly #header = new Writer(new Uint8Array(MAX_FRAME_HEADER_BYTES));
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #state: "open" | "finished" | "over" = "open";
  #wantsRoom = false;

  constructor(quic: QuicConnection, id: number) {
    this.#quic = quic;
    this.#id = id;
  }

  /** Whether more may be sent. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /**
   * Sends bytes that are not content: a stream type, a head, a control frame. The bytes are copied.
   *
   * @throws {RangeError} If more than `MAX_WAITING_BYTES` would wait.
   */
  put(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      throw new RangeError(`Cannot send ${bytes.length} bytes: ${this.#waitingBytes} wait for the peer to take them`);
    }
    this.#pass(bytes);
  }

  /**
   * Sends content in DATA frames.
   *
   * @returns How many bytes were taken: `MAX_DATA_FRAME_BYTES` whole, or none of them.
   * @throws {TypeError} If the stream was finished.
   */
  write(data: Uint8Array): number {
    if (this.#state === "finished") throw new TypeError(`Cannot write to stream ${this.#id}: it was finished`);
    if (this.#state === "over") return 0;
    let takenBytes = 0;
    while (takenBytes < data.length && this.#waitingBytes === 0) {
      const bytes = Math.min(data.length - takenBytes, MAX_DATA_FRAME_BYTES);
      this.#header.offset = 0;
      writeFrameHeader(this.#header, "DATA", bytes);
      this.#pass(this.#header.written());
      this.#pass(data.subarray(takenBytes, takenBytes + bytes));
      takenBytes += bytes;
    }
    if (takenBytes < data.length) this.#wantsRoom = true;
    return takenBytes;
  }

  /** No more follows. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "finished";
    this.#wantsRoom = false;
    if (this.#waitingBytes === 0) this.#quic.finish(this.#id);
  }

  /** Gives up. */
  reset(code: number): void {
    this.onOver();
    this.#quic.reset(this.#id, code);
  }

  /** The peer stopped it, or the stream is no more. */
  onOver(): void {
    this.#state = "over";
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#wantsRoom = false;
  }

  /** There is room again. @returns Whether a `write` that was cut short may go on. */
  onWritable(): boolean {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const bytes of waiting) this.#pass(bytes);
    if (this.#waitingBytes > 0) return false;
    if (this.#state === "finished") this.#quic.finish(this.#id);
    const wantsRoom = this.#wantsRoom;
    this.#wantsRoom = false;
    return wantsRoom;
  }

  #pass(bytes: Uint8Array): void {
    const takenBytes = this.#waitingBytes > 0 ? 0 : this.#quic.write(this.#id, bytes);
    if (takenBytes === bytes.length) return;
    this.#waiting.push(bytes.slice(takenBytes));
    this.#waitingBytes += bytes.length - takenBytes;
  }
}
