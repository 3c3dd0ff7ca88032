/**
 * Loss detection and probe timeouts: RFC 9002 §6 and Appendix A. It knows packets, not frames: what was acknowledged or
 * lost is handed out, and whoever owns the frames and the congestion window acts on it.
 *
 * @module
 */

import { TransportError } from "./errors.ts";
import { GRANULARITY_MS, type Rtt } from "./rtt.ts";
import { type SentPacket, SentPackets } from "./sent_packet.ts";
import type { Role } from "./stream_id.ts";

/** Packet number spaces: RFC 9000 §12.3. */
export type PacketNumberSpace = "Initial" | "Handshake" | "Application";

/** Reordering in packets before a packet is lost: RFC 9002 §6.1.1 (kPacketThreshold). */
const PACKET_THRESHOLD = 3;
/** Reordering in RTTs before a packet is lost: RFC 9002 §6.1.2 (kTimeThreshold). */
const TIME_THRESHOLD = 9 / 8;
/** Probe timeouts in a row that make persistent congestion: RFC 9002 §7.6.1. */
const PERSISTENT_CONGESTION_THRESHOLD = 3;
/** Packets sent on a probe timeout: RFC 9002 §6.2.4. */
const PROBE_PACKETS = 2;
/** The backoff doubles at most this often; the idle timeout ends the connection long before. */
const MAX_BACKOFF_DOUBLINGS = 30;

/** An ACK frame as loss detection reads it; a decoder can use one object for all. */
export interface AckView {
  readonly largestAcknowledged: number;
  /** `largest, smallest` of each range in turn, from the highest range down, not overlapping. */
  readonly ranges: ArrayLike<number>;
  /** How many ranges `ranges` holds. */
  readonly rangeCount: number;
}

/** What an acknowledgement or a timeout brought to light; valid until the next call into loss detection. */
export interface LossOutcome {
  /** Newly acknowledged packets: the first `ackedCount` elements, in ascending order. */
  readonly acked: readonly SentPacket[];
  readonly ackedCount: number;
  /** Packets declared lost: the first `lostCount` elements, in ascending order. */
  readonly lost: readonly SentPacket[];
  readonly lostCount: number;
  /** Whether the RTT estimator took a sample, now its latest. */
  readonly isRttSampled: boolean;
  /** RFC 9002 §7.6: to be told to congestion control after the losses. */
  readonly isPersistentCongestion: boolean;
  /** Set by a probe timeout: the space in which `probePackets` ack-eliciting packets must be sent now. */
  readonly probeSpace: PacketNumberSpace | undefined;
  readonly probePackets: number;
}

/** What loss detection has to know of the connection from the start. */
export interface LossDetectionOptions {
  readonly role: Role;
  /** The estimator of the current path; it is reset, never replaced. */
  readonly rtt: Rtt;
}

/** Detects losses in all three packet number spaces of one connection. */
export class LossDetection {
  readonly #role: Role;
  readonly #rtt: Rtt;
  readonly #initial = new SpaceState("Initial");
  readonly #handshake = new SpaceState("Handshake");
  readonly #application = new SpaceState("Application");
  readonly #spaces: readonly SpaceState[] = [this.#initial, this.#handshake, this.#application];
  readonly #outcome = new Outcome();
  #ptoCount = 0;
  #maxAckDelayMs = 25;
  #pathId = 0;
  #hasHandshakeKeys = false;
  #hasHandshakeAck = false;
  #isHandshakeConfirmed = false;
  #isAmplificationLimited = false;
  /** The client's anti-deadlock timer runs from the last thing that happened: RFC 9002 §6.2.2.1. */
  #lastEventAt = 0;
  #newestAckedSentAt = -Infinity;
  #pathChangedAt = -Infinity;
  /** The time threshold, as it is and as it was on the path that was left: RFC 9002 §6.1.2. */
  #lossDelayMs = 0;
  #previousLossDelayMs = 0;

  constructor(options: LossDetectionOptions) {
    this.#role = options.role;
    this.#rtt = options.rtt;
  }

  /** When the newest packet left of all whose acknowledgement has come on this path; `-Infinity` if there is none. */
  get newestAckedSentAt(): number {
    return this.#newestAckedSentAt;
  }

