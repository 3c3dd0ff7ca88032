/**
 * One call's ICE agent, on either side: made from the call's credentials, fed with candidates as they trickle
 * (RFC 8445, RFC 8838). It lives as long as the session that comes of the call: it sees to it that the peer consents to what
 * is sent (RFC 7675), and begins anew when the peer is silent (RFC 8445 §9).
 *
 * A restart needs no signaling: both sides derive its credentials from the session's keys (RFC 8446 §7.5), and its candidates
 * are those that are known, our bases as they are by then, and whatever the checks reveal.
 *
 * @module
 */

import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import { IceAgent } from "../protocols/ice/agent.ts";
import { CONSENT_TIMEOUT_MS } from "../protocols/ice/consent.ts";
import type { IceCredentials, IceEvent, IceRole, PairReport, ValidPair } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { Call } from "../signaling/machines.ts";
import type { SocketError } from "../io/host.ts";
import type { Mux, Port } from "./mux.ts";
import type { Node } from "./traversal.ts";
import type { PathKey } from "./ways.ts";

/** Requests in one check: with the RTO of RFC 8445 §14.3 they leave at 0, 0.5, 1.5, 3.5 and 7.5 s. */
const CHECK_REQUEST_COUNT = 5;

/** The last request is waited for this many RTOs, so that a check that has failed is known within 9 s. */
const CHECK_LAST_MULTIPLIER = 3;

/** What the credentials of restarts are exported under: RFC 8446 §7.5. The context is the number of the restart. */
const RESTART_LABEL = "EXPORTER-traverse 1 ice restart";

/** Multiples of 3, as base64 without padding is made of ice-chars (RFC 8839 §5.4). */
const UFRAG_BYTES = 6;
const PASSWORD_BYTES = 24;

/** Before, now and next. */
const ROUTED_GENERATIONS = 3;

/** What a session ends with whose peer has not been heard for too long. */
export const NO_CONSENT = `The peer has consented to nothing for ${
  CONSENT_TIMEOUT_MS / 1000
} s, and no other path was found`;

/** What a call needs of the machine around it. */
export interface IceHost {
  readonly mux: Mux;
  readonly node: Node;
  wakeEndpoint(): void;
}

/** The session of a call. */
interface Session {
  readonly connection: QuicConnection;
  /** Paths through relays are none of ICE's. */
  readonly isRelayed: (path: PathKey) => boolean;
}

/** An agent attached to a mux for the time of a call and its session. */
export class IceCall {
  readonly #host: IceHost;
  readonly #mux: Mux;
  readonly #node: Node;
  readonly #agent: IceAgent;
  readonly #port: Port;
  #local: LocalCandidate[] = [];
  #session: Session | undefined;
  /** Of the generation that would be next. */
  #generation = 0;
  /** Of the generation before, now, and next. */
  #ufrags: string[] = [];
  /** From the first restart on. */
  #current: { readonly local: IceCredentials; readonly remote: IceCredentials } | undefined;
  /** Whether the peer was heard with these. */
  #isHeard = true;
  #next: { readonly local: IceCredentials; readonly remote: IceCredentials } | undefined;

