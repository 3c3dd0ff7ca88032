import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import type { Base } from "../../../../protocols/core/machine.ts";
import {
  PROBE_OFFSETS_MS,
  PROBE_TRIES,
  ProbedPath,
  SIZING_TRIES,
  SMALL_PROBE_BYTES,
} from "../../../../protocols/quic/nat_traversal/probed_path.ts";
import type { PathProbe } from "../../../../protocols/quic/nat_traversal/probed_path.ts";
import { seededRandom } from "../../../support/seeded_random.ts";

const BASE: Base = { kind: "socket", local: addressOf("10.0.0.1", 4433), maxPayloadBytes: 1472 };
const REMOTE = addressOf("203.0.113.7", 50000);
const random = seededRandom(1);
const DATA = new Uint8Array(8).fill(7);

const yes = (): boolean => true;
const no = (): boolean => false;

function begin(now = 0): ProbedPath {
  return new ProbedPath(0, BASE, REMOTE, now);
}

/** Lets time pass as a connection does, without an answer; what left, and when. */
function run(path: ProbedPath, until: number, budget = yes): { readonly at: number; readonly probe: PathProbe }[] {
  const sent: { at: number; probe: PathProbe }[] = [];
  for (let step = 0; step < 100; step++) {
    const at = path.dueAt;
    if (at === undefined || at > until) return sent;
    path.onTimeout(at);
    for (let n = 0; n < 10 && path.hasToSend(at); n++) {
      const probe = path.take(random, budget, at);
      if (probe !== undefined) sent.push({ at, probe });
    }
  }
  throw new Error("no end");
}

Deno.test("ProbedPath asks nine times: at once, after 33 ms, then at twice the time, with gaps of at most 2 s", () => {
  deepStrictEqual(PROBE_OFFSETS_MS, [0, 33, 66, 132, 264, 528, 1056, 2112, 4112]);
  const path = begin(1000);
  const sent = run(path, 1e6);
  deepStrictEqual(sent.map(({ at }) => at - 1000), PROBE_OFFSETS_MS);
  for (const { probe } of sent) {
    deepStrictEqual([probe.isFullSize, probe.response, probe.bytes], [false, undefined, SMALL_PROBE_BYTES]);
  }
  strictEqual(new Set(sent.map(({ probe }) => probe.challenge?.join())).size, PROBE_TRIES);
  deepStrictEqual(path.state, { name: "failed", reason: "no answer" });
});

Deno.test("ProbedPath fails 2 s after its last probe, and an answer until then counts", () => {
  const path = begin();
  const sent = run(path, 6111);
  strictEqual(sent.length, PROBE_TRIES);
  strictEqual(path.dueAt, 6112);
  strictEqual(path.onTimeout(6111), undefined);
  strictEqual(path.onResponse(sent[8]!.probe.challenge!, 40, 6111), "answered");
  strictEqual(path.onTimeout(6112), undefined);
  const other = begin();
  run(other, 6111);
  strictEqual(other.onTimeout(6112), "failed");
});

Deno.test("ProbedPath asks with 1200 bytes once a small datagram was answered (RFC 9000 §8.2.1)", () => {
  const path = begin();
  const first = path.take(random, yes, 0)!;
  strictEqual(path.onResponse(new Uint8Array(8), 40, 100), false);
  strictEqual(path.onResponse(first.challenge!, 40, 100), "answered");
  deepStrictEqual(path.state, { name: "sizing", rttMs: 100, tries: 0, nextAt: 100 });
  const full = path.take(random, no, 100)!;
  deepStrictEqual([full.isFullSize, full.bytes], [true, 1200]);
  notDeepStrictEqual(full.challenge, first.challenge);
  // A late answer to a small one is no news, the answer to the full one is.
  strictEqual(path.onResponse(first.challenge!, 40, 150), undefined);
  strictEqual(path.onResponse(full.challenge!, 1200, 205), "sized");
  deepStrictEqual(path.state, { name: "sized", rttMs: 100 });
  strictEqual(path.dueAt, undefined);
});

