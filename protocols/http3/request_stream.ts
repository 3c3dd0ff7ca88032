/**
 * One request and its response, as either end sees them: what comes in is read in the order that RFC 9114 §4.1 gives, and
 * content is left where it is until it is asked for.
 *
 * @module
 */

import { unreachable } from "../core/unreachable.ts";
import type { QuicConnection } from "../quic/connection.ts";
import type { Fifo } from "../quic/fifo.ts";
import type { Http3Options } from "./config.ts";
import { HTTP3_ERROR, Http3Error, type Http3ErrorName, Http3StreamError } from "./errors.ts";
import type { Http3Event } from "./events.ts";
import { type FrameName, frameNameOf } from "./frame.ts";
import { FrameParser } from "./frame_parser.ts";
import {
  checkTrailers,
  contentLengthOf,
  type RequestHead,
  requestOf,
  type ResponseHead,
  responseOf,
} from "./message.ts";
import { decodeFieldSection } from "./qpack/field_section.ts";
import { StreamOutput } from "./stream_output.ts";

/** Interim responses (1xx) to one request; one more ends it with H3_EXCESSIVE_LOAD. */
export const MAX_INFORMATIONAL_RESPONSES = 16;

/** What a stream needs of its connection. */
export interface RequestHost {
  readonly quic: QuicConnection;
  readonly options: Http3Options;
  readonly events: Fifo<Http3Event>;
}

/** How far reading has come. */
type Phase =
  /** The head is to come. */
  | { readonly name: "head"; informational: number }
  /** Content, and for a message that is no tunnel trailers. */
  | { readonly name: "content"; readonly isTunnel: boolean; readonly expectedBytes: number | undefined; bytes: number }
  /** Nothing but the end is to come. */
  | { readonly name: "trailers" }
  /** All was read. */
  | { readonly name: "end" }
  /** Nothing more is read: the peer reset it, or we do not want it. */
  | { readonly name: "over" };

/** One request stream: RFC 9114 §6.1. */
export class RequestStream {
  readonly id: number;
  readonly output: StreamOutput;
  readonly #host: RequestHost;
  readonly #parser = new FrameParser();
  #phase: Phase = { name: "head", informational: 0 };
  /** The request: on a server once it came. */
  #request: RequestHead | undefined;
  #hasFinalResponse = false;
  /** `readable` was reported, and `read` has not come to the end of it. */
  #isBeingRead = false;

  /** @param request Client: what is sent. */
  constructor(host: RequestHost, id: number, request?: RequestHead) {
    this.#host = host;
    this.id = id;
    this.#request = request;
    this.output = new StreamOutput(host.quic, id);
  }

  /** Whether the application knows of it. */
  get isReported(): boolean {
    return this.#request !== undefined;
  }

  /** Whether HTTP Datagrams have a meaning for it: RFC 9297 §2, and of all methods only extended CONNECT has one. */
  get takesDatagrams(): boolean {
    return this.#request?.protocol !== undefined;
  }

  /** Whether the receiving part is open: what comes for it otherwise is dropped. */
  get isReceiving(): boolean {
    return this.#phase.name !== "end" && this.#phase.name !== "over";
  }

  /** Whether everything was read and the peer said that there is no more. */
  get isAtEnd(): boolean {
    return this.#phase.name === "end";
  }

  /** Server: whether a final response was sent. */
  get hasFinalResponse(): boolean {
    return this.#hasFinalResponse;
  }

