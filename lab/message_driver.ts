/**
 * Drives a machine over messages on virtual channels: what `io/driver.ts` is for datagrams.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { ScheduledEvent } from "./clock.ts";
import type { VirtualHost } from "./host.ts";
import { type ChannelHandler, openChannel, serveChannels, type VirtualChannel } from "./message_channel.ts";
import type { StreamListener } from "./stream_stack.ts";

/**
 * The machines that can be driven. This is `MessageMachine` of `signaling/channel.ts` by shape: the laboratory knows no
 * signaling, and types compare by shape.
 */
export interface DrivenMachine<Event> {
  handleOpen(now: number): void;
  handleMessage(message: string, now: number): void;
  handleClosed(now: number): void;
  handleTimeout(now: number): void;
  pollMessage(): string | undefined;
  pollEvent(): Event | undefined;
  pollTimeout(): number | undefined;
}

/** Drives one machine on one channel after the other. */
export class MessageDriver<Event> implements ChannelHandler {
  readonly #machine: DrivenMachine<Event>;
  readonly #host: VirtualHost;
  readonly #onEvent: (event: Event) => void;
  #channel: VirtualChannel | undefined;
  #alarm: ScheduledEvent | undefined;
  #isDraining = false;
  #again = false;

  /** @param onEvent Gets each event of the machine; it may give it commands and then call `drain`. */
  constructor(machine: DrivenMachine<Event>, host: VirtualHost, onEvent: (event: Event) => void) {
    this.#machine = machine;
    this.#host = host;
    this.#onEvent = onEvent;
  }

  /** Opens a channel to a hub; again after the last one was closed. */
  connect(hub: Address): void {
    this.#channel = openChannel(this.#host, hub, this);
    this.drain();
  }

  /** Goes on with a channel that came in. */
  attach(channel: VirtualChannel): void {
    this.#channel = channel;
  }

  /** Closes the channel; the machine is told when it is closed. */
  close(): void {
    this.#channel?.close();
  }

  handleOpen(now: number): void {
    this.#machine.handleOpen(now);
    this.drain();
  }

  handleMessage(message: string, now: number): void {
    this.#machine.handleMessage(message, now);
    this.drain();
  }

  handleClosed(now: number): void {
    this.#channel = undefined;
    this.#machine.handleClosed(now);
    this.drain();
  }

  /**
   * Drains the machine: call it after every command. Harmless at any time.
   *
   * @returns Whether there was anything to drain.
   */
  drain(): boolean {
    if (this.#isDraining) {
      this.#again = true;
      return true;
    }
    this.#isDraining = true;
    let moved = false;
    do {
      moved ||= this.#again;
      this.#again = false;
      for (let event = this.#machine.pollEvent(); event !== undefined; event = this.#machine.pollEvent()) {
        this.#onEvent(event);
        this.#again = true;
      }
      for (let text = this.#machine.pollMessage(); text !== undefined; text = this.#machine.pollMessage()) {
        this.#channel?.send(text);
        this.#again = true;
      }
    } while (this.#again);
    this.#isDraining = false;
    this.#setAlarm(this.#machine.pollTimeout());
    return moved;
  }

  #setAlarm(at: number | undefined): void {
    const { clock } = this.#host;
    if (this.#alarm !== undefined) clock.cancel(this.#alarm);
    this.#alarm = at === undefined ? undefined : clock.schedule(at, () => {
      this.#alarm = undefined;
      this.#machine.handleTimeout(clock.now);
      this.drain();
    });
  }
}

/**
 * Serves machines, one a channel, on a port of the host. They may share what they know: whenever one of them has moved, all
 * are drained until nothing moves.
 *
 * @param make Makes the machine of a channel whose request has been read.
 * @param onEvent Gets each event with the machine it came from.
 */
export function serveMessages<Event>(
  host: VirtualHost,
  port: number,
  make: (remote: Address) => DrivenMachine<Event>,
  onEvent: (event: Event, machine: DrivenMachine<Event>) => void = () => {},
): StreamListener {
  const drivers = new Set<MessageDriver<Event>>();
  const drainAll = (): void => {
    for (let moved = true; moved;) {
      moved = false;
      for (const driver of drivers) moved = driver.drain() || moved;
    }
  };
  return serveChannels(host, port, (channel) => {
    const machine = make(channel.remote);
    const driver = new MessageDriver(machine, host, (event) => onEvent(event, machine));
    driver.attach(channel);
    drivers.add(driver);
    return {
      handleOpen: (now) => driver.handleOpen(now),
      handleMessage: (message, now) => {
        driver.handleMessage(message, now);
        drainAll();
      },
      handleClosed: (now) => {
        driver.handleClosed(now);
        drivers.delete(driver);
        drainAll();
      },
    };
  });
}
