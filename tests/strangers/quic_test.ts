import { ok } from "node:assert/strict";
import { keyedStorm } from "../support/keyed_storm.ts";
import { DOORS, quicStorm } from "../support/quic_storm.ts";

// Each seed is a storm of its own; the million is in tests/long/strangers_test.ts.

const SEEDS = 5;
const KEYED_SEEDS = 40;

for (const door of DOORS) {
  Deno.test(`Strangers without keys harm no QUIC connection, grow no table and get three times their bytes at most, ${door}, seeds 1 to ${SEEDS} (RFC 9000 §8.1, §21)`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { datagrams, honestConnections } = quicStorm(seed, door, 600);
      ok(datagrams >= 600 && honestConnections >= 2, `seed ${seed}`);
    }
  });
}

for (const side of ["client", "server"] as const) {
  Deno.test(`A ${side} with the keys that damages what it says is borne or told a code, seeds 1 to ${KEYED_SEEDS} (RFC 9000 §11, §20.1)`, () => {
    const codes = new Set<number | undefined>();
    for (let seed = 1; seed <= KEYED_SEEDS; seed++) codes.add(keyedStorm(seed, side).code);
    ok(codes.size > 4, [...codes].join(" "));
  });
}
