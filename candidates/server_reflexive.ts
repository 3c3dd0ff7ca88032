/**
 * Server-reflexive candidates: what STUN servers see of each base (RFC 8445 §5.1.1.2). This commit fixes the signatures;
 * the machine follows.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";
import type { CandidateEvent, CandidateProvider } from "./provider.ts";

/** What {@linkcode serverReflexive} goes by. */
export interface ServerReflexiveOptions {
  /** Addresses, not names: names are resolved before. */
  readonly servers: readonly Address[];
  /** Time between two new transactions, Ta. @default {5} */
  readonly taMs?: number;
  /** Time between two questions that keep a mapping alive and tell when it changed; 0 asks once. @default {15000} */
  readonly keepaliveMs?: number;
}

/** The provider; its machine also takes servers that become known later. */
export interface ServerReflexiveProvider extends CandidateProvider {
  gather(
    bases: readonly Base[],
    context: { readonly now: number; readonly random: Random },
  ): ServerReflexiveMachine;
}

/** Asks every server of a base's family from that base. */
export class ServerReflexiveMachine implements Machine<CandidateEvent> {
  /** Asks these servers too: the hub named them. Known ones are passed over. */
  addServers(_servers: readonly Address[], _now: number): void {}

  /** Whether a response with this transaction key (`transactionKey` of `stun/classify.ts`) belongs here. */
  ownsTransaction(_key: string): boolean {
    return false;
  }

  handleDatagram(_datagram: Datagram, _now: number): void {}

  handleTimeout(_now: number): void {}

  pollTransmit(_now: number): Datagram | undefined {
    return undefined;
  }

  pollEvent(): CandidateEvent | undefined {
    return undefined;
  }

  pollTimeout(): number | undefined {
    return undefined;
  }
}

/** Asks STUN servers for the address they see. */
export function serverReflexive(_options: ServerReflexiveOptions): ServerReflexiveProvider {
  return { name: "srflx", gather: () => new ServerReflexiveMachine() };
}