  /** When the oldest 1-RTT packet left that waits for its acknowledgement, as far as it did so on this path. */
  get unansweredSince(): number | undefined {
    const sentAt = this.#application.oldestAckElicitingSentAt;
    return sentAt === undefined ? undefined : Math.max(sentAt, this.#pathChangedAt);
  }

  /** Probe timeouts since the last acknowledgement. */
  get ptoCount(): number {
    return this.#ptoCount;
  }

  /** The probe timeout of the Application space without backoff, as RFC 9000 §10.1 and §10.2 count in it. */
  get ptoMs(): number {
    return this.#rtt.probeTimeoutMs + this.#maxAckDelayMs;
  }

  /** Whether ack-eliciting packets are outstanding in any space. */
  get hasAckElicitingInFlight(): boolean {
    return this.#initial.ackElicitingInFlight + this.#handshake.ackElicitingInFlight +
        this.#application.ackElicitingInFlight > 0;
  }

  /** Largest number of ours that the peer acknowledged in the space, -1 if none: packet number encoding needs it. */
  largestAcknowledged(space: PacketNumberSpace): number {
    return this.#stateOf(space).largestAcknowledged;
  }

  /** Whether one more packet can be remembered. If not, only acknowledgements may be sent. */
  hasRoom(space: PacketNumberSpace): boolean {
    return this.#stateOf(space).sent.hasRoom;
  }

  /** The peer's max_ack_delay: RFC 9000 §18.2. 25 ms until then. */
  setMaxAckDelay(maxAckDelayMs: number): void {
    this.#maxAckDelayMs = maxAckDelayMs;
  }

  /** Handshake keys exist: a client's anti-deadlock probe then is a Handshake packet (RFC 9002 §6.2.2.1). */
  onHandshakeKeys(): void {
    this.#hasHandshakeKeys = true;
  }

  /** RFC 9001 §4.1.2: from now on the Application space has a probe timeout. */
  onHandshakeConfirmed(now: number): void {
    this.#isHandshakeConfirmed = true;
    this.#lastEventAt = now;
  }

  /** Whether a server may not send for want of received bytes: it then has no probe timeout (RFC 9002 §6.2.2.1). */
  setAmplificationLimited(isLimited: boolean): void {
    this.#isAmplificationLimited = isLimited;
  }

  /** Packets go out on another path: no sample is taken from the old one any more. The caller resets the `Rtt`. */
  onPathChanged(pathId: number, now: number): void {
    this.#pathId = pathId;
    this.#ptoCount = 0;
    this.#newestAckedSentAt = -Infinity;
    this.#pathChangedAt = now;
    this.#previousLossDelayMs = this.#lossDelayMs;
    for (const state of this.#spaces) state.startPath();
  }

  /** Something outside QUIC showed that the peer can be reached now: the backoff starts over. */
  resetBackoff(): void {
    this.#ptoCount = 0;
  }

  /**
   * Remembers a packet that was sent: RFC 9002 §A.5.
   *
   * @param packet Filled; it belongs to loss detection now.
   * @returns An empty record in exchange, for the next packet.
   * @throws {RangeError} If its number is not larger than all before in the space, or `hasRoom` is false.
   */
  onPacketSent(space: PacketNumberSpace, packet: SentPacket): SentPacket {
    const state = this.#stateOf(space);
    const empty = state.sent.add(packet);
    if (packet.isInFlight) this.#lastEventAt = packet.sentAt;
    if (packet.isAckEliciting) {
      state.lastAckElicitingSentAt = packet.sentAt;
      state.ackElicitingInFlight++;
    }
    return empty;
  }

  /**
   * Takes an ACK frame in: RFC 9002 §A.7. Costs as much as there are newly acknowledged and lost packets.
   *
   * @param ackDelayMs ACK Delay, already scaled by the peer's ack_delay_exponent.
   * @throws {TransportError} PROTOCOL_VIOLATION if it acknowledges what was never sent (RFC 9000 §13.1).
   */
  onAck(space: PacketNumberSpace, ack: AckView, ackDelayMs: number, now: number): LossOutcome {
    const outcome = this.#outcome;
    outcome.clear();
    const state = this.#stateOf(space);
    if (ack.largestAcknowledged >= state.sent.next) throw neverSent(ack.largestAcknowledged);
    if (ack.largestAcknowledged > state.largestAcknowledged) state.largestAcknowledged = ack.largestAcknowledged;
    const hasAckEliciting = this.#collectAcked(state, ack);
    if (outcome.ackedCount === 0) return outcome;
    if (space === "Handshake") this.#hasHandshakeAck = true;
    this.#lastEventAt = now;

    const newest = outcome.acked[outcome.ackedCount - 1]!;
    if (newest.pathId === this.#pathId && newest.sentAt > this.#newestAckedSentAt) {
      this.#newestAckedSentAt = newest.sentAt;
    }
    // RFC 9002 §5.1: only the largest acknowledged, newly so, makes a sample; RFC 9000 §9.4: only of this path.
    if (hasAckEliciting && newest.packetNumber === ack.largestAcknowledged && newest.pathId === this.#pathId) {
      this.#rtt.update(Math.max(0, now - newest.sentAt), this.#believedAckDelayMs(space, ackDelayMs), now);
      outcome.isRttSampled = true;
    }
    this.#detectLost(state, now);
    // RFC 9002 §6.2.1: a client unsure of its address being validated keeps the backoff.
    if (this.#hasPeerValidatedAddress) this.#ptoCount = 0;
    return outcome;
  }

  /** When `onTimeout` is due, `undefined` if nothing is: RFC 9002 §A.8. */
  timeoutAt(): number | undefined {
    return this.#earliestLoss()?.lossAt ?? this.#nextProbe()?.probeAt;
  }

  /** Does what is due at `now`: RFC 9002 §A.9. Calling it early is harmless. */
  onTimeout(now: number): LossOutcome {
    const outcome = this.#outcome;
    outcome.clear();
    const lossy = this.#earliestLoss();
    if (lossy !== undefined) {
      if ((lossy.lossAt ?? Infinity) <= now) this.#detectLost(lossy, now);
      return outcome;
    }
    const probed = this.#nextProbe();
    if (probed === undefined || probed.probeAt > now) return outcome;
    outcome.probeSpace = probed.space;
    outcome.probePackets = probed.ackElicitingInFlight > 0 ? PROBE_PACKETS : 1;
    this.#ptoCount++;
    this.#lastEventAt = now;
    return outcome;
  }

  /**
   * The keys of a space are discarded: its packets are forgotten, neither acknowledged nor lost (RFC 9002 §6.4).
   *
   * @returns The bytes of them in flight on the current path, for congestion control to forget.
   */
  discard(space: PacketNumberSpace, now: number): number {
    const state = this.#stateOf(space);
    const bytes = state.forget(this.#pathId);
    state.sent.close();
    this.#ptoCount = 0;
    this.#lastEventAt = now;
    return bytes;
  }

  /**
   * A client got Retry: recovery of the Initial space starts over, packet numbers go on (RFC 9002 §6.3).
   *
   * @returns The bytes in flight, for congestion control to forget.
   */
  onRetry(now: number): number {
    this.#ptoCount = 0;
    this.#lastEventAt = now;
    return this.#initial.forget(this.#pathId);
  }

  #stateOf(space: PacketNumberSpace): SpaceState {
    return space === "Application" ? this.#application : space === "Handshake" ? this.#handshake : this.#initial;
  }

  /** RFC 9002 §A.8: a server needs no validation of its address. */
  get #hasPeerValidatedAddress(): boolean {
    return this.#role === "server" || this.#hasHandshakeAck || this.#isHandshakeConfirmed;
  }

  /** Whether a client has to probe although nothing that has a probe timeout is in flight. */
  get #mayDeadlock(): boolean {
    if (this.#role === "server" || this.#isHandshakeConfirmed || this.#initial.sent.next === 0) return false;
    // RFC 9002 §6.2.2.1: the server may be out of bytes it is allowed to send; only we can end that.
    if (!this.#hasHandshakeAck) return true;
    // Lost Handshake packets may wait for room in a window full of Application packets, which have no timeout yet.
    return this.#application.ackElicitingInFlight > 0;
  }

  /** Moves what the frame newly acknowledges into the outcome. @returns Whether any of it was ack-eliciting. */
  #collectAcked(state: SpaceState, ack: AckView): boolean {
    const outcome = this.#outcome;
    const { sent } = state;
    const { ranges } = ack;
    // Ranges come from the highest down; those wholly below the oldest outstanding packet are old news.
    let count = 0;
    while (count < ack.rangeCount && ranges[2 * count]! >= sent.oldest) count++;
    for (let i = count - 1; i >= 0; i--) {
      const largest = ranges[2 * i]!;
      for (let n = Math.max(ranges[2 * i + 1]!, sent.oldest); n <= largest; n++) {
        const packet = sent.find(n);
        if (packet !== undefined) outcome.addAcked(packet);
        // RFC 9000 §13.1; §21.4: numbers are passed over to catch a peer that acknowledges what it has not seen.
        else if (sent.isSkipped(n)) throw neverSent(n);
      }
    }
    let hasAckEliciting = false;
    for (let i = 0; i < outcome.ackedCount; i++) {
      const packet = outcome.acked[i]!;
      sent.remove(packet.packetNumber);
      // What goes elsewhere to look for a path overtakes what it was sent after, and tells nothing about it.
      if (packet.pathId >= 0) state.noteAcknowledged(packet.packetNumber);
      if (packet.isAckEliciting) {
        hasAckEliciting = true;
        state.ackElicitingInFlight--;
      }
    }
    return hasAckEliciting;
  }

  /** RFC 9002 §5.3: how much of the peer's ACK Delay counts. */
  #believedAckDelayMs(space: PacketNumberSpace, ackDelayMs: number): number {
    if (space === "Initial") return 0;
    return this.#isHandshakeConfirmed ? Math.min(ackDelayMs, this.#maxAckDelayMs) : ackDelayMs;
  }

  /**
   * RFC 9002 §A.10. After it at most `PACKET_THRESHOLD` - 1 packets below the largest acknowledged one are outstanding,
   * which is why neither this loop nor that over ACK ranges passes over the same packets again and again; but for those
   * that a faster path or a probe has overtaken, which wait for their acknowledgement or their time: a round trip at most.
   */
  #detectLost(state: SpaceState, now: number): void {
    const outcome = this.#outcome;
    const { sent, largestAcknowledged, largestAcknowledgedHere, largestAcknowledgedBefore } = state;
    const rtt = this.#rtt;
    const lossDelayMs = Math.max(TIME_THRESHOLD * Math.max(rtt.latestMs, rtt.smoothedMs), GRANULARITY_MS);
    this.#lossDelayMs = lossDelayMs;
    // Packets of a path that was left still arrive, as late as its round trip has it, and are overtaken by those of the new
    // one: what is known of the new path does not tell that they are lost (RFC 9000 §9.4).
    const previousLossDelayMs = Math.max(lossDelayMs, this.#previousLossDelayMs);
    const congestionPeriodMs = PERSISTENT_CONGESTION_THRESHOLD * this.ptoMs;
    const firstSampleAt = rtt.firstSampleAt ?? Infinity;
    // Start of the run of lost packets with nothing acknowledged between: RFC 9002 §7.6.2.
    let runStartedAt: number | undefined;
    state.lossAt = undefined;
    for (let n = sent.oldest; n <= largestAcknowledged; n++) {
      const packet = sent.find(n);
      if (packet === undefined) {
        if (!sent.isSkipped(n)) runStartedAt = undefined;
        continue;
      }
      const isOfPathBefore = n < state.pathStart;
      const lossAt = packet.sentAt + (isOfPathBefore ? previousLossDelayMs : lossDelayMs);
      const newestAcked = isOfPathBefore ? largestAcknowledgedBefore : largestAcknowledgedHere;
      if (lossAt > now && newestAcked < n + PACKET_THRESHOLD) {
        if (state.lossAt === undefined || lossAt < state.lossAt) state.lossAt = lossAt;
        runStartedAt = undefined;
        continue;
      }
      outcome.addLost(packet);
      if (!packet.isAckEliciting) continue;
      state.ackElicitingInFlight--;
      if (packet.pathId !== this.#pathId || packet.sentAt <= firstSampleAt || packet.isMtuProbe) continue;
      if (runStartedAt === undefined) runStartedAt = packet.sentAt;
      else if (packet.sentAt - runStartedAt > congestionPeriodMs) outcome.isPersistentCongestion = true;
    }
    for (let i = 0; i < outcome.lostCount; i++) sent.remove(outcome.lost[i]!.packetNumber);
    if (outcome.isPersistentCongestion) rtt.onPersistentCongestion();
  }

  #earliestLoss(): SpaceState | undefined {
    let earliest: SpaceState | undefined;
    for (const state of this.#spaces) {
      if (state.lossAt === undefined) continue;
      if (earliest === undefined || state.lossAt < (earliest.lossAt ?? Infinity)) earliest = state;
    }
    return earliest;
  }

  /** The space whose probe timeout comes first, with `probeAt` brought up to date: RFC 9002 §A.8. */
  #nextProbe(): SpaceState | undefined {
    if (this.#isAmplificationLimited) return undefined;
    const backoff = 2 ** Math.min(this.#ptoCount, MAX_BACKOFF_DOUBLINGS);
    const timeoutMs = this.#rtt.probeTimeoutMs * backoff;
    let earliest: SpaceState | undefined;
    for (const state of this.#spaces) {
      if (state.ackElicitingInFlight === 0) continue;
      let probeMs = timeoutMs;
      if (state === this.#application) {
        // RFC 9002 §6.2.1: not before the handshake is confirmed.
        if (!this.#isHandshakeConfirmed) continue;
        probeMs += this.#maxAckDelayMs * backoff;
      }
      state.probeAt = state.lastAckElicitingSentAt + probeMs;
      if (earliest === undefined || state.probeAt < earliest.probeAt) earliest = state;
    }
    if (earliest !== undefined || !this.#mayDeadlock) return earliest;
    const state = this.#hasHandshakeKeys ? this.#handshake : this.#initial;
    state.probeAt = this.#lastEventAt + timeoutMs;
    return state;
  }
}

/** What is kept for one packet number space. */
class SpaceState {
  readonly space: PacketNumberSpace;
  readonly sent = new SentPackets();
  largestAcknowledged = -1;
  /** The first number of the path in use. */
  pathStart = 0;
  /** The largest acknowledged from there on, and the largest below; of packets that went the way of the others. */
  largestAcknowledgedHere = -1;
  largestAcknowledgedBefore = -1;
  ackElicitingInFlight = 0;
  lastAckElicitingSentAt = 0;
  /** When the next packet is lost by time, `undefined` if none waits for that. */
  lossAt: number | undefined = undefined;
  probeAt = 0;
  /** No ack-eliciting packet below this one is outstanding. */
  #oldestAckEliciting = 0;

  constructor(space: PacketNumberSpace) {
    this.space = space;
  }

  /** When the oldest ack-eliciting packet left that is outstanding. */
  get oldestAckElicitingSentAt(): number | undefined {
    if (this.ackElicitingInFlight === 0) return undefined;
    // Outstanding packets only become fewer, and new ones have larger numbers: no packet is passed over twice.
    let n = Math.max(this.#oldestAckEliciting, this.sent.oldest);
    while (n < this.sent.next && this.sent.find(n)?.isAckEliciting !== true) n++;
    this.#oldestAckEliciting = n;
    return this.sent.find(n)?.sentAt;
  }

  /** What follows goes out on another path. */
  startPath(): void {
    this.pathStart = this.sent.next;
    this.largestAcknowledgedBefore = Math.max(this.largestAcknowledgedBefore, this.largestAcknowledgedHere);
    this.largestAcknowledgedHere = -1;
  }

  /** A packet was acknowledged that was sent on the path in use, or on the one before. */
  noteAcknowledged(packetNumber: number): void {
    if (packetNumber >= this.pathStart) {
      if (packetNumber > this.largestAcknowledgedHere) this.largestAcknowledgedHere = packetNumber;
    } else if (packetNumber > this.largestAcknowledgedBefore) {
      this.largestAcknowledgedBefore = packetNumber;
    }
  }

  /** Forgets all packets. @returns The bytes of them that were in flight on the path. */
  forget(pathId: number): number {
    let bytes = 0;
    for (let n = this.sent.oldest; n < this.sent.next; n++) {
      const packet = this.sent.find(n);
      if (packet === undefined) continue;
      if (packet.isInFlight && packet.pathId === pathId) bytes += packet.bytes;
      packet.clear();
    }
    this.sent.clear();
    this.ackElicitingInFlight = 0;
    this.lossAt = undefined;
    return bytes;
  }
}

/** One object for every outcome; its arrays are never shortened, so that they are not allocated anew. */
class Outcome implements LossOutcome {
  readonly acked: SentPacket[] = [];
  ackedCount = 0;
  readonly lost: SentPacket[] = [];
  lostCount = 0;
  isRttSampled = false;
  isPersistentCongestion = false;
  probeSpace: PacketNumberSpace | undefined = undefined;
  probePackets = 0;

  clear(): void {
    this.ackedCount = 0;
    this.lostCount = 0;
    this.isRttSampled = false;
    this.isPersistentCongestion = false;
    this.probeSpace = undefined;
    this.probePackets = 0;
  }

  addAcked(packet: SentPacket): void {
    this.acked[this.ackedCount++] = packet;
  }

  addLost(packet: SentPacket): void {
    this.lost[this.lostCount++] = packet;
  }
}

function neverSent(packetNumber: number): TransportError {
  return new TransportError("PROTOCOL_VIOLATION", `ACK of packet ${packetNumber}, which was never sent`, {
    frameType: 0x02,
  });
}
