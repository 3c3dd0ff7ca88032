import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Packet } from "../../lab/mod.ts";
import { CALL_AT, World } from "../support/virtual_world.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Forgets after 30 s, as many do (RFC 9000 §10.1.2). */
const NAT = { mapping: "EIM", filtering: "ADF", timeoutMs: 30 * SECOND_MS } as const;

/** What a listener in the same place that has started a moment ago is reached in. */
const FRESH = { gathered: 77.5, signaled: 155, checked: 237.5, handshake: 310, firstByte: 465 };

function worldOf(seed: number): World {
  return new World({ seed, caller: NAT, listener: NAT });
}

function callAt(world: World, at: number): Readonly<Record<string, number | undefined>> {
  world.net.run({ until: at });
  const caller = world.dial();
  world.net.run({ until: at + 10 * SECOND_MS, stopWhen: () => world.echo.firstByteAt !== undefined });
  return world.timesOf(caller, at);
}

Deno.test("a listener that has just started is reached in three round trips", () => {
  const world = worldOf(1);
  world.listen();
  deepStrictEqual(callAt(world, SECOND_MS), FRESH);
});

Deno.test("a listener that has waited an hour, was rebound twice and saw its hub restart is reached as fast", () => {
  const world = worldOf(2);
  const { net } = world;
  const listener = world.listen();
  net.at(17 * MINUTE_MS, () => world.natOfB?.rebind());
  net.at(41 * MINUTE_MS, () => world.natOfB?.rebind({ address: net.unusedAddress() }));
  net.at(53 * MINUTE_MS, () => world.stopHub());
  net.at(53 * MINUTE_MS + 20 * SECOND_MS, () => world.startHub());
  deepStrictEqual(callAt(world, HOUR_MS), FRESH);
  // One mapping before and one after each of the two.
  strictEqual(listener.all("candidate").filter(({ candidate }) => candidate.type === "srflx").length, 3);
});

Deno.test("a listener that was rebound is reached as fast again 17 s later, with whatever filter on the caller's side", () => {
  // The question that finds out is at most 15 s away; then the hub's stream, which has lost its mapping too, is opened anew.
  for (const [seed, filtering] of [[10, "EIF"], [11, "ADF"], [12, "APDF"]] as const) {
    const world = new World({ seed, caller: { ...NAT, filtering }, listener: { ...NAT, filtering } });
    world.listen();
    const reboundAt = 10 * MINUTE_MS + seed * 1234;
    world.net.at(reboundAt, () => world.natOfB?.rebind());
    deepStrictEqual(callAt(world, reboundAt + 17 * SECOND_MS), FRESH);
  }
});

Deno.test("a listener whose server was without power for a minute is back within half a minute after it, as fast", () => {
  const world = worldOf(3);
  const { net } = world;
  const listener = world.listen();
  const [downAt, upAt] = [5 * MINUTE_MS, 6 * MINUTE_MS];
  net.at(downAt, () => world.stopServer());
  net.at(upAt, () => world.startServer());
  net.run({ until: upAt });
  const lostAt = listener.first("unregistered")?.at ?? Infinity;
  // A ping after 30 s of silence, 10 s for its answer.
  ok(lostAt <= downAt + 40 * SECOND_MS, `noticed ${lostAt - downAt} ms after the power had gone`);
  net.run({ until: upAt + 30 * SECOND_MS });
  const registered = listener.happened.filter(({ event }) => event.type === "registered");
  strictEqual(registered.length, 2);
  ok(registered[1]!.at > upAt);
  deepStrictEqual(callAt(world, upAt + 30 * SECOND_MS), FRESH);
});

Deno.test("a listener that waits costs sixteen packets a minute, half of them UDP", () => {
  const world = new World({ seed: 4, caller: NAT, listener: NAT, trace: { keepEvents: true } });
  world.listen();
  // Between two records, which are published every half hour.
  const [from, minutes] = [2 * MINUTE_MS, 25];
  world.net.run({ until: from + minutes * MINUTE_MS });
  const count = { udp: 0, tcp: 0 };
  const bytes = { udp: 0, tcp: 0 };
  const add = ({ protocol, bytes: size }: Packet): void => {
    count[protocol]++;
    bytes[protocol] += size;
  };
  // Every packet either way: those that the listener sent, and those that were meant for it.
  for (const event of world.net.trace.events) {
    if (event.type === "sent" && event.at >= from && event.where !== world.a.name) add(event.packet);
  }
  // A question every 15 s after the answer to the last one, and its answer: never more than 2 × 4.
  ok(count.udp / minutes <= 8 && count.udp / minutes > 7.9, `${count.udp / minutes} UDP packets a minute`);
  // A ping every 30 s, its answer, and an acknowledgement of each: the network of the test does not save any.
  strictEqual(count.tcp / minutes, 8);
  strictEqual(Math.round(bytes.udp / minutes), 496);
  strictEqual(Math.round(bytes.tcp / minutes), 488);
  strictEqual(world.natOfB!.mappings().length, 2);
});

Deno.test("a session that is idle for an hour behind NATs that forget after 30 s lives, at sixteen packets a minute", () => {
  const world = new World({ seed: 5, caller: NAT, listener: NAT, trace: { keepEvents: true } });
  const listener = world.listen();
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  world.net.run({ until: HOUR_MS });
  const minutes = 20;
  const between = world.net.trace.events.filter(({ type, at, where, packet }) =>
    type === "sent" && where !== world.server.name && packet.protocol === "udp" && packet.destination.port !== 3478 &&
    at >= 30 * MINUTE_MS && at < (30 + minutes) * MINUTE_MS
  );
  strictEqual(Math.round(between.length / minutes), 16);
  // The caller speaks with nobody else any more.
  ok(
    !world.net.trace.events.some(({ type, at, where, packet }) =>
      type === "sent" && where === world.a.name && at >= 30 * MINUTE_MS && packet.destination.host === world.hub.host
    ),
  );
  const { connection } = caller.sessions[0]!;
  const [askedAt, before] = [world.net.now, world.echo.returned];
  world.echo.firstByteAt = undefined;
  world.echo.ask(caller.sessions[0]!, caller);
  world.net.run({ until: askedAt + SECOND_MS });
  strictEqual(world.echo.returned, before + "hello");
  strictEqual(world.echo.firstByteAt, askedAt + 155);
  deepStrictEqual([connection.state, listener.sessions[0]!.connection.state], ["confirmed", "confirmed"]);
});
