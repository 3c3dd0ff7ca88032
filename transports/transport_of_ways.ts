/**
 * Transports made of ways: `ice-then-quic` has the one, `quic-native` the other, `auto` both. What they share, sockets,
 * endpoint, gathering and dialogue, is in `traversal_shell.ts`; what a call is on either side, in `dial_call.ts` and
 * `accept_calls.ts`.
 *
 * @module
 */

import type { CallerEvent, ListenerEvent } from "../signaling/machines.ts";
import { AcceptCalls } from "./accept_calls.ts";
import { DialCall } from "./dial_call.ts";
import { IceAcceptWay } from "./ice_accept_way.ts";
import { IceDialWay } from "./ice_dial_way.ts";
import { endpointConfig, listeningConfig } from "./quic_settings.ts";
import { RelayedAcceptWay } from "./relayed_accept_way.ts";
import { RelayedDialWay } from "./relayed_dial_way.ts";
import { allowsDirect, allowsRelays, goesBack } from "./relay_policy.ts";
import type { Node, Reception, RelayPolicy, Target, Traversal } from "./traversal.ts";
import { TraversalShell } from "./traversal_shell.ts";

/** Which ways a transport has. */
export interface Ways {
  /** Checks pairs of addresses, then dials where a check got through. */
  readonly ice: boolean;
  /** Dials an address at a relay, and finds its way off the relay while data flows. */
  readonly relayed: boolean;
}

/** Such a transport, with what its machines count. */
export interface TransportOfWays extends Traversal {
  dial(target: Target, node: Node): TraversalShell<CallerEvent>;
  accept(reception: Reception, node: Node): TraversalShell<ListenerEvent>;
}

/** Makes a transport. */
export function transportOfWays(name: string, ways: Ways): TransportOfWays {
  return {
    name,
    dial: (target, node): TraversalShell<CallerEvent> => {
      const { ice, relayed } = waysUnder(name, ways, node.relayPolicy);
      const mayGoBack = relayed && goesBack(node.relayPolicy);
      return new TraversalShell(node, target.caller, endpointConfig(node), (shell) => {
        return new DialCall(target, shell, (call) => [
          ...(ice ? [new IceDialWay(target, shell, call, mayGoBack)] : []),
          ...(relayed ? [new RelayedDialWay(target, shell, call)] : []),
        ]);
      });
    },
    accept: (reception, node): TraversalShell<ListenerEvent> => {
      const { ice, relayed } = waysUnder(name, ways, node.relayPolicy);
      return new TraversalShell(node, reception.listener, listeningConfig(node, relayed), (shell) => {
        return new AcceptCalls(reception, shell, (calls) => [
          ...(ice ? [new IceAcceptWay(reception, shell, calls)] : []),
          ...(relayed ? [new RelayedAcceptWay(reception, shell, calls)] : []),
        ]);
      });
    },
  };
}

/** The ways that a relay policy leaves. @throws {TypeError} If it leaves none. */
function waysUnder(name: string, { ice, relayed }: Ways, policy: RelayPolicy): Ways {
  const left = { ice: ice && allowsDirect(policy), relayed: relayed && allowsRelays(policy) };
  if (left.ice || left.relayed) return left;
  throw new TypeError(
    `Cannot use ${name} under the relay policy ${policy}: choose another transport, or another policy`,
  );
}
