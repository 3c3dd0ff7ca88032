import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { firstByteSequence } from "../../bench/first_byte.ts";
import { dialName, Echo, startStun, STUN_PORT } from "../support/virtual_peers.ts";
import { CALL_AT, PEER_RTT_MS, World } from "../support/virtual_world.ts";
import type { WorldOptions } from "../support/virtual_world.ts";

function timesIn(options: Omit<WorldOptions, "seed">): Readonly<Record<string, number | undefined>> {
  const world = new World({ seed: 1, ...options });
  const { caller } = world.call();
  strictEqual(world.echo.returned, "hello", JSON.stringify(caller.first("failed")));
  return world.timesOf(caller);
}

Deno.test("ice-then-quic: by name, both behind NATs, the echo is back in three round trips and not a millisecond more", () => {
  deepStrictEqual(timesIn({}), {
    gathered: 77.5,
    signaled: 155,
    checked: 237.5,
    handshake: 310,
    firstByte: 465,
  });
  for (const rttMs of [50, PEER_RTT_MS, 300, 1000]) strictEqual(timesIn({ rttMs })["firstByte"], 3 * rttMs);
  // So near that the 5 ms between two checks count: the listener's NAT is opened one after the Initial was due there.
  strictEqual(timesIn({ rttMs: 10 })["firstByte"], 40);
});

Deno.test("ice-then-quic: a dead STUN server and a dead interface cost the pacing of two questions (RFC 8445 §14.2)", () => {
  for (const rttMs of [50, PEER_RTT_MS, 300, 1000]) {
    strictEqual(timesIn({ rttMs, deadEnds: true })["firstByte"], 3 * rttMs + 2 * 5);
  }
});

Deno.test("ice-then-quic: latency inside the NATs costs the 20 ms until the Initial is repeated", () => {
  for (const rttMs of [50, PEER_RTT_MS, 300]) {
    strictEqual(timesIn({ rttMs, latencyAt: "lan" })["firstByte"], 3 * rttMs + 20);
  }
});

Deno.test("ice-then-quic: a reflexive candidate that misses the request follows it, and costs 40 ms", () => {
  // STUN answers 120 ms after the question: later than 77.5 + 20, so that the offer leaves without. The candidate follows
  // when the channel is upgraded, and opens the listener's NAT at 252.5: for the second Initial of the early dial, which
  // left at 175 + 20.
  const world = new World({ seed: 1 });
  const far = world.net.host("far", { rttToCoreMs: 120 - PEER_RTT_MS / 2 });
  startStun(far);
  world.listen();
  world.net.run({ until: CALL_AT });
  const caller = world.dial({ stun: [far.address(STUN_PORT)] });
  world.net.run({ until: CALL_AT + 2000 });
  deepStrictEqual(world.timesOf(caller), {
    gathered: 97.5,
    signaled: 175,
    checked: 330,
    handshake: 350,
    firstByte: 465 + 20 + 20,
  });
});

Deno.test("ten callers at once, each from behind a NAT of its own, are served as fast as one", () => {
  const world = new World({ seed: 1 });
  const echoes = Array.from({ length: 10 }, () => new Echo(world.net));
  const listener = world.listen({ maxSessions: 100 });
  world.net.run({ until: CALL_AT });
  for (const [i, echo] of echoes.entries()) {
    const host = world.net.host(`caller ${i}`, { behind: world.net.nat({ rttToCoreMs: PEER_RTT_MS / 2 }) });
    const { hub, stun, net } = world;
    dialName(net, host, "bob", { hub, stun, onSession: echo.ask, onConnection: echo.hear });
  }
  world.net.run({ until: CALL_AT + 2000 });
  strictEqual(listener.sessions.length, 10);
  for (const echo of echoes) strictEqual(echo.returned, "hello");
  // The listener's agents check at the same moment; each has a Ta of its own, as the calls have nothing in common.
  deepStrictEqual(new Set(echoes.map(({ firstByteAt }) => (firstByteAt ?? 0) - CALL_AT)), new Set([465]));
});

/** A call in which the n-th to m-th large datagrams from one side are lost. */
function timesWithout(side: "caller" | "listener", count: number): Readonly<Record<string, number | undefined>> {
  const world = new World({ seed: 1 });
  const up = (side === "caller" ? world.natOfA : world.natOfB)!.up;
  let left = count;
  up.options = { ...up.options, drop: ({ bytes }) => bytes > 1200 && left-- > 0 };
  const { caller } = world.call();
  return world.timesOf(caller);
}

Deno.test("ice-then-quic: where both Initials of the early dial are lost, the first check sends another at once", () => {
  // The listener's check is in at 237.5: a round trip for the handshake, one for the echo.
  deepStrictEqual(timesWithout("caller", 2), {
    gathered: 77.5,
    signaled: 155,
    checked: 237.5,
    handshake: 392.5,
    firstByte: 547.5,
  });
});

Deno.test("ice-then-quic: where the answer to the Initial is lost, it is sent again by the RTT that checks have measured", () => {
  // RFC 9002 §6.2.1: smoothed_rtt + 4 * rttvar are 465 ms after a check of 155 ms, and would be 999 ms without.
  strictEqual(timesWithout("listener", 3)["firstByte"], 232.5 + 465 + 77.5 + 155);
});

Deno.test("the message sequence names every packet of the call", () => {
  const lines = firstByteSequence().split("\n").slice(1);
  ok(lines.length > 20);
  const sent = lines.map((line) => `${line.slice(0, 7).trim()} ${line.slice(7, -9).replaceAll(/[│─◀▶✗]/g, "").trim()}`);
  deepStrictEqual(sent.slice(0, 10), [
    "0.00 TCP SYN",
    "0.00 STUN request",
    "38.75 TCP SYN-ACK",
    "38.75 STUN answer",
    "77.50 upgrade with offer",
    "116.25 101, answer",
    "116.25 offer",
    "155.00 check",
    "155.00 QUIC Initial",
    "155.00 check",
  ]);
});
