/**
 * The paths of one session, on either side: it goes direct when NAT traversal has found a way, and when that is lost back
 * through the relay, from where it looks for another (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import type { TraversalEvent } from "./traversal.ts";
import type { PathKey } from "./ways.ts";

/** What the paths need of the machine around them. */
export interface PathsHost {
  emit(event: TraversalEvent): void;
  wakeEndpoint(): void;
}

/** What the paths of a session are made of. */
export interface SessionPathsOptions {
  readonly connection: QuicConnection;
  /** What `ms` counts from. */
  readonly startedAt: number;
  /** The peer's addresses at relays. */
  readonly relayed: readonly Address[];
}

/** Where the packets of a session go. */
export class SessionPaths {
  readonly #host: PathsHost;
  readonly #connection: QuicConnection;
  readonly #startedAt: number;
  readonly #relayed: readonly Address[];

  constructor(host: PathsHost, { connection, startedAt, relayed }: SessionPathsOptions) {
    this.#host = host;
    this.#connection = connection;
    this.#startedAt = startedAt;
    this.#relayed = relayed;
  }

  /** Whether packets on the path pass through a relay: out of our tunnel, or to the peer's address there. */
  isRelayed({ base, remote }: PathKey): boolean {
    return base.kind === "tunnel" || this.#relayed.includes(remote);
  }

  addCandidate(candidate: LocalCandidate, now: number): void {
    this.#connection.addCandidate(candidate, now);
    this.#host.wakeEndpoint();
  }

  removeCandidate({ base, address }: LocalCandidate, now: number): void {
    this.#connection.removeCandidate(base, address, now);
    this.#host.wakeEndpoint();
  }

  /** Something happened on the connection. */
  onEvent(event: ConnectionEvent, now: number): void {
    switch (event.type) {
      case "pathFound":
        this.#connection.migrate(event.base, event.remote, now);
        this.#host.wakeEndpoint();
        return;
      case "pathChanged":
        this.#onPathChanged(event, now);
        return;
      default:
        return;
    }
  }

  #onPathChanged(path: PathKey, now: number): void {
    const kind = this.isRelayed(path) ? "relayed" : "direct";
    this.#host.emit({ type: "path", connection: this.#connection, kind, ms: now - this.#startedAt });
    // Back at the relay: the direct path is lost, so another one is looked for.
    if (kind === "relayed" && this.#connection.role === "client") this.#connection.restartTraversal(now);
  }
}
