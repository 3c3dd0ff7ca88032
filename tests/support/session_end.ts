/**
 * One end of a session that has work to do: streams to be sent whole, to be given up and to be stopped, answers to those of
 * the other end, and numbered datagrams. Everything that comes is checked: every byte once and in its place, every end where
 * it was put, no datagram twice.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { type Random, randomUnit } from "../../protocols/core/random.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import type { Directionality } from "../../protocols/quic/stream_id.ts";
import type { Peer } from "./quic_pair.ts";
import { byteAt } from "./quic_transfer.ts";

/** What becomes of a stream: all arrives; its opener gives it up; whoever reads it has enough, and its opener waits for that. */
export type Fate = "whole" | "reset" | "stopped";

/** A stream to be opened. */
export interface Job {
  readonly directionality: Directionality;
  /** In each direction that has any. */
  readonly bytes: number;
  readonly fate: Fate;
}

/** What is said of a stream that is given up, and of one that is stopped. */
const RESET_CODE = 9;
const STOP_CODE = 11;

const MAX_WRITE_BYTES = 16_384;
const MAX_DATAGRAM_BYTES = 600;

/** What both ends know of each stream, by ID: its opener tells. */
export type Ledger = Map<number, Job>;

/** One end. */
export class SessionEnd {
  readonly connection: QuicConnection;
  /** Bytes of whole streams that have arrived. */
  receivedBytes = 0;
  readonly closed = new Set<number>();
  /** That the connection ends is as it should be. */
  isClosing = false;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #jobs: Job[];
  readonly #sent = new Map<number, number>();
  readonly #received = new Map<number, number>();
  readonly #ended = new Set<number>();
  readonly #datagrams = new Set<number>();
  #nextDatagram = 0;

  /** @param jobs Streams that this end opens, in order, as soon as it may. */
  constructor(peer: Peer, connection: QuicConnection, jobs: readonly Job[], ledger: Ledger, random: Random) {
    this.connection = connection;
    this.#jobs = [...jobs];
    this.#ledger = ledger;
    this.#random = random;
    peer.onEvent = (_, event) => this.#handle(event);
  }

  /** Whether all streams that there will ever be here have ended. */
  get isDone(): boolean {
    return this.#jobs.length === 0 && this.closed.size === this.#ledger.size;
  }

  /** What is still open, for who wants to know why it is not done. */
  get leftOver(): string {
    const open = [...this.#ledger].filter(([id]) => !this.closed.has(id)).map(([id, { fate, directionality }]) =>
      `${id} (${directionality}, ${fate}: ${this.#sent.get(id) ?? 0} sent, ${this.#received.get(id) ?? 0} received)`
    );
    return `${this.connection.role}: ${this.#jobs.length} streams not opened, open: ${open.join(", ") || "none"}`;
  }

  /** Opens what may be opened. */
  start(): void {
    for (let job = this.#jobs[0]; job !== undefined; job = this.#jobs[0]) {
      const id = this.connection.openStream(job.directionality);
      if (id === undefined) return;
      this.#jobs.shift();
      this.#ledger.set(id, job);
      this.#sent.set(id, 0);
      this.#write(id);
    }
  }

