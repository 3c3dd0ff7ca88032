/**
 * What a host offers: sockets, a clock, randomness, one alarm. `deno_host.ts` has the real one and `lab/` the virtual one.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";

/** An address of a network interface. */
export interface NetworkInterface {
  /** The system's own: `eth0`. */
  readonly name: string;
  /** Port 0. */
  readonly address: Address;
  /** Whether packets never leave this machine. */
  readonly isLoopback: boolean;
  /** Whether packets to the public Internet leave here, as far as the host can tell: RFC 8421 puts others last. */
  readonly hasDefaultRoute: boolean;
}

/** A socket said no. Counted, never thrown out of a host once it is bound. */
export interface SocketError {
  /** The socket. */
  readonly base: Base;
  /** Where the datagram was going; `undefined` for an error of receiving. */
  readonly remote: Address | undefined;
  /** The system's own name: `ENETUNREACH`, `EMSGSIZE`, … or the runtime's class where it tells no more. */
  readonly code: string;
}

/** Sockets, clock, randomness and one alarm, for one driver. */
export interface Host {
  /** Cryptographically strong on a real host, repeatable in the laboratory. */
  readonly random: Random;
  /**
   * Wall-clock milliseconds since 1970 at monotonic instant 0: what is signed says when it expires. It moves when the
   * machine has slept or its clock was set: who lives long asks again.
   */
  readonly epochMs: number;
  /** Monotonic milliseconds. */
  now(): number;
  /** The addresses of this machine now; empty where it may not be asked. */
  interfaces(): readonly NetworkInterface[];
  /**
   * Opens a UDP socket.
   *
   * @param local Port 0 lets the host choose; `Base.local` tells which.
   * @throws {Error} If the address cannot be bound.
   */
  bind(local: Address): Base;
  /** Closes the base's socket. Harmless when it is closed already. */
  close(base: Base): void;
  /**
   * Copies the datagram (a run: each segment) into the host's own buffers and sends it.
   *
   * @returns Whether there is room for another one. Without room the sink's `handleRoom` follows.
   */
  send(datagram: Datagram): boolean;
  /** Calls the sink's `handleAlarm` once at `at`, in place of any alarm set before; `undefined` clears it. */
  setAlarm(at: number | undefined): void;
  /** Names who is told. Exactly one sink, at the latest in the turn of the first `bind`: nothing is told within a turn. */
  attach(sink: HostSink): void;
}

/** Who a host tells: the driver. */
export interface HostSink {
  /** A datagram came in; its payload is borrowed until the call returns. May be called many times before `drain`. */
  handleDatagram(datagram: Datagram): void;
  /** The host has no more datagrams at hand: now is the time to answer. */
  drain(): void;
  /** The alarm rang. */
  handleAlarm(): void;
  /** There is room to send again. */
  handleRoom(): void;
  /** A socket failed; counted, and told to the machine if it wants to know. */
  handleSocketError(error: SocketError): void;
}
