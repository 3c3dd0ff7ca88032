/**
 * The transport `ice-then-quic`: ICE finds a path over UDP, then QUIC dials on the same socket
 * (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { EndpointConfig } from "../protocols/quic/config.ts";
import type { CallerEvent, ListenerEvent } from "../signaling/machines.ts";
import { IceThenQuicAccept } from "./ice_then_quic_accept.ts";
import { IceThenQuicDial } from "./ice_then_quic_dial.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { Node, Reception, Target, Traversal } from "./traversal.ts";
import { TraversalShell } from "./traversal_shell.ts";

const NAME = "ice-then-quic";

/** The transport, with what its machines count. */
export interface IceThenQuic extends Traversal {
  dial(target: Target, node: Node): TraversalShell<CallerEvent>;
  accept(reception: Reception, node: Node): TraversalShell<ListenerEvent>;
}

/** Makes the transport. */
export function iceThenQuic(): IceThenQuic {
  return {
    name: NAME,
    dial: (target, node) =>
      new TraversalShell(node, target.caller, DEFAULT_ENDPOINT_CONFIG, (shell) => {
        return new IceThenQuicDial(NAME, target, shell);
      }),
    accept: (reception, node) =>
      new TraversalShell(node, reception.listener, listeningConfig(node), (shell) => {
        return new IceThenQuicAccept(NAME, reception, shell);
      }),
  };
}

/** Nobody is answered but whom an offer or a check has named. */
function listeningConfig(node: Node): EndpointConfig {
  return {
    ...DEFAULT_ENDPOINT_CONFIG,
    admission: "listed",
    server: { tls: tlsSettings(node), transport: node.quic },
  };
}
