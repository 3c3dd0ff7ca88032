/**
 * Connections to relays: QUIC and HTTP/3 (RFC 9114) on the endpoint that the peers' connections use too, so that one UDP
 * socket carries all of them. What is done on one, be it a tunnel or signaling, are its uses; they share the handshake.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { equalBytes } from "../protocols/core/bytes.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { Http3Connection } from "../protocols/http3/connection.ts";
import type { Http3Event } from "../protocols/http3/events.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import { type HandshakeHost, type HandshakeOutcome, RelayHandshakes } from "./relay_handshakes.ts";
import type { RelayAccess } from "./traversal.ts";

/** A relay that was lost is tried again after so long, then twice as long, and so on. */
const MIN_RETRY_MS = 500;

/** The longest pause. */
const MAX_RETRY_MS = 30_000;

/** What the connections need of the machine around them. */
export interface RelayHost extends HandshakeHost {
  wakeEndpoint(): void;
  /** Packets come from there: it is asked something. */
  expectFrom(remote: Address): void;
  /** A relay has told where packets of a base come from. */
  addressObserved(base: Base, address: Address, server: Address, now: number): void;
  /** Secrets of a connection to a relay, if the node wants them told. */
  keyLogged(connection: QuicConnection, event: Extract<ConnectionEvent, { readonly type: "keyLog" }>): void;
}

/** Something that is done on a connection to a relay. */
export interface RelayUse {
  /** When `onTimeout` wants to be called; `Infinity` for never. */
  readonly timeoutAt: number;
  onTimeout(now: number): void;
  /** There is a new connection; its handshake has just been completed, and nothing else has happened on it. */
  connecting(http3: Http3Connection, now: number): void;
  /** Its handshake is complete, and what came with it has been told: requests can be made. */
  ready(http3: Http3Connection, now: number): void;
  /** Takes an event of the connection; each passes here, in order, but `closed`. */
  handleEvent(event: Http3Event, now: number): void;
  /** Every event has been handed over: takes what came of them. */
  settle(now: number): void;
  /** The connection is gone; the next attempt follows at `retryAt`. */
  lost(reason: string, retryAt: number, now: number): void;
}

/** Grows with each attempt that failed. */
export class RetryPause {
  #pauseMs = MIN_RETRY_MS;

  /** @returns When the next attempt is due. */
  next(now: number): number {
    const at = now + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_RETRY_MS);
    return at;
  }

  /** It worked. */
  reset(): void {
    this.#pauseMs = MIN_RETRY_MS;
  }
}

/** One connection to one relay: there as long as something uses it, and back by itself after it was lost. */
export class RelayConnection {
  #access: RelayAccess;
  readonly #host: RelayHost;
  readonly #uses = new Set<RelayUse>();
  /** Of these, those that have not been told that requests can be made. */
  readonly #unready = new Set<RelayUse>();
  readonly #pause = new RetryPause();
  readonly #handshakes: RelayHandshakes;
  #http3: Http3Connection | undefined;
  /** When the next attempt is due; `Infinity` while there is a connection, or one is being made. */
  #retryAt: number;

  /** The first attempt is made by `onTimeout`, at once. */
  constructor(host: RelayHost, access: RelayAccess) {
    this.#host = host;
    this.#access = access;
    this.#handshakes = new RelayHandshakes(host, access);
    this.#retryAt = host.node.now;
  }

  /** What is known of the relay. */
  get access(): RelayAccess {
    return this.#access;
  }

  /** What is under it, once its handshake is complete. */
  get http3(): Http3Connection | undefined {
    return this.#http3;
  }

  /** Whether nothing uses it any more. */
  get isIdle(): boolean {
    return this.#uses.size === 0;
  }

