/**
 * Packs frames into packets and packets into datagrams: RFC 9000 §12.2, §13, §14; RFC 9002 §7. Parts are asked for what
 * they have; here it is decided what may leave, and in which order.
 *
 * @module
 */

import { MAX_RUN_DATAGRAMS } from "../core/machine.ts";
import type { Writer } from "../core/writer.ts";
import { unreachable } from "../core/unreachable.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import type { CloseFrame } from "./connection_state.ts";
import { MAX_UDP_PAYLOAD_BYTES } from "./config.ts";
import {
  DATAGRAM_HEADER_BYTES,
  MAX_REASON_BYTES,
  MIN_ACK_BYTES,
  NEW_CONNECTION_ID_BYTES,
  newTokenFrameBytes,
  PATH_FRAME_BYTES,
  SMALL_FRAME_BYTES,
  writeAck,
  writeConnectionClose,
  writeDataBlocked,
  writeDatagram,
  writeHandshakeDone,
  writeMaxData,
  writeMaxStreamData,
  writeMaxStreams,
  writeNewConnectionId,
  writeNewToken,
  writePadding,
  writePathChallenge,
  writePathResponse,
  writePing,
  writeResetStream,
  writeRetireConnectionId,
  writeStopSending,
  writeStreamDataBlocked,
  writeStreamHeader,
  writeStreamsBlocked,
} from "./frame_writer.ts";
import type { Extensions } from "./extensions.ts";
import { claimConnectionId } from "./migration.ts";
import { SEARCH_AFTER_BYTES } from "./mtu.ts";
import { MIN_INITIAL_DATAGRAM_BYTES } from "./packet.ts";
import { PacketBuilder } from "./packet_builder.ts";
import type { PacketSpace } from "./packet_space.ts";
import { nextProbe } from "./probed_paths.ts";
import type { Path, PathKey } from "./path.ts";
import { discardSpace } from "./recovery.ts";
import { SENT_DATAGRAM, SENT_HANDSHAKE_DONE, SENT_PING } from "./sent_packet.ts";
import type { SentPacket, StreamControlFrame } from "./sent_packet.ts";
import { StreamSelection } from "./stream.ts";
import { ANSWERING_CLOSE, HIDDEN_APPLICATION_CLOSE } from "./termination.ts";

/** Our ack_delay_exponent, left at its default: RFC 9000 §18.2. */
const ACK_DELAY_EXPONENT = 3;
/**
 * Packets with nothing but an ACK after which one carries a PING, if there are gaps to report: the peer's answer lets us
 * forget what it knows by now, RFC 9000 §13.2.4.
 */
const MAX_ACK_ONLY_PACKETS = 32;
/** No datagram is begun with less room than this: short header, the longest single frame but for NEW_CONNECTION_ID, tag. */
export const MIN_DATAGRAM_ROOM_BYTES = 64;
/** Most that an ACK takes of a packet, so that data moves on beside it: some 30 ranges of the ordinary kind, or more. */
const MAX_ACK_BYTES = 512;
/** What CONNECTION_CLOSE is left for its reason, whatever else is said beside it. */
const MIN_CLOSE_ROOM_BYTES: number = SMALL_FRAME_BYTES + MAX_REASON_BYTES;
/** A STREAM frame is not begun with less room than this: a few bytes more are not worth another frame. */
const MIN_STREAM_ROOM_BYTES = 32;

/** A run of datagrams in the caller's buffer, all for one path. */
export interface Transmission {
  readonly path: PathKey;
  readonly lengthBytes: number;
  /** Size of each datagram but the last, if there is more than one. */
  readonly segmentBytes: number | undefined;
}

