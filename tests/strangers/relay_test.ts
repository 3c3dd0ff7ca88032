import { ok } from "node:assert/strict";
import { rogueTunnels } from "../support/rogue_tunnels.ts";

const SEEDS = 8;

Deno.test(`Clients of a relay that damage HTTP/3, capsules and datagrams harm nobody beside them and leave nothing, seeds 1 to ${SEEDS} (RFC 9114 §8, RFC 9297 §3.3)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) ok(rogueTunnels(seed) > 10, `seed ${seed}`);
});
