/**
 * Calls by name through a hub that is at a relay, in the virtual network: peers behind NATs that ask it over the connection to
 * the relay, or over a stream as WebSockets have.
 *
 * @module
 */

import { VirtualNetwork } from "../../lab/mod.ts";
import type { LinkOptions, NatOptions, VirtualHost, VirtualNat } from "../../lab/mod.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import { auto } from "../../transports/auto.ts";
import { iceThenQuic } from "../../transports/ice_then_quic.ts";
import { quicNative } from "../../transports/quic_native.ts";
import type { Node, RelayPolicy } from "../../transports/traversal.ts";
import { SignalService, type SignalServiceOptions } from "./signal_world.ts";
import { contextOf, Echo, HUB, VirtualPeer } from "./virtual_peers.ts";

const PEER_RTT_MS = 155;
/** When calls begin: the listener has long been registered. */
export const CALL_AT = 5000;
const NAT: NatOptions = { mapping: "EIM", filtering: "APDF" };

/** How a peer takes part. */
export interface Way {
  readonly signaling: "relay" | "stream";
  readonly transport: "quic-native" | "ice-then-quic" | "auto";
  readonly token?: string;
  readonly keyLog?: boolean;
  readonly policy?: RelayPolicy;
}

/** Asks the hub at the relay. */
export const BY_RELAY: Way = { signaling: "relay", transport: "quic-native" };
/** Asks the same hub over a stream. */
export const BY_STREAM: Way = { signaling: "stream", transport: "quic-native" };

/** A hub at a relay, and two hosts behind NATs. There is no STUN server anywhere. */
export class SignalWorld {
  readonly net: VirtualNetwork;
  readonly echo: Echo;
  readonly server: VirtualHost;
  readonly natOfA: VirtualNat;
  readonly natOfB: VirtualNat;
  readonly a: VirtualHost;
  readonly b: VirtualHost;
  readonly service: SignalService;

  constructor(
    options: SignalServiceOptions = {},
    seed = 1,
    { rttMs = PEER_RTT_MS, ...link }: Omit<LinkOptions, "latencyMs"> & { readonly rttMs?: number } = {},
  ) {
    const net = this.net = new VirtualNetwork({ seed });
    this.echo = new Echo(net);
    this.server = net.host("server");
    this.natOfA = net.nat({ ...NAT, rttToCoreMs: rttMs / 2, up: link, down: link });
    this.natOfB = net.nat({ ...NAT, rttToCoreMs: rttMs / 2, up: link, down: link });
    this.a = net.host("a", { behind: this.natOfA });
    this.b = net.host("b", { behind: this.natOfB });
    this.service = new SignalService(this.server, options);
  }

  /** No packet reaches the server or leaves it, or all do again. */
  setDead(isDead: boolean): void {
    const [nic] = this.server.interfaces();
    for (const link of [nic?.up, nic?.down]) {
      if (link === undefined) throw new Error("The server has no link");
      link.options = { ...link.options, drop: () => isDead };
    }
  }

  /** Somebody who waits under the name "bob" and echoes. */
  listen(way: Way, host = this.b, key = host): VirtualPeer {
    const context = { ...contextOf(host, 1), key: contextOf(key, 1).key };
    const listener = new HubListener({ ...context, hub: HUB, name: "bob", allow: { any: true, keys: [] } });
    const relays = way.transport === "ice-then-quic" ? [] : [this.service.access];
    return new VirtualPeer(
      this.net,
      host,
      (node) => transportOf(way).accept({ listener, patient: false, maxSessions: 2, relays }, nodeFor(way, node)),
      { ...this.#places(way), context, onConnection: this.echo.answer },
    );
  }

  /** Somebody who calls "bob". */
  dial(way: Way): VirtualPeer {
    const context = contextOf(this.a, 1);
    const callee = { kind: "name" as const, name: "bob", key: undefined };
    const target = { caller: new HubCaller({ ...context, hub: HUB, callee }), patient: false };
    return new VirtualPeer(this.net, this.a, (node) => transportOf(way).dial(target, nodeFor(way, node)), {
      ...this.#places(way),
      context,
      onSession: (session, peer) => {
        this.echo.ask(session, peer);
        // As the runner does: a caller that is connected has nothing more to say.
        peer.machine.closeRelayChannel(this.net.now);
        peer.drain();
      },
      onConnection: this.echo.hear,
    });
  }

  until(isSo: () => boolean, maxMs: number): boolean {
    this.net.run({ until: this.net.now + maxMs, stopWhen: isSo });
    return isSo();
  }

  /** When the echo was there, counted from the call. */
  get firstByte(): number {
    return (this.echo.firstByteAt ?? NaN) - CALL_AT;
  }

  #places({ signaling, token, keyLog = false }: Way): Pick<
    ConstructorParameters<typeof VirtualPeer>[3],
    "hub" | "stun" | "relayChannel" | "keyLog"
  > {
    const relay = this.service.access;
    return {
      hub: this.service.hubAddress,
      stun: [],
      keyLog,
      ...(signaling === "stream" ? {} : { relayChannel: { relay, ...(token === undefined ? {} : { token }) } }),
    };
  }
}

function transportOf({ transport }: Way): ReturnType<typeof quicNative> {
  return { "quic-native": quicNative, "ice-then-quic": iceThenQuic, auto }[transport]();
}

function nodeFor({ policy }: Way, node: Node): Node {
  return policy === undefined ? node : { ...node, relayPolicy: policy };
}

/** Tables that are not empty. */
export function sizes({ machine }: VirtualPeer): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(machine.tableSizes).filter(([, size]) => size > 0));
}
