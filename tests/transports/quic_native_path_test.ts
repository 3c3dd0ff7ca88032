import { deepStrictEqual } from "node:assert/strict";
import { transferOverSwitch } from "../support/native_switch.ts";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";

/** Since the call. */
function times(moments: readonly { readonly at: number }[]): number[] {
  return moments.map(({ at }) => Math.round(at - CALL_AT));
}

Deno.test("quic-native: a direct path that is found before the handshake is confirmed is taken when it is (RFC 9000 §9)", () => {
  const world = new NativeWorld({ seed: 1 });
  const { net, relay } = world;
  // HANDSHAKE_DONE left the listener at 232.5. The probes of 265.5 are answered at 343.
  const { down } = world.natOfA!;
  const relayed = (): string => String(world.target.addresses[0]);
  down.options = {
    ...down.options,
    drop: ({ source }) => net.now > CALL_AT + 250 && net.now < CALL_AT + 400 && source.toString() === relayed(),
  };
  const caller = world.call();
  deepStrictEqual(relay.events.map(({ event }) => event.type), ["portOpened"]);
  const [found = NaN] = times(caller.told("pathFound"));
  const [confirmed = NaN] = times(caller.told("handshakeConfirmed"));
  const [moved] = times(caller.all("path"));
  deepStrictEqual({ found, isLate: confirmed > 343, moved, returned: world.returned }, {
    found: confirmed,
    isLate: true,
    moved: confirmed,
    returned: "hello",
  });
});

for (const sender of ["caller", "listener"] as const) {
  Deno.test(`quic-native: no byte of what the ${sender} sends is lost or late when it goes direct (RFC 9000 §9.4)`, () => {
    transferOverSwitch({ sender, totalBytes: 8 * 1024 * 1024, directAfterMs: 0 });
  });

  Deno.test(`quic-native: nor when the ${sender} has filled the relay's queue for twelve seconds before (RFC 9000 §9.4)`, () => {
    transferOverSwitch({ sender, totalBytes: 20 * 1024 * 1024, directAfterMs: 8000 });
  });
}
