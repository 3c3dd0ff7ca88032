import { deepStrictEqual } from "node:assert/strict";
import { connects, nameOf, NAT_KINDS } from "../support/nat_theory.ts";
import type { NatKind } from "../support/nat_theory.ts";
import { NativeWorld } from "../support/native_world.ts";

/** Where a call ended up on each side, and what came back. */
function outcomeOf(world: NativeWorld, caller: NatKind, listener: NatKind): string {
  const peer = world.call();
  return `${nameOf(caller)} to ${nameOf(listener)}: ${peer.path}, ${world.listener.path}, ${world.returned}`;
}

Deno.test("quic-native takes exactly the pairs of NATs off the relay that theory lets connect, and the others stay on it", () => {
  const pairs = NAT_KINDS.flatMap((caller) => NAT_KINDS.map((listener) => ({ caller, listener })));
  const is = pairs.map((pair) => outcomeOf(new NativeWorld({ seed: 1, ...pair }), pair.caller, pair.listener));
  const shouldBe = pairs.map(({ caller, listener }) => {
    const path = connects(caller, listener) ? "direct" : "relayed";
    return `${nameOf(caller)} to ${nameOf(listener)}: ${path}, ${path}, hello`;
  });
  deepStrictEqual(is, shouldBe);
});