Deno.test("ProbedPath is too narrow if none of five full datagrams is answered", () => {
  const path = begin();
  path.onResponse(path.take(random, yes, 0)!.challenge!, 40, 100);
  const sent = run(path, 1e6);
  deepStrictEqual(sent.map(({ at }) => at), [100, 400, 1000, 2200, 4200]);
  strictEqual(sent.length, SIZING_TRIES);
  deepStrictEqual(path.state, { name: "failed", reason: "too narrow" });
});

Deno.test("ProbedPath that is challenged answers with a challenge of its own at once", () => {
  const path = begin();
  path.take(random, yes, 0);
  path.onChallenge(DATA, 40, 10);
  strictEqual(path.dueAt, 0);
  const probe = path.take(random, no, 10)!;
  deepStrictEqual(probe.response, DATA);
  ok(probe.challenge !== undefined);
  deepStrictEqual([probe.isFullSize, probe.bytes], [false, SMALL_PROBE_BYTES + 9]);
  // The schedule goes on as before.
  strictEqual(path.dueAt, 33);
  strictEqual(path.onResponse(probe.challenge, 40, 60), "answered");
});

Deno.test("ProbedPath that has failed begins again when the peer is heard after all", () => {
  const path = begin();
  run(path, 1e6);
  path.onChallenge(DATA, 40, 50_000);
  const probe = path.take(random, no, 50_000)!;
  deepStrictEqual(probe.response, DATA);
  strictEqual(path.onResponse(probe.challenge!, 40, 50_100), "answered");
});

Deno.test("ProbedPath sends to an unproven address three times what came from there (RFC 9000 §8)", () => {
  const path = begin();
  run(path, 1e6, no);
  for (let n = 0; n < 4; n++) path.onChallenge(new Uint8Array(8).fill(n), 25, 20_000);
  const bytes: (number | undefined)[] = [];
  for (let n = 0; n < 6; n++) bytes.push(path.take(random, no, 20_000)?.bytes);
  // 4 × 25 × 3 = 300: 59 with a challenge, then answers alone.
  deepStrictEqual(bytes, [59, 50, 50, 50, undefined, undefined]);
  // 91 are left: enough for one more, with a challenge, whoever lets it be known without sending; then 32, for none.
  path.onChallenge(DATA, 0, 20_001);
  strictEqual(path.take(random, no, 20_001)?.bytes, 59);
  path.onChallenge(DATA, 0, 20_002);
  strictEqual(path.take(random, no, 20_002), undefined);
});

Deno.test("ProbedPath that got 1200 bytes answers and asks with as much, so that one answer proves address and size", () => {
  const path = begin();
  path.onChallenge(DATA, 1200, 5);
  const probe = path.take(random, no, 5)!;
  deepStrictEqual([probe.isFullSize, probe.bytes], [true, 1200]);
  strictEqual(path.onResponse(probe.challenge!, 1200, 50), "sized");
});

Deno.test("ProbedPath keeps four answers, and a proven one gives them 1200 bytes (RFC 9000 §8.2.2)", () => {
  const path = begin();
  path.onResponse(path.take(random, yes, 0)!.challenge!, 40, 10);
  path.onResponse(path.take(random, yes, 10)!.challenge!, 40, 20);
  for (let n = 0; n < 6; n++) path.onChallenge(new Uint8Array(8).fill(n), 40, 30);
  const answers: number[] = [];
  for (let n = 0; n < 10; n++) {
    const probe = path.take(random, no, 30);
    if (probe === undefined) break;
    deepStrictEqual([probe.isFullSize, probe.challenge], [true, undefined]);
    answers.push(probe.response![0]!);
  }
  deepStrictEqual(answers, [2, 3, 4, 5]);
});

Deno.test("ProbedPath without budget lets its turns go by and fails in time", () => {
  const path = begin();
  let asked = 0;
  const sent = run(path, 1e6, () => ++asked % 2 === 0);
  deepStrictEqual(sent.map(({ at }) => at), [33, 132, 528, 2112]);
  strictEqual(asked, PROBE_TRIES);
  deepStrictEqual(path.state, { name: "failed", reason: "no answer" });
});

Deno.test("ProbedPath that is asked late does not hurry after", () => {
  const path = begin();
  path.take(random, yes, 0);
  path.take(random, yes, 500);
  strictEqual(path.dueAt, 533);
  path.take(random, yes, 533);
  strictEqual(path.dueAt, 566);
});
