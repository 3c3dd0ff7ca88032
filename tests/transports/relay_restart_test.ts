import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { TUNNEL_KEEP_ALIVE_MS } from "../../protocols/masque/config.ts";
import type { RelayOptions } from "../../service/relay.ts";
import { issueRelayToken } from "../../service/relay_token.ts";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";
import type { NativePeer } from "../support/native_world.ts";
import { type RunningRelay, startRelay } from "../support/relay_world.ts";

const SYMMETRIC = { mapping: "APDM", filtering: "APDF" } as const;
const SECRETS = { portSecret: new Uint8Array(32).fill(1), resetKey: new Uint8Array(32).fill(2) } as const;

/** How long the relay's machine takes to start again. */
const DOWN_MS = 1000;

/** The relay's process ends, with or without a word, and another one starts in its place. */
function restart(world: NativeWorld, how: "politely" | "suddenly", options: Partial<RelayOptions> = {}): RunningRelay {
  const { relay, driver, host, certificate } = world.relay;
  if (how === "politely") {
    for (const step of ["announce", "close"] as const) {
      relay.leave(step, host.now());
      driver.drain();
    }
  }
  host.stop();
  world.net.run({ until: world.net.now + DOWN_MS });
  return startRelay(host, { ...SECRETS, credential: certificate.credential, ...options });
}

/** Says something and waits for its echo. @returns How long it took; `undefined` if it did not come back. */
function echoMs(world: NativeWorld, caller: NativePeer, maxMs: number): number | undefined {
  const connection = caller.sessions[0]!.connection;
  const id = connection.openStream("bidirectional")!;
  const [before, since] = [world.returned.length, world.net.now];
  connection.write(id, new TextEncoder().encode("again"));
  connection.finish(id);
  caller.drain();
  return world.until(() => world.returned.slice(before) === "again", maxMs) ? world.net.now - since : undefined;
}

for (const how of ["politely", "suddenly"] as const) {
  Deno.test(`Relay that restarts ${how} gives the listener its port back, and a session goes on through it`, () => {
    const world = new NativeWorld({ seed: 1, caller: SYMMETRIC, listener: SYMMETRIC, relay: SECRETS });
    const caller = world.call();
    deepStrictEqual([caller.path, world.returned], ["relayed", "hello"]);
    const { addresses } = world.target;
    const lostAt = world.net.now;
    const { relay } = restart(world, how);
    const ms = echoMs(world, caller, 25_000);
    ok(ms !== undefined, "no echo");
    // Told, the listener is back before the next try of the caller; if not, once the reset has met what keeps it alive.
    const patience = how === "politely" ? 4000 : TUNNEL_KEEP_ALIVE_MS + 6000;
    ok(world.net.now - lostAt <= patience, `${world.net.now - lostAt} ms`);
    strictEqual(relay.sizes.ports, 1);
    deepStrictEqual(world.target.addresses, addresses);
    strictEqual(world.listener.all("ticket").length, 1);
    for (const peer of [caller, world.listener]) deepStrictEqual(peer.told("closed"), []);
    const told = world.listener.first("unregistered");
    if (how === "politely") ok(told !== undefined && told.at - lostAt < 100, `${told?.at}`);
    match(told?.event.reason ?? "", how === "politely" ? /closed|ended/ : /has lost the connection/);
  });
}

Deno.test("Relay that restarts without what it was known by gives another port", () => {
  const world = new NativeWorld({ seed: 1, relay: SECRETS });
  world.net.run({ until: CALL_AT });
  const before = String(world.target.addresses[0]);
  const { host, certificate } = world.relay;
  host.stop();
  startRelay(host, { credential: certificate.credential, portSecret: new Uint8Array(32).fill(3) });
  ok(world.until(() => world.listener.all("ticket").length === 2, 60_000));
  ok(String(world.target.addresses[0]) !== before);
});

for (const isRenewed of [true, false]) {
  const outcome = isRenewed ? "gives back the port to who has new leave" : "asks for leave that has not ended";
  Deno.test(`Relay that restarts after an hour ${outcome} (RFC 6750 §3.1)`, () => {
    const secret = new Uint8Array(32).fill(4);
    const access = { secret, isOpen: false };
    // The key of host "b" is the listener's, here as in NativeWorld.
    const { listenerKey, relay: { host } } = new NativeWorld({ seed: 1 });
    const issue = (now: number): string => issueRelayToken(secret, listenerKey.publicKey.bytes, host.epochMs + now);
    const world = new NativeWorld({ seed: 1, relay: { ...SECRETS, access }, relayToken: issue(0) });
    world.net.run({ until: 3_600_000 });
    const { addresses } = world.target;
    if (isRenewed) {
      const known = {
        addresses: [world.relay.address],
        authority: world.relay.address.toString(),
        certificateSha256: world.relay.certificate.sha256,
      };
      world.listener.machine.addRelays([{ ...known, token: issue(world.net.now) }], world.net.now);
    }
    const { relay } = restart(world, "politely", { access });
    world.net.run({ until: world.net.now + 20_000 });
    strictEqual(relay.sizes.ports, isRenewed ? 1 : 0);
    const reasons = world.listener.all("unregistered").map(({ event }) => event.reason);
    strictEqual(reasons.includes("the relay asks for another token"), !isRenewed, reasons.join("; "));
    deepStrictEqual(world.target.addresses, addresses);
  });
}

Deno.test("Relay that is away for a while is asked often enough to be found within seconds of its return", () => {
  const world = new NativeWorld({ seed: 1, relay: SECRETS });
  world.net.run({ until: CALL_AT });
  const { relay: { relay, driver, host, certificate } } = world;
  relay.leave("close", host.now());
  driver.drain();
  host.stop();
  const awayMs = 25_000;
  world.net.run({ until: world.net.now + awayMs });
  const { relay: back } = startRelay(host, { ...SECRETS, credential: certificate.credential });
  const since = world.net.now;
  ok(world.until(() => back.sizes.ports === 1, 10_000));
  ok(world.net.now - since < 5000, `${world.net.now - since} ms`);
  const reasons = world.listener.all("unregistered").map(({ event }) => event.reason);
  ok(reasons.includes("the relay has not answered for 10 s"), reasons.join("; "));
});
