/**
 * Received packet numbers of one space, and when to acknowledge them: RFC 9000 §12.3, §13.2. ECN counts are left out: the
 * runtime shows no ECN bits.
 *
 * @module
 */

/** Ranges remembered. Beyond it the lowest is forgotten, and what lies at or below it counts as received already. */
export const MAX_ACK_RANGES = 64;

/** Ranges there is room for at first: most connections never have more. */
const FIRST_ACK_RANGES = 4;

/** Ack-eliciting packets after which an acknowledgement is sent at once: RFC 9000 §13.2.2. */
const ACK_ELICITING_THRESHOLD = 2;

const NO_RANGES = new Float64Array(0);

/** A bounded set of packet numbers as ranges, ascending. */
export class AckRanges {
  // Range i is [#smallest[i], #largest[i]]; there is a gap of at least one number between two ranges.
  #smallest = NO_RANGES;
  #largest = NO_RANGES;
  #count = 0;
  /** Numbers below it are no longer told apart: all count as received. */
  #floor = 0;
  /** Numbers below it need not be acknowledged any more: the peer has seen an ACK for them. */
  #reportFloor = 0;
  // The lowest number that came late, and the largest one then: an ACK up to no more than that may have been sent before.
  #lowestLate = Infinity;
  #largestAtLate = -1;

  /** Largest number ever added, -1 if there is none. */
  get largest(): number {
    return this.#count === 0 ? this.#floor - 1 : this.#largest[this.#count - 1]!;
  }

