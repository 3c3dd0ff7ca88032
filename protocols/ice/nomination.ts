/**
 * Regular nomination by the controlling side (RFC 8445 §8.1.1): which proved pair is checked once more with USE-CANDIDATE.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import type { Checklist } from "./checklist.ts";
import type { Pair } from "./pair.ts";
import type { IceConfig } from "./types.ts";

type State =
  | { readonly name: "open" }
  /** To be checked with USE-CANDIDATE as soon as Ta allows. */
  | { readonly name: "chosen"; readonly pair: Pair }
  | { readonly name: "sent"; readonly pair: Pair };

const OPEN: State = { name: "open" };

/** The choice of one agent, for as long as it is controlling. */
export class Nomination {
  readonly #config: IceConfig;
  readonly #checklist: Checklist;
  #state: State = OPEN;
  /** The path QUIC uses, as we were told. */
  #wanted: { readonly base: Base; readonly remote: Address } | undefined;
  #firstValidAt: number | undefined;

  constructor(config: IceConfig, checklist: Checklist) {
    this.#config = config;
    this.#checklist = checklist;
  }

  /** The pair whose check with USE-CANDIDATE is to be sent. */
  get chosen(): Pair | undefined {
    return this.#state.name === "chosen" ? this.#state.pair : undefined;
  }

  /** Only this path is nominated from now on. */
  want(base: Base, remote: Address): void {
    this.#wanted = { base, remote };
  }

  /** Whether it is the path that is to be nominated. */
  isWanted(pair: Pair): boolean {
    return this.#wanted?.base === pair.base && this.#wanted.remote === pair.remote.address;
  }

  /** All pairs are new: RFC 8445 §9. */
  restart(): void {
    this.#state = OPEN;
    this.#wanted = undefined;
    this.#firstValidAt = undefined;
  }

  noteValid(now: number): void {
    this.#firstValidAt ??= now;
  }

  /** The check with USE-CANDIDATE is under way. */
  enterSent(pair: Pair): void {
    this.#state = { name: "sent", pair };
  }

  /** That check came to nothing, or it is not ours to nominate. */
  reopen(): void {
    this.#state = OPEN;
  }

  /** When a pair will be chosen that is not chosen yet, if nothing better happens before. */
  get dueAt(): number | undefined {
    if (this.#state.name !== "open" || this.#wanted !== undefined) return undefined;
    if (this.#config.nomination !== "automatic" || this.#firstValidAt === undefined) return undefined;
    return this.#firstValidAt + this.#config.nominationDelayMs;
  }

  /** Chooses, if it is time to. @param nominated The pair that is nominated: only the path in use takes its place. */
  consider(now: number, nominated: Pair | undefined): void {
    if (this.#state.name !== "open" || (nominated !== undefined && this.#wanted === undefined)) return;
    const pair = this.#wanted === undefined
      ? this.#best(now)
      : this.#checklist.find(this.#wanted.base, this.#wanted.remote);
    if (pair?.state.name === "succeeded" && pair !== nominated) this.#state = { name: "chosen", pair };
  }

  #best(now: number): Pair | undefined {
    const at = this.dueAt;
    const best = this.#checklist.bestSucceeded();
    if (at === undefined || best === undefined) return undefined;
    return now >= at || !this.#checklist.hasOpenBetterThan(best) ? best : undefined;
  }
}
