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
  readonly #onHandled: () => void;
  #channel: VirtualChannel | undefined;
  #alarm: ScheduledEvent | undefined;
  #isDraining = false;
  #again = false;

  /**
   * @param callbacks `onEvent` gets each event of the machine; it may give it commands and then call `drain`. `onHandled`
   * is called whenever something has happened to the machine and it has been drained.
   */
  constructor(
    machine: DrivenMachine<Event>,
    host: VirtualHost,
    callbacks: { readonly onEvent?: (event: Event) => void; readonly onHandled?: () => void } = {},
  ) {
    this.#machine = machine;
    this.#host = host;
    this.#onEvent = callbacks.onEvent ?? (() => {});
    this.#onHandled = callbacks.onHandled ?? (() => {});
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
    this.#handled();
  }

  handleMessage(message: string, now: number): void {
    this.#machine.handleMessage(message, now);
    this.#handled();
  }

  handleClosed(now: number): void {
    this.#channel = undefined;
    this.#machine.handleClosed(now);
    this.#handled();
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

  #handled(): void {
    this.drain();
    this.#onHandled();
  }

  #setAlarm(at: number | undefined): void {
    const { clock } = this.#host;
    if (this.#alarm !== undefined) clock.cancel(this.#alarm);
    this.#alarm = at === undefined ? undefined : clock.schedule(at, () => {
      this.#alarm = undefined;
      this.#machine.handleTimeout(clock.now);
      this.#handled();
    });
  }
}

/**
 * Serves machines, one a channel, on a port of the host. They may share what they know: whenever something has happened to
 * one of them, all are drained until nothing moves.
 *
 * @param make Makes the machine of a channel whose request has been read.
 * @param onEvent Gets each event, with the driver it came through.
 */
export function serveMessages<Event>(
  host: VirtualHost,
  port: number,
  make: (remote: Address) => DrivenMachine<Event>,
  onEvent: (event: Event, driver: MessageDriver<Event>) => void = () => {},
): StreamListener {
  const drivers = new Set<MessageDriver<Event>>();
  const drainAll = (): void => {
    for (let moved = true; moved;) {
      moved = false;
      for (const driver of drivers) moved = driver.drain() || moved;
    }
  };
  return serveChannels(host, port, (channel) => {
    const driver = new MessageDriver(make(channel.remote), host, {
      onEvent: (event: Event) => onEvent(event, driver),
      onHandled: drainAll,
    });
    driver.attach(channel);
    drivers.add(driver);
    return {
      handleOpen: (now) => driver.handleOpen(now),
      handleMessage: (message, now) => driver.handleMessage(message, now),
      handleClosed: (now) => {
        drivers.delete(driver);
        driver.handleClosed(now);
      },
    };
  });
}
