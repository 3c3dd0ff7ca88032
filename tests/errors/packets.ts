/**
 * Rules about packets, what frames are in them, and how frames are written: RFC 9000 §7.5, §12.4, §13.1, §17, §19, and RFC 9221.
 *
 * @module
 */

import { FRAME_RULES } from "../../protocols/quic/frame.ts";
import { say, varintHex } from "./play.ts";
import { EITHER, type ErrorRow } from "./row.ts";

const of = (section: string, row: Omit<ErrorRow, "rfc" | "section" | "by"> & Partial<ErrorRow>): ErrorRow => ({
  rfc: "RFC 9000",
  section,
  by: EITHER,
  ...row,
});

/** One whole frame of each type that 1-RTT packets alone carry; NEW_TOKEN and HANDSHAKE_DONE are those of a server. */
const FRAMES_OF_1RTT: readonly (readonly [type: number, rest: string])[] = [
  [0x04, "00 00 00"],
  [0x05, "00 00"],
  [0x07, "01 aa"],
  [0x0a, "00 01 aa"],
  [0x10, "10"],
  [0x11, "00 10"],
  [0x12, "10"],
  [0x14, "10"],
  [0x15, "00 10"],
  [0x16, "10"],
  [0x18, `01 00 08 0102030405060708 ${"00".repeat(16)}`],
  [0x19, "00"],
  [0x1a, "0102030405060708"],
  [0x1b, "0102030405060708"],
  [0x1d, "00 00"],
  [0x1e, ""],
  [0x31, "01 aa"],
];

/** Frames that are cut, of each type that has something behind its type. */
const CUT_FRAMES: readonly (readonly [type: number, rest: string])[] = [
  [0x02, "00 00 00"],
  [0x03, "00 00 00 00 00 00"],
  [0x04, "00 00"],
  [0x05, "00"],
  [0x06, "00 02 aa"],
  [0x07, "02 aa"],
  [0x0a, "00 02 aa"],
  [0x0e, "00 00"],
  [0x10, "40"],
  [0x11, "00"],
  [0x12, "80 00"],
  [0x14, ""],
  [0x15, "00"],
  [0x16, "c0"],
  [0x18, "10 00 08 0102030405060708 00"],
  [0x19, ""],
  [0x1a, "01020304050607"],
  [0x1b, "01020304050607"],
  [0x1c, "00 00 02 aa"],
  [0x1d, "00 02 aa"],
  [0x31, "02 aa"],
];

const nameOf = (type: number): string => FRAME_RULES[type]!.name;

