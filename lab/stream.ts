/**
 * One end of a TCP-like stream, made of packets: SYN and SYN-ACK, numbered segments, cumulative acknowledgements,
 * retransmission (RFC 6298), slow start and fast retransmit (RFC 5681), FIN and RST. Segments are numbered one by one and
 * not by bytes; windows, half-closing and TIME-WAIT are left out, as nothing that waits for a hub can tell.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { ScheduledEvent, VirtualClock } from "./clock.ts";
import type { SegmentType, TcpPacket } from "./packet.ts";

/** Why a stream ended: closed by either end, reset, no answer, no way to the remote. */
export type CloseReason = "finished" | "reset" | "timeout" | "unreachable";

/** Who is told what happens to a stream. Each call is made in virtual time, at the instant it happens. */
export interface StreamHandler {
  /** The three-way handshake is done as far as this end can tell. */
  handleOpen?(): void;
  /** The next bytes, in order; to be kept or read, never written. */
  handleData?(bytes: Uint8Array): void;
  /** The last call. */
  handleClosed?(reason: CloseReason): void;
}

/** RFC 6298 §2.1. */
const INITIAL_RTO_MS = 1000;
/** What systems do in place of the 1 s of RFC 6298 §2.4. */
const MIN_RTO_MS = 200;
/** RFC 6298 §2.5 allows any maximum of 60 s and more. */
const MAX_RTO_MS = 120_000;
/** The SYN is sent again so often, then the stream ends with `timeout`, 127 s after the first. */
export const MAX_SYN_RETRANSMISSIONS = 6;
/** The same for other segments. */
export const MAX_RETRANSMISSIONS = 10;
/** RFC 6928 §2, in segments. */
const INITIAL_WINDOW = 10;
/** RFC 5681 §3.2. */
const DUPLICATE_ACKS = 3;
/** Segments that arrived ahead of a gap; more are dropped, and sent again by the other end. */
const MAX_AHEAD = 1024;

/** Segments that wait for the window, about 95 MB; one more is an error of the test. */
const MAX_QUEUED_SEGMENTS = 65_536;

const NO_BYTES = new Uint8Array(0);

type State = "connecting" | "accepting" | "open" | "closed";

interface Outstanding {
  readonly type: "DATA" | "FIN";
  readonly sequence: number;
  readonly payload: Uint8Array;
  sentAt: number;
  isRetransmitted: boolean;
}

/** What a stream needs of its host. */
export interface StreamContext {
  readonly clock: VirtualClock;
  readonly mssBytes: number;
  send(segment: Pick<TcpPacket, "type" | "sequence" | "acknowledged" | "payload">): void;
  /** The stream is closed: its host forgets it. */
  forget(): void;
}

/** One end of a stream. Made by `StreamStack`. */
export class VirtualStream {
  readonly local: Address;
  readonly remote: Address;
  readonly #context: StreamContext;
  /** Who is told; whoever accepts a stream sets it before the first byte. */
  handler: StreamHandler;
  #state: State;
  readonly #queue: { readonly type: "DATA" | "FIN"; readonly payload: Uint8Array }[] = [];
  readonly #outstanding: Outstanding[] = [];
  #nextSequence = 0;
  #window = INITIAL_WINDOW;
  #threshold = Number.POSITIVE_INFINITY;
  #duplicateAcks = 0;
  /** Loss recovery lasts until this number is acknowledged: RFC 6582 §3.2. */
  #recoverUntil = 0;
  #smoothedRttMs: number | undefined;
  #rttVarianceMs = 0;
  #rtoMs = INITIAL_RTO_MS;
  #retransmissions = 0;
  #timer: ScheduledEvent | undefined;
  #handshakeSentAt = 0;
  #expected = 0;
  readonly #ahead = new Map<number, TcpPacket>();
  #isFinQueued = false;
  #isFinReceived = false;
  #isTold = false;

  constructor(
    ends: { readonly local: Address; readonly remote: Address; readonly role: "client" | "server" },
    handler: StreamHandler,
    context: StreamContext,
  ) {
    this.local = ends.local;
    this.remote = ends.remote;
    this.handler = handler;
    this.#context = context;
    this.#state = ends.role === "client" ? "connecting" : "accepting";
    this.#sendHandshake();
  }

