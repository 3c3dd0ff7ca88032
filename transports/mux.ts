/**
 * The mux: owns the machines that share a node's bases, hands each what is meant for it, and keeps going until nothing
 * moves (RFC 9443 §3 for the first byte; design decisions 1 and 3).
 *
 * @module
 */

import { DeadlineHeap } from "../protocols/core/deadline_heap.ts";
import type { DeadlineEntry } from "../protocols/core/deadline_heap.ts";
import type { Base, Datagram, Machine } from "../protocols/core/machine.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import { isStun, stunClass, transactionKey, usernameTarget } from "../protocols/stun/classify.ts";

/** Requests that may be waiting for a response at once; the oldest is forgotten, its response then dropped. */
export const MAX_TRANSACTIONS = 4096;

/** Why a datagram reached no machine. */
export type MuxDropReason =
  | "empty"
  | "first byte"
  | "unknown transaction"
  | "unknown username"
  | "unexpected indication"
  | "no tunnel"
  | "no endpoint";

/** A machine's place in the mux. Handed out by {@linkcode Mux.attach}; opaque to its holder. */
export interface Port {
  /** Says that a command was given to the machine, so that it is polled again. */
  wake(): void;
}

class AttachedPort implements Port {
  readonly deadline: DeadlineEntry<AttachedPort>;
  readonly #mux: Mux;
  readonly machine: Machine<unknown>;
  /** Drains the machine's events into whoever attached it. */
  readonly drainEvents: (now: number) => boolean;
  isAttached = true;
  hasNews = false;
  isSending = false;
  isStale = false;

  constructor(
    mux: Mux,
    heap: DeadlineHeap<AttachedPort>,
    machine: Machine<unknown>,
    drainEvents: (now: number) => boolean,
  ) {
    this.#mux = mux;
    this.machine = machine;
    this.drainEvents = drainEvents;
    this.deadline = heap.entry(this);
  }

  wake(): void {
    this.#mux.wake(this);
  }
}

/**
 * Routes datagrams to machines and polls them fairly.
 *
 * STUN responses go to the machine that sent the request: the mux reads the transaction ID of every request that passes
 * through it. STUN requests go by the first half of USERNAME, QUIC packets to the one endpoint.
 */
export class Mux {
  readonly #heap = new DeadlineHeap<AttachedPort>();
  readonly #transactions = new Map<string, AttachedPort>();
  readonly #usernames = new Map<string, AttachedPort>();
  readonly #tunnels = new Map<Base, (datagram: Datagram, now: number) => void>();
  readonly #drops = new Map<MuxDropReason, number>();
  #quic: AttachedPort | undefined;
  #news: AttachedPort[] = [];
  readonly #sending: AttachedPort[] = [];
  #stale: AttachedPort[] = [];

  /** How many datagrams reached no machine, by reason. */
  get drops(): ReadonlyMap<MuxDropReason, number> {
    return this.#drops;
  }

