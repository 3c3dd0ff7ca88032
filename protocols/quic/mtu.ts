/**
 * The datagram size in use, and the search for a larger one: RFC 9000 §14, RFC 8899 §5. Each path has its own. A search
 * begins with the largest size, which most paths carry, and halves what is left between what arrives and what does not.
 *
 * Left out: Packet Too Big messages of ICMP, which hosts do not show us.
 *
 * @module
 */

import { MIN_INITIAL_DATAGRAM_BYTES } from "./packet.ts";
import type { Path } from "./path.ts";

/** What a connection sends before it looks for a larger size: what is over soon gains nothing by it. */
export const SEARCH_AFTER_BYTES = 16_384;
/** How often a size has to get lost before it is taken not to pass: RFC 8899 §5.1.2 (MAX_PROBES). */
export const MAX_PROBES = 3;
/** A search ends when what is left to win is no more than this. */
export const SEARCH_GRANULARITY_BYTES = 16;
/** How long after a search that ended below the largest size it is begun again: RFC 8899 §5.1.1 (PMTU_RAISE_TIMER). */
export const RAISE_MS = 600_000;
/** How long after a black hole: the path has just changed, and may again. */
export const BLACK_HOLE_PAUSE_MS = 60_000;
/** Losses of large packets, with none of them acknowledged in between, that make a black hole: RFC 8899 §4.3. */
export const BLACK_HOLE_LOSSES = 3;

/** What is known of the size that one path carries. */
export class PathMtu {
  /** What it carries at least, or would not be usable: RFC 8899 §5.1.2 (BASE_PLPMTU). */
  readonly baseBytes: number;
  readonly #maxBytes: number;
  #currentBytes: number;
  /** Smallest size that does not pass, as far as known. */
  #failedBytes: number;
  /** Of the size that is being tried. */
  #losses = 0;
  #isProbing = false;
  #searchAt = -Infinity;
  #largeLosses = 0;

  /** @param maxBytes What settings, peer and base allow. */
  constructor(baseBytes: number, maxBytes: number) {
    this.baseBytes = baseBytes;
    this.#maxBytes = Math.max(baseBytes, maxBytes);
    this.#currentBytes = baseBytes;
    this.#failedBytes = this.#maxBytes + 1;
  }

  /** UDP payload of a full datagram. */
  get currentBytes(): number {
    return this.#currentBytes;
  }

  /** When a probe may leave: `Infinity` while one is under way, and when there is nothing to find. */
  get probeAt(): number {
    return this.#isProbing || this.#currentBytes >= this.#maxBytes ? Infinity : this.#searchAt;
  }

  /** The size of the probe that is now being sent; `undefined` if the search has just ended. */
  takeProbe(now: number): number | undefined {
    if (this.#failedBytes - this.#currentBytes <= SEARCH_GRANULARITY_BYTES && this.#failedBytes <= this.#maxBytes) {
      this.#rest(now + RAISE_MS);
      return undefined;
    }
    this.#isProbing = true;
    return this.#probeBytes;
  }

  /** The probe arrived. */
  onProbeAcked(): void {
    if (!this.#isProbing) return;
    this.#currentBytes = this.#probeBytes;
    this.#isProbing = false;
    this.#losses = 0;
  }

  /** The probe was lost, which says nothing about congestion: RFC 9000 §14.4. */
  onProbeLost(): void {
    if (!this.#isProbing) return;
    this.#isProbing = false;
    if (++this.#losses < MAX_PROBES) return;
    this.#failedBytes = this.#probeBytes;
    this.#losses = 0;
  }

  /** Nobody waits for the probe any more: the path is not in use. */
  forgetProbe(): void {
    this.#isProbing = false;
  }

  /** A packet of that size was acknowledged. */
  onAcked(bytes: number): void {
    if (bytes > this.baseBytes) this.#largeLosses = 0;
  }

  /**
   * Packets larger than the least size were lost, noticed together.
   *
   * @returns Whether the size in use has changed.
   */
  onLargeLost(now: number): boolean {
    if (this.#currentBytes === this.baseBytes || ++this.#largeLosses < BLACK_HOLE_LOSSES) return false;
    return this.onSilence(now);
  }

  /** The peer has not answered for long: what the path carries may have become less. @returns As `onLargeLost`. */
  onSilence(now: number): boolean {
    this.#largeLosses = 0;
    if (this.#currentBytes === this.baseBytes) return false;
    this.#currentBytes = this.baseBytes;
    this.#rest(now + BLACK_HOLE_PAUSE_MS);
    return true;
  }

  get #probeBytes(): number {
    if (this.#failedBytes > this.#maxBytes) return this.#maxBytes;
    return Math.floor((this.#currentBytes + this.#failedBytes) / 2);
  }

  #rest(until: number): void {
    this.#failedBytes = this.#maxBytes + 1;
    this.#isProbing = false;
    this.#losses = 0;
    this.#searchAt = until;
  }
}

/** Chooses the datagram size of a connection. */
export class Mtu {
  /** UDP payload of a datagram with an Initial packet: RFC 9000 §14.1. */
  readonly initialBytes: number;
  readonly #configuredBytes: number;
  #path: PathMtu;

  /**
   * @param initialBytes During the handshake.
   * @param maxUdpPayloadBytes What the settings say.
   */
  constructor(initialBytes: number, maxUdpPayloadBytes: number) {
    this.initialBytes = initialBytes;
    this.#configuredBytes = maxUdpPayloadBytes;
    this.#path = new PathMtu(initialBytes, initialBytes);
  }

  /** UDP payload of a full datagram. */
  get currentBytes(): number {
    return this.#path.currentBytes;
  }

  /** What is known of the path in use. */
  get path(): PathMtu {
    return this.#path;
  }

  /**
   * The handshake is done, or the connection has moved.
   *
   * @param peerMaxBytes The peer's max_udp_payload_size, RFC 9000 §18.2.
   */
  onPath(path: Path, peerMaxBytes: number): void {
    const maxBytes = Math.min(this.#configuredBytes, peerMaxBytes, path.base.maxPayloadBytes);
    const baseBytes = Math.max(MIN_INITIAL_DATAGRAM_BYTES, Math.min(this.initialBytes, maxBytes));
    this.#path.forgetProbe();
    this.#path = path.mtu ??= new PathMtu(baseBytes, maxBytes);
  }
}
