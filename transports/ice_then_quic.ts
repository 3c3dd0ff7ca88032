/**
 * The transport `ice-then-quic`: ICE finds a path over UDP, then QUIC dials on the same socket
 * (draft-seemann-quic-nat-traversal-02 §3).
 *
 * @module
 */

import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { CallerEvent, ListenerEvent } from "../signaling/machines.ts";
import { AcceptCalls } from "./accept_calls.ts";
import { DialCall } from "./dial_call.ts";
import { IceAcceptWay } from "./ice_accept_way.ts";
import { IceDialWay } from "./ice_dial_way.ts";
import { listeningConfig } from "./quic_settings.ts";
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
    dial: (target, node): TraversalShell<CallerEvent> =>
      new TraversalShell(node, target.caller, DEFAULT_ENDPOINT_CONFIG, (shell) => {
        return new DialCall(target, shell, (call) => [new IceDialWay(target, shell, call)]);
      }),
    accept: (reception, node): TraversalShell<ListenerEvent> =>
      new TraversalShell(node, reception.listener, listeningConfig(node, node.quic), (shell) => {
        return new AcceptCalls(reception, shell, (calls) => [new IceAcceptWay(reception, shell, calls)]);
      }),
  };
}
