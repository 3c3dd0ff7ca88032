/**
 * Packet headers as they are on the wire before protection is removed and before it is applied: RFC 9000 §17, and the
 * invariants of RFC 8999. Version 1 only.
 *
 * @module
 */

import { Reader, TruncatedError } from "../core/reader.ts";
import type { Writer } from "../core/writer.ts";
import { readVarint, writeVarint, writeVarint2 } from "./varint.ts";

/** QUIC version 1: RFC 9000 §15. */
export const VERSION_1 = 0x00000001;
/** RFC 9000 §14.1: what every path must carry, and the least a datagram with a client's Initial must have. */
export const MIN_INITIAL_DATAGRAM_BYTES = 1200;
/** RFC 9000 §17.2: longest connection ID of version 1. */
export const MAX_CONNECTION_ID_BYTES = 20;
/** Length of every connection ID we issue, so that a short header can be read without asking a table. */
export const CONNECTION_ID_BYTES = 8;
/** RFC 9001 §5.3: what the AEAD adds. */
export const TAG_BYTES = 16;
/** Longest packet number on the wire: the sample for header protection begins behind it, RFC 9001 §5.4.2. */
export const MAX_PACKET_NUMBER_BYTES = 4;

/** The name RFC 9000 §17 gives a packet. */
export type PacketType = "Initial" | "0-RTT" | "Handshake" | "Retry" | "Version Negotiation" | "1-RTT";

/** Long packet types by their two bits: Table 5 of RFC 9000. */
const LONG_TYPES = ["Initial", "0-RTT", "Handshake", "Retry"] as const;

const NO_BYTES = new Uint8Array(0);

/** Why bytes are not a packet that we can take further. */
export type HeaderFault = "fixed bit is zero" | "header is truncated" | "unknown version" | "connection ID is too long";

/** The unprotected part of a header. One object serves every packet; its views borrow the datagram. */
export class PacketHeader {
  type: PacketType = "1-RTT";
  /** 0 for a short header. */
  version = 0;
  destinationConnectionId: Uint8Array = NO_BYTES;
  /** Empty for a short header. */
  sourceConnectionId: Uint8Array = NO_BYTES;
  /** Of an Initial or a Retry. */
  token: Uint8Array = NO_BYTES;
  /** Where the packet begins in its datagram. */
  start = 0;
  /** Where the packet number begins; of Retry and Version Negotiation where the payload does. */
  payloadStart = 0;
  /** Where the packet ends; another one may follow in the datagram: RFC 9000 §12.2. */
  end = 0;
  readonly #reader = new Reader(NO_BYTES);

  /**
   * Reads the header of the packet that begins at `start`.
   *
   * @returns What is wrong with it; `undefined` if nothing is. With "unknown version" the version and the connection IDs
   * are valid, by the invariants of RFC 8999.
   */
  read(bytes: Uint8Array, start: number, end: number): HeaderFault | undefined {
    this.start = start;
    this.end = end;
    const first = bytes[start];
    if (first === undefined || start >= end) return "header is truncated";
    if ((first & 0x80) !== 0) {
      try {
        this.#reader.reset(bytes, start, end);
        return this.#readLong(this.#reader);
      } catch (error) {
        if (error instanceof TruncatedError) return "header is truncated";
        throw error;
      }
    }
    if ((first & 0x40) === 0) return "fixed bit is zero";
    this.type = "1-RTT";
    this.version = 0;
    this.sourceConnectionId = NO_BYTES;
    this.token = NO_BYTES;
    this.payloadStart = start + 1 + CONNECTION_ID_BYTES;
    if (this.payloadStart > end) return "header is truncated";
    this.destinationConnectionId = bytes.subarray(start + 1, this.payloadStart);
    return undefined;
  }

  #readLong(reader: Reader): HeaderFault | undefined {
    const first = reader.uint8();
    this.token = NO_BYTES;
    this.version = reader.uint32();
    // RFC 8999 §5.1: up to 255 bytes in versions yet to come; 20 is the limit of version 1 only.
    this.destinationConnectionId = reader.bytes(reader.uint8());
    this.sourceConnectionId = reader.bytes(reader.uint8());
    this.payloadStart = reader.offset;
    if (this.version === 0) {
      this.type = "Version Negotiation";
      return undefined;
    }
    if (this.version !== VERSION_1) return "unknown version";
    if ((first & 0x40) === 0) return "fixed bit is zero";
    if (
      this.destinationConnectionId.length > MAX_CONNECTION_ID_BYTES ||
      this.sourceConnectionId.length > MAX_CONNECTION_ID_BYTES
    ) return "connection ID is too long"; // RFC 9000 §17.2: such a packet MUST be dropped.
    const type = LONG_TYPES[(first >> 4) & 0x03]!;
    this.type = type;
    if (type === "Retry") {
      if (reader.remaining < TAG_BYTES) return "header is truncated";
      this.token = reader.bytes(reader.remaining - TAG_BYTES);
      return undefined;
    }
    if (type === "Initial") this.token = reader.bytes(readVarint(reader));
    const length = readVarint(reader);
    this.payloadStart = reader.offset;
    reader.skip(length);
    this.end = reader.offset;
    return undefined;
  }
}

