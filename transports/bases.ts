/**
 * Which sockets a node opens, and in which order it prefers them (RFC 8445 §5.1.1.1, RFC 8421 §4).
 *
 * @module
 */

import type { Host, NetworkInterface } from "../io/host.ts";
import { addressOf } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";

/** Sockets at most: a machine with many virtual interfaces would otherwise ask every server from each of them. */
export const MAX_BASES = 8;

/** What {@linkcode bindBases} goes by. */
export interface BaseOptions {
  /** Only loopback, and nothing else: for demonstrations and tests on one machine. */
  readonly loopbackOnly: boolean;
}

/**
 * Binds one UDP socket on each useful interface address, most preferred first. Where the host cannot tell its interfaces,
 * one socket on every address of the machine.
 *
 * @throws {Error} If no socket at all can be bound; the message says what failed.
 */
export function bindBases(host: Host, options: BaseOptions): readonly Base[] {
  const addresses = preferred(host.interfaces().filter((it) => isUseful(it, options))).map(({ address }) => address);
  if (addresses.length === 0) addresses.push(addressOf(options.loopbackOnly ? "127.0.0.1" : "0.0.0.0", 0));
  const bases: Base[] = [];
  let lastError: unknown;
  for (const address of addresses.slice(0, MAX_BASES)) {
    try {
      bases.push(host.bind(addressOf(address.host, 0)));
    } catch (error) {
      // An address that has just gone away, or one the system will not give us: the others serve.
      lastError = error;
    }
  }
  if (bases.length > 0) return bases;
  const reason = lastError instanceof Error ? lastError.message : String(lastError);
  throw new Error(`Cannot open a UDP socket: ${reason}`, { cause: lastError });
}

function isUseful({ address, isLoopback }: NetworkInterface, { loopbackOnly }: BaseOptions): boolean {
  if (loopbackOnly) return isLoopback && address.family === 4;
  if (isLoopback) return false;
  const scope = scopeOf(address);
  return scope === "global" || scope === "private" || scope === "shared";
}

/**
 * Interfaces with a default route before those without (RFC 8421 §4: what is known to be unreliable goes last); among
 * equals IPv6 first, then the families in turn, so that a broken one costs little.
 */
function preferred(interfaces: readonly NetworkInterface[]): NetworkInterface[] {
  const ordered: NetworkInterface[] = [];
  for (const hasDefaultRoute of [true, false]) {
    const group = interfaces.filter((it) => it.hasDefaultRoute === hasDefaultRoute);
    const six = group.filter(({ address }) => address.family === 6);
    const four = group.filter(({ address }) => address.family === 4);
    // RFC 8421 §4: (N4 + N6) / N4 addresses of IPv6 have a head start before an IPv4 one.
    const headStart = four.length === 0 ? six.length : Math.floor(group.length / four.length);
    let sinceFour = 0;
    while (six.length + four.length > 0) {
      const takeSix = six.length > 0 && (four.length === 0 || sinceFour < headStart);
      const next = takeSix ? six.shift() : four.shift();
      if (next === undefined) break;
      sinceFour = takeSix ? sinceFour + 1 : 0;
      ordered.push(next);
    }
  }
  return ordered;
}
