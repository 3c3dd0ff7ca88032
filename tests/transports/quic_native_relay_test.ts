import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Packet } from "../../lab/mod.ts";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";
import type { NativePeer } from "../support/native_world.ts";

const SYMMETRIC = { mapping: "APDM", filtering: "APDF" } as const;

/** How long a failed call may take: issue and README say so. */
const MAX_FAILURE_MS = 10_000;

/** After this the peers and the relay have given each other up: RFC 9000 §10.1, with the probes that come first. */
const GIVEN_UP_MS = 60_000;

/** No packet reaches the relay or leaves it, or all do again. */
function setDead({ relay }: NativeWorld, isDead: boolean): void {
  const [nic] = relay.host.interfaces();
  for (const link of [nic?.up, nic?.down]) {
    ok(link !== undefined);
    link.options = isDead ? { ...link.options, drop: () => true } : { ...link.options, drop: () => false };
  }
}

/** Says something and waits for its echo. */
function echoes(world: NativeWorld, caller: NativePeer): boolean {
  const connection = caller.sessions[0]?.connection;
  const id = connection?.openStream("bidirectional");
  if (connection === undefined || id === undefined) return false;
  const before = world.returned.length;
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  caller.drain();
  return world.until(() => world.returned.slice(before) === "again", 2000);
}

function closedReasons(peer: NativePeer): string[] {
  return peer.told("closed").map(({ event }) => event.reason);
}

Deno.test("quic-native: a relay that is not there yet is tried again, and found when it is", () => {
  const world = new NativeWorld({ seed: 1 });
  setDead(world, true);
  world.net.run({ until: CALL_AT + GIVEN_UP_MS });
  strictEqual(world.listener.first("ticket"), undefined);
  const unregistered = world.listener.first("unregistered");
  ok(unregistered !== undefined && unregistered.event.retryAt > unregistered.at);
  setDead(world, false);
  ok(world.until(() => world.listener.first("ticket") !== undefined, GIVEN_UP_MS));
  const caller = world.dial();
  ok(world.until(() => caller.path === "direct" && world.returned === "hello", 5000));
});

Deno.test("quic-native: a call whose relay dies in mid-handshake fails within 10 s, and says so", () => {
  const world = new NativeWorld({ seed: 1 });
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 100 });
  setDead(world, true);
  world.net.run({ until: CALL_AT + MAX_FAILURE_MS });
  const failed = caller.first("failed");
  strictEqual(failed?.event.reason, "unreachablePeer");
  match(
    failed.event.message,
    /^No connection: nobody answered at the relayed address 203\.0\.113\.\d+:\d+; ask the peer/,
  );
  deepStrictEqual([caller.sessions.length, world.listener.sessions.length], [0, 0]);
  world.net.run({ until: CALL_AT + MAX_FAILURE_MS + GIVEN_UP_MS });
  deepStrictEqual(sizes(caller), {});
});

Deno.test("quic-native: a relayed session ends on both sides when its relay dies, and no table keeps anything of it", () => {
  const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC });
  const caller = world.call();
  deepStrictEqual([caller.path, world.listener.path, world.returned], ["relayed", "relayed", "hello"]);
  setDead(world, true);
  world.net.run({ until: CALL_AT + 5000 + 2 * GIVEN_UP_MS });
  for (const peer of [caller, world.listener]) {
    strictEqual(closedReasons(peer).length, 1, peer.host.name);
    match(closedReasons(peer)[0] ?? "", /^Nothing was heard for 30000 ms$/);
  }
  ok(caller.first("released") !== undefined);
  deepStrictEqual(sizes(caller), {});
});

Deno.test("quic-native: a direct session outlives its relay; the listener's address is the same when the relay is back", () => {
  const world = new NativeWorld({ seed: 1, maxSessions: 2 });
  const caller = world.call();
  const { target } = world;
  strictEqual(caller.path, "direct");
  setDead(world, true);
  world.net.run({ until: CALL_AT + 5000 + GIVEN_UP_MS });
  deepStrictEqual([...closedReasons(caller), ...closedReasons(world.listener)], []);
  deepStrictEqual([caller.path, world.listener.path], ["direct", "direct"]);
  ok(echoes(world, caller));
  const lostAt = world.listener.first("unregistered")?.at;
  ok(lostAt !== undefined);
  setDead(world, false);
  world.net.run({ until: world.net.now + GIVEN_UP_MS });
  ok(echoes(world, caller));
  // The ticket from before is as good as ever.
  const other = world.net.host("other", { rttToCoreMs: 40 });
  const second = world.dial({ ...target, host: other });
  ok(world.until(() => second.path === "direct", 5000), JSON.stringify(second.first("failed")?.event));
  strictEqual(world.listener.sessions.length, 2);
});

