/**
 * What both sides of `quic-native` tell QUIC, and which of its paths are relayed.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { TransportSettings } from "../protocols/quic/config.ts";
import type { Node } from "./traversal.ts";

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

/** Whether packets on the path pass through the relay: out of our tunnel, or to the peer's address there. */
export function isRelayedPath(
  { base, remote }: { readonly base: Base; readonly remote: Address },
  relayedAddress: Address | undefined,
): boolean {
  return base.kind === "tunnel" || remote === relayedAddress;
}
