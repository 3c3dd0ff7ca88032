/**
 * Turns received packets into verbs of the parts: RFC 9000 §5.2, §12, §13.1, and what moves the connection to another
 * path: §9.3.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { equalBytes } from "../core/bytes.ts";
import type { Base } from "../core/machine.ts";
import { unreachable } from "../core/unreachable.ts";
import type { AeadBackend } from "../crypto/aead.ts";
import { MAX_TOKEN_BYTES } from "./config.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { TransportError } from "./errors.ts";
import { advanceHandshake, confirmHandshake } from "./establishment.ts";
import { FrameDecoder } from "./frame.ts";
import type { Frame } from "./frame.ts";
import { addPeerPath, followPeer, goToPreferredAddress, onPeerRetired, validatePath } from "./migration.ts";
import {
  CONNECTION_ID_BYTES,
  listsVersion,
  MIN_INITIAL_DATAGRAM_BYTES,
  PacketHeader,
  TAG_BYTES,
  VERSION_1,
} from "./packet.ts";
import { isRetryAuthentic } from "./packet_protection.ts";
import type { PacketOpener } from "./packet_protection.ts";
import type { PacketSpace } from "./packet_space.ts";
import type { Path } from "./path.ts";
import { adoptProbedPath, isStranger, readTraversal, strangerAt } from "./probed_paths.ts";
import { discardSpace, onAck } from "./recovery.ts";
import { onChallengeElsewhere } from "./retreat.ts";
import { drain, finish } from "./termination.ts";
import { varintBytes } from "./varint.ts";

/** RFC 9001 §6.5: how long keys of the previous phase are kept for packets that were reordered. */
const KEY_RETENTION_PROBE_TIMEOUTS = 3;
/** A stateless reset is at least this long: RFC 9000 §10.3. */
export const MIN_STATELESS_RESET_BYTES = 21;

/**
 * Packets kept that came before their keys, while the handshake is under way: RFC 9001 §5.7. A peer that is done sends at
 * once, and the packet that gives us the keys may be behind, or a verdict about the peer outstanding.
 */
export const MAX_WAITING_PACKETS = 10;

/** How Table 3 of RFC 9000 names packets that frames may be in. */
const FRAME_LETTERS = Object.freeze({ Initial: "I", Handshake: "H", Application: "1" });

/** A packet without keys yet; the bytes are a copy. */
interface WaitingPacket {
  readonly bytes: Uint8Array;
  readonly base: Base;
  readonly remote: Address;
}

// One datagram is read at a time, of whichever connection it is: these serve them all.
const HEADER = new PacketHeader();
const FRAMES = new FrameDecoder();
const REASON = new TextDecoder();

/** Receives for one connection. */
export class Receiver {
  readonly #parts: ConnectionParts;
  readonly #aead: AeadBackend;
  #waiting: WaitingPacket[] = [];
  /** Largest number of a 1-RTT packet that moves the connection if it comes over another path. */
  #largestNonProbing = -1;
  /** Size of the datagram that is being read. */
  #datagramBytes = 0;

  constructor(parts: ConnectionParts, aead: AeadBackend) {
    this.#parts = parts;
    this.#aead = aead;
  }

