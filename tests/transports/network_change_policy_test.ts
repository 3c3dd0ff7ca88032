/**
 * The network changes under sessions of `auto`, with each relay policy.
 *
 * @module
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { VirtualHost } from "../../lab/mod.ts";
import { COMPARE_INTERVAL_MS } from "../../transports/bases.ts";
import { AutoWorld, PEER_RTT_MS, PORT_RESTRICTED } from "../support/auto_world.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";

const IDLE_MS = 30_000;
/** Who moves while nothing is said is found out by comparison; what the other says meanwhile is repeated ever more rarely. */
const MAX_ECHO_MS = 2 * COMPARE_INTERVAL_MS;

/** Takes all addresses of a host away and gives it one behind another NAT. */
function move({ net }: AutoWorld, host: VirtualHost): void {
  const nat = net.nat({ ...PORT_RESTRICTED, rttToCoreMs: PEER_RTT_MS / 2 });
  for (const { address } of host.interfaces()) host.removeAddress(address.host);
  net.attach(host, `wwan ${nat.name}`, { behind: nat });
}

/** Says something, and waits for its echo. @returns How long that took. */
function echoMs({ net, echo }: AutoWorld, peer: VirtualPeer, maxMs: number): number | undefined {
  const connection = peer.sessions[0]?.connection;
  const id = connection?.openStream("bidirectional");
  if (connection === undefined || id === undefined) return undefined;
  const before = echo.returned.length;
  const at = net.now;
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  peer.drain();
  net.run({ until: net.now + maxMs, stopWhen: () => echo.returned.slice(before) === "again" });
  return echo.returned.slice(before) === "again" ? net.now - at : undefined;
}

/** Where the packets of the caller's session go. */
function kindOf(peer: VirtualPeer): string {
  const session = peer.sessions[0];
  if (session === undefined) return "none";
  return session.isRelayed?.(session.connection.path) === true ? "relayed" : "direct";
}

for (const policy of ["until-direct", "allowed", "required"] as const) {
  for (const side of ["a", "b"] as const) {
    const who = side === "a" ? "caller" : "listener";
    const end = policy === "required" ? "relayed" : "direct";
    Deno.test(`auto, relay policy ${policy}: the ${who}'s address is replaced, and the session is ${end} again (RFC 9000 §9)`, () => {
      const world = new AutoWorld({ seed: 1, caller: { policy }, listener: { policy } });
      const caller = world.call(3000);
      strictEqual(kindOf(caller), end);
      move(world, world[side]);
      const ms = echoMs(world, caller, IDLE_MS);
      ok(ms !== undefined && ms <= MAX_ECHO_MS, `${ms} ms`);
      world.net.run({ until: world.net.now + 3000 });
      strictEqual(kindOf(caller), end);
      strictEqual(echoMs(world, caller, 1000), PEER_RTT_MS);
      deepStrictEqual([caller.sessions.length, world.listener.sessions.length], [1, 1]);
    });
  }
}

for (const policy of ["signal-only", "never"] as const) {
  for (const side of ["a", "b"] as const) {
    const who = side === "a" ? "caller" : "listener";
    Deno.test(`auto, relay policy ${policy}: the ${who}'s address is replaced behind port-restricted NATs, and the session ends by silence`, () => {
      const world = new AutoWorld({ seed: 1, caller: { policy }, listener: { policy } });
      const caller = world.call(3000);
      strictEqual(kindOf(caller), "direct");
      move(world, world[side]);
      strictEqual(echoMs(world, caller, 2 * IDLE_MS), undefined);
      for (const peer of [caller, world.listener]) {
        match(
          peer.sessions[0]?.connection.closeReason?.reason ?? "",
          /^(Nothing was heard for 30000 ms|The peer has consented to nothing for 30 s)/,
        );
      }
    });
  }
}
