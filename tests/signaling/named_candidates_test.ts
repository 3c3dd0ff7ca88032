/**
 * Candidates that have a name and no address (draft-ietf-mmusic-mdns-ice-candidates): passed over, and no harm to what they
 * came with.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { RemoteCandidate } from "../../protocols/core/candidate.ts";
import { IceAgent } from "../../protocols/ice/agent.ts";
import { candidatesField, encodeCandidates } from "../../signaling/signed.ts";
import { openOffer, openRecord, signOffer, signRecord } from "../../signaling/trust.ts";
import { socketBase } from "../support/ice_pair.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { candidate, contextOf } from "../support/signaling_exchange.ts";
import { offerOf, recordOf } from "../support/signed_things.ts";

const NAMED: RemoteCandidate = {
  type: "host",
  address: addressOf("0.0.0.0", 40_000),
  name: "1f4712db-ea17-4bcf-a596-105139dfd8bf.local",
};
const CANDIDATES = [candidate("192.0.2.1"), NAMED, candidate("2001:db8::1")];
const { key } = contextOf(1);

Deno.test("A record and an offer with a candidate that has a name are read whole", () => {
  const record = { ...recordOf(key), candidates: CANDIDATES };
  deepStrictEqual(openRecord(signRecord(record, key))?.content, record);
  const offer = { ...offerOf(key), candidates: CANDIDATES };
  deepStrictEqual(openOffer(signOffer(offer, key))?.content, offer);
});

Deno.test("Candidates with names are refused when cut short at any byte, empty, too long or of other characters", () => {
  const bytes = encodeCandidates([NAMED]);
  const read = (value: Uint8Array): unknown => candidatesField(new Map([[7, value]]), 7);
  deepStrictEqual(read(bytes), [NAMED]);
  for (let length = 1; length < bytes.length; length++) strictEqual(read(bytes.subarray(0, length)), undefined);
  for (const name of ["", "a".repeat(70), "a b.local", "\u0000.local"]) {
    const text = new TextEncoder().encode(name);
    strictEqual(read(Uint8Array.of(...bytes.subarray(0, 4), text.length, ...text)), undefined, name);
  }
});

Deno.test("Agent passes over a candidate that has a name, counts it, and checks the others", () => {
  const own = { ufrag: "ours", password: "our-password-of-22-chars" };
  const agent = new IceAgent({ role: "controlling", local: own, remote: own, now: 0, random: seededRandom(1) });
  const base = socketBase("192.0.2.9:1000");
  agent.addLocalCandidate({ type: "host", address: base.local, base }, 0);
  const refusals = CANDIDATES.map((each) => agent.addRemoteCandidate(each, 0));
  deepStrictEqual(refusals, [undefined, "a name and no address", undefined]);
  deepStrictEqual([...agent.drops], [["a name and no address", 1]]);
  deepStrictEqual(agent.report().map(({ remote }) => remote), [CANDIDATES[0]!.address]);
});
