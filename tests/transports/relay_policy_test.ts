import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { iceThenQuic } from "../../transports/ice_then_quic.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { NO_DIRECT_PATH_CODE, prefersRelay } from "../../transports/relay_policy.ts";
import { RELAY_POLICIES } from "../../transports/traversal.ts";
import type { RelayPolicy } from "../../transports/traversal.ts";
import { AutoWorld, CALL_AT, echoAgain, pathOf, SYMMETRIC } from "../support/auto_world.ts";
import type { Side } from "../support/auto_world.ts";
import { NativeWorld } from "../support/native_world.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";

/** Where both ends are 12 s after the call, or why there is no session. */
function outcome(world: AutoWorld): string {
  const caller = world.call(12_000);
  if (caller.sessions.length === 0) return caller.first("failed")?.event.message ?? "nothing";
  return `${pathOf(caller)} ${pathOf(world.listener)} ${world.echo.returned}`;
}

/** For each policy of the one, with the other as usual. */
function outcomes(
  side: "caller" | "listener",
  options: { readonly nat?: Side["nat"]; readonly native?: boolean },
): string[] {
  const { nat, native = false } = options;
  return RELAY_POLICIES.map((policy) => {
    const common = { ...(nat === undefined ? {} : { nat }), ...(native ? { transport: quicNative() } : {}) };
    const world = new AutoWorld({ seed: 1, caller: common, listener: common, [side]: { ...common, policy } });
    return `${policy}: ${outcome(world)}`;
  });
}

Deno.test("relay policies of the caller: all but required end direct where a direct path can be found", () => {
  deepStrictEqual(outcomes("caller", {}), [
    "never: direct direct hello",
    "signal-only: direct direct hello",
    "until-direct: direct direct hello",
    "allowed: direct direct hello",
    "required: relayed relayed hello",
  ]);
});

Deno.test("relay policies of the listener: all but required end direct where a direct path can be found", () => {
  deepStrictEqual(outcomes("listener", {}), [
    "never: direct direct hello",
    "signal-only: direct direct hello",
    "until-direct: direct direct hello",
    "allowed: direct direct hello",
    "required: relayed relayed hello",
  ]);
});

Deno.test("relay policies of either side where there is no direct path: data flows through the relay only with leave", () => {
  for (const side of ["caller", "listener"] as const) {
    const [never, signalOnly, ...others] = outcomes(side, { nat: SYMMETRIC });
    match(never ?? "", /^never: No direct path: .* one side is (probably )?behind a NAT/);
    deepStrictEqual(others, [
      "until-direct: relayed relayed hello",
      "allowed: relayed relayed hello",
      "required: relayed relayed hello",
    ]);
    // The caller's own policy is told to it; the listener's shows in a session that comes to nothing.
    if (side === "caller") match(signalOnly ?? "", /the relay policy keeps data off relays; try --relay until-direct/);
    else strictEqual(signalOnly, "signal-only: relayed none ");
  }
});

Deno.test("signal-only: a session that begins at the relay is one when it is direct, and data flows then", () => {
  for (const side of ["caller", "listener"] as const) {
    const transport = quicNative();
    const world = new AutoWorld({
      seed: 1,
      caller: { transport },
      listener: { transport },
      [side]: { transport, policy: "signal-only" },
    });
    const caller = world.call(3000);
    const own = side === "caller" ? caller : world.listener;
    const session = own.first("session");
    const direct = own.first("path");
    ok(session !== undefined && direct !== undefined);
    strictEqual(direct.event.kind, "direct");
    ok(session.at >= direct.at, `a session at ${session.at}, direct at ${direct.at}`);
    // A caller waits until the path has carried a datagram of full size as well, for as long as a round trip.
    strictEqual(session.at - CALL_AT, side === "caller" ? 653 : 575.5);
    deepStrictEqual([world.echo.returned, world.echo.firstByteAt], ["hello", CALL_AT + 808]);
  }
});

Deno.test("signal-only: a listener whose callers stay at the relay ends them, says why, and takes others", () => {
  const world = new AutoWorld({
    seed: 1,
    caller: { nat: SYMMETRIC },
    listener: { nat: SYMMETRIC, policy: "signal-only" },
  });
  const caller = world.call(12_000);
  const ends = caller.all("connection").flatMap(({ event }) => event.type === "closed" ? [event.code, event.by] : []);
  deepStrictEqual(ends, [NO_DIRECT_PATH_CODE, "application"]);
  match(world.listener.first("callFailed")?.event.message ?? "", /^No direct path: the connection through the relay/);
  strictEqual(world.listener.machine.tableSizes["sessions"], 0);
});

Deno.test("signal-only: a session that loses its direct path does not go back to the relay, whosever the policy is", () => {
  for (const side of ["caller", "listener"] as const) {
    const transport = quicNative();
    const world = new AutoWorld({
      seed: 1,
      caller: { transport },
      listener: { transport },
      [side]: { transport, policy: "signal-only" },
    });
    const caller = world.call(3000);
    strictEqual(pathOf(caller), "direct");
    world.cutDirectPath();
    const before = world.echo.returned;
    strictEqual(echoAgain(world, caller, 40_000), false);
    strictEqual(world.echo.returned, before);
    const closed = caller.all("connection").some(({ event }) => event.type === "closed");
    ok(closed, "the caller's session goes on");
  }
});

