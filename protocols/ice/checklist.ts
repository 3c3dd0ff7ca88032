/**
 * The checklist: pairs, and which of them is checked next (RFC 8445 §6.1.2, §6.1.4; RFC 8838 §12).
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import { type LocalEntry, Pair, type RemoteEntry } from "./pair.ts";
import { comparePairs } from "./priority.ts";
import type { IceRole, PairReport, PairStateName } from "./types.ts";

/** All pairs of one agent. */
export class Checklist {
  readonly #maxPairs: number;
  readonly #pairs: Pair[] = [];
  readonly #byPath = new Map<Base, Map<Address, Pair>>();
  /** Pairs to be checked first, in this order: RFC 8445 §6.1.4.1. */
  readonly #triggered = new Set<Pair>();
  #role: IceRole;

  constructor(role: IceRole, maxPairs: number) {
    this.#role = role;
    this.#maxPairs = maxPairs;
  }

  get pairs(): readonly Pair[] {
    return this.#pairs;
  }

  /** The pair priorities follow the role: RFC 8445 §7.3.1.1. */
  setRole(role: IceRole): void {
    this.#role = role;
  }

  find(base: Base, remote: Address): Pair | undefined {
    return this.#byPath.get(base)?.get(remote);
  }

  /**
   * Adds the pair, or lets a better local candidate stand for its base (RFC 8445 §6.1.2.4).
   *
   * @returns The pair, or `undefined` if the list is full of better ones (RFC 8445 §6.1.2.5).
   */
  add(local: LocalEntry, remote: RemoteEntry): Pair | undefined {
    const known = this.find(local.candidate.base, remote.address);
    if (known !== undefined) {
      if (local.priority > known.local.priority) known.local = local;
      return known;
    }
    const pair = new Pair(local, remote);
    // RFC 8838 §12: a first pair of its foundation need not wait for another one to be unfrozen.
    const isFrozen = this.#pairs.some((other) =>
      other.foundation === pair.foundation && other.state.name !== "succeeded" && other.isOpen
    );
    if (!isFrozen) pair.enterWaiting();
    this.#pairs.push(pair);
    let byRemote = this.#byPath.get(pair.base);
    if (byRemote === undefined) this.#byPath.set(pair.base, byRemote = new Map());
    byRemote.set(remote.address, pair);
    if (this.#pairs.length > this.#maxPairs) this.#dropWorst();
    return this.find(pair.base, remote.address);
  }

  remove(pair: Pair): void {
    const at = this.#pairs.indexOf(pair);
    if (at < 0) return;
    this.#pairs.splice(at, 1);
    this.#triggered.delete(pair);
    const byRemote = this.#byPath.get(pair.base);
    byRemote?.delete(pair.remote.address);
    if (byRemote?.size === 0) this.#byPath.delete(pair.base);
  }

  /** Puts the pair at the end of the triggered checks: RFC 8445 §7.3.1.4. */
  trigger(pair: Pair): void {
    pair.enterWaiting();
    this.#triggered.add(pair);
  }

  /** No pair is left. */
  clear(): void {
    this.#pairs.length = 0;
    this.#byPath.clear();
    this.#triggered.clear();
  }

  /**
   * The pair to be checked next (RFC 8445 §6.1.4.2): the first triggered one, else the best waiting one, else a frozen one
   * whose foundation has no pair waiting or in progress.
   */
  next(): Pair | undefined {
    for (const pair of this.#triggered) return pair;
    let best: Pair | undefined;
    for (const pair of this.#pairs) {
      if (pair.state.name === "waiting" && (best === undefined || this.#compare(pair, best) < 0)) best = pair;
    }
    if (best !== undefined) return best;
    for (const pair of this.#pairs) {
      if (pair.state.name !== "frozen" || (best !== undefined && this.#compare(pair, best) > 0)) continue;
      const isHeldBack = this.#pairs.some((other) =>
        other.foundation === pair.foundation && other.state.name === "in-progress"
      );
      if (!isHeldBack) best = pair;
    }
    return best;
  }

  /** The pair is being checked now, or need not be. */
  untrigger(pair: Pair): void {
    this.#triggered.delete(pair);
  }

  /** A pair of this foundation was proved, so that others like it are likely to work: RFC 8445 §7.2.5.3.3. */
  unfreeze(foundation: string): void {
    for (const pair of this.#pairs) {
      if (pair.state.name === "frozen" && pair.foundation === foundation) pair.enterWaiting();
    }
  }

  /** Pairs that failed for a while only are waiting again; for good after `until`. */
  retry(now: number, until: number | undefined): void {
    for (const pair of this.#pairs) {
      const { state } = pair;
      if (state.name !== "failed" || state.retryAt === undefined || now < state.retryAt) continue;
      if (until === undefined || now < until) pair.enterWaiting();
      else pair.enterFailed(state.reason, undefined);
    }
  }

  /** When `retry` has something to do; `Infinity` for never. */
  get retryAt(): number {
    let at = Infinity;
    for (const { state } of this.#pairs) {
      if (state.name === "failed" && state.retryAt !== undefined) at = Math.min(at, state.retryAt);
    }
    return at;
  }

  /** Pairs in any of these states. */
  count(...states: readonly PairStateName[]): number {
    let count = 0;
    for (const pair of this.#pairs) if (states.includes(pair.state.name)) count++;
    return count;
  }

  /** The best pair that was proved. */
  bestSucceeded(): Pair | undefined {
    let best: Pair | undefined;
    for (const pair of this.#pairs) {
      if (pair.state.name === "succeeded" && (best === undefined || this.#compare(pair, best) < 0)) best = pair;
    }
    return best;
  }

  /** Whether a better pair than this one may still be proved. */
  hasOpenBetterThan(pair: Pair): boolean {
    return this.#pairs.some((other) => other.isOpen && this.#compare(other, pair) < 0);
  }

  /** Whether the other is proved, and the better one. */
  isBehind(pair: Pair, other: Pair | undefined): boolean {
    return other?.state.name === "succeeded" && this.#compare(pair, other) > 0;
  }

  /** What became of each pair, best first. */
  report(nominated: Pair | undefined): PairReport[] {
    const sorted = [...this.#pairs].sort((a, b) => this.#compare(a, b));
    return sorted.map((pair) => pair.report(pair === nominated));
  }

  #compare(a: Pair, b: Pair): number {
    return comparePairs(a.priority(this.#role), b.priority(this.#role));
  }

  /** RFC 8445 §6.1.2.5. A pair that is being checked or was proved stays. */
  #dropWorst(): void {
    let worst: Pair | undefined;
    for (const pair of this.#pairs) {
      const { name } = pair.state;
      if (name === "succeeded" || name === "in-progress") continue;
      if (worst === undefined || this.#compare(pair, worst) > 0) worst = pair;
    }
    if (worst !== undefined) this.remove(worst);
  }
}
