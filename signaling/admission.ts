/**
 * Who may call: the list a listener was given, and the limits that hold even for those on it. Decided before anything is
 * told to a caller.
 *
 * @module
 */

import { toHex } from "../protocols/core/bytes.ts";
import { keyIdOf, parseKey } from "./identity.ts";
import type { Refusal } from "./machines.ts";
import { RateLimiter } from "./rate_limit.ts";
import { MAX_CLOCK_SKEW_MS, MAX_EARLY_ADMISSIONS } from "./trust.ts";
import type { EarlyAdmission } from "./trust.ts";

/** Offers that wait to become a session or to fail, at most. */
export const MAX_UNANSWERED_OFFERS = 32;

/** Offers a second from one caller. */
export const OFFERS_PER_SECOND = 4;

/** Callers whose rate is remembered. */
const MAX_TRACKED_CALLERS = 1024;

/** Offers remembered until they expire. Only those of admitted callers are: strangers cannot fill it. */
const MAX_SEEN_OFFERS = 4096;

/** Whom a listener admits besides holders of its ticket. */
export interface AllowList {
  /** Everybody who signs an offer. */
  readonly any: boolean;
  /** Ed25519 public keys of 32 bytes, as `parseKey` reads them. */
  readonly keys: readonly Uint8Array[];
}

/** Only holders of the ticket. */
export const ALLOW_TICKET_ONLY: AllowList = { any: false, keys: [] };

/**
 * Reads a file of keys: one a line, then anything; `#` begins a comment.
 *
 * @throws {TypeError} If a line begins with anything else; the message says which.
 */
export function parseKeyList(text: string): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const word = line.replace(/#.*/, "").trim().split(/\s+/)[0] ?? "";
    if (word === "") continue;
    const key = parseKey(word);
    if (key === undefined) throw new TypeError(`Cannot read keys: line ${index + 1} does not begin with a key`);
    keys.push(key);
  }
  return keys;
}

/** Whether the list admits a key. */
export function isAllowed(allow: AllowList, key: Uint8Array): boolean {
  return allow.any || allow.keys.some((allowed) => allowed.every((byte, i) => byte === key[i]));
}

/** What a listener tells its hub, so that whom it admits is answered at once. A long list stays at home. */
export function earlyAdmission(allow: AllowList, ticketTag: Uint8Array | undefined): EarlyAdmission {
  const tags = ticketTag === undefined ? [] : [ticketTag];
  const fits = allow.keys.length + tags.length <= MAX_EARLY_ADMISSIONS;
  return { any: allow.any, keyIds: allow.any || !fits ? [] : allow.keys.map(keyIdOf), tags };
}

/** The limits on offers at a listener: replays, rate, how many are unanswered. */
export class OfferGate {
  readonly #rate = new RateLimiter<string>({
    perSecond: OFFERS_PER_SECOND,
    burst: OFFERS_PER_SECOND,
    maxKeys: MAX_TRACKED_CALLERS,
  });
  /** Call to the wall-clock instant it may be forgotten, oldest first. */
  readonly #seen = new Map<string, number>();

  /**
   * Lets an admitted caller's offer pass, once.
   *
   * @param expiresAt Of the offer, wall clock, as is `epochMs`.
   * @param unanswered Offers that wait now.
   * @returns `undefined` if it may pass.
   */
  pass(
    offer: { readonly call: string; readonly callerKeyId: Uint8Array; readonly expiresAt: number },
    unanswered: number,
    at: { readonly now: number; readonly epochMs: number },
  ): Refusal | undefined {
    this.#forget(at.epochMs);
    if (this.#seen.has(offer.call)) return "replayed";
    if (!this.#rate.take(toHex(offer.callerKeyId), at.now)) return "limited";
    if (unanswered >= MAX_UNANSWERED_OFFERS || this.#seen.size >= MAX_SEEN_OFFERS) return "limited";
    this.#seen.set(offer.call, offer.expiresAt + MAX_CLOCK_SKEW_MS);
    return undefined;
  }

  /** Offers remembered. */
  get seen(): number {
    return this.#seen.size;
  }

  #forget(epochMs: number): void {
    for (const [call, until] of this.#seen) {
      // Lifetimes are alike, so the order of arrival is nearly that of expiry; a later one waits a little longer.
      if (until > epochMs) break;
      this.#seen.delete(call);
    }
  }
}
