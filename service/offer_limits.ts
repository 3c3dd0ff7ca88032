/**
 * How many offers a hub takes, and how many it hands to one listener. A flood of offers costs only those who are in the same
 * place as the flood: what a listener gets is shared between sources, and whom it told the hub to admit does not wait in
 * line with strangers.
 *
 * @module
 */

import { toHex } from "../protocols/core/bytes.ts";
import { OFFERS_PER_SECOND } from "../signaling/admission.ts";
import { RateLimiter } from "../signaling/rate_limit.ts";

/** Offers a second from one source. */
const OFFERS_PER_SECOND_PER_SOURCE = 32;

/**
 * Offers a second for one listener, and at once; counted apart for those it admits by key or ticket and for all others. A
 * listener that refuses every one of them sends half as many messages as it may send of its own accord.
 */
export const OFFERS_PER_SECOND_PER_LISTENER = 10;
export const OFFER_BURST_PER_LISTENER = 32;

/**
 * One source's share of that: several sources have to come together to use it up. A listener that admits everybody gives
 * each call 9.2 s before it has another of its 32 places free; one source never has all of them.
 */
export const OFFERS_PER_SECOND_PER_SOURCE_AND_LISTENER = 2;
export const OFFER_BURST_PER_SOURCE_AND_LISTENER = 12;

/** Sources, callers and listeners whose rate is remembered, each: the one unused for longest makes room. */
const MAX_TRACKED = 10_000;

/** An offer on its way to a listener. */
export interface OfferOnItsWay {
  readonly listener: string;
  readonly source: string;
  /** The listener told the hub to admit this key or ticket. */
  readonly isKnown: boolean;
}

/** The limits of one hub. */
export class OfferLimits {
  readonly #sources = new RateLimiter<string>({
    perSecond: OFFERS_PER_SECOND_PER_SOURCE,
    burst: OFFERS_PER_SECOND_PER_SOURCE,
    maxKeys: MAX_TRACKED,
  });
  readonly #callers = new RateLimiter<string>({
    perSecond: OFFERS_PER_SECOND,
    burst: OFFERS_PER_SECOND,
    maxKeys: MAX_TRACKED,
  });
  readonly #listeners = new RateLimiter<string>({
    perSecond: OFFERS_PER_SECOND_PER_LISTENER,
    burst: OFFER_BURST_PER_LISTENER,
    maxKeys: MAX_TRACKED,
  });
  readonly #shares = new RateLimiter<string>({
    perSecond: OFFERS_PER_SECOND_PER_SOURCE_AND_LISTENER,
    burst: OFFER_BURST_PER_SOURCE_AND_LISTENER,
    maxKeys: MAX_TRACKED,
  });

  /** Whether a source may make an offer: asked before its signature is looked at, because that is what costs. */
  takeFromSource(source: string, now: number): boolean {
    return this.#sources.take(source, now);
  }

  /** Whether the owner of a key may make an offer. */
  takeFromCaller(key: Uint8Array, now: number): boolean {
    return this.#callers.take(toHex(key), now);
  }

  /** Whether a listener may be handed an offer. What its source has no share left for costs the others nothing. */
  takeForListener({ listener, source, isKnown }: OfferOnItsWay, now: number): boolean {
    const line = `${listener} ${isKnown}`;
    return this.#shares.take(`${line} ${source}`, now) && this.#listeners.take(line, now);
  }
}
