/**
 * One client's view of a hub, as a machine over messages: for carriers that drive one machine a connection, as the virtual
 * network does.
 *
 * @module
 */

import type { MessageMachine } from "../signaling/channel.ts";
import type { Hub } from "./hub.ts";

/** The hub asks for the connection to be closed. */
export interface HubPortEvent {
  readonly type: "disconnect";
}

/** Makes a port for each connection to one hub. What one port causes may have to be polled at others. */
export class HubPorts {
  readonly #hub: Hub<HubPort>;

  constructor(hub: Hub<HubPort>) {
    this.#hub = hub;
  }

  /** @param source Where the client connects from: an IP address. */
  open(source: string): HubPort {
    return new HubPort(this.#hub, source);
  }
}

/** One connection. */
export class HubPort implements MessageMachine<HubPortEvent> {
  readonly #hub: Hub<HubPort>;
  readonly #source: string;
  readonly #messages: string[] = [];
  #isLeaving = false;

  /** Made by {@linkcode HubPorts}. */
  constructor(hub: Hub<HubPort>, source: string) {
    this.#hub = hub;
    this.#source = source;
  }

  handleOpen(now: number): void {
    this.#hub.handleOpen(this, this.#source, now);
    this.#distribute();
  }

  handleMessage(message: string, now: number): void {
    this.#hub.handleMessage(this, message, now);
    this.#distribute();
  }

  handleClosed(now: number): void {
    this.#hub.handleClosed(this, now);
    this.#messages.length = 0;
    this.#distribute();
  }

  handleTimeout(now: number): void {
    this.#hub.handleTimeout(now);
    this.#distribute();
  }

  pollMessage(): string | undefined {
    return this.#messages.shift();
  }

  pollEvent(): HubPortEvent | undefined {
    if (!this.#isLeaving || this.#messages.length > 0) return undefined;
    this.#isLeaving = false;
    return { type: "disconnect" };
  }

  pollTimeout(): number | undefined {
    return this.#hub.pollTimeout();
  }

  /** Hands what the hub wants sent to the ports it is for; the hub bounds how much that is. */
  #distribute(): void {
    for (let sent = this.#hub.pollMessage(); sent !== undefined; sent = this.#hub.pollMessage()) {
      sent.client.#messages.push(sent.message);
    }
    for (let port = this.#hub.pollDisconnect(); port !== undefined; port = this.#hub.pollDisconnect()) {
      port.#isLeaving = true;
    }
  }
}