  /** Server: sends a response's head. @throws {TypeError} If the final one was sent. */
  respond(status: number, frame: Uint8Array): void {
    if (this.#hasFinalResponse) throw new TypeError(`Cannot respond on stream ${this.id}: the final response was sent`);
    this.output.put(frame);
    this.#hasFinalResponse = status >= 200;
  }

  /**
   * Something came in: reads up to the next content, or the end.
   *
   * @throws {Http3Error} Where the peer broke a rule of the connection.
   */
  advance(): void {
    const wasAtEnd = this.#phase.name === "end";
    if (!this.#readOn() && (wasAtEnd || this.#phase.name !== "end")) return;
    if (this.#isBeingRead || !this.isReported) return;
    this.#isBeingRead = true;
    this.#host.events.push({ type: "readable", streamId: this.id });
  }

  /** The next content, the caller's own from now on. @throws {Http3Error} As `advance`. */
  read(): Uint8Array | undefined {
    if (this.#readOn()) return this.#parser.takeData();
    this.#isBeingRead = false;
    return undefined;
  }

  /** Wants no more content. */
  stopReading(code: Http3ErrorName): void {
    if (!this.isReceiving) return;
    this.#phase = { name: "over" };
    this.#host.quic.stopSending(this.id, HTTP3_ERROR[code]);
  }

  /** Ends it both ways. */
  abort(code: Http3ErrorName): void {
    this.output.reset(HTTP3_ERROR[code]);
    this.stopReading(code);
  }

  /**
   * As `abort`, and the application, if it knows of the request, is told.
   *
   * @param reported What the application is told, if not what the peer is.
   */
  fail(code: Http3ErrorName, reason: string, reported: Http3ErrorName = code): void {
    this.abort(code);
    this.#phase = { name: "over" };
    if (!this.isReported) return;
    this.#host.events.push({ type: "failed", streamId: this.id, code: reported, reason });
  }

  /** The peer gave up sending. */
  onReset(code: number): void {
    if (!this.isReceiving) return;
    this.#phase = { name: "over" };
    if (this.isReported) this.#host.events.push({ type: "reset", streamId: this.id, code });
    // RFC 9114 §4.1: without a whole request there is nothing to respond to.
    else this.output.reset(HTTP3_ERROR.H3_REQUEST_INCOMPLETE);
  }

  /** The peer wants no more. */
  onStopped(code: number): void {
    this.output.onOver();
    if (this.isReported) this.#host.events.push({ type: "stopped", streamId: this.id, code });
  }

  /** @returns Whether the parser has content. */
  #readOn(): boolean {
    try {
      while (this.isReceiving) {
        switch (this.#parser.next()) {
          case "data":
            return true;
          case "header":
            this.#onFrame(frameNameOf(this.#parser.type, "request"));
            break;
          case "payload":
            this.#onFieldSection(this.#parser.payload);
            break;
          case "more":
            if (!this.#pull()) return false;
        }
      }
    } catch (error) {
      if (!(error instanceof Http3StreamError)) throw error;
      this.fail(error.code, error.message);
    }
    return false;
  }

  /** @returns Whether it is worth to read on. */
  #pull(): boolean {
    const { quic } = this.#host;
    const chunk = quic.read(this.id);
    if (chunk !== undefined) {
      this.#parser.push(chunk);
      return true;
    }
    if (quic.isAtEnd(this.id)) this.#onEnd();
    return false;
  }

  #onFrame(name: FrameName | undefined): void {
    switch (name) {
      case "DATA":
        return this.#onData();
      case "HEADERS":
        return this.#onHeaders();
      case "PUSH_PROMISE":
        // RFC 9114 §7.2.5: nothing may be promised, as we send no MAX_PUSH_ID; and a client promises nothing.
        if (this.#host.quic.role === "client") {
          throw new Http3Error("H3_ID_ERROR", "A push is promised that was not allowed");
        }
        throw new Http3Error("H3_FRAME_UNEXPECTED", "A client sent PUSH_PROMISE");
      case undefined:
        // RFC 9114 §9.
        return this.#parser.skip();
      case "CANCEL_PUSH":
      case "SETTINGS":
      case "GOAWAY":
      case "MAX_PUSH_ID":
        throw new Error(`${name} passed for a frame of a request stream`);
      default:
        return unreachable(name);
    }
  }

  #onData(): void {
    const phase = this.#phase;
    if (phase.name !== "content") {
      throw new Http3Error("H3_FRAME_UNEXPECTED", "DATA came before a head or after trailers");
    }
    phase.bytes += this.#parser.lengthBytes;
    if (phase.expectedBytes !== undefined && phase.bytes > phase.expectedBytes) {
      throw new Http3StreamError("H3_MESSAGE_ERROR", `There is more content than ${phase.expectedBytes} bytes`);
    }
    this.#parser.pass();
  }

  #onHeaders(): void {
    const phase = this.#phase;
    // RFC 9114 §4.4: a tunnel has no trailers.
    if (phase.name !== "head" && (phase.name !== "content" || phase.isTunnel)) {
      throw new Http3Error("H3_FRAME_UNEXPECTED", "HEADERS came in a tunnel or after trailers");
    }
    // Encoded, a section of our limit is hardly longer, however clumsy the encoder.
    if (this.#parser.lengthBytes > this.#host.options.maxFieldSectionBytes) {
      throw new Http3StreamError(
        "H3_EXCESSIVE_LOAD",
        "A field section is larger than SETTINGS_MAX_FIELD_SECTION_SIZE",
      );
    }
    this.#parser.collect();
  }

