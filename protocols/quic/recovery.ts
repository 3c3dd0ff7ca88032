/**
 * What follows when packets are acknowledged, lost, probed for or forgotten: each frame goes back to the part it came
 * from: RFC 9000 §13.3, RFC 9002 §6.
 *
 * @module
 */

import { unreachable } from "../core/unreachable.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import type { AckFrame } from "./frame.ts";
import type { LossOutcome } from "./loss_detection.ts";
import type { PacketSpace } from "./packet_space.ts";
import type { SentPacket } from "./sent_packet.ts";

/** Probe timeouts in a row after which the datagram size is doubted. */
const SILENT_PROBE_TIMEOUTS = 2;

/** An ACK frame came in: RFC 9000 §19.3. @throws {TransportError} PROTOCOL_VIOLATION if it names what was never sent. */
export function onAck(parts: ConnectionParts, space: PacketSpace, ack: AckFrame, now: number): void {
  // RFC 9000 §13.2.5: the delay in Initial and Handshake packets means nothing, and the exponent is not known there.
  const exponent = parts.handshake.peerParameters?.ackDelayExponent ?? 3;
  const ackDelayMs = space.name === "Application" ? ack.ackDelay * 2 ** exponent / 1000 : 0;
  const outcome = parts.loss.onAck(space.name, ack, ackDelayMs, now);
  if (space.name === "Application") parts.keyUpdate.onAcked(ack.largestAcknowledged);
  applyOutcome(parts, space, outcome, now);
}

/** The loss timer rang: RFC 9002 §A.9. */
export function onLossTimeout(parts: ConnectionParts, now: number): void {
  const outcome = parts.loss.onTimeout(now);
  const { probeSpace, probePackets } = outcome;
  applyOutcome(parts, undefined, outcome, now);
  if (probeSpace === undefined) return;
  // RFC 8899 §4.3: that nothing is answered may be for the size. Two timeouts are not chance any more.
  if (parts.loss.ptoCount >= SILENT_PROBE_TIMEOUTS && parts.mtu.path.onSilence(now)) useDatagramSize(parts);
  const space = parts.spaces[probeSpace];
  space.requestProbes(probePackets);
  // RFC 9002 §6.2.4: a probe carries data where there is some, so that it repairs while it asks.
  if (probeSpace === "Application") parts.streams.probe(parts.mtu.currentBytes);
  else space.cryptoSend.resend();
  // RFC 9002 §6.2.4: the peer may have keys for one space only, and we cannot know for which. A server that is done has
  // given up its Handshake keys; a client whose NAT has moved it meanwhile is found again by its 1-RTT packets.
  const { Handshake, Application } = parts.spaces;
  if (probeSpace === "Initial" && Handshake.cryptoSend.isOutstanding) Handshake.requestProbes(1);
  if (probeSpace !== "Application" && parts.state.isEstablished) Application.requestProbes(1);
}

/** Gives up a space: its keys are not needed any more, RFC 9001 §4.9, RFC 9002 §6.4. */
export function discardSpace(parts: ConnectionParts, space: PacketSpace, now: number): void {
  if (space.isDiscarded) return;
  space.discard();
  parts.congestion.onDiscarded(parts.loss.discard(space.name, now));
}

