/**
 * The Capsule Protocol: RFC 9297 §3.2. What the types mean is for those who use it; types that they do not know are passed
 * over (§3.2), whatever their length.
 *
 * @module
 */

import { Reader } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import { readVarint, varintBytes, writeVarint } from "../quic/varint.ts";
import { Http3StreamError } from "./errors.ts";

/** Carries an HTTP Datagram where QUIC carries none: RFC 9297 §3.5. */
export const DATAGRAM_CAPSULE = 0x00;

/** Type and length, each a varint of at most eight bytes. */
const MAX_CAPSULE_HEADER_BYTES = 16;

/** A capsule that came in. `value` is a view that is valid until the next call of the parser. */
export interface Capsule {
  readonly type: number;
  readonly value: Uint8Array;
}

/** What a parser is told. */
export interface CapsuleParserOptions {
  /** Types that are reported; all others are passed over. */
  readonly types: ReadonlySet<number>;
  /** Longest value of a reported type; one more ends the request with H3_EXCESSIVE_LOAD. */
  readonly maxValueBytes: number;
}

/** A capsule as bytes. */
export function encodeCapsule(type: number, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(varintBytes(type) + varintBytes(value.length) + value.length);
  const writer = new Writer(bytes);
  writeVarint(writer, type);
  writeVarint(writer, value.length);
  writer.bytes(value);
  return bytes;
}

/**
 * Cuts the content of a request into capsules, however it was cut into pieces on its way.
 *
 * @example
 * ```ts
 * import { CapsuleParser, DATAGRAM_CAPSULE, encodeCapsule } from "./capsule.ts";
 *
 * const parser = new CapsuleParser({ types: new Set([DATAGRAM_CAPSULE]), maxValueBytes: 1500 });
 * parser.push(encodeCapsule(DATAGRAM_CAPSULE, new Uint8Array([1, 2])));
 * for (let capsule = parser.next(); capsule !== undefined; capsule = parser.next()) console.log(capsule.value);
 * ```
 */
export class CapsuleParser {
  readonly #options: CapsuleParserOptions;
  readonly #header = new Uint8Array(MAX_CAPSULE_HEADER_BYTES);
  readonly #reader = new Reader(this.#header);
  #headerBytes = 0;
  #chunk: Uint8Array = NO_BYTES;
  #at = 0;
  #state: CapsuleState = HEADER;

  constructor(options: CapsuleParserOptions) {
    this.#options = options;
  }

  /** Whether the content may end here: not inside a capsule (RFC 9297 §3.3). */
  get isAtBoundary(): boolean {
    return this.#state.name === "header" && this.#headerBytes === 0 && this.#at === this.#chunk.length;
  }

  /**
   * Gives more content, which is borrowed until `next` returns `undefined`.
   *
   * @throws {TypeError} If the last piece has not been taken to its end.
   */
  push(chunk: Uint8Array): void {
    if (this.#at < this.#chunk.length) throw new TypeError("Cannot take more content: call next until it is undefined");
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * The next capsule; `undefined` when more content is needed.
   *
   * @throws {Http3StreamError} H3_EXCESSIVE_LOAD, if a value is too long.
   */
  next(): Capsule | undefined {
    for (;;) {
      const state = this.#state;
      const haveBytes = this.#chunk.length - this.#at;
      switch (state.name) {
        case "header":
          if (haveBytes === 0) return undefined;
          this.#header[this.#headerBytes++] = this.#chunk[this.#at++]!;
          this.#onHeaderByte();
          break;
        case "skip": {
          const bytes = Math.min(haveBytes, state.leftBytes);
          this.#at += bytes;
          this.#state = bytes === state.leftBytes ? HEADER : { name: "skip", leftBytes: state.leftBytes - bytes };
          if (this.#state.name === "skip") return undefined;
          break;
        }
        case "value": {
          const { type, value, filledBytes } = state;
          const bytes = Math.min(haveBytes, value.length - filledBytes);
          value.set(this.#chunk.subarray(this.#at, this.#at + bytes), filledBytes);
          this.#at += bytes;
          state.filledBytes += bytes;
          if (state.filledBytes < value.length) return undefined;
          this.#state = HEADER;
          return { type, value };
        }
      }
    }
  }

  #onHeaderByte(): void {
    const typeBytes = 1 << (this.#header[0]! >> 6);
    if (this.#headerBytes <= typeBytes) return;
    if (this.#headerBytes < typeBytes + (1 << (this.#header[typeBytes]! >> 6))) return;
    this.#reader.reset(this.#header, 0, this.#headerBytes);
    this.#headerBytes = 0;
    const type = readVarint(this.#reader);
    const lengthBytes = readVarint(this.#reader);
    if (!this.#options.types.has(type)) {
      this.#state = { name: "skip", leftBytes: lengthBytes };
    } else if (lengthBytes > this.#options.maxValueBytes) {
      throw new Http3StreamError(
        "H3_EXCESSIVE_LOAD",
        `A capsule of type ${type} has ${lengthBytes} bytes, with a limit of ${this.#options.maxValueBytes}`,
      );
    } else {
      this.#state = { name: "value", type, value: new Uint8Array(lengthBytes), filledBytes: 0 };
    }
  }
}

type CapsuleState =
  | { readonly name: "header" }
  | { readonly name: "skip"; readonly leftBytes: number }
  | { readonly name: "value"; readonly type: number; readonly value: Uint8Array; filledBytes: number };

const HEADER: CapsuleState = { name: "header" };
const NO_BYTES = new Uint8Array(0);