  /** When `onTimeout` wants to be called. */
  get timeoutAt(): number {
    let at = Math.min(this.#retryAt, this.#handshakes.timeoutAt);
    for (const { timeoutAt } of this.#uses) at = Math.min(at, timeoutAt);
    return at;
  }

  onTimeout(now: number): void {
    if (now >= this.#retryAt) {
      this.#retryAt = Infinity;
      this.#proceed(this.#handshakes.begin(now), now);
      this.#host.wakeEndpoint();
    }
    if (now >= this.#handshakes.timeoutAt) {
      this.#proceed(this.#handshakes.onTimeout(now), now);
      this.#host.wakeEndpoint();
    }
    for (const use of this.#uses) if (now >= use.timeoutAt) use.onTimeout(now);
  }

  /** Bases have come or gone. What could not move with them begins anew, at once. */
  onBasesChanged(now: number): void {
    const quic = this.#http3?.quic;
    if (quic !== undefined) {
      if (this.#host.node.bases.includes(quic.path.base)) return;
      this.#lose("the network has changed before the relay was reached", now);
      quic.abandon();
    }
    this.#handshakes.onBasesChanged();
    if (!this.#handshakes.isUnderWay) this.#retryAt = now;
  }

  /** From now on told what happens. */
  join(use: RelayUse, now: number): void {
    this.#uses.add(use);
    this.#unready.add(use);
    if (this.#http3 !== undefined) {
      use.connecting(this.#http3, now);
      this.#host.wakeEndpoint();
    } else if (!this.#handshakes.isUnderWay) this.#retryAt = Math.min(this.#retryAt, now);
  }

  /** What is known of the relay now: for the next handshake. */
  update(access: RelayAccess): void {
    this.#access = access;
    this.#handshakes.update(access);
  }

  leave(use: RelayUse): void {
    this.#uses.delete(use);
    this.#unready.delete(use);
  }

  /** Everything that came in has been looked at: whoever may begin is told. @returns Whether anybody was. */
  settle(now: number): boolean {
    const http3 = this.#http3;
    if (http3 === undefined || this.#unready.size === 0) return false;
    for (const use of this.#unready) {
      this.#unready.delete(use);
      use.ready(http3, now);
    }
    this.#host.wakeEndpoint();
    return true;
  }

  /** The relay does what it is asked to: after a loss it is tried again soon. */
  confirm(): void {
    this.#pause.reset();
  }

  /** Takes what happened on a connection. @returns Whether it is this one. */
  onEvent(connection: QuicConnection, event: ConnectionEvent, now: number): boolean {
    const http3 = this.#http3;
    if (http3?.quic !== connection) {
      const outcome = this.#handshakes.onEvent(connection, event, now);
      if (outcome === undefined) return false;
      if (event.type === "keyLog") this.#host.keyLogged(connection, event);
      this.#proceed(outcome, now);
      this.#host.wakeEndpoint();
      return true;
    }
    if (event.type === "observedAddress") {
      this.#host.addressObserved(event.base, event.address, event.remote, now);
    }
    if (event.type === "keyLog") this.#host.keyLogged(connection, event);
    http3.handleEvent(event, now);
    for (let told = http3.pollEvent(); told !== undefined; told = http3.pollEvent()) {
      // Its last use may have left meanwhile.
      if (this.#http3 !== http3) break;
      if (told.type === "closed") this.#lose(`the connection to the relay is closed: ${told.reason}`, now);
      else for (const use of this.#uses) use.handleEvent(told, now);
    }
    for (const use of this.#uses) use.settle(now);
    this.#host.wakeEndpoint();
    return true;
  }

  /** Ends it for good. @returns The connections underneath: they are closing. */
  stop(now: number): readonly QuicConnection[] {
    const http3 = this.#http3;
    this.#http3 = undefined;
    this.#retryAt = Infinity;
    this.#uses.clear();
    http3?.close(now);
    this.#host.wakeEndpoint();
    return [...http3 === undefined ? [] : [http3.quic], ...this.#handshakes.stop(now)];
  }

  #proceed(outcome: HandshakeOutcome, now: number): void {
    switch (outcome.type) {
      case "pending":
        return;
      case "failed":
        return this.#lose(outcome.reason, now);
      case "complete":
        this.#http3 = outcome.http3;
        for (const use of this.#uses) {
          use.connecting(outcome.http3, now);
          use.settle(now);
        }
    }
  }

  #lose(reason: string, now: number): void {
    this.#http3 = undefined;
    for (const use of this.#uses) this.#unready.add(use);
    this.#retryAt = this.#pause.next(now);
    for (const use of this.#uses) use.lost(reason, this.#retryAt, now);
  }
}

/** All connections to relays of one machine: one to each relay, whatever it is used for. */
export class RelayConnections {
  readonly #host: RelayHost;
  /** Whoever joins bounds them. */
  readonly #connections = new Set<RelayConnection>();
  /** Connections that we closed and whose CONNECTION_CLOSE may have to be repeated. */
  readonly #closing = new Set<QuicConnection>();

  constructor(host: RelayHost) {
    this.#host = host;
  }

  /** Connections that are there or wanted, and those whose end is still being told. */
  get size(): number {
    this.#forgetClosed();
    return this.#connections.size + this.#closing.size;
  }

  /** When `onTimeout` wants to be called; `Infinity` for never. */
  get timeoutAt(): number {
    let at = Infinity;
    for (const { timeoutAt } of this.#connections) at = Math.min(at, timeoutAt);
    return at;
  }

  onTimeout(now: number): void {
    for (const connection of this.#connections) if (now >= connection.timeoutAt) connection.onTimeout(now);
  }

  /** Bases have come or gone. */
  onBasesChanged(now: number): void {
    for (const connection of this.#connections) connection.onBasesChanged(now);
  }

  /** Everything that came in has been looked at. @returns Whether there is something more to look at now. */
  settle(now: number): boolean {
    let isAnyTold = false;
    for (const connection of this.#connections) isAnyTold = connection.settle(now) || isAnyTold;
    return isAnyTold;
  }

  /** Uses the connection to a relay: the one that is there, or a new one. */
  join(access: RelayAccess, use: RelayUse, now: number): RelayConnection {
    const connection = this.#find(access) ?? new RelayConnection(this.#host, access);
    for (const address of access.addresses) this.#host.expectFrom(address);
    this.#connections.add(connection);
    connection.join(use, now);
    return connection;
  }

  /** Uses it no more. It is closed with its last use. */
  leave(connection: RelayConnection, use: RelayUse, now: number): void {
    connection.leave(use);
    if (connection.isIdle) this.#stop(connection, now);
  }

  /** Takes what happened on a connection. @returns Whether it is one to a relay. */
  onEvent(connection: QuicConnection, event: ConnectionEvent, now: number): boolean {
    for (const relay of this.#connections) if (relay.onEvent(connection, event, now)) return true;
    return this.#closing.has(connection);
  }

  #find({ authority, certificateSha256 }: RelayAccess): RelayConnection | undefined {
    for (const connection of this.#connections) {
      const { access } = connection;
      if (access.authority === authority && isSameDigest(access.certificateSha256, certificateSha256)) {
        return connection;
      }
    }
    return undefined;
  }

  #stop(connection: RelayConnection, now: number): void {
    this.#connections.delete(connection);
    for (const quic of connection.stop(now)) this.#closing.add(quic);
  }

  #forgetClosed(): void {
    for (const connection of this.#closing) if (connection.state !== "closing") this.#closing.delete(connection);
  }
}

function isSameDigest(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : equalBytes(one, other);
}
