/**
 * Encoding of frames, in the order of RFC 9000 §19, and DATAGRAM of RFC 9221 §4. Each function writes one frame into a
 * packet that is being built; `…Bytes` says beforehand how much room it takes where that is not a constant.
 *
 * @module
 */

import type { Writer } from "../core/writer.ts";
import type { AckRanges } from "./ack_ranges.ts";
import { varintBytes, writeVarint, writeVarint2 } from "./varint.ts";

/** Longest reason phrase we send: more would not fit beside a long header in a small packet. */
export const MAX_REASON_BYTES = 256;
/** PATH_CHALLENGE and PATH_RESPONSE: type and 8 bytes. */
export const PATH_FRAME_BYTES = 9;
/** NEW_CONNECTION_ID with a connection ID of 8 bytes, at most. */
export const NEW_CONNECTION_ID_BYTES: number = 1 + 8 + 8 + 1 + 8 + 16;
/** Any frame of a type and up to three varints. */
export const SMALL_FRAME_BYTES: number = 1 + 3 * 8;

/** PADDING, RFC 9000 §19.1: `count` of them. */
export function writePadding(writer: Writer, count: number): void {
  writer.zeros(count);
}

/** PING, RFC 9000 §19.2. */
export function writePing(writer: Writer): void {
  writer.uint8(0x01);
}

/** Room an ACK frame of one range takes at most. */
export const MIN_ACK_BYTES: number = 1 + 8 + 4 + 1 + 8;
/** Room each further range takes at most: the peer chooses the gaps. */
const ACK_RANGE_BYTES = 16;

/**
 * ACK, RFC 9000 §19.3: as many of the highest ranges as there is room for, at least one.
 *
 * @param ackDelay In units of 2^`ack_delay_exponent` microseconds.
 * @param maxBytes What it may take, at least `MIN_ACK_BYTES`.
 */
export function writeAck(
  writer: Writer,
  ranges: AckRanges,
  ackDelay: number,
  maxBytes: number = writer.remaining,
): void {
  const delay = Math.min(ackDelay, 0x3fffffff);
  const fitting = 1 + Math.max(0, Math.floor((maxBytes - MIN_ACK_BYTES) / ACK_RANGE_BYTES));
  const rangeCount = Math.min(ranges.rangeCount, fitting);
  writer.uint8(0x02);
  writeVarint(writer, ranges.largestOf(0));
  writeVarint(writer, delay);
  writeVarint(writer, rangeCount - 1);
  writeVarint(writer, ranges.largestOf(0) - ranges.smallestOf(0));
  for (let i = 1; i < rangeCount; i++) {
    // RFC 9000 §19.3.1: a gap of n says that n + 1 packets are missing.
    writeVarint(writer, ranges.smallestOf(i - 1) - ranges.largestOf(i) - 2);
    writeVarint(writer, ranges.largestOf(i) - ranges.smallestOf(i));
  }
}

/** RESET_STREAM, RFC 9000 §19.4. */
export function writeResetStream(writer: Writer, streamId: number, code: number, finalSize: number): void {
  writer.uint8(0x04);
  writeVarint(writer, streamId);
  writeVarint(writer, code);
  writeVarint(writer, finalSize);
}

/** STOP_SENDING, RFC 9000 §19.5. */
export function writeStopSending(writer: Writer, streamId: number, code: number): void {
  writer.uint8(0x05);
  writeVarint(writer, streamId);
  writeVarint(writer, code);
}

/** What comes before the data of CRYPTO, RFC 9000 §19.6; the length takes two bytes. */
export function writeCryptoHeader(writer: Writer, offset: number, length: number): void {
  writer.uint8(0x06);
  writeVarint(writer, offset);
  writeVarint2(writer, length);
}

/** Bytes `writeCryptoHeader` takes. */
export function cryptoHeaderBytes(offset: number): number {
  return 1 + varintBytes(offset) + 2;
}

/**
 * What comes before the data of STREAM, RFC 9000 §19.8.
 *
 * @param length Left out (the frame then reaches to the end of the packet) if `undefined`; else it takes two bytes.
 */
export function writeStreamHeader(
  writer: Writer,
  streamId: number,
  offset: number,
  length: number | undefined,
  fin: boolean,
): void {
  writer.uint8(0x08 | (offset > 0 ? 0x04 : 0) | (length !== undefined ? 0x02 : 0) | (fin ? 0x01 : 0));
  writeVarint(writer, streamId);
  if (offset > 0) writeVarint(writer, offset);
  if (length !== undefined) writeVarint2(writer, length);
}

