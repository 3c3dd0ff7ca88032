/**
 * The transport `quic-native`: the peers hold a QUIC connection through a relay at once, and it punches its own way to a
 * direct path (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import { transportOfWays } from "./transport_of_ways.ts";
import type { TransportOfWays } from "./transport_of_ways.ts";

/** Makes the transport. */
export function quicNative(): TransportOfWays {
  return transportOfWays("quic-native", { ice: false, relayed: true });
}
