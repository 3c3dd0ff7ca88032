/**
 * Where a service listens, and what of it its clients are told: `HOST:PORT` to addresses, addresses of this machine, the
 * STUN servers and URLs that go with them.
 *
 * @module
 */

import type { Host } from "../io/host.ts";
import { resolveOwnAddress } from "../io/resolve.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";
import { DEFAULT_STUN_PORT } from "../signaling/hub_names.ts";
import { MAX_STUN_SERVERS } from "../signaling/messages.ts";

/** Said when one STUN socket has to stand for all addresses. */
export const WILDCARD_STUN_NOTE =
  "STUN answers from one socket, because this machine's addresses are not known: where there are several, answers may " +
  "come from the wrong one; allow --allow-sys=networkInterfaces or give --stun IP:PORT";

/** Where STUN is to listen. */
export interface StunPlaces {
  readonly addresses: readonly Address[];
  /** What whoever runs the service should know. */
  readonly notes: readonly string[];
}

/**
 * Where STUN listens: as `wanted` says, else on UDP 3478 of the hub's address.
 *
 * A socket that stands for all addresses answers from the wrong one where there are several, so there is one for each; only
 * where they are not known there is one for all, which is better than none.
 *
 * @throws As {@linkcode resolveOwnAddress}.
 */
export async function stunPlaces(
  host: Pick<Host, "interfaces">,
  wanted: readonly string[] | undefined,
  listen: Address,
): Promise<StunPlaces> {
  const named = wanted === undefined
    ? [addressOf(listen.host, DEFAULT_STUN_PORT)]
    : await Promise.all(wanted.map(resolveOwnAddress));
  const notes = new Set<string>();
  const addresses = named.flatMap((address) => {
    if (scopeOf(address) !== "unspecified") return [address];
    const own = ownAddresses(host, address);
    if (own.length === 0) notes.add(WILDCARD_STUN_NOTE);
    return own.length === 0 ? [address] : own;
  });
  return { addresses: [...new Set(addresses)], notes: [...notes] };
}

/** The STUN servers as the hub tells them: `:PORT` where clients find one on the host they found the hub on. */
export function announcedStun(bases: readonly Base[], listen: Address): string[] {
  const isEverywhere = scopeOf(listen) === "unspecified";
  const servers = bases.map(({ local }) =>
    isEverywhere || local.host === listen.host || scopeOf(local) === "unspecified" ? `:${local.port}` : local.toString()
  );
  return [...new Set(servers)].slice(0, MAX_STUN_SERVERS);
}

/**
 * Hosts for the URLs of a hub, likeliest first: the one it was given, else the addresses of this machine, those that lead
 * out before those that do not, and loopback where there is nothing else. None if they are not known.
 *
 * @param given `HOST:PORT` as it was asked for.
 */
export function urlHosts(host: Pick<Host, "interfaces">, given: string, listening: Address): string[] {
  const { port } = listening;
  if (scopeOf(listening) !== "unspecified") {
    // A name is kept: a certificate is for it, and addresses change.
    return [given.startsWith("[") ? listening.toString() : given.replace(/:\d+$/, `:${port}`)];
  }
  const own = ownAddresses(host, listening);
  const outward = own.filter((address) => scopeOf(address) !== "loopback");
  return (outward.length > 0 ? outward : own).map(String);
}

/** The addresses of this machine that a wildcard stands for, with its port. Links' own addresses are of no use to others. */
function ownAddresses(host: Pick<Host, "interfaces">, wildcard: Address): Address[] {
  const rank = (each: { readonly isLoopback: boolean; readonly hasDefaultRoute: boolean }): number =>
    each.isLoopback ? 2 : each.hasDefaultRoute ? 0 : 1;
  return host.interfaces()
    .filter((each) => each.address.family === 4 || wildcard.family === 6)
    .filter((each) => scopeOf(each.address) !== "link-local")
    .toSorted((a, b) => rank(a) - rank(b))
    .map((each) => addressOf(each.address.host, wildcard.port));
}
