import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { NatOptions } from "../../lab/mod.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { startRelay } from "../support/relay_world.ts";
import {
  contextOf,
  Echo,
  HUB,
  HUB_PORT,
  startHub,
  startStun,
  STUN_PORT,
  VirtualPeer,
} from "../support/virtual_peers.ts";

const PEER_RTT_MS = 155;
const CALL_AT = 5000;
const NAT: NatOptions = { mapping: "EIM", filtering: "APDF" };

interface Call {
  readonly caller: VirtualPeer;
  readonly listener: VirtualPeer;
  readonly echo: Echo;
}

function call(seed: number, allowAny: boolean): Call {
  const net = new VirtualNetwork({ seed });
  const server = net.host("server");
  const relay = startRelay(net.host("relay"));
  const stunHost = net.host("stun");
  startHub(server);
  startStun(stunHost);
  const [a, b] = ["a", "b"].map((name) => {
    return net.host(name, { behind: net.nat({ ...NAT, rttToCoreMs: PEER_RTT_MS / 2 }) });
  });
  ok(a !== undefined && b !== undefined);
  const access = {
    address: relay.address,
    authority: relay.address.toString(),
    certificateSha256: relay.certificate.sha256,
  };
  const echo = new Echo(net);
  const places = { hub: server.address(HUB_PORT), stun: [stunHost.address(STUN_PORT)] };
  const listening = contextOf(b, seed);
  const machine = new HubListener({ ...listening, hub: HUB, name: "bob", allow: { any: allowAny, keys: [] } });
  const reception = { listener: machine, patient: false, maxSessions: 1, relays: [access] };
  const listener = new VirtualPeer(net, b, (node) => quicNative().accept(reception, node), {
    ...places,
    context: listening,
    onConnection: echo.answer,
  });
  net.run({ until: CALL_AT });
  const calling = contextOf(a, seed);
  const callee = { kind: "name" as const, name: "bob", key: undefined };
  const target = { caller: new HubCaller({ ...calling, hub: HUB, callee }), patient: false };
  const caller = new VirtualPeer(net, a, (node) => quicNative().dial(target, node), {
    ...places,
    context: calling,
    onSession: echo.ask,
    onConnection: echo.hear,
  });
  net.run({ until: CALL_AT + 12_000 });
  return { caller, listener, echo };
}

Deno.test("quic-native: dialled by name, the echo is back through the relay after three round trips, then it goes direct", () => {
  const { caller, listener, echo } = call(1, true);
  const [session] = caller.sessions;
  ok(session !== undefined, JSON.stringify(caller.first("failed")?.event));
  const path = caller.first("path");
  deepStrictEqual({
    signaled: session.times.signaled,
    handshake: session.times.handshake,
    firstByte: (echo.firstByteAt ?? NaN) - CALL_AT,
    returned: echo.returned,
    path: path?.event.kind,
  }, { signaled: 155, handshake: 310, firstByte: 465, returned: "hello", path: "direct" });
  ok(path !== undefined && path.at - CALL_AT <= 560, `direct after ${(path?.at ?? NaN) - CALL_AT} ms`);
  strictEqual(listener.sessions.length, 1);
  strictEqual(listener.machine.tableSizes["calls"], 0);
});

Deno.test("quic-native: whom the listener does not admit learns nothing, at the hub and at the relay", () => {
  const { caller, listener } = call(2, false);
  strictEqual(caller.first("failed")?.event.reason, "denied");
  strictEqual(listener.sessions.length, 0);
  deepStrictEqual(listener.all("refused").map(({ reason }) => reason), ["denied"]);
});
