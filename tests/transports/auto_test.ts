import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Packet, UdpPacket } from "../../lab/mod.ts";
import { auto } from "../../transports/auto.ts";
import { iceThenQuic } from "../../transports/ice_then_quic.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { AutoWorld, CALL_AT, echoAgain, pathOf, SYMMETRIC } from "../support/auto_world.ts";
import type { AutoOptions } from "../support/auto_world.ts";
import { NativeWorld } from "../support/native_world.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";

/** What a call came to. */
function outcome(world: AutoWorld, caller: VirtualPeer): string {
  const [ours, theirs] = [caller.sessions[0], world.listener.sessions[0]];
  if (ours === undefined) return caller.first("failed")?.event.message ?? "nothing";
  strictEqual(ours.transport, theirs?.transport);
  const firstByteMs = (world.echo.firstByteAt ?? NaN) - CALL_AT;
  return `${ours.transport} ${pathOf(caller)} ${pathOf(world.listener)} ${firstByteMs} ${world.echo.returned}`;
}

/** When a peer's paths changed, since the call. */
function pathsOf(peer: VirtualPeer): string[] {
  return peer.happened.flatMap(({ at, event }) => event.type === "path" ? [`${event.kind} ${at - CALL_AT}`] : []);
}

/** A packet of QUIC: RFC 9443 §3. */
function isQuic(packet: Packet): packet is UdpPacket {
  return packet.protocol === "udp" && (packet.payload[0] ?? 0) >= 64;
}

Deno.test("auto: with the relay halfway, the direct handshake is the session, as fast as ice-then-quic", () => {
  const world = new AutoWorld({ seed: 1 });
  const caller = world.call();
  strictEqual(outcome(world, caller), "ice-then-quic direct direct 465 hello");
  deepStrictEqual(pathsOf(caller), []);
});

Deno.test("auto: without a relay each packet is one of ice-then-quic, at the same moment", () => {
  const packets = (transport: ReturnType<typeof auto>): string[] => {
    const side = { transport };
    const world = new AutoWorld({ seed: 1, relays: 0, caller: side, listener: side, trace: { keepEvents: true } });
    world.call();
    return world.net.trace.events.flatMap(({ at, type, packet }) =>
      type === "sent" ? [`${at} ${packet.source} ${packet.destination}`] : []
    );
  };
  deepStrictEqual(packets(auto()), packets(iceThenQuic()));
});

Deno.test("auto: either transport on one side finds auto on the other, and neither finds the other one", () => {
  const transports = [auto, iceThenQuic, quicNative];
  const is = transports.map((caller) =>
    transports.map((listener) => {
      const world = new AutoWorld({ seed: 1, caller: { transport: caller() }, listener: { transport: listener() } });
      const peer = world.call(11_000);
      strictEqual(world.listener.machine.tableSizes["calls"], 0);
      return outcome(world, peer);
    })
  );
  const direct = "ice-then-quic direct direct 465 hello";
  const native = "quic-native direct direct 465 hello";
  deepStrictEqual(is, [
    [direct, direct, native],
    [direct, direct, "No direct path: the peer tells only its address at a relay; call it with quic-native"],
    [
      native,
      "The peer has no address at a relay: let it listen with one (--via URL), or call it with ice-then-quic",
      native,
    ],
  ]);
});

Deno.test("auto: between two symmetric NATs the session is relayed, and stays so", () => {
  const world = new AutoWorld({ seed: 1, caller: { nat: SYMMETRIC }, listener: { nat: SYMMETRIC } });
  const caller = world.call(20_000);
  strictEqual(outcome(world, caller), "quic-native relayed relayed 465 hello");
  deepStrictEqual(pathsOf(caller), []);
});

Deno.test("auto: a session through the relay goes to the path that ICE has proved, in the round trip after the handshake", () => {
  const world = new AutoWorld({ seed: 1 });
  world.net.run({ until: CALL_AT });
  // Checks get through, QUIC does not before the relayed handshake is done, and the small probes of NAT traversal not then.
  world.cutDirectPath((packet) => {
    const ms = world.net.now - CALL_AT;
    return isQuic(packet) && (ms < 480 || (ms < 640 && packet.payload.length < 1000));
  });
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 5000 });
  strictEqual(outcome(world, caller), "quic-native direct direct 465 hello");
  // The handshake is confirmed at 465, the path is asked then and answers at 620.
  deepStrictEqual(pathsOf(caller), ["direct 620"]);
});

Deno.test("auto: a session that began direct goes back to the relay when its path is cut, and is direct again after it", () => {
  const world = new AutoWorld({ seed: 1 });
  const caller = world.call(3000);
  const before = world.listener.machine.tableSizes["connections"];
  world.cutDirectPath();
  ok(echoAgain(world, caller, 3000));
  deepStrictEqual([pathOf(caller), pathOf(world.listener)], ["relayed", "relayed"]);
  world.mendDirectPath();
  ok(world.until(() => pathOf(caller) === "direct" && pathOf(world.listener) === "direct", 30_000));
  ok(echoAgain(world, caller, 500));
  deepStrictEqual(pathsOf(caller).map((line) => line.split(" ")[0]), ["relayed", "direct"]);
  // It was one connection all the time.
  strictEqual(caller.sessions.length, 1);
  strictEqual(world.listener.machine.tableSizes["connections"], before);
});