  /**
   * Takes in one datagram.
   *
   * @param buffer Holds it at [`start`, `end`); written over.
   * @throws {TransportError} If the peer broke a rule.
   */
  handleDatagram(
    buffer: Uint8Array,
    start: number,
    end: number,
    from: { base: Base; remote: Address },
    now: number,
  ): void {
    const parts = this.#parts;
    const { base, remote } = from;
    let path = parts.paths.find(base, remote);
    const stranger = path === undefined ? strangerAt(parts, from, now) : undefined;
    // RFC 9000 §9: clients do not migrate to addresses of the server that they do not know.
    if (path === undefined && stranger === undefined && parts.role === "client") return parts.drop("unknown path");
    parts.counters.receivedDatagrams++;
    parts.counters.receivedBytes += end - start;
    path?.onReceived(end - start);
    const header = HEADER;
    this.#datagramBytes = end - start;
    for (let at = start; at < end;) {
      const fault = header.read(buffer, at, end);
      if (fault !== undefined) return parts.drop(fault);
      const isFirst = at === start;
      at = header.end;
      // The first one was routed here by its connection ID.
      if (!isFirst && !this.#isAddressedToUs(header.destinationConnectionId)) {
        parts.drop("other connection ID"); // RFC 9000 §12.2: it may be coalesced for another connection.
        continue;
      }
      const space = this.#spaceOf(buffer, header, now);
      if (space === undefined || this.#keep(space, buffer, header, from)) continue;
      if (!this.#open(space, buffer, header)) {
        if (isFirst && header.type === "1-RTT" && this.handleStatelessReset(buffer, start, end)) return;
        continue;
      }
      if (stranger !== undefined && path === undefined) {
        // What probes is answered by NAT traversal, and makes no path; nothing else is taken from an unknown server.
        if (this.#isProbing(space, buffer)) {
          this.#handlePacket(space, buffer, stranger, now);
          if (!parts.state.isOpen) return;
          continue;
        }
        if (parts.role === "client") {
          // Authentic it is: its keys are the peer's, be the rest passed over.
          if (space.opener !== undefined) this.#followPhase(space.opener, now);
          parts.drop("unknown path");
          continue;
        }
      }
      if (path === undefined) {
        // Only what is authentic makes a path, or strangers could fill the table.
        path = addPeerPath(parts, from, now);
        path.onReceived(end - start);
        adoptProbedPath(parts, path);
      }
      this.#handlePacket(space, buffer, path, now);
      if (!parts.state.isOpen) return;
    }
    this.handleWaiting(now);
    readTraversal(parts, now);
  }

  /** Has `FRAMES` read the payload of a packet, by what this connection has negotiated. */
  #begin(space: PacketSpace, payload: Uint8Array): void {
    FRAMES.extensions = this.#parts.extensions;
    FRAMES.reset(payload, FRAME_LETTERS[space.name]);
  }

