/**
 * The transport `ice-then-quic`: ICE finds a path over UDP, then QUIC dials on the same socket
 * (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import { transportOfWays } from "./transport_of_ways.ts";
import type { TransportOfWays } from "./transport_of_ways.ts";

/** Makes the transport. */
export function iceThenQuic(): TransportOfWays {
  return transportOfWays("ice-then-quic", { ice: true, relayed: false });
}
