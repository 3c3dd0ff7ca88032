import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";
import { keyOf } from "../support/virtual_peers.ts";

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

Deno.test("quic-native: a ticket for listed keys tells no address before its holder has proved its key, and lets no other in", () => {
  const seed = 1;
  const probe = new NativeWorld({ seed });
  const callersKey = keyOf(probe.a, seed).publicKey.bytes;
  const world = new NativeWorld({ seed, ticketKeys: [callersKey] });
  const caller = world.call();
  const path = caller.first("path");
  // One round trip more than where anybody may come: the addresses leave behind the client's Finished.
  deepStrictEqual({
    returned: world.returned,
    firstByte: (world.firstByteAt ?? NaN) - CALL_AT,
    path: path?.event.kind,
    pathAt: Math.round((path?.at ?? NaN) - CALL_AT),
  }, { returned: "hello", firstByte: 310, path: "direct", pathAt: 498 });

  const other = new NativeWorld({ seed, ticketKeys: [new Uint8Array(32).fill(7)] });
  const refused = other.call();
  strictEqual(other.listener.sessions.length, 0);
  // A client's handshake is done before the server has seen its key: the session ends with the alert certificate_unknown.
  const closed = refused.all("connection").map(({ event }) => event.event).find(({ type }) => type === "closed");
  deepStrictEqual(closed?.type === "closed" && closed.code, 0x100 + 46);
});
