/**
 * The checks under way: requests sent and neither answered nor given up (RFC 8445 §7.2, RFC 8489 §6.2.1).
 *
 * @module
 */

import type { Datagram } from "../core/machine.ts";
import type { Transaction } from "../stun/transaction.ts";
import type { Pair } from "./pair.ts";
import type { IceRole } from "./types.ts";

/** Checks under way at most, those included that only wait for a late response: the oldest of these go. */
export const MAX_CHECKS = 256;

/** One check. */
export interface Check {
  readonly pair: Pair;
  readonly transaction: Transaction;
  /** The role it was sent in: a 487 is about this one. */
  readonly role: IceRole;
  /** It carries USE-CANDIDATE. */
  readonly isNomination: boolean;
}

/** Whether the pair's state hangs on this check, and not on one that was started since. */
export function isCurrent({ pair, transaction }: Check): boolean {
  return pair.state.name === "in-progress" && pair.state.transaction === transaction;
}

/** Checks by transaction. */
export class ChecksInFlight {
  readonly #checks = new Map<string, Check>();

  add(check: Check): void {
    if (this.#checks.size >= MAX_CHECKS) this.#dropOldest();
    this.#checks.set(check.transaction.key, check);
  }

  find(key: string): Check | undefined {
    return this.#checks.get(key);
  }

  delete(transaction: Transaction): void {
    this.#checks.delete(transaction.key);
  }

  clear(): void {
    this.#checks.clear();
  }

  /** Takes out a check that has had its time. */
  takeExpired(now: number): Check | undefined {
    for (const check of this.#checks.values()) {
      check.transaction.handleTimeout(now);
      if (check.transaction.isPending) continue;
      this.#checks.delete(check.transaction.key);
      return check;
    }
    return undefined;
  }

  /** The next request to be sent again. */
  pollTransmit(now: number): Datagram | undefined {
    for (const { transaction, pair } of this.#checks.values()) {
      const request = transaction.pollTransmit(now);
      if (request === undefined) continue;
      pair.requestsSent++;
      return request;
    }
    return undefined;
  }

  /** `Infinity` when there is none. */
  get dueAt(): number {
    let at = Infinity;
    for (const { transaction } of this.#checks.values()) at = Math.min(at, transaction.pollTimeout() ?? Infinity);
    return at;
  }

  /** There are at most as many current checks as pairs, and one nomination: another one is always found. */
  #dropOldest(): void {
    for (const check of this.#checks.values()) {
      if (isCurrent(check) || check.isNomination) continue;
      this.delete(check.transaction);
      return;
    }
  }
}
