import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { NatOptions } from "../../lab/mod.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { framesOf, PacketTap } from "../support/packet_tap.ts";
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
  /** Datagrams of the listener's that the relay has brought to the caller. */
  readonly fromListener: readonly Relayed[];
  /** When the first packet came that had not passed through the relay, since the call. */
  readonly firstDirectAt: number | undefined;
}

interface Relayed {
  readonly at: number;
  readonly payload: Uint8Array;
}

/** Whom the listener lets in. */
type Admitted = "anybody" | "the caller's key" | "nobody";

function call(seed: number, admitted: Admitted): Call {
  const net = new VirtualNetwork({ seed });
  const server = net.host("server");
  const relay = startRelay(net.host("relay"));
  const stunHost = net.host("stun");
  startHub(server);
  startStun(stunHost);
  const [natOfA, natOfB] = [NAT, NAT].map((nat) => net.nat({ ...nat, rttToCoreMs: PEER_RTT_MS / 2 }));
  ok(natOfA !== undefined && natOfB !== undefined);
  const [a, b] = [net.host("a", { behind: natOfA }), net.host("b", { behind: natOfB })];
  const access = {
    addresses: [relay.address],
    authority: relay.address.toString(),
    certificateSha256: relay.certificate.sha256,
  };
  const echo = new Echo(net);
  const places = { hub: server.address(HUB_PORT), stun: [stunHost.address(STUN_PORT)] };
  const listening = contextOf(b, seed);
  const keys = admitted === "the caller's key" ? [contextOf(a, seed).key.publicKey.bytes] : [];
  const allow = { any: admitted === "anybody", keys };
  const machine = new HubListener({ ...listening, hub: HUB, name: "bob", allow });
  const reception = { listener: machine, patient: false, maxSessions: 1, relays: [access] };
  const listener = new VirtualPeer(net, b, (node) => quicNative().accept(reception, node), {
    ...places,
    context: listening,
    onConnection: echo.answer,
    keyLog: true,
  });
  net.run({ until: CALL_AT });
  // What the relay brings to the listener and to the caller: inside is QUIC of the two peers, as they sealed it.
  const fromListener: Relayed[] = [];
  let firstDirectAt: number | undefined;
  const { down } = natOfA;
  down.options = {
    ...down.options,
    drop: (packet) => {
      // Here a packet enters the link, which takes a quarter of a round trip.
      const at = net.now + PEER_RTT_MS / 4 - CALL_AT;
      if (packet.protocol === "udp" && packet.source.host === relay.address.host) {
        fromListener.push({ at, payload: packet.payload });
      } else if (packet.source.host === natOfB.address) firstDirectAt ??= at;
      return false;
    },
  };
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
  return { caller, listener, echo, fromListener, firstDirectAt };
}

/** When each kind of frame first came to the caller through the relay, since the call. */
function firstFrames({ listener, fromListener }: Call): Map<string, number> {
  const tap = new PacketTap("server");
  for (const event of listener.all("connection")) {
    if (event.event.type === "keyLog") tap.onSecret(event.event.label, event.event.secret);
  }
  const first = new Map<string, number>();
  for (const { at, payload } of fromListener) {
    for (const packet of tap.open(payload)) {
      for (const { type } of framesOf(packet)) if (!first.has(type)) first.set(type, at);
    }
  }
  return first;
}

Deno.test("quic-native: dialled by name, the echo is back through the relay after three round trips, then it goes direct", () => {
  const called = call(1, "anybody");
  const { caller, listener, echo } = called;
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
  // Anybody may know the addresses: they are in the listener's first packets, half a round trip before its caller's Finished.
  const frames = firstFrames(called);
  deepStrictEqual([path.at - CALL_AT, frames.get("ADD_ADDRESS"), frames.get("HANDSHAKE_DONE")], [498, 310, 465]);
});

Deno.test("quic-native: where only listed keys are let in, no address of the listener's leaves before the caller has proved its", () => {
  const called = call(1, "the caller's key");
  const { caller, listener, echo } = called;
  const path = caller.first("path");
  const frames = firstFrames(called);
  // HANDSHAKE_DONE is what a server says once it has verified the Finished (RFC 9001 §4.1.2).
  deepStrictEqual([frames.get("CRYPTO"), frames.get("HANDSHAKE_DONE"), frames.get("ADD_ADDRESS")], [310, 465, 465]);
  // Nor has anything come from where the listener is, by which the caller could have seen it.
  ok(called.firstDirectAt !== undefined && called.firstDirectAt > 465 + PEER_RTT_MS / 2, `${called.firstDirectAt}`);
  // Of the call 155 ms are the hub's: from the dial of the relayed address the direct path takes 498, and the echo 310.
  deepStrictEqual({
    signaled: caller.sessions[0]?.times.signaled,
    firstByte: (echo.firstByteAt ?? NaN) - CALL_AT,
    direct: (path?.at ?? NaN) - CALL_AT,
    returned: echo.returned,
    sessions: listener.sessions.length,
  }, { signaled: 155, firstByte: 465, direct: 653, returned: "hello", sessions: 1 });
});

Deno.test("quic-native: whom the listener does not admit learns nothing, at the hub and at the relay", () => {
  const { caller, listener } = call(2, "nobody");
  strictEqual(caller.first("failed")?.event.reason, "denied");
  strictEqual(listener.sessions.length, 0);
  deepStrictEqual(listener.all("refused").map(({ reason }) => reason), ["denied"]);
});
