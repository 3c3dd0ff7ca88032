/**
 * Candidates the user names: a forwarded port, an address that is known to reach this machine.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { CandidateProvider } from "./provider.ts";
import { Ready } from "./ready.ts";

/** What {@linkcode fixedCandidates} goes by. */
export interface FixedCandidatesOptions {
  /** Each becomes one candidate, if there is a socket of its family. */
  readonly addresses: readonly Address[];
}

/**
 * Offers each address as if a server had seen it, behind the first socket of its family that is on a network: where packets
 * come in through a forwarded port is the router's business, where they leave is ours.
 */
export function fixedCandidates(options: FixedCandidatesOptions): CandidateProvider {
  return {
    name: "fixed",
    gather(initial): Ready {
      let bases: Base[] = [];
      const standing = new Map<Address, Base>();
      const place = (): LocalCandidate[] => {
        const candidates: LocalCandidate[] = [];
        for (const address of options.addresses) {
          const base = bases.find((base) => mayStandFor(base, address));
          if (base === undefined || standing.has(address)) continue;
          standing.set(address, base);
          candidates.push({ type: "srflx", address, base });
        }
        return candidates;
      };
      const added = (...more: readonly Base[]): LocalCandidate[] => {
        bases.push(...more);
        return place();
      };
      const removed = (gone: Base): LocalCandidate[] => {
        bases = bases.filter((base) => base !== gone);
        for (const [address, base] of standing) if (base === gone) standing.delete(address);
        return place();
      };
      return new Ready(added(...initial), { added, removed });
    },
  };
}

function mayStandFor(base: Base, address: Address): boolean {
  if (base.kind !== "socket" || base.local.family !== address.family) return false;
  const [here, there] = [scopeOf(base.local), scopeOf(address)];
  return here === there || (here !== "loopback" && here !== "link-local" && there !== "loopback");
}
