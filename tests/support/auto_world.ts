/**
 * Calls by name in the virtual network, with any transport and relay policy on either side: hub, relay and STUN server in
 * the core, and each peer behind a NAT or not.
 *
 * @module
 */

import { VirtualNetwork } from "../../lab/mod.ts";
import type { LinkOptions, NatOptions, Packet, TraceOptions, VirtualHost, VirtualNat } from "../../lab/mod.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import { auto } from "../../transports/auto.ts";
import type { TransportOfWays } from "../../transports/transport_of_ways.ts";
import type { RelayPolicy } from "../../transports/traversal.ts";
import { startRelay } from "./relay_world.ts";
import type { RunningRelay } from "./relay_world.ts";
import { contextOf, Echo, HUB, HUB_PORT, startHub, startStun, STUN_PORT, VirtualPeer } from "./virtual_peers.ts";

/** Between the peers; hub and relay are halfway. */
export const PEER_RTT_MS = 155;

/** When calls begin: the listener has long been ready. */
export const CALL_AT = 5000;

/** RFC 4787 in good order, and filtering by port as most home routers do. */
export const PORT_RESTRICTED: NatOptions = { mapping: "EIM", filtering: "APDF" };

/** A NAT that shows every peer another port. */
export const SYMMETRIC: NatOptions = { mapping: "APDM", filtering: "APDF" };

/** One side of the call. */
export interface Side {
  /** Default {@linkcode PORT_RESTRICTED}. */
  readonly nat?: NatOptions | "public";
  /** Default `auto`. */
  readonly transport?: TransportOfWays;
  readonly policy?: RelayPolicy;
}

/** What there is. */
export interface AutoOptions {
  readonly seed: number;
  readonly caller?: Side;
  readonly listener?: Side;
  /** How many relays the listener has an address at. Default 1. */
  readonly relays?: number;
  /** The listener's. Default 4. */
  readonly maxSessions?: number;
  /** One way between a peer and the core, in ms. */
  readonly latencyMs?: number;
  /** What is between the relays and the core, one way, in ms. */
  readonly relayLatencyMs?: number;
  readonly link?: Omit<LinkOptions, "latencyMs">;
  readonly trace?: TraceOptions;
}

/** A world with a listener called bob that echoes. */
export class AutoWorld {
  readonly net: VirtualNetwork;
  readonly relays: readonly RunningRelay[];
  readonly relayHosts: readonly VirtualHost[];
  readonly a: VirtualHost;
  readonly b: VirtualHost;
  readonly listener: VirtualPeer;
  readonly echo: Echo;
  readonly #natOfA: VirtualNat | undefined;
  readonly #natOfB: VirtualNat | undefined;
  readonly #options: AutoOptions;
  readonly #places: ConstructorParameters<typeof VirtualPeer>[3];

