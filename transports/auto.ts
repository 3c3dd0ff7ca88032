/**
 * The transport `auto`: `ice-then-quic` and `quic-native` at once, on the same sockets and for the same offer. The first
 * handshake to be complete is the session, for life; what the other attempt has found goes to it: paths that ICE has proved
 * are moved to, and the relay is the way back when a direct path is lost. It talks to peers of all three kinds, and without
 * a relay it is `ice-then-quic`, packet for packet.
 *
 * @module
 */

import { transportOfWays } from "./transport_of_ways.ts";
import type { TransportOfWays } from "./transport_of_ways.ts";

/** Makes the transport. */
export function auto(): TransportOfWays {
  return transportOfWays("auto", { ice: true, relayed: true });
}
