/**
 * What kind of place an address is, and whether packets may be sent there on a peer's word alone: the filter for
 * candidates that come through signaling or from the wire (RFC 8445 §5.1.1.1, RFC 9000 §21.5.6, RFC 6890).
 *
 * Private ranges pass, because two peers behind one NAT reach each other by them (RFC 9000 §21.5.6 advises against
 * refusing them without knowledge of the network).
 *
 * @module
 */

import type { Address } from "./address.ts";

/** Where an address has a meaning. `private` holds RFC 1918 and unique-local IPv6, `shared` is 100.64.0.0/10. */
export type AddressScope =
  | "unspecified"
  | "loopback"
  | "link-local"
  | "private"
  | "shared"
  | "multicast"
  | "reserved"
  | "global";

/**
 * UDP services that answer strangers with more than they were sent, or that act on what they get: a peer must not make us
 * knock there. Echo, quote, chargen, DNS, DHCP, TFTP, portmap, NTP, NetBIOS, SNMP, LDAP, IKE, syslog, RIP, SSDP, mDNS,
 * LLMNR, CoAP, SIP, memcached.
 */
export const DENIED_PORTS: ReadonlySet<number> = new Set([
  ...[7, 17, 19, 53, 67, 68, 69, 111, 123, 137, 138, 161, 162, 389, 500, 514, 520],
  ...[1900, 3702, 4500, 5060, 5353, 5355, 5683, 11211],
]);

/** What {@linkcode refuseRemote} goes by. */
export interface ScopeRules {
  /** Only in demonstrations and tests: otherwise a peer could make us talk to services of our own machine. */
  readonly allowLoopback: boolean;
}

/** The scope of an address: RFC 6890, RFC 4291 §2.4. Documentation ranges count as global: laboratories use them. */
export function scopeOf(address: Address): AddressScope {
  return address.family === 4 ? scopeOf4(address.bytes) : scopeOf6(address.bytes);
}

/**
 * Why nothing may be sent to `address` on the peer's word.
 *
 * @returns `undefined` if it may be tried.
 */
export function refuseRemote(address: Address, rules: ScopeRules): string | undefined {
  if (address.port === 0) return "port 0";
  const scope = scopeOf(address);
  switch (scope) {
    case "unspecified":
    case "multicast":
    case "reserved":
      return `${scope} address`;
    case "loopback":
      // The port is not looked at: whoever allows loopback runs both ends on this machine.
      return rules.allowLoopback ? undefined : "loopback address";
    case "link-local":
    case "private":
    case "shared":
    case "global":
      return DENIED_PORTS.has(address.port) ? `port ${address.port} of a service` : undefined;
  }
}

function scopeOf4(bytes: Uint8Array): AddressScope {
  const [a, b] = [bytes[0]!, bytes[1]!];
  if (a === 0) return bytes.every((byte) => byte === 0) ? "unspecified" : "reserved";
  if (a === 127) return "loopback";
  if (a === 10 || (a === 172 && (b & 0xf0) === 16) || (a === 192 && b === 168)) return "private";
  if (a === 100 && (b & 0xc0) === 64) return "shared";
  if (a === 169 && b === 254) return "link-local";
  if (a >= 224 && a < 240) return "multicast";
  // 240.0.0.0/4 and with it the limited broadcast address.
  return a >= 240 ? "reserved" : "global";
}

function scopeOf6(bytes: Uint8Array): AddressScope {
  const [a, b] = [bytes[0]!, bytes[1]!];
  if (a === 0) {
    // 64:ff9b::/96 is how IPv4 is reached through NAT64: RFC 6052 §2.1.
    if (b === 0x64 && bytes[2] === 0xff && bytes[3] === 0x9b) return "global";
    // ::/96 is unspecified, loopback, or IPv4-compatible, which RFC 8445 §5.1.1.1 forbids.
    if (!bytes.subarray(0, 12).every((byte) => byte === 0)) return "reserved";
    const low = (bytes[12]! << 24) | (bytes[13]! << 16) | (bytes[14]! << 8) | bytes[15]!;
    return low === 0 ? "unspecified" : low === 1 ? "loopback" : "reserved";
  }
  if (a === 0xff) return "multicast";
  if (a === 0xfe && (b & 0xc0) === 0x80) return "link-local";
  // Site-local addresses are deprecated and forbidden: RFC 8445 §5.1.1.1.
  if (a === 0xfe && (b & 0xc0) === 0xc0) return "reserved";
  return (a & 0xfe) === 0xfc ? "private" : "global";
}
