import { deepStrictEqual, match } from "node:assert/strict";
import { nativeSequence } from "../../bench/native.ts";
import { CALL_AT, NativeWorld } from "../support/native_world.ts";
import type { NativeOptions } from "../support/native_world.ts";

/** Milestones in ms since the call: see docs/performance.md. */
function timesIn(options: Omit<NativeOptions, "seed">): Readonly<Record<string, number | undefined>> {
  const world = new NativeWorld({ seed: 1, ...options });
  const caller = world.call();
  const since = (at: number | undefined): number | undefined => at === undefined ? undefined : Math.round(at - CALL_AT);
  return {
    handshake: since(caller.first("session")?.at),
    firstByte: since(world.firstByteAt),
    direct: since(caller.first("path")?.at),
  };
}

Deno.test("quic-native: the first byte comes after two round trips, the direct path 33 ms later, whatever the distance", () => {
  for (const rttMs of [50, 155, 300]) {
    deepStrictEqual(timesIn({ rttMs }), { handshake: rttMs, firstByte: 2 * rttMs, direct: 2 * rttMs + 33 });
  }
  deepStrictEqual(timesIn({ caller: "public", listener: "public" }), { handshake: 155, firstByte: 310, direct: 343 });
});

Deno.test("quic-native: symmetric NATs cost a probe more on the listener's side, and the direct path on both", () => {
  const symmetric = { mapping: "APDM", filtering: "APDF" } as const;
  const open = { mapping: "EIM", filtering: "ADF" } as const;
  deepStrictEqual(timesIn({ caller: open, listener: symmetric }), { handshake: 155, firstByte: 310, direct: 465 });
  deepStrictEqual(timesIn({ caller: symmetric, listener: open }), { handshake: 155, firstByte: 310, direct: 343 });
  deepStrictEqual(timesIn({ caller: symmetric, listener: symmetric }), {
    handshake: 155,
    firstByte: 310,
    direct: undefined,
  });
});

Deno.test("quic-native: the message sequence begins at the relay", () => {
  const lines = nativeSequence().split("\n").slice(1);
  match(lines[0] ?? "", /^ {3}0\.00 {2}│─+ QUIC Initial ─+▶│ {37}│ {4}38\.75$/);
});
