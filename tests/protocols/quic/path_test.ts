import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import { Path } from "../../../protocols/quic/path.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.0.2.1", 1), maxPayloadBytes: 1472 };
const REMOTE = addressOf("198.51.100.1", 4433);
const random = seededRandom(1);

Deno.test("Path allows three times what it received until it is validated (RFC 9000 §8.1)", () => {
  const path = new Path(0, { base: BASE, remote: REMOTE }, { isValidated: false });
  strictEqual(path.sendAllowanceBytes, 0);
  path.onReceived(1200);
  strictEqual(path.sendAllowanceBytes, 3600);
  path.onSent(1000);
  strictEqual(path.sendAllowanceBytes, 2600);
  path.markValidated();
  strictEqual(path.sendAllowanceBytes, Infinity);
});

Deno.test("Path is challenged with fresh data, less and less often, until it fails (RFC 9000 §8.2.1, §8.2.4)", () => {
  const path = new Path(0, { base: BASE, remote: REMOTE }, { isValidated: false });
  strictEqual(path.timeoutAt, undefined);
  path.startValidation({ intervalMs: 100, timeoutMs: 1000 }, 0);
  strictEqual(path.isChallengeDue, true);
  const first = path.takeChallenge(random, true, 0);
  strictEqual(path.hasToSend, false);
  const at: number[] = [];
  let failed = false;
  for (let step = 0; step < 20 && !failed; step++) {
    const now = path.timeoutAt!;
    at.push(now);
    failed = path.onTimeout(now);
    if (!failed) strictEqual(path.takeChallenge(random, true, 0).join() === first.join(), false);
  }
  deepStrictEqual(at, [100, 300, 700, 1000]);
  strictEqual(failed, true);
  strictEqual(path.onResponse(first, 5), false);
  strictEqual(path.isValidated, false);
});

Deno.test("Path is not given up while the peer is heard on it (RFC 9000 §8.2.4)", () => {
  const path = new Path(0, { base: BASE, remote: REMOTE }, { isValidated: false });
  path.startValidation({ intervalMs: 100, timeoutMs: 250 }, 0);
  path.onHeard();
  const failed: boolean[] = [];
  for (const now of [100, 250, 350, 500]) {
    path.takeChallenge(random, true, 0);
    strictEqual(path.timeoutAt, now);
    failed.push(path.onTimeout(now));
  }
  deepStrictEqual(failed, [false, false, false, true]);
});

Deno.test("Path is validated by any of its outstanding challenges, by nothing else (RFC 9000 §8.2.3)", () => {
  const path = new Path(0, { base: BASE, remote: REMOTE }, { isValidated: false });
  path.startValidation({ intervalMs: 100, timeoutMs: 1000 }, 0);
  const data = path.takeChallenge(random, true, 0);
  path.takeChallenge(random, true, 0);
  strictEqual(path.onResponse(new Uint8Array(8), 5), false);
  strictEqual(path.onResponse(data, 5), true);
  strictEqual(path.isValidated, true);
  strictEqual(path.isValidating, false);
  strictEqual(path.onResponse(data, 5), false);
});

Deno.test("Path that was proven with a small datagram is asked again with a full one (RFC 9000 §8.2.1)", () => {
  const path = new Path(0, { base: BASE, remote: REMOTE }, { isValidated: false });
  path.startValidation({ intervalMs: 100, timeoutMs: 1000 }, 0);
  path.onResponse(path.takeChallenge(random, false, 0), 5);
  strictEqual(path.isValidated, true);
  strictEqual(path.isChallengeDue, true);
  path.onResponse(path.takeChallenge(random, true, 0), 5);
  strictEqual(path.isChallengeDue, false);
  strictEqual(path.isValidating, false);
});

Deno.test("Path answers each challenge once, and four at most (RFC 9000 §8.2.2)", () => {
  const path = new Path(0, { base: BASE, remote: REMOTE }, { isValidated: true });
  for (let n = 0; n < 6; n++) path.onChallenge(new Uint8Array(8).fill(n));
  const answers: number[] = [];
  for (let data = path.takeResponse(); data !== undefined; data = path.takeResponse()) answers.push(data[0]!);
  deepStrictEqual(answers, [2, 3, 4, 5]);
  strictEqual(path.isResponseDue, false);
});
