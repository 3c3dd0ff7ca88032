/**
 * Which transport a call uses, of those that were given, and whether that goes with what relays may be used for.
 *
 * @module
 */

import { RELAY_POLICIES } from "./traversal.ts";
import type { RelayPolicy, Traversal } from "./traversal.ts";

const [ICE, RELAYED] = ["ice-then-quic", "quic-native"] as const;

/** What was said of transports and relays. */
interface Given {
  readonly transports?: readonly (string | Traversal)[];
  readonly relay?: RelayPolicy;
}

/**
 * The one transport of several.
 *
 * @param context `both` makes the transport that is `ice-then-quic` and `quic-native` at once; `names` are told in messages.
 * @throws {TypeError} If it has to be one, or does not go with the policy.
 */
export function chooseTransport(
  given: readonly Traversal[],
  context: { readonly both: () => Traversal; readonly policy: RelayPolicy; readonly names: readonly string[] },
): Traversal {
  const { both, policy, names } = context;
  const isBoth = given.length === 2 && [ICE, RELAYED].every((name) => given.some((it) => it.name === name));
  const transport = isBoth ? both() : given[0];
  if (transport === undefined || (given.length > 1 && !isBoth)) {
    throw new TypeError(
      `Cannot use ${given.length} transports: give exactly one, or ${ICE} and ${RELAYED}; registered are ${
        names.join(", ")
      }`,
    );
  }
  if (!RELAY_POLICIES.includes(policy)) {
    throw new TypeError(`Cannot use relay policy "${policy}": there are ${RELAY_POLICIES.join(", ")}`);
  }
  if ((transport.name === ICE && policy === "required") || (transport.name === RELAYED && policy === "never")) {
    throw new TypeError(`Cannot use ${transport.name} under the relay policy ${policy}: leave one of them out`);
  }
  return transport;
}

/** A relay is going to be contacted. @throws {TypeError} If none may be. */
export function checkRelay({ relay }: Given): void {
  if (relay === "never") {
    throw new TypeError("Cannot use a relay under the relay policy never: leave the policy out, or the relay");
  }
}

/** One side has its address at a relay. @throws {TypeError} If the chosen transport has no use for it. */
export function checkRelayedAddress(given: Given): void {
  checkRelay(given);
  const names = (given.transports ?? []).map((chosen) => typeof chosen === "string" ? chosen : chosen.name);
  if (names.length === 1 && names[0] === ICE) {
    throw new TypeError(`Cannot use ${ICE} through a relay: leave the transport out, or give ${RELAYED}`);
  }
}
