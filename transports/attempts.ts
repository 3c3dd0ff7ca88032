/**
 * The QUIC handshakes of one call, each a connection of its own: early ones that knock before any check has come back, and
 * those on paths that checks have shown to be open. One becomes the session.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { TransportSettings } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import { EARLY_REPEAT_MS, MAX_EARLY_ATTEMPTS, maxEarlyDatagrams } from "./early_dial.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { Node } from "./traversal.ts";

/** Attempts at once: the early ones, and as many on pairs that checks have proved. */
const MAX_ATTEMPTS = 2 * MAX_EARLY_ATTEMPTS;

/** A QUIC connection that may become the session. */
export interface Attempt {
  readonly connection: QuicConnection;
  readonly base: Base;
  readonly remote: Address;
  /** An early attempt knocks a second time then. */
  repeatAt: number | undefined;
  /** Whether a check has shown the path to be open. */
  isOpen: boolean;
}

/** What attempts need of the machine around them. */
export interface AttemptsHost {
  readonly node: Node;
  readonly endpoint: QuicEndpoint;
  wakeEndpoint(): void;
}

/** The attempts of one call. */
export class Attempts {
  readonly #host: AttemptsHost;
  readonly #settings: () => TransportSettings;
  readonly #attempts = new Map<QuicConnection, Attempt>();

  /** @param settings What each connection is told when it begins. */
  constructor(host: AttemptsHost, settings: () => TransportSettings) {
    this.#host = host;
    this.#settings = settings;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** The attempt that this connection is. */
  get(connection: QuicConnection): Attempt | undefined {
    return this.#attempts.get(connection);
  }

  /** Whether a handshake is under way somewhere. */
  get isAnyAnswered(): boolean {
    for (const connection of this.#attempts.keys()) if (connection.stats.receivedPackets > 0) return true;
    return false;
  }

  /** Knocks where no check has been yet: at most two attempts, each of two first flights. */
  knock(base: Base, remote: Address, now: number): void {
    if (this.#attempts.size >= MAX_EARLY_ATTEMPTS || this.#on(base, remote) !== undefined) return;
    const maxUnansweredDatagrams = maxEarlyDatagrams(this.#host.node.postQuantum === true);
    this.#start(base, remote, { maxUnansweredDatagrams }, now);
  }

  /**
   * A check has shown the path to be open, at least from the peer to us: the Initial goes out there now, without a timer's
   * leave, as an attempt of its own if there is none on that path.
   */
  pathOpened(base: Base, remote: Address, rttMs: number | undefined, now: number): void {
    const known = this.#on(base, remote);
    if (known === undefined) {
      if (this.isAnyAnswered || this.#attempts.size >= MAX_ATTEMPTS) return;
      this.#start(base, remote, rttMs === undefined ? {} : { initialRttMs: rttMs }, now);
      return;
    }
    if (rttMs !== undefined) known.connection.provideRtt(rttMs);
    // Only the first check on the path is news: later ones would repeat what is on its way.
    if (!known.isOpen) known.connection.resendInitial();
    known.isOpen = true;
    known.repeatAt = undefined;
    this.#host.wakeEndpoint();
  }

  /** The connection is closed. */
  delete(connection: QuicConnection): void {
    this.#attempts.delete(connection);
  }

  /** Bases have come or gone: handshakes from those that are not there any more cannot move (RFC 9000 §9). */
  onBasesChanged(): void {
    const { bases } = this.#host.node;
    for (const [connection, { base }] of this.#attempts) {
      if (bases.includes(base)) continue;
      this.#attempts.delete(connection);
      connection.abandon();
    }
  }

  /** Drops all but one, which is the session from now on; without one, all. */
  settle(session?: QuicConnection): void {
    for (const connection of this.#attempts.keys()) if (connection !== session) connection.abandon();
    this.#attempts.clear();
    // The endpoint lets go of them when it is polled.
    this.#host.wakeEndpoint();
  }

  onTimeout(now: number): void {
    for (const attempt of this.#attempts.values()) {
      if (attempt.repeatAt === undefined || now < attempt.repeatAt) continue;
      attempt.repeatAt = undefined;
      attempt.connection.repeatInitial();
      this.#host.wakeEndpoint();
    }
  }

  /** When `onTimeout` wants to be called; `Infinity` for never. */
  get timeoutAt(): number {
    let at = Infinity;
    for (const { repeatAt } of this.#attempts.values()) if (repeatAt !== undefined) at = Math.min(at, repeatAt);
    return at;
  }

  #on(base: Base, remote: Address): Attempt | undefined {
    for (const attempt of this.#attempts.values()) {
      if (attempt.base === base && attempt.remote === remote) return attempt;
    }
    return undefined;
  }

  #start(
    base: Base,
    remote: Address,
    options: { readonly maxUnansweredDatagrams?: number; readonly initialRttMs?: number },
    now: number,
  ): void {
    const { endpoint, node } = this.#host;
    const connection = endpoint.connect(
      { base, remote, tls: tlsSettings(node), transport: this.#settings(), ...options },
      now,
    );
    const isEarly = options.maxUnansweredDatagrams !== undefined;
    const repeatAt = isEarly ? now + EARLY_REPEAT_MS : undefined;
    this.#attempts.set(connection, { connection, base, remote, repeatAt, isOpen: !isEarly });
    this.#host.wakeEndpoint();
  }
}
