/**
 * The transport `quic-native`: the peers hold a QUIC connection through a relay at once, and it punches its own way to a
 * direct path (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import { DEFAULT_ENDPOINT_CONFIG } from "../protocols/quic/config.ts";
import type { CallerEvent, ListenerEvent } from "../signaling/machines.ts";
import { QuicNativeAccept } from "./quic_native_accept.ts";
import { QuicNativeDial } from "./quic_native_dial.ts";
import { traversalSettings } from "./quic_native_settings.ts";
import { tlsSettings } from "./tls_settings.ts";
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
        return new QuicNativeDial(NAME, target, shell);
      }),
    accept: (reception, node): TraversalShell<ListenerEvent> => {
      const [relay] = reception.relays;
      if (relay === undefined) throw new TypeError("Cannot listen with quic-native: name a relay");
      const config = {
        ...DEFAULT_ENDPOINT_CONFIG,
        admission: "listed" as const,
        server: { tls: tlsSettings(node), transport: traversalSettings(node) },
      };
      return new TraversalShell(node, reception.listener, config, (shell) => {
        return new QuicNativeAccept(NAME, reception, relay, shell);
      });
    },
  };
}
