/**
 * One direction of a link: latency, jitter, loss, duplication, reordering, rate with a queue, MTU. Every packet that
 * arrives late, twice or never does so because of a number written here.
 *
 * @module
 */

import type { VirtualClock } from "./clock.ts";
import type { Packet } from "./packet.ts";
import { SeededRandom } from "./random.ts";
import type { DropReason, Trace } from "./trace.ts";

/** One direction of a link. All default to a perfect one: no delay, no loss, no limits but an MTU of 1500. */
export interface LinkOptions {
  /** Time from the end of the link to the other, in ms. */
  readonly latencyMs?: number;
  /** Extra delay drawn uniformly from [0, jitterMs). Packets keep their order. */
  readonly jitterMs?: number;
  /** Probability, 0 to 1, that a packet is lost. */
  readonly lossRate?: number;
  /** Losses come in runs of this many packets on average (two-state model); 1 makes them independent. */
  readonly lossBurstPackets?: number;
  /** Probability that a packet arrives twice. */
  readonly duplicateRate?: number;
  /** Probability that a packet is held back by `reorderMs` and overtaken. */
  readonly reorderRate?: number;
  /** How long a reordered packet is held back, in ms. */
  readonly reorderMs?: number;
  /** Speed of serialisation, headers included. Unlimited without it. */
  readonly rateBitsPerSecond?: number;
  /** Packets wait for the rate up to this many bytes, the one being serialised included; then the tail is dropped. */
  readonly queueBytes?: number;
  /** The same limit as time: a packet that would wait longer before its first bit leaves is dropped. */
  readonly queueMs?: number;
  /** Largest packet, IP header included. Larger ones vanish without an ICMP message, as they do in practice. */
  readonly mtuBytes?: number;
  /** Drops chosen packets; `index` counts those offered to this direction, from 0. */
  readonly drop?: (packet: Packet, index: number) => boolean;
}

/** The MTU of a link that says nothing else. */
export const DEFAULT_MTU_BYTES = 1500;

/** What a link needs of its network. */
export interface LinkContext {
  readonly clock: VirtualClock;
  readonly trace: Trace;
  /** Each part that draws has its own sequence, from this and its name. */
  readonly seed: number;
}

/** Carries packets from one end to the other. */
export class Link {
  readonly name: string;
  readonly #context: LinkContext;
  readonly #random: SeededRandom;
  readonly #deliver: (packet: Packet) => void;
  #options: LinkOptions;
  #offered = 0;
  #busyUntil = 0;
  #lastArrival = 0;
  #isInBurst = false;

  constructor(name: string, options: LinkOptions, context: LinkContext, deliver: (packet: Packet) => void) {
    this.name = name;
    this.#context = context;
    this.#random = new SeededRandom(context.seed, name);
    this.#deliver = deliver;
    this.#options = validated(options);
  }

  get options(): LinkOptions {
    return this.#options;
  }

  /** Changes the link from now on; packets under way arrive as before. */
  set options(options: LinkOptions) {
    this.#options = validated(options);
  }

  /** Bytes that wait for the rate, the packet being serialised included. */
  get backlogBytes(): number {
    const { rateBitsPerSecond } = this.#options;
    if (rateBitsPerSecond === undefined) return 0;
    return Math.max(0, this.#busyUntil - this.#context.clock.now) * rateBitsPerSecond / 8000;
  }

  /** When no more than this many bytes will wait, if nothing is added. */
  backlogClearsAt(bytes: number): number {
    const { rateBitsPerSecond } = this.#options;
    const { now } = this.#context.clock;
    return rateBitsPerSecond === undefined ? now : Math.max(now, this.#busyUntil - bytes * 8000 / rateBitsPerSecond);
  }

  /** Sends a packet along. */
  transmit(packet: Packet): void {
    const { clock } = this.#context;
    const options = this.#options;
    const reason = this.#dropReason(packet);
    if (reason !== undefined) return this.#drop(packet, reason);
    let departure = clock.now;
    if (options.rateBitsPerSecond !== undefined) {
      departure = Math.max(clock.now, this.#busyUntil) + packet.bytes * 8000 / options.rateBitsPerSecond;
      this.#busyUntil = departure;
    }
    // A lost packet has used the rate like any other: it is lost on the way, not at the door.
    if (this.#isLost()) return this.#drop(packet, "loss");
    this.#arrive(packet, departure);
    if (this.#random.chance(options.duplicateRate ?? 0)) {
      this.#context.trace.add({ type: "duplicated", at: clock.now, where: this.name, packet });
      this.#arrive(packet, departure);
    }
  }

  #dropReason(packet: Packet): DropReason | undefined {
    const { clock } = this.#context;
    const { drop, mtuBytes = DEFAULT_MTU_BYTES, rateBitsPerSecond, queueBytes, queueMs } = this.#options;
    const index = this.#offered++;
    if (drop?.(packet, index) === true) return "scripted";
    if (packet.bytes > mtuBytes) return "too big";
    if (rateBitsPerSecond === undefined) return undefined;
    if (queueMs !== undefined && this.#busyUntil - clock.now > queueMs) return "queue full";
    // Half a byte absorbs what division of times leaves over.
    if (queueBytes !== undefined && this.backlogBytes + packet.bytes > queueBytes + 0.5) return "queue full";
    return undefined;
  }

  /** Gilbert's model: a burst goes on with probability 1 - 1/mean, and starts so often that the mean rate holds. */
  #isLost(): boolean {
    const { lossRate = 0, lossBurstPackets = 1 } = this.#options;
    if (lossBurstPackets <= 1 || lossRate >= 1) return this.#random.chance(lossRate);
    this.#isInBurst = this.#isInBurst
      ? this.#random.chance(1 - 1 / lossBurstPackets)
      : this.#random.chance(lossRate / (lossBurstPackets * (1 - lossRate)));
    return this.#isInBurst;
  }

  #arrive(packet: Packet, departure: number): void {
    const { clock } = this.#context;
    const { latencyMs = 0, jitterMs = 0, reorderRate = 0, reorderMs = 0 } = this.#options;
    let at = departure + latencyMs;
    if (jitterMs > 0) at += this.#random.unit() * jitterMs;
    if (this.#random.chance(reorderRate)) {
      at += reorderMs;
    } else {
      at = Math.max(at, this.#lastArrival);
      this.#lastArrival = at;
    }
    clock.schedule(at, () => this.#deliver(packet));
  }

  #drop(packet: Packet, reason: DropReason): void {
    this.#context.trace.add({ type: "dropped", at: this.#context.clock.now, where: this.name, packet, reason });
  }
}

function validated(options: LinkOptions): LinkOptions {
  for (const name of ["lossRate", "duplicateRate", "reorderRate"] as const) {
    const rate = options[name] ?? 0;
    if (!(rate >= 0 && rate <= 1)) throw new RangeError(`Cannot make link: ${name} ${rate} is not 0 to 1`);
  }
  for (const name of ["latencyMs", "jitterMs", "reorderMs", "queueBytes", "queueMs"] as const) {
    const value = options[name] ?? 0;
    if (!(value >= 0)) throw new RangeError(`Cannot make link: ${name} ${value} is negative`);
  }
  if (!((options.rateBitsPerSecond ?? 1) > 0)) throw new RangeError("Cannot make link: the rate must be above 0");
  return options;
}
