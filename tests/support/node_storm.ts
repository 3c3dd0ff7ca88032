/**
 * A storm of datagrams around what is on a node's sockets: mux, ICE, STUN and QUIC, or a relay. Strangers play again what they
 * have seen on the wire, whole and damaged, and say things of their own, from their addresses and from others'.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import type { PacketEvent, VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";
import { randomBytes, randomUnit } from "../../protocols/core/random.ts";
import type { Random } from "../../protocols/core/random.ts";
import { seededRandom } from "./seeded_random.ts";
import { AnswerLedger, below, mutated, pick, Seen } from "./stranger.ts";

/** A stranger beside the path has what passed so long ago: whoever is faster than the original is on the path. */
const REPLAY_DELAY_MS = 200;
/** Magic cookie of RFC 8489 §5. */
const COOKIE = Uint8Array.of(0x21, 0x12, 0xa4, 0x42);

/** Nobody else in the virtual network has these. */
const STRANGERS: readonly Address[] = Array.from(
  { length: 6 },
  (_, i) => addressOf(`203.0.113.${200 + i}`, 40_000 + i),
);

/** What is stormed at. */
export interface StormTarget {
  readonly name: string;
  /** Name of its host in the virtual network. */
  readonly host: string;
  readonly bases: () => readonly Base[];
  readonly handleDatagram: (datagram: Datagram, now: number) => void;
  readonly drain: () => void;
  /** Sizes of its tables. */
  readonly sizes: () => Readonly<Record<string, number>>;
}

/** Strangers in a virtual network that keeps its events. */
export class NodeStorm {
  readonly ledger = new AnswerLedger();
  sent = 0;
  readonly #net: VirtualNetwork;
  readonly #targets: readonly StormTarget[];
  readonly #random: Random;
  readonly #seen: Seen;
  readonly #sources = new Set<Address>(STRANGERS);
  #waiting: PacketEvent[] = [];
  #read = 0;

  constructor(net: VirtualNetwork, targets: readonly StormTarget[], seed: number) {
    this.#net = net;
    this.#targets = targets;
    this.#random = seededRandom(seed ^ 0x57_02_12);
    this.#seen = new Seen(this.#random);
  }

  /** Storms until that instant, with so many datagrams in each step of up to 4 ms. */
  run(until: number, maxPerStep: number): void {
    while (this.#net.now < until) {
      this.#watch();
      for (let i = below(this.#random, maxPerStep + 1); i > 0; i--) this.#blow(pick(this.#random, this.#targets));
      this.#net.run({ until: Math.min(until, this.#net.now + 4 * randomUnit(this.#random)) });
      for (const { name, sizes } of this.#targets) {
        for (const [table, size] of Object.entries(sizes())) ok(size <= 300, `${name}: ${size} ${table}`);
      }
    }
    this.#watch();
  }

  /** What has passed since the last time: to play again, and what went to strangers. */
  #watch(): void {
    const { events } = this.#net.trace;
    for (; this.#read < events.length; this.#read++) {
      const event = events[this.#read]!;
      const { type, packet } = event;
      if (type !== "sent" || packet.protocol !== "udp") continue;
      if (STRANGERS.includes(packet.destination)) this.ledger.onSent(packet.destination, packet.payload.length);
      else this.#waiting.push(event);
    }
    while (this.#waiting.length > 0 && this.#waiting[0]!.at + REPLAY_DELAY_MS <= this.#net.now) {
      const { packet } = this.#waiting.shift()!;
      if (packet.protocol === "udp" && packet.payload.length > 0) this.#seen.add(packet.payload);
      if (this.#sources.size < 40) this.#sources.add(packet.source);
    }
  }

  #blow(target: StormTarget): void {
    const bases = target.bases();
    if (bases.length === 0) return;
    const payload = this.#datagram();
    // What a STUN server has said is not to be said again in its name: whoever can do that is on the path (RFC 8489 §16).
    const isStun = payload.length >= 8 && COOKIE.every((byte, i) => payload[4 + i] === byte);
    const remote = pick(this.#random, isStun || randomUnit(this.#random) < 0.6 ? STRANGERS : [...this.#sources]);
    if (STRANGERS.includes(remote)) this.ledger.onReceived(remote, payload.length);
    target.handleDatagram({ base: pick(this.#random, bases), remote, payload }, this.#net.now);
    target.drain();
    this.sent++;
  }

  #datagram(): Uint8Array {
    const random = this.#random;
    const seen = this.#seen.any();
    switch (below(random, seen === undefined ? 3 : 8)) {
      case 0:
        return randomBytes(random, below(random, 1500));
      case 1:
        return this.#stun();
      case 2: {
        const bytes = randomBytes(random, 30 + below(random, 1300));
        bytes.set([pick(random, [0x40, 0xc0, 0xd0, 0xe0, 0xf0]), 0, 0, 0, pick(random, [0, 1, 2]), 8]);
        return bytes;
      }
      case 3:
      case 4:
        return seen ?? new Uint8Array(0);
      default:
        return mutated(seen ?? new Uint8Array(1), random, this.#seen.any());
    }
  }

  /** Any class and method, attributes that may be there, and lengths that may be right. */
  #stun(): Uint8Array {
    const random = this.#random;
    const attributes: Uint8Array[] = [];
    for (let i = below(random, 6); i > 0; i--) {
      const type = pick(random, [1, 3, 6, 8, 9, 0x0a, 0x14, 0x20, 0x24, 0x25, 0x26, 0x8022, 0x8028, 0x802a, 0x802c]);
      const lengthBytes = pick(random, [0, 4, 8, 20, below(random, 60)]);
      const value = randomBytes(random, randomUnit(random) < 0.9 ? (lengthBytes + 3) & ~3 : below(random, 40));
      attributes.push(Uint8Array.of(type >> 8, type & 0xff, 0, lengthBytes), value);
    }
    const body = concatBytes(...attributes);
    const type = pick(random, [0x0001, 0x0001, 0x0011, 0x0101, 0x0111, below(random, 0x4000)]);
    const length = randomUnit(random) < 0.9 ? body.length : below(random, 300);
    const head = Uint8Array.of(type >> 8, type & 0xff, length >> 8, length & 0xff);
    return concatBytes(head, COOKIE, randomBytes(random, 12), body);
  }
}
