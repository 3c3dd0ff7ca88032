/**
 * Handshakes with one relay: at each of its addresses in turn, until one is complete (RFC 8305 §5), and with whoever proves to
 * be that relay: by the digest of its certificate, or by a chain to an authority and its name.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { Http3Connection } from "../protocols/http3/connection.ts";
import {
  HTTP3_ALPN,
  TUNNEL_HTTP3_OPTIONS,
  TUNNEL_KEEP_ALIVE_MS,
  TUNNEL_TRANSPORT_SETTINGS,
} from "../protocols/masque/config.ts";
import type { TlsSettings } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import { DEFAULT_CIPHER_SUITES } from "../protocols/tls/config.ts";
import type { PeerIdentity } from "../protocols/tls/peer_policy.ts";
import type { Node, RelayAccess } from "./traversal.ts";

/** An address that has not answered by then gets company: RFC 8305 §8. */
const CONNECTION_ATTEMPT_DELAY_MS = 250;

/** A round without an answer ends after so long: the next one's packets come faster one after the other. */
const MAX_ROUND_MS = 10_000;

/** What handshakes need of the machine around them. */
export interface HandshakeHost {
  readonly node: Node;
  readonly endpoint: QuicEndpoint;
}

/** What came of an event. */
export type HandshakeOutcome =
  | { readonly type: "pending" }
  | { readonly type: "complete"; readonly http3: Http3Connection }
  | { readonly type: "failed"; readonly reason: string };

const PENDING: HandshakeOutcome = { type: "pending" };

interface Attempt {
  readonly http3: Http3Connection;
  /** Why its certificate is not taken. */
  refusal: string | undefined;
}

/** One round of handshakes after another, each begun by `begin`. */
export class RelayHandshakes {
  readonly #host: HandshakeHost;
  #access: RelayAccess;
  /** As many as the relay has addresses, at most. */
  readonly #attempts = new Map<QuicConnection, Attempt>();
  /** Those that others were faster than, until they have said so. */
  readonly #losers = new Set<QuicConnection>();
  #untried: readonly Address[] = [];
  #nextAt = Infinity;
  /** When the round ends. */
  #deadlineAt = Infinity;
  #reason = "";

  constructor(host: HandshakeHost, access: RelayAccess) {
    this.#host = host;
    this.#access = access;
  }

  /** Whether a round has begun and not ended. */
  get isUnderWay(): boolean {
    return this.#attempts.size > 0;
  }

  /** When `onTimeout` wants to be called; `Infinity` for never. */
  get timeoutAt(): number {
    return Math.min(this.#nextAt, this.#deadlineAt);
  }

  /** What is known of the relay now: for the next round. */
  update(access: RelayAccess): void {
    this.#access = access;
  }

  /** Begins with the first address. */
  begin(now: number): HandshakeOutcome {
    const { bases } = this.#host.node;
    this.#untried = this.#access.addresses.filter(({ family }) => bases.some(({ local }) => local.family === family));
    this.#deadlineAt = now + MAX_ROUND_MS;
    this.#reason = `no socket for ${this.#access.addresses.join(", ")}`;
    return this.#tryNext(now);
  }

  onTimeout(now: number): HandshakeOutcome {
    if (now < this.#deadlineAt) return now >= this.#nextAt ? this.#tryNext(now) : PENDING;
    this.#giveUpOthers(now);
    return { type: "failed", reason: `the relay has not answered for ${MAX_ROUND_MS / 1000} s` };
  }

  /** Gives up those whose base is gone: before the handshake is confirmed nobody moves (RFC 9000 §9). */
  onBasesChanged(): void {
    const { bases } = this.#host.node;
    for (const quic of this.#attempts.keys()) {
      if (bases.includes(quic.path.base)) continue;
      this.#attempts.delete(quic);
      this.#losers.add(quic);
      quic.abandon();
    }
  }

  /** Takes what happened on a connection; `undefined` if it is none of these. */
  onEvent(connection: QuicConnection, event: ConnectionEvent, now: number): HandshakeOutcome | undefined {
    if (this.#losers.has(connection)) {
      if (event.type === "closed") this.#losers.delete(connection);
      return PENDING;
    }
    const attempt = this.#attempts.get(connection);
    if (attempt === undefined) return undefined;
    attempt.http3.handleEvent(event, now);
    switch (event.type) {
      case "verifyPeer":
        this.#judge(attempt, event.peer, now);
        return PENDING;
      case "handshakeComplete":
        this.#attempts.delete(connection);
        this.#giveUpOthers(now);
        return { type: "complete", http3: attempt.http3 };
      case "closed":
        this.#attempts.delete(connection);
        this.#reason = attempt.refusal ?? `the connection to the relay is closed: ${event.reason}`;
        return this.#tryNext(now);
      default:
        return PENDING;
    }
  }

  /** Ends the round. @returns The connections underneath: they are closing. */
  stop(now: number): readonly QuicConnection[] {
    this.#giveUpOthers(now);
    return [...this.#losers];
  }

  #tryNext(now: number): HandshakeOutcome {
    const [address, ...rest] = this.#untried;
    this.#untried = rest;
    this.#nextAt = rest.length === 0 ? Infinity : now + CONNECTION_ATTEMPT_DELAY_MS;
    if (address !== undefined) this.#connect(address, now);
    if (this.#attempts.size > 0) return PENDING;
    this.#deadlineAt = Infinity;
    return { type: "failed", reason: this.#reason };
  }

  #connect(address: Address, now: number): void {
    const { node, endpoint } = this.#host;
    const base = node.bases.find(({ local }) => local.family === address.family);
    if (base === undefined) return;
    const quic = endpoint.connect({
      base,
      remote: address,
      tls: this.#tlsSettings(),
      transport: { ...TUNNEL_TRANSPORT_SETTINGS, keepAliveMs: TUNNEL_KEEP_ALIVE_MS },
    }, now);
    this.#attempts.set(quic, { http3: new Http3Connection(quic, TUNNEL_HTTP3_OPTIONS), refusal: undefined });
  }

  #tlsSettings(): TlsSettings {
    const { certificateSha256, serverName } = this.#access;
    return {
      cipherSuites: DEFAULT_CIPHER_SUITES,
      applicationProtocols: [HTTP3_ALPN],
      credentials: [],
      // RFC 6066 §3: for a name and never for an IP address.
      ...(serverName === undefined ? {} : { serverName }),
      peer: certificateSha256 === undefined
        ? { certificateTypes: ["X509"], ask: true }
        : { certificateTypes: ["X509"], certificateSha256: [certificateSha256], ask: false },
      keyLog: this.#host.node.keyLog,
    };
  }

  #judge(attempt: Attempt, { certificates }: PeerIdentity, now: number): void {
    const { quic } = attempt.http3;
    const host = this.#access.serverName ?? quic.path.remote.host;
    const verdict = this.#host.node.verifyChain?.(certificates, host, now) ??
      { accepted: false, alert: "unknown_ca", reason: "no authority is trusted here" };
    if (!verdict.accepted) attempt.refusal = `the relay's certificate is refused: ${verdict.reason ?? verdict.alert}`;
    quic.provideVerdict(verdict, now);
  }

  #giveUpOthers(now: number): void {
    this.#untried = [];
    this.#nextAt = Infinity;
    this.#deadlineAt = Infinity;
    for (const [quic, { http3 }] of this.#attempts) {
      this.#losers.add(quic);
      http3.close(now);
    }
    this.#attempts.clear();
  }
}
