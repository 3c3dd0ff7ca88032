import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../lab/mod.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { ANSWER_TIMEOUT_MS, HubCaller } from "../../signaling/caller.ts";
import { formatKey } from "../../signaling/identity.ts";
import { HubListener } from "../../signaling/listener.ts";
import { contextOf, dialWith, HUB, HUB_PORT, keyOf, listenAs, listenWith } from "../support/virtual_peers.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";
import { CALL_AT, World } from "../support/virtual_world.ts";

const OTHER_KEY = Ed25519PrivateKey.generate(new SeededRandom(99, "other key"));

/** Datagrams between the peers since the call. */
function datagramsBetweenPeers(world: World): number {
  return world.net.trace.events.filter(({ type, at, where, packet }) =>
    type === "sent" && at >= CALL_AT && where !== "server" && packet.protocol === "udp" &&
    packet.destination.port !== 3478
  ).length;
}

function closeReasonsOf(peer: VirtualPeer): string[] {
  return peer.all("connection").flatMap(({ event }) => event.type === "closed" ? [event.reason] : []);
}

Deno.test("a hub that hands out somebody else under the name is found out by the key, before a single packet", () => {
  const world = new World({ seed: 1, trace: { keepEvents: true } });
  // Mallory has taken the name; Bob's key is what the caller knows.
  const mallory = world.net.host("mallory");
  listenAs(world.net, mallory, "bob", { hub: world.hub, stun: world.stun, allow: { any: true, keys: [] } });
  world.net.run({ until: CALL_AT });
  const bobKey = keyOf(world.b, 1).publicKey.bytes;
  const caller = world.dial({ key: bobKey });
  world.net.run({ until: CALL_AT + 10_000 });
  const failed = caller.first("failed")!.event;
  // The hub does not even find a Bob with that key.
  strictEqual(failed.reason, "unknown");
  match(failed.message, new RegExp(`^Nobody is registered as bob with the key ${formatKey(bobKey).slice(0, 10)}`));
  strictEqual(datagramsBetweenPeers(world), 0);
});

Deno.test("a listener that proves another key in TLS than the one that signed its record is refused", () => {
  const world = new World({ seed: 2 });
  const signer = { ...contextOf(world.b, 2), key: OTHER_KEY };
  const machine = new HubListener({ ...signer, hub: HUB, name: "bob", allow: { any: true, keys: [] } });
  const listener = listenWith(world.net, world.b, machine, {
    hub: world.hub,
    stun: world.stun,
    onConnection: world.echo.answer,
  });
  world.net.run({ until: CALL_AT });
  const caller = world.dial({ key: OTHER_KEY.publicKey.bytes });
  world.net.run({ until: CALL_AT + 60_000 });
  strictEqual(caller.first("failed")?.event.reason, "otherKey");
  strictEqual(caller.first("failed")?.at, CALL_AT + 310);
  deepStrictEqual([caller.sessions.length, listener.sessions.length, world.echo.returned], [0, 0, ""]);
  for (const [table, size] of Object.entries(caller.machine.tableSizes)) strictEqual(size, 0, table);
});

Deno.test("a caller that proves another key in TLS than the one that signed its offer is refused, and sees no byte", () => {
  const world = new World({ seed: 3 });
  const listener = world.listen({
    onSession: ({ connection }, peer) => {
      connection.write(connection.openStream("bidirectional")!, new Uint8Array([1]));
      peer.drain();
    },
  });
  world.net.run({ until: CALL_AT });
  const signer = { ...contextOf(world.a, 3), key: OTHER_KEY };
  const machine = new HubCaller({ ...signer, hub: HUB, callee: { kind: "name", name: "bob", key: undefined } });
  const caller = dialWith(world.net, world.a, machine, {
    hub: world.hub,
    stun: world.stun,
    onSession: world.echo.ask,
    onConnection: world.echo.hear,
  });
  world.net.run({ until: CALL_AT + 60_000 });
  strictEqual(listener.sessions.length, 0);
  strictEqual(world.echo.returned, "");
  // The caller's own handshake was complete before the server had looked (RFC 8446 §4.4.3): its session ends at once.
  const closed = closeReasonsOf(caller);
  const failed = caller.first("failed")?.event.message;
  ok(closed.length === 1 || failed !== undefined);
  match(closed[0] ?? failed ?? "", /not accepted/);
  strictEqual(listener.machine.tableSizes["connections"], 0);
});

