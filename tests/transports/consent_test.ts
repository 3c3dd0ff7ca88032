/**
 * Sessions of `ice-then-quic` under consent (RFC 7675), and what ICE does for them while they run (RFC 8445 §9).
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { NO_CONSENT } from "../../transports/ice_call.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";
import { CALL_AT, World } from "../support/virtual_world.ts";

const MINUTE_MS = 60_000;

function closedAt(peer: VirtualPeer): number | undefined {
  return peer.happened.find(({ event }) => event.type === "connection" && event.event.type === "closed")?.at;
}

Deno.test("a session under consent outlives ten minutes of a NAT that rebinds every 20 s, on either side", () => {
  for (const side of ["natOfA", "natOfB"] as const) {
    const world = new World({ seed: 11 });
    const { caller, listener } = world.call();
    const { net, echo } = world;
    const { connection } = caller.sessions[0]!;
    let sent = "";
    for (let at = net.now + 20_000; at <= CALL_AT + 10 * MINUTE_MS; at += 20_000) {
      net.at(at, () => world[side]!.rebind());
    }
    // Every 7 s something is said, and it all comes back.
    const before = echo.returned.length;
    for (let i = 0; i < 85; i++) {
      const id = connection.openStream("bidirectional");
      ok(id !== undefined, `the session has ended: ${connection.closeReason?.reason}`);
      connection.write(id, new TextEncoder().encode(`${i};`));
      connection.finish(id);
      sent += `${i};`;
      caller.drain();
      net.run({ until: net.now + 7000 });
    }
    net.run({ until: net.now + 30_000 });
    const returned = echo.returned.slice(before).split(";").filter((each) => each !== "").map(Number);
    deepStrictEqual(
      returned.toSorted((a, b) => a - b),
      sent.split(";").filter((each) => each !== "").map(Number),
      side,
    );
    deepStrictEqual([closedAt(caller), closedAt(listener)], [undefined, undefined]);
    deepStrictEqual([caller.sessions.length, listener.sessions.length], [1, 1]);
  }
});

Deno.test("an idle session under consent outlives ten minutes of the caller's NAT rebinding every 20 s", () => {
  const world = new World({ seed: 14 });
  const { caller, listener } = world.call();
  const { net } = world;
  for (let at = net.now + 20_000; at <= CALL_AT + 10 * MINUTE_MS; at += 20_000) {
    net.at(at, () => world.natOfA!.rebind());
  }
  net.run({ until: CALL_AT + 11 * MINUTE_MS });
  deepStrictEqual([closedAt(caller), closedAt(listener)], [undefined, undefined]);
  deepStrictEqual([caller.sessions.length, listener.sessions.length], [1, 1]);
});

Deno.test("a peer that vanishes is noticed within 30 s, whether anything is being sent or not, and nothing more goes to its address (RFC 7675 §5.1)", () => {
  for (const isTalking of [true, false]) {
    const world = new World({ seed: 12, trace: { keepEvents: true } });
    const { caller } = world.call();
    const { net } = world;
    net.run({ until: net.now + 40_000 });
    const { connection } = caller.sessions[0]!;
    const { remote } = connection.path;
    world.b.hasPower = false;
    const vanishedAt = net.now;
    if (isTalking) {
      const id = connection.openStream("bidirectional")!;
      connection.write(id, new Uint8Array(100_000));
      caller.drain();
    }
    net.run({ until: vanishedAt + 5 * MINUTE_MS });
    const endedAt = closedAt(caller);
    ok(endedAt !== undefined && endedAt - vanishedAt <= 30_000, `${endedAt}`);
    strictEqual(connection.closeReason?.reason, NO_CONSENT);
    strictEqual(connection.closeReason?.by, "idle");
    const later = net.trace.events.filter((event) =>
      event.type === "sent" && event.where === world.a.name && event.at >= endedAt &&
      event.packet.destination.host === remote.host
    );
    deepStrictEqual(later, []);
    deepStrictEqual(caller.machine.tableSizes["connections"], 0);
    deepStrictEqual(caller.machine.tableSizes["usernames"], 0);
  }
});

Deno.test("a session goes over to a better pair that is proved while it runs: QUIC asks it, moves, and ICE nominates it (RFC 9000 §9.1, RFC 8445 §8.1.1)", () => {
  const world = new World({ seed: 13, hasIpv6: true });
  const { net } = world;
  const listener = world.listen();
  net.run({ until: CALL_AT });
  const caller = world.dial();
  const [preferred, other] = caller.bases;
  // The preferred interface takes no packets at first, and the call comes through by the other.
  caller.host.failSends(preferred!, "EPERM", { count: 6 });
  net.run({ until: CALL_AT + 1000 });
  const { connection } = caller.sessions[0]!;
  deepStrictEqual([connection.path.base, world.timesOf(caller)["firstByte"]], [other, 465]);
  net.run({ until: CALL_AT + 60_000 });
  deepStrictEqual([connection.path.base, connection.path.isValidated], [preferred, true]);
  const moves = caller.happened.flatMap(({ at, event }) =>
    event.type === "connection" && event.event.type.startsWith("path") ? [`${at - CALL_AT} ${event.event.type}`] : []
  );
  deepStrictEqual(moves, ["3965 pathValidated", "3965 pathChanged"]);
  strictEqual(listener.sessions[0]!.connection.path.remote, preferred!.local);
  deepStrictEqual([closedAt(caller), closedAt(listener)], [undefined, undefined]);
});
