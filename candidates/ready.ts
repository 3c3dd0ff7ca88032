/**
 * The machine of a provider that knows everything when it starts.
 *
 * @module
 */

import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { CandidateEvent, CandidateMachine } from "./provider.ts";

/** What a provider knows of bases that come and go. */
export interface BaseKnowledge {
  /** What there is to be said of a base. */
  added(base: Base): readonly LocalCandidate[];
  /** What is said of the other bases because this one is gone. */
  removed?(base: Base): readonly LocalCandidate[];
}

/** Says its candidates, then `done`. */
export class Ready implements CandidateMachine {
  readonly #events: CandidateEvent[] = [];
  readonly #knowledge: BaseKnowledge;

  constructor(candidates: readonly LocalCandidate[], knowledge: BaseKnowledge) {
    this.#knowledge = knowledge;
    this.#say(candidates);
    this.#events.push({ type: "done" });
  }

  addBase(base: Base): void {
    this.#say(this.#knowledge.added(base));
    this.#events.push({ type: "done" });
  }

  removeBase(base: Base): void {
    this.#say(this.#knowledge.removed?.(base) ?? []);
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

  #say(candidates: readonly LocalCandidate[]): void {
    for (const candidate of candidates) this.#events.push({ type: "candidate", candidate });
  }
}
