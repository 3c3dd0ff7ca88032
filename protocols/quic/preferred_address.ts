/**
 * The preferred_address of a server: where it would rather be reached once the handshake is done: RFC 9000 §9.6, §18.2.
 *
 * @module
 */

import { addressFromBytes } from "../core/address.ts";
import type { Address } from "../core/address.ts";
import { scopeOf } from "../core/address_scope.ts";
import type { Base } from "../core/machine.ts";
import { Reader } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import type { ConnectionIdWithToken } from "./connection_ids.ts";
import { TransportError } from "./errors.ts";

/** RFC 9000 §5.1.1: the connection ID in the transport parameter has the number after that of the handshake. */
export const PREFERRED_SEQUENCE_NUMBER = 1;

const TOKEN_BYTES = 16;

/** Where a server would rather be reached; at least one of the two. */
export interface PreferredAddresses {
  /** Where IPv4 clients are asked to move. */
  readonly ipv4?: Address;
  /** Where IPv6 clients are asked to move. */
  readonly ipv6?: Address;
}

/** What the transport parameter says. */
export interface PreferredAddress extends PreferredAddresses {
  readonly connectionId: Uint8Array;
  readonly statelessResetToken: Uint8Array;
}

/** The value of the transport parameter. */
export function encodePreferredAddress(
  addresses: PreferredAddresses,
  id: Omit<ConnectionIdWithToken, "sequenceNumber">,
): Uint8Array {
  const writer = new Writer(new Uint8Array(128));
  for (const [address, hostBytes] of [[addresses.ipv4, 4], [addresses.ipv6, 16]] as const) {
    writer.bytes(address?.bytes ?? new Uint8Array(hostBytes));
    writer.uint16(address?.port ?? 0);
  }
  writer.uint8(id.connectionId.length);
  writer.bytes(id.connectionId);
  writer.bytes(id.statelessResetToken);
  return writer.written().slice();
}

/** @throws {TransportError} TRANSPORT_PARAMETER_ERROR if the connection ID is empty, or the length wrong. */
export function decodePreferredAddress(value: Uint8Array): PreferredAddress {
  const reader = new Reader(value);
  const ipv4 = readAddress(reader, 4);
  const ipv6 = readAddress(reader, 16);
  const lengthBytes = reader.uint8();
  // RFC 9000 §18.2: a server that uses connection IDs without length has none to give.
  if (lengthBytes < 1 || lengthBytes > 20 || reader.remaining !== lengthBytes + TOKEN_BYTES) {
    throw new TransportError(
      "TRANSPORT_PARAMETER_ERROR",
      "Cannot take preferred_address: its connection ID is malformed",
    );
  }
  return {
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    connectionId: reader.bytes(lengthBytes).slice(),
    statelessResetToken: reader.bytes(TOKEN_BYTES).slice(),
  };
}

/**
 * The address that a client on `base` may go on to, if there is one that it can reach.
 *
 * @param remote Of the handshake: who is elsewhere must not send us to our own machine (RFC 9000 §21.5.3).
 */
export function preferredFrom(preferred: PreferredAddresses, base: Base, remote: Address): Address | undefined {
  const address = base.local.family === 4 ? preferred.ipv4 : preferred.ipv6;
  if (address === undefined || address === remote) return undefined;
  const scope = scopeOf(address);
  if (scope === "unspecified" || scope === "multicast" || scope === "reserved") return undefined;
  return scope === "loopback" && scopeOf(remote) !== "loopback" ? undefined : address;
}

/** All zeros: there is none of that family. */
function readAddress(reader: Reader, hostBytes: 4 | 16): Address | undefined {
  const host = reader.bytes(hostBytes);
  const port = reader.uint16();
  return port === 0 || host.every((byte) => byte === 0) ? undefined : addressFromBytes(host.slice(), port);
}
