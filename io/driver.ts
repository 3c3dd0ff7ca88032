/**
 * The driver: hands a machine its datagrams and instants and drains its polls, in the one order there is (design
 * decision 2). The same code on real sockets and in the laboratory.
 *
 * @module
 */

import { MAX_RUN_DATAGRAMS } from "../protocols/core/machine.ts";
import type { Datagram, Machine } from "../protocols/core/machine.ts";
import type { Host, HostSink, SocketError } from "./host.ts";

/**
 * Datagrams sent before received ones get their turn: the default receive buffer of a peer holds about 90, and a sender
 * that never listens does not see its losses.
 */
export const MAX_BURST_DATAGRAMS = 32;

/** A machine that wants to know about failing sockets. */
export interface SocketErrorHandler {
  /** A datagram could not be sent, or a socket could not receive. */
  handleSocketError(error: SocketError, now: number): void;
}

/** What a driver does beside its machine, because no engine can: comparing the host's interfaces. */
export interface Chore {
  /** When `run` wants to be called, in monotonic ms; `Infinity` for never. Asked after each drain. */
  readonly dueAt: number;
  /** Does it. It may give the machine commands: the driver drains afterwards. */
  run(now: number): void;
  /** A datagram could not be sent, or a socket could not receive: a reason to look earlier. */
  handleSocketError(error: SocketError, now: number): void;
}

/** Drives one machine on one host. */
export class Driver<Event> implements HostSink {
  readonly #machine: Machine<Event> & Partial<SocketErrorHandler>;
  readonly #host: Host;
  readonly #onEvent: (event: Event) => void;
  readonly #chore: Chore | undefined;
  readonly #socketErrors = new Map<string, number>();
  #hasRoom = true;
  #draining = false;
  #again = false;

  /**
   * @param onEvent Gets each event of the machine, in order, while the driver drains. It may call commands of the machine
   * and then `drain`, which is taken up when the event has been handled.
   * @param chore Shares the host's alarm with the machine.
   */
  constructor(
    machine: Machine<Event> & Partial<SocketErrorHandler>,
    host: Host,
    onEvent: (event: Event) => void,
    chore?: Chore,
  ) {
    this.#machine = machine;
    this.#host = host;
    this.#onEvent = onEvent;
    this.#chore = chore;
    host.attach(this);
  }

  /** How often each kind of socket error was seen, by the system's name for it. */
  get socketErrors(): ReadonlyMap<string, number> {
    return this.#socketErrors;
  }

  handleDatagram(datagram: Datagram): void {
    this.#machine.handleDatagram(datagram, this.#host.now());
  }

  handleAlarm(): void {
    const now = this.#host.now();
    this.#machine.handleTimeout(now);
    if (this.#chore !== undefined && now >= this.#chore.dueAt) this.#chore.run(now);
    this.drain();
  }

  handleRoom(): void {
    this.#hasRoom = true;
    this.drain();
  }

  handleSocketError(error: SocketError): void {
    this.#socketErrors.set(error.code, (this.#socketErrors.get(error.code) ?? 0) + 1);
    const now = this.#host.now();
    this.#machine.handleSocketError?.(error, now);
    this.#chore?.handleSocketError(error, now);
  }

  /** Drains the machine: call it after every command. Harmless at any time. */
  drain(): void {
    if (this.#draining) {
      this.#again = true;
      return;
    }
    this.#draining = true;
    let yielded = false;
    try {
      do {
        this.#again = false;
        for (let event = this.#machine.pollEvent(); event !== undefined; event = this.#machine.pollEvent()) {
          this.#onEvent(event);
        }
        // One burst a drain, however many events there are between.
        if (!yielded) yielded = this.#transmit();
      } while (this.#again || this.#hasEvents());
    } finally {
      // An event handler that throws ends this drain, not the driver.
      this.#draining = false;
    }
    this.#host.setAlarm(yielded ? this.#host.now() : this.#timeoutAt());
  }

  #timeoutAt(): number | undefined {
    const at = this.#machine.pollTimeout();
    const choreAt = this.#chore?.dueAt ?? Infinity;
    return at === undefined ? (choreAt === Infinity ? undefined : choreAt) : Math.min(at, choreAt);
  }

  /** Whether the burst ended before the machine ran dry. */
  #transmit(): boolean {
    const now = this.#host.now();
    for (let sent = 0; this.#hasRoom;) {
      // As long as a whole run still fits.
      if (sent > MAX_BURST_DATAGRAMS - MAX_RUN_DATAGRAMS) return true;
      const datagram = this.#machine.pollTransmit(now);
      if (datagram === undefined) return false;
      const { payload, segmentBytes } = datagram;
      sent += segmentBytes === undefined ? 1 : Math.ceil(payload.length / segmentBytes);
      this.#hasRoom = this.#host.send(datagram);
    }
    return false;
  }

  #hasEvents(): boolean {
    const event = this.#machine.pollEvent();
    if (event === undefined) return false;
    this.#onEvent(event);
    return true;
  }
}