  #onFieldSection(payload: Uint8Array): void {
    const { quic, options } = this.#host;
    const section = decodeFieldSection(payload, options.maxFieldSectionBytes);
    if (this.#phase.name !== "head") {
      // Trailers are checked, and passed over.
      checkTrailers(section);
      this.#checkContentLength();
      this.#phase = { name: "trailers" };
    } else if (quic.role === "server") {
      this.#onRequest(requestOf(section, options.enableConnectProtocol));
    } else {
      this.#onResponse(responseOf(section), this.#phase);
    }
  }

  #onRequest(request: RequestHead): void {
    const isTunnel = request.method === "CONNECT";
    const expectedBytes = isTunnel ? undefined : contentLengthOf(request.fields);
    this.#request = request;
    this.#phase = { name: "content", isTunnel, expectedBytes, bytes: 0 };
    this.#host.events.push({ type: "request", streamId: this.id, request });
  }

  #onResponse(response: ResponseHead, phase: Phase & { readonly name: "head" }): void {
    const { status } = response;
    if (status < 200) {
      if (++phase.informational > MAX_INFORMATIONAL_RESPONSES) {
        throw new Http3StreamError("H3_EXCESSIVE_LOAD", "There are too many interim responses");
      }
      this.#host.events.push({ type: "informational", streamId: this.id, response });
      return;
    }
    const method = this.#request?.method;
    const isTunnel = method === "CONNECT" && status < 300;
    this.#phase = { name: "content", isTunnel, expectedBytes: expectedBytesOf(response, method), bytes: 0 };
    this.#host.events.push({ type: "response", streamId: this.id, response });
  }

  #onEnd(): void {
    // RFC 9114 §7.1.
    if (!this.#parser.isAtBoundary) throw new Http3Error("H3_FRAME_ERROR", "A stream ends inside a frame");
    if (this.#phase.name === "head") {
      if (this.#host.quic.role === "server") {
        throw new Http3StreamError("H3_REQUEST_INCOMPLETE", "The stream ends before the request does");
      }
      throw new Http3StreamError("H3_MESSAGE_ERROR", "The stream ends before the response does");
    }
    this.#checkContentLength();
    this.#phase = { name: "end" };
  }

  /** RFC 9114 §4.1.2. */
  #checkContentLength(): void {
    const phase = this.#phase;
    if (phase.name !== "content" || phase.expectedBytes === undefined || phase.bytes === phase.expectedBytes) return;
    throw new Http3StreamError(
      "H3_MESSAGE_ERROR",
      `There are ${phase.bytes} bytes of content, and not ${phase.expectedBytes}`,
    );
  }
}

/** What content a final response has: RFC 9110 §6.4.1, RFC 9114 §4.1.2. */
function expectedBytesOf(response: ResponseHead, method: string | undefined): number | undefined {
  const { status, fields } = response;
  // What Content-Length says of the response to another method does not matter.
  if (method === "HEAD" || status === 204 || status === 304) return 0;
  // RFC 9110 §9.3.6: in a tunnel it is ignored.
  if (method === "CONNECT" && status < 300) return undefined;
  return contentLengthOf(fields);
}
