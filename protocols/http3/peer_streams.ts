/**
 * The unidirectional streams that the peer opens, by their types: RFC 9114 §6.2, RFC 9204 §4.2.
 *
 * @module
 */

import type { QuicConnection } from "../quic/connection.ts";
import { type ControlMessage, ControlStream } from "./control_stream.ts";
import { HTTP3_ERROR, Http3Error } from "./errors.ts";
import { DecoderInstructions, receiveEncoderInstructions } from "./qpack/instructions.ts";

/** Stream types by the names of their RFCs. */
export const STREAM_TYPE = {
  CONTROL: 0x00,
  PUSH: 0x01,
  QPACK_ENCODER: 0x02,
  QPACK_DECODER: 0x03,
} as const;

/** What a stream has turned out to be. */
type PeerStream =
  /** Its type is not known yet: a varint, of which some bytes came. */
  | { readonly name: "untyped"; readonly typeBytes: number[] }
  | { readonly name: "control" }
  | { readonly name: "encoder" }
  | { readonly name: "decoder" };

/**
 * The peer's unidirectional streams. Those that mean nothing to us are stopped and not remembered, so that the table holds
 * no more than the peer may have open. Methods throw {@linkcode Http3Error} where the peer broke a rule.
 */
export class PeerStreams {
  readonly #quic: QuicConnection;
  readonly #onMessage: (message: ControlMessage) => void;
  readonly #streams = new Map<number, PeerStream>();
  readonly #control: ControlStream;
  readonly #decoderInstructions = new DecoderInstructions();
  /** Types of which the peer may open one stream, and has. */
  readonly #taken = new Set<PeerStream["name"]>();

  /** @param onMessage Told what comes on the control stream, in order. */
  constructor(quic: QuicConnection, onMessage: (message: ControlMessage) => void) {
    this.#quic = quic;
    this.#onMessage = onMessage;
    this.#control = new ControlStream(quic.role);
  }

  /** Streams in the table. */
  get count(): number {
    return this.#streams.size;
  }

  /** The peer opened a stream. */
  onOpened(id: number): void {
    this.#streams.set(id, { name: "untyped", typeBytes: [] });
  }

  /** There is something to read. */
  onReadable(id: number): void {
    if (!this.#streams.has(id)) return;
    for (let chunk = this.#quic.read(id); chunk !== undefined; chunk = this.#quic.read(id)) {
      this.#receive(id, chunk);
      if (!this.#streams.has(id)) return;
    }
    if (this.#quic.isAtEnd(id)) this.onEnded(id);
  }

  /** The peer ended the stream, be it by a reset. */
  onEnded(id: number): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    // RFC 9114 §6.2: without a type yet it is let go.
    if (stream === undefined || stream.name === "untyped") return;
    throw new Http3Error("H3_CLOSED_CRITICAL_STREAM", `The ${stream.name} stream was closed`);
  }

  #receive(id: number, chunk: Uint8Array): void {
    let stream = this.#streams.get(id);
    let rest = chunk;
    if (stream?.name === "untyped") {
      const takenBytes = takeType(stream.typeBytes, chunk);
      rest = chunk.subarray(takenBytes);
      const type = typeOf(stream.typeBytes);
      if (type === undefined) return;
      stream = this.#assign(id, type);
    }
    switch (stream?.name) {
      case "control":
        this.#control.push(rest);
        for (let message = this.#control.next(); message !== undefined; message = this.#control.next()) {
          this.#onMessage(message);
        }
        return;
      case "encoder":
        return receiveEncoderInstructions(rest);
      case "decoder":
        return this.#decoderInstructions.receive(rest);
    }
  }

  #assign(id: number, type: number): PeerStream | undefined {
    switch (type) {
      case STREAM_TYPE.CONTROL:
        return this.#take(id, "control");
      case STREAM_TYPE.QPACK_ENCODER:
        return this.#take(id, "encoder");
      case STREAM_TYPE.QPACK_DECODER:
        return this.#take(id, "decoder");
      case STREAM_TYPE.PUSH:
        // RFC 9114 §4.6, §6.2.2: we send no MAX_PUSH_ID; and only servers push.
        if (this.#quic.role === "client") throw new Http3Error("H3_ID_ERROR", "A push came that was not allowed");
        throw new Http3Error("H3_STREAM_CREATION_ERROR", "A client opened a push stream");
      default:
        // RFC 9114 §6.2, §9: no error of the connection.
        this.#streams.delete(id);
        this.#quic.stopSending(id, HTTP3_ERROR.H3_STREAM_CREATION_ERROR);
        return undefined;
    }
  }

  #take(id: number, name: "control" | "encoder" | "decoder"): PeerStream {
    // RFC 9114 §6.2.1, RFC 9204 §4.2.
    if (this.#taken.has(name)) throw new Http3Error("H3_STREAM_CREATION_ERROR", `There are two ${name} streams`);
    this.#taken.add(name);
    const stream: PeerStream = { name };
    this.#streams.set(id, stream);
    return stream;
  }
}

/** Moves bytes of a varint from `chunk`. @returns How many. */
function takeType(typeBytes: number[], chunk: Uint8Array): number {
  let at = 0;
  while (at < chunk.length && typeOf(typeBytes) === undefined) typeBytes.push(chunk[at++]!);
  return at;
}

/** The varint, once it is complete. */
function typeOf(typeBytes: readonly number[]): number | undefined {
  const [first] = typeBytes;
  if (first === undefined || typeBytes.length < 1 << (first >> 6)) return undefined;
  // Exact up to 2^53; what is beyond is unknown anyway.
  return typeBytes.slice(1).reduce((value, byte) => value * 0x100 + byte, first & 0x3f);
}
