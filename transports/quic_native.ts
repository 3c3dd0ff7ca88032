/**
 * The transport `quic-native`: the peers hold a QUIC connection through a relay at once, and it punches its own way to a
 * direct path (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { CallerEvent, ListenerEvent } from "../signaling/machines.ts";
import { AcceptCalls } from "./accept_calls.ts";
import { DialCall } from "./dial_call.ts";
import { listeningConfig, traversalSettings } from "./quic_settings.ts";
import { RelayedAcceptWay } from "./relayed_accept_way.ts";
import { RelayedDialWay } from "./relayed_dial_way.ts";
import type { Node, Reception, Target, Traversal } from "./traversal.ts";
import { TraversalShell } from "./traversal_shell.ts";

const NAME = "quic-native";

/** The transport, with what its machines count. */
export interface QuicNative extends Traversal {
  dial(target: Target, node: Node): TraversalShell<CallerEvent>;
  accept(reception: Reception, node: Node): TraversalShell<ListenerEvent>;
}

/** Makes the transport. */
export function quicNative(): QuicNative {
  return {
    name: NAME,
    dial: (target, node): TraversalShell<CallerEvent> =>
      new TraversalShell(node, target.caller, DEFAULT_ENDPOINT_CONFIG, (shell) => {
        return new DialCall(target, shell, (call) => [new RelayedDialWay(target, shell, call)]);
      }),
    accept: (reception, node): TraversalShell<ListenerEvent> =>
      new TraversalShell(node, reception.listener, listeningConfig(node, traversalSettings(node)), (shell) => {
        return new AcceptCalls(reception, shell, (calls) => [new RelayedAcceptWay(reception, shell, calls)]);
      }),
  };
}
