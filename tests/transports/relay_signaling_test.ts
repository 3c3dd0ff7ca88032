import { deepStrictEqual, ok } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { NatOptions } from "../../lab/mod.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { SignalService } from "../support/signal_world.ts";
import { contextOf, Echo, HUB, VirtualPeer } from "../support/virtual_peers.ts";

const PEER_RTT_MS = 155;
const CALL_AT = 5000;
const NAT: NatOptions = { mapping: "EIM", filtering: "APDF" };

Deno.test("signaling relay: dialled by name, the echo is back after three round trips, on one socket and one handshake", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const service = new SignalService(net.host("server"));
  const [a, b] = ["a", "b"].map((name) => {
    return net.host(name, { behind: net.nat({ ...NAT, rttToCoreMs: PEER_RTT_MS / 2 }) });
  });
  ok(a !== undefined && b !== undefined);
  const echo = new Echo(net);
  const { access, hubAddress } = service;
  const places = { hub: hubAddress, stun: [], relayChannel: { relay: access } };
  const listening = contextOf(b, 1);
  const machine = new HubListener({ ...listening, hub: HUB, name: "bob", allow: { any: true, keys: [] } });
  const listener = new VirtualPeer(
    net,
    b,
    (node) => quicNative().accept({ listener: machine, patient: false, maxSessions: 1, relays: [access] }, node),
    { ...places, context: listening, onConnection: echo.answer },
  );
  net.run({ until: CALL_AT });
  ok(listener.first("registered") !== undefined, JSON.stringify(listener.happened.map((x) => x.event.type)));
  const calling = contextOf(a, 1);
  const callee = { kind: "name" as const, name: "bob", key: undefined };
  const target = { caller: new HubCaller({ ...calling, hub: HUB, callee }), patient: false };
  const caller = new VirtualPeer(net, a, (node) => quicNative().dial(target, node), {
    ...places,
    context: calling,
    onSession: echo.ask,
    onConnection: echo.hear,
  });
  net.run({ until: CALL_AT + 12_000 });
  const [session] = caller.sessions;
  ok(session !== undefined, JSON.stringify(caller.first("failed")?.event));
  deepStrictEqual({
    signaled: session.times.signaled,
    handshake: session.times.handshake,
    firstByte: (echo.firstByteAt ?? NaN) - CALL_AT,
    returned: echo.returned,
    path: caller.first("path")?.event.kind,
  }, { signaled: 155, handshake: 310, firstByte: 465, returned: "hello", path: "direct" });
});