/** @param space Of the ACK; a timeout acknowledges nothing. */
function applyOutcome(
  parts: ConnectionParts,
  space: PacketSpace | undefined,
  outcome: LossOutcome,
  now: number,
): void {
  const epoch = parts.epoch.id;
  const pathMtu = parts.mtu.path;
  for (let i = 0; i < outcome.ackedCount; i++) {
    const packet = outcome.acked[i]!;
    if (packet.pathId === epoch) {
      parts.congestion.onPacketAcked(packet, now);
      pathMtu.onAcked(packet.bytes);
      if (packet.isMtuProbe) onMtuProbeAcked(parts);
    }
    // RFC 9000 §13.2.4: what the peer has seen acknowledged is not acknowledged again.
    if (packet.largestAcknowledged >= 0) space?.received.onAckAcknowledged(packet.largestAcknowledged);
    onPacketAcked(parts, packet);
  }
  if (outcome.isRttSampled) parts.congestion.onRttSample(parts.rtt.latestMs);
  let isLargeLost = false;
  for (let i = 0; i < outcome.lostCount; i++) {
    const packet = outcome.lost[i]!;
    if (packet.isMtuProbe) {
      onMtuProbeLost(parts, packet);
      continue;
    }
    if (packet.pathId === epoch) {
      parts.congestion.onPacketLost(packet, now);
      if (packet.bytes > pathMtu.baseBytes) isLargeLost = true;
    }
    if (packet.isAckEliciting) parts.counters.lostPackets++;
    onPacketLost(parts, packet);
  }
  if (outcome.isPersistentCongestion) parts.congestion.onPersistentCongestion();
  if (isLargeLost && pathMtu.onLargeLost(now)) useDatagramSize(parts);
}

function onMtuProbeAcked(parts: ConnectionParts): void {
  parts.mtu.path.onProbeAcked();
  useDatagramSize(parts);
}

/** RFC 9000 §14.4: it was too large for the path, most likely; congestion control forgets that it ever left. */
function onMtuProbeLost({ congestion, epoch, mtu }: ConnectionParts, packet: SentPacket): void {
  if (packet.pathId !== epoch.id) return;
  congestion.onDiscarded(packet.bytes);
  mtu.path.onProbeLost();
}

/** The datagram size in use has changed. */
export function useDatagramSize({ congestion, mtu, pacer }: ConnectionParts): void {
  congestion.setMaxDatagramBytes(mtu.currentBytes);
  pacer.setMaxDatagramBytes(mtu.currentBytes);
}

function onPacketAcked(parts: ConnectionParts, packet: SentPacket): void {
  parts.streams.onPacketAcked(packet);
  if (packet.frames.length === 0) return;
  for (const frame of packet.frames) {
    if (frame.type === "CRYPTO") frame.stream.onAcked(frame.offset, frame.length);
  }
}

function onPacketLost(parts: ConnectionParts, packet: SentPacket): void {
  parts.streams.onPacketLost(packet);
  for (const frame of packet.frames) {
    switch (frame.type) {
      case "CRYPTO":
        frame.stream.onLost(frame.offset, frame.length);
        break;
      case "NEW_CONNECTION_ID":
        parts.localIds.onLost(frame.sequenceNumber);
        break;
      case "RETIRE_CONNECTION_ID":
        parts.remoteIds.onRetirementLost(frame.sequenceNumber);
        break;
      case "HANDSHAKE_DONE":
        parts.pending.isHandshakeDoneDue = true;
        break;
      case "NEW_TOKEN":
        parts.pending.newToken = frame.token;
        break;
      case "ADD_ADDRESS":
      case "REMOVE_ADDRESS":
      case "PUNCH_ME_NOW":
      case "OBSERVED_ADDRESS":
        parts.extensions?.onFrameLost(frame);
        break;
      // The streams have done these.
      case "STREAM":
      case "RESET_STREAM":
      case "STOP_SENDING":
      case "MAX_DATA":
      case "MAX_STREAM_DATA":
      case "MAX_STREAMS":
      case "DATA_BLOCKED":
      case "STREAM_DATA_BLOCKED":
      case "STREAMS_BLOCKED":
        break;
      // RFC 9000 §13.3: a challenge is repeated by its own timer with fresh data, a response by being asked again; PING
      // has done its work; RFC 9221 §5.2: a datagram is gone.
      case "PATH_CHALLENGE":
      case "PATH_RESPONSE":
      case "PING":
      case "DATAGRAM":
        break;
      default:
        unreachable(frame);
    }
  }
}
