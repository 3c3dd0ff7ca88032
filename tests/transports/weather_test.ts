import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { VirtualPeer } from "../support/virtual_peers.ts";
import { Transfer } from "../support/virtual_transfer.ts";
import { CALL_AT, World } from "../support/virtual_world.ts";
import type { WorldOptions } from "../support/virtual_world.ts";

const TRANSFER_BYTES = 512 * 1024;

/** A call with a transfer in it that has just begun. */
function transferring(options: WorldOptions): {
  readonly world: World;
  readonly transfer: Transfer;
  readonly caller: VirtualPeer;
  readonly listener: VirtualPeer;
} {
  const world = new World(options);
  const transfer = new Transfer(world.net, TRANSFER_BYTES);
  const listener = world.listen({ onConnection: transfer.onListener });
  world.net.run({ until: CALL_AT });
  const caller = world.dial({ onSession: transfer.start, onConnection: transfer.onCaller });
  world.net.run({ until: CALL_AT + 10_000, stopWhen: () => transfer.returnedBytes > 20_000 });
  ok(caller.sessions.length === 1 && !transfer.isDone && transfer.returnedBytes > 0);
  return { world, transfer, caller, listener };
}

function closeOf(peer: VirtualPeer): { readonly by: string; readonly reason: string } | undefined {
  for (const { event } of peer.all("connection")) {
    if (event.type === "closed") return { by: event.by, reason: event.reason };
  }
  return undefined;
}

for (const code of ["EINVAL", "ENETUNREACH", "EPERM", "EMSGSIZE", "ENOBUFS"]) {
  Deno.test(`a session outlives ${code} on every base of both sides, and every one is counted`, () => {
    const { world, transfer, caller, listener } = transferring({ seed: 1 });
    for (const peer of [caller, listener]) {
      for (const base of peer.bases) peer.host.failSends(base, code, { count: 25 });
    }
    world.net.run({ until: CALL_AT + 60_000, stopWhen: () => transfer.isDone });
    deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
    deepStrictEqual([...caller.socketErrors], [[code, 25]]);
    deepStrictEqual([...listener.socketErrors], [[code, 25]]);
    deepStrictEqual([closeOf(caller), closeOf(listener)], [undefined, undefined]);
  });
}

Deno.test("a session outlives a socket that reports resets which no send caused", () => {
  const { world, transfer, caller, listener } = transferring({ seed: 2 });
  for (let i = 0; i < 20; i++) {
    world.net.at(world.net.now + 10 * i, () => {
      for (const peer of [caller, listener]) {
        for (const base of peer.bases) peer.host.reportError(base, "ECONNRESET");
      }
    });
  }
  world.net.run({ until: CALL_AT + 60_000, stopWhen: () => transfer.isDone });
  deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
  deepStrictEqual([...caller.socketErrors], [["ECONNRESET", 20]]);
  deepStrictEqual([...listener.socketErrors], [["ECONNRESET", 20]]);
});

Deno.test("a session whose base is dead for good ends on both sides with its reason, 30 s after the last packet (RFC 7675 §5.1)", () => {
  const { world, transfer, caller, listener } = transferring({ seed: 3 });
  for (const base of caller.bases) caller.host.failSends(base, "ENETUNREACH");
  const deadAt = world.net.now;
  world.net.run({ until: CALL_AT + 120_000 });
  strictEqual(transfer.isDone, false);
  for (const peer of [caller, listener]) {
    strictEqual(closeOf(peer)?.by, "idle");
    strictEqual(closeOf(peer)?.reason, "The peer has consented to nothing for 30 s, and no other path was found");
  }
  ok((caller.socketErrors.get("ENETUNREACH") ?? 0) > 0);
  const closedAt =
    listener.happened.find(({ event }) => event.type === "connection" && event.event.type === "closed")!.at;
  ok(closedAt - deadAt < 30_000, `${closedAt - deadAt}`);
  strictEqual(caller.machine.tableSizes["connections"], 0);
  strictEqual(listener.machine.tableSizes["connections"], 0);
});

Deno.test("an interface with no way out costs nothing at dial, whether its packets vanish or fail", () => {
  for (const deadEnd of ["vanish", "ENETUNREACH"] as const) {
    const world = new World({ seed: 4 });
    for (const host of [world.a, world.b]) {
      world.net.attach(host, "tun0", {
        deadEnd,
        address: `10.8.0.${host === world.a ? 2 : 3}`,
        hasDefaultRoute: false,
      });
    }
    const { caller } = world.call();
    strictEqual(world.timesOf(caller)["firstByte"], 465);
    strictEqual((caller.socketErrors.get("ENETUNREACH") ?? 0) > 0, deadEnd === "ENETUNREACH");
  }
});

