/**
 * What both sides of `quic-native` tell QUIC, and which of its paths are relayed.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import type { TransportSettings } from "../protocols/quic/config.ts";
import type { Call } from "../signaling/machines.ts";
import type { Node } from "./traversal.ts";

/** As long as the secret of a ticket. */
const TOKEN_BYTES = 16;

/** Requests a listener takes in one round: each may cost nine small probes. */
const CONCURRENCY_LIMIT = 8;

/** Connections that look for a direct path, and tell each other where they come from. */
export function traversalSettings(node: Node): TransportSettings {
  return {
    ...node.quic,
    natTraversal: { concurrencyLimit: CONCURRENCY_LIMIT, rules: { allowLoopback: node.allowLoopback } },
    addressDiscovery: "reports and wants",
  };
}

/**
 * What the caller of a call through a hub shows in its Initials: both sides know the call's credentials, and nobody else.
 *
 * @returns 16 bytes.
 */
export function callToken(call: Call, side: "caller" | "listener"): Uint8Array {
  const [caller, listener] = side === "caller"
    ? [call.localCredentials, call.remoteCredentials]
    : [call.remoteCredentials, call.localCredentials];
  const text = `traverse 1 relayed call\0${caller.password}\0${listener.password}`;
  return sha256(new TextEncoder().encode(text)).subarray(0, TOKEN_BYTES);
}

/** Whether packets on the path pass through the relay: out of our tunnel, or to the peer's address there. */
export function isRelayedPath(
  { base, remote }: { readonly base: Base; readonly remote: Address },
  relayedAddress: Address | undefined,
): boolean {
  return base.kind === "tunnel" || remote === relayedAddress;
}