  /** Numbered, so that one that arrives twice is known. */
  sendDatagram(): void {
    const length = 4 + Math.floor(randomUnit(this.#random) * MAX_DATAGRAM_BYTES);
    const data = new Uint8Array(length).fill(length & 0xff);
    new DataView(data.buffer).setUint32(0, this.#nextDatagram++);
    this.connection.sendDatagram(data);
  }

  /** Every stream that was to arrive whole has. */
  check(): void {
    for (const [id, { fate, bytes }] of this.#ledger) {
      if (fate !== "whole" || !this.#receives(id)) continue;
      strictEqual(this.#received.get(id), bytes, `stream ${id} at the ${this.connection.role}`);
      strictEqual(this.#ended.has(id), true, `stream ${id} at the ${this.connection.role} has ended`);
    }
  }

  #handle(event: ConnectionEvent): void {
    switch (event.type) {
      case "streamOpened": {
        const { fate } = this.#jobOf(event.id);
        strictEqual(this.#received.has(event.id), false, `stream ${event.id} opened twice`);
        this.#received.set(event.id, 0);
        if (event.directionality === "unidirectional") break;
        this.#sent.set(event.id, 0);
        if (fate === "whole") this.#write(event.id);
        else this.connection.finish(event.id);
        break;
      }
      case "streamWritable":
        this.#write(event.id);
        break;
      case "streamsAvailable":
        this.start();
        break;
      case "streamReadable":
        this.#read(event.id);
        break;
      case "streamReset": {
        const { fate } = this.#jobOf(event.id);
        // RFC 9000 §3.5: a stream that is stopped is reset with the code that came.
        strictEqual(event.code, fate === "reset" ? RESET_CODE : STOP_CODE, `stream ${event.id}, ${fate}, is reset`);
        break;
      }
      case "streamStopped":
        strictEqual(this.#jobOf(event.id).fate, "stopped", `stream ${event.id} is stopped`);
        strictEqual(event.code, STOP_CODE);
        break;
      case "streamClosed":
        strictEqual(this.closed.has(event.id), false, `stream ${event.id} closed twice`);
        this.closed.add(event.id);
        break;
      case "datagramReadable":
        for (let data = this.connection.readDatagram(); data !== undefined; data = this.connection.readDatagram()) {
          this.#checkDatagram(data);
        }
        break;
      case "closed":
        if (!this.isClosing) throw new Error(`The connection closed by ${event.by}: ${event.code} ${event.reason}`);
        break;
      default:
    }
  }

  #write(id: number): void {
    const { bytes, fate } = this.#jobOf(id);
    let sent = this.#sent.get(id) ?? 0;
    while (sent < bytes) {
      const data = new Uint8Array(Math.min(bytes - sent, 1 + Math.floor(randomUnit(this.#random) * MAX_WRITE_BYTES)));
      for (let i = 0; i < data.length; i++) data[i] = byteAt(this.#keyOf(id, true), sent + i);
      const taken = this.connection.write(id, data);
      sent += taken;
      this.#sent.set(id, sent);
      if (taken < data.length) return;
    }
    if (fate === "whole") this.connection.finish(id);
    else if (fate === "reset") this.connection.reset(id, RESET_CODE);
    // One that is to be stopped is not finished: nothing but STOP_SENDING ends it.
  }

  #read(id: number): void {
    const { bytes, fate } = this.#jobOf(id);
    let offset = this.#received.get(id) ?? 0;
    const key = this.#keyOf(id, false);
    for (let data = this.connection.read(id); data !== undefined; data = this.connection.read(id)) {
      for (const byte of data) {
        if (byte !== byteAt(key, offset++)) throw new Error(`Stream ${id} is wrong at ${offset - 1}`);
      }
      if (fate === "whole") this.receivedBytes += data.length;
    }
    this.#received.set(id, offset);
    if (fate === "stopped" && offset >= bytes / 2 && this.#isOpener(id) === false) {
      this.connection.stopSending(id, STOP_CODE);
    }
    if (fate !== "whole" || !this.connection.isAtEnd(id)) return;
    strictEqual(offset, bytes, `stream ${id} ends`);
    this.#ended.add(id);
  }

  #checkDatagram(data: Uint8Array): void {
    const number = new DataView(data.buffer, data.byteOffset).getUint32(0);
    if (this.#datagrams.has(number)) throw new Error(`Datagram ${number} arrived twice`);
    this.#datagrams.add(number);
    if (data.subarray(4).some((byte) => byte !== (data.length & 0xff))) throw new Error(`Datagram ${number} is wrong`);
  }

  #jobOf(id: number): Job {
    const job = this.#ledger.get(id);
    if (job === undefined) throw new Error(`Stream ${id} was opened by nobody`);
    return job;
  }

  /** RFC 9000 §2.1: bit 0 is who opened it, bit 1 whether it is unidirectional. */
  #isOpener(id: number): boolean {
    return (id & 1) === (this.connection.role === "client" ? 0 : 1);
  }

  #receives(id: number): boolean {
    return (id & 2) === 0 || !this.#isOpener(id);
  }

  /** The two directions of a stream carry different bytes. */
  #keyOf(id: number, isSent: boolean): number {
    return 2 * id + Number((this.connection.role === "client") === isSent);
  }
}
