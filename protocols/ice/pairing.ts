/**
 * Which pairs there are: made as candidates come, taken back as they go (RFC 8445 §6.1.2.2, RFC 8838 §11).
 *
 * @module
 */

import type { CandidateTable } from "./candidate_table.ts";
import type { Checklist } from "./checklist.ts";
import type { ChecksInFlight } from "./checks_in_flight.ts";
import type { LocalEntry, Pair, RemoteEntry } from "./pair.ts";

/** Keeps the checklist as the candidates have it. */
export class Pairing {
  readonly #candidates: CandidateTable;
  readonly #checklist: Checklist;
  readonly #checks: ChecksInFlight;

  constructor(candidates: CandidateTable, checklist: Checklist, checks: ChecksInFlight) {
    this.#candidates = candidates;
    this.#checklist = checklist;
    this.#checks = checks;
  }

  /** Pairs each with each, as far as they go together. */
  pairUp(locals: Iterable<LocalEntry>, remotes: Iterable<RemoteEntry>): void {
    for (const local of locals) {
      for (const remote of remotes) {
        if (this.#candidates.mayPair(local.candidate.base, remote)) this.#checklist.add(local, remote);
      }
    }
  }

  /** A local candidate is gone: another one stands for its base, or its pairs go that proved nothing. */
  replace(gone: LocalEntry): void {
    const instead = this.#candidates.bestOf(gone.candidate.base);
    for (const pair of [...this.#checklist.pairs]) {
      if (pair.local !== gone) continue;
      if (instead !== undefined) pair.local = instead;
      else if (pair.state.name !== "succeeded") this.#remove(pair);
    }
  }

  /** Pairs go that a later candidate has shown to be useless, and that proved nothing. */
  dropUnfit(): void {
    for (const pair of [...this.#checklist.pairs]) {
      if (pair.state.name === "succeeded" || this.#candidates.mayPair(pair.base, pair.remote)) continue;
      this.#remove(pair);
    }
  }

  #remove(pair: Pair): void {
    if (pair.state.name === "in-progress") this.#checks.delete(pair.state.transaction);
    this.#checklist.remove(pair);
  }
}
