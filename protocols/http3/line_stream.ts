/**
 * Messages as lines in the content of a request or its response, either end: UTF-8, one message a line, each line ended by
 * LF. What breaks that ends the request with a code of RFC 9114 §8.1, and nothing else.
 *
 * @module
 */

import { concatBytes } from "../core/bytes.ts";
import type { Http3Connection } from "./connection.ts";
import { type Http3ErrorName, Http3StreamError } from "./errors.ts";

const LF = 0x0a;

/** What a stream of lines takes. */
export interface LineLimits {
  /** Longest line that is read, in bytes, without its end; a longer one is H3_EXCESSIVE_LOAD. */
  readonly maxLineBytes: number;
  /** What waits for a peer that does not read, at most. */
  readonly maxWaitingBytes: number;
}

/** How a stream of lines ended by our doing. */
export interface LineFault {
  readonly code: Http3ErrorName;
  readonly reason: string;
}

/** Cuts bytes into lines. */
export class LineParser {
  readonly #maxLineBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** What came after the last line that was read; chunks are the parser's own. */
  #rest: Uint8Array = NO_BYTES;
  /** No end of a line is in the first so many bytes of it. */
  #searchedBytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Whether nothing of a line is left over. */
  get isAtBoundary(): boolean {
    return this.#rest.length === 0;
  }

  /** Takes more bytes, and keeps them. */
  push(bytes: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? bytes : concatBytes(this.#rest, bytes);
  }

  /** The next line; `undefined` until more comes. @throws {Http3StreamError} If it is too long, or no UTF-8. */
  next(): string | undefined {
    const end = this.#rest.indexOf(LF, this.#searchedBytes);
    const lineBytes = end < 0 ? this.#rest.length : end;
    if (lineBytes > this.#maxLineBytes) {
      throw new Http3StreamError("H3_EXCESSIVE_LOAD", `A line is longer than ${this.#maxLineBytes} bytes`);
    }
    if (end < 0) {
      this.#searchedBytes = lineBytes;
      return undefined;
    }
    const line = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(end + 1);
    this.#searchedBytes = 0;
    try {
      return this.#decoder.decode(line);
    } catch {
      throw new Http3StreamError("H3_MESSAGE_ERROR", "A line is not UTF-8");
    }
  }
}

/** Lines to and fro on one request. Whoever drains the connection says when it is readable and writable. */
export class LineStream {
  readonly #http3: Http3Connection;
  readonly #streamId: number;
  readonly #limits: LineLimits;
  readonly #parser: LineParser;
  /** Lines that the stream had no room for, each whole. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isFinishing = false;
  #fault: LineFault | undefined;

  constructor(http3: Http3Connection, streamId: number, limits: LineLimits) {
    this.#http3 = http3;
    this.#streamId = streamId;
    this.#limits = limits;
    this.#parser = new LineParser(limits.maxLineBytes);
  }

  /** Why we have ended it, once the peer broke a rule, or did not read. */
  get fault(): LineFault | undefined {
    return this.#fault;
  }

  /** Whether the peer has said that no more follows, and all was read. */
  get isAtEnd(): boolean {
    return this.#http3.isAtEnd(this.#streamId);
  }

  /** The next line; `undefined` if there is none now, at the end, and once there is a `fault`. */
  read(now: number): string | undefined {
    if (this.#fault !== undefined) return undefined;
    try {
      for (;;) {
        const line = this.#parser.next();
        if (line !== undefined) return line;
        const data = this.#http3.read(this.#streamId, now);
        if (data === undefined) break;
        this.#parser.push(data);
      }
      if (this.isAtEnd && !this.#parser.isAtBoundary) {
        throw new Http3StreamError("H3_MESSAGE_ERROR", "The content ends inside a line");
      }
    } catch (error) {
      if (!(error instanceof Http3StreamError)) throw error;
      this.#fail(error.code, error.message);
    }
    return undefined;
  }

  /** Sends a line, which has no line break in it. @returns Whether it was taken: not by a peer that has not read for long. */
  send(line: string): boolean {
    if (this.#fault !== undefined || this.#isFinishing) return false;
    const bytes = new TextEncoder().encode(`${line}\n`);
    if (this.#waitingBytes + bytes.length > this.#limits.maxWaitingBytes) {
      this.#fail("H3_EXCESSIVE_LOAD", "The peer does not read");
      return false;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.flush();
    return true;
  }

  /** Sends what waits, as far as the stream takes it: the stream is writable. */
  flush(): void {
    let [bytes] = this.#waiting;
    while (bytes !== undefined) {
      // A line is hardly longer than a DATA frame, and those are taken whole.
      const takenBytes = this.#http3.write(this.#streamId, bytes);
      this.#waitingBytes -= takenBytes;
      if (takenBytes < bytes.length) {
        this.#waiting[0] = bytes.subarray(takenBytes);
        return;
      }
      this.#waiting.shift();
      [bytes] = this.#waiting;
    }
    if (this.#isFinishing) this.#http3.finish(this.#streamId);
  }

  /** Ends it at once if lines still wait, as nobody reads them; otherwise as `finish`. */
  cutOrFinish(): void {
    if (this.#waiting.length > 0) this.#fail("H3_EXCESSIVE_LOAD", "The peer does not read");
    else this.finish();
  }

  /** No more follows what was sent, and what comes is of no interest: `code` says why. */
  finish(code: Http3ErrorName = "H3_NO_ERROR"): void {
    if (this.#fault !== undefined || this.#isFinishing) return;
    this.#isFinishing = true;
    this.flush();
    this.#http3.stopReading(this.#streamId, code);
  }

  #fail(code: Http3ErrorName, reason: string): void {
    this.#fault = { code, reason };
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#http3.abort(this.#streamId, code);
  }
}

const NO_BYTES = new Uint8Array(0);
