/**
 * Frames: RFC 9000 §12.4 (Table 3), §19, and DATAGRAM of RFC 9221 §4. Decoding is one frame at a time into reused
 * objects; encoding is in `frame_writer.ts`.
 *
 * @module
 */

import { Reader, TruncatedError } from "../core/reader.ts";
import { unreachable } from "../core/unreachable.ts";
import type { ObservedAddressFrame } from "./address_discovery.ts";
import { TransportError } from "./errors.ts";
import type { TraversalFrame } from "./nat_traversal/dialect.ts";
import { readVarint, readVarint62 } from "./varint.ts";

/** RFC 9000 §19.11: a count of streams above 2^60 could not be numbered. */
const MAX_STREAMS_LIMIT = 2n ** 60n;
/** RFC 9000 §19.15, §17.2: a connection ID of version 1 has at most 20 bytes. */
const MAX_CONNECTION_ID_BYTES = 20;

/**
 * A decoded frame. `type` is the name RFC 9000 §19 gives it, so a search finds both. Views borrow the packet; the frame
 * itself is valid until the next one is decoded.
 */
export type Frame = CoreFrame | ExtensionFrame;

/** A frame of an extension that was negotiated. */
export type ExtensionFrame = TraversalFrame | ObservedAddressFrame;

/** Reads frames of extensions; a connection that has negotiated none has none of these. */
export interface ExtensionFrameDecoder {
  /**
   * Reads a frame behind its type.
   *
   * @returns `undefined` if no extension has that type.
   * @throws {TransportError} If the peer must not send it.
   * @throws {TruncatedError} If the bytes end first.
   */
  decode(type: number, reader: Reader): ExtensionFrame | undefined;
}

/** A frame of RFC 9000 or RFC 9221. */
export type CoreFrame =
  | { readonly type: "PADDING" }
  | { readonly type: "PING" }
  | AckFrame
  | { readonly type: "RESET_STREAM"; readonly streamId: number; readonly code: number; readonly finalSize: number }
  | { readonly type: "STOP_SENDING"; readonly streamId: number; readonly code: number }
  | { readonly type: "CRYPTO"; readonly offset: number; readonly data: Uint8Array }
  | { readonly type: "NEW_TOKEN"; readonly token: Uint8Array }
  | StreamFrame
  | { readonly type: "MAX_DATA"; readonly maximum: number }
  | { readonly type: "MAX_STREAM_DATA"; readonly streamId: number; readonly maximum: number }
  | { readonly type: "MAX_STREAMS"; readonly bidirectional: boolean; readonly maximum: number }
  | { readonly type: "DATA_BLOCKED"; readonly limit: number }
  | { readonly type: "STREAM_DATA_BLOCKED"; readonly streamId: number; readonly limit: number }
  | { readonly type: "STREAMS_BLOCKED"; readonly bidirectional: boolean; readonly limit: number }
  | {
    readonly type: "NEW_CONNECTION_ID";
    readonly sequenceNumber: number;
    readonly retirePriorTo: number;
    readonly connectionId: Uint8Array;
    readonly statelessResetToken: Uint8Array;
  }
  | { readonly type: "RETIRE_CONNECTION_ID"; readonly sequenceNumber: number }
  | { readonly type: "PATH_CHALLENGE"; readonly data: Uint8Array }
  | { readonly type: "PATH_RESPONSE"; readonly data: Uint8Array }
  | {
    readonly type: "CONNECTION_CLOSE";
    /** Whether the application closed (type 0x1d), and not the transport. */
    readonly isApplication: boolean;
    readonly code: number;
    /** Type of the frame at fault; 0 where none is known, and in what the application says. */
    readonly frameType: number;
    readonly reason: Uint8Array;
  }
  | { readonly type: "HANDSHAKE_DONE" }
  | { readonly type: "DATAGRAM"; readonly data: Uint8Array };

/** STREAM, RFC 9000 §19.8. One object serves every packet. */
export interface StreamFrame {
  readonly type: "STREAM";
  readonly streamId: number;
  readonly offset: number;
  readonly fin: boolean;
  readonly data: Uint8Array;
}