Deno.test("quic-native: a wrong token meets silence, and the call fails within 10 s", () => {
  const world = new NativeWorld({ seed: 1 });
  world.net.run({ until: CALL_AT });
  const sent: Packet[] = [];
  const { down } = world.natOfA!;
  const relayed = String(world.target.addresses[0]);
  down.options = {
    ...down.options,
    drop: (packet) => packet.source.toString() === relayed && sent.push(packet) < 0,
  };
  const caller = world.dial({ token: new Uint8Array(16).fill(1) });
  world.net.run({ until: CALL_AT + MAX_FAILURE_MS });
  strictEqual(sent.length, 0);
  match(caller.first("failed")?.event.message ?? "", /^No connection: nobody answered at the relayed address/);
  strictEqual(world.listener.sessions.length, 0);
  deepStrictEqual(sizes(caller), {});
});

Deno.test("quic-native: another key than the ticket's fails the call at once", () => {
  const world = new NativeWorld({ seed: 1 });
  world.net.run({ until: CALL_AT });
  const { identity } = world.target;
  const keyId = identity.keyId.map((byte) => byte ^ 1);
  const caller = world.dial({ identity: { ...identity, keyId } });
  world.net.run({ until: CALL_AT + MAX_FAILURE_MS });
  const failed = caller.first("failed");
  deepStrictEqual([failed?.event.reason, (failed?.at ?? NaN) - CALL_AT], ["otherKey", 155]);
  match(failed?.event.message ?? "", /ask for a new ticket/);
  strictEqual(world.listener.sessions.length, 0);
  deepStrictEqual(sizes(caller), {});
});

Deno.test("quic-native: an address at the relay that nobody has any more fails within 10 s, and says so", () => {
  const world = new NativeWorld({ seed: 1 });
  world.net.run({ until: CALL_AT });
  const { target } = world;
  world.listener.close();
  world.net.run({ until: CALL_AT + 2000 });
  deepStrictEqual(sizes(world.listener), {});
  const caller = world.dial(target);
  world.net.run({ until: CALL_AT + 2000 + MAX_FAILURE_MS });
  match(caller.first("failed")?.event.message ?? "", /^No connection: nobody answered at the relayed address/);
});

Deno.test("quic-native: a listener takes as many sessions as it wants, and tells the next caller that it is busy", () => {
  const world = new NativeWorld({ seed: 1, maxSessions: 2 });
  const first = world.call(2000);
  const callers = ["second", "third"].map((name) => {
    const caller = world.dial({ host: world.net.host(name, { rttToCoreMs: 40 }) });
    world.net.run({ until: world.net.now + 2000 });
    return caller;
  });
  strictEqual(world.listener.sessions.length, 2);
  const [second, third] = callers;
  deepStrictEqual([first.path, second?.path], ["direct", "direct"]);
  match(JSON.stringify([third?.first("failed")?.event, third?.told("closed")]), /busy/);
  // Room again.
  first.close();
  world.net.run({ until: world.net.now + 2000 });
  const fourth = world.dial({ host: world.net.host("fourth", { rttToCoreMs: 40 }) });
  ok(world.until(() => fourth.path === "direct", 2000));
});

Deno.test("quic-native: a session that is still relayed is told when listening ends", () => {
  const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC });
  const caller = world.call();
  strictEqual(caller.path, "relayed");
  world.listener.close();
  world.net.run({ until: world.net.now + 1000 });
  deepStrictEqual(closedReasons(caller), ["done"]);
  world.net.run({ until: world.net.now + 10_000 });
  ok(world.listener.first("released") !== undefined);
  deepStrictEqual(sizes(world.listener), {});
  strictEqual(world.relay.relay.sizes.connections, 0);
});

Deno.test("quic-native: nothing is left in any table when the sessions are over and the listener has closed", () => {
  const world = new NativeWorld({ seed: 1, maxSessions: 2 });
  const caller = world.call();
  caller.close();
  world.net.run({ until: CALL_AT + 10_000 });
  ok(caller.first("released") !== undefined);
  deepStrictEqual(sizes(caller), {});
  world.listener.close();
  world.net.run({ until: CALL_AT + 20_000 });
  ok(world.listener.first("released") !== undefined);
  deepStrictEqual(sizes(world.listener), {});
  deepStrictEqual(world.relay.relay.sizes.connections, 0);
});

Deno.test("quic-native: the same seed twice is the same, packet by packet", () => {
  const link = { lossRate: 0.05, jitterMs: 10, duplicateRate: 0.02 };
  const hashOf = (seed: number): string => {
    const world = new NativeWorld({ seed, link, trace: { hashPayloads: true } });
    world.call();
    return world.net.trace.hash();
  };
  strictEqual(hashOf(7), hashOf(7));
  ok(hashOf(7) !== hashOf(8));
});

/** Tables that are not empty. */
function sizes({ machine }: NativePeer): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(machine.tableSizes).filter(([, size]) => size > 0));
}
