/**
 * Candidates the user names: a forwarded port, an address that is known to reach this machine.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { CandidateProvider } from "./provider.ts";
import { Ready } from "./ready.ts";

/** What {@linkcode fixedCandidates} goes by. */
export interface FixedCandidatesOptions {
  readonly addresses: readonly Address[];
}

/**
 * Offers each address as if a server had seen it, behind the first socket of its family: where packets come in through a
 * forwarded port is the router's business, where they leave is ours.
 */
export function fixedCandidates(options: FixedCandidatesOptions): CandidateProvider {
  return {
    name: "fixed",
    gather(bases): Ready {
      const candidates: LocalCandidate[] = [];
      for (const address of options.addresses) {
        const base = bases.find((base) => base.kind === "socket" && base.local.family === address.family);
        if (base !== undefined) candidates.push({ type: "srflx", address, base });
      }
      return new Ready(candidates);
    },
  };
}
