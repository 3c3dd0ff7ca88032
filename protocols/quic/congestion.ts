/**
 * Congestion control: NewReno of RFC 9002 §7 and Appendix B, with HyStart++ (RFC 9406) in the first slow start of a path. ECN
 * is left out: the runtime shows no ECN bits.
 *
 * @module
 */

import { CSS_GROWTH_DIVISOR, HyStart } from "./hystart.ts";
import type { SentPacket } from "./sent_packet.ts";

/** Most the window may grow to: what one sender may have in the network, and in memory, for one connection. */
export const MAX_CONGESTION_WINDOW_BYTES: number = 32 * 1024 * 1024;

/** Factor on the window at a loss: RFC 9002 §B.1 (kLossReductionFactor). */
const LOSS_REDUCTION_FACTOR = 0.5;

/** Another algorithm is one more class with these verbs. Packets of other paths are not shown to it. */
export interface CongestionController {
  /** Bytes that may be in flight. */
  readonly congestionWindowBytes: number;
  /** Bytes sent and neither acknowledged, lost nor discarded. */
  readonly bytesInFlight: number;
  /** Room in the window: 0 or less means that only probes may be sent (RFC 9002 §7). */
  readonly availableBytes: number;
  /** Whether the window doubles each round trip: the pacer then sends faster. */
  readonly isInSlowStart: boolean;
  /** A packet that is in flight was sent. */
  onPacketSent(packet: SentPacket): void;
  /** A packet was acknowledged; does nothing if it was not in flight. */
  onPacketAcked(packet: SentPacket, now: number): void;
  /** The packets told last were acknowledged with a sample of the round-trip time, as it was measured. */
  onRttSample(rttMs: number): void;
  /** A packet was declared lost; does nothing if it was not in flight. */
  onPacketLost(packet: SentPacket, now: number): void;
  /** Every packet over a long time was lost, after the losses were told one by one: RFC 9002 §7.6.2. */
  onPersistentCongestion(): void;
  /** Bytes in flight are forgotten without being acknowledged or lost: their keys are gone (RFC 9002 §6.4). */
  onDiscarded(bytes: number): void;
  /** A larger or smaller datagram size was found for the path. */
  setMaxDatagramBytes(maxDatagramBytes: number): void;
  /** Starts over for a new path: RFC 9000 §9.4. Packets of the old path must not be shown any more. */
  reset(): void;
}

/** NewReno as RFC 9002 Appendix B has it. */
export class NewReno implements CongestionController {
  #maxDatagramBytes: number;
  #congestionWindowBytes: number;
  #bytesInFlight = 0;
  #slowStartThresholdBytes = Infinity;
  #recoveryStartedAt = -Infinity;
  /**
   * One packet may leave although the window has just been halved: what was lost then comes a round trip after it was missed
   * and no later (RFC 9002 §7.3.2).
   */
  #isRecoveryPacketDue = false;
  /** Bytes acknowledged towards the next increase in congestion avoidance. */
  #ackedBytes = 0;
  // Most bytes in flight in this round trip and the one before: whether the window is used at all (RFC 9002 §7.8).
  #peakBytes = 0;
  #previousPeakBytes = 0;
  #roundStartedAt = -Infinity;
  readonly #hyStart = new HyStart();

  /** @param maxDatagramBytes The datagram size assumed for the path. */
  constructor(maxDatagramBytes: number) {
    this.#maxDatagramBytes = maxDatagramBytes;
    this.#congestionWindowBytes = initialWindowBytes(maxDatagramBytes);
  }

  get congestionWindowBytes(): number {
    return this.#congestionWindowBytes;
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight;
  }

  get availableBytes(): number {
    const availableBytes = this.#congestionWindowBytes - this.#bytesInFlight;
    return this.#isRecoveryPacketDue ? Math.max(availableBytes, this.#maxDatagramBytes) : availableBytes;
  }

  get isInSlowStart(): boolean {
    return this.#isBelowThreshold && !this.#isConservative;
  }