/** Bytes `writeStreamHeader` takes. */
export function streamHeaderBytes(streamId: number, offset: number, hasLength: boolean): number {
  return 1 + varintBytes(streamId) + (offset > 0 ? varintBytes(offset) : 0) + (hasLength ? 2 : 0);
}

/** MAX_DATA, RFC 9000 §19.9. */
export function writeMaxData(writer: Writer, maximum: number): void {
  writer.uint8(0x10);
  writeVarint(writer, maximum);
}

/** MAX_STREAM_DATA, RFC 9000 §19.10. */
export function writeMaxStreamData(writer: Writer, streamId: number, maximum: number): void {
  writer.uint8(0x11);
  writeVarint(writer, streamId);
  writeVarint(writer, maximum);
}

/** MAX_STREAMS, RFC 9000 §19.11. */
export function writeMaxStreams(writer: Writer, bidirectional: boolean, maximum: number): void {
  writer.uint8(bidirectional ? 0x12 : 0x13);
  writeVarint(writer, maximum);
}

/** DATA_BLOCKED, RFC 9000 §19.12. */
export function writeDataBlocked(writer: Writer, limit: number): void {
  writer.uint8(0x14);
  writeVarint(writer, limit);
}

/** STREAM_DATA_BLOCKED, RFC 9000 §19.13. */
export function writeStreamDataBlocked(writer: Writer, streamId: number, limit: number): void {
  writer.uint8(0x15);
  writeVarint(writer, streamId);
  writeVarint(writer, limit);
}

/** STREAMS_BLOCKED, RFC 9000 §19.14. */
export function writeStreamsBlocked(writer: Writer, bidirectional: boolean, limit: number): void {
  writer.uint8(bidirectional ? 0x16 : 0x17);
  writeVarint(writer, limit);
}

/** NEW_CONNECTION_ID, RFC 9000 §19.15. */
export function writeNewConnectionId(
  writer: Writer,
  id: {
    readonly sequenceNumber: number;
    readonly retirePriorTo: number;
    readonly connectionId: Uint8Array;
    readonly statelessResetToken: Uint8Array;
  },
): void {
  writer.uint8(0x18);
  writeVarint(writer, id.sequenceNumber);
  writeVarint(writer, id.retirePriorTo);
  writer.uint8(id.connectionId.length);
  writer.bytes(id.connectionId);
  writer.bytes(id.statelessResetToken);
}

/** RETIRE_CONNECTION_ID, RFC 9000 §19.16. */
export function writeRetireConnectionId(writer: Writer, sequenceNumber: number): void {
  writer.uint8(0x19);
  writeVarint(writer, sequenceNumber);
}

/** PATH_CHALLENGE, RFC 9000 §19.17. */
export function writePathChallenge(writer: Writer, data: Uint8Array): void {
  writer.uint8(0x1a);
  writer.bytes(data);
}

/** PATH_RESPONSE, RFC 9000 §19.18. */
export function writePathResponse(writer: Writer, data: Uint8Array): void {
  writer.uint8(0x1b);
  writer.bytes(data);
}

/**
 * CONNECTION_CLOSE, RFC 9000 §19.19.
 *
 * @param close `frameType` is the frame at fault, 0 where there is none; it is not written for an application's close.
 */
export function writeConnectionClose(
  writer: Writer,
  close: {
    readonly isApplication: boolean;
    readonly code: number;
    readonly frameType: number;
    readonly reason: Uint8Array;
  },
): void {
  writer.uint8(close.isApplication ? 0x1d : 0x1c);
  writeVarint(writer, close.code);
  if (!close.isApplication) writeVarint(writer, close.frameType);
  writeVarint2(writer, close.reason.length);
  writer.bytes(close.reason);
}

/** NEW_TOKEN, RFC 9000 §19.7. */
export function writeNewToken(writer: Writer, token: Uint8Array): void {
  writer.uint8(0x07);
  writeVarint2(writer, token.length);
  writer.bytes(token);
}

/** Bytes that `writeNewToken` takes. */
export function newTokenFrameBytes(token: Uint8Array): number {
  return 1 + 2 + token.length;
}

/** HANDSHAKE_DONE, RFC 9000 §19.20. */
export function writeHandshakeDone(writer: Writer): void {
  writer.uint8(0x1e);
}

/** DATAGRAM with a length, RFC 9221 §4. */
export function writeDatagram(writer: Writer, data: Uint8Array): void {
  writer.uint8(0x31);
  writeVarint2(writer, data.length);
  writer.bytes(data);
}

/** Bytes `writeDatagram` takes before the data. */
export const DATAGRAM_HEADER_BYTES = 3;
