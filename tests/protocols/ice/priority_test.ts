import { strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { LocalCandidate } from "../../../protocols/core/candidate.ts";
import { candidatePriority, comparePairs, foundationOf, type PairPriority } from "../../../protocols/ice/priority.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { socketBase } from "../../support/ice_pair.ts";

Deno.test("Candidate priority is that of the formula (RFC 8445 §5.1.2.1)", () => {
  // The numbers every implementation shows for a single address.
  strictEqual(candidatePriority("host", 65535), 2130706431);
  strictEqual(candidatePriority("srflx", 65535), 1694498815);
  strictEqual(candidatePriority("prflx", 65535), 1862270975);
  strictEqual(candidatePriority("relay", 65535), 16777215);
  strictEqual(candidatePriority("host", 0), 126 * 2 ** 24 + 255);
});

Deno.test("Pairs are ordered by the 64-bit priority (RFC 8445 §6.1.2.3)", () => {
  const seed = 8445;
  const random = seededRandom(seed);
  const view = new DataView(new ArrayBuffer(16));
  const draw = (): PairPriority[] => {
    random.fill(new Uint8Array(view.buffer));
    // Few different numbers, so that ties come up.
    const number = (at: number): number => 2 ** 31 - 1 - (view.getUint32(at) % 5) * 2 ** 20 - (view.getUint8(at) % 2);
    return [
      { controlling: number(0), controlled: number(4) },
      { controlling: number(8), controlled: number(12) },
    ];
  };
  for (let round = 0; round < 2000; round++) {
    const [a, b] = draw() as [PairPriority, PairPriority];
    const expected = formula(a) > formula(b) ? -1 : formula(a) < formula(b) ? 1 : 0;
    strictEqual(Math.sign(comparePairs(a, b)), expected, `seed ${seed}, round ${round}`);
  }
});

Deno.test("Foundations are equal for one type, base address and server (RFC 8445 §5.1.1.3)", () => {
  const [one, two] = [socketBase("10.0.0.1:1"), socketBase("10.0.0.1:2")];
  const other = socketBase("10.0.0.2:1");
  const server = addressOf("198.51.100.1", 3478);
  const candidate = (base = one, more: Partial<LocalCandidate> = {}): LocalCandidate => ({
    type: "srflx",
    address: addressOf("203.0.113.1", 9),
    base,
    server,
    ...more,
  });
  strictEqual(foundationOf(candidate()), foundationOf(candidate(two)));
  strictEqual(foundationOf(candidate()), foundationOf(candidate(one, { server: addressOf("198.51.100.1", 1) })));
  const different = [
    candidate(),
    candidate(other),
    candidate(one, { type: "host" }),
    candidate(one, { server: addressOf("198.51.100.2", 3478) }),
  ];
  strictEqual(new Set(different.map(foundationOf)).size, different.length);
});

function formula({ controlling, controlled }: PairPriority): bigint {
  const [g, d] = [BigInt(controlling), BigInt(controlled)];
  const [min, max] = g < d ? [g, d] : [d, g];
  return 2n ** 32n * min + 2n * max + (g > d ? 1n : 0n);
}