  onPacketSent(packet: SentPacket): void {
    if (!packet.isInFlight) return;
    this.#isRecoveryPacketDue = false;
    this.#bytesInFlight += packet.bytes;
    if (this.#bytesInFlight > this.#peakBytes) this.#peakBytes = this.#bytesInFlight;
  }

  onPacketAcked(packet: SentPacket, now: number): void {
    if (!packet.isInFlight) return;
    this.#bytesInFlight -= packet.bytes;
    const isUsed = this.#isWindowUsed;
    if (packet.sentAt >= this.#roundStartedAt) {
      this.#previousPeakBytes = this.#peakBytes;
      this.#peakBytes = this.#bytesInFlight;
      this.#roundStartedAt = now;
      if (this.#isFirstSlowStart) this.#hyStart.onRoundStart();
      if (this.#hyStart.phase === "over") this.#endSlowStart();
    }
    // Neither in recovery (RFC 9002 §7.3.2) nor while the window is not filled (RFC 9002 §7.8) does it grow.
    if (packet.sentAt <= this.#recoveryStartedAt || !isUsed) return;
    if (this.#isBelowThreshold) {
      this.#grow(this.#isConservative ? packet.bytes / CSS_GROWTH_DIVISOR : packet.bytes);
      return;
    }
    this.#ackedBytes += packet.bytes;
    if (this.#ackedBytes >= this.#congestionWindowBytes) {
      this.#ackedBytes -= this.#congestionWindowBytes;
      this.#grow(this.#maxDatagramBytes);
    }
  }

  onRttSample(rttMs: number): void {
    if (this.#isFirstSlowStart) this.#hyStart.onRttSample(rttMs);
  }

  onPacketLost(packet: SentPacket, now: number): void {
    if (!packet.isInFlight) return;
    this.#bytesInFlight -= packet.bytes;
    // One reduction a round trip: what was sent before the reduction says nothing new (RFC 9002 §7.3.2).
    if (packet.sentAt <= this.#recoveryStartedAt) return;
    this.#recoveryStartedAt = now;
    this.#isRecoveryPacketDue = true;
    this.#ackedBytes = 0;
    this.#slowStartThresholdBytes = this.#congestionWindowBytes * LOSS_REDUCTION_FACTOR;
    this.#congestionWindowBytes = Math.max(this.#slowStartThresholdBytes, this.#minimumWindowBytes);
  }

  onPersistentCongestion(): void {
    this.#congestionWindowBytes = this.#minimumWindowBytes;
    this.#recoveryStartedAt = -Infinity;
    this.#ackedBytes = 0;
  }

  onDiscarded(bytes: number): void {
    this.#bytesInFlight -= bytes;
  }

  setMaxDatagramBytes(maxDatagramBytes: number): void {
    const wasInitial = this.#congestionWindowBytes === initialWindowBytes(this.#maxDatagramBytes);
    this.#maxDatagramBytes = maxDatagramBytes;
    // RFC 9002 §7.2: the window is at least the minimum; a smaller datagram during the handshake resets the initial one.
    if (wasInitial) this.#congestionWindowBytes = initialWindowBytes(maxDatagramBytes);
    this.#congestionWindowBytes = Math.max(this.#congestionWindowBytes, this.#minimumWindowBytes);
  }

  reset(): void {
    this.#congestionWindowBytes = initialWindowBytes(this.#maxDatagramBytes);
    this.#bytesInFlight = 0;
    this.#slowStartThresholdBytes = Infinity;
    this.#recoveryStartedAt = -Infinity;
    this.#ackedBytes = 0;
    this.#peakBytes = 0;
    this.#previousPeakBytes = 0;
    this.#roundStartedAt = -Infinity;
    this.#isRecoveryPacketDue = false;
    this.#hyStart.reset();
  }

  get #isBelowThreshold(): boolean {
    return this.#congestionWindowBytes < this.#slowStartThresholdBytes;
  }

  /** RFC 9406 §4.3: HyStart++ is for the first one, whose threshold is not known. */
  get #isFirstSlowStart(): boolean {
    return this.#slowStartThresholdBytes === Infinity;
  }

  get #isConservative(): boolean {
    return this.#isFirstSlowStart && this.#hyStart.phase === "conservative";
  }

  /** RFC 9406 §4.2: congestion avoidance from here on. */
  #endSlowStart(): void {
    if (this.#isFirstSlowStart) this.#slowStartThresholdBytes = this.#congestionWindowBytes;
  }

  /** RFC 9002 §7.2 (kMinimumWindow). */
  get #minimumWindowBytes(): number {
    return 2 * this.#maxDatagramBytes;
  }

  /** In slow start half of the window in use is enough: it doubles each round trip anyway. */
  get #isWindowUsed(): boolean {
    const peakBytes = Math.max(this.#peakBytes, this.#previousPeakBytes);
    return this.#isBelowThreshold
      ? 2 * peakBytes > this.#congestionWindowBytes
      : peakBytes + 3 * this.#maxDatagramBytes > this.#congestionWindowBytes;
  }

  #grow(bytes: number): void {
    this.#congestionWindowBytes = Math.min(this.#congestionWindowBytes + bytes, MAX_CONGESTION_WINDOW_BYTES);
  }
}

/** RFC 9002 §7.2 (kInitialWindow). */
function initialWindowBytes(maxDatagramBytes: number): number {
  return Math.min(10 * maxDatagramBytes, Math.max(2 * maxDatagramBytes, 14_720));
}
