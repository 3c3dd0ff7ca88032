/**
 * The STUN server of a service (RFC 8489 §13): answers Binding requests on the bases it is given, so many a second for one
 * source, and counts the rest. Where it has others besides, clients can find out how their NAT behaves (RFC 5780 §6).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../protocols/core/machine.ts";
import type { ChangeRequest } from "../protocols/stun/npm_stun.ts";
import { respondToBinding } from "../protocols/stun/server.ts";
import type { StunOrigins } from "../protocols/stun/server.ts";
import { RateLimiter, sourceOf } from "../signaling/rate_limit.ts";

/** Answers a second to one source, and at once: an ICE agent asks a few times from each of its bases. */
export const ANSWERS_PER_SECOND = 50;
export const ANSWER_BURST = 100;

/** Addresses whose rate is remembered: the one unused for longest makes room. */
const MAX_TRACKED_SOURCES = 10_000;

/** Answers that wait for the socket, at most: beyond, requests are dropped, and asked again. */
export const MAX_QUEUED_ANSWERS = 256;

/** Things a STUN server counts, by the name they have in the metrics. */
export type StunCounter = "answers" | "ignored" | "dropped_rate" | "dropped_queue";

/** Two ports of one host, or of two, that answer for each other: RFC 5780 §6.1. The second host may be missing. */
export interface StunGroup {
  /** [primary port, alternate port] of each host. */
  readonly hosts: readonly (readonly [Base, Base])[];
}

/** Answers Binding requests. */
export class StunServer implements Machine<never> {
  readonly #rate = new RateLimiter<string>({
    perSecond: ANSWERS_PER_SECOND,
    burst: ANSWER_BURST,
    maxKeys: MAX_TRACKED_SOURCES,
  });
  readonly #counters = new Map<StunCounter, number>();
  readonly #answers: Datagram[] = [];
  readonly #bases = new Map<Address, Base>();
  readonly #origins = new Map<Base, StunOrigins>();

  /** @param groups Bases that answer for each other; any others answer for themselves. */
  constructor(groups: readonly StunGroup[] = []) {
    for (const { hosts } of groups) {
      for (const base of hosts.flat()) {
        this.#bases.set(base.local, base);
        this.#origins.set(base, originsOf(base, hosts));
      }
    }
  }

  /** How often each thing happened. */
  get counters(): ReadonlyMap<StunCounter, number> {
    return this.#counters;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    const { base, remote, payload } = datagram;
    if (this.#answers.length >= MAX_QUEUED_ANSWERS) {
      this.#count("dropped_queue");
      return;
    }
    if (!this.#rate.take(sourceOf(remote), now)) {
      this.#count("dropped_rate");
      return;
    }
    const answer = respondToBinding(payload, remote, base.local, this.#origins.get(base));
    if (answer === undefined) {
      this.#count("ignored");
      return;
    }
    this.#count("answers");
    this.#answers.push({ base: this.#bases.get(answer.origin) ?? base, remote, payload: answer.payload });
  }

  handleTimeout(_now: number): void {
    // A server has no timers: who asks repeats the question (RFC 8489 §6.3.1).
  }

  pollTransmit(_now: number): Datagram | undefined {
    return this.#answers.shift();
  }

  pollEvent(): undefined {
    return undefined;
  }

  pollTimeout(): undefined {
    return undefined;
  }

  #count(counter: StunCounter): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + 1);
  }
}

function originsOf(base: Base, hosts: StunGroup["hosts"]): StunOrigins {
  const own = hosts.findIndex((ports) => ports.includes(base));
  const port = hosts[own]?.[0] === base ? 0 : 1;
  const at = (hostIndex: number, portIndex: 0 | 1): Address | undefined => hosts[hostIndex]?.[portIndex].local;
  const otherPort = port === 0 ? 1 : 0;
  const otherHost = hosts.length > 1 ? 1 - own : undefined;
  return {
    other: at(otherHost ?? own, otherPort) ?? base.local,
    changed: (change: ChangeRequest): Address | undefined => {
      const host = change.host ? otherHost : own;
      return host === undefined ? undefined : at(host, change.port ? otherPort : port);
    },
  };
}
