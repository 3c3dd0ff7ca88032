/**
 * A packet number space: its numbers, keys, acknowledgements and CRYPTO streams: RFC 9000 §12.3, RFC 9001 §4.1.4, §4.9.
 *
 * @module
 */

import { ReceivedPackets } from "./ack_ranges.ts";
import { CryptoReceiveStream, CryptoSendStream } from "./crypto_stream.ts";
import type { PacketNumberSpace } from "./loss_detection.ts";
import type { PacketOpener, PacketSealer } from "./packet_protection.ts";

// Of all spaces that are discarded: nothing is ever added to them.
const NOTHING_RECEIVED = new ReceivedPackets({ isImmediate: true, maxAckDelayMs: 0 });
const NOTHING_TO_SEND = new CryptoSendStream();
const NOTHING_TO_READ = new CryptoReceiveStream();

/** One of the three spaces of a connection. */
export class PacketSpace {
  readonly name: PacketNumberSpace;
  #received: ReceivedPackets;
  #cryptoSend = new CryptoSendStream();
  #cryptoReceive = new CryptoReceiveStream();
  #sealer: PacketSealer | undefined;
  #opener: PacketOpener | undefined;
  #isDiscarded = false;
  #nextPacketNumber = 0;
  #probesDue = 0;

  constructor(name: PacketNumberSpace, maxAckDelayMs: number) {
    this.name = name;
    // RFC 9000 §13.2.1: Initial and Handshake packets are acknowledged at once.
    this.#received = new ReceivedPackets({ isImmediate: name !== "Application", maxAckDelayMs });
  }

  /** What was received, and is to be acknowledged. */
  get received(): ReceivedPackets {
    return this.#received;
  }

  /** What TLS wants sent. */
  get cryptoSend(): CryptoSendStream {
    return this.#cryptoSend;
  }

  /** What the peer's TLS sent. */
  get cryptoReceive(): CryptoReceiveStream {
    return this.#cryptoReceive;
  }

  /** Keys for what we send, as long as there are some. */
  get sealer(): PacketSealer | undefined {
    return this.#sealer;
  }

  /** Keys for what we receive, as long as there are some. */
  get opener(): PacketOpener | undefined {
    return this.#opener;
  }

  /** Whether the keys were given up: RFC 9001 §4.9. */
  get isDiscarded(): boolean {
    return this.#isDiscarded;
  }

  /** Keys for what we send, in place of any there were. */
  setSealer(sealer: PacketSealer): void {
    this.#sealer?.close();
    this.#sealer = sealer;
  }

  /** Keys for what we receive, in place of any there were. */
  setOpener(opener: PacketOpener): void {
    this.#opener?.close();
    this.#opener = opener;
  }

  /** Gives up the keys for good: RFC 9001 §4.9. */
  discard(): void {
    this.#sealer?.close();
    this.#opener?.close();
    this.#sealer = undefined;
    this.#opener = undefined;
    this.#received = NOTHING_RECEIVED;
    this.#cryptoSend = NOTHING_TO_SEND;
    this.#cryptoReceive = NOTHING_TO_READ;
    this.#isDiscarded = true;
    this.#probesDue = 0;
  }

  /** The number of the packet that is now being built; each is used once, RFC 9000 §12.3. */
  get nextPacketNumber(): number {
    return this.#nextPacketNumber;
  }

  /** The packet was sealed. */
  takePacketNumber(): number {
    return this.#nextPacketNumber++;
  }

  /** Ack-eliciting packets that are to be sent although the congestion window may be full: RFC 9002 §6.2.4. */
  get probesDue(): number {
    return this.#probesDue;
  }

  /** A probe timeout asks for packets. */
  requestProbes(packets: number): void {
    if (!this.#isDiscarded) this.#probesDue = Math.max(this.#probesDue, packets);
  }

  /** An ack-eliciting packet was sent: one probe fewer. */
  onAckElicitingSent(): void {
    if (this.#probesDue > 0) this.#probesDue--;
  }
}
