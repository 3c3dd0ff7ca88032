/**
 * A machine over messages in the clothes of a machine over datagrams, so that a mux can time and drain it with the others.
 *
 * @module
 */

import type { Datagram, Machine } from "../protocols/core/machine.ts";
import type { MessageMachine } from "../signaling/channel.ts";

/** The machine's own events, and what it wants sent. */
export type MessagePortEvent<Event> =
  | { readonly type: "event"; readonly event: Event }
  | { readonly type: "message"; readonly text: string };

/** Wraps `machine`; messages come in through the machine itself. */
export class MessagePort<Event> implements Machine<MessagePortEvent<Event>> {
  readonly #machine: MessageMachine<Event>;

  constructor(machine: MessageMachine<Event>) {
    this.#machine = machine;
  }

  handleDatagram(_datagram: Datagram, _now: number): void {
    // Nothing routes datagrams here.
  }

  handleTimeout(now: number): void {
    this.#machine.handleTimeout(now);
  }

  pollTransmit(_now: number): Datagram | undefined {
    return undefined;
  }

  pollEvent(): MessagePortEvent<Event> | undefined {
    const event = this.#machine.pollEvent();
    if (event !== undefined) return { type: "event", event };
    const text = this.#machine.pollMessage();
    return text === undefined ? undefined : { type: "message", text };
  }

  pollTimeout(): number | undefined {
    return this.#machine.pollTimeout();
  }
}
