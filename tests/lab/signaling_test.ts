/**
 * Caller, listener and hub of the project on the virtual network: the very machines of `signaling/` and `service/`, with
 * every round trip made of packets.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { MessageDriver, type VirtualHost, type VirtualNat, VirtualNetwork } from "../../lab/mod.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { parseCallee } from "../../signaling/callee.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { KnownPeersTable } from "../../signaling/known_peers.ts";
import { HubListener } from "../../signaling/listener.ts";
import type { CallerEvent, ListenerEvent, MachineContext } from "../../signaling/machines.ts";
import { candidate } from "../support/signaling_exchange.ts";
import { VirtualService } from "../support/virtual_service.ts";

interface Scene {
  readonly net: VirtualNetwork;
  readonly service: VirtualService;
  /** In front of the listener. */
  readonly nat: VirtualNat;
  readonly a: VirtualHost;
  readonly b: VirtualHost;
  /** What the listener told, as `AT TYPE`. */
  readonly told: string[];
}

function contextOf({ random, epochMs }: VirtualHost): MachineContext {
  return { key: Ed25519PrivateKey.generate(random), taMs: 5, random, epochMs, allowLoopback: false };
}

/** A hub 77.5 ms from two homes, and a listener in home b that may be called by name. */
function scene(): Scene {
  const net = new VirtualNetwork({ seed: 1 });
  const service = new VirtualService(net);
  const [natA, nat] = [1, 2].map(() => net.nat({ timeoutMs: 30_000, tcpTimeoutMs: 240_000 }));
  const a = net.host("a", { behind: natA!, rttToCoreMs: 77.5 });
  const b = net.host("b", { behind: nat!, rttToCoreMs: 77.5 });
  const listener = new HubListener({
    ...contextOf(b),
    hub: service.hubAddress.toString(),
    name: "bob",
    allow: { any: true, keys: [] },
  });
  const told: string[] = [];
  const driver = new MessageDriver<ListenerEvent>(listener, b, {
    onEvent: (event) => {
      told.push(`${net.now} ${event.type}`);
      if (event.type === "open") driver.connect(service.hubAddress);
    },
  });
  listener.publish([candidate("192.168.2.2")], 0);
  driver.drain();
  return { net, service, nat: nat!, a, b, told };
}

/** Calls `bob` now; returns what the caller is told. */
function call({ net, service, a }: Scene): string[] {
  const context = contextOf(a);
  const callee = parseCallee("bob", a.epochMs);
  ok(callee.kind !== "direct" && callee.kind !== "relayed");
  const known = new KnownPeersTable();
  const caller = new HubCaller({ ...context, hub: service.hubAddress.toString(), callee, known });
  const told: string[] = [];
  const driver = new MessageDriver<CallerEvent>(caller, a, {
    onEvent: (event) => {
      told.push(`${net.now} ${event.type}`);
      if (event.type === "open") driver.connect(service.hubAddress);
    },
  });
  caller.offer([candidate("192.168.1.2")], net.now);
  driver.drain();
  return told;
}

Deno.test("A listener is registered after two round trips, and a caller has its answer after two: 155 ms", () => {
  const all = scene();
  all.net.run({ until: 1000 });
  deepStrictEqual(all.told.filter((line) => !line.endsWith("stunServers")), ["0 open", "155 registered"]);
  const told = call(all);
  all.net.run({ until: 2000 });
  ok(told.includes("1155 answer"), told.join());
  ok(all.told.includes("1155 offer"), all.told.join());
});

Deno.test("A hub that restarts is noticed, and the listener is registered again", () => {
  const all = scene();
  all.net.at(10_000, () => all.service.stopHub());
  all.net.at(11_000, () => all.service.startHub());
  all.net.run({ until: 60_000 });
  const registered = all.told.filter((line) => line.endsWith(" registered"));
  strictEqual(registered.length, 2, all.told.join());
  ok(all.told.includes("10038.75 unregistered"), all.told.join());
  const told = call(all);
  all.net.run({ until: 61_000 });
  ok(told.includes("60155 answer"), told.join());
});

Deno.test("A listener whose NAT was rebound is registered again by its own pings", () => {
  const all = scene();
  const hourMs = 3_600_000;
  // Twice in an hour, neither time with a word to anybody.
  for (const at of [600_000, 1_800_000]) all.net.at(at, () => all.nat.rebind());
  all.net.run({ until: hourMs });
  const told = call(all);
  all.net.run({ until: hourMs + 1000 });
  ok(told.includes(`${hourMs + 155} answer`), `${told.join()}; ${all.told.join()}`);
});