Deno.test("never: nothing leaves for a relay, on either side", () => {
  for (const side of ["caller", "listener"] as const) {
    const world = new AutoWorld({ seed: 1, [side]: { policy: "never" }, trace: { keepEvents: true } });
    strictEqual(outcome(world), "direct direct hello");
    const own = side === "caller" ? "a" : "b";
    const relay = world.relays[0]!.address;
    const sent = world.net.trace.events.filter(({ type, where, packet }) => {
      return type === "sent" && where === own && packet.destination.host === relay.host;
    });
    deepStrictEqual(sent, []);
  }
});

Deno.test("required: nothing leaves but for the hub and the relay, and no address of our own is found", () => {
  for (const side of ["caller", "listener"] as const) {
    const world = new AutoWorld({ seed: 1, [side]: { policy: "required" }, trace: { keepEvents: true } });
    const peer: VirtualPeer = world.call(12_000);
    strictEqual(world.echo.returned, "hello");
    const own = side === "caller" ? peer : world.listener;
    strictEqual(pathOf(own), "relayed");
    deepStrictEqual(own.all("candidate"), []);
    const name = side === "caller" ? "a" : "b";
    const targets = new Set(
      world.net.trace.events.flatMap(({ type, where, packet }) =>
        type === "sent" && where === name && packet.protocol === "udp" ? [packet.destination.toString()] : []
      ),
    );
    const expected = side === "caller"
      ? peer.sessions[0]!.connection.path.remote.toString()
      : world.relays[0]!.address.toString();
    deepStrictEqual([...targets], [expected]);
  }
});

Deno.test("required: whoever knows the ticket and the listener's real address has no answer there", () => {
  const world = new NativeWorld({
    seed: 1,
    listener: "public",
    listenerPolicy: "required",
    trace: { keepEvents: true },
  });
  world.net.run({ until: CALL_AT });
  const port = world.net.trace.events.find(({ where }) => where === "b")!.packet.source;
  const caller = world.dial({ addresses: [port] });
  world.net.run({ until: CALL_AT + 10_000 });
  match(caller.first("failed")?.event.message ?? "", /^No connection: nobody answered/);
  // And at the relay it has.
  const answered = world.net.trace.events.filter(({ type, where, packet }) => {
    return type === "sent" && where === "b" && packet.destination.host !== world.relay.address.host;
  });
  deepStrictEqual(answered, []);
});

Deno.test("policies that leave no way are said: at once where one side knows, after the answer where it takes both", () => {
  const cases: readonly (readonly [RelayPolicy, RelayPolicy, RegExp])[] = [
    ["never", "required", /our relay policy, never, takes no way through one: allow it with --relay until-direct$/],
    ["required", "never", /^The peer has no address at a relay, and our relay policy takes no other way/],
  ];
  for (const [caller, listener, message] of cases) {
    match(outcome(new AutoWorld({ seed: 1, caller: { policy: caller }, listener: { policy: listener } })), message);
  }
  const wrong: Side = { transport: iceThenQuic(), policy: "required" };
  throws(() => new AutoWorld({ seed: 1, listener: wrong }), /Cannot use ice-then-quic under the relay policy required/);
  const other: Side = { transport: quicNative(), policy: "never" };
  throws(() => new AutoWorld({ seed: 1, listener: other }), /Cannot use quic-native under the relay policy never/);
});

Deno.test("allowed: a relay is preferred that is clearly faster, by a fifth and by 5 ms", () => {
  deepStrictEqual([prefersRelay("allowed", 79, 100), prefersRelay("allowed", 81, 100)], [true, false]);
  deepStrictEqual([prefersRelay("allowed", 10, 16), prefersRelay("allowed", 10, 14)], [true, false]);
  strictEqual(prefersRelay("until-direct", 1, 1000), false);
});

Deno.test("allowed: a session stays at the relay while the direct path is clearly slower, and says why; until-direct leaves it", () => {
  const transport = quicNative();
  const slow = (policy: RelayPolicy, ms: number): readonly unknown[] => {
    const world = new AutoWorld({ seed: 1, caller: { transport, policy }, listener: { transport } });
    world.slowDirectPath(ms);
    const caller = world.call(12_000);
    strictEqual(world.echo.returned, "hello");
    const told = caller.all("path").map(({ kind, reason }) => `${kind}: ${reason ?? "no reason"}`);
    return [pathOf(caller), pathOf(world.listener), ...told];
  };
  deepStrictEqual(slow("allowed", 50), [
    "relayed",
    "relayed",
    "relayed: the direct path takes 255 ms, the relay 155 ms",
  ]);
  deepStrictEqual(slow("until-direct", 50), ["direct", "direct", "direct: no reason"]);
  // A fifth is more than this.
  deepStrictEqual(slow("allowed", 15), ["direct", "direct", "direct: no reason"]);
});
