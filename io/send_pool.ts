/**
 * The buffers that datagrams are sent from. The runtime holds the bytes of a `send` until it settles, so each send gets a
 * buffer of its own, out of a fixed number of them.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import { MAX_BURST_DATAGRAMS } from "./driver.ts";

/** Sends on their way at once. At the limit the driver stops polling until some have settled. */
export const MAX_SENDS_IN_FLIGHT = 128;

/** Bytes of a buffer: any datagram for an Ethernet. Larger ones get memory of their own for as long as they take. */
export const SEND_SLOT_BYTES = 2048;

/** One send on its way. */
export class SendSlot {
  /** Told when the send settles. They are made once: a send makes no closure. */
  readonly onSent: () => void;
  readonly onFailed: (error: unknown) => void;
  /** Either of them: for sockets that call back with an error or nothing. */
  readonly onSettled: (error: unknown) => void;
  readonly #buffer = new Uint8Array(SEND_SLOT_BYTES);
  // Most datagrams of a connection have one size: the view of that size is kept.
  #view: Uint8Array = this.#buffer;
  #base: Base | undefined;
  #remote: Address | undefined;

  constructor(onSettled: (slot: SendSlot, error: unknown) => void) {
    this.onSent = () => onSettled(this, undefined);
    this.onFailed = (error) => onSettled(this, error ?? new Error("The send failed"));
    this.onSettled = (error) => onSettled(this, error ?? undefined);
  }

  get base(): Base | undefined {
    return this.#base;
  }

  get remote(): Address | undefined {
    return this.#remote;
  }

  /** Copies `payload[start, end)`; the bytes returned are the slot's until it is given back. */
  fill(base: Base, remote: Address, payload: Uint8Array, start: number, end: number): Uint8Array {
    this.#base = base;
    this.#remote = remote;
    const length = end - start;
    if (length > SEND_SLOT_BYTES) return payload.slice(start, end);
    if (this.#view.length !== length) this.#view = this.#buffer.subarray(0, length);
    this.#view.set(start === 0 && end === payload.length ? payload : payload.subarray(start, end));
    return this.#view;
  }

  /** Forgets whose send it was. */
  clear(): void {
    this.#base = undefined;
    this.#remote = undefined;
  }
}

/** A fixed number of slots, made when they are first needed. */
export class SendPool {
  readonly #free: SendSlot[] = [];
  readonly #onSettled: (slot: SendSlot, error: unknown) => void;
  #madeCount = 0;

  constructor(onSettled: (slot: SendSlot, error: unknown) => void) {
    this.#onSettled = onSettled;
  }

  /** Whether a whole burst fits. Less is no room: a burst should not be cut into ones and twos. */
  get hasRoom(): boolean {
    return MAX_SENDS_IN_FLIGHT - this.#madeCount + this.#free.length >= MAX_BURST_DATAGRAMS;
  }

  /** A slot, or `undefined` while all are on their way. */
  take(): SendSlot | undefined {
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    if (this.#madeCount === MAX_SENDS_IN_FLIGHT) return undefined;
    this.#madeCount++;
    return new SendSlot(this.#onSettled);
  }

  /** Takes a slot back. */
  give(slot: SendSlot): void {
    slot.clear();
    this.#free.push(slot);
  }
}
