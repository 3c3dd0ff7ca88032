/**
 * The paths of one session, on either side: it goes direct when NAT traversal or an attempt that was not chosen has found a
 * way, and when that is lost back through the relay, from where it looks for another: as far as the relay policy lets it
 * (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import { allowsDirect, carriesData, goesBack, NO_DIRECT_PATH_CODE, prefersRelay } from "./relay_policy.ts";
import type { Node, TraversalEvent } from "./traversal.ts";
import type { Findings, PathKey } from "./ways.ts";

/** What the paths need of the machine around them. */
export interface PathsHost {
  readonly node: Node;
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
  /** Of the attempts that were not chosen. */
  readonly findings: readonly Findings[];
  /** Addresses of ours, as they are. */
  readonly candidates: () => readonly LocalCandidate[];
}

/** Where the packets of a session go. */
export class SessionPaths {
  readonly #host: PathsHost;
  readonly #connection: QuicConnection;
  readonly #startedAt: number;
  readonly #relayed: readonly Address[];
  readonly #candidates: () => readonly LocalCandidate[];
  /** Paths that are to be asked for as soon as the peer can be asked. */
  #unasked: (PathKey & { readonly isWayBack: boolean })[];
  /** Paths that ICE has proved. */
  readonly #open: readonly PathKey[];
  /** The relayed path that was in use last. */
  #relayedPath: PathKey | undefined;
  /** What was told of the path in use last. */
  #kind: "relayed" | "direct";
  /** Whether the connection knows our addresses. One that began direct needs them when it comes to a relay. */
  #isTold: boolean;
  #isConfirmed = false;
  /** Whether the path in use carries datagrams of full size: RFC 9000 §8.2.1. */
  #isSized = false;
  /** Whether the application has had its session. */
  #hasBeenUsable = false;
  /** Whether we are at the relay because it is the faster way. */
  #isByChoice = false;

