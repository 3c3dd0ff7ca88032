/**
 * How connections to a relay are set up, on both ends: large enough for what they carry.
 *
 * @module
 */

import { DEFAULT_TRANSPORT_SETTINGS, type TransportSettings } from "../quic/config.ts";
import type { Http3Options } from "../http3/config.ts";
import { DEFAULT_HTTP3_OPTIONS } from "../http3/config.ts";
import type { Http3ErrorName } from "../http3/errors.ts";

/** ALPN of HTTP/3: RFC 9114 §3.1. */
export const HTTP3_ALPN = "h3";

/**
 * UDP payload of the outer path: an Initial inside has 1200 bytes, and Quarter Stream ID, Context ID, address, frame, packet
 * and tag around it up to 66 (RFC 9298 §6.2).
 */
export const OUTER_UDP_PAYLOAD_BYTES = 1280;

/** Settings of the outer connection, as a client has them but for `keepAliveMs`; a proxy reports addresses instead. */
export const TUNNEL_TRANSPORT_SETTINGS: TransportSettings = Object.freeze({
  ...DEFAULT_TRANSPORT_SETTINGS,
  maxUdpPayloadBytes: OUTER_UDP_PAYLOAD_BYTES,
  // A path that carries less is found out by the first datagram, not by the first that matters.
  initialDatagramBytes: OUTER_UDP_PAYLOAD_BYTES,
  // Streams carry capsules of some bytes; content is in datagrams.
  connectionWindowBytes: 256 * 1024,
  maxConnectionWindowBytes: 1024 * 1024,
  streamWindowBytes: 128 * 1024,
  maxStreamWindowBytes: 512 * 1024,
  maxBidirectionalStreams: 16,
  maxUnidirectionalStreams: 8,
  // The socket of the tunnel is the one that others will be reached from.
  addressDiscovery: "wants",
});

/** How a proxy ends a tunnel whose key has opened another one, elsewhere: it is of no use to open it again. */
export const REPLACED_ERROR: Http3ErrorName = "H3_REQUEST_CANCELLED";

/** What a client says that keeps the mapping of its NAT: less than the 30 s that many have. */
export const TUNNEL_KEEP_ALIVE_MS = 15_000;

/** Settings of HTTP/3: heads are short. */
export const TUNNEL_HTTP3_OPTIONS: Http3Options = Object.freeze({
  ...DEFAULT_HTTP3_OPTIONS,
  maxFieldSectionBytes: 4096,
});
