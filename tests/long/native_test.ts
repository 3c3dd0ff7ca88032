/**
 * `quic-native` behind every pair of NATs over links that lose packets, many seeds.
 *
 * @module
 */

import { callEveryKind } from "../support/native_pairs.ts";
import { transferOverSwitch } from "../support/native_switch.ts";
import { randomNativeSession } from "../support/random_native_session.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("quic-native goes direct behind every pair of NATs that theory lets connect, and stays relayed behind the others", () => {
  // Nine seeds in a row are 81 pairs: each pair 200 times.
  forSeeds("quic-native behind pairs of NATs, 2 % loss", 1800, (seed) => {
    const { direct, relayed, directMs } = callEveryKind(seed);
    return { "went direct": direct, "stayed relayed": relayed, "s to the direct path, all together": directMs / 1000 };
  });
});

Deno.test("quic-native carries every byte through relays and paths that come and go (RFC 9000 §9)", () => {
  forSeeds("quic-native sessions in random weather", 1000, (seed) => {
    const { bytes, isDirect, ms } = randomNativeSession(seed);
    return {
      [isDirect ? "ended direct" : "stayed relayed"]: 1,
      "MiB": bytes / 1024 / 1024,
      "s until all of it was there, all together": ms / 1000,
    };
  });
});

Deno.test("quic-native moves 64 MiB in each direction from the relay to the direct path without losing a byte (RFC 9000 §9.4)", () => {
  // After its first round trips through the relay, and after it has filled the relay's queue for twelve seconds.
  for (const directAfterMs of [3000, 8000]) {
    for (const sender of ["caller", "listener"] as const) {
      transferOverSwitch({ sender, totalBytes: 64 * 1024 * 1024, directAfterMs });
    }
  }
});
