import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { hostCandidates } from "../../candidates/host.ts";
import { serverReflexive } from "../../candidates/server_reflexive.ts";
import { Driver } from "../../io/driver.ts";
import { SeededRandom, VirtualNetwork } from "../../lab/mod.ts";
import type { NatOptions, VirtualHost } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { RelayedListener, SilentCaller } from "../../signaling/relayed.ts";
import { decodeTicket } from "../../signaling/ticket_codec.ts";
import { bindBases } from "../../transports/bases.ts";
import { makeNode } from "../../transports/dial.ts";
import { quicNative } from "../../transports/quic_native.ts";
import type { Node, TraversalEvent, TraversalMachine } from "../../transports/traversal.ts";
import { startRelay } from "../support/relay_world.ts";
import type { RunningRelay } from "../support/relay_world.ts";
import { startStun, STUN_PORT } from "../support/virtual_peers.ts";

const PEER_RTT_MS = 155;
const CALL_AT = 5000;

/** A machine on a virtual host, and what it told when. */
class Peer {
  readonly happened: { readonly at: number; readonly event: TraversalEvent }[] = [];
  readonly machine: TraversalMachine;
  readonly #driver: Driver<TraversalEvent>;
  onConnection: (connection: QuicConnection, event: TraversalEvent) => void = () => {};
  onSession: (connection: QuicConnection) => void = () => {};

  constructor(host: VirtualHost, stun: Address, make: (node: Node) => TraversalMachine) {
    const bases = bindBases(host, { loopbackOnly: false });
    this.machine = make(makeNode(
      {
        host,
        identity: Ed25519PrivateKey.generate(new SeededRandom(1, host.name)),
        transport: quicNative(),
        providers: [hostCandidates(), serverReflexive({ servers: [stun] })],
        signaling: undefined,
        stunServers: [],
        resolve: () => Promise.resolve([]),
        protocol: "q2q",
        loopback: false,
        keyLog: false,
      },
      bases,
      host.now(),
    ));
    this.#driver = new Driver(this.machine, host, (event) => {
      this.happened.push({ at: host.now(), event });
      if (event.type === "connection") this.onConnection(event.connection, event);
      if (event.type === "session") this.onSession(event.session.connection);
    });
    this.drain();
  }

  drain(): void {
    this.machine.wake();
    this.#driver.drain();
  }

  first<Type extends TraversalEvent["type"]>(
    type: Type,
  ): { readonly at: number; readonly event: TraversalEvent & { readonly type: Type } } | undefined {
    for (const { at, event } of this.happened) {
      if (isOf(event, type)) return { at, event };
    }
    return undefined;
  }
}

function isOf<Type extends TraversalEvent["type"]>(
  event: TraversalEvent,
  type: Type,
): event is TraversalEvent & { readonly type: Type } {
  return event.type === type;
}

interface World {
  readonly net: VirtualNetwork;
  readonly listener: Peer;
  readonly a: VirtualHost;
  readonly stun: Address;
  readonly relay: RunningRelay;
}

function world(seed: number, nats: { readonly caller: NatOptions; readonly listener: NatOptions }): World {
  const net = new VirtualNetwork({ seed });
  const server = net.host("server");
  const stunHost = net.host("stun");
  startStun(stunHost);
  const stun = stunHost.address(STUN_PORT);
  const relay = startRelay(server);
  const a = net.host("a", { behind: net.nat({ ...nats.caller, rttToCoreMs: PEER_RTT_MS / 2 }) });
  const b = net.host("b", { behind: net.nat({ ...nats.listener, rttToCoreMs: PEER_RTT_MS / 2 }) });
  const access = {
    address: relay.address,
    authority: relay.address.toString(),
    certificateSha256: relay.certificate.sha256,
  };
  const token = new Uint8Array(16).fill(7);
  const listener = new Peer(b, stun, (node) => {
    const machine = new RelayedListener({ key: node.identity.publicKey, token });
    return quicNative().accept({ listener: machine, patient: false, maxSessions: 1, relay: { access, token } }, node);
  });
  listener.onConnection = (connection, event) => {
    if (event.type !== "connection" || event.event.type !== "streamReadable") return;
    const { id } = event.event;
    for (let chunk = connection.read(id); chunk !== undefined; chunk = connection.read(id)) connection.write(id, chunk);
    listener.drain();
  };
  net.run({ until: CALL_AT });
  return { net, listener, a, stun, relay };
}

function dialTicket({ listener, a, stun, net }: World): Peer {
  const ticket = listener.first("ticket");
  ok(ticket !== undefined, JSON.stringify(listener.happened.map(({ event }) => event.type)));
  const decoded = decodeTicket(ticket.event.text, 0);
  ok(decoded.kind === "relayed");
  const { address, token, keyId } = decoded;
  const relayed = { address, token, identity: { key: undefined, keyId } };
  const target = { caller: new SilentCaller(), patient: false, relayed };
  strictEqual(net.now, CALL_AT);
  return new Peer(a, stun, (node) => quicNative().dial(target, node));
}

Deno.test("quic-native: dialled by ticket, the echo is back through the relay after two round trips, then it goes direct", () => {
  const nat: NatOptions = { mapping: "EIM", filtering: "APDF" };
  const w = world(1, { caller: nat, listener: nat });
  const caller = dialTicket(w);
  let firstByteAt: number | undefined;
  caller.onSession = (connection) => {
    const id = connection.openStream("bidirectional");
    ok(id !== undefined);
    connection.write(id, new TextEncoder().encode("hello"));
    caller.drain();
  };
  caller.onConnection = (_connection, event) => {
    if (event.type === "connection" && event.event.type === "streamReadable") firstByteAt ??= w.net.now;
  };
  w.net.run({ until: CALL_AT + 5000 });
  const path = caller.first("path");
  // Two round trips to the echo. Addresses leave with the server's first packets, requests with the client's Finished, and
  // both sides' probes meet half a round trip later.
  deepStrictEqual({
    firstByte: (firstByteAt ?? NaN) - CALL_AT,
    path: path?.event.kind,
    pathAt: Math.round((path?.at ?? NaN) - CALL_AT),
  }, { firstByte: 310, path: "direct", pathAt: 343 });
  strictEqual(w.listener.first("path")?.event.kind, "direct");
});