/** Sends for one connection. */
export class Sender {
  readonly #parts: ConnectionParts;
  readonly #builder: PacketBuilder;
  readonly #selection = new StreamSelection();
  /** While a datagram is built: whether congestion control and pacing let it be in flight. */
  #mayBeInFlight = false;
  /** In the Application space, since the last packet that the peer has to acknowledge. */
  #ackOnlyPackets = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#builder = new PacketBuilder(parts);
  }

  /**
   * Fills `buffer` with what may leave now; `undefined` if that is nothing.
   *
   * @param buffer Room for one datagram of 1452 bytes at least; a run takes 16.
   */
  transmit(buffer: Uint8Array, now: number): Transmission | undefined {
    const parts = this.#parts;
    parts.timers.set("pacing", undefined);
    if (parts.pending.isCloseDue) return this.#transmitClose(buffer, now);
    if (!parts.state.isOpen || parts.earlyDial.remainingDatagrams <= 0) return undefined;
    for (const path of parts.paths.all) {
      // RFC 9000 §9.5: what leaves on another path goes to a connection ID of its own.
      if (!path.hasToSend || (path !== parts.paths.active && !claimConnectionId(parts, path))) continue;
      const lengthBytes = this.#buildProbe(path, buffer, now);
      if (lengthBytes > 0) return this.#sent(path, lengthBytes, lengthBytes);
    }
    if (parts.extensions?.traversal !== undefined) {
      const transmission = this.#transmitTraversalProbe(buffer, now);
      if (transmission !== undefined) return transmission;
    }
    if (parts.mtu.path.probeAt <= now && parts.counters.sentBytes >= SEARCH_AFTER_BYTES) {
      const transmission = this.#transmitMtuProbe(buffer, now);
      if (transmission !== undefined) return transmission;
    }
    return this.#transmitRun(buffer, now);
  }

  /**
   * A datagram larger than those in use: RFC 9000 §14.4. It takes its part of the window, and of the probe timeout: what is
   * in flight must not stay there, however little else is said.
   */
  #transmitMtuProbe(buffer: Uint8Array, now: number): Transmission | undefined {
    const { congestion, epoch, mtu, paths: { active }, remoteIds, spaces, state } = this.#parts;
    if (!state.isConfirmed || !active.isValidated || congestion.availableBytes < MAX_UDP_PAYLOAD_BYTES) {
      return undefined;
    }
    const bytes = mtu.path.takeProbe(now);
    if (bytes === undefined) return undefined;
    const builder = this.#builder;
    builder.begin(buffer, 0, bytes, remoteIds.current);
    if (!builder.open(spaces.Application)) {
      mtu.path.forgetProbe();
      return undefined;
    }
    const { record, writer } = builder;
    record.pathId = epoch.id;
    record.isMtuProbe = true;
    record.isAckEliciting = true;
    writePing(writer);
    builder.keep(now);
    return this.#sent(active, builder.finish(bytes, now), bytes);
  }

  /** A probe of NAT traversal; it is no part of what the path in use counts. */
  #transmitTraversalProbe(buffer: Uint8Array, now: number): Transmission | undefined {
    const { spaces, state, counters } = this.#parts;
    if (!state.isEstablished) return undefined;
    for (let next = nextProbe(this.#parts, now); next !== undefined; next = nextProbe(this.#parts, now)) {
      const { probe, connectionId } = next;
      const builder = this.#builder;
      builder.begin(buffer, 0, MIN_INITIAL_DATAGRAM_BYTES, connectionId);
      if (!builder.open(spaces.Application)) return undefined;
      const { record, writer } = builder;
      record.pathId = -1;
      if (probe.response !== undefined) {
        writePathResponse(writer, probe.response);
        record.frames.push({ type: "PATH_RESPONSE" });
      }
      if (probe.challenge !== undefined) {
        writePathChallenge(writer, probe.challenge);
        record.frames.push({ type: "PATH_CHALLENGE", data: probe.challenge });
      }
      builder.keep(now);
      const lengthBytes = builder.finish(probe.isFullSize ? MIN_INITIAL_DATAGRAM_BYTES : 0, now);
      counters.sentBytes += lengthBytes;
      counters.sentDatagrams++;
      return { path: probe, lengthBytes, segmentBytes: undefined };
    }
    return undefined;
  }

  #transmitRun(buffer: Uint8Array, now: number): Transmission | undefined {
    const parts = this.#parts;
    const path = parts.paths.active;
    const fullBytes = parts.mtu.currentBytes;
    let segmentBytes = fullBytes;
    let lengthBytes = 0;
    for (let datagrams = 0; datagrams < MAX_RUN_DATAGRAMS; datagrams++) {
      if (buffer.length - lengthBytes < segmentBytes || parts.earlyDial.remainingDatagrams <= 0) break;
      const limitBytes = Math.min(segmentBytes, path.sendAllowanceBytes - lengthBytes);
      const bytes = this.#buildDatagram(buffer, lengthBytes, limitBytes, now);
      if (bytes === 0) break;
      parts.earlyDial.remainingDatagrams--;
      lengthBytes += bytes;
      if (datagrams === 0) segmentBytes = bytes;
      // A shorter one ends the run, and so does a first one that is not full: the next might be longer.
      if (bytes < fullBytes) break;
    }
    return lengthBytes === 0 ? undefined : this.#sent(path, lengthBytes, segmentBytes);
  }

  #sent(path: Path, lengthBytes: number, segmentBytes: number): Transmission {
    const { counters } = this.#parts;
    path.onSent(lengthBytes);
    counters.sentBytes += lengthBytes;
    counters.sentDatagrams += Math.ceil(lengthBytes / segmentBytes);
    return { path, lengthBytes, segmentBytes: lengthBytes > segmentBytes ? segmentBytes : undefined };
  }

  /** One datagram of what is due, coalesced: RFC 9000 §12.2. @returns Its size, 0 if nothing may leave. */
  #buildDatagram(buffer: Uint8Array, start: number, limitBytes: number, now: number): number {
    const parts = this.#parts;
    const { spaces, mtu } = parts;
    // RFC 9000 §14.1: what carries an Initial is padded, so it has to have room for that.
    const needsFull = !spaces.Initial.isDiscarded && this.#hasSomething(spaces.Initial, now);
    if (limitBytes < (needsFull ? mtu.initialBytes : MIN_DATAGRAM_ROOM_BYTES)) return 0;
    this.#mayBeInFlight = this.#checkCongestion(limitBytes, now);
    const builder = this.#builder;
    builder.begin(buffer, start, start + limitBytes, parts.remoteIds.current);
    if (!spaces.Initial.isDiscarded) this.#buildPacket(spaces.Initial, now);
    const minBytes = builder.hasPacket ? mtu.initialBytes : 0;
    if (!spaces.Handshake.isDiscarded) this.#buildPacket(spaces.Handshake, now);
    // RFC 9001 §5.7: a server has the keys before it knows the client, and does not use them until then; but what helps to
    // find a path is of use at once, and is given to whoever was admitted; and some streams are for anybody.
    if (parts.state.isEstablished || this.#maySpeakEarly) this.#buildPacket(spaces.Application, now);
    if (!builder.hasPacket) return 0;
    const bytes = builder.finish(minBytes, now) - start;
    // RFC 9001 §4.9.1: a client has no use for Initial keys once it has sent a Handshake packet.
    if (parts.role === "client" && spaces.Handshake.nextPacketNumber > 0) discardSpace(parts, spaces.Initial, now);
    return bytes;
  }

  /** Whether a server has something to say to a client whose Finished it has not seen. */
  get #maySpeakEarly(): boolean {
    const { role, extensions, streams } = this.#parts;
    return role === "server" && (extensions?.isAny === true || streams.hasData);
  }

  /** RFC 9002 §7, §7.7. */
  #checkCongestion(bytes: number, now: number): boolean {
    const { congestion, pacer, rtt, timers, spaces } = this.#parts;
    if (
      !spaces.Initial.cryptoSend.hasToSend && !spaces.Handshake.cryptoSend.hasToSend && !this.#hasApplicationFrames(now)
    ) {
      return false;
    }
    if (congestion.availableBytes < bytes) return false;
    const sendAt = pacer.sendAt(congestion, rtt.smoothedMs, now);
    if (sendAt <= now) return true;
    timers.set("pacing", sendAt);
    return false;
  }

  /** Whether the space has something to say, be it held back by congestion control. */
  #hasSomething(space: PacketSpace, now: number): boolean {
    return space.probesDue > 0 || space.cryptoSend.hasToSend || this.#isAckDue(space, now);
  }

  #isAckDue(space: PacketSpace, now: number): boolean {
    const { ackAt } = space.received;
    return ackAt !== undefined && ackAt <= now;
  }

  #hasApplicationFrames(now: number): boolean {
    const { pending, localIds, remoteIds, streams, datagrams, extensions, paths } = this.#parts;
    return streams.hasData || streams.hasControlFrame || datagrams.hasToSend || pending.isPingDue ||
      pending.isHandshakeDoneDue || pending.newToken !== undefined || localIds.pending !== undefined ||
      remoteIds.pendingRetirement !== undefined ||
      extensions?.hasFrame(paths.active, now) === true;
  }

  /** Adds a packet of the space to the datagram if there is something for it to say. */
  #buildPacket(space: PacketSpace, now: number): void {
    const { epoch } = this.#parts;
    const builder = this.#builder;
    const { writer } = builder;
    const isAckDue = this.#isAckDue(space, now);
    const mayElicit = this.#mayBeInFlight || space.probesDue > 0;
    if (!isAckDue && !mayElicit) return;
    if (!builder.open(space)) return;
    const { record } = builder;
    record.pathId = epoch.id;
    const payloadStart = writer.offset;
    const { ackAt, ranges } = space.received;
    // RFC 9000 §13.2.1: goes along early where a packet leaves anyway.
    if (ackAt !== undefined && ranges.rangeCount > 0 && writer.remaining >= MIN_ACK_BYTES) {
      writeAck(
        writer,
        ranges,
        encodeAckDelay(space.received.ackDelayMs(now)),
        Math.min(writer.remaining, MAX_ACK_BYTES),
      );
      record.largestAcknowledged = ranges.largestOf(0);
    }
    if (mayElicit) {
      if (space.probesDue > 0) this.#repeatForProbe(space);
      this.#writeCrypto(space, record);
      if (space.name === "Application") this.#writeApplicationFrames(record, now);
      if (space.probesDue > 0 && !record.isAckEliciting && writer.remaining > 0) {
        writePing(writer);
        record.frames.push(SENT_PING);
        record.isAckEliciting = true;
      }
    }
    if (space.name === "Application" && isAckDue && writer.remaining > 0) this.#askForAck(space, record);
    if (writer.offset === payloadStart || (!record.isAckEliciting && !isAckDue)) return builder.cancel();
    if (record.largestAcknowledged >= 0) space.received.onAckSent();
    builder.keep(now);
  }

  /** RFC 9002 §6.2.4: each probe, and not only the first, repeats what may be lost, where there is nothing new to say. */
  #repeatForProbe(space: PacketSpace): void {
    const { streams, mtu } = this.#parts;
    if (space.name === "Application") {
      if (!streams.hasData) streams.probe(mtu.currentBytes);
    } else if (!space.cryptoSend.hasToSend && space.cryptoSend.isOutstanding) {
      space.cryptoSend.resend();
    }
  }

  /** Who only receives would say every gap of the past in every ACK: now and then it asks for an answer. */
  #askForAck(space: PacketSpace, record: SentPacket): void {
    if (record.isAckEliciting) this.#ackOnlyPackets = 0;
    else if (++this.#ackOnlyPackets > MAX_ACK_ONLY_PACKETS && space.received.ranges.rangeCount > 1) {
      writePing(this.#builder.writer);
      record.frames.push(SENT_PING);
      record.isAckEliciting = true;
      this.#ackOnlyPackets = 0;
    }
  }

  #writeCrypto(space: PacketSpace, record: SentPacket): void {
    if (!space.cryptoSend.hasToSend) return;
    const { writer } = this.#builder;
    for (let range = space.cryptoSend.writeFrame(writer); range; range = space.cryptoSend.writeFrame(writer)) {
      record.frames.push(range);
      record.isAckEliciting = true;
    }
  }

  #writeApplicationFrames(record: SentPacket, now: number): void {
    const { pending, localIds, remoteIds, streams, datagrams, rtt, extensions } = this.#parts;
    const { writer } = this.#builder;
    const start = writer.offset;
    if (pending.isHandshakeDoneDue && writer.remaining > 0) {
      writeHandshakeDone(writer);
      pending.isHandshakeDoneDue = false;
      record.frames.push(SENT_HANDSHAKE_DONE);
    }
    const { newToken } = pending;
    if (newToken !== undefined && writer.remaining >= newTokenFrameBytes(newToken)) {
      writeNewToken(writer, newToken);
      pending.newToken = undefined;
      record.frames.push({ type: "NEW_TOKEN", token: newToken });
    }
    if (pending.isPingDue && writer.remaining > 0) {
      writePing(writer);
      pending.isPingDue = false;
      record.frames.push(SENT_PING);
    }
    while (localIds.pending !== undefined && writer.remaining >= NEW_CONNECTION_ID_BYTES) {
      const id = localIds.takePending();
      if (id === undefined) break;
      writeNewConnectionId(writer, { ...id, retirePriorTo: 0 });
      record.frames.push({ type: "NEW_CONNECTION_ID", sequenceNumber: id.sequenceNumber });
    }
    while (remoteIds.pendingRetirement !== undefined && writer.remaining >= SMALL_FRAME_BYTES) {
      const sequenceNumber = remoteIds.takePendingRetirement();
      if (sequenceNumber === undefined) break;
      writeRetireConnectionId(writer, sequenceNumber);
      record.frames.push({ type: "RETIRE_CONNECTION_ID", sequenceNumber });
    }
    const isPunching = extensions !== undefined && this.#writeExtensionFrames(extensions, record, now);
    while (streams.hasControlFrame && writer.remaining >= SMALL_FRAME_BYTES) {
      const frame = streams.takeControlFrame(rtt.smoothedMs, now);
      if (frame === undefined) break;
      writeControlFrame(writer, frame);
      record.frames.push(frame);
    }
    if (datagrams.hasToSend) this.#writeDatagrams(record);
    if (streams.hasData) this.#writeStreams(record);
    // What the server may send on our word is a multiple of what it gets from us.
    if (isPunching && writer.remaining > 0) writePadding(writer, writer.remaining);
    if (writer.offset > start) record.isAckEliciting = true;
  }

  /** @returns Whether the server was asked for probes. */
  #writeExtensionFrames(extensions: Extensions, record: SentPacket, now: number): boolean {
    const { writer } = this.#builder;
    const path = this.#parts.paths.active;
    let isPunching = false;
    for (
      let frame = extensions.writeFrame(path, writer, now);
      frame;
      frame = extensions.writeFrame(path, writer, now)
    ) {
      record.frames.push(frame);
      isPunching ||= frame.type === "PUNCH_ME_NOW";
    }
    return isPunching;
  }

  #writeDatagrams(record: SentPacket): void {
    const { datagrams, mtu } = this.#parts;
    const { writer } = this.#builder;
    for (let data = datagrams.peekToSend(); data !== undefined; data = datagrams.peekToSend()) {
      if (data.length + DATAGRAM_HEADER_BYTES > writer.remaining) {
        // One that does not fit a packet of its own is not going to: the path became narrower after it was queued.
        if (data.length + DATAGRAM_HEADER_BYTES <= maxFrameBytes(mtu.currentBytes)) return;
        datagrams.dropToSend();
        continue;
      }
      writeDatagram(writer, data);
      datagrams.dropToSend();
      record.frames.push(SENT_DATAGRAM);
    }
  }

  #writeStreams(record: SentPacket): void {
    const { streams } = this.#parts;
    const { writer } = this.#builder;
    const selection = this.#selection;
    while (writer.remaining >= MIN_STREAM_ROOM_BYTES && streams.select(writer.remaining, selection)) {
      const { stream, offset, length, fin } = selection;
      if (stream === undefined) return;
      writeStreamHeader(writer, stream.id, offset, length, fin);
      streams.fill(selection, writer.buffer, writer.offset);
      writer.skip(length);
      record.addStream(stream, offset, length, fin);
    }
    // Packets of a run have one size: what is too little for a frame is filled up where more follows.
    if (writer.remaining < MIN_STREAM_ROOM_BYTES && streams.hasData) writePadding(writer, writer.remaining);
  }

  /** A datagram that proves a path: RFC 9000 §8.2.1, §8.2.2. @returns Its size, 0 if it may not leave. */
  #buildProbe(path: Path, buffer: Uint8Array, now: number): number {
    const { random, paths, spaces, epoch, remoteIds } = this.#parts;
    const space = spaces.Application;
    const builder = this.#builder;
    const { writer } = builder;
    const limitBytes = Math.min(MIN_INITIAL_DATAGRAM_BYTES, path.sendAllowanceBytes);
    if (limitBytes < MIN_DATAGRAM_ROOM_BYTES) return 0;
    const isActive = path === paths.active;
    builder.begin(buffer, 0, limitBytes, remoteIds.of(path.id) ?? remoteIds.current);
    if (!builder.open(space)) return 0;
    const { record } = builder;
    // What is sent elsewhere says nothing about the path in use: neither its window nor its probe timeout knows of it.
    record.pathId = isActive ? epoch.id : -1;
    record.isAckEliciting = isActive;
    while (path.isResponseDue && writer.remaining >= PATH_FRAME_BYTES + 1) {
      const data = path.takeResponse();
      if (data === undefined) break;
      writePathResponse(writer, data);
      record.frames.push({ type: "PATH_RESPONSE" });
      if (isActive) {
        // RFC 9000 §9.3.3: shows the peer that the path in use is this one, whoever else repeats our packets.
        writePing(writer);
        record.frames.push(SENT_PING);
      }
    }
    if (path.isChallengeDue && writer.remaining >= PATH_FRAME_BYTES) {
      const data = path.takeChallenge(random, limitBytes >= MIN_INITIAL_DATAGRAM_BYTES, now);
      writePathChallenge(writer, data);
      record.frames.push({ type: "PATH_CHALLENGE", data });
    }
    // RFC 9000 §9.1: PADDING probes, too, but asks nothing, and so needs no size.
    const isSilent = path.takeKeepAlive() && record.frames.length === 0;
    if (isSilent) writePadding(writer, 1);
    builder.keep(now);
    return builder.finish(isSilent ? 0 : limitBytes, now);
  }

  /** CONNECTION_CLOSE in every space that the peer may have keys for: RFC 9000 §10.2.3. */
  #transmitClose(buffer: Uint8Array, now: number): Transmission | undefined {
    const parts = this.#parts;
    const { spaces, state } = parts;
    const path = parts.paths.active;
    parts.pending.isCloseDue = false;
    const { name } = state.current;
    if (name !== "closing" && name !== "draining") return undefined;
    const frame = state.current.name === "closing" ? state.current.frame : ANSWERING_CLOSE;
    const limitBytes = Math.min(MIN_INITIAL_DATAGRAM_BYTES, path.sendAllowanceBytes);
    if (limitBytes < MIN_DATAGRAM_ROOM_BYTES) return undefined;
    const builder = this.#builder;
    builder.begin(buffer, 0, limitBytes, parts.remoteIds.current);
    for (const space of [spaces.Initial, spaces.Handshake, spaces.Application]) {
      const isApplication = space.name === "Application";
      if (space.sealer === undefined || (isApplication && !parts.handshake.isComplete)) continue;
      if (!builder.open(space)) continue;
      builder.record.pathId = -1;
      // What has arrived has arrived: a peer that waits for its last acknowledgement is not to think it was cut off.
      const { received } = space;
      const ackBytes = builder.writer.remaining - MIN_CLOSE_ROOM_BYTES;
      if (received.ranges.rangeCount > 0 && ackBytes >= MIN_ACK_BYTES) {
        writeAck(builder.writer, received.ranges, encodeAckDelay(received.ackDelayMs(now)), ackBytes);
      }
      this.#writeClose(frame.isApplication && !isApplication ? HIDDEN_APPLICATION_CLOSE : frame);
      builder.keep(now);
    }
    if (!builder.hasPacket) return undefined;
    const isPadded = parts.role === "client" && spaces.Initial.sealer !== undefined;
    const lengthBytes = builder.finish(isPadded ? limitBytes : 0, now);
    return this.#sent(path, lengthBytes, lengthBytes);
  }

  #writeClose(frame: CloseFrame): void {
    const { writer } = this.#builder;
    const roomBytes = Math.min(MAX_REASON_BYTES, writer.remaining - SMALL_FRAME_BYTES);
    writeConnectionClose(writer, { ...frame, reason: frame.reason.subarray(0, Math.max(0, roomBytes)) });
  }
}

