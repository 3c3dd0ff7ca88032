/**
 * An ICE agent (RFC 8445) with one component, for host, server-reflexive and peer-reflexive candidates, with trickle
 * (RFC 8838) and regular nomination. This commit fixes the signatures; the engine follows.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../core/candidate.ts";
import type { Base, Datagram, Machine } from "../core/machine.ts";
import type { Random } from "../core/random.ts";
import type { IceConfig, IceCredentials, IceEvent, IceRole, PairReport, ValidPair } from "./types.ts";

/** What an agent starts from. */
export interface IceAgentOptions {
  readonly role: IceRole;
  readonly local: IceCredentials;
  /** May follow later by {@linkcode IceAgent.setRemoteCredentials}: requests that come before are remembered. */
  readonly remote?: IceCredentials;
  readonly now: number;
  readonly random: Random;
  readonly config?: Partial<IceConfig>;
}

/** One agent, one call, one component. */
export class IceAgent implements Machine<IceEvent> {
  readonly #options: IceAgentOptions;

  constructor(options: IceAgentOptions) {
    this.#options = options;
  }

  /** The fragment by which a Mux routes requests here. */
  get localUfrag(): string {
    return this.#options.local.ufrag;
  }

  get role(): IceRole {
    return this.#options.role;
  }

  /** The pair both sides agreed on. */
  get nominated(): ValidPair | undefined {
    return undefined;
  }

  /** Datagrams dropped, by reason. */
  get drops(): ReadonlyMap<string, number> {
    return new Map();
  }

  setRemoteCredentials(_credentials: IceCredentials, _now: number): void {}

  /** @param _options `preference`: local preference 0 to 65535 (RFC 8421); by default the first added is the best. */
  addLocalCandidate(_candidate: LocalCandidate, _now: number, _options: { readonly preference?: number } = {}): void {}

  /** Takes a candidate back that is no longer true. Pairs that were proved stay. */
  removeLocalCandidate(_candidate: LocalCandidate, _now: number): void {}

  endOfLocalCandidates(_now: number): void {}

  /** @returns Why it was refused, or `undefined`. */
  addRemoteCandidate(_candidate: RemoteCandidate, _now: number): string | undefined {
    return undefined;
  }

  endOfRemoteCandidates(_now: number): void {}

  /** Names the pair that QUIC uses; while we are the controlling side it is nominated as soon as it is valid. */
  nominate(_base: Base, _remote: Address, _now: number): void {}

  /** Something was sent on the nominated pair: no keep-alive is needed for a while. */
  noteSent(_now: number): void {}

  /** Whether a response with this transaction key (`transactionKey` of `stun/classify.ts`) belongs here. */
  ownsTransaction(_key: string): boolean {
    return false;
  }

  handleSocketError(
    _error: { readonly base: Base; readonly remote: Address | undefined; readonly code: string },
    _now: number,
  ): void {}

  /** What became of each pair, best first. */
  report(): readonly PairReport[] {
    return [];
  }

  handleDatagram(_datagram: Datagram, _now: number): void {}

  handleTimeout(_now: number): void {}

  pollTransmit(_now: number): Datagram | undefined {
    return undefined;
  }

  pollEvent(): IceEvent | undefined {
    return undefined;
  }

  pollTimeout(): number | undefined {
    return undefined;
  }
}
