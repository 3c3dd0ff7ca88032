/**
 * `quic-native` behind every pair of NATs over links that lose packets, many seeds.
 *
 * @module
 */

import { callEveryKind } from "../support/native_pairs.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("quic-native goes direct behind every pair of NATs that theory lets connect, and stays relayed behind the others", () => {
  // Nine seeds in a row are 81 pairs: each pair 200 times.
  forSeeds("quic-native behind pairs of NATs, 2 % loss", 1800, (seed) => {
    const { direct, relayed, directMs } = callEveryKind(seed);
    return { "went direct": direct, "stayed relayed": relayed, "s to the direct path, all together": directMs / 1000 };
  });
});
