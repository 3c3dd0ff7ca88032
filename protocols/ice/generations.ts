/**
 * The credentials of an agent: those in use, those before the last restart, by which the path of then is still asked and
 * answered for (RFC 8445 §9), and those that the peer would restart with.
 *
 * @module
 */

import type { NotStun } from "../stun/layout.ts";
import type { StunMessage } from "../stun/npm_stun.ts";
import { integrityKeyOf, readRequest } from "./connectivity_check.ts";
import type { IceCredentials } from "./types.ts";

/** The peer restarts us no more often: its check is sent again, and then it may. */
export const MIN_RESTART_INTERVAL_MS = 1000;

/** Both sides' credentials from one restart to the next. */
export interface Generation {
  readonly local: IceCredentials;
  readonly localKey: Uint8Array;
  /** Until the peer's are known nothing is sent. */
  readonly remote: { readonly credentials: IceCredentials; readonly key: Uint8Array } | undefined;
}

/** An authentic request, and whose credentials it is for. */
export interface RequestOf {
  readonly ok: true;
  readonly message: StunMessage;
  readonly generation: Generation;
}

/**
 * Both sides' credentials, ready for use.
 *
 * @throws {RangeError} If our own are too short to be hard to guess (RFC 8445 §5.3).
 */
export function generationOf(local: IceCredentials, remote: IceCredentials | undefined): Generation {
  if (local.ufrag.length < 4 || local.password.length < 22) {
    throw new RangeError("Cannot start ICE: it takes a fragment of 4 and a password of 22 characters");
  }
  return {
    local,
    localKey: integrityKeyOf(local),
    remote: remote === undefined ? undefined : { credentials: remote, key: integrityKeyOf(remote) },
  };
}

/** Three at most: before, now, next. */
export class Generations {
  #current: Generation;
  #previous: Generation | undefined;
  #next: Generation | undefined;

  constructor(first: Generation) {
    this.#current = first;
  }

  get current(): Generation {
    return this.#current;
  }

  get previous(): Generation | undefined {
    return this.#previous;
  }

  get next(): Generation | undefined {
    return this.#next;
  }

  setRemote(credentials: IceCredentials): void {
    this.#current = generationOf(this.#current.local, credentials);
  }

  /** By a request with these the peer would restart. */
  expect(next: Generation): void {
    this.#next = next;
  }

  /** What was in use is what was before. */
  restart(generation: Generation): void {
    this.#previous = this.#current;
    this.#current = generation;
    this.#next = undefined;
  }

  /** Decodes a request for any of them. */
  read(datagram: Uint8Array): RequestOf | NotStun {
    const { local, localKey } = this.#current;
    const request = readRequest(datagram, local, localKey);
    if (request.ok) return { ...request, generation: this.#current };
    for (const generation of [this.#next, this.#previous]) {
      if (generation === undefined) continue;
      const other = readRequest(datagram, generation.local, generation.localKey);
      if (other.ok) return { ...other, generation };
    }
    return request;
  }
}
