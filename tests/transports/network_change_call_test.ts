/**
 * The network changes while a peer waits, while a call is under way, and under sessions that have no relay.
 *
 * @module
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { HostOptions, NatOptions, VirtualHost, VirtualNetwork } from "../../lab/mod.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { COMPARE_INTERVAL_MS } from "../../transports/bases.ts";
import { BY_RELAY, CALL_AT as SIGNAL_CALL_AT, SignalWorld } from "../support/signal_calls.ts";
import { CALL_AT as NATIVE_CALL_AT, NativeWorld } from "../support/native_world.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";
import { CALL_AT, PEER_RTT_MS, World } from "../support/virtual_world.ts";

const LATENT = { rttToCoreMs: PEER_RTT_MS / 2 };
const OPEN: NatOptions = { mapping: "EIM", filtering: "EIF" };
const IDLE_MS = 30_000;
/** What a listener that has just started is reached in. */
const FRESH = { gathered: 77.5, signaled: 155, checked: 237.5, handshake: 310, firstByte: 465 };

/** Takes all addresses of a host away and gives it one behind another NAT. */
function move(net: VirtualNetwork, host: VirtualHost): void {
  const nat = net.nat({ ...OPEN, ...LATENT });
  for (const { address } of host.interfaces()) host.removeAddress(address.host);
  net.attach(host, `wwan ${nat.name}`, { behind: nat });
}

/** When, after the call, a caller's connection was closed, and why. */
function closed(peer: VirtualPeer): string[] {
  return peer.happened.flatMap(({ at, event }) =>
    event.type === "connection" && event.event.type === "closed" ? [`${at - CALL_AT} ${event.event.reason}`] : []
  );
}

/** Sends something more on the session, and waits until it is back. */
function echoes({ net, echo }: World, peer: VirtualPeer, connection: QuicConnection, maxMs: number): boolean {
  const id = connection.openStream("bidirectional");
  if (id === undefined) return false;
  const before = echo.returned.length;
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  peer.drain();
  net.run({ until: net.now + maxMs, stopWhen: () => echo.returned.slice(before) === "again" });
  return echo.returned.slice(before) === "again";
}

Deno.test("quic-native: the caller's address is replaced at any time of a call: it goes on, or ends at once and says why", () => {
  const outcomes = new Map<number, string>();
  for (let offset = 0; offset <= 400; offset += 20) {
    const world = new NativeWorld({ seed: 1 });
    const { net } = world;
    net.run({ until: NATIVE_CALL_AT });
    const caller = world.dial();
    net.run({ until: NATIVE_CALL_AT + offset });
    move(net, world.a);
    const until = net.now + COMPARE_INTERVAL_MS;
    net.run({ until, stopWhen: () => world.returned !== "" || caller.told("closed").length > 0 });
    const [end] = caller.told("closed");
    outcomes.set(offset, end === undefined ? world.returned : end.event.reason);
  }
  // Between its Finished and the listener's HANDSHAKE_DONE a client may not move: RFC 9000 §9.
  for (const [offset, outcome] of outcomes) {
    if (offset > 155 && offset < 310) {
      match(outcome, /^The network has changed before the peer confirmed the handshake/);
    } else strictEqual(outcome, "hello", `at ${offset} ms`);
  }
});

Deno.test("ice-then-quic: the caller's address is replaced while paths are checked; checks from the new one get through", () => {
  for (let offset = 160; offset <= 280; offset += 40) {
    const world = new World({ seed: 1, listener: OPEN });
    const { net, echo } = world;
    world.listen();
    net.run({ until: CALL_AT });
    const caller = world.dial();
    net.run({ until: CALL_AT + offset });
    move(net, world.a);
    net.run({ until: CALL_AT + 2000, stopWhen: () => echo.firstByteAt !== undefined });
    strictEqual(echo.returned, "hello", `at ${offset} ms`);
    strictEqual(caller.sessions.length, 1);
  }
});

const IPV6 = (address: string) => (): HostOptions => ({ ...LATENT, address });