  /** Whether bytes can go in both directions. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /**
   * Sends bytes, in segments; before the stream is open they wait. They are the stream's from now on.
   *
   * @throws {RangeError} If too much waits.
   */
  send(bytes: Uint8Array): void {
    if (this.#state === "closed" || this.#isFinQueued) return;
    const { mssBytes } = this.#context;
    if (this.#queue.length + bytes.length / mssBytes > MAX_QUEUED_SEGMENTS) {
      throw new RangeError(`Cannot send ${bytes.length} bytes: ${this.#queue.length} segments wait`);
    }
    for (let offset = 0; offset < bytes.length; offset += mssBytes) {
      this.#queue.push({ type: "DATA", payload: bytes.subarray(offset, offset + mssBytes) });
    }
    this.#flush();
  }

  /** Ends both directions once everything is sent. Harmless when it is closed. */
  close(): void {
    if (this.#state === "closed" || this.#isFinQueued) return;
    // RFC 9293 §3.10.4: in SYN-SENT the connection is deleted. A SYN-ACK will find nobody.
    if (this.#state === "connecting" && this.#queue.length === 0) return this.#end("finished");
    this.#isFinQueued = true;
    this.#queue.push({ type: "FIN", payload: NO_BYTES });
    this.#flush();
  }

  /** Ends the stream at once with RST, as a process does that dies. */
  reset(): void {
    if (this.#state === "closed") return;
    this.#send("RST", this.#nextSequence, NO_BYTES);
    this.#end("reset");
  }

  /** Ends the stream without a word to the other end; this end is told, if there is a reason. */
  abandon(reason?: CloseReason): void {
    this.#end(reason);
  }

  /** Takes a segment in. */
  receive(packet: TcpPacket): void {
    switch (packet.type) {
      case "SYN":
        // Our SYN-ACK was lost, or is on its way: it is sent again by its timer.
        return;
      case "SYN-ACK":
        return this.#receiveSynAck();
      case "RST":
        return this.#end("reset");
      case "ACK":
      case "DATA":
      case "FIN":
        // A segment that overtook the SYN-ACK; the other end sends it again.
        if (this.#state === "connecting") return;
        if (this.#state === "accepting") this.#open();
        this.#acknowledge(packet);
        if (packet.type !== "ACK") this.#deliver(packet);
    }
  }

  #sendHandshake(): void {
    this.#handshakeSentAt = this.#context.clock.now;
    this.#send(this.#state === "connecting" ? "SYN" : "SYN-ACK", 0, NO_BYTES);
    this.#startTimer();
  }

  #receiveSynAck(): void {
    const isFirst = this.#state === "connecting";
    this.#send("ACK", this.#nextSequence, NO_BYTES);
    if (isFirst) this.#open();
  }

  #open(): void {
    this.#stopTimer();
    if (this.#retransmissions === 0) this.#sampleRtt(this.#context.clock.now - this.#handshakeSentAt);
    this.#retransmissions = 0;
    this.#state = "open";
    this.handler.handleOpen?.();
    this.#flush();
  }

  #flush(): void {
    if (this.#state !== "open") return;
    while (this.#outstanding.length < Math.floor(this.#window)) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      const sequence = this.#nextSequence++;
      this.#outstanding.push({ ...next, sequence, sentAt: this.#context.clock.now, isRetransmitted: false });
      this.#send(next.type, sequence, next.payload);
    }
    if (this.#outstanding.length > 0 && this.#timer === undefined) this.#startTimer();
  }

  #acknowledge({ acknowledged, type }: TcpPacket): void {
    const first = this.#outstanding[0];
    if (first === undefined) return;
    if (acknowledged <= first.sequence) {
      if (type === "ACK" && acknowledged === first.sequence && ++this.#duplicateAcks === DUPLICATE_ACKS) {
        this.#recover();
      }
      return;
    }
    const { now } = this.#context.clock;
    let count = 0;
    for (let oldest = this.#outstanding[0]; oldest !== undefined; oldest = this.#outstanding[0]) {
      if (oldest.sequence >= acknowledged) break;
      // Karn's algorithm: RFC 6298 §3.
      if (!oldest.isRetransmitted) this.#sampleRtt(now - oldest.sentAt);
      this.#outstanding.shift();
      count++;
    }
    this.#duplicateAcks = 0;
    this.#retransmissions = 0;
    this.#window += this.#window < this.#threshold ? count : count / this.#window;
    this.#stopTimer();
    const hole = this.#outstanding[0];
    // A partial acknowledgement shows the next hole: RFC 6582 §3.2.
    if (hole !== undefined && hole.sequence < this.#recoverUntil) this.#resend(hole);
    if (this.#isFinReceived && this.#isFinQueued && this.#outstanding.length === 0 && this.#queue.length === 0) {
      return this.#end("finished");
    }
    this.#flush();
  }

  #deliver(packet: TcpPacket): void {
    if (packet.sequence >= this.#expected && this.#ahead.size < MAX_AHEAD) this.#ahead.set(packet.sequence, packet);
    const arrived: TcpPacket[] = [];
    for (let next = this.#ahead.get(this.#expected); next !== undefined; next = this.#ahead.get(this.#expected)) {
      this.#ahead.delete(this.#expected++);
      arrived.push(next);
    }
    this.#send("ACK", this.#nextSequence, NO_BYTES);
    for (const { type, payload } of arrived) {
      if (type === "DATA") this.handler.handleData?.(payload);
      else this.#finish();
    }
  }

  #finish(): void {
    this.#isFinReceived = true;
    // There is nothing more to come: that is the end for whoever listens, whatever happens to our own FIN.
    this.#tell("finished");
    if (this.#isFinQueued && this.#outstanding.length === 0 && this.#queue.length === 0) return this.#end(undefined);
    this.close();
  }

  #recover(): void {
    const [first] = this.#outstanding;
    if (first === undefined || first.sequence < this.#recoverUntil) return;
    this.#recoverUntil = this.#nextSequence;
    this.#threshold = Math.max(2, this.#outstanding.length / 2);
    this.#window = this.#threshold;
    this.#resend(first);
  }

  #resend(segment: Outstanding): void {
    segment.isRetransmitted = true;
    this.#send(segment.type, segment.sequence, segment.payload);
    this.#stopTimer();
    this.#startTimer();
  }

  #send(type: SegmentType, sequence: number, payload: Uint8Array): void {
    this.#context.send({ type, sequence, acknowledged: this.#expected, payload });
  }

  #startTimer(): void {
    const waitMs = Math.min(MAX_RTO_MS, this.#rtoMs * 2 ** this.#retransmissions);
    this.#timer = this.#context.clock.schedule(this.#context.clock.now + waitMs, () => this.#expire());
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#context.clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const limit = this.#state === "open" ? MAX_RETRANSMISSIONS : MAX_SYN_RETRANSMISSIONS;
    if (++this.#retransmissions > limit) return this.#end("timeout");
    if (this.#state !== "open") return this.#sendHandshake();
    const [first] = this.#outstanding;
    if (first === undefined) return;
    this.#recoverUntil = this.#nextSequence;
    this.#threshold = Math.max(2, this.#outstanding.length / 2);
    this.#window = 1;
    this.#resend(first);
  }

  /** RFC 6298 §2. */
  #sampleRtt(rttMs: number): void {
    if (this.#smoothedRttMs === undefined) {
      this.#smoothedRttMs = rttMs;
      this.#rttVarianceMs = rttMs / 2;
    } else {
      this.#rttVarianceMs = 0.75 * this.#rttVarianceMs + 0.25 * Math.abs(this.#smoothedRttMs - rttMs);
      this.#smoothedRttMs = 0.875 * this.#smoothedRttMs + 0.125 * rttMs;
    }
    this.#rtoMs = Math.max(MIN_RTO_MS, this.#smoothedRttMs + 4 * this.#rttVarianceMs);
  }

  /** @param reason `undefined` tells nobody. */
  #end(reason: CloseReason | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#stopTimer();
    this.#queue.length = 0;
    this.#outstanding.length = 0;
    this.#ahead.clear();
    this.#context.forget();
    if (reason !== undefined) this.#tell(reason);
  }

  #tell(reason: CloseReason): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.handler.handleClosed?.(reason);
  }
}
