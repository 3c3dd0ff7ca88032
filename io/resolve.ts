/**
 * Names of servers to addresses, through the system's resolver. Needs `--allow-net` for the name.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { addressOf, isIpAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";

/** Addresses taken of one name, at most: one of each family would do. */
const MAX_ADDRESSES = 4;

/** The port of STUN: RFC 8489 §18.6. */
const DEFAULT_PORT = 3478;

/**
 * Resolves `HOST`, `HOST:PORT`, `[IPv6]:PORT`, each with or without `stun:` before it.
 *
 * @returns At most four addresses; none if the name is not known or the text is none of these.
 */
export async function resolveServer(server: string): Promise<readonly Address[]> {
  const match = /^(?:stun:)?(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(server);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  if (host === undefined || port < 1 || port > 65535) return [];
  if (isIpAddress(host)) return [addressOf(host, port)];
  try {
    const found = await lookup(host, { all: true });
    return found.slice(0, MAX_ADDRESSES).map(({ address }) => addressOf(address, port));
  } catch {
    // An unknown name is a server that is not there: the others are asked all the same.
    return [];
  }
}