Deno.test("ice-then-quic: a session goes on when the caller's address is replaced and the listener can be reached from anywhere (RFC 9000 §9.3)", () => {
  const six = new World({
    seed: 1,
    serverAddress: "2001:db8::1",
    caller: IPV6("2001:db8:a::1"),
    listener: IPV6("2001:db8:b::1"),
  });
  for (const world of [new World({ seed: 1, listener: OPEN }), six]) {
    const { caller, listener } = world.call();
    const { net } = world;
    const { connection } = caller.sessions[0]!;
    net.run({ until: net.now + 1000 });
    if (world === six) {
      world.a.removeAddress("2001:db8:a::1");
      net.attach(world.a, "wwan0", { ...LATENT, address: "2001:db8:a::2" });
    } else move(net, world.a);
    ok(echoes(world, caller, connection, COMPARE_INTERVAL_MS + 2 * PEER_RTT_MS));
    net.run({ until: net.now + 2 * IDLE_MS });
    ok(echoes(world, caller, connection, PEER_RTT_MS));
    deepStrictEqual([caller.sessions.length, listener.sessions.length, closed(caller)], [1, 1, []]);
  }
});

Deno.test("ice-then-quic: without a relay a session ends on both sides when the listener comes to a network that the caller's NAT lets nothing in from (RFC 7675 §5.1)", () => {
  const world = new World({ seed: 1 });
  const { caller, listener } = world.call();
  const { net } = world;
  net.run({ until: net.now + 1000 });
  move(net, world.b);
  net.run({ until: net.now + 2 * IDLE_MS });
  for (const peer of [caller, listener]) {
    match(closed(peer).join(), /^\d+(\.\d+)? The peer has consented to nothing for 30 s/);
  }
  // But the listener can be called again.
  world.a.stop();
  const again = world.dial();
  net.run({ until: net.now + 1000 });
  strictEqual(again.sessions.length, 1);
});

Deno.test("ice-then-quic: without a relay a session goes on when the listener's mapping is replaced, or its address where it can send to the caller: ICE begins anew (RFC 8445 §9)", () => {
  for (const isMoved of [true, false]) {
    const world = new World({ seed: 1, ...(isMoved ? { caller: OPEN } : {}) });
    const { caller, listener } = world.call();
    const { net } = world;
    const { connection } = caller.sessions[0]!;
    net.run({ until: net.now + 1000 });
    if (isMoved) move(net, world.b);
    else world.natOfB?.rebind();
    const before = connection.path.remote;
    // The listener knows that its base is gone, and not what its NAT has done: that is silence for it.
    ok(echoes(world, caller, connection, isMoved ? COMPARE_INTERVAL_MS + 5 * PEER_RTT_MS : 25_000), `${isMoved}`);
    ok(connection.path.remote !== before);
    net.run({ until: net.now + 2 * IDLE_MS });
    ok(echoes(world, caller, connection, 2 * PEER_RTT_MS));
    deepStrictEqual([caller.sessions.length, listener.sessions.length, closed(caller)], [1, 1, []]);
  }
});

Deno.test("a listener that waits and whose address is replaced is reached as fast again 5 s later", () => {
  const world = new World({ seed: 1 });
  const { net } = world;
  const listener = world.listen();
  net.run({ until: CALL_AT });
  move(net, world.b);
  net.run({ until: CALL_AT + 5000 });
  const at = net.now;
  const caller = world.dial();
  net.run({ until: at + 10_000, stopWhen: () => world.echo.firstByteAt !== undefined });
  deepStrictEqual(world.timesOf(caller, at), FRESH);
  // Both addresses of before were taken back.
  deepStrictEqual(listener.all("candidateWithdrawn").map(({ candidate }) => candidate.type), ["host", "srflx"]);
});

Deno.test("signaling relay: a listener that waits and whose address is replaced is reached as fast again once it has noticed", () => {
  const world = new SignalWorld();
  const { net } = world;
  const listener = world.listen(BY_RELAY);
  net.run({ until: SIGNAL_CALL_AT - 2 * COMPARE_INTERVAL_MS });
  ok(listener.first("registered") !== undefined);
  move(net, world.b);
  net.run({ until: SIGNAL_CALL_AT });
  const caller = world.dial(BY_RELAY);
  net.run({ until: SIGNAL_CALL_AT + 5000 });
  deepStrictEqual([world.firstByte, caller.all("path").at(-1)?.kind], [465, "direct"]);
  // The connection to the relay has moved, and the channel with it.
  deepStrictEqual(listener.all("unregistered"), []);
});
