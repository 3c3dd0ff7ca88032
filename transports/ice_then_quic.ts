/**
 * The transport `ice-then-quic`: ICE finds a path over UDP, then QUIC dials on the same socket
 * (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import { IceThenQuicAccept } from "./ice_then_quic_accept.ts";
import { IceThenQuicDial } from "./ice_then_quic_dial.ts";
import type { Traversal } from "./traversal.ts";

const NAME = "ice-then-quic";

/** Makes the transport. */
export function iceThenQuic(): Traversal {
  return {
    name: NAME,
    dial: (target, node) => new IceThenQuicDial(NAME, target, node),
    accept: (reception, node) => new IceThenQuicAccept(NAME, reception, node),
  };
}
