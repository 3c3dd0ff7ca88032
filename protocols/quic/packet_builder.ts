/**
 * Builds the packets of one datagram in place: header, room for frames, padding, protection, and the record for loss
 * detection: RFC 9000 §12.2, §14.1, §17; RFC 9001 §5.4.2.
 *
 * @module
 */

import { Writer } from "../core/writer.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { MAX_PACKET_NUMBER_BYTES, patchLength, TAG_BYTES, writeLongHeader, writeShortHeader } from "./packet.ts";
import { packetNumberBytes } from "./packet_number.ts";
import type { PacketSpace } from "./packet_space.ts";
import { SentPacket } from "./sent_packet.ts";

/** Less room than this is not worth another packet: a header with connection IDs of 20 bytes, a small frame, the tag. */
const MIN_LONG_PACKET_ROOM_BYTES = 96;
const MIN_SHORT_PACKET_ROOM_BYTES = 60;

/** A packet that is being built. */
class Draft {
  space: PacketSpace | undefined;
  record: SentPacket = new SentPacket();
  start = 0;
  /** Of a long header: where its Length is; -1 for a short one. */
  lengthAt = -1;
  packetNumberAt = 0;
  packetNumberBytes = 0;
  payloadStart = 0;
  payloadEnd = 0;
}

/**
 * Builds datagrams. The last packet of a datagram stays open until `finish`, as only then it is known whether the datagram
 * needs padding, and padding belongs inside a packet.
 */
export class PacketBuilder {
  /** Where frames go. */
  readonly writer: Writer = new Writer(new Uint8Array(0));
  readonly #parts: ConnectionParts;
  #draft = new Draft();
  #kept = new Draft();
  #hasKept = false;
  #start = 0;
  #end = 0;
  #destinationConnectionId: Uint8Array = new Uint8Array(0);

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Starts a datagram at `start` that does not reach beyond `end`, to a connection ID of the peer. */
  begin(buffer: Uint8Array, start: number, end: number, destinationConnectionId: Uint8Array): void {
    this.writer.reset(buffer, start, end);
    this.#destinationConnectionId = destinationConnectionId;
    this.#start = start;
    this.#end = end;
    this.#hasKept = false;
  }

  /** Whether the datagram has a packet. */
  get hasPacket(): boolean {
    return this.#hasKept;
  }

  /** Of the packet that was opened: to be filled in while frames are written. */
  get record(): SentPacket {
    return this.#draft.record;
  }

  /** Starts a packet; `writer` is where its frames go. @returns Whether there are keys, room for it, and for its record. */
  open(space: PacketSpace): boolean {
    const { loss, origin } = this.#parts;
    const { sealer } = space;
    const start = this.#hasKept ? this.#kept.payloadEnd + TAG_BYTES : this.#start;
    const minBytes = space.name === "Application" ? MIN_SHORT_PACKET_ROOM_BYTES : MIN_LONG_PACKET_ROOM_BYTES;
    if (sealer === undefined || this.#end - start < minBytes + origin.token.length) return false;
    if (!loss.hasRoom(space.name)) return false;
    const { writer } = this;
    const draft = this.#draft;
    const packetNumber = space.nextPacketNumber;
    draft.space = space;
    draft.start = start;
    draft.packetNumberBytes = packetNumberBytes(packetNumber, loss.largestAcknowledged(space.name));
    writer.reset(writer.buffer, start, this.#end - TAG_BYTES);
    if (space.name === "Application") {
      writeShortHeader(writer, this.#destinationConnectionId, sealer.keyPhase, packetNumber, draft.packetNumberBytes);
      draft.lengthAt = -1;
    } else {
      draft.lengthAt = writeLongHeader(writer, {
        type: space.name,
        destinationConnectionId: this.#destinationConnectionId,
        sourceConnectionId: origin.sourceId,
        token: origin.token,
        packetNumber,
        packetNumberBytes: draft.packetNumberBytes,
      });
    }
    draft.payloadStart = writer.offset;
    draft.packetNumberAt = writer.offset - draft.packetNumberBytes;
    draft.record.packetNumber = packetNumber;
    return true;
  }

  /** Frames were written since `open`: keeps the packet, and seals the one before it. */
  keep(now: number): void {
    const draft = this.#draft;
    draft.payloadEnd = this.writer.offset;
    if (this.#hasKept) this.#seal(now);
    this.#draft = this.#kept;
    this.#kept = draft;
    this.#hasKept = true;
  }

  /** Nothing was worth a packet: as if `open` had not been called. */
  cancel(): void {
    this.#draft.record.clear();
  }

  /**
   * Seals the last packet.
   *
   * @param minBytes Size the datagram is padded to, if it is smaller.
   * @returns Where the datagram ends.
   */
  finish(minBytes: number, now: number): number {
    const { writer } = this;
    const kept = this.#kept;
    const missing = this.#start + minBytes - (kept.payloadEnd + TAG_BYTES);
    if (missing > 0) {
      writer.reset(writer.buffer, kept.payloadEnd, this.#end - TAG_BYTES);
      writer.zeros(missing);
      kept.payloadEnd = writer.offset;
      // RFC 9002 §2: PADDING counts, but for what goes another way.
      kept.record.isInFlight = kept.record.pathId >= 0;
    }
    this.#seal(now);
    this.#hasKept = false;
    return kept.payloadEnd + TAG_BYTES;
  }

  #seal(now: number): void {
    const { congestion, counters, epoch, idle, loss, pacer } = this.#parts;
    const { writer } = this;
    const draft = this.#kept;
    const { record, space } = draft;
    const sealer = space?.sealer;
    if (space === undefined || sealer === undefined) return;
    // RFC 9001 §5.4.2: packet number and payload make up at least what the sample is taken behind.
    const minEnd = draft.packetNumberAt + MAX_PACKET_NUMBER_BYTES;
    while (draft.payloadEnd < minEnd) writer.buffer[draft.payloadEnd++] = 0;
    const end = draft.payloadEnd + TAG_BYTES;
    if (draft.lengthAt >= 0) {
      writer.reset(writer.buffer, draft.lengthAt, end);
      patchLength(writer, draft.lengthAt, end);
    }
    sealer.seal(
      writer.buffer,
      draft.start,
      draft.packetNumberAt,
      draft.packetNumberBytes,
      draft.payloadEnd,
      record.packetNumber,
    );
    space.takePacketNumber();
    counters.sentPackets++;
    record.sentAt = now;
    record.bytes = end - draft.start;
    if (record.isAckEliciting) {
      record.isInFlight = true;
      space.onAckElicitingSent();
      idle.onAckElicitingSent(now);
    }
    if (record.isInFlight && record.pathId === epoch.id) {
      congestion.onPacketSent(record);
      pacer.onPacketSent(record.bytes);
    }
    draft.record = loss.onPacketSent(space.name, record);
  }
}