  constructor(options: AutoOptions) {
    this.#options = options;
    const { seed, latencyMs = PEER_RTT_MS / 4, relayLatencyMs = 0, relays = 1, link = {} } = options;
    const net = this.net = new VirtualNetwork({
      seed,
      ...(options.trace === undefined ? {} : { trace: options.trace }),
    });
    const server = net.host("server");
    const stunHost = net.host("stun");
    startHub(server);
    startStun(stunHost);
    this.relayHosts = Array.from({ length: relays }, (_, i) => {
      return net.host(`relay ${i + 1}`, { rttToCoreMs: 2 * relayLatencyMs });
    });
    this.relays = this.relayHosts.map((host) => startRelay(host));
    const place = (name: string, { nat = PORT_RESTRICTED }: Side): [VirtualHost, VirtualNat | undefined] => {
      const latent = { rttToCoreMs: 2 * latencyMs, up: link, down: link };
      if (nat === "public") return [net.host(name, latent), undefined];
      const router = net.nat({ ...nat, ...latent });
      return [net.host(name, { behind: router }), router];
    };
    const { caller = {}, listener = {} } = options;
    [this.a, this.#natOfA] = place("a", caller);
    [this.b, this.#natOfB] = place("b", listener);
    this.echo = new Echo(net);
    const context = contextOf(this.b, seed);
    this.#places = { hub: server.address(HUB_PORT), stun: [stunHost.address(STUN_PORT)], context };
    const access = this.relays.map(({ address, certificate }) => {
      return { addresses: [address], authority: address.toString(), certificateSha256: certificate.sha256 };
    });
    const machine = new HubListener({ ...context, hub: HUB, name: "bob", allow: { any: true, keys: [] } });
    const reception = { listener: machine, patient: false, maxSessions: options.maxSessions ?? 4, relays: access };
    const { transport = auto(), policy } = listener;
    this.listener = new VirtualPeer(
      net,
      this.b,
      (node) => transport.accept(reception, policy === undefined ? node : { ...node, relayPolicy: policy }),
      { ...this.#places, onConnection: this.echo.answer },
    );
  }

  /** Calls bob now, from `host`, with a request whose echo is waited for. */
  dial(host: VirtualHost = this.a): VirtualPeer {
    const { seed, caller = {} } = this.#options;
    const context = contextOf(host, seed);
    const callee = { kind: "name" as const, name: "bob", key: undefined };
    const target = { caller: new HubCaller({ ...context, hub: HUB, callee }), patient: false };
    const { transport = auto(), policy } = caller;
    return new VirtualPeer(
      this.net,
      host,
      (node) => transport.dial(target, policy === undefined ? node : { ...node, relayPolicy: policy }),
      { ...this.#places, context, onSession: this.echo.ask, onConnection: this.echo.hear },
    );
  }

  /** A call at {@linkcode CALL_AT}, and `forMs` of time after it. */
  call(forMs = 5000): VirtualPeer {
    this.net.run({ until: CALL_AT });
    const caller = this.dial();
    this.net.run({ until: CALL_AT + forMs });
    return caller;
  }

  /** Loses packets between the peers, both behind NATs, that pass no relay: all, or those that `isLost` says. */
  cutDirectPath(isLost: (packet: Packet) => boolean = () => true): void {
    const [one, other] = [this.#natOfA, this.#natOfB];
    if (one === undefined || other === undefined) throw new Error("Both peers have to be behind a NAT");
    for (const [nat, peer] of [[one, other], [other, one]] as const) {
      const drop = (packet: Packet): boolean => packet.source.host === peer.address && isLost(packet);
      nat.down.options = { ...nat.down.options, drop };
    }
  }

  /** Packets between the peers, both behind NATs, that pass no relay take so much longer each way. */
  slowDirectPath(ms: number): void {
    const late = new Set<Packet>();
    const [one, other] = [this.#natOfA, this.#natOfB];
    if (one === undefined || other === undefined) throw new Error("Both peers have to be behind a NAT");
    for (const [{ down }, peer] of [[one, other], [other, one]] as const) {
      const drop = (packet: Packet): boolean => {
        if (packet.source.host !== peer.address || late.delete(packet)) return false;
        this.net.at(this.net.now + ms, () => {
          late.add(packet);
          down.transmit(packet);
        });
        return true;
      };
      down.options = { ...down.options, drop };
    }
  }

  /** Takes `cutDirectPath` back. */
  mendDirectPath(): void {
    this.cutDirectPath(() => false);
  }

  /** Lets time pass until something is so. @returns Whether it is. */
  until(isSo: () => boolean, maxMs: number): boolean {
    this.net.run({ until: this.net.now + maxMs, stopWhen: isSo });
    return isSo();
  }
}

/** Where the packets of a peer's first session go. */
export function pathOf(peer: VirtualPeer): "relayed" | "direct" | "none" {
  const session = peer.sessions[0];
  if (session === undefined) return "none";
  return session.isRelayed?.(session.connection.path) === true ? "relayed" : "direct";
}

/** Sends a request once more and waits for its echo. @returns Whether it came back. */
export function echoAgain(world: AutoWorld, caller: VirtualPeer, maxMs: number): boolean {
  const connection: QuicConnection | undefined = caller.sessions[0]?.connection;
  const id = connection?.openStream("bidirectional");
  if (connection === undefined || id === undefined) return false;
  const before = world.echo.returned.length;
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  caller.drain();
  return world.until(() => world.echo.returned.length >= before + "again".length, maxMs);
}
