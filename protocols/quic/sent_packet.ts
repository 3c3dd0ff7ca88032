/**
 * What is remembered of a sent packet until it is acknowledged or lost: RFC 9002 §A.1, and what to do then by frame:
 * RFC 9000 §13.3. Records live in a ring indexed by packet number and are used again, so that sending a packet
 * allocates nothing once the ring has grown to what the path holds.
 *
 * @module
 */

import type { SentReport } from "./address_discovery.ts";
import type { CryptoSendStream } from "./crypto_stream.ts";
import type { TraversalFrame } from "./nat_traversal/dialect.ts";
import type { Stream } from "./stream.ts";

/** With this many packets of one space outstanding nothing but acknowledgements is sent until some are acknowledged. */
export const MAX_SENT_PACKETS = 65_536;

/** Room for those acknowledgements: what spans more than this is our own mistake. */
const MAX_RING_SLOTS: number = 2 * MAX_SENT_PACKETS;

/**
 * Packets that are not in flight (only ACK, CONNECTION_CLOSE) are forgotten once this many packets were sent after
 * them: a pure receiver may go long without an acknowledgement of its acknowledgements (RFC 9000 §13.2.4).
 */
const MAX_PACKETS_AFTER_ACK_ONLY = 256;

const INITIAL_RING_SLOTS = 16;

/**
 * A frame of a sent packet that matters once the packet is acknowledged or lost (RFC 9000 §13.3). The first STREAM
 * range and the ACK of a packet are not here but in fields of {@linkcode SentPacket}.
 */
export type SentFrame =
  | StreamRangeFrame
  | StreamControlFrame
  | TraversalFrame
  | SentReport
  | { readonly type: "CRYPTO"; readonly stream: CryptoSendStream; readonly offset: number; readonly length: number }
  | { readonly type: "NEW_CONNECTION_ID"; readonly sequenceNumber: number }
  | { readonly type: "RETIRE_CONNECTION_ID"; readonly sequenceNumber: number }
  | { readonly type: "NEW_TOKEN"; readonly token: Uint8Array }
  | { readonly type: "PATH_CHALLENGE"; readonly data: Uint8Array }
  | { readonly type: "PATH_RESPONSE" }
  | { readonly type: "HANDSHAKE_DONE" }
  | { readonly type: "PING" }
  | { readonly type: "DATAGRAM" };

/** A range of a stream's data; `fin` if the frame had the FIN bit. */
export interface StreamRangeFrame {
  readonly type: "STREAM";
  readonly stream: Stream;
  readonly offset: number;
  readonly length: number;
  readonly fin: boolean;
}

/** The frames that `Streams.takeControlFrame` asks to send, with every field they have on the wire. */
export type StreamControlFrame =
  | { readonly type: "RESET_STREAM"; readonly stream: Stream; readonly code: number; readonly finalSize: number }
  | { readonly type: "STOP_SENDING"; readonly stream: Stream; readonly code: number }
  | { readonly type: "MAX_DATA"; readonly maximum: number }
  | { readonly type: "MAX_STREAM_DATA"; readonly stream: Stream; readonly maximum: number }
  | { readonly type: "MAX_STREAMS"; readonly bidirectional: boolean; readonly maximum: number }
  | { readonly type: "DATA_BLOCKED"; readonly limit: number }
  | { readonly type: "STREAM_DATA_BLOCKED"; readonly stream: Stream; readonly limit: number }
  | { readonly type: "STREAMS_BLOCKED"; readonly bidirectional: boolean; readonly limit: number };

/** PING for {@linkcode SentPacket.frames}: shared, as it carries nothing. */
export const SENT_PING: SentFrame = Object.freeze({ type: "PING" });
/** DATAGRAM for {@linkcode SentPacket.frames}: shared, as it is never sent again (RFC 9221 §5.2). */
export const SENT_DATAGRAM: SentFrame = Object.freeze({ type: "DATAGRAM" });
/** HANDSHAKE_DONE for {@linkcode SentPacket.frames}: shared, as it carries nothing. */
export const SENT_HANDSHAKE_DONE: SentFrame = Object.freeze({ type: "HANDSHAKE_DONE" });

/**
 * One sent packet. Whoever builds a packet fills an empty record, hands it to `LossDetection.onPacketSent` and gets the
 * next empty one in exchange. A record that loss detection hands out is valid until the next packet is sent.
 */
export class SentPacket {
  packetNumber = -1;
  /** Monotonic ms. */
  sentAt = 0;
  /** Size as congestion control counts it: the QUIC packet without UDP and IP headers (RFC 9002 §2). */
  bytes = 0;
  isAckEliciting = false;
  /** Ack-eliciting or with PADDING: RFC 9002 §2. */
  isInFlight = false;
  /** Number the connection gave the path: what happens to another path's packets does not touch this one's window. */
  pathId = 0;
  /** The stream of the first STREAM frame, if there is one; the range follows. */
  stream: Stream | undefined = undefined;
  streamOffset = 0;
  streamLength = 0;
  streamFin = false;
  /** Whether it looks for a larger datagram size: RFC 9000 §14.4. */
  isMtuProbe = false;
  /** Largest Acknowledged of the ACK frame in the packet, -1 if it has none: RFC 9000 §13.2.4. */
  largestAcknowledged = -1;
  /** Every other frame that matters later. Empty for most packets. */
  readonly frames: SentFrame[] = [];

