/**
 * A tunnel through a relay, on the endpoint that the peers' connections use too: one UDP socket carries both, so the mapping
 * that the relay sees is the one that is punched (draft-ietf-masque-connect-udp-listen, RFC 9298).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import { Http3Connection } from "../protocols/http3/connection.ts";
import {
  HTTP3_ALPN,
  TUNNEL_HTTP3_OPTIONS,
  TUNNEL_KEEP_ALIVE_MS,
  TUNNEL_TRANSPORT_SETTINGS,
} from "../protocols/masque/config.ts";
import { UdpTunnel } from "../protocols/masque/udp_tunnel.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import { DEFAULT_CIPHER_SUITES } from "../protocols/tls/config.ts";
import type { Mux } from "./mux.ts";
import type { Node, RelayAccess } from "./traversal.ts";

/** A relay that was lost is tried again after so long, then twice as long, and so on. */
const MIN_RETRY_MS = 500;

/** The longest pause. */
const MAX_RETRY_MS = 30_000;

/** What a relay means by its answers, for people. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [401, "the relay asks for another token"],
  [429, "the relay has given our address as many ports as it gives to one"],
]);

/** What a tunnel needs of the machine around it. */
export interface TunnelHost {
  readonly node: Node;
  readonly mux: Mux;
  readonly endpoint: QuicEndpoint;
  wakeEndpoint(): void;
}

/** Who is told. */
export interface TunnelListener {
  /** There is an address at the relay: `base.local`. */
  tunnelOpened(base: Base, now: number): void;
  /** It is gone; the tunnel comes back by itself, perhaps with another address. */
  tunnelClosed(base: Base | undefined, reason: string, now: number): void;
  /** The relay has told where our packets come from. */
  addressObserved(base: Base, address: Address, server: Address, now: number): void;
}

interface Outer {
  readonly quic: QuicConnection;
  readonly http3: Http3Connection;
  readonly tunnel: UdpTunnel;
}

/** Keeps one tunnel open until it is stopped. */
export class RelayTunnel {
  readonly #host: TunnelHost;
  readonly #access: RelayAccess;
  readonly #listener: TunnelListener;
  #outer: Outer | undefined;
  #base: Base | undefined;
  #pauseMs = MIN_RETRY_MS;
  /** When the next attempt is due; `Infinity` while there is a connection. */
  #retryAt: number;
  #isStopped = false;

  /** The first attempt is made by `onTimeout`, at once. */
  constructor(host: TunnelHost, access: RelayAccess, listener: TunnelListener) {
    this.#host = host;
    this.#access = access;
    this.#listener = listener;
    this.#retryAt = host.node.now;
  }

  /** The address at the relay, as a base to send from. */
  get base(): Base | undefined {
    return this.#base;
  }

  /** When `onTimeout` wants to be called. */
  get timeoutAt(): number {
    return this.#retryAt;
  }

  onTimeout(now: number): void {
    if (now < this.#retryAt || this.#isStopped) return;
    this.#retryAt = Infinity;
    this.#connect(now);
  }

  /** Takes what happened on a connection. @returns Whether it is the one to the relay. */
  onEvent(connection: QuicConnection, event: ConnectionEvent, now: number): boolean {
    const outer = this.#outer;
    if (outer?.quic !== connection) return false;
    if (event.type === "observedAddress") {
      this.#listener.addressObserved(event.base, event.address, event.remote, now);
    }
    outer.http3.handleEvent(event, now);
    this.#drain(outer, now);
    return true;
  }

  /** Gives the address back. @returns The connection to the relay, if there is one: it is closing. */
  stop(now: number): QuicConnection | undefined {
    this.#isStopped = true;
    this.#retryAt = Infinity;
    const outer = this.#outer;
    this.#lose("stopped", now);
    outer?.http3.close(now);
    this.#host.wakeEndpoint();
    return outer?.quic;
  }

  #connect(now: number): void {
    const { address, authority, certificateSha256, token } = this.#access;
    const base = this.#host.node.bases.find(({ local }) => local.family === address.family);
    if (base === undefined) return this.#lose(`no socket of the family of ${address}`, now);
    const quic = this.#host.endpoint.connect({
      base,
      remote: address,
      tls: {
        cipherSuites: DEFAULT_CIPHER_SUITES,
        applicationProtocols: [HTTP3_ALPN],
        credentials: [],
        // Without a digest nobody is believed.
        peer: {
          certificateTypes: ["X509"],
          certificateSha256: certificateSha256 === undefined ? [] : [certificateSha256],
          ask: false,
        },
        keyLog: this.#host.node.keyLog,
      },
      transport: { ...TUNNEL_TRANSPORT_SETTINGS, keepAliveMs: TUNNEL_KEEP_ALIVE_MS },
    }, now);
    const http3 = new Http3Connection(quic, TUNNEL_HTTP3_OPTIONS);
    const tunnel = new UdpTunnel(http3, {
      authority,
      key: this.#host.node.identity,
      ...(token === undefined ? {} : { token }),
    });
    this.#outer = { quic, http3, tunnel };
    this.#host.wakeEndpoint();
  }

  #drain({ http3, tunnel }: Outer, now: number): void {
    for (let event = http3.pollEvent(); event !== undefined; event = http3.pollEvent()) tunnel.handleEvent(event, now);
    for (let event = tunnel.pollEvent(); event !== undefined; event = tunnel.pollEvent()) {
      if (event.type === "open") this.#open(event.base, tunnel, now);
      else {
        this.#lose(REFUSALS.get(event.status ?? 0) ?? event.reason, now);
        // Who has taken the port over would lose it again to us.
        if (event.isReplaced) this.#retryAt = Infinity;
      }
    }
    for (let inner = tunnel.pollDatagram(now); inner !== undefined; inner = tunnel.pollDatagram(now)) {
      this.#host.mux.handleDatagram(inner, now);
    }
    this.#host.wakeEndpoint();
  }

  #open(base: Base, tunnel: UdpTunnel, now: number): void {
    this.#base = base;
    this.#pauseMs = MIN_RETRY_MS;
    this.#host.mux.routeTunnel(base, (datagram, at) => {
      tunnel.send(datagram, at);
      this.#host.wakeEndpoint();
    });
    this.#listener.tunnelOpened(base, now);
  }

  #lose(reason: string, now: number): void {
    const base = this.#base;
    if (base !== undefined) this.#host.mux.routeTunnel(base, undefined);
    this.#base = undefined;
    this.#outer = undefined;
    if (!this.#isStopped) {
      this.#retryAt = now + this.#pauseMs;
      this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_RETRY_MS);
    }
    this.#listener.tunnelClosed(base, reason, now);
  }
}
