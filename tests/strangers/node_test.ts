import { ok } from "node:assert/strict";
import { stormedCall, stormedRelay } from "../support/stormed_nodes.ts";

const SEEDS = 6;

Deno.test(`Strangers at both ends of a call, while it is made and after, harm nothing, seeds 1 to ${SEEDS} (RFC 8489 §16, RFC 9000 §21)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) ok(stormedCall(seed) > 1000, `seed ${seed}`);
});

Deno.test(`Strangers at a relay and at the port of its client harm no connection through it, seeds 1 to ${SEEDS} (RFC 9298 §7)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) ok(stormedRelay(seed) > 500, `seed ${seed}`);
});
