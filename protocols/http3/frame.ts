/**
 * HTTP/3 frames: types, where each may stand, and how they are written (RFC 9114 §7). Reading is in `frame_parser.ts`.
 *
 * @module
 */

import { Writer } from "../core/writer.ts";
import { varintBytes, writeVarint, writeVarint62 } from "../quic/varint.ts";
import { Http3Error } from "./errors.ts";

/** Frame types by the names of RFC 9114 §7.2. */
export const FRAME_TYPE = {
  DATA: 0x00,
  HEADERS: 0x01,
  CANCEL_PUSH: 0x03,
  SETTINGS: 0x04,
  PUSH_PROMISE: 0x05,
  GOAWAY: 0x07,
  MAX_PUSH_ID: 0x0d,
} as const;

/** The name of a frame. */
export type FrameName = keyof typeof FRAME_TYPE;

/** Where frames stand. Push streams are refused as a whole, so there is no column for them. */
export type FramePlace = "control" | "request";

interface FrameRule {
  readonly name: FrameName | undefined;
  readonly places: readonly FramePlace[];
}

/** RFC 9114 §7.2, Table 1, and the reserved types of §7.2.8: the streams on which a type may stand. */
const RULES: ReadonlyMap<number, FrameRule> = new Map<number, FrameRule>([
  [FRAME_TYPE.DATA, { name: "DATA", places: ["request"] }],
  [FRAME_TYPE.HEADERS, { name: "HEADERS", places: ["request"] }],
  [FRAME_TYPE.CANCEL_PUSH, { name: "CANCEL_PUSH", places: ["control"] }],
  [FRAME_TYPE.SETTINGS, { name: "SETTINGS", places: ["control"] }],
  [FRAME_TYPE.PUSH_PROMISE, { name: "PUSH_PROMISE", places: ["request"] }],
  [FRAME_TYPE.GOAWAY, { name: "GOAWAY", places: ["control"] }],
  [FRAME_TYPE.MAX_PUSH_ID, { name: "MAX_PUSH_ID", places: ["control"] }],
  // What HTTP/2 calls PRIORITY, PING, WINDOW_UPDATE, CONTINUATION.
  ...[0x02, 0x06, 0x08, 0x09].map((type): [number, FrameRule] => [type, { name: undefined, places: [] }]),
]);

/** Type and length, each a varint of at most eight bytes. */
export const MAX_FRAME_HEADER_BYTES = 16;

/**
 * What frame it is.
 *
 * @returns `undefined` for an unknown type, which is passed over (RFC 9114 §9).
 * @throws {Http3Error} H3_FRAME_UNEXPECTED, if it must not stand there.
 */
export function frameNameOf(type: number, place: FramePlace): FrameName | undefined {
  const rule = RULES.get(type);
  if (rule === undefined) return undefined;
  if (!rule.places.includes(place)) {
    const what = rule.name ?? `The frame type 0x${type.toString(16)} of HTTP/2`;
    throw new Http3Error("H3_FRAME_UNEXPECTED", `${what} came on a ${place} stream`);
  }
  return rule.name;
}

/** Writes type and length: what goes before `lengthBytes` of payload. */
export function writeFrameHeader(writer: Writer, name: FrameName, lengthBytes: number): void {
  writeVarint(writer, FRAME_TYPE[name]);
  writeVarint(writer, lengthBytes);
}

/** A whole frame. */
export function encodeFrame(name: FrameName, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(1 + varintBytes(payload.length) + payload.length);
  const writer = new Writer(bytes);
  writeFrameHeader(writer, name, payload.length);
  writer.bytes(payload);
  return bytes;
}

/** A GOAWAY frame: RFC 9114 §7.2.6. */
export function encodeGoAway(id: bigint): Uint8Array<ArrayBuffer> {
  const writer = new Writer(new Uint8Array(8));
  writeVarint62(writer, id);
  return encodeFrame("GOAWAY", writer.written());
}
