import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { maxEarlyDatagrams } from "../../transports/early_dial.ts";
import { CALL_AT, PEER_RTT_MS, World } from "../support/virtual_world.ts";
import type { WorldOptions } from "../support/virtual_world.ts";

const INITIAL_BYTES = 1200;

/** A call that sends a share of X25519MLKEM768, or one that does not. */
function callIn(
  options: WorldOptions,
  postQuantum: boolean,
): { readonly times: Readonly<Record<string, number | undefined>>; readonly initials: number } {
  const world = new World({ trace: { keepEvents: true }, ...options });
  world.listen();
  world.net.run({ until: CALL_AT });
  const caller = world.dial({ postQuantum });
  world.net.run({ until: CALL_AT + 20_000, stopWhen: () => world.echo.firstByteAt !== undefined });
  strictEqual(world.echo.returned, "hello", JSON.stringify(caller.first("failed")));
  const times = world.timesOf(caller);
  const until = CALL_AT + (times["signaled"] ?? 0) + 1;
  const initials =
    world.net.trace.events.filter((event) =>
      event.at <= until && event.type === "sent" && event.where === "a" && event.packet.payload.length === INITIAL_BYTES
    ).length;
  return { times, initials };
}

Deno.test("ice-then-quic: a call that withstands quantum computers takes as long as any other (draft-ietf-tls-ecdhe-mlkem-00)", () => {
  const places: readonly Omit<WorldOptions, "seed">[] = [
    {},
    { rttMs: 50 },
    { latencyAt: "lan" },
    { caller: { filtering: "APDF" }, listener: { filtering: "APDF" } },
    { caller: { mapping: "APDM" } },
    { listener: { mapping: "APDM" } },
    { caller: "public", listener: "public" },
  ];
  for (const place of places) {
    const plain = callIn({ seed: 1, ...place }, false);
    const both = callIn({ seed: 1, ...place }, true);
    deepStrictEqual(both.times, plain.times, JSON.stringify(place));
  }
});

Deno.test("ice-then-quic: its first flight is two datagrams, which an early attempt may say twice", () => {
  deepStrictEqual([callIn({ seed: 1 }, false).initials, callIn({ seed: 1 }, true).initials], [1, 2]);
  deepStrictEqual([maxEarlyDatagrams(false), maxEarlyDatagrams(true)], [2, 4]);
});

Deno.test("ice-then-quic: it gets through at 10 % loss, seeds 1 to 40", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { times } = callIn({ seed, rttMs: PEER_RTT_MS, link: { lossRate: 0.1 } }, true);
    ok(times["firstByte"] !== undefined, `seed ${seed}`);
  }
});
