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

/** A name that is worth asking for: what ends in a number is an address, or a broken one. */
const NAME_PATTERN = /^(?!(?:.*\.)?\d+\.?$)[^\s:[\]%/]{1,253}$/;

/** The port of STUN: RFC 8489 §18.6. */
const DEFAULT_PORT = 3478;

/**
 * Resolves `HOST:PORT`, `IP:PORT` or `[IPv6]:PORT` to where a server of this machine is to listen. Of a name with
 * addresses of both families the IPv4 one is taken: a name of this machine may have an IPv6 address without there being
 * any IPv6.
 *
 * @param text Port 0 lets the system choose.
 * @throws {TypeError} If it is none of these.
 * @throws {Error} If the name is not known.
 */
export async function resolveOwnAddress(text: string): Promise<Address> {
  const [, bracketed, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? name ?? "";
  const isIp = isIpAddress(bracketed === undefined ? host : bracketed.replace(/%.*$/, ""));
  if (digits === undefined || port > 65535 || !(isIp || (bracketed === undefined && NAME_PATTERN.test(host)))) {
    throw new TypeError(`Cannot read address: "${text}" is not HOST:PORT, IP:PORT or [IPv6]:PORT`);
  }
  if (isIp) return addressOf(host, port);
  let found;
  try {
    found = await lookup(host, { all: true });
  } catch (cause) {
    throw new Error(`Cannot listen on "${text}": there is no host of that name`, { cause });
  }
  const chosen = found.find(({ family }) => family === 4) ?? found[0];
  if (chosen === undefined) throw new Error(`Cannot listen on "${text}": the name has no address`);
  return addressOf(chosen.address, port);
}

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
  if (match?.[1] !== undefined || !NAME_PATTERN.test(host)) return [];
  try {
    const found = await lookup(host, { all: true });
    return byTurns(found).slice(0, MAX_ADDRESSES).map(({ address }) => addressOf(address, port));
  } catch {
    // An unknown name is a server that is not there: the others are asked all the same.
    return [];
  }
}

/** RFC 8305 §4: the families take turns, that of the likeliest address first. */
function byTurns<Found extends { readonly family: number }>(found: readonly Found[]): readonly Found[] {
  const [likely, others] = [true, false].map((isLikely) =>
    found.filter(({ family }) => (family === found[0]?.family) === isLikely)
  );
  return found.flatMap((_, i) => [likely?.[i], others?.[i]].filter((one) => one !== undefined));
}
