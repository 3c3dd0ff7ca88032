/**
 * Host candidates: the addresses of the bases themselves (RFC 8445 §5.1.1.1).
 *
 * @module
 */

import type { LocalCandidate } from "../protocols/core/candidate.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { CandidateProvider } from "./provider.ts";
import { Ready } from "./ready.ts";

/** What {@linkcode hostCandidates} goes by. */
export interface HostCandidatesOptions {
  /** Only in demonstrations and tests. @default {false} */
  readonly allowLoopback?: boolean;
}

/**
 * Makes each base's own address a candidate. Wildcard, loopback and multicast addresses are none; link-local ones only
 * where there is nothing else.
 */
export function hostCandidates(options: HostCandidatesOptions = {}): CandidateProvider {
  return {
    name: "host",
    gather: (bases) =>
      new Ready(hostCandidatesOf(bases, options), { added: (base) => hostCandidatesOf([base], options) }),
  };
}

/** The candidates of `bases` in their order. */
function hostCandidatesOf(bases: readonly Base[], options: HostCandidatesOptions): LocalCandidate[] {
  const usable: Base[] = [];
  const linkLocal: Base[] = [];
  for (const base of bases) {
    // A tunnel's address belongs to its relay: whoever opened the tunnel offers it as a relayed candidate.
    if (base.kind !== "socket") continue;
    const scope = scopeOf(base.local);
    if (scope === "global" || scope === "private" || scope === "shared") usable.push(base);
    else if (scope === "loopback" && options.allowLoopback === true) usable.push(base);
    else if (scope === "link-local") linkLocal.push(base);
  }
  return (usable.length > 0 ? usable : linkLocal).map((base) => ({ type: "host", address: base.local, base }));
}
