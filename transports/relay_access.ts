/**
 * A relay as people write it: `https://IP:PORT#SHA-256`, the fragment being the digest of its certificate in hexadecimal.
 *
 * @module
 */

import { parseAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { fromHex, toHex } from "../protocols/core/bytes.ts";
import type { NamedRelay } from "../signaling/machines.ts";
import type { RelayAccess } from "./traversal.ts";

const SHA256_BYTES = 32;

/**
 * Reads what `serve --relay` prints. Names are not resolved yet: an IP address is needed.
 *
 * @throws {TypeError} If the text is anything else; the message says what is wrong.
 */
export function relayAccess(text: string, token?: string): RelayAccess {
  const match = /^https:\/\/([^/#]+)\/?#([0-9a-fA-F]+)$/.exec(text);
  const [authority, digest] = [match?.[1], match?.[2]];
  if (authority === undefined || digest?.length !== 2 * SHA256_BYTES) {
    throw new TypeError(`Cannot use relay "${text}": it is not https://IP:PORT#SHA-256, as serve prints it`);
  }
  return {
    address: parseAddress(authority),
    authority,
    certificateSha256: fromHex(digest),
    ...(token === undefined ? {} : { token }),
  };
}

/** How the relay is reached that a hub names; `undefined` if its URL is none, or nobody knows its name. */
export function findRelay(
  { url, token }: NamedRelay,
  _resolve: (server: string) => Promise<readonly Address[]>,
): Promise<RelayAccess | undefined> {
  try {
    return Promise.resolve(relayAccess(url, token));
  } catch {
    return Promise.resolve(undefined);
  }
}

/** Writes what {@linkcode relayAccess} reads. */
export function formatRelay(authority: string, certificateSha256: Uint8Array): string {
  return `https://${authority}#${toHex(certificateSha256)}`;
}
