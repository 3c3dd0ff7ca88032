import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";

Deno.test("quic-native: dialled by ticket, the echo is back through the relay after two round trips, then it goes direct", () => {
  const world = new NativeWorld({ seed: 1 });
  const caller = world.call();
  const path = caller.first("path");
  // Two round trips to the echo. Addresses leave with the server's first packets, requests with the client's Finished, and
  // both sides' probes meet half a round trip later.
  deepStrictEqual({
    returned: world.returned,
    firstByte: (world.firstByteAt ?? NaN) - CALL_AT,
    path: path?.event.kind,
    pathAt: Math.round((path?.at ?? NaN) - CALL_AT),
  }, { returned: "hello", firstByte: 310, path: "direct", pathAt: 343 });
  strictEqual(world.listener.first("path")?.event.kind, "direct");
  deepStrictEqual([caller.path, world.listener.path], ["direct", "direct"]);
});