Deno.test("errors on every base while dialling are counted, and the call goes through when they have passed", () => {
  for (const code of ["EPERM", "EMSGSIZE", "ENOBUFS", "ECONNREFUSED"]) {
    const world = new World({ seed: 5 });
    const listener = world.listen();
    world.net.run({ until: CALL_AT });
    const caller = world.dial();
    for (const peer of [caller, listener]) for (const base of peer.bases) peer.host.failSends(base, code, { count: 2 });
    world.net.run({ until: CALL_AT + 10_000 });
    strictEqual(world.echo.returned, "hello", `${code}: ${caller.first("failed")?.event.message}`);
    strictEqual(caller.socketErrors.get(code), 2);
  }
});

Deno.test("the caller's NAT is rebound in the middle of a transfer: the listener follows, and every byte comes back", () => {
  const { world, transfer, caller, listener } = transferring({ seed: 6 });
  const before = listener.sessions[0]!.connection.path.remote;
  world.natOfA!.rebind();
  world.net.run({ until: CALL_AT + 60_000, stopWhen: () => transfer.isDone });
  deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
  const after = listener.sessions[0]!.connection.path;
  deepStrictEqual([after.remote.host, after.isValidated], [before.host, true]);
  ok(after.remote.port !== before.port);
  const types = listener.all("connection").map(({ event }) => event.type);
  deepStrictEqual(types.filter((type) => type.startsWith("path")), ["pathChanged", "pathValidated"]);
  strictEqual(closeOf(caller), undefined);
});

Deno.test("the caller's NAT gets another address in the middle of a transfer to a listener that anyone may send to", () => {
  for (const listener of ["public", { filtering: "EIF" }] as const) {
    const { world, transfer, listener: peer } = transferring({ seed: 7, listener });
    const address = world.net.unusedAddress();
    world.natOfA!.rebind({ address });
    world.net.run({ until: CALL_AT + 60_000, stopWhen: () => transfer.isDone });
    deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
    strictEqual(peer.sessions[0]!.connection.path.remote.host, address);
  }
});

Deno.test("a rebinding that nobody can follow ends the session with its reason on both sides", () => {
  const { world, caller, listener } = transferring({ seed: 8 });
  // The listener's filter lets nobody in from there, nor does the caller's let the listener's checks in.
  world.natOfA!.rebind({ address: world.net.unusedAddress() });
  world.net.run({ until: CALL_AT + 120_000 });
  deepStrictEqual([closeOf(caller)?.by, closeOf(listener)?.by], ["idle", "idle"]);
});

Deno.test("the listener's NAT is rebound in the middle of a transfer: ICE begins anew, the client moves, and every byte comes back (RFC 8445 §9)", () => {
  const { world, transfer, caller, listener } = transferring({ seed: 8 });
  const before = caller.sessions[0]!.connection.path.remote;
  world.natOfB!.rebind();
  world.net.run({ until: CALL_AT + 60_000, stopWhen: () => transfer.isDone });
  deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
  const after = caller.sessions[0]!.connection.path;
  deepStrictEqual([after.remote.host, after.isValidated], [before.host, true]);
  ok(after.remote.port !== before.port);
  // QUIC proves the path that ICE has found, and only then goes there.
  const types = caller.all("connection").map(({ event }) => event.type).filter((type) => type.startsWith("path"));
  deepStrictEqual(types, ["pathValidated", "pathChanged"]);
  deepStrictEqual([closeOf(caller), closeOf(listener)], [undefined, undefined]);
});

Deno.test("a transfer goes on through ten rebindings, with loss", () => {
  const { world, transfer } = transferring({ seed: 9, link: { lossRate: 0.01 } });
  for (let i = 1; i <= 10; i++) world.net.at(world.net.now + 300 * i, () => world.natOfA!.rebind());
  world.net.run({ until: CALL_AT + 120_000, stopWhen: () => transfer.isDone });
  deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
});

Deno.test("the same seed twice gives the same packets, byte by byte, in a whole call with a transfer; another seed others", () => {
  const hashOf = (seed: number): string => {
    const link = { lossRate: 0.02, jitterMs: 20, duplicateRate: 0.01, reorderRate: 0.02, reorderMs: 15 };
    const { world, transfer, caller } = transferring({ seed, link, trace: { hashPayloads: true } });
    world.net.run({ until: CALL_AT + 120_000, stopWhen: () => transfer.isDone });
    deepStrictEqual([transfer.returnedBytes, transfer.wrongAt], [TRANSFER_BYTES, undefined]);
    caller.close();
    world.net.run({ until: world.net.now + 40_000 });
    return world.net.trace.hash();
  };
  const first = hashOf(10);
  strictEqual(hashOf(10), first);
  ok(hashOf(11) !== first);
});
