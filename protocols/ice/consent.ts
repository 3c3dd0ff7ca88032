/**
 * Consent freshness on the path in use (RFC 7675 §5.1): the peer goes on agreeing to what we send it there, or nothing more
 * is sent. What runs over the path is asked first: an acknowledgement of a packet that was sent on it says as much as an
 * answer to a check. Checks leave only where it has been silent, and that while it waits for an answer, or for long. Where there
 * is nothing to be said it is asked to say something in time.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base, Datagram } from "../core/machine.ts";
import { type Random, randomUnit } from "../core/random.ts";

/** RFC 7675 §5.1: between two checks, give or take {@linkcode JITTER} of it. */
export const CONSENT_INTERVAL_MS = 5000;

/** RFC 7675 §5.1: 80 to 120 %, so that the checks of many do not fall together. */
const JITTER = 0.2;

/**
 * After this long without a sign what runs over the path is to ask for one; a check follows where it does not. A peer whose
 * NAT has moved it just then, and that keeps its path alive every 15 s, is heard again before consent ends.
 */
export const MAX_QUIET_MS = 14_000;

/** Unanswered checks in a row by which consent is in doubt: with what runs over the path they are three that were lost. */
const DOUBTFUL_CHECKS = 2;

/** After a long quiet there is no time for a second one. */
const DOUBTFUL_CHECKS_AFTER_QUIET = 1;

/** How long an answer is waited for before there is doubt, or, after a long quiet, before a check leaves. */
const ANSWER_WAIT_MS = 1500;

/** RFC 7675 §5.1: consent ends this long after the last sign of it. */
export const CONSENT_TIMEOUT_MS = 30_000;

/** Checks that may be unanswered at once: as many as leave until consent ends, the least interval being 4 s. */
const MAX_UNANSWERED_CHECKS = 8;

/** A path and what is known of whoever is there. */
export interface ConsentedPath {
  readonly base: Base;
  readonly remote: Address;
  /** When the newest of what the peer is known to have received left on this path; `-Infinity` if nothing is known. */
  readonly answeredAt: () => number;
  /** Whether something was sent that the peer has not shown to have received. */
  readonly isWaiting: () => boolean;
}

/** The consent to one path, from one peer. */
export class Consent {
  readonly path: ConsentedPath;
  readonly #random: Random;
  /** Checks by transaction, and when they left. */
  readonly #unanswered = new Map<string, number>();
  #givenAt: number;
  #nextAt: number;
  /** Checks since the last sign, and when the last one left. */
  #checksInRow = 0;
  #lastSentAt = -Infinity;
  /** The sign after which quiet was told. */
  #quietAfter = -Infinity;
  /** The sign after which doubt was told. */
  #doubtedAfter = -Infinity;

  /** @param givenAt The path has just been proved, or moved to. */
  constructor(path: ConsentedPath, random: Random, givenAt: number) {
    this.path = path;
    this.#random = random;
    this.#givenAt = givenAt;
    this.#nextAt = givenAt + this.#intervalMs();
  }

  /** When the last sign of consent was asked for. */
  get givenAt(): number {
    this.#givenAt = Math.max(this.#givenAt, this.path.answeredAt());
    return this.#givenAt;
  }

  /** Whether nothing may be sent any more. */
  isExpired(now: number): boolean {
    return now >= this.givenAt + CONSENT_TIMEOUT_MS;
  }

  /** Whether it has come into doubt: once for each silence. */
  takeDoubt(now: number): boolean {
    const { givenAt } = this;
    if (now < this.#doubtAt) return false;
    this.#doubtedAfter = givenAt;
    return true;
  }

  /** When there is something to look at. */
  get dueAt(): number {
    return Math.min(this.#nextAt, this.#doubtAt, this.#givenAt + CONSENT_TIMEOUT_MS);
  }

  get #doubtAt(): number {
    const isQuiet = this.#quietAfter === this.#givenAt;
    const isSilent = this.#checksInRow >= (isQuiet ? DOUBTFUL_CHECKS_AFTER_QUIET : DOUBTFUL_CHECKS) &&
      this.#lastSentAt >= this.#givenAt;
    return isSilent && this.#doubtedAfter !== this.#givenAt ? this.#lastSentAt + ANSWER_WAIT_MS : Infinity;
  }

  /** Whether a check is to leave now. */
  isCheckDue(now: number): boolean {
    if (now < this.#nextAt) return false;
    const silentMs = now - this.givenAt;
    if (silentMs > MAX_QUIET_MS || (silentMs >= CONSENT_INTERVAL_MS && this.path.isWaiting())) return true;
    const silentAt = this.#givenAt + CONSENT_INTERVAL_MS * (1 + JITTER * randomUnit(this.#random));
    const nextAt = silentAt > now ? silentAt : now + this.#intervalMs();
    this.#nextAt = silentMs < MAX_QUIET_MS ? Math.min(nextAt, this.#givenAt + MAX_QUIET_MS) : nextAt;
    return false;
  }

  /** Whether it has been quiet for long, nothing having been said: once for each silence. */
  takeQuiet(now: number): boolean {
    const { givenAt } = this;
    if (now < givenAt + MAX_QUIET_MS || this.#quietAfter === givenAt || this.path.isWaiting()) return false;
    this.#quietAfter = givenAt;
    this.#nextAt = now + ANSWER_WAIT_MS;
    return true;
  }

  /** A check leaves. RFC 7675 §5.1: each is a transaction of its own, and none is sent again. */
  onCheckSent(key: string, now: number): void {
    this.#checksInRow = this.givenAt > this.#lastSentAt ? 1 : this.#checksInRow + 1;
    this.#lastSentAt = now;
    this.#nextAt = now + this.#intervalMs();
    if (this.#unanswered.size >= MAX_UNANSWERED_CHECKS) {
      for (const oldest of this.#unanswered.keys()) {
        this.#unanswered.delete(oldest);
        break;
      }
    }
    this.#unanswered.set(key, now);
  }

  /** Whether the transaction is a check of ours. */
  owns(key: string): boolean {
    return this.#unanswered.has(key);
  }

  /**
   * An authentic success response to a check of ours came in.
   *
   * @returns Whether it renews the consent: not when it came another way than the check went.
   */
  onAnswer(key: string, { base, remote }: Datagram): boolean {
    const sentAt = this.#unanswered.get(key);
    if (sentAt === undefined || base !== this.path.base || remote !== this.path.remote) return false;
    this.#unanswered.delete(key);
    this.#givenAt = Math.max(this.#givenAt, sentAt);
    return true;
  }

  /** A connectivity check on the path was answered. */
  onProved(base: Base, remote: Address, now: number): void {
    if (base === this.path.base && remote === this.path.remote) this.#givenAt = Math.max(this.#givenAt, now);
  }

  #intervalMs(): number {
    return CONSENT_INTERVAL_MS * (1 - JITTER + 2 * JITTER * randomUnit(this.#random));
  }
}
