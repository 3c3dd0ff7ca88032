import { doesNotThrow, strictEqual, throws } from "node:assert/strict";
import { auto } from "../../transports/auto.ts";
import { checkRelay, checkRelayedAddress, chooseTransport } from "../../transports/choice.ts";
import { iceThenQuic } from "../../transports/ice_then_quic.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { RELAY_POLICIES } from "../../transports/traversal.ts";
import type { RelayPolicy, Traversal } from "../../transports/traversal.ts";

function choose(given: readonly Traversal[], policy: RelayPolicy = "until-direct"): string {
  return chooseTransport(given, { both: auto, policy, names: ["auto", "mine"] }).name;
}

Deno.test("the two built-in transports are auto together, in either order; any other one goes alone", () => {
  strictEqual(choose([quicNative(), iceThenQuic()]), "auto");
  strictEqual(choose([iceThenQuic(), quicNative()]), "auto");
  for (const one of [auto(), iceThenQuic(), quicNative(), { ...auto(), name: "mine" }]) {
    strictEqual(choose([one]), one.name);
  }
  for (
    const many of [[], [auto(), iceThenQuic()], [quicNative(), quicNative()], [quicNative(), iceThenQuic(), auto()]]
  ) {
    throws(
      () => choose(many),
      /^TypeError: Cannot use \d transports: give exactly one, or ice-then-quic and quic-native;/,
    );
  }
});

Deno.test("a transport that a relay policy leaves nothing of is a TypeError that says so", () => {
  for (const policy of RELAY_POLICIES) {
    strictEqual(choose([auto()], policy), "auto");
    if (policy === "required") {
      throws(() => choose([iceThenQuic()], policy), /Cannot use ice-then-quic under the relay/);
    } else strictEqual(choose([iceThenQuic()], policy), "ice-then-quic");
    if (policy === "never") {
      throws(() => choose([quicNative()], policy), /Cannot use quic-native under the relay policy/);
    } else strictEqual(choose([quicNative()], policy), "quic-native");
  }
  const unknown: string = "sometimes";
  throws(
    () => Reflect.apply(choose, undefined, [[auto()], unknown]),
    /there are never, signal-only, until-direct, allowed/,
  );
});

Deno.test("a relay goes with any policy but never, its address with any transport but ice-then-quic", () => {
  throws(() => checkRelay({ relay: "never" }), /Cannot use a relay under the relay policy never/);
  throws(() => checkRelayedAddress({ relay: "never" }), /Cannot use a relay under the relay policy never/);
  throws(() => checkRelayedAddress({ transports: [iceThenQuic()] }), /Cannot use ice-then-quic through a relay/);
  doesNotThrow(() => checkRelayedAddress({ transports: ["ice-then-quic", "quic-native"], relay: "required" }));
  doesNotThrow(() => checkRelayedAddress({}));
});
