/**
 * What both sides of a call tell QUIC.
 *
 * @module
 */

import { sha256 } from "../protocols/crypto/hash.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { EndpointConfig, TransportSettings } from "../protocols/quic/config.ts";
import type { Call } from "../signaling/machines.ts";
import { allowsDirect, carriesData, withoutStreams } from "./relay_policy.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { Node } from "./traversal.ts";

/** As long as the secret of a ticket. */
const TOKEN_BYTES = 16;

/** Requests a listener takes in one round: each may cost nine small probes. */
const CONCURRENCY_LIMIT = 8;

/** Of any endpoint of the node's. */
export function endpointConfig(node: Node): EndpointConfig {
  return { ...DEFAULT_ENDPOINT_CONFIG, ...(node.sealing === undefined ? {} : { aead: node.sealing.aead }) };
}

/**
 * Of a listener: nobody is answered but whom an offer or a check has named, or who shows a token.
 *
 * @param mayMove Whether connections may look for other paths.
 */
export function listeningConfig(node: Node, mayMove: boolean): EndpointConfig {
  const transport = mayMove && allowsDirect(node.relayPolicy) ? traversalSettings(node) : node.quic;
  const tunnelTransport = relayedSettings(node);
  return {
    ...endpointConfig(node),
    admission: "listed",
    server: { tls: tlsSettings(node), transport, tunnelTransport },
  };
}

/** Of connections that begin at a relay. */
export function relayedSettings(node: Node): TransportSettings {
  const { relayPolicy } = node;
  const settings = allowsDirect(relayPolicy) ? traversalSettings(node) : node.quic;
  return carriesData(relayPolicy) ? settings : withoutStreams(settings);
}

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