/** ACK, RFC 9000 §19.3. One object serves every packet; the counts of ECN are read and not kept: we send no ECN. */
export interface AckFrame {
  readonly type: "ACK";
  readonly largestAcknowledged: number;
  /** As on the wire: in units of 2^`ack_delay_exponent` microseconds. */
  readonly ackDelay: number;
  /** `largest, smallest` of each range, both inclusive, from the highest range down; valid up to 2 * `rangeCount`. */
  readonly ranges: readonly number[];
  readonly rangeCount: number;
}

/** A row of Table 3 of RFC 9000. */
export interface FrameRule {
  readonly name: CoreFrame["type"];
  /** Packets that may carry it: `I`nitial, `H`andshake, `0`-RTT, `1`-RTT. */
  readonly packets: string;
  /** Whether it has the peer acknowledge the packet (no `N` in the table): RFC 9000 §13.2.1. */
  readonly isAckEliciting: boolean;
  /** Whether a packet of only such frames probes a path (`P` in the table): RFC 9000 §9.1. */
  readonly isProbing: boolean;
  /** Whether it counts towards bytes in flight (no `C` in the table): RFC 9002 §2. */
  readonly isInFlight: boolean;
}

function rule(name: CoreFrame["type"], packets: string, marks = ""): FrameRule {
  return {
    name,
    packets,
    isAckEliciting: !marks.includes("N"),
    isProbing: marks.includes("P"),
    isInFlight: !marks.includes("C"),
  };
}

/** Table 3 of RFC 9000 by frame type, and RFC 9221 §4; a type without a row is unknown. */
export const FRAME_RULES: readonly (FrameRule | undefined)[] = frameRules([
  [0x00, 0x00, rule("PADDING", "IH01", "NP")],
  [0x01, 0x01, rule("PING", "IH01")],
  [0x02, 0x03, rule("ACK", "IH_1", "NC")],
  [0x04, 0x04, rule("RESET_STREAM", "__01")],
  [0x05, 0x05, rule("STOP_SENDING", "__01")],
  [0x06, 0x06, rule("CRYPTO", "IH_1")],
  [0x07, 0x07, rule("NEW_TOKEN", "___1")],
  [0x08, 0x0f, rule("STREAM", "__01")],
  [0x10, 0x10, rule("MAX_DATA", "__01")],
  [0x11, 0x11, rule("MAX_STREAM_DATA", "__01")],
  [0x12, 0x13, rule("MAX_STREAMS", "__01")],
  [0x14, 0x14, rule("DATA_BLOCKED", "__01")],
  [0x15, 0x15, rule("STREAM_DATA_BLOCKED", "__01")],
  [0x16, 0x17, rule("STREAMS_BLOCKED", "__01")],
  [0x18, 0x18, rule("NEW_CONNECTION_ID", "__01", "P")],
  [0x19, 0x19, rule("RETIRE_CONNECTION_ID", "__01")],
  [0x1a, 0x1a, rule("PATH_CHALLENGE", "__01", "P")],
  [0x1b, 0x1b, rule("PATH_RESPONSE", "___1", "P")],
  [0x1c, 0x1c, rule("CONNECTION_CLOSE", "IH01", "N")],
  [0x1d, 0x1d, rule("CONNECTION_CLOSE", "__01", "N")],
  [0x1e, 0x1e, rule("HANDSHAKE_DONE", "___1")],
  [0x30, 0x31, rule("DATAGRAM", "__01")],
]);

function frameRules(rows: readonly (readonly [number, number, FrameRule])[]): readonly (FrameRule | undefined)[] {
  const rules = new Array<FrameRule | undefined>(0x32).fill(undefined);
  for (const [first, last, row] of rows) rules.fill(row, first, last + 1);
  return rules;
}

/** All frames of extensions have the packet acknowledged. */
const EXTENSION_RULE = { isAckEliciting: true, isProbing: false } as const;
/** Address discovery's is a probing frame: draft-ietf-quic-address-discovery-00 §5. */
const OBSERVED_ADDRESS_RULE = { isAckEliciting: true, isProbing: true } as const;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const PADDING: Frame = { type: "PADDING" };
const PING: Frame = { type: "PING" };
const HANDSHAKE_DONE: Frame = { type: "HANDSHAKE_DONE" };
const NO_BYTES = new Uint8Array(0);

