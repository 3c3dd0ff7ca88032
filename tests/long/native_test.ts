/**
 * `quic-native` behind every pair of NATs over links that lose packets, many seeds.
 *
 * @module
 */

import { callEveryKind } from "../support/native_pairs.ts";
import { transferOverSwitch } from "../support/native_switch.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("quic-native goes direct behind every pair of NATs that theory lets connect, and stays relayed behind the others", () => {
  // Nine seeds in a row are 81 pairs: each pair 200 times.
  forSeeds("quic-native behind pairs of NATs, 2 % loss", 1800, (seed) => {
    const { direct, relayed, directMs } = callEveryKind(seed);
    return { "went direct": direct, "stayed relayed": relayed, "s to the direct path, all together": directMs / 1000 };
  });
});

Deno.test("quic-native moves 64 MiB in each direction from the relay to the direct path without losing a byte (RFC 9000 §9.4)", () => {
  for (const sender of ["caller", "listener"] as const) {
    transferOverSwitch({ sender, totalBytes: 64 * 1024 * 1024, directAfterMs: 3000 });
  }
});