  /** How many ranges an ACK frame has to say. */
  get rangeCount(): number {
    let count = 0;
    while (count < this.#count && this.#largest[this.#count - 1 - count]! >= this.#reportFloor) count++;
    return count;
  }

  /** Smallest number of the range, counted from the highest one down, as ACK frames do: 0 to `rangeCount` - 1. */
  smallestOf(range: number): number {
    return Math.max(this.#smallest[this.#count - 1 - range]!, this.#reportFloor);
  }

  /** Largest number of the range, counted likewise. */
  largestOf(range: number): number {
    return this.#largest[this.#count - 1 - range]!;
  }

  /** Whether the packet was received before, or is too old to tell: it must be dropped (RFC 9000 §12.3). */
  has(packetNumber: number): boolean {
    if (packetNumber < this.#floor) return true;
    for (let i = this.#count - 1; i >= 0; i--) {
      if (packetNumber > this.#largest[i]!) return false;
      if (packetNumber >= this.#smallest[i]!) return true;
    }
    return false;
  }

  /** Adds a number. @returns Whether it is new. */
  add(packetNumber: number): boolean {
    const last = this.#count - 1;
    // In order: the highest range grows.
    if (last >= 0 && packetNumber === this.#largest[last]! + 1) {
      this.#largest[last] = packetNumber;
      return true;
    }
    if (packetNumber < this.#floor) return false;
    let i = last;
    while (i >= 0 && packetNumber < this.#smallest[i]!) i--;
    // Range i is now the highest that does not begin above the number.
    if (i >= 0 && packetNumber <= this.#largest[i]!) return false;
    if (i < last) {
      // Late: it must be said, though an ACK of higher numbers may have been seen, or is on its way.
      if (packetNumber < this.#reportFloor) this.#reportFloor = packetNumber;
      if (packetNumber < this.#lowestLate) this.#lowestLate = packetNumber;
      this.#largestAtLate = this.#largest[last]!;
    }
    const joinsLower = i >= 0 && packetNumber === this.#largest[i]! + 1;
    const joinsUpper = i < last && packetNumber === this.#smallest[i + 1]! - 1;
    if (joinsLower && joinsUpper) {
      this.#largest[i] = this.#largest[i + 1]!;
      this.#removeAt(i + 1);
    } else if (joinsLower) {
      this.#largest[i] = packetNumber;
    } else if (joinsUpper) {
      this.#smallest[i + 1] = packetNumber;
    } else {
      this.#insertAt(i + 1, packetNumber);
    }
    return true;
  }

  /** The peer has seen an ACK up to this number: what it covers is not said again (RFC 9000 §13.2.4). */
  onAcknowledged(largestAcknowledged: number): void {
    if (largestAcknowledged > this.#largestAtLate) this.#lowestLate = Infinity;
    this.#reportFloor = Math.max(this.#reportFloor, Math.min(largestAcknowledged + 1, this.#lowestLate));
  }

  #insertAt(index: number, packetNumber: number): void {
    if (this.#count === MAX_ACK_RANGES) {
      if (index === 0) {
        // Lowest of all and no room: it is received, and with all below it not to be told apart any more.
        this.#floor = packetNumber + 1;
        return;
      }
      // RFC 9000 §13.2.3: a range may be forgotten if no packet of it will be accepted again.
      this.#floor = this.#largest[0]! + 1;
      this.#removeAt(0);
      index--;
    }
    if (this.#count === this.#smallest.length) {
      this.#smallest = longerThan(this.#smallest);
      this.#largest = longerThan(this.#largest);
    }
    this.#smallest.copyWithin(index + 1, index, this.#count);
    this.#largest.copyWithin(index + 1, index, this.#count);
    this.#smallest[index] = packetNumber;
    this.#largest[index] = packetNumber;
    this.#count++;
  }

  #removeAt(index: number): void {
    this.#smallest.copyWithin(index, index + 1, this.#count);
    this.#largest.copyWithin(index, index + 1, this.#count);
    this.#count--;
  }
}

function longerThan(numbers: Float64Array): Float64Array<ArrayBuffer> {
  const longer = new Float64Array(Math.max(FIRST_ACK_RANGES, 2 * numbers.length));
  longer.set(numbers);
  return longer;
}

/** How a space acknowledges. */
export interface AckOptions {
  /** Initial and Handshake packets are acknowledged at once: RFC 9000 §13.2.1. */
  readonly isImmediate: boolean;
  /** Our max_ack_delay: RFC 9000 §18.2. */
  readonly maxAckDelayMs: number;
}

/** What was received in a space, and the acknowledgement that is due for it. */
export class ReceivedPackets {
  readonly ranges: AckRanges = new AckRanges();
  readonly #isImmediate: boolean;
  readonly #maxAckDelayMs: number;
  #largestReceivedAt = 0;
  #largestAckEliciting = -1;
  #ackElicitingCount = 0;
  #ackAt: number | undefined = undefined;

  constructor(options: AckOptions) {
    this.#isImmediate = options.isImmediate;
    this.#maxAckDelayMs = options.maxAckDelayMs;
  }

  /**
   * When an ACK must be sent at the latest (an instant in the past: at once), `undefined` if none is owed. One that is owed
   * goes along with any packet that leaves earlier: RFC 9000 §13.2.1.
   */
  get ackAt(): number | undefined {
    return this.#ackAt;
  }

  /** What the ACK Delay field has to say at `now`, in ms: RFC 9000 §13.2.5. */
  ackDelayMs(now: number): number {
    return Math.max(0, now - this.#largestReceivedAt);
  }

  /** Whether the packet must be dropped unread: RFC 9000 §12.3. */
  isDuplicate(packetNumber: number): boolean {
    return this.ranges.has(packetNumber);
  }

  /** A packet was opened and its frames processed. */
  onReceived(packetNumber: number, isAckEliciting: boolean, now: number): void {
    const largest = this.ranges.largest;
    if (!this.ranges.add(packetNumber)) return;
    if (packetNumber > largest) this.#largestReceivedAt = now;
    if (!isAckEliciting) return;
    this.#ackElicitingCount++;
    const isImmediate = this.#isImmediate || this.#ackElicitingCount >= ACK_ELICITING_THRESHOLD ||
      this.#isOutOfOrder(packetNumber, largest);
    if (packetNumber > this.#largestAckEliciting) this.#largestAckEliciting = packetNumber;
    const ackAt = isImmediate ? now : now + this.#maxAckDelayMs;
    if (this.#ackAt === undefined || ackAt < this.#ackAt) this.#ackAt = ackAt;
  }

  /** An ACK frame with all ranges was put into a packet. */
  onAckSent(): void {
    this.#ackAt = undefined;
    this.#ackElicitingCount = 0;
  }

  /** A packet with an ACK frame of ours was acknowledged: RFC 9000 §13.2.4. */
  onAckAcknowledged(largestAcknowledged: number): void {
    this.ranges.onAcknowledged(largestAcknowledged);
  }

  /** RFC 9000 §13.2.1: a number below another ack-eliciting one, or beyond a gap, helps the peer find its losses. */
  #isOutOfOrder(packetNumber: number, largestBefore: number): boolean {
    return packetNumber < this.#largestAckEliciting || (largestBefore >= 0 && packetNumber > largestBefore + 1);
  }
}