  /** Sizes of all tables, for reports and tests: what a call has left behind shows here. */
  get tableSizes(): Readonly<Record<string, number>> {
    return { deadlines: this.#heap.size, transactions: this.#transactions.size, usernames: this.#usernames.size };
  }

  /**
   * Takes a machine in.
   *
   * @param handle Gets each of its events while the mux settles; it may give commands to any machine, and wakes that one.
   */
  attach<Event>(machine: Machine<Event>, handle: (event: Event, now: number) => void): Port {
    const drainEvents = (now: number): boolean => {
      let moved = false;
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        moved = true;
        handle(event, now);
      }
      return moved;
    };
    const port = new AttachedPort(this, this.#heap, machine, drainEvents);
    this.wake(port);
    return port;
  }

  /** Lets a machine go: it is not polled any more, and nothing is routed to it. */
  detach(port: Port): void {
    if (!(port instanceof AttachedPort) || !port.isAttached) return;
    port.isAttached = false;
    this.#heap.set(port.deadline, undefined);
    for (const [key, owner] of this.#transactions) if (owner === port) this.#transactions.delete(key);
    for (const [name, owner] of this.#usernames) if (owner === port) this.#usernames.delete(name);
    if (this.#quic === port) this.#quic = undefined;
  }

  /** Names the machine that QUIC packets go to. */
  routeQuic(port: Port): void {
    if (port instanceof AttachedPort) this.#quic = port;
  }

  /** Names the machine that STUN requests go to whose USERNAME begins with this user name fragment. */
  routeUsername(localUfrag: string, port: Port): void {
    if (port instanceof AttachedPort) this.#usernames.set(localUfrag, port);
  }

  /** Requests with this fragment are nobody's from now on. */
  unrouteUsername(localUfrag: string): void {
    this.#usernames.delete(localUfrag);
  }

  /**
   * Names who carries what machines send on a tunnel's base; what comes out of the tunnel comes back by `handleDatagram`.
   *
   * @param send `undefined` takes the tunnel away: what is still sent on it is dropped.
   */
  routeTunnel(base: Base, send: ((datagram: Datagram, now: number) => void) | undefined): void {
    if (send === undefined) this.#tunnels.delete(base);
    else this.#tunnels.set(base, send);
  }

  /** Polls the machine again: it was given a command or a datagram. */
  wake(port: Port): void {
    if (!(port instanceof AttachedPort) || !port.isAttached) return;
    if (!port.hasNews) {
      port.hasNews = true;
      this.#news.push(port);
    }
    if (!port.isSending) {
      port.isSending = true;
      this.#sending.push(port);
    }
    this.#markStale(port);
  }

  /** Hands the datagram to the machine that it is for, or counts why there is none. */
  handleDatagram(datagram: Datagram, now: number): void {
    const port = this.#route(datagram.payload);
    if (port === undefined) return;
    port.machine.handleDatagram(datagram, now);
    this.wake(port);
  }

  /** Wakes the machines whose deadline has come. */
  handleTimeout(now: number): void {
    this.#refreshDeadlines();
    // Each machine gets one call: one that stays due at `now` is asked again at the next alarm, not in a loop here.
    const due: AttachedPort[] = [];
    for (let first = this.#heap.first(); first !== undefined && first.at <= now; first = this.#heap.first()) {
      due.push(first.owner);
      this.#heap.set(first, undefined);
    }
    for (const port of due) {
      if (!port.isAttached) continue;
      port.machine.handleTimeout(now);
      this.wake(port);
    }
  }

  /** Drains events until no machine has any. */
  settle(now: number): void {
    while (this.#news.length > 0) {
      const news = this.#news;
      this.#news = [];
      for (const port of news) {
        port.hasNews = false;
        if (port.isAttached) port.drainEvents(now);
      }
    }
  }

  /** The next datagram to send, the machines taking turns; settles until nothing moves. Valid until the next call. */
  pollTransmit(now: number): Datagram | undefined {
    for (;;) {
      this.settle(now);
      const datagram = this.#transmit(now);
      if (datagram !== undefined || this.#news.length === 0) return datagram;
    }
  }

  #transmit(now: number): Datagram | undefined {
    for (let port = this.#sending[0]; port !== undefined; port = this.#sending[0]) {
      const datagram = port.isAttached ? port.machine.pollTransmit(now) : undefined;
      if (datagram !== undefined) {
        if (this.#sending.length > 1) {
          this.#sending.shift();
          this.#sending.push(port);
        }
        this.#learnTransaction(datagram.payload, port);
        this.#markStale(port);
        if (datagram.base.kind === "socket") return datagram;
        const send = this.#tunnels.get(datagram.base);
        if (send === undefined) this.#drop("no tunnel");
        else send(datagram, now);
        continue;
      }
      this.#sending.shift();
      port.isSending = false;
      this.#markStale(port);
      // What ran dry may have something to tell: an attempt that gave up, a connection that closed.
      if (port.isAttached && !port.hasNews) {
        port.hasNews = true;
        this.#news.push(port);
      }
    }
    return undefined;
  }

  /** The earliest deadline of all machines. */
  pollTimeout(): number | undefined {
    this.#refreshDeadlines();
    return this.#heap.first()?.at;
  }

  /** Whether `settle` has anything to do. */
  get hasNews(): boolean {
    return this.#news.length > 0;
  }

  #markStale(port: AttachedPort): void {
    if (port.isStale) return;
    port.isStale = true;
    this.#stale.push(port);
  }

  #refreshDeadlines(): void {
    if (this.#stale.length === 0) return;
    for (const port of this.#stale) {
      port.isStale = false;
      if (port.isAttached) this.#heap.set(port.deadline, port.machine.pollTimeout());
    }
    this.#stale = [];
  }

  /** RFC 9443 §3: 0–3 is STUN, 64–127 and 192–255 QUIC; no TURN server is in use, so its channels do not exist. */
  #route(payload: Uint8Array): AttachedPort | undefined {
    const first = payload[0];
    if (first === undefined) return this.#drop("empty");
    if (first >= 192 || (first >= 64 && first < 128)) return this.#quic ?? this.#drop("no endpoint");
    if (!isStun(payload)) return this.#drop("first byte");
    const kind = stunClass(payload);
    switch (kind) {
      case "success":
      case "error": {
        // Kept until forgotten: a machine may want to see a second response, to measure or to ignore.
        return this.#transactions.get(transactionKey(payload)) ?? this.#drop("unknown transaction");
      }
      case "request": {
        const ufrag = usernameTarget(payload);
        return (ufrag === undefined ? undefined : this.#usernames.get(ufrag)) ?? this.#drop("unknown username");
      }
      case "indication":
        // A Binding indication only keeps mappings alive (RFC 8445 §11): there is nothing to hand on.
        return this.#drop("unexpected indication");
      default:
        return unreachable(kind);
    }
  }

  #drop(reason: MuxDropReason): undefined {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
    return undefined;
  }

  #learnTransaction(payload: Uint8Array, port: AttachedPort): void {
    if (payload[0]! > 3 || !isStun(payload) || stunClass(payload) !== "request") return;
    const key = transactionKey(payload);
    if (this.#transactions.has(key)) return;
    if (this.#transactions.size >= MAX_TRANSACTIONS) {
      for (const oldest of this.#transactions.keys()) {
        this.#transactions.delete(oldest);
        break;
      }
    }
    this.#transactions.set(key, port);
  }
}

/** A mux as a machine of its own, for whoever needs nothing above it: what happens goes to the handlers of the ports. */
export class MuxMachine implements Machine<never> {
  readonly #mux: Mux;
  #now: number;

  constructor(mux: Mux, now: number) {
    this.#mux = mux;
    this.#now = now;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#now = now;
    this.#mux.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.#mux.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    this.#now = now;
    return this.#mux.pollTransmit(now);
  }

  pollEvent(): undefined {
    this.#mux.settle(this.#now);
  }

  pollTimeout(): number | undefined {
    return this.#mux.pollTimeout();
  }
}
