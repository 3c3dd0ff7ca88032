/**
 * A relay as people write it: `https://HOST[:PORT]`, with `#SHA-256` of its certificate in hexadecimal or without. A digest
 * is all that counts then; without one the certificate has to be good for the host (RFC 9114 §3.1, RFC 9525).
 *
 * @module
 */

import { addressOf, isIpAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { fromHex, toHex } from "../protocols/core/bytes.ts";
import type { NamedRelay } from "../signaling/machines.ts";
import type { RelayAccess } from "./traversal.ts";

const SHA256_BYTES = 32;

/** RFC 9110 §4.2.2. */
const HTTPS_PORT = 443;

/** Letters of a DNS name; what ends in a number is an address, or a broken one. */
const NAME_PATTERN = /^(?!(?:.*\.)?\d+\.?$)[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$/;

/** A relay's URL, taken apart. */
export interface RelayUrl {
  /** A DNS name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port, as in the URL. */
  readonly authority: string;
  readonly certificateSha256?: Uint8Array;
}

/**
 * Takes a relay's URL apart.
 *
 * @throws {TypeError} If the text is anything else; the message says what is wrong.
 */
export function parseRelayUrl(text: string): RelayUrl {
  const match = /^https:\/\/((?:\[([^\]/#]+)\]|([^:/#\[\]]+))(?::(\d{1,5}))?)\/?(?:#([0-9a-fA-F]*))?$/.exec(text);
  const [, authority, bracketed, plain, digits, digest] = match ?? [];
  const host = bracketed ?? plain ?? "";
  const port = digits === undefined ? HTTPS_PORT : Number(digits);
  const isHost = isIpAddress(host)
    ? host.includes(":") === (bracketed !== undefined)
    : bracketed === undefined && NAME_PATTERN.test(host);
  if (authority === undefined || !isHost || port < 1 || port > 65535) {
    throw new TypeError(`Cannot use relay "${text}": it is not https://HOST:PORT#SHA-256, as serve prints it`);
  }
  if (digest === undefined) return { host, port, authority };
  if (digest.length !== 2 * SHA256_BYTES) {
    throw new TypeError(`Cannot use relay "${text}": what follows # is not a SHA-256 in hexadecimal, of 64 digits`);
  }
  return { host, port, authority, certificateSha256: fromHex(digest) };
}

/**
 * How a relay is reached whose URL has an IP address; `undefined` if it has a name, which is to be resolved first.
 *
 * @throws {TypeError} If the text is no URL of a relay.
 */
export function relayAccess(text: string, token?: string): RelayAccess | undefined {
  const url = parseRelayUrl(text);
  return isIpAddress(url.host) ? accessTo(url, [addressOf(url.host, url.port)], token) : undefined;
}

/** How a relay is reached: its URL may be none that we know, and its name one that nobody knows at the time. */
export async function findRelay(
  { url: text, token }: NamedRelay,
  resolve: (server: string) => Promise<readonly Address[]>,
): Promise<RelayAccess | "unusable" | "unknown"> {
  let url: RelayUrl;
  try {
    url = parseRelayUrl(text);
  } catch {
    // Of a hub's, which may know forms that we do not.
    return "unusable";
  }
  if (isIpAddress(url.host)) return accessTo(url, [addressOf(url.host, url.port)], token);
  const addresses = await resolve(`${url.host}:${url.port}`);
  return addresses.length === 0 ? "unknown" : accessTo(url, addresses, token);
}

/** Relays as they are given: one or several, as URLs or with tokens of their own. `token` is for those that are mere URLs. */
export function namedRelays(
  given: string | NamedRelay | readonly (string | NamedRelay)[],
  token: string | undefined,
): readonly NamedRelay[] {
  const list = typeof given === "string" || "url" in given ? [given] : given;
  return list.map((relay) => {
    if (typeof relay !== "string") return relay;
    return token === undefined ? { url: relay } : { url: relay, token };
  });
}

/** Those whose names have to be looked up. @throws {TypeError} If one is no URL of a relay. */
export function unresolvedRelays(relays: readonly NamedRelay[]): readonly NamedRelay[] {
  return relays.filter(({ url }) => relayAccess(url) === undefined);
}

/** Writes what {@linkcode parseRelayUrl} reads. */
export function formatRelay(authority: string, certificateSha256?: Uint8Array): string {
  return `https://${authority}${certificateSha256 === undefined ? "" : `#${toHex(certificateSha256)}`}`;
}

function accessTo(url: RelayUrl, addresses: readonly Address[], token: string | undefined): RelayAccess {
  const { host, port, certificateSha256 } = url;
  return {
    addresses,
    // As CONNECT wants it: with the port.
    authority: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    ...(isIpAddress(host) ? {} : { serverName: host }),
    ...(certificateSha256 === undefined ? {} : { certificateSha256 }),
    ...(token === undefined ? {} : { token }),
  };
}