/** Decodes the frames of one packet after another. A frame is valid until the next call. */
export class FrameDecoder {
  readonly #reader = new Reader(NO_BYTES);
  readonly #stream: Mutable<StreamFrame> = { type: "STREAM", streamId: 0, offset: 0, fin: false, data: NO_BYTES };
  readonly #ranges: number[] = [];
  readonly #ack: Mutable<AckFrame> = {
    type: "ACK",
    largestAcknowledged: 0,
    ackDelay: 0,
    ranges: this.#ranges,
    rangeCount: 0,
  };
  #packet = "1";
  #frameType = 0;
  #rule: { readonly isAckEliciting: boolean; readonly isProbing: boolean } | undefined = FRAME_RULES[0];
  /** Of the extensions that were negotiated. */
  extensions: ExtensionFrameDecoder | undefined;

  /**
   * Starts on the payload of a packet.
   *
   * @param payload Borrowed as long as frames are read from it.
   * @param packet Which letter of Table 3 the packet is: `I`, `H`, `0` or `1`.
   */
  reset(payload: Uint8Array, packet: "I" | "H" | "0" | "1"): void {
    this.#reader.reset(payload);
    this.#packet = packet;
  }

  /** Type of the last frame decoded, or the one at fault. */
  get frameType(): number {
    return this.#frameType;
  }

  /** The row of Table 3 of the last frame decoded. */
  get isAckEliciting(): boolean {
    return this.#rule !== undefined && this.#rule.isAckEliciting;
  }

  /** Whether the last frame decoded is a probing one: RFC 9000 §9.1. */
  get isProbing(): boolean {
    return this.#rule !== undefined && this.#rule.isProbing;
  }

  /**
   * The next frame, or `undefined` at the end of the payload.
   *
   * @throws {TransportError} FRAME_ENCODING_ERROR or PROTOCOL_VIOLATION, RFC 9000 §12.4.
   */
  next(): Frame | undefined {
    const reader = this.#reader;
    if (reader.remaining === 0) return undefined;
    try {
      const type = reader.peek() < 0x40 ? reader.uint8() : this.#readLongType(reader);
      this.#frameType = type;
      const rule = this.#rule = FRAME_RULES[type];
      if (rule === undefined) return this.#decodeExtension(type, reader);
      // 1-RTT packets may carry every frame there is.
      if (this.#packet !== "1" && !rule.packets.includes(this.#packet)) {
        throw new TransportError("PROTOCOL_VIOLATION", `${rule.name} in the wrong packet`, { frameType: type });
      }
      return this.#decode(rule.name, type, reader);
    } catch (error) {
      if (error instanceof TruncatedError) throw this.#malformed("frame is truncated");
      throw error;
    }
  }

  /** A type of more than one byte, which may be cut: then the frame at fault has none that is known (RFC 9000 §19.19). */
  #readLongType(reader: Reader): number {
    this.#frameType = 0;
    return readVarint(reader);
  }

  #decodeExtension(type: number, reader: Reader): Frame {
    const frame = this.#packet === "1" ? this.extensions?.decode(type, reader) : undefined;
    if (frame === undefined) throw this.#malformed("unknown frame type");
    this.#rule = frame.type === "OBSERVED_ADDRESS" ? OBSERVED_ADDRESS_RULE : EXTENSION_RULE;
    return frame;
  }

  #decode(name: CoreFrame["type"], type: number, reader: Reader): Frame {
    switch (name) {
      case "PADDING":
        while (reader.remaining > 0 && reader.peek() === 0) reader.skip(1);
        return PADDING;
      case "PING":
        return PING;
      case "ACK":
        return this.#decodeAck(type, reader);
      case "RESET_STREAM":
        return { type: name, streamId: readVarint(reader), code: readVarint(reader), finalSize: readVarint(reader) };
      case "STOP_SENDING":
        return { type: name, streamId: readVarint(reader), code: readVarint(reader) };
      case "CRYPTO":
        return { type: name, offset: readVarint(reader), data: reader.bytes(readVarint(reader)) };
      case "NEW_TOKEN": {
        const token = reader.bytes(readVarint(reader));
        if (token.length === 0) throw this.#malformed("token is empty"); // RFC 9000 §19.7
        return { type: name, token };
      }
      case "STREAM": {
        const stream = this.#stream;
        stream.streamId = readVarint(reader);
        stream.offset = (type & 0x04) !== 0 ? readVarint(reader) : 0;
        stream.data = reader.bytes((type & 0x02) !== 0 ? readVarint(reader) : reader.remaining);
        stream.fin = (type & 0x01) !== 0;
        return stream;
      }
      case "MAX_DATA":
        return { type: name, maximum: readVarint(reader) };
      case "MAX_STREAM_DATA":
        return { type: name, streamId: readVarint(reader), maximum: readVarint(reader) };
      case "MAX_STREAMS":
        return { type: name, bidirectional: type === 0x12, maximum: this.#readStreamCount(reader) };
      case "DATA_BLOCKED":
        return { type: name, limit: readVarint(reader) };
      case "STREAM_DATA_BLOCKED":
        return { type: name, streamId: readVarint(reader), limit: readVarint(reader) };
      case "STREAMS_BLOCKED":
        return { type: name, bidirectional: type === 0x16, limit: this.#readStreamCount(reader) };
      case "NEW_CONNECTION_ID":
        return this.#decodeNewConnectionId(reader);
      case "RETIRE_CONNECTION_ID":
        return { type: name, sequenceNumber: readVarint(reader) };
      case "PATH_CHALLENGE":
      case "PATH_RESPONSE":
        return { type: name, data: reader.bytes(8) };
      case "CONNECTION_CLOSE": {
        const isApplication = type === 0x1d;
        const code = readVarint(reader);
        const frameType = isApplication ? 0 : readVarint(reader);
        return { type: name, isApplication, code, frameType, reason: reader.bytes(readVarint(reader)) };
      }
      case "HANDSHAKE_DONE":
        return HANDSHAKE_DONE;
      case "DATAGRAM":
        return { type: name, data: reader.bytes((type & 0x01) !== 0 ? readVarint(reader) : reader.remaining) };
      default:
        return unreachable(name);
    }
  }

  /** RFC 9000 §19.3.1: gaps and lengths count down from the largest acknowledged. */
  #decodeAck(type: number, reader: Reader): AckFrame {
    const ack = this.#ack;
    const ranges = this.#ranges;
    let largest = readVarint(reader);
    ack.largestAcknowledged = largest;
    ack.ackDelay = readVarint(reader);
    const rangeCount = readVarint(reader) + 1;
    let smallest = largest - readVarint(reader);
    if (smallest < 0) throw this.#malformed("range below packet number 0");
    ranges[0] = largest;
    ranges[1] = smallest;
    for (let i = 1; i < rangeCount; i++) {
      largest = smallest - readVarint(reader) - 2;
      smallest = largest - readVarint(reader);
      if (smallest < 0) throw this.#malformed("range below packet number 0");
      ranges[2 * i] = largest;
      ranges[2 * i + 1] = smallest;
    }
    ack.rangeCount = rangeCount;
    if (type === 0x03) { for (let i = 0; i < 3; i++) readVarint(reader); }
    return ack;
  }

  /** RFC 9000 §19.15. */
  #decodeNewConnectionId(reader: Reader): Frame {
    const sequenceNumber = readVarint(reader);
    const retirePriorTo = readVarint(reader);
    const length = reader.uint8();
    if (length < 1 || length > MAX_CONNECTION_ID_BYTES) throw this.#malformed("connection ID is not 1 to 20 bytes");
    if (retirePriorTo > sequenceNumber) throw this.#malformed("Retire Prior To exceeds the sequence number");
    const connectionId = reader.bytes(length);
    return {
      type: "NEW_CONNECTION_ID",
      sequenceNumber,
      retirePriorTo,
      connectionId,
      statelessResetToken: reader.bytes(16),
    };
  }

  #readStreamCount(reader: Reader): number {
    const count = readVarint62(reader);
    if (count > MAX_STREAMS_LIMIT) throw this.#malformed("more than 2^60 streams"); // RFC 9000 §19.11, §19.14
    return Math.min(Number(count), Number.MAX_SAFE_INTEGER);
  }

  #malformed(fact: string): TransportError {
    const name = FRAME_RULES[this.#frameType]?.name ?? `0x${this.#frameType.toString(16)}`;
    return new TransportError("FRAME_ENCODING_ERROR", `Cannot read ${name}: ${fact}`, { frameType: this.#frameType });
  }
}
