/**
 * The sockets of a service's STUN server: those it is asked at, and those it answers from besides (RFC 5780 §6.1).
 *
 * @module
 */

import type { Host } from "../io/host.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";
import { DEFAULT_STUN_PORT } from "../signaling/hub_names.ts";
import type { StunGroup } from "./stun_server.ts";

/** The port beside the STUN server's own: RFC 5780 §6.1 leaves it open, and this is what others use. */
const ALTERNATE_STUN_PORT = DEFAULT_STUN_PORT + 1;

/**
 * Opens them all, or none.
 *
 * @throws {Error} If one cannot be bound; the message says what to try.
 */
export function bindStun(host: Host, addresses: readonly Address[]): Base[] {
  const bases: Base[] = [];
  for (const address of addresses) {
    try {
      bases.push(host.bind(address));
    } catch (cause) {
      for (const base of bases) host.close(base);
      const hint = "is another STUN server running? Give --stun another address";
      throw new Error(`Cannot listen on UDP ${address}: ${cause instanceof Error ? cause.message : cause}; ${hint}`, {
        cause,
      });
    }
  }
  return bases;
}

/**
 * A second port for each host, and two hosts that answer for each other where there are two of a kind (RFC 5780 §6.1). What
 * cannot be bound is done without: addresses are told all the same.
 */
export function bindAlternates(host: Host, bases: readonly Base[]): StunGroup[] {
  const groups: StunGroup[] = [];
  const single: (readonly [Base, Base])[] = [];
  for (const base of bases) {
    const scope = scopeOf(base.local);
    const wanted = base.local.port === DEFAULT_STUN_PORT ? ALTERNATE_STUN_PORT : 0;
    const alternate = scope === "unspecified" ? undefined : tryBind(host, addressOf(base.local.host, wanted));
    if (alternate === undefined) continue;
    const isAlike = ([other]: readonly [Base, Base]): boolean =>
      other.local.family === base.local.family && scopeOf(other.local) === scope &&
      other.local.host !== base.local.host && other.local.port === base.local.port;
    const partner = single.findIndex(isAlike);
    const [found] = partner < 0 ? [] : single.splice(partner, 1);
    if (found === undefined) single.push([base, alternate]);
    else groups.push({ hosts: [found, [base, alternate]] });
  }
  return [...groups, ...single.map((ports) => ({ hosts: [ports] }))];
}

function tryBind(host: Host, address: Address): Base | undefined {
  for (const port of new Set([address.port, 0])) {
    try {
      return host.bind(addressOf(address.host, port));
    } catch {
      // Somebody else has it: any other port will do.
    }
  }
  return undefined;
}
