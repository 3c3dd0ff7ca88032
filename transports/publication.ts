/**
 * What a listener tells of how it can be reached, and when: first what every way needs some time to find out, then each
 * change (RFC 8838 §10).
 *
 * @module
 */

import { MAX_CANDIDATES } from "../signaling/machines.ts";
import type { ListenerMachine } from "../signaling/machines.ts";
import type { TraversalEvent } from "./traversal.ts";
import type { AcceptWay } from "./ways.ts";

/** Whom a publication is part of. */
export interface PublicationHost {
  emit(event: TraversalEvent): void;
  wakeDialogue(): void;
}

/** Gives the listener's machine the addresses of all ways. */
export class Publication {
  readonly #host: PublicationHost;
  readonly #listener: ListenerMachine;
  readonly #ways: readonly AcceptWay[];
  /** When callers are told what is known by then. */
  #dueAt: number;
  #state: "waiting" | "overdue" | "published" | "over" = "waiting";
  /** Whether the hub knows us, which has not been told. */
  #isRegistered = false;
  #isWarned = false;

  /** Whoever needs to find out nothing is told of at once. */
  constructor(host: PublicationHost, listener: ListenerMachine, ways: readonly AcceptWay[], now: number) {
    this.#host = host;
    this.#listener = listener;
    this.#ways = ways;
    this.#dueAt = now + Math.max(...ways.map(({ patienceMs }) => patienceMs));
    this.onReady(now);
  }

  /** When `onTimeout` wants to be called; `Infinity` for never. */
  get timeoutAt(): number {
    return this.#dueAt;
  }

  onTimeout(now: number): void {
    if (now < this.#dueAt) return;
    this.#dueAt = Infinity;
    this.#state = "overdue";
    this.#publish(now);
  }

  /** What a way publishes has changed; what comes late makes the record true again. */
  onChange(now: number): void {
    if (this.#state === "waiting") this.onReady(now);
    else this.#publish(now);
  }

  /** A way has found out all that there is to tell. */
  onReady(now: number): void {
    if (this.#state !== "published" && (this.#state === "overdue" || this.#isReady)) this.#publish(now);
  }

  /** The hub may know us before there is a way to us: then nobody can call. */
  onRegistered(now: number): void {
    this.#isRegistered = true;
    this.#tellRegistered(now);
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#state = "over";
    this.#dueAt = Infinity;
  }

  get #isReady(): boolean {
    return this.#ways.every(({ isReady }) => isReady);
  }

  #publish(now: number): void {
    if (this.#state === "over") return;
    const published = this.#ways.flatMap((way) => way.published);
    const relayed = published.filter(({ type }) => type === "relay");
    const direct = published.filter(({ type }) => type !== "relay");
    // Nobody could make anything of nothing: something is told as soon as it is there.
    if (published.length === 0 && !this.#isReady) return;
    this.#state = "published";
    this.#dueAt = Infinity;
    this.#listener.publish([...direct.slice(0, MAX_CANDIDATES - relayed.length), ...relayed], now);
    this.#tellRegistered(now);
    this.#host.wakeDialogue();
  }

  #tellRegistered(now: number): void {
    if (!this.#isRegistered) return;
    if (this.#ways.some(({ isReachable }) => isReachable)) {
      this.#isRegistered = false;
      this.#host.emit({ type: "registered" });
    } else if (!this.#isWarned) {
      this.#isWarned = true;
      const reason = "no relay is known, and by this transport nobody reaches us without: name one with --via URL";
      this.#host.emit({ type: "unregistered", retryAt: now, pauseMs: 0, reason });
    }
  }
}
