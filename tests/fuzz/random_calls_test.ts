/**
 * Random calls: a few seeds of what `tests/long/` runs many of.
 *
 * @module
 */

import { randomAutoCall } from "../support/random_auto_call.ts";
import { randomCall } from "../support/random_call.ts";
import { randomNativeSession } from "../support/random_native_session.ts";

const SEEDS = 100;

Deno.test(`Calls through any pair of NATs come to what theory says, seeds 1 to ${SEEDS} (RFC 4787 §4, §5)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      randomCall(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

const AUTO_SEEDS = 60;

Deno.test(`auto connects through any pair of NATs, seeds 1 to ${AUTO_SEEDS} (RFC 4787 §4, §5)`, () => {
  for (let seed = 1; seed <= AUTO_SEEDS; seed++) {
    try {
      randomAutoCall(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

const NATIVE_SEEDS = 20;

Deno.test(`quic-native carries every byte through relays and paths that come and go, seeds 1 to ${NATIVE_SEEDS} (RFC 9000 §9)`, () => {
  for (let seed = 1; seed <= NATIVE_SEEDS; seed++) {
    try {
      randomNativeSession(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
