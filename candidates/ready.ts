/**
 * The machine of a provider that knows everything when it starts.
 *
 * @module
 */

import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Datagram, Machine } from "../protocols/core/machine.ts";
import type { CandidateEvent } from "./provider.ts";

/** Says its candidates, then `done`. */
export class Ready implements Machine<CandidateEvent> {
  readonly #events: CandidateEvent[];

  constructor(candidates: readonly LocalCandidate[]) {
    this.#events = candidates.map((candidate) => ({ type: "candidate", candidate }));
    this.#events.push({ type: "done" });
  }

  handleDatagram(_datagram: Datagram, _now: number): void {}

  handleTimeout(_now: number): void {}

  pollTransmit(_now: number): Datagram | undefined {
    return undefined;
  }

  pollEvent(): CandidateEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    return undefined;
  }
}