export const PACKET_ROWS: readonly ErrorRow[] = [
  ...([["Initial", 0x08], ["Handshake", 0x08]] as const).map(([packet, setBits]) =>
    of("§17.2", {
      rule: `a reserved bit is set in ${packet}`,
      name: "PROTOCOL_VIOLATION",
      frameType: 0,
      play: say("01", { packet, setBits }),
      ...(packet === "Handshake"
        ? { h3spec: "MUST send PROTOCOL_VIOLATION if reserved bits in Handshake are non-zero [Transport 17.2]" }
        : {}),
    })
  ),
  of("§17.3.1", {
    rule: "a reserved bit is set in 1-RTT",
    name: "PROTOCOL_VIOLATION",
    frameType: 0,
    h3spec: "MUST send PROTOCOL_VIOLATION if reserved bits in Short are non-zero [Transport 17.2]",
    play: say("01 00 00", { setBits: 0x08 }),
  }),
  of("§12.4", {
    rule: "a packet without frames",
    name: "PROTOCOL_VIOLATION",
    frameType: 0,
    h3spec: "MUST send PROTOCOL_VIOLATION on no frames [Transport 12.4]",
    play: say(""),
  }),
  of("§12.4", {
    rule: "a frame of a type that nobody has defined",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x20,
    h3spec: "MUST send FRAME_ENCODING_ERROR if a frame of unknown type is received [Transport 12.4]",
    play: say("20"),
  }),
  of("§12.4", {
    rule: "a frame of a type that nobody has defined, in the first 1-RTT packet",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x20,
    play: say("20", { packet: "1-RTT" }),
  }),
  of("§12.4", {
    rule: "a frame of an extension that was not negotiated",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x3d7e90,
    play: say("803d7e90 00"),
  }),
  of("§12.4", {
    rule: "a frame whose type is cut",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0,
    play: say("01 01 01 80"),
  }),
  ...(["Initial", "Handshake"] as const).flatMap((packet) => [
    of("§12.4", {
      rule: `a frame of a type that nobody has defined, in ${packet}`,
      name: "FRAME_ENCODING_ERROR",
      frameType: 0x20,
      play: say("20", { packet }),
    }),
    ...FRAMES_OF_1RTT.map(([type, rest]) =>
      of(packet === "Initial" ? "§17.2.2" : "§17.2.4", {
        rule: `${nameOf(type)}${type === 0x1d ? " of the application" : ""} in ${packet}`,
        name: "PROTOCOL_VIOLATION",
        frameType: type,
        play: say(`${varintHex(type)} ${rest}`, { packet }),
        ...(packet === "Handshake" && type === 0x1a
          ? { h3spec: "MUST send PROTOCOL_VIOLATION if PATH_CHALLENGE in Handshake is received [Transport 17.2.4]" }
          : {}),
      })
    ),
  ]),
  ...([["Initial", "02 20 00 00 00"], ["Handshake", "02 20 00 00 00"], [undefined, "02 80010000 00 00 00"]] as const)
    .map(([packet, frames]) =>
      of("§13.1", {
        rule: `ACK of a packet that was never sent, in ${packet ?? "1-RTT"}`,
        name: "PROTOCOL_VIOLATION",
        frameType: 0x02,
        play: say(frames, packet === undefined ? {} : { packet }),
      })
    ),
  of("§19.3.1", {
    rule: "ACK whose first range goes below packet 0",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x02,
    play: say("02 00 00 00 01"),
  }),
  of("§19.3.1", {
    rule: "ACK whose further range goes below packet 0",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x02,
    play: say("02 02 00 01 00 01 00"),
  }),
  of("§7.5", {
    rule: "CRYPTO beyond what is kept, in 1-RTT",
    name: "CRYPTO_BUFFER_EXCEEDED",
    frameType: 0x06,
    play: say("06 80010001 01 aa"),
  }),
  ...(["Initial", "Handshake"] as const).map((packet) =>
    of("§7.5", {
      rule: `CRYPTO beyond what is kept, in ${packet}`,
      name: "CRYPTO_BUFFER_EXCEEDED",
      frameType: 0x06,
      play: say("06 80080001 01 aa", { packet }),
    })
  ),
  of("§19.6", {
    rule: "CRYPTO that ends beyond 2^62 - 1",
    name: "CRYPTO_BUFFER_EXCEEDED",
    frameType: 0x06,
    play: say("06 ffffffffffffffff 01 aa"),
  }),
  of("§19.7", {
    rule: "NEW_TOKEN from a client",
    by: ["client"],
    name: "PROTOCOL_VIOLATION",
    frameType: 0x07,
    h3spec: "MUST send PROTOCOL_VIOLATION if NEW_TOKEN is received [Transport 19.7]",
    play: say("07 01 aa"),
  }),
  of("§19.7", {
    rule: "NEW_TOKEN with an empty token",
    by: ["server"],
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x07,
    play: say("07 00"),
  }),
  of("§19.20", {
    rule: "HANDSHAKE_DONE from a client",
    by: ["client"],
    name: "PROTOCOL_VIOLATION",
    frameType: 0x1e,
    h3spec: "MUST send PROTOCOL_VIOLATION if HANDSHAKE_DONE is received [Transport 19.20]",
    play: say("1e"),
  }),
  ...CUT_FRAMES.map(([type, rest]) =>
    of("§12.4", {
      rule: `${nameOf(type)} (0x${type.toString(16).padStart(2, "0")}) that the packet cuts`,
      name: "FRAME_ENCODING_ERROR",
      frameType: type,
      play: say(`01 01 01 ${varintHex(type)} ${rest}`),
    })
  ),
  // RFC 9221.
  of("§3", {
    rfc: "RFC 9221",
    rule: "DATAGRAM where none was asked for",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x31,
    play: say("31 00", { transport: { maxDatagramFrameBytes: 0 } }),
  }),
  of("§3", {
    rfc: "RFC 9221",
    rule: "DATAGRAM larger than asked for by the byte of its length",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x31,
    play: say(`31 09 ${"aa".repeat(9)}`, { transport: { maxDatagramFrameBytes: 10 } }),
  }),
  of("§3", {
    rfc: "RFC 9221",
    rule: "DATAGRAM without a length, a byte larger than asked for",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x30,
    play: say(`30 ${"aa".repeat(10)}`, { transport: { maxDatagramFrameBytes: 10 } }),
  }),
];
