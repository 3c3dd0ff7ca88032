/**
 * The places that tests of calls take place in: a core with a server on it that runs hub and STUN, and a caller and a
 * listener, each behind a NAT or not.
 *
 * @module
 */

import { VirtualNetwork } from "../../lab/mod.ts";
import type {
  HostOptions,
  LinkOptions,
  NatOptions,
  StreamListener,
  TraceOptions,
  VirtualHost,
  VirtualNat,
} from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { dialName, Echo, HUB_PORT, listenAs, startHub, startStun, STUN_PORT } from "./virtual_peers.ts";
import type { PeerOptions, VirtualPeer } from "./virtual_peers.ts";

/** The cell of the seed: 155 ms between the peers, 77.5 ms to the hub. */
export const PEER_RTT_MS = 155;

/** What a peer is behind: a NAT of this kind, nothing, or whatever the test makes. */
export type Place = NatOptions | "public" | ((net: VirtualNetwork) => HostOptions);

/** What there is. */
export interface WorldOptions {
  readonly seed: number;
  readonly caller?: Place;
  readonly listener?: Place;
  /** Between the peers, in ms; the hub is halfway. */
  readonly rttMs?: number;
  /** An IPv6 one makes a world of IPv6. */
  readonly serverAddress?: string;
  /** Which side of the routers has the latency. Default `wan`. */
  readonly latencyAt?: "wan" | "lan";
  /** Both peers have an interface without a way out as well, and are told of a dead STUN server first. */
  readonly deadEnds?: boolean;
  /** Server and peers have IPv6 as well, the peers behind firewalls, just as far away. */
  readonly hasIpv6?: boolean;
  /** More about both directions of both peers' links to the core. */
  readonly link?: Omit<LinkOptions, "latencyMs">;
  readonly trace?: TraceOptions;
}

/** When calls begin: the listener has long been ready. */
export const CALL_AT = 5000;

/** RFC 4787 in good order: endpoint-independent mapping, address-dependent filtering. */
const DEFAULT_NAT: NatOptions = { mapping: "EIM", filtering: "ADF" };

/** A world, and what happens in it when one calls the other by name. */
export class World {
  readonly net: VirtualNetwork;
  readonly server: VirtualHost;
  readonly a: VirtualHost;
  readonly b: VirtualHost;
  readonly hub: Address;
  readonly stun: readonly Address[];
  readonly echo: Echo;
  /** Routers that the world has made. */
  readonly natOfA: VirtualNat | undefined;
  readonly natOfB: VirtualNat | undefined;
  #hubListener: StreamListener;

  constructor(options: WorldOptions) {
    const { seed, trace, rttMs = PEER_RTT_MS, serverAddress, latencyAt = "wan", link = {} } = options;
    this.net = new VirtualNetwork({ seed, ...(trace === undefined ? {} : { trace }) });
    this.server = this.net.host("server", serverAddress === undefined ? {} : { address: serverAddress });
    this.hub = this.server.address(HUB_PORT);
    const deadStun = options.deadEnds === true ? [addressOf(this.net.unusedAddress(), STUN_PORT)] : [];
    this.stun = [...deadStun, this.server.address(STUN_PORT)];
    this.echo = new Echo(this.net);
    const latent = { rttToCoreMs: rttMs / 2, up: link, down: link };
    const place = (name: string, where: Place): { host: VirtualHost; nat: VirtualNat | undefined } => {
      if (where === "public") return { host: this.net.host(name, latent), nat: undefined };
      if (typeof where === "function") return { host: this.net.host(name, where(this.net)), nat: undefined };
      const nat = this.net.nat({ ...where, ...(latencyAt === "wan" ? latent : {}) });
      return { host: this.net.host(name, { behind: nat, ...(latencyAt === "lan" ? latent : {}) }), nat };
    };
    ({ host: this.a, nat: this.natOfA } = place("a", options.caller ?? DEFAULT_NAT));
    ({ host: this.b, nat: this.natOfB } = place("b", options.listener ?? DEFAULT_NAT));
    if (options.deadEnds === true) {
      const docker = { deadEnd: "vanish", address: "172.17.0.1", hasDefaultRoute: false } as const;
      for (const host of [this.a, this.b]) this.net.attach(host, "docker0", docker);
    }
    if (options.hasIpv6 === true) {
      const { address } = this.net.attach(this.server, "eth6", { address: "2001:db8:ffff::1" });
      this.stun = [...this.stun, addressOf(address.host, STUN_PORT)];
      for (const host of [this.a, this.b]) this.net.attach(host, "eth6", { behind: this.net.firewall(latent) });
    }
    this.#hubListener = startHub(this.server, [`:${STUN_PORT}`]);
    startStun(this.server);
  }

  /** The hub is gone, and everything it knew. STUN goes on. */
  stopHub(): void {
    this.#hubListener.close();
  }

  /** A hub that knows nobody. */
  startHub(): void {
    this.#hubListener = startHub(this.server, [`:${STUN_PORT}`]);
  }

  /** Pulls the plug of the server: nobody is told anything. */
  stopServer(): void {
    this.server.hasPower = false;
  }

  /** The server comes back, and knows nobody. */
  startServer(): void {
    this.server.hasPower = true;
    this.startHub();
    startStun(this.server);
  }

  /** Starts the listener `bob` on `b`; it echoes. */
  listen(options: Partial<Parameters<typeof listenAs>[3]> = {}): VirtualPeer {
    return listenAs(this.net, this.b, "bob", {
      hub: this.hub,
      stun: this.stun,
      allow: { any: true, keys: [] },
      onConnection: this.echo.answer,
      ...options,
    });
  }

  /** Calls `bob` from `a`, with a request whose echo `this.echo` waits for. */
  dial(options: Partial<PeerOptions> & { readonly key?: Uint8Array } = {}): VirtualPeer {
    return dialName(this.net, this.a, "bob", {
      hub: this.hub,
      stun: this.stun,
      onSession: this.echo.ask,
      onConnection: this.echo.hear,
      ...options,
    });
  }

  /** A listener that has just started, a call at {@linkcode CALL_AT}, and `forMs` of time after it. */
  call(forMs = 10_000): { readonly listener: VirtualPeer; readonly caller: VirtualPeer } {
    const listener = this.listen();
    this.net.run({ until: CALL_AT });
    const caller = this.dial();
    const isOver = (): boolean => this.echo.firstByteAt !== undefined || caller.first("failed") !== undefined;
    this.net.run({ until: CALL_AT + forMs, stopWhen: isOver });
    return { listener, caller };
  }

  /** What a call that began at {@linkcode CALL_AT} has reached, in ms from its beginning. */
  timesOf(caller: VirtualPeer, startedAt = CALL_AT): Readonly<Record<string, number | undefined>> {
    const firstByteAt = this.echo.firstByteAt;
    return {
      ...caller.sessions[0]?.times,
      firstByte: firstByteAt === undefined ? undefined : firstByteAt - startedAt,
    };
  }
}
