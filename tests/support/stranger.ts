/**
 * What a stranger sends: random bytes, things that look like packets, copies of what it has seen, damaged or not, and
 * Initials that open, since anybody has their keys (RFC 9001 §5.2). All of it from one seed. And who counts what comes back.
 *
 * @module
 */

import type { Address } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import type { Random } from "../../protocols/core/random.ts";
import { randomBytes, randomUnit } from "../../protocols/core/random.ts";
import { Writer } from "../../protocols/core/writer.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import { patchLength, TAG_BYTES, writeLongHeader } from "../../protocols/quic/packet.ts";
import { deriveInitialSecrets, INITIAL_SUITE, PacketSealer } from "../../protocols/quic/packet_protection.ts";

/** Datagrams that a stranger remembers to play again; one more takes the place of an earlier one. */
const MAX_SEEN = 64;

/** A whole number from 0 on, below `bound`. */
export function below(random: Random, bound: number): number {
  return Math.floor(randomUnit(random) * bound);
}

/** One of them. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[below(random, values.length)]!;
}

/** The bytes with a bit or a byte changed, cut, continued, repeated or mixed with others. */
export function mutated(bytes: Uint8Array, random: Random, other: Uint8Array = bytes): Uint8Array {
  const copy = bytes.slice();
  const at = below(random, copy.length);
  switch (below(random, 8)) {
    case 0:
    case 1:
      copy[at]! ^= 1 << below(random, 8);
      return copy;
    case 2:
      copy[at] = pick(random, [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff]);
      return copy;
    case 3:
      return copy.subarray(0, at);
    case 4:
      return concatBytes(copy, randomBytes(random, 1 + below(random, 40)));
    case 5:
      return concatBytes(copy.subarray(0, at), other.subarray(below(random, other.length)));
    case 6:
      random.fill(copy.subarray(at, at + 8));
      return copy;
    default:
      return concatBytes(copy.subarray(0, at), randomBytes(random, 1 + below(random, 8)), copy.subarray(at));
  }
}

/**
 * An Initial that opens.
 *
 * @param frames Its payload; PADDING fills the datagram up to `datagramBytes`.
 */
export function forgedInitial(
  frames: Uint8Array,
  options: {
    readonly destinationId: Uint8Array;
    readonly sourceId: Uint8Array;
    readonly token?: Uint8Array;
    readonly datagramBytes?: number;
    readonly sender?: "client" | "server";
    readonly packetNumber?: number;
  },
): Uint8Array {
  const { destinationId, sourceId, token, datagramBytes = 1200, sender = "client", packetNumber = 0 } = options;
  const bytes = new Uint8Array(Math.max(datagramBytes, frames.length + 400));
  const writer = new Writer(bytes);
  const lengthAt = writeLongHeader(writer, {
    type: "Initial",
    destinationConnectionId: destinationId,
    sourceConnectionId: sourceId,
    token: token ?? new Uint8Array(0),
    packetNumber,
    packetNumberBytes: 4,
  });
  const numberAt = writer.offset - 4;
  writer.bytes(frames);
  const payloadEnd = Math.max(writer.offset, datagramBytes - TAG_BYTES);
  patchLength(writer, lengthAt, payloadEnd + TAG_BYTES);
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, INITIAL_SUITE, deriveInitialSecrets(destinationId)[sender]);
  sealer.seal(bytes, 0, numberAt, 4, payloadEnd, packetNumber);
  return bytes.slice(0, payloadEnd + TAG_BYTES);
}

/** Datagrams that a stranger has seen pass, the latest and some of the earlier ones. */
export class Seen {
  readonly #random: Random;
  readonly #datagrams: Uint8Array[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** One passes. */
  add(bytes: Uint8Array): void {
    if (this.#datagrams.length < MAX_SEEN) this.#datagrams.push(bytes.slice());
    else this.#datagrams[below(this.#random, MAX_SEEN)] = bytes.slice();
  }

  /** One of them, if there are any. */
  any(): Uint8Array | undefined {
    return this.#datagrams.length === 0 ? undefined : pick(this.#random, this.#datagrams);
  }
}

/** RFC 9000 §8.1: what goes to an address that is not proven, per byte that came from it. */
const MAX_ANSWER_FACTOR = 3;

/** Counts every byte from and to addresses that are never proven. */
export class AnswerLedger {
  /** Datagrams that went to such an address. */
  answers = 0;
  readonly #balance = new Map<string, number>();

  /** Something came from there. */
  onReceived(address: Address | string, bytes: number): void {
    const key = String(address);
    this.#balance.set(key, (this.#balance.get(key) ?? 0) + MAX_ANSWER_FACTOR * bytes);
  }

  /** Something goes there. @throws {Error} If it is more than may. */
  onSent(address: Address | string, bytes: number): void {
    const key = String(address);
    const balance = (this.#balance.get(key) ?? 0) - bytes;
    this.answers++;
    if (balance < 0) throw new Error(`${key} was sent ${-balance} bytes more than three times what came from there`);
    this.#balance.set(key, balance);
  }
}