/**
 * Writes a long header of version 1 up to the packet number, which it writes too; RFC 9000 §17.2.2, §17.2.4.
 *
 * @returns Where the Length field is: two bytes that `patchLength` fills once the end of the packet is known.
 */
export function writeLongHeader(
  writer: Writer,
  header: {
    readonly type: "Initial" | "Handshake";
    readonly destinationConnectionId: Uint8Array;
    readonly sourceConnectionId: Uint8Array;
    /** Only written in an Initial. */
    readonly token: Uint8Array;
    readonly packetNumber: number;
    readonly packetNumberBytes: number;
  },
): number {
  writer.uint8((header.type === "Initial" ? 0xc0 : 0xe0) | (header.packetNumberBytes - 1));
  writer.uint32(VERSION_1);
  writer.uint8(header.destinationConnectionId.length);
  writer.bytes(header.destinationConnectionId);
  writer.uint8(header.sourceConnectionId.length);
  writer.bytes(header.sourceConnectionId);
  if (header.type === "Initial") {
    writeVarint(writer, header.token.length);
    writer.bytes(header.token);
  }
  const lengthAt = writer.skip(2);
  writePacketNumber(writer, header.packetNumber, header.packetNumberBytes);
  return lengthAt;
}

/** Fills the Length field of a long header: packet number, payload and tag; `end` is where the tag will end. */
export function patchLength(writer: Writer, lengthAt: number, end: number): void {
  const offset = writer.offset;
  writer.offset = lengthAt;
  writeVarint2(writer, end - lengthAt - 2);
  writer.offset = offset;
}

/** Writes a short header with its packet number: RFC 9000 §17.3.1. The spin bit stays 0: RFC 9000 §17.4. */
export function writeShortHeader(
  writer: Writer,
  destinationConnectionId: Uint8Array,
  keyPhase: 0 | 1,
  packetNumber: number,
  packetNumberBytes: number,
): void {
  writer.uint8(0x40 | (keyPhase << 2) | (packetNumberBytes - 1));
  writer.bytes(destinationConnectionId);
  writePacketNumber(writer, packetNumber, packetNumberBytes);
}

function writePacketNumber(writer: Writer, packetNumber: number, length: number): void {
  const low = packetNumber % 0x100000000;
  switch (length) {
    case 1:
      return writer.uint8(low);
    case 2:
      return writer.uint16(low);
    case 3:
      return writer.uint24(low);
    default:
      return writer.uint32(low);
  }
}

/**
 * Writes a Version Negotiation packet that answers a packet of a version we do not speak: RFC 9000 §17.2.1.
 *
 * @param received Its connection IDs are swapped, and may be longer than version 1 allows.
 * @param unused Any value: the seven bits that mean nothing.
 */
export function writeVersionNegotiation(
  writer: Writer,
  received: { readonly destinationConnectionId: Uint8Array; readonly sourceConnectionId: Uint8Array },
  unused: number,
): void {
  // RFC 9000 §17.2.1: the bit where other packets have the fixed bit SHOULD be 1, for those who share a port by RFC 9443.
  writer.uint8(0xc0 | (unused & 0x3f));
  writer.uint32(0);
  writer.uint8(received.sourceConnectionId.length);
  writer.bytes(received.sourceConnectionId);
  writer.uint8(received.destinationConnectionId.length);
  writer.bytes(received.destinationConnectionId);
  writer.uint32(VERSION_1);
}

/** Whether a Version Negotiation packet lists `version`. */
export function listsVersion(bytes: Uint8Array, header: PacketHeader, version: number): boolean {
  const reader = new Reader(bytes, header.payloadStart, header.end);
  while (reader.remaining >= 4) if (reader.uint32() === version) return true;
  return false;
}

/** Writes a Retry packet but for its integrity tag: RFC 9000 §17.2.5. */
export function writeRetryWithoutTag(
  writer: Writer,
  retry: {
    readonly destinationConnectionId: Uint8Array;
    readonly sourceConnectionId: Uint8Array;
    readonly token: Uint8Array;
  },
): void {
  writer.uint8(0xff); // RFC 9001 §A.4 sets the unused bits too.
  writer.uint32(VERSION_1);
  writer.uint8(retry.destinationConnectionId.length);
  writer.bytes(retry.destinationConnectionId);
  writer.uint8(retry.sourceConnectionId.length);
  writer.bytes(retry.sourceConnectionId);
  writer.bytes(retry.token);
}
