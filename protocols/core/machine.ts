/**
 * The one shape of every engine: a synchronous machine that is handed datagrams and instants, and is polled for what it
 * wants sent, reported and timed. No sockets, no clock, no randomness of its own (design decision 1).
 *
 * @module
 */

import type { Address } from "./address.ts";

/** Where datagrams enter and leave: a socket of the host, or a tunnel through a relay. Compared by identity. */
export interface Base {
  /** Whose address `local` is: this host's, or the relay's. */
  readonly kind: "socket" | "tunnel";
  /** The address the socket is bound to: an interface's own address, never a wildcard where a host can avoid it. */
  readonly local: Address;
  /** Largest UDP payload, in bytes, that the base can carry at all. */
  readonly maxPayloadBytes: number;
}

/**
 * Datagrams in one run, at most: two of them make a burst, and a host's smallest buffer of the kernel's holds some ninety.
 */
export const MAX_RUN_DATAGRAMS = 16;

/** One datagram, or, with `segmentBytes`, a run of equal-sized ones in one buffer (the last may be shorter). */
export interface Datagram {
  /** Where it leaves, or came in. */
  readonly base: Base;
  /** Where it goes, or came from. */
  readonly remote: Address;
  /** UDP payload: borrowed, for as long as the call that carries it says. */
  readonly payload: Uint8Array;
  /** Then there are at most {@linkcode MAX_RUN_DATAGRAMS} of them. */
  readonly segmentBytes?: number;
}

/**
 * A synchronous engine. Instants are monotonic milliseconds (fractions allowed), all from one clock.
 *
 * Whoever drives it calls `handle…`, then drains `pollTransmit` and `pollEvent` until both are dry, then asks
 * `pollTimeout`. `io/driver.ts` is the only place that knows this order.
 */
export interface Machine<Event> {
  /** Takes a datagram in. The payload is borrowed until the call returns. Never throws for bad bytes. */
  handleDatagram(datagram: Datagram, now: number): void;
  /** Runs what is due at `now`. Calling it early is harmless. */
  handleTimeout(now: number): void;
  /** The next datagram to send; it and its payload are valid until the next call into the machine. */
  pollTransmit(now: number): Datagram | undefined;
  /** The next thing that happened. */
  pollEvent(): Event | undefined;
  /** When `handleTimeout` wants to be called; ask after the other polls ran dry. */
  pollTimeout(): number | undefined;
}
