import { deepStrictEqual, match, ok } from "node:assert/strict";
import { CUT_WORLDS, cutCall, MAX_END_MS } from "../support/cut_calls.ts";

/** Packets of one side in a call and three seconds of its session; more would not end. */
const MAX_PACKETS = 100;

for (const transport of Object.keys(CUT_WORLDS)) {
  Deno.test(`${transport}: a listener that stops after any packet of a call ends it within ${MAX_END_MS / 1000} s, and the caller says what to try`, () => {
    let packets = 0;
    for (let isWhole = false; !isWhole; packets++) {
      ok(packets < MAX_PACKETS);
      const outcome = cutCall(transport, "listener", packets);
      isWhole = outcome.isWhole;
      const told = `${packets} packets: ${JSON.stringify(outcome)}`;
      ok(outcome.endMs !== undefined, told);
      match(outcome.message ?? "", /Try another network|ask the peer|closed by idle: /, told);
      deepStrictEqual([outcome.held, outcome.left], [[], []], told);
    }
    ok(packets > 10, `only ${packets} packets`);
  });

  Deno.test(`${transport}: a caller that stops after any packet of a call leaves a listener that is free again within ${MAX_END_MS / 1000} s`, () => {
    let packets = 0;
    for (let isWhole = false; !isWhole; packets++) {
      ok(packets < MAX_PACKETS);
      const outcome = cutCall(transport, "caller", packets);
      isWhole = outcome.isWhole;
      const told = `${packets} packets: ${JSON.stringify(outcome)}`;
      // Before there is a session, nobody at the listener is told.
      if (outcome.isAnswered) match(outcome.message ?? "", /closed by idle: /, told);
      deepStrictEqual([outcome.held, outcome.left], [[], []], told);
    }
    ok(packets > 10, `only ${packets} packets`);
  });

  Deno.test(`${transport}: a hub or relay that stops after any packet of a call costs the call, with what to try, or nothing`, () => {
    // A server that does not answer at all is the carrier's to give up: tests/signaling/carriers_test.ts.
    let packets = 1;
    for (let isWhole = false; !isWhole; packets++) {
      ok(packets < MAX_PACKETS);
      const outcome = cutCall(transport, "server", packets);
      isWhole = outcome.isWhole;
      const told = `${packets} packets: ${JSON.stringify(outcome)}`;
      if (!outcome.isAnsweredLater) {
        match(outcome.message ?? "", /try again|Try another network|ask the peer|closed by idle: /, told);
      }
      deepStrictEqual(outcome.left, [], told);
    }
    ok(packets > 5, `only ${packets} packets`);
  });
}
