/**
 * Relayed QUIC connections behind every pair of NATs, at 2 % loss, many seeds: each pair that theory lets connect becomes
 * direct, and every pair stays connected.
 *
 * @module
 */

import { connects, nameOf, NAT_KINDS } from "../support/nat_theory.ts";
import { RelayedPair } from "../support/relayed_pair.ts";
import { forSeeds } from "./seeds.ts";

/** A path that is there is found by then, be it in the second round. */
const FOUND_WITHIN_MS = 60_000;
/** A path that is not there is not found by then: the first round is over. */
const NOT_FOUND_WITHIN_MS = 9000;

Deno.test("NAT traversal makes direct what theory lets connect, and keeps the rest connected (RFC 4787 §4, §5)", () => {
  forSeeds("NAT traversal, all 81 pairs of NATs, 2 % loss", 200, (seed) => {
    let [direct, relayed, directMs] = [0, 0, 0];
    for (const clientNat of NAT_KINDS) {
      for (const serverNat of NAT_KINDS) {
        const isPossible = connects(clientNat, serverNat);
        const pair = new RelayedPair({ seed, clientNat, serverNat, lossRate: 0.02, client: { keepAliveMs: 10_000 } });
        pair.net.run({
          until: pair.startedAt + (isPossible ? FOUND_WITHIN_MS : NOT_FOUND_WITHIN_MS),
          stopWhen: () => pair.isDirect,
        });
        const { state } = pair.client.connection ?? {};
        if (pair.isDirect !== isPossible || state !== "confirmed") {
          throw new Error(`${nameOf(clientNat)} to ${nameOf(serverNat)}: ${state}, direct ${pair.isDirect}`);
        }
        if (pair.isDirect) direct++;
        else relayed++;
        if (pair.isDirect) directMs += pair.elapsed;
      }
    }
    return { direct, "s until then, all together": directMs / 1000, relayed };
  });
});
