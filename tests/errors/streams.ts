/**
 * Rules about streams and their limits: RFC 9000 §4, §19.4, §19.5, §19.8 to §19.14.
 *
 * @module
 */

import { say, sayInTurn, varintHex } from "./play.ts";
import { EITHER, type ErrorRow } from "./row.ts";

/** What `small` allows on a stream, and on all of them together. */
const SMALL = { connectionWindowBytes: 1000, streamWindowBytes: 800 };
const NO_STREAMS = { maxBidirectionalStreams: 0, maxUnidirectionalStreams: 0 };
/** 2^60 + 1, and 2^62 - 1. */
const TOO_MANY = "d000000000000001";
const LARGEST = "ffffffffffffffff";

const of = (section: string, row: Omit<ErrorRow, "rfc" | "section" | "by">): ErrorRow => ({
  rfc: "RFC 9000",
  section,
  by: EITHER,
  ...row,
});

export const STREAM_ROWS: readonly ErrorRow[] = [
  of("§4.1", {
    rule: "STREAM beyond the limit of its stream",
    name: "FLOW_CONTROL_ERROR",
    frameType: 0x0e,
    h3spec: "MUST send FLOW_CONTROL_ERROR if a STREAM frame with a large offset is received [Transport 4.1]",
    play: say(({ own }) => `0e ${own} 85f5e100 01 aa`),
  }),
  of("§4.1", {
    rule: "STREAM on a unidirectional stream, one byte beyond its limit",
    name: "FLOW_CONTROL_ERROR",
    frameType: 0x0e,
    play: say(({ ownUni }) => `0e ${ownUni} ${varintHex(SMALL.streamWindowBytes)} 01 aa`, { transport: SMALL }),
  }),
  of("§4.1", {
    rule: "STREAM frames of two streams that are beyond the limit of the connection together",
    name: "FLOW_CONTROL_ERROR",
    frameType: 0x0e,
    play: say(({ own, ownSecond }) => `0e ${own} 4200 01 aa  0e ${ownSecond} 4200 01 aa`, { transport: SMALL }),
  }),
  of("§4.5", {
    rule: "RESET_STREAM whose final size is beyond the limit of its stream",
    name: "FLOW_CONTROL_ERROR",
    frameType: 0x04,
    play: say(({ own }) => `04 ${own} 00 85f5e100`),
  }),
  of("§4.5", {
    rule: "RESET_STREAM frames whose final sizes are beyond the limit of the connection together",
    name: "FLOW_CONTROL_ERROR",
    frameType: 0x04,
    play: say(({ own, ownSecond }) => `04 ${own} 00 4200  04 ${ownSecond} 00 4200`, { transport: SMALL }),
  }),
  of("§4.5", {
    rule: "STREAM beyond the final size that came with FIN",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x0e,
    play: say(({ own }) => `0b ${own} 01 aa  0e ${own} 01 01 aa`),
  }),
  of("§4.5", {
    rule: "FIN at another final size, larger",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x0f,
    play: say(({ own }) => `0b ${own} 01 aa  0f ${own} 02 00`),
  }),
  of("§4.5", {
    rule: "FIN below what has been received",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x0f,
    play: say(({ own }) => `0a ${own} 03 aabbcc  0f ${own} 01 00`),
  }),
  of("§4.5", {
    rule: "RESET_STREAM with another final size than FIN",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x04,
    play: say(({ own }) => `0b ${own} 01 aa  04 ${own} 00 02`),
  }),
  of("§4.5", {
    rule: "RESET_STREAM whose final size is below what has been received",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x04,
    play: say(({ own }) => `0a ${own} 03 aabbcc  04 ${own} 00 01`),
  }),
  of("§4.5", {
    rule: "STREAM beyond the final size of a RESET_STREAM",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x0e,
    play: say(({ own }) => `04 ${own} 00 03  0e ${own} 03 01 aa`),
  }),
  of("§4.5", {
    rule: "two RESET_STREAM frames with different final sizes",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x04,
    play: say(({ own }) => `04 ${own} 00 03  04 ${own} 00 04`),
  }),
  of("§4.6", {
    rule: "STREAM that opens a bidirectional stream beyond the limit",
    name: "STREAM_LIMIT_ERROR",
    frameType: 0x0a,
    h3spec: "MUST send STREAM_LIMIT_ERROR if a stream ID exceeding the limit",
    play: say(({ own }) => `0a bb9aca${own} 01 aa`),
  }),
  of("§4.6", {
    rule: "STREAM that opens a unidirectional stream beyond the limit",
    name: "STREAM_LIMIT_ERROR",
    frameType: 0x0a,
    play: say(({ ownUni }) => `0a bb9aca${ownUni} 01 aa`),
  }),
  of("§4.6", {
    rule: "STREAM where no stream may be opened",
    name: "STREAM_LIMIT_ERROR",
    frameType: 0x0a,
    play: say(({ own }) => `0a ${own} 01 aa`, { transport: NO_STREAMS }),
  }),
  ...([
    ["RESET_STREAM", 0x04, "00 00"],
    ["STOP_SENDING", 0x05, "00"],
    ["MAX_STREAM_DATA", 0x11, "10"],
    ["STREAM_DATA_BLOCKED", 0x15, "10"],
  ] as const).map(([name, frameType, rest]) =>
    of("§4.6", {
      rule: `${name} of a stream beyond the limit`,
      name: "STREAM_LIMIT_ERROR",
      frameType,
      play: say(({ own }) => `${varintHex(frameType)} bb9aca${own} ${rest}`),
    })
  ),
  of("§19.4", {
    rule: "RESET_STREAM of a stream that only the other end sends on",
    name: "STREAM_STATE_ERROR",
    frameType: 0x04,
    h3spec: "MUST send STREAM_STATE_ERROR if RESET_STREAM is received for a send-only stream [Transport 19.4]",
    play: say(({ theirsUni }) => `04 ${theirsUni} 00 00`),
  }),
  of("§19.4", {
    rule: "RESET_STREAM of a stream of the other end's that is not open",
    name: "STREAM_STATE_ERROR",
    frameType: 0x04,
    play: say(({ theirs }) => `04 ${theirs} 00 00`),
  }),
  of("§19.5", {
    rule: "STOP_SENDING of a stream of the other end's that is not open",
    name: "STREAM_STATE_ERROR",
    frameType: 0x05,
    h3spec: "MUST send STREAM_STATE_ERROR if STOP_SENDING is received for a non-existing stream [Transport 19.5]",
    play: say(({ theirs }) => `05 ${theirs} 00`),
  }),
  of("§19.5", {
    rule: "STOP_SENDING of a stream that only its sender sends on",
    name: "STREAM_STATE_ERROR",
    frameType: 0x05,
    play: say(({ ownUni }) => `05 ${ownUni} 00`),
  }),
  of("§19.8", {
    rule: "STREAM on a stream of the other end's that is not open",
    name: "STREAM_STATE_ERROR",
    frameType: 0x0a,
    h3spec:
      "MUST send STREAM_STATE_ERROR if it receives a STREAM frame for a locally-initiated stream that has not yet " +
      "been created [Transport 19.8]",
    play: say(({ theirs }) => `0a ${theirs} 01 aa`),
  }),
  of("§19.8", {
    rule: "STREAM on a stream that only the other end sends on",
    name: "STREAM_STATE_ERROR",
    frameType: 0x0a,
    h3spec: "MUST send STREAM_STATE_ERROR if it receives a STREAM frame for a send-only stream [Transport 19.8]",
    play: say(({ theirsUni }) => `0a ${theirsUni} 01 aa`),
  }),
  of("§19.8", {
    rule: "STREAM that ends beyond 2^62 - 1",
    name: "FLOW_CONTROL_ERROR",
    frameType: 0x0e,
    play: say(({ own }) => `0e ${own} ${LARGEST} 01 aa`),
  }),
  of("§19.10", {
    rule: "MAX_STREAM_DATA of a stream of the other end's that is not open",
    name: "STREAM_STATE_ERROR",
    frameType: 0x11,
    h3spec: "MUST send STREAM_STATE_ERROR if MAX_STREAM_DATA is received for a stream that has not yet been created " +
      "[Transport 19.10]",
    play: say(({ theirs }) => `11 ${theirs} 10`),
  }),
  of("§19.10", {
    rule: "MAX_STREAM_DATA of a stream that only its sender sends on",
    name: "STREAM_STATE_ERROR",
    frameType: 0x11,
    h3spec: "MUST send STREAM_STATE_ERROR if MAX_STREAM_DATA is received for a receive-only stream [Transport 19.10]",
    play: say(({ ownUni }) => `11 ${ownUni} 10`),
  }),
  of("§19.11", {
    rule: "MAX_STREAMS above 2^60, bidirectional",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x12,
    h3spec: "MUST send FRAME_ENCODING_ERROR if invalid MAX_STREAMS is received [Transport 19.11]",
    play: say(`12 ${TOO_MANY}`),
  }),
  of("§19.11", {
    rule: "MAX_STREAMS above 2^60, unidirectional",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x13,
    play: say(`13 ${TOO_MANY}`),
  }),
  of("§19.13", {
    rule: "STREAM_DATA_BLOCKED of a stream that only the other end sends on",
    name: "STREAM_STATE_ERROR",
    frameType: 0x15,
    play: say(({ theirsUni }) => `15 ${theirsUni} 01`),
  }),
  of("§19.14", {
    rule: "STREAMS_BLOCKED above 2^60, bidirectional",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x16,
    h3spec: "MUST send STREAM_LIMIT_ERROR or FRAME_ENCODING_ERROR if invalid STREAMS_BLOCKED is received " +
      "[Transport 19.14]",
    play: say(`16 ${TOO_MANY}`),
  }),
  of("§19.14", {
    rule: "STREAMS_BLOCKED above 2^60, unidirectional",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x17,
    play: say(`17 ${LARGEST}`),
  }),
  of("§4.5", {
    rule: "STREAM beyond the final size, in a later packet than FIN",
    name: "FINAL_SIZE_ERROR",
    frameType: 0x0e,
    play: sayInTurn(({ own }) => `0b ${own} 01 aa`, ({ own }) => `0e ${own} 01 01 aa`),
  }),
];
