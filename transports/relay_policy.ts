/**
 * Relay policies: what each means for one side of a call. The stricter of the two sides' policies holds, because each side
 * does its own part: it does not go where its policy forbids, and does not let the peer's data in there.
 *
 * @module
 */

import type { TransportSettings } from "../protocols/quic/config.ts";
import type { RelayPolicy } from "./traversal.ts";

/** A path is clearly faster than another if it takes less than this share of its time, and is this much less. */
const FASTER_SHARE = 0.8;
const FASTER_BY_MS = 5;

/** Application error code of a session that would need a relay to go on, which the policy of one side forbids. */
export const NO_DIRECT_PATH_CODE = 2;

/** Whether addresses are told, checked and probed: everything that is not the relay. */
export function allowsDirect(policy: RelayPolicy): boolean {
  return policy !== "required";
}

/** Whether relays are contacted. */
export function allowsRelays(policy: RelayPolicy): boolean {
  return policy !== "never";
}

/** Whether the application's bytes may go through a relay. */
export function carriesData(policy: RelayPolicy): boolean {
  return policy === "until-direct" || policy === "allowed" || policy === "required";
}

/** Whether a session that has a direct path goes back to the relay when it is lost. */
export function goesBack(policy: RelayPolicy): boolean {
  return policy === "until-direct" || policy === "allowed";
}

/** Whether a session should rather go through the relay, which has this round trip, than direct with that one. */
export function prefersRelay(policy: RelayPolicy, relayedRttMs: number, directRttMs: number): boolean {
  return policy === "allowed" && relayedRttMs < FASTER_SHARE * directRttMs && relayedRttMs < directRttMs - FASTER_BY_MS;
}

/** Settings under which the peer sends none of the application's streams before `allowStreams`: RFC 9000 §4.6. */
export function withoutStreams(settings: TransportSettings): TransportSettings {
  return { ...settings, maxBidirectionalStreams: 0, maxUnidirectionalStreams: 0 };
}
