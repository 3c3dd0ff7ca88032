/**
 * Cuts the bytes of a stream into frames, however they were cut into pieces on their way: RFC 9114 §7.1.
 *
 * @module
 */

import { Reader } from "../core/reader.ts";
import { readVarint } from "../quic/varint.ts";
import { MAX_FRAME_HEADER_BYTES } from "./frame.ts";

/** What the parser came to. */
export type FrameStep =
  /** More bytes are needed: `push`. */
  | "more"
  /** `type` and `lengthBytes` are those of a new frame: `collect`, `pass` or `skip` it. */
  | "header"
  /** `payload` is that of the frame that was collected. */
  | "payload"
  /** `takeData` has bytes of the frame that is passed. */
  | "data";

/** The frames of one stream. */
export class FrameParser {
  readonly #header = new Uint8Array(MAX_FRAME_HEADER_BYTES);
  readonly #reader = new Reader(this.#header);
  #headerBytes = 0;
  #chunk: Uint8Array = NO_BYTES;
  #at = 0;
  #state: ParserState = "header";
  /** Of the frame at hand: bytes of its payload that were not read. */
  #leftBytes = 0;
  #type = 0;
  #payload: Uint8Array = NO_BYTES;

  /** Type of the frame at hand; types beyond 2^53 - 1 all look alike, and are all unknown. */
  get type(): number {
    return this.#type;
  }

  /** Bytes of the payload that are still to come. */
  get lengthBytes(): number {
    return this.#leftBytes;
  }

  /** Payload of the frame that was collected: a view, or the parser's own copy. Valid until the next call. */
  get payload(): Uint8Array {
    return this.#payload;
  }

  /** Whether the stream may end here: no frame is cut short (RFC 9114 §7.1). */
  get isAtBoundary(): boolean {
    return this.#headerBytes === 0 && this.#leftBytes === 0 && this.#at === this.#chunk.length;
  }

  /** Gives the next bytes, after `next` has said "more"; they are kept until they are used up. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Reads on. */
  next(): FrameStep {
    for (;;) {
      const haveBytes = this.#chunk.length - this.#at;
      switch (this.#state) {
        case "header":
          if (haveBytes === 0) return "more";
          this.#header[this.#headerBytes++] = this.#chunk[this.#at++]!;
          if (this.#readHeader()) return "header";
          break;
        case "skip": {
          const bytes = Math.min(haveBytes, this.#leftBytes);
          this.#at += bytes;
          this.#leftBytes -= bytes;
          if (this.#leftBytes > 0) return "more";
          this.#state = "header";
          break;
        }
        case "pass":
          if (this.#leftBytes > 0) return haveBytes > 0 ? "data" : "more";
          this.#state = "header";
          break;
        case "collect":
          if (!this.#fillPayload()) return "more";
          this.#state = "header";
          return "payload";
      }
    }
  }

  /** After "header": the payload is wanted whole. The caller has checked `lengthBytes`. */
  collect(): void {
    const bytes = this.#leftBytes;
    this.#state = "collect";
    // Almost always it is there as a whole.
    this.#payload = this.#chunk.length - this.#at >= bytes ? NO_BYTES : new Uint8Array(bytes);
  }

  /** After "header": the payload is wanted as it comes. */
  pass(): void {
    this.#state = "pass";
  }

  /** After "header": the payload is not wanted. */
  skip(): void {
    this.#state = "skip";
  }

  /** After "data": a view of what is there of the payload. */
  takeData(): Uint8Array {
    const bytes = Math.min(this.#chunk.length - this.#at, this.#leftBytes);
    const data = this.#chunk.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    this.#leftBytes -= bytes;
    return data;
  }

  /** @returns Whether the header is complete. */
  #readHeader(): boolean {
    const typeBytes = 1 << (this.#header[0]! >> 6);
    if (this.#headerBytes <= typeBytes) return false;
    if (this.#headerBytes < typeBytes + (1 << (this.#header[typeBytes]! >> 6))) return false;
    this.#reader.reset(this.#header, 0, this.#headerBytes);
    this.#headerBytes = 0;
    this.#type = readVarint(this.#reader);
    this.#leftBytes = readVarint(this.#reader);
    // Until the caller says otherwise.
    this.#state = "skip";
    return true;
  }

  /** @returns Whether the payload is complete. */
  #fillPayload(): boolean {
    const part = this.takeData();
    if (this.#payload.length === 0) {
      this.#payload = part;
      return true;
    }
    this.#payload.set(part, this.#payload.length - this.#leftBytes - part.length);
    return this.#leftBytes === 0;
  }
}

type ParserState = "header" | "collect" | "pass" | "skip";

const NO_BYTES = new Uint8Array(0);
