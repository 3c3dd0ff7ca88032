/**
 * Calls through random NATs over random links, many seeds.
 *
 * @module
 */

import { randomCall } from "../support/random_call.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("Calls through any pair of NATs come to what theory says (RFC 4787 §4, §5)", () => {
  forSeeds("calls through random NATs and links", 5000, (seed) => {
    const { connected, ms } = randomCall(seed);
    return connected
      ? { "connected": 1, "s to the first byte, all together": ms / 1000 }
      : { "told why not": 1, "s until then, all together": ms / 1000 };
  });
});
