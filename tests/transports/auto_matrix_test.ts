import { deepStrictEqual } from "node:assert/strict";
import { AutoWorld, pathOf } from "../support/auto_world.ts";
import { connects, nameOf, NAT_KINDS } from "../support/nat_theory.ts";

Deno.test("auto takes exactly the pairs of NATs direct that theory lets connect, and the others stay on the relay", () => {
  const pairs = NAT_KINDS.flatMap((caller) => NAT_KINDS.map((listener) => ({ caller, listener })));
  const is = pairs.map(({ caller, listener }) => {
    const world = new AutoWorld({ seed: 1, caller: { nat: caller }, listener: { nat: listener } });
    const peer = world.call(8000);
    const paths = `${pathOf(peer)}, ${pathOf(world.listener)}`;
    return `${nameOf(caller)} to ${nameOf(listener)}: ${paths}, ${world.echo.returned}`;
  });
  const shouldBe = pairs.map(({ caller, listener }) => {
    const path = connects(caller, listener) ? "direct" : "relayed";
    return `${nameOf(caller)} to ${nameOf(listener)}: ${path}, ${path}, hello`;
  });
  deepStrictEqual(is, shouldBe);
});
