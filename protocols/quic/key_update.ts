/**
 * Key update of the Application space: who may go on to the next phase, and when: RFC 9001 §6.
 *
 * @module
 */

import { TransportError } from "./errors.ts";
import type { PacketSpace } from "./packet_space.ts";

/** Packets before the limit of the AEAD at which we go on to fresh keys: RFC 9001 §6.6. At most half of the limit. */
const UPDATE_MARGIN_PACKETS = 4096;

/** Packets before the limit at which, without fresh keys, we close: what says so is sealed with the same key. */
const CLOSE_MARGIN_PACKETS = 256;

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

  /**
   * Whether we may initiate one: the peer has acknowledged a packet of this phase (RFC 9001 §6.1), and the keys of the one
   * before are gone (§6.5). That is only advice: where waiting would end the connection, some packets may rather get lost.
   */
  get mayInitiate(): boolean {
    return this.#isPhaseAcknowledged && (this.#space.opener?.hasPrevious === false || this.isExhausted);
  }

  /** Whether the AEAD's limit is near, so that we have to: RFC 9001 §6.6. */
  get isDue(): boolean {
    const sealer = this.#space.sealer;
    if (sealer === undefined) return false;
    const { limitPackets, sealedPackets } = sealer;
    return sealedPackets >= limitPackets - Math.min(UPDATE_MARGIN_PACKETS, limitPackets / 2);
  }

  /** Whether the limit is so near that only CONNECTION_CLOSE may still be sealed: RFC 9001 §6.6. */
  get isExhausted(): boolean {
    const sealer = this.#space.sealer;
    if (sealer === undefined) return false;
    const { limitPackets, sealedPackets } = sealer;
    return sealedPackets >= limitPackets - Math.min(CLOSE_MARGIN_PACKETS, limitPackets / 4);
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

  /**
   * The peer acknowledged packets up to this number, in the packet that was opened last.
   *
   * @throws {TransportError} KEY_UPDATE_ERROR if it knows of our update and has not followed: RFC 9001 §6.2.
   */
  onAcked(largestAcknowledged: number): void {
    if (largestAcknowledged < this.#phaseStart) return;
    if (this.#space.opener?.isOfPreviousPhase === true) {
      throw new TransportError("KEY_UPDATE_ERROR", "The peer acknowledged a packet with new keys in one with old keys");
    }
    this.#isPhaseAcknowledged = true;
  }

  /** The time of the previous phase is over (RFC 9001 §6.5): its keys go, those of the next are made. */
  discardPrevious(): void {
    const { opener, sealer } = this.#space;
    opener?.discardPrevious();
    opener?.prepareUpdate();
    sealer?.prepareUpdate();
  }

  #enterPhase(): void {
    this.#space.sealer?.update();
    this.#phaseStart = this.#space.nextPacketNumber;
    this.#isPhaseAcknowledged = false;
    this.#updates++;
  }
}