Deno.test("auto: the listener that sends alone brings a session back to the relay", () => {
  const world = new AutoWorld({ seed: 1 });
  const caller = world.call(3000);
  world.cutDirectPath();
  const connection = world.listener.sessions[0]!.connection;
  const id = connection.openStream("unidirectional")!;
  connection.write(id, new Uint8Array(5000));
  connection.finish(id);
  world.listener.drain();
  ok(world.until(() => pathOf(caller) === "relayed" && pathOf(world.listener) === "relayed", 5000));
});

Deno.test("auto: the attempt that was not chosen leaves nothing behind, at either side", () => {
  const world = new AutoWorld({ seed: 1 });
  const caller = world.call(0);
  ok(world.until(() => world.listener.sessions.length > 0, 1000));
  const { handshakes, halfOpen, calls, connections } = world.listener.machine.tableSizes;
  // What is left are the session and the connection to the relay.
  deepStrictEqual({ handshakes, calls, connections }, { handshakes: 0, calls: 0, connections: 2 });
  strictEqual(halfOpen, 0);
  strictEqual(caller.machine.tableSizes["connections"], 1);
  caller.close();
  world.net.run({ until: world.net.now + 3000 });
  strictEqual(caller.machine.tableSizes["connections"], 0);
  world.listener.close();
  world.net.run({ until: world.net.now + 5000 });
  strictEqual(world.listener.machine.tableSizes["connections"], 0);
  deepStrictEqual([caller, world.listener].map((peer) => peer.all("released").length), [1, 1]);
});

Deno.test("auto: of two relays a dead one costs 50 ms, and only where nothing is direct", () => {
  const sides: Pick<AutoOptions, "caller" | "listener"> = { caller: { nat: SYMMETRIC }, listener: { nat: SYMMETRIC } };
  const world = new AutoWorld({ seed: 1, relays: 2, ...sides });
  world.net.run({ until: CALL_AT });
  world.relayHosts[0]!.hasPower = false;
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 3000 });
  strictEqual(outcome(world, caller), "quic-native relayed relayed 515 hello");
  strictEqual(caller.machine.tableSizes["connections"], 1);
});

Deno.test("auto: a busy listener says so, whichever way was first", () => {
  for (const nat of [undefined, SYMMETRIC]) {
    const side = nat === undefined ? {} : { nat };
    const world = new AutoWorld({ seed: 1, caller: side, listener: side, maxSessions: 1 });
    const first = world.call();
    const second = world.dial(world.net.host("c", { rttToCoreMs: 80 }));
    world.net.run({ until: world.net.now + 12_000 });
    strictEqual(second.first("failed")?.event.reason, "busy");
    strictEqual(first.sessions[0]?.connection.state, "confirmed");
  }
});

Deno.test("auto: by the ticket of a listener at a relay, as fast as quic-native, relayed and direct", () => {
  const world = new NativeWorld({ seed: 1, transport: auto() });
  const caller = world.call();
  const path = caller.first("path");
  deepStrictEqual({
    transport: caller.sessions[0]?.transport,
    firstByte: (world.firstByteAt ?? NaN) - CALL_AT,
    path: path?.event.kind,
    pathAt: Math.round((path?.at ?? NaN) - CALL_AT),
  }, { transport: "quic-native", firstByte: 310, path: "direct", pathAt: 343 });
});

Deno.test("by a ticket of two relays the second is dialled 50 ms after the first, and leaves nothing at the listener", () => {
  const world = new NativeWorld({ seed: 1, otherRelays: 1, trace: { keepEvents: true } });
  world.net.run({ until: CALL_AT });
  const [first, second] = world.target.addresses.map(String);
  const caller = world.dial();
  ok(world.until(() => world.listener.sessions.length > 0, 1000));
  const { handshakes, halfOpen, connections } = world.listener.machine.tableSizes;
  // The session, and the connections to two relays.
  deepStrictEqual({ handshakes, halfOpen, connections }, { handshakes: 0, halfOpen: 0, connections: 3 });
  world.net.run({ until: CALL_AT + 3000 });
  strictEqual((world.firstByteAt ?? NaN) - CALL_AT, 310);
  strictEqual(caller.machine.tableSizes["connections"], 1);
  const dialledAt = (address: string | undefined): number | undefined =>
    world.net.trace.events.find(({ packet }) => packet.destination.toString() === address)?.at;
  deepStrictEqual([dialledAt(first), dialledAt(second)], [CALL_AT, CALL_AT + 50]);
});
