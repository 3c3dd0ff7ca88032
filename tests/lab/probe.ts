/**
 * A machine that does nothing by itself: it sends what a test tells it to and keeps what comes in.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import type { SocketError } from "../../io/host.ts";
import type { VirtualHost } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";

/** What came in. */
export interface Received {
  readonly at: number;
  readonly remote: Address;
  readonly text: string;
}

/** A host's driver with one socket. */
export class Probe implements Machine<never> {
  readonly base: Base;
  readonly received: Received[] = [];
  readonly errors: SocketError[] = [];
  readonly driver: Driver<never>;
  readonly timeoutsAt: number[] = [];
  alarmAt: number | undefined;
  /** How often the driver has drained this machine since something was received. */
  drains = 0;
  readonly #host: VirtualHost;
  readonly #queue: Datagram[] = [];
  readonly #bases = new Map<number, Base>();

  /** @param port Of the first socket, on the first interface; 0 lets the host choose. */
  constructor(host: VirtualHost, port = 0) {
    this.#host = host;
    this.driver = new Driver<never>(this, host, () => {});
    this.base = host.bind(host.address(port));
    this.#bases.set(this.base.local.port, this.base);
  }

  /** Sends at once, from the first socket or from the one on this port. */
  send(remote: Address, text: string, from: { readonly port?: number; readonly segmentBytes?: number } = {}): void {
    const base = from.port === undefined ? this.base : this.open(from.port);
    this.sendFrom(base, remote, text, from.segmentBytes);
  }

  /** Sends at once, from a socket the test has bound. */
  sendFrom(base: Base, remote: Address, text: string, segmentBytes?: number): void {
    const datagram = { base, remote, payload: new TextEncoder().encode(text) };
    this.#queue.push(segmentBytes === undefined ? datagram : { ...datagram, segmentBytes });
    this.driver.drain();
  }

  /** Sends with the next drain. */
  queue(remote: Address, text: string): void {
    this.#queue.push({ base: this.base, remote, payload: new TextEncoder().encode(text) });
  }

  /** Datagrams that wait for a drain or for room. */
  get queued(): number {
    return this.#queue.length;
  }

  /** The socket on this port, opened when it is not. */
  open(port: number): Base {
    const base = this.#bases.get(port) ?? this.#host.bind(this.#host.address(port));
    this.#bases.set(port, base);
    return base;
  }

  /** Everything received since the last call, as `REMOTE TEXT`. */
  take(): string[] {
    return this.received.splice(0).map(({ remote, text }) => `${remote} ${text}`);
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.received.push({ at: now, remote: datagram.remote, text: new TextDecoder().decode(datagram.payload) });
  }

  handleSocketError(error: SocketError): void {
    this.errors.push(error);
  }

  handleTimeout(now: number): void {
    if (this.alarmAt === undefined || now < this.alarmAt) return;
    this.timeoutsAt.push(now);
    this.alarmAt = undefined;
  }

  pollTransmit(): Datagram | undefined {
    const datagram = this.#queue.shift();
    if (datagram === undefined && this.received.length > 0) this.drains++;
    return datagram;
  }

  pollEvent(): undefined {
    return undefined;
  }

  pollTimeout(): number | undefined {
    return this.alarmAt;
  }
}