  constructor(host: PathsHost, options: SessionPathsOptions) {
    this.#host = host;
    this.#connection = options.connection;
    this.#startedAt = options.startedAt;
    this.#relayed = options.relayed;
    this.#candidates = options.candidates;
    const isRelayed = this.isRelayed(this.#connection.path);
    this.#kind = isRelayed ? "relayed" : "direct";
    this.#isTold = isRelayed;
    this.#isSized = !isRelayed;
    this.#relayedPath = isRelayed ? this.#connection.path : undefined;
    this.#open = isRelayed ? options.findings.flatMap(({ openPaths }) => openPaths) : [];
    const waysBack = options.findings.flatMap(({ wayBack }) => wayBack === undefined ? [] : [wayBack]);
    this.#unasked = [
      ...this.#open.map((path) => ({ ...path, isWayBack: false })),
      ...(goesBack(this.#policy) ? waysBack : []).map((path) => ({ ...path, isWayBack: true })),
    ];
    this.#useFirst();
  }

  /** Whether packets on the path pass through a relay: out of our tunnel, or to the peer's address there. */
  isRelayed({ base, remote }: PathKey): boolean {
    return base.kind === "tunnel" || this.#relayed.includes(remote);
  }

  /** Whether the application's bytes may go where the connection is now. */
  get isUsable(): boolean {
    if (carriesData(this.#policy)) return true;
    // A server learns no size: its client moves back if there is no room.
    return !this.isRelayed(this.#connection.path) && (this.#isSized || this.#connection.role === "server");
  }

  addCandidate(candidate: LocalCandidate, now: number): void {
    if (!this.#isTold) return;
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
      case "handshakeConfirmed":
        this.#isConfirmed = true;
        break;
      case "pathFound":
        // A relay that is asked on a path that was given up answers too.
        if (!this.isRelayed(event)) this.#consider(event, event.rttMs, now);
        break;
      case "pathSized":
        if (this.#isInUse(event)) this.#isSized = true;
        break;
      case "pathValidated":
        this.#onValidated(event, event.rttMs, now);
        break;
      case "pathChanged":
        this.#onChanged(event, now);
        break;
      default:
        break;
    }
    if (this.#isConfirmed && this.#unasked.length > 0) this.#ask(now);
    this.#useFirst();
  }

  get #policy(): Node["relayPolicy"] {
    return this.#host.node.relayPolicy;
  }

  #isInUse({ base, remote }: PathKey): boolean {
    const { path } = this.#connection;
    return path.base === base && path.remote === remote;
  }

  /** What has no connection ID of the peer's for it yet is asked for at the next event. */
  #ask(now: number): void {
    const { bases } = this.#host.node;
    this.#unasked = this.#unasked.filter(({ base, remote, isWayBack }) => {
      // The base may be gone by now: a way back leads from any other of the family as well.
      const other = isWayBack ? bases.find(({ local }) => local.family === remote.family) : undefined;
      const from = bases.includes(base) ? base : other;
      return from !== undefined && !this.#connection.probePath(from, remote, now, isWayBack);
    });
    this.#host.wakeEndpoint();
  }

  #onValidated(path: PathKey, rttMs: number | undefined, now: number): void {
    if (this.#isInUse(path)) {
      this.#isSized = true;
      return;
    }
    if (this.#open.some(({ base, remote }) => path.base === base && path.remote === remote)) {
      // RFC 9000 §8.2.1: it was asked with datagrams of full size.
      this.#consider(path, rttMs, now);
      this.#isSized = this.#isInUse(path);
      return;
    }
    const directRttMs = this.#connection.stats.rttMs;
    if (rttMs === undefined || !this.isRelayed(path) || !prefersRelay(this.#policy, rttMs, directRttMs)) return;
    if (!this.isRelayed(this.#connection.path)) this.#stay(path, now);
  }

  /** The relay is the faster way. */
  #stay(path: PathKey, now: number): void {
    this.#isByChoice = true;
    this.#connection.migrate(path.base, path.remote, now);
    this.#host.wakeEndpoint();
  }

  /** A direct path works. */
  #consider({ base, remote }: PathKey, rttMs: number | undefined, now: number): void {
    const { path, stats } = this.#connection;
    if (this.isRelayed(path) && prefersRelay(this.#policy, stats.rttMs, rttMs ?? 0)) {
      this.#isByChoice = true;
      const reason = `the direct path takes ${Math.round(rttMs ?? 0)} ms, the relay ${Math.round(stats.rttMs)} ms`;
      this.#tell("relayed", now, reason);
      return;
    }
    this.#isByChoice = false;
    this.#connection.migrate(base, remote, now);
    this.#host.wakeEndpoint();
  }

  #onChanged(path: PathKey, now: number): void {
    const isRelayed = this.isRelayed(path);
    this.#isSized = false;
    if (!isRelayed) {
      this.#tell("direct", now);
      return;
    }
    this.#relayedPath = path;
    if (!carriesData(this.#policy) && this.#hasBeenUsable) {
      const reason = "the direct path is lost, and the relay policy keeps data off relays";
      this.#tell("relayed", now, reason);
      this.#connection.close(NO_DIRECT_PATH_CODE, reason, now);
      this.#host.wakeEndpoint();
      return;
    }
    this.#tell("relayed", now, this.#isByChoice ? "the relay is the faster way" : undefined);
    if (!this.#isTold && allowsDirect(this.#policy)) {
      this.#isTold = true;
      for (const candidate of this.#candidates()) this.#connection.addCandidate(candidate, now);
    }
    // Back at the relay: the direct path is lost, so another one is looked for.
    if (this.#connection.role === "client" && !this.#isByChoice) this.#connection.restartTraversal(now);
    this.#host.wakeEndpoint();
  }
  /** Where the relay carries no data: from now on there is none but the direct path, and the peer may open streams. */
  #useFirst(): void {
    if (this.#hasBeenUsable || !this.isUsable) return;
    this.#hasBeenUsable = true;
    if (carriesData(this.#policy)) return;
    const { maxBidirectionalStreams, maxUnidirectionalStreams } = this.#host.node.quic;
    this.#connection.allowStreams(maxBidirectionalStreams, maxUnidirectionalStreams);
    const left = this.#relayedPath;
    if (left !== undefined) this.#connection.abandonPath(left.base, left.remote);
    this.#host.wakeEndpoint();
  }

  /** A path of the same kind is news for nobody. */
  #tell(kind: "relayed" | "direct", now: number, reason?: string): void {
    if (kind === this.#kind && reason === undefined) return;
    this.#kind = kind;
    const ms = now - this.#startedAt;
    const connection = this.#connection;
    this.#host.emit({ type: "path", connection, kind, ms, ...(reason === undefined ? {} : { reason }) });
  }
}
