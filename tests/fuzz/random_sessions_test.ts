/**
 * Random sessions: a few seeds of what `tests/long/` runs many of.
 *
 * @module
 */

import { runSession } from "../support/random_session.ts";

const SEEDS = 6;

Deno.test(`A session carries 1 MiB each way through bad weather, seeds 1 to ${SEEDS} (RFC 9000, 9001, 9002)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      runSession(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
