/**
 * The relays that a hub names to its listeners, each with leave to use it: its own, or others that share a secret with it.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { type AddressScope, scopeOf } from "../protocols/core/address_scope.ts";
import { hmac } from "../protocols/crypto/hash.ts";
import type { NamedRelay } from "../signaling/machines.ts";
import { MAX_NAMED_RELAYS } from "../signaling/messages.ts";
import { encodeText } from "../signaling/signed.ts";
import { formatRelay, parseRelayUrl } from "../transports/relay_access.ts";
import type { RelayService } from "./relay_service.ts";
import { issueRelayToken } from "./relay_token.ts";

/** Shortest secret that is taken: whoever guesses it can use the relay. */
const MIN_SECRET_LENGTH = 16;

/** What of the options of `serve` concerns the relays that are named. */
export interface NamedRelayOptions {
  readonly epochMs: number;
  /** What clients of the hub must show. */
  readonly token?: string;
  readonly relayUrls?: readonly string[];
  readonly relaySecret?: string;
  readonly relayAnyone?: boolean;
  /** Whether only this machine reaches the hub. */
  readonly isHubLocal: boolean;
}

/** Which relays listeners are told of; see `HubOptions.relaysFor`. */
export type RelaysFor = (publicKey: Uint8Array, now: number) => readonly NamedRelay[];

/**
 * Which relays listeners are told of. Our own is not, where it asks for a token and the hub lets everybody in: then whoever
 * registers would have what the token is to keep.
 *
 * @param relay Our own, if there is one.
 * @throws {TypeError} If a URL is none, or there is no secret to share with a relay elsewhere.
 */
export function relaysFor(options: NamedRelayOptions, relay: RelayService | undefined): RelaysFor | undefined {
  const { relayUrls = [], relaySecret, epochMs } = options;
  for (const url of relayUrls) parseRelayUrl(url);
  if (relayUrls.length > MAX_NAMED_RELAYS) {
    throw new TypeError(`Cannot name ${relayUrls.length} relays: at most ${MAX_NAMED_RELAYS}`);
  }
  if (relayUrls.length > 0 && relay === undefined && relaySecret === undefined) {
    throw new TypeError("Cannot name a relay elsewhere: give the relay secret that its service has too");
  }
  const own = relay !== undefined && isForListeners(relay, options)
    ? relayUrlsOf(relay).slice(0, MAX_NAMED_RELAYS)
    : [];
  const urls = relayUrls.length > 0 ? relayUrls : own;
  if (urls.length === 0) return undefined;
  const issue = relay === undefined && relaySecret !== undefined
    ? (key: Uint8Array, now: number): string => issueRelayToken(relaySecretOf(relaySecret), key, epochMs + now)
    : (key: Uint8Array, now: number): string => relay?.issueToken(key, now) ?? "";
  return (publicKey, now) => {
    const token = issue(publicKey, now);
    return urls.map((url) => ({ url, token }));
  };
}

function isForListeners({ isOpen, addresses }: RelayService, options: NamedRelayOptions): boolean {
  // Nobody elsewhere gets to a relay on loopback.
  if (!options.isHubLocal && addresses.every((address) => scopeOf(address) === "loopback")) return false;
  return isOpen || options.token !== undefined || options.relayAnyone === true;
}

/**
 * The URLs of a relay by its addresses: those that most can reach. On a machine with a public address the private ones are
 * left out, and loopback where there is anything else.
 */
export function relayUrlsOf({ addresses, certificateSha256 }: RelayService): readonly string[] {
  const best = Math.max(...addresses.map(reachOf));
  return addresses.filter((address) => reachOf(address) === best)
    .map((address) => formatRelay(address.toString(), certificateSha256));
}

/**
 * What hub and relay share, of a text that people choose.
 *
 * @throws {TypeError} If it is too short.
 */
export function relaySecretOf(text: string): Uint8Array {
  if (text.length < MIN_SECRET_LENGTH) {
    throw new TypeError(`Cannot use relay secret: ${text.length} characters, at least ${MIN_SECRET_LENGTH}`);
  }
  return hmac("SHA-256", encodeText("traverse relay secret"), encodeText(text));
}

function reachOf(address: Address): number {
  return REACH[scopeOf(address)];
}

const REACH: Readonly<Record<AddressScope, number>> = {
  global: 3,
  shared: 2,
  private: 2,
  reserved: 2,
  "link-local": 1,
  loopback: 0,
  unspecified: 0,
  multicast: 0,
};