Deno.test("an offer that the hub plays again makes no second call and no packet, and is counted", () => {
  const world = new World({ seed: 4, trace: { keepEvents: true } });
  const { listener, caller } = world.call();
  world.net.run({ until: CALL_AT + 1000 });
  const texts = world.net.trace.events.filter(({ type, where, packet }) =>
    type === "delivered" && where === "b" && packet.protocol === "tcp"
  ).map(({ packet }) => new TextDecoder().decode(packet.payload.subarray(4)).replace(/\0+$/, ""));
  const offers = texts.filter((text) => text.includes('"t":"offer"'));
  strictEqual(offers.length, 1);
  // While the session lives, and when the listener is free again.
  listener.paste(offers[0]!);
  caller.close();
  world.net.run({ until: world.net.now + 5000 });
  const before = datagramsBetweenPeers(world);
  listener.paste(offers[0]!);
  world.net.run({ until: world.net.now + 20_000 });
  deepStrictEqual(listener.all("refused").map(({ reason }) => reason), ["busy", "replayed"]);
  deepStrictEqual([listener.sessions.length, datagramsBetweenPeers(world) - before], [1, 0]);
});

Deno.test("a hub that is silent once TCP is up fails the call after 10 s, and says so", () => {
  const world = new World({ seed: 5 });
  world.stopHub();
  world.server.streams.listen(HUB_PORT, () => ({}));
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 30_000 });
  const failed = caller.first("failed")!;
  strictEqual(failed.at - CALL_AT, 77.5 + ANSWER_TIMEOUT_MS);
  strictEqual(failed.event.message, `The hub ${HUB} does not answer: try again`);
  strictEqual(failed.event.reason, "unreachable");
});

Deno.test("a hub that is down fails the call after three attempts within 5 s, and says so", () => {
  const world = new World({ seed: 6 });
  world.stopHub();
  world.net.run({ until: CALL_AT });
  const caller = world.dial();
  world.net.run({ until: CALL_AT + 30_000 });
  const failed = caller.first("failed")!;
  ok(failed.at - CALL_AT < 5000, `${failed.at - CALL_AT}`);
  match(failed.event.message, new RegExp(`^Cannot reach the hub ${HUB}`));
  strictEqual(caller.all("openChannel").length, 3);
});

Deno.test("a hub that goes away after its answer does not matter to the call", () => {
  for (const afterMs of [117, 160, 240, 320]) {
    const world = new World({ seed: 7 });
    world.listen();
    world.net.run({ until: CALL_AT });
    const caller = world.dial();
    world.net.at(CALL_AT + afterMs, () => world.stopHub());
    world.net.run({ until: CALL_AT + 10_000 });
    strictEqual(world.timesOf(caller)["firstByte"], 465);
  }
});

Deno.test("a hub that restarts before it has answered delays the call by a few pauses, and no more", () => {
  for (let seed = 20; seed < 40; seed++) {
    const world = new World({ seed });
    world.listen();
    world.net.run({ until: CALL_AT });
    const caller = world.dial();
    const downAt = CALL_AT + 5 * (seed - 20);
    world.net.at(downAt, () => world.stopHub());
    world.net.at(downAt + 300, () => world.startHub());
    world.net.run({ until: CALL_AT + 20_000 });
    strictEqual(world.echo.returned, "hello", `seed ${seed}: ${caller.first("failed")?.event.message}`);
    ok((world.timesOf(caller)["firstByte"] ?? Infinity) < 10_000);
  }
});

Deno.test("a session goes on while the hub is gone, and the listener is back at the hub afterwards", () => {
  const world = new World({ seed: 8 });
  const { listener, caller } = world.call();
  world.net.run({ until: CALL_AT + 1000 });
  world.stopHub();
  world.net.run({ until: CALL_AT + 10 * 60_000 });
  strictEqual(caller.sessions[0]!.connection.isEstablished, true);
  world.startHub();
  world.net.run({ until: world.net.now + 60_000 });
  strictEqual(listener.happened.findLast(({ event }) => event.type === "registered")!.at > CALL_AT, true);
});
