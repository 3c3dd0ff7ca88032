/**
 * Unreliable datagrams: the queues in front of and behind the DATAGRAM frame (RFC 9221).
 *
 * @module
 */

import { DATAGRAM_BUFFERS } from "./datagram_buffers.ts";
import { Fifo } from "./fifo.ts";

/** Datagrams that wait to be sent; one more drops the oldest, as fresh data is worth more. */
export const MAX_SEND_DATAGRAMS = 128;
/** Datagrams that wait to be read; one more drops the oldest. */
export const MAX_RECEIVE_DATAGRAMS = 256;

/** Both directions. */
export class Datagrams {
  readonly #toSend = new DatagramQueue(MAX_SEND_DATAGRAMS);
  readonly #received = new DatagramQueue(MAX_RECEIVE_DATAGRAMS);
  #isReadableDue = false;

  /** Datagrams dropped because too many waited to be sent. */
  get sendDropped(): number {
    return this.#toSend.dropped;
  }

  /** Datagrams dropped because too many waited to be read. */
  get receiveDropped(): number {
    return this.#received.dropped;
  }

  /** Whether any wait to be sent. */
  get hasToSend(): boolean {
    return this.#toSend.count > 0;
  }

  /** Queues a datagram; the bytes are copied. Whether its size is allowed is the connection's to check. */
  send(data: Uint8Array): void {
    const bytes = DATAGRAM_BUFFERS.take(data.length);
    bytes.set(data);
    this.give(bytes);
  }

  /** As `send`, without a copy: the bytes are the queue's from now on, and written over when they have been sent. */
  give(data: Uint8Array): void {
    this.#toSend.push(data);
  }

  /** The next datagram to send, left in the queue: it may not fit into the packet at hand. */
  peekToSend(): Uint8Array | undefined {
    return this.#toSend.peek();
  }

  /** The next datagram was put into a packet, or is too large for the path for good: its memory is free. */
  dropToSend(): void {
    const data = this.#toSend.take();
    if (data !== undefined) DATAGRAM_BUFFERS.give(data);
  }

  /** A DATAGRAM frame came in; its bytes are copied. */
  onDatagram(data: Uint8Array): void {
    if (this.#received.count === 0) this.#isReadableDue = true;
    this.#received.push(data.slice());
  }

  /** Whether datagrams came since the queue was last empty: asked once, told once. */
  takeReadable(): boolean {
    const isDue = this.#isReadableDue;
    this.#isReadableDue = false;
    return isDue;
  }

  /** The next datagram received, now the caller's own. */
  read(): Uint8Array | undefined {
    return this.#received.take();
  }
}

/** A queue of datagrams that drops its oldest when it is full. */
class DatagramQueue {
  readonly #maxDatagrams: number;
  readonly #queue = new Fifo<Uint8Array>();
  #dropped = 0;

  constructor(maxDatagrams: number) {
    this.#maxDatagrams = maxDatagrams;
  }

  get count(): number {
    return this.#queue.count;
  }

  get dropped(): number {
    return this.#dropped;
  }

  push(data: Uint8Array): void {
    if (this.#queue.count === this.#maxDatagrams) {
      this.#queue.shift();
      this.#dropped++;
    }
    this.#queue.push(data);
  }

  peek(): Uint8Array | undefined {
    return this.#queue.peek();
  }

  take(): Uint8Array | undefined {
    return this.#queue.shift();
  }
}