  /** Whether the packet that was opened last has nothing but probing frames: RFC 9000 §9.1. @throws {TransportError} */
  #isProbing(space: PacketSpace, buffer: Uint8Array): boolean {
    const { opener } = space;
    if (opener === undefined || space.name !== "Application") return false;
    const frames = FRAMES;
    this.#begin(space, buffer.subarray(opener.payloadStart, opener.payloadEnd));
    while (frames.next() !== undefined) if (!frames.isProbing) return false;
    return true;
  }

  /** Whether the datagram brings the peer's CONNECTION_CLOSE: all that an end which has closed looks for (RFC 9000 §10.2.1). */
  bringsClose(buffer: Uint8Array, start: number, end: number): boolean {
    const header = HEADER;
    try {
      for (let at = start; at < end; at = header.end) {
        if (header.read(buffer, at, end) !== undefined) return false;
        const { type } = header;
        if (type !== "1-RTT" && type !== "Handshake" && type !== "Initial") return false;
        const space = this.#parts.spaces[type === "1-RTT" ? "Application" : type];
        if (space.opener === undefined || !this.#open(space, buffer, header)) continue;
        const { payloadStart, payloadEnd } = space.opener;
        this.#begin(space, buffer.subarray(payloadStart, payloadEnd));
        for (let frame = FRAMES.next(); frame !== undefined; frame = FRAMES.next()) {
          if (frame.type === "CONNECTION_CLOSE") return true;
        }
      }
    } catch (error) {
      // It is too late to complain of the peer.
      if (!(error instanceof TransportError)) throw error;
    }
    return false;
  }

  /** Takes in the packets that came before their keys, as far as these are there now. @throws {TransportError} */
  handleWaiting(now: number): void {
    if (this.#waiting.length === 0) return;
    const { paths, state } = this.#parts;
    const waiting = this.#waiting;
    this.#waiting = [];
    const header = HEADER;
    for (const packet of waiting) {
      const { bytes, base, remote } = packet;
      if (!state.isOpen) return;
      if (header.read(bytes, 0, bytes.length) !== undefined) continue;
      const space = this.#spaceOf(bytes, header, now);
      if (space === undefined || this.#keep(space, bytes, header, packet) || !this.#open(space, bytes, header)) {
        continue;
      }
      this.#handlePacket(space, bytes, paths.find(base, remote) ?? addPeerPath(this.#parts, packet, now), now);
    }
  }

  /** Keeps a packet whose keys are still to come. @returns Whether it did. */
  #keep(
    space: PacketSpace,
    buffer: Uint8Array,
    header: PacketHeader,
    { base, remote }: { readonly base: Base; readonly remote: Address },
  ): boolean {
    if (space.opener !== undefined || space.isDiscarded || this.#parts.state.isEstablished) return false;
    if (this.#waiting.length >= MAX_WAITING_PACKETS) return false;
    this.#waiting.push({ bytes: buffer.slice(header.start, header.end), base, remote });
    return true;
  }

  /** Ends the connection if the datagram is a stateless reset: RFC 9000 §10.3.1. @returns Whether it is. */
  handleStatelessReset(buffer: Uint8Array, start: number, end: number): boolean {
    const parts = this.#parts;
    if (end - start < MIN_STATELESS_RESET_BYTES) return false;
    if (!parts.remoteIds.isStatelessReset(buffer.subarray(end - TAG_BYTES, end))) return false;
    finish(parts, { by: "reset", code: 0, reason: "The peer has lost the connection" });
    return true;
  }

  /** Which space the packet belongs to; handles, or counts as dropped, what belongs to none. */
  #spaceOf(buffer: Uint8Array, header: PacketHeader, now: number): PacketSpace | undefined {
    const parts = this.#parts;
    switch (header.type) {
      case "1-RTT":
        return parts.spaces.Application;
      case "Initial":
      case "Handshake": {
        if (parts.role === "server" && header.type === "Initial" && this.#datagramBytes < MIN_INITIAL_DATAGRAM_BYTES) {
          parts.drop("Initial is too small"); // RFC 9000 §14.1
          return undefined;
        }
        if (parts.role === "client" && header.token.length > 0) {
          parts.drop("Initial of a server has a token"); // RFC 9000 §17.2.2
          return undefined;
        }
        // RFC 9000 §7.2: once the peer's first choice is known, packets with another one are discarded.
        const { peerSourceId } = parts.origin;
        if (peerSourceId !== undefined && !equalBytes(peerSourceId, header.sourceConnectionId)) {
          parts.drop("other connection ID");
          return undefined;
        }
        return parts.spaces[header.type];
      }
      case "0-RTT":
        parts.drop("0-RTT is not accepted");
        return undefined;
      case "Retry":
        this.#handleRetry(buffer, header, now);
        return undefined;
      case "Version Negotiation":
        this.#handleVersionNegotiation(buffer, header);
        return undefined;
      default:
        return unreachable(header.type);
    }
  }

  #open(space: PacketSpace, buffer: Uint8Array, header: PacketHeader): boolean {
    const parts = this.#parts;
    const { opener } = space;
    if (opener === undefined) {
      parts.drop("no keys");
      return false;
    }
    if (!opener.open(buffer, header.start, header.payloadStart, header.end, space.received.ranges.largest)) {
      parts.drop("packet does not open");
      // RFC 9001 §6.6.
      if (opener.isLimitReached) throw new TransportError("AEAD_LIMIT_REACHED", "Too many packets did not open");
      return false;
    }
    if (space.received.isDuplicate(opener.packetNumber)) {
      parts.drop("duplicate packet");
      return false;
    }
    return true;
  }

  /** An authentic packet that was not seen before. */
  #handlePacket(space: PacketSpace, buffer: Uint8Array, path: Path, now: number): void {
    const parts = this.#parts;
    const { opener } = space;
    if (opener === undefined) return;
    const { packetNumber, payloadStart, payloadEnd, hasReservedBits } = opener;
    // It counts whatever is wrong with it: an endpoint forgets connections whose first packet does not open.
    parts.counters.receivedPackets++;
    if (hasReservedBits) throw new TransportError("PROTOCOL_VIOLATION", "Reserved bits are set");
    // RFC 9000 §12.4: a packet has at least one frame.
    if (payloadEnd <= payloadStart) throw new TransportError("PROTOCOL_VIOLATION", "A packet without frames");
    parts.earlyDial.remainingDatagrams = Infinity;
    if (space.name !== "Application") this.#onLongPacket(space, path, now);
    this.#followPhase(opener, now);
    if (path !== parts.paths.active) {
      path.usedSequenceNumber = parts.localIds.sequenceNumberOf(HEADER.destinationConnectionId);
    }
    const frames = FRAMES;
    this.#begin(space, buffer.subarray(payloadStart, payloadEnd));
    let isAckEliciting = false;
    let isProbing = true;
    try {
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
        isAckEliciting ||= frames.isAckEliciting;
        isProbing &&= frames.isProbing;
        this.#handleFrame(frame, space, path, now);
        if (!parts.state.isOpen) return;
      }
    } catch (error) {
      // RFC 9000 §19.19: the peer is told which frame it was.
      throw error instanceof TransportError ? error.causedBy(frames.frameType) : error;
    }
    space.received.onReceived(packetNumber, isAckEliciting, now);
    parts.idle.onReceived(now);
    if (parts.extensions !== undefined) path.heardAt = now;
    if (path.isValidating) path.onHeard();
    if (isProbing || space.name !== "Application" || packetNumber < this.#largestNonProbing) return;
    this.#largestNonProbing = packetNumber;
    // RFC 9000 §9.3: only the client's non-probing packet with the largest number moves the connection. Probes count for
    // nothing: on another path they may have been faster.
    if (path !== parts.paths.active && parts.role === "server") followPeer(parts, path, now);
  }

  /** The packet that was opened last may be of a new key phase: RFC 9001 §6.2. @throws {TransportError} */
  #followPhase({ isNewPhase, isFirstOfPhase }: PacketOpener, now: number): void {
    const { keyUpdate, loss, timers } = this.#parts;
    if (isNewPhase) keyUpdate.onPeerUpdate();
    // RFC 9001 §6.5: not before, even if we initiated it: a peer that has not heard of it goes on in the old phase.
    if (isFirstOfPhase) timers.set("keyDiscard", now + KEY_RETENTION_PROBE_TIMEOUTS * loss.ptoMs);
  }

  /** What the first authentic Initial and Handshake packets bring with them. */
  #onLongPacket(space: PacketSpace, path: Path, now: number): void {
    const parts = this.#parts;
    if (parts.origin.peerSourceId === undefined) {
      // RFC 9000 §7.2: from now on we address the peer as it wishes.
      parts.origin.peerSourceId = HEADER.sourceConnectionId.slice();
      parts.remoteIds.replaceInitial(parts.origin.peerSourceId);
    }
    if (parts.role === "server" && space.name === "Handshake") {
      // RFC 9000 §8.1: its keys came with our Initial, which went to the address in use. From another one it proves nothing.
      if (path === parts.paths.active) path.markValidated();
      discardSpace(parts, parts.spaces.Initial, now); // RFC 9001 §4.9.1
    }
  }

  #handleFrame(frame: Frame, space: PacketSpace, path: Path, now: number): void {
    const parts = this.#parts;
    switch (frame.type) {
      case "PADDING":
      case "PING":
        break;
      case "ACK":
        onAck(parts, space, frame, now);
        break;
      case "STREAM":
        parts.streams.onStream(frame.streamId, frame.offset, frame.data, frame.fin);
        break;
      case "CRYPTO":
        parts.handshake.onCrypto(space, frame.offset, frame.data);
        advanceHandshake(parts, now);
        break;
      case "RESET_STREAM":
        parts.streams.onResetStream(frame.streamId, frame.code, frame.finalSize);
        break;
      case "STOP_SENDING":
        parts.streams.onStopSending(frame.streamId, frame.code);
        break;
      case "MAX_DATA":
        parts.streams.onMaxData(frame.maximum);
        break;
      case "MAX_STREAM_DATA":
        parts.streams.onMaxStreamData(frame.streamId, frame.maximum);
        break;
      case "MAX_STREAMS":
        parts.streams.onMaxStreams(frame.bidirectional, frame.maximum);
        break;
      // RFC 9000 §4.1, §4.6: limits rise with what is read and closed, not by being asked.
      case "DATA_BLOCKED":
      case "STREAMS_BLOCKED":
        break;
      case "STREAM_DATA_BLOCKED":
        parts.streams.onStreamDataBlocked(frame.streamId);
        break;
      case "DATAGRAM":
        this.#handleDatagramFrame(frame.data);
        break;
      case "NEW_CONNECTION_ID":
        parts.remoteIds.onNew(frame);
        break;
      case "RETIRE_CONNECTION_ID":
        parts.localIds.onRetire(frame.sequenceNumber, HEADER.destinationConnectionId);
        onPeerRetired(parts, frame.sequenceNumber);
        break;
      case "PATH_CHALLENGE":
        if (isStranger(path)) parts.extensions?.traversal?.onChallenge(path, frame.data, this.#datagramBytes, now);
        else this.#onChallenge(path, frame.data, now);
        break;
      case "PATH_RESPONSE":
        if (parts.extensions?.traversal?.onResponse(path, frame.data, this.#datagramBytes, now) === true) break;
        validatePath(parts, frame.data, now);
        break;
      case "ADD_ADDRESS":
      case "REMOVE_ADDRESS":
      case "PUNCH_ME_NOW":
        parts.extensions?.traversal?.onFrame(frame, now);
        break;
      case "OBSERVED_ADDRESS": {
        const observed = parts.extensions?.observer?.onFrame(frame, path);
        if (observed !== undefined) parts.events.push({ type: "observedAddress", ...observed });
        break;
      }
      case "NEW_TOKEN":
        if (parts.role === "server") throw new TransportError("PROTOCOL_VIOLATION", "NEW_TOKEN from a client");
        // What no Initial of ours could bring is passed over.
        if (frame.token.length <= MAX_TOKEN_BYTES) parts.events.push({ type: "newToken", token: frame.token.slice() });
        break;
      case "HANDSHAKE_DONE":
        if (parts.role === "server") throw new TransportError("PROTOCOL_VIOLATION", "HANDSHAKE_DONE from a client");
        confirmHandshake(parts, now);
        goToPreferredAddress(parts, now);
        break;
      case "CONNECTION_CLOSE": {
        const by = frame.isApplication ? "application" : "peer";
        drain(parts, { by, code: frame.code, reason: REASON.decode(frame.reason) }, now);
        break;
      }
      default:
        unreachable(frame);
    }
  }

  #onChallenge(path: Path, data: Uint8Array, now: number): void {
    path.onChallenge(data);
    if (path !== this.#parts.paths.active) onChallengeElsewhere(this.#parts, path, now);
  }

  /** RFC 9221 §3, §4. */
  #handleDatagramFrame(data: Uint8Array): void {
    const { settings, datagrams } = this.#parts;
    // Type and length are part of what is limited; 0x30 has no length.
    const headerBytes = FRAMES.frameType === 0x30 ? 1 : 1 + varintBytes(data.length);
    if (headerBytes + data.length > settings.maxDatagramFrameBytes) {
      throw new TransportError("PROTOCOL_VIOLATION", "A DATAGRAM frame larger than allowed");
    }
    datagrams.onDatagram(data);
  }

  #isAddressedToUs(connectionId: Uint8Array): boolean {
    const { localIds, origin, role } = this.#parts;
    if (connectionId.length === CONNECTION_ID_BYTES) {
      for (const id of localIds.active) if (equalBytes(id.connectionId, connectionId)) return true;
    }
    return role === "server" && equalBytes(origin.originalDestinationId, connectionId);
  }

  /** RFC 9000 §17.2.5.2. */
  #handleRetry(buffer: Uint8Array, header: PacketHeader, now: number): void {
    const parts = this.#parts;
    const { origin } = parts;
    const isExpected = parts.role === "client" && origin.peerSourceId === undefined &&
      origin.retrySourceId === undefined && header.token.length > 0 &&
      !equalBytes(header.sourceConnectionId, origin.originalDestinationId) &&
      isRetryAuthentic(this.#aead, origin.originalDestinationId, buffer.subarray(header.start, header.end));
    if (!isExpected) return parts.drop("unexpected Retry");
    origin.retrySourceId = header.sourceConnectionId.slice();
    origin.token = header.token.slice();
    parts.remoteIds.replaceInitial(origin.retrySourceId);
    parts.handshake.installInitialKeys(origin.retrySourceId);
    parts.congestion.onDiscarded(parts.loss.onRetry(now));
    parts.spaces.Initial.cryptoSend.resend();
  }

  /** RFC 9000 §6.2: we speak one version, so there is nothing to go on with. */
  #handleVersionNegotiation(buffer: Uint8Array, header: PacketHeader): void {
    const parts = this.#parts;
    const { origin } = parts;
    const isExpected = parts.role === "client" && origin.peerSourceId === undefined &&
      equalBytes(header.sourceConnectionId, origin.originalDestinationId) && !listsVersion(buffer, header, VERSION_1);
    if (!isExpected) return parts.drop("unexpected Version Negotiation");
    finish(parts, { by: "transport", code: 0, reason: "The peer does not speak QUIC version 1" });
  }
}