  /** Notes a STREAM frame: the first in the fields, others among `frames`. */
  addStream(stream: Stream, offset: number, length: number, fin: boolean): void {
    if (this.stream === undefined) {
      this.stream = stream;
      this.streamOffset = offset;
      this.streamLength = length;
      this.streamFin = fin;
    } else {
      this.frames.push({ type: "STREAM", stream, offset, length, fin });
    }
  }

  /** Empties the record, and lets go of the streams it named. */
  clear(): void {
    this.packetNumber = -1;
    this.sentAt = 0;
    this.bytes = 0;
    this.isAckEliciting = false;
    this.isInFlight = false;
    this.pathId = 0;
    this.isMtuProbe = false;
    this.stream = undefined;
    this.streamOffset = 0;
    this.streamLength = 0;
    this.streamFin = false;
    this.largestAcknowledged = -1;
    if (this.frames.length > 0) this.frames.length = 0;
  }
}

const FREE = 0;
const OUTSTANDING = 1;
const SKIPPED = 2;

/** Of a space without packets. */
const NOTHING_SENT = new Uint8Array(1);

/** The sent packets of one packet number space that are neither acknowledged nor lost. */
export class SentPackets {
  // Slot of packet number n: n modulo the number of slots, a power of two. It is in use if `#status` says so.
  #slots: (SentPacket | undefined)[] = new Array(INITIAL_RING_SLOTS).fill(undefined);
  #status: Uint8Array = new Uint8Array(INITIAL_RING_SLOTS);
  #oldest = 0;
  #next = 0;

  /** No packet number below this one is remembered. */
  get oldest(): number {
    return this.#oldest;
  }

  /** One more than the largest packet number ever added. */
  get next(): number {
    return this.#next;
  }

  /** Whether there is room for one more: if not, only acknowledgements may be sent until something is acknowledged. */
  get hasRoom(): boolean {
    return this.#next - this.#oldest < MAX_SENT_PACKETS;
  }

  /**
   * Keeps a filled record. Packet numbers go up; those passed over are remembered as never sent.
   *
   * @returns An empty record in exchange, for the next packet.
   * @throws {RangeError} If the packet number is not larger than all before, or there is no room.
   */
  add(packet: SentPacket): SentPacket {
    const packetNumber = packet.packetNumber;
    if (!(packetNumber >= this.#next)) {
      throw new RangeError(`Cannot note packet ${packetNumber} as sent: ${this.#next} is the next number`);
    }
    if (this.#oldest === this.#next) this.#oldest = this.#next = packetNumber;
    if (packetNumber - this.#oldest >= MAX_RING_SLOTS) {
      throw new RangeError(`Cannot note packet ${packetNumber} as sent: ${this.#oldest} is still outstanding`);
    }
    while (packetNumber - this.#oldest >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    while (this.#next < packetNumber) this.#status[this.#next++ & mask] = SKIPPED;
    const slot = packetNumber & mask;
    const empty = this.#slots[slot] ?? new SentPacket();
    this.#slots[slot] = packet;
    this.#status[slot] = OUTSTANDING;
    this.#next = packetNumber + 1;
    this.#forgetAckOnly();
    empty.clear();
    return empty;
  }

  /** The outstanding packet of that number, if it is one. */
  find(packetNumber: number): SentPacket | undefined {
    if (packetNumber < this.#oldest || packetNumber >= this.#next) return undefined;
    const slot = packetNumber & (this.#slots.length - 1);
    return this.#status[slot] === OUTSTANDING ? this.#slots[slot] : undefined;
  }

  /** Whether the number was passed over, and so never sent, as far as that is still remembered. */
  isSkipped(packetNumber: number): boolean {
    return packetNumber >= this.#oldest && packetNumber < this.#next &&
      this.#status[packetNumber & (this.#slots.length - 1)] === SKIPPED;
  }

  /** Forgets the packet. Its record stays as it is until the next packet is added. */
  remove(packetNumber: number): void {
    this.#status[packetNumber & (this.#slots.length - 1)] = FREE;
    if (packetNumber === this.#oldest) this.#advance();
  }

  /** Forgets every packet; numbers go on. */
  clear(): void {
    this.#oldest = this.#next;
    this.#status.fill(FREE);
  }

  /** Forgets every packet for good: none is added any more. */
  close(): void {
    this.clear();
    this.#slots = [undefined];
    this.#status = NOTHING_SENT;
  }

  #advance(): void {
    const mask = this.#slots.length - 1;
    while (this.#oldest < this.#next && this.#status[this.#oldest & mask] !== OUTSTANDING) this.#oldest++;
  }

  #forgetAckOnly(): void {
    while (this.#next - this.#oldest > MAX_PACKETS_AFTER_ACK_ONLY) {
      const oldest = this.find(this.#oldest);
      if (oldest === undefined || oldest.isInFlight) return;
      this.remove(this.#oldest);
    }
  }

  #grow(): void {
    const slots: (SentPacket | undefined)[] = new Array(2 * this.#slots.length).fill(undefined);
    const status = new Uint8Array(slots.length);
    for (let n = this.#oldest; n < this.#next; n++) {
      const from = n & (this.#slots.length - 1);
      const to = n & (slots.length - 1);
      slots[to] = this.#slots[from];
      status[to] = this.#status[from]!;
    }
    this.#slots = slots;
    this.#status = status;
  }
}
