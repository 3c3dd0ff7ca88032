/**
 * Key update of the Application space: who may go on to the next phase, and when: RFC 9001 §6.
 *
 * @module
 */

import { TransportError } from "./errors.ts";
import type { PacketSpace } from "./packet_space.ts";

/** Packets before the limit of the AEAD at which we go on to fresh keys: RFC 9001 §6.6. */
const UPDATE_MARGIN_PACKETS = 4096;

/** The key phase of one connection. */
export class KeyUpdate {
  readonly #space: PacketSpace;
  /** Number of the first packet that we sent in this phase. */
  #phaseStart = 0;
  #isPhaseAcknowledged = false;
  #updates = 0;

  /** @param space The Application space. */
  constructor(space: PacketSpace) {
    this.#space = space;
  }

  /** Updates so far, by either side. */
  get updates(): number {
    return this.#updates;
  }

  /** Whether we may initiate one: the peer has acknowledged a packet of this phase, RFC 9001 §6.1. */
  get mayInitiate(): boolean {
    return this.#isPhaseAcknowledged && this.#space.opener?.hasPrevious === false;
  }

  /** Whether the AEAD's limit is near, so that we have to: RFC 9001 §6.6. */
  get isDue(): boolean {
    const sealer = this.#space.sealer;
    return sealer !== undefined && sealer.sealedPackets >= sealer.limitPackets - UPDATE_MARGIN_PACKETS;
  }

  /** Whether the limit is reached: nothing may be sealed any more. */
  get isExhausted(): boolean {
    const sealer = this.#space.sealer;
    return sealer !== undefined && sealer.sealedPackets >= sealer.limitPackets;
  }

  /** Goes on to the next phase in both directions: RFC 9001 §6.1. */
  initiate(): void {
    this.#space.opener?.update();
    this.#enterPhase();
  }

  /**
   * The peer went on: so do we, before anything else is sent: RFC 9001 §6.2.
   *
   * @throws {TransportError} KEY_UPDATE_ERROR if it did twice although we have said nothing in between.
   */
  onPeerUpdate(): void {
    if (this.#updates > 0 && this.#space.nextPacketNumber === this.#phaseStart) {
      throw new TransportError("KEY_UPDATE_ERROR", "The peer updated keys twice before it could know of ours");
    }
    this.#enterPhase();
  }

  /** The peer acknowledged packets up to this number. */
  onAcked(largestAcknowledged: number): void {
    if (largestAcknowledged >= this.#phaseStart) this.#isPhaseAcknowledged = true;
  }

  #enterPhase(): void {
    this.#space.sealer?.update();
    this.#phaseStart = this.#space.nextPacketNumber;
    this.#isPhaseAcknowledged = false;
    this.#updates++;
  }
}
