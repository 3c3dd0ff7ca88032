/**
 * One call's ICE agent, on either side: made from the call's credentials, fed with candidates as they trickle
 * (RFC 8445, RFC 8838).
 *
 * @module
 */

import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import { IceAgent } from "../protocols/ice/agent.ts";
import type { IceEvent, IceRole, PairReport } from "../protocols/ice/types.ts";
import type { Call } from "../signaling/machines.ts";
import type { SocketError } from "../io/host.ts";
import type { Mux, Port } from "./mux.ts";
import type { Node } from "./traversal.ts";

/** Requests in one check: with the RTO of RFC 8445 §14.3 they leave at 0, 0.5, 1.5, 3.5 and 7.5 s. */
const CHECK_REQUEST_COUNT = 5;

/** The last request is waited for this many RTOs, so that a check that has failed is known within 9 s. */
const CHECK_LAST_MULTIPLIER = 3;

/** An agent attached to a mux for the time of a call. */
export class IceCall {
  readonly #mux: Mux;
  readonly #node: Node;
  readonly #agent: IceAgent;
  readonly #port: Port;

  /**
   * @param options `patient`: checks are repeated until the call expires, because the peer starts when a person has pasted.
   * @param handle Gets the agent's events while the mux settles.
   */
  constructor(
    mux: Mux,
    node: Node,
    call: Call,
    options: { readonly role: IceRole; readonly patient: boolean; readonly now: number },
    handle: (event: IceEvent, now: number) => void,
  ) {
    this.#mux = mux;
    this.#node = node;
    this.#agent = new IceAgent({
      role: options.role,
      local: { ufrag: call.localCredentials.usernameFragment, password: call.localCredentials.password },
      remote: { ufrag: call.remoteCredentials.usernameFragment, password: call.remoteCredentials.password },
      now: options.now,
      random: node.random,
      config: {
        taMs: call.taMs,
        requestCount: CHECK_REQUEST_COUNT,
        lastMultiplier: CHECK_LAST_MULTIPLIER,
        allowLoopback: node.allowLoopback,
        // QUIC's own keep-alive holds the mapping of the pair it uses: indications would be sent twice as often for nothing.
        keepaliveMs: Infinity,
        keepTryingUntil: options.patient ? call.expiresAt : undefined,
      },
    });
    this.#port = mux.attach(this.#agent, handle);
    mux.routeUsername(this.#agent.localUfrag, this.#port);
  }

  addLocal(candidates: readonly LocalCandidate[], now: number): void {
    for (const candidate of candidates) {
      const rank = this.#node.bases.indexOf(candidate.base);
      // RFC 8421 §4: the order of the bases is the order of preference.
      this.#agent.addLocalCandidate(candidate, now, { preference: 65535 - Math.max(0, rank) });
    }
    this.#port.wake();
  }

  removeLocal(candidate: LocalCandidate, now: number): void {
    this.#agent.removeLocalCandidate(candidate, now);
    this.#port.wake();
  }

  endOfLocal(now: number): void {
    this.#agent.endOfLocalCandidates(now);
    this.#port.wake();
  }

  addRemote(candidates: readonly RemoteCandidate[], now: number): void {
    for (const candidate of candidates) this.#agent.addRemoteCandidate(candidate, now);
    this.#port.wake();
  }

  /** Names the pair that QUIC uses. */
  nominate(base: Base, remote: Address, now: number): void {
    this.#agent.nominate(base, remote, now);
    this.#port.wake();
  }

  handleSocketError(error: SocketError, now: number): void {
    this.#agent.handleSocketError(error, now);
    this.#port.wake();
  }

  report(): readonly PairReport[] {
    return this.#agent.report();
  }

  /** The call is over: checks are neither sent nor answered any more. */
  stop(): void {
    this.#mux.detach(this.#port);
  }
}
