/**
 * What happened to every packet: counted, folded into one hash (the same seed gives the same hash), and kept as a list
 * for those who ask.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { toHex } from "../protocols/core/bytes.ts";
import { Writer } from "../protocols/core/writer.ts";
import type { Packet } from "./packet.ts";

const DROP_REASONS = [
  "loss",
  "queue full",
  "too big",
  "scripted",
  "no route",
  "no way out",
  "host down",
  "port closed",
  "no mapping",
  "filtered",
  "hairpin",
  "no free port",
  "no such address",
] as const;

/** Why a packet ended before its destination. */
export type DropReason = typeof DROP_REASONS[number];

/** One thing that happened to a packet. `at` is virtual time; `where` names the host, NAT or link. */
export type PacketEvent =
  & { readonly at: number; readonly where: string; readonly packet: Packet }
  & (
    | { readonly type: "sent" | "translated" | "duplicated" | "delivered" }
    | { readonly type: "dropped"; readonly reason: DropReason }
  );

/** How a trace is kept. */
export interface TraceOptions {
  /** Keep the events themselves, at most {@linkcode MAX_TRACE_EVENTS}; the hash and the counts are kept always. */
  readonly keepEvents?: boolean;
  /** Fold payloads into the hash, too: only where every key is drawn from the network's seed. */
  readonly hashPayloads?: boolean;
}

/** Events kept at most; later ones are only counted. */
export const MAX_TRACE_EVENTS = 200_000;

const BLOCK_BYTES = 65_536;
/** Type, reason, packet number, size, instant, and two IPv6 addresses with ports, rounded up. */
const MAX_RECORD_BYTES = 64;
const TYPES = ["sent", "translated", "duplicated", "delivered", "dropped"] as const;

/** Takes down packet events. */
export class Trace {
  readonly #options: TraceOptions;
  readonly #events: PacketEvent[] = [];
  readonly #drops = new Map<DropReason, number>();
  readonly #counts = new Map<PacketEvent["type"], number>();
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #writer = new Writer(this.#block);
  readonly #instant = new DataView(new ArrayBuffer(8));
  readonly #instantBytes = new Uint8Array(this.#instant.buffer);
  #chain = new Uint8Array(32);

  constructor(options: TraceOptions = {}) {
    this.#options = options;
  }

  /** What was kept, in order. Empty unless `keepEvents` was asked for. */
  get events(): readonly PacketEvent[] {
    return this.#events;
  }

  /** Packets dropped, by reason. */
  get drops(): ReadonlyMap<DropReason, number> {
    return this.#drops;
  }

  /** How many events of this type there were. */
  count(type: PacketEvent["type"]): number {
    return this.#counts.get(type) ?? 0;
  }

  add(event: PacketEvent): void {
    this.#counts.set(event.type, this.count(event.type) + 1);
    if (event.type === "dropped") this.#drops.set(event.reason, (this.#drops.get(event.reason) ?? 0) + 1);
    if (this.#options.keepEvents === true && this.#events.length < MAX_TRACE_EVENTS) this.#events.push(event);
    this.#fold(event);
  }

  /** SHA-256 over all events so far, as hexadecimal. */
  hash(): string {
    return toHex(this.#digest());
  }

  #fold(event: PacketEvent): void {
    const writer = this.#writer;
    const { packet } = event;
    if (writer.remaining < MAX_RECORD_BYTES) this.#nextBlock();
    this.#instant.setFloat64(0, event.at);
    writer.bytes(this.#instantBytes);
    writer.uint8(TYPES.indexOf(event.type));
    writer.uint8(event.type === "dropped" ? DROP_REASONS.indexOf(event.reason) : 0);
    writer.uint32(packet.id);
    writer.uint16(packet.bytes);
    writer.bytes(packet.source.bytes);
    writer.uint16(packet.source.port);
    writer.bytes(packet.destination.bytes);
    writer.uint16(packet.destination.port);
    if (this.#options.hashPayloads !== true || event.type !== "sent") return;
    if (writer.remaining < packet.payload.length) this.#nextBlock();
    writer.bytes(packet.payload);
  }

  #nextBlock(): void {
    this.#chain = this.#digest();
    this.#writer.reset(this.#block);
  }

  #digest(): Uint8Array<ArrayBuffer> {
    const digest = createHash("sha256").update(this.#chain).update(this.#writer.written()).digest();
    return new Uint8Array(digest);
  }
}