  /**
   * @param options `patient`: checks are repeated until the call expires, because the peer starts when a person has pasted.
   * @param handle Gets the agent's events while the mux settles.
   */
  constructor(
    host: IceHost,
    call: Call,
    options: { readonly role: IceRole; readonly patient: boolean; readonly now: number },
    handle: (event: IceEvent, now: number) => void,
  ) {
    const { mux, node } = host;
    this.#host = host;
    this.#mux = mux;
    this.#node = node;
    this.#agent = new IceAgent({
      role: options.role,
      local: { ufrag: call.localCredentials.usernameFragment, password: call.localCredentials.password },
      remote: { ufrag: call.remoteCredentials.usernameFragment, password: call.remoteCredentials.password },
      now: options.now,
      random: node.random,
      config: {
        taMs: call.taMs,
        requestCount: CHECK_REQUEST_COUNT,
        lastMultiplier: CHECK_LAST_MULTIPLIER,
        allowLoopback: node.allowLoopback,
        // QUIC's own keep-alive holds the mapping of the pair it uses: indications would be sent twice as often for nothing.
        keepaliveMs: Infinity,
        keepTryingUntil: options.patient ? call.expiresAt : undefined,
      },
    });
    this.#port = mux.attach(this.#agent, (event: IceEvent, now) => {
      this.#onEvent(event, now);
      handle(event, now);
    });
    this.#route(this.#agent.localUfrag);
  }

  addLocal(candidates: readonly LocalCandidate[], now: number): void {
    for (const candidate of candidates) {
      this.#local.push(candidate);
      const rank = this.#node.bases.indexOf(candidate.base);
      // RFC 8421 §4: the order of the bases is the order of preference.
      this.#agent.addLocalCandidate(candidate, now, { preference: 65535 - Math.max(0, rank) });
    }
    this.#port.wake();
  }

  removeLocal(candidate: LocalCandidate, now: number): void {
    this.#local = this.#local.filter((other) => other !== candidate);
    this.#agent.removeLocalCandidate(candidate, now);
    this.#port.wake();
  }

  endOfLocal(now: number): void {
    this.#agent.endOfLocalCandidates(now);
    this.#port.wake();
  }

  addRemote(candidates: readonly RemoteCandidate[], now: number): void {
    for (const candidate of candidates) this.#agent.addRemoteCandidate(candidate, now);
    this.#port.wake();
  }

  /** The call has become this session. @param isRelayed Of which paths something else takes care. */
  begin(connection: QuicConnection, isRelayed: (path: PathKey) => boolean, now: number): void {
    this.#session = { connection, isRelayed };
    this.#expectRestart();
    this.follow(now);
  }

  /** QUIC uses another path, or its first: it is kept under consent, and nominated where that is ours to do. */
  follow(now: number): void {
    if (this.#session === undefined) return;
    const { connection, isRelayed } = this.#session;
    const { path } = connection;
    if (isRelayed(path)) this.#agent.endConsent();
    else {
      this.#agent.keepConsent({
        base: path.base,
        remote: path.remote,
        answeredAt: () => connection.stats.answeredAt,
        isWaiting: () => connection.stats.bytesInFlight > 0,
      }, now);
      this.#agent.nominate(path.base, path.remote, now);
    }
    this.#port.wake();
  }

  /** A proved path that the session had better use. Before a restart only if that in use is proved as well, and behind. */
  get betterPath(): ValidPair | undefined {
    if (this.#session === undefined) return undefined;
    const { connection: { path }, isRelayed } = this.#session;
    if (isRelayed(path)) return undefined;
    const isProved = this.#generation > 1 || this.#agent.isProved(path.base, path.remote);
    return isProved ? this.#agent.betterThan(path.base, path.remote) : undefined;
  }

  /** Our bases are others. A server whose path is gone with one has no other way to say so than to check anew. */
  onBasesChanged(now: number): void {
    if (this.#session === undefined) return;
    const { bases } = this.#node;
    for (const candidate of [...this.#local]) if (!bases.includes(candidate.base)) this.removeLocal(candidate, now);
    for (const base of bases) {
      if (base.kind !== "socket" || this.#local.some((candidate) => candidate.base === base)) continue;
      this.addLocal([{ type: "host", address: base.local, base }], now);
    }
    const { connection } = this.#session;
    if (connection.role === "server" && !bases.includes(connection.path.base)) this.#restart(now);
  }

  handleSocketError(error: SocketError, now: number): void {
    this.#agent.handleSocketError(error, now);
    this.#port.wake();
  }

  report(): readonly PairReport[] {
    return this.#agent.report();
  }

  /** The call, or its session, is over: checks are neither sent nor answered any more. */
  stop(): void {
    this.#session = undefined;
    this.#mux.detach(this.#port);
  }

  #onEvent(event: IceEvent, now: number): void {
    if (this.#session === undefined) return;
    switch (event.type) {
      case "restarted":
        if (this.#agent.localUfrag === this.#next?.local.ufrag) this.#expectRestart();
        else if (this.#next !== undefined) this.#agent.expectRestart(this.#next);
        return;
      case "authenticatedCheck":
        this.#isHeard = true;
        return;
      case "consentQuiet":
        this.#session.connection.ping();
        this.#host.wakeEndpoint();
        return;
      case "consentInDoubt":
        this.#restart(now);
        return;
      case "consentExpired":
        // RFC 7675 §5.1: nothing more is sent there, and so no word of farewell either.
        this.#session.connection.abandon(NO_CONSENT);
        this.#host.wakeEndpoint();
        return;
      default:
        return;
    }
  }

  /** With the next credentials only once the peer has been heard with these: it is behind by one restart at most. */
  #restart(now: number): void {
    const credentials = this.#isHeard ? this.#next : this.#current;
    if (credentials === undefined) return;
    this.#agent.restart(credentials, now);
    this.#port.wake();
  }

  /** What either side would restart with next. */
  #expectRestart(): void {
    if (this.#session === undefined) return;
    // The first are those of the call, by which the session came about.
    this.#isHeard = this.#next === undefined;
    this.#current = this.#next;
    const { connection } = this.#session;
    const context = new Uint8Array(4);
    new DataView(context.buffer).setUint32(0, ++this.#generation);
    const side = UFRAG_BYTES + PASSWORD_BYTES;
    const bytes = connection.exportKeyingMaterial(RESTART_LABEL, context, 2 * side);
    const [client, server] = [credentialsOf(bytes.subarray(0, side)), credentialsOf(bytes.subarray(side))];
    this.#next = connection.role === "client" ? { local: client, remote: server } : { local: server, remote: client };
    this.#agent.expectRestart(this.#next);
    this.#route(this.#next.local.ufrag);
  }

  /** Requests come here that are for this generation; the one before the last is forgotten. */
  #route(ufrag: string): void {
    this.#mux.routeUsername(ufrag, this.#port);
    if (this.#ufrags.push(ufrag) <= ROUTED_GENERATIONS) return;
    const oldest = this.#ufrags.shift();
    if (oldest !== undefined) this.#mux.unrouteUsername(oldest);
  }
}

function credentialsOf(bytes: Uint8Array): IceCredentials {
  return { ufrag: bytes.subarray(0, UFRAG_BYTES).toBase64(), password: bytes.subarray(UFRAG_BYTES).toBase64() };
}
