/**
 * A tunnel through a relay, on the connection to it: an address there that others send to as to a socket
 * (draft-ietf-masque-connect-udp-listen, RFC 9298).
 *
 * @module
 */

import type { Base } from "../protocols/core/machine.ts";
import type { Http3Connection } from "../protocols/http3/connection.ts";
import type { Http3Event } from "../protocols/http3/events.ts";
import { UdpTunnel } from "../protocols/masque/udp_tunnel.ts";
import type { Mux } from "./mux.ts";
import { type RelayConnection, type RelayConnections, type RelayUse, RetryPause } from "./relay_connection.ts";
import type { Node, RelayAccess } from "./traversal.ts";

/** What a relay means by its answers, for people. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [401, "the relay asks for another token"],
  [429, "the relay has given our address as many ports as it gives to one"],
]);

/** What a tunnel needs of the machine around it. */
export interface TunnelHost {
  readonly node: Node;
  readonly mux: Mux;
  readonly relays: RelayConnections;
  wakeEndpoint(): void;
}

/** Who is told. */
export interface TunnelListener {
  /** There is an address at the relay: `base.local`. */
  tunnelOpened(base: Base, now: number): void;
  /** It is gone; the tunnel comes back by itself at `retryAt` or later, perhaps with another address. */
  tunnelClosed(base: Base | undefined, reason: string, retryAt: number, now: number): void;
}

/** Keeps one tunnel open until it is stopped. */
export class RelayTunnel implements RelayUse {
  readonly #host: TunnelHost;
  #access: RelayAccess;
  readonly #listener: TunnelListener;
  readonly #connection: RelayConnection;
  readonly #pause = new RetryPause();
  #tunnel: UdpTunnel | undefined;
  #base: Base | undefined;
  /** When the relay is asked once more, on the connection that is there. */
  #retryAt = Infinity;

  /** Asks for the tunnel as soon as there is a connection to the relay. */
  constructor(host: TunnelHost, access: RelayAccess, listener: TunnelListener) {
    this.#host = host;
    this.#access = access;
    this.#listener = listener;
    this.#connection = host.relays.join(access, this, host.node.now);
  }

  /** The address at the relay, as a base to send from. */
  get base(): Base | undefined {
    return this.#base;
  }

  get timeoutAt(): number {
    return this.#retryAt;
  }

  onTimeout(now: number): void {
    if (now < this.#retryAt) return;
    this.#retryAt = Infinity;
    const { http3 } = this.#connection;
    if (http3 === undefined) return;
    this.connecting(http3);
    this.settle(now);
    this.#host.wakeEndpoint();
  }

  connecting(http3: Http3Connection): void {
    // Another use of the connection may have come with another token, or none.
    const { authority, token } = this.#access;
    this.#tunnel = new UdpTunnel(http3, {
      authority,
      key: this.#host.node.identity,
      ...(token === undefined ? {} : { token }),
    });
  }

  ready(): void {
    // A tunnel waits for the relay's SETTINGS besides (RFC 9220 §3), and hears of them.
  }

  handleEvent(event: Http3Event, now: number): void {
    this.#tunnel?.handleEvent(event, now);
  }

  settle(now: number): void {
    const tunnel = this.#tunnel;
    if (tunnel === undefined) return;
    for (let event = tunnel.pollEvent(); event !== undefined; event = tunnel.pollEvent()) {
      if (event.type === "open") this.#open(event.base, tunnel, now);
      else {
        // Who has taken the port over would lose it again to us.
        this.#retryAt = event.isReplaced ? Infinity : this.#pause.next(now);
        this.#close(REFUSALS.get(event.status ?? 0) ?? event.reason, this.#retryAt, now);
        if (event.isReplaced) this.#host.relays.leave(this.#connection, this, now);
      }
    }
    for (let inner = tunnel.pollDatagram(now); inner !== undefined; inner = tunnel.pollDatagram(now)) {
      this.#host.mux.handleDatagram(inner, now);
    }
  }

  lost(reason: string, retryAt: number, now: number): void {
    this.#retryAt = Infinity;
    this.#close(reason, retryAt, now);
  }

  /** What is known of the relay now: for the next time that something is asked of it. */
  update(access: RelayAccess): void {
    this.#access = access;
    this.#connection.update(access);
  }

  /** Gives the address back. */
  stop(now: number): void {
    this.#retryAt = Infinity;
    this.#tunnel?.close();
    this.#forget();
    this.#host.relays.leave(this.#connection, this, now);
    this.#host.wakeEndpoint();
  }

  #open(base: Base, tunnel: UdpTunnel, now: number): void {
    this.#base = base;
    this.#pause.reset();
    this.#connection.confirm();
    this.#host.mux.routeTunnel(base, (datagram, at) => {
      tunnel.send(datagram, at);
      this.#host.wakeEndpoint();
    });
    this.#listener.tunnelOpened(base, now);
  }

  #close(reason: string, retryAt: number, now: number): void {
    const base = this.#forget();
    this.#listener.tunnelClosed(base, reason, retryAt, now);
  }

  #forget(): Base | undefined {
    const base = this.#base;
    if (base !== undefined) this.#host.mux.routeTunnel(base, undefined);
    this.#base = undefined;
    this.#tunnel = undefined;
    return base;
  }
}