/** What a frame may take in a 1-RTT packet alone in a datagram: without header, packet number and tag at their longest. */
export function maxFrameBytes(datagramBytes: number): number {
  return datagramBytes - 1 - 20 - 4 - 16;
}

function encodeAckDelay(ackDelayMs: number): number {
  return Math.floor(ackDelayMs * 1000 / 2 ** ACK_DELAY_EXPONENT);
}

function writeControlFrame(writer: Writer, frame: StreamControlFrame): void {
  switch (frame.type) {
    case "RESET_STREAM":
      return writeResetStream(writer, frame.stream.id, frame.code, frame.finalSize);
    case "STOP_SENDING":
      return writeStopSending(writer, frame.stream.id, frame.code);
    case "MAX_DATA":
      return writeMaxData(writer, frame.maximum);
    case "MAX_STREAM_DATA":
      return writeMaxStreamData(writer, frame.stream.id, frame.maximum);
    case "MAX_STREAMS":
      return writeMaxStreams(writer, frame.bidirectional, frame.maximum);
    case "DATA_BLOCKED":
      return writeDataBlocked(writer, frame.limit);
    case "STREAM_DATA_BLOCKED":
      return writeStreamDataBlocked(writer, frame.stream.id, frame.limit);
    case "STREAMS_BLOCKED":
      return writeStreamsBlocked(writer, frame.bidirectional, frame.limit);
    default:
      return unreachable(frame);
  }
}
