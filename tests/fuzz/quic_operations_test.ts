/**
 * Random operations over a simulated pair: a few seeds of what `tests/long/` runs many of.
 *
 * @module
 */

import { runOperations } from "../support/quic_operations.ts";

const SEEDS = 20;

Deno.test(`QUIC keeps its promises through random operations, seeds 1 to ${SEEDS} (RFC 9000 §2, §3, §4, §9)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      runOperations(seed, 150);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

Deno.test(`QUIC keeps its promises while paths come and go, seeds 1 to ${SEEDS} (RFC 9000 §9, draft-seemann-quic-nat-traversal-02)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      runOperations(seed, 150, { traverses: true });
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

/** Seeds that have failed: a relay that was given up, an ID taken again, keys not followed in a packet that was passed over. */
const REGRESSIONS = [29, 85, 482];

Deno.test(`QUIC keeps its promises while paths come and go, seeds ${REGRESSIONS.join(", ")} (RFC 9000 §5.1.2, §9; RFC 9001 §6.2)`, () => {
  for (const seed of REGRESSIONS) {
    try {
      runOperations(seed, 300, { traverses: true });
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
