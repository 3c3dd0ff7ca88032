import { deepStrictEqual } from "node:assert/strict";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";

/** Since the call. */
function times(moments: readonly { readonly at: number }[]): number[] {
  return moments.map(({ at }) => Math.round(at - CALL_AT));
}

Deno.test("quic-native: a direct path that is found before the handshake is confirmed is taken when it is (RFC 9000 §9)", () => {
  const world = new NativeWorld({ seed: 1 });
  const { net, relay } = world;
  // HANDSHAKE_DONE left the listener at 232.5; what is sent again comes over the relay as well.
  const { down } = world.natOfA!;
  const relayed = (): string => world.target.address.toString();
  down.options = {
    ...down.options,
    drop: ({ source }) => net.now > CALL_AT + 250 && net.now < CALL_AT + 400 && source.toString() === relayed(),
  };
  const caller = world.call();
  deepStrictEqual(relay.events.map(({ event }) => event.type), ["portOpened"]);
  const [found = NaN] = times(caller.told("pathFound"));
  const [confirmed = NaN] = times(caller.told("handshakeConfirmed"));
  const [moved] = times(caller.all("path"));
  deepStrictEqual({ found, isLater: confirmed > found, moved, returned: world.returned }, {
    found: 343,
    isLater: true,
    moved: confirmed,
    returned: "hello",
  });
});
