/**
 * Server-reflexive candidates: what STUN servers see of each base (RFC 8445 §5.1.1.2, RFC 8489), and keeping the mappings
 * behind them alive.
 *
 * Every base asks every server of its family, each in a transaction of its own, so that a server or a route that is dead
 * holds nothing up. Afterwards one server a base, the keeper, is asked again and again: that keeps the mapping alive and
 * tells when it has changed. A mapping that is the base's own address is no candidate (RFC 8445 §5.1.3), but is kept alive
 * all the same: there may be a firewall.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import { type Random, randomBytes } from "../protocols/core/random.ts";
import { isNoWay } from "../protocols/core/send_errors.ts";
import { isStun, TRANSACTION_ID_BYTES, transactionKey } from "../protocols/stun/classify.ts";
import { decodeStun, encodeStun } from "../protocols/stun/npm_stun.ts";
import { Transaction, type TransactionConfig } from "../protocols/stun/transaction.ts";
import type { CandidateEvent, CandidateMachine, CandidateProvider } from "./provider.ts";

/** Servers asked at most; further ones are passed over. */
export const MAX_SERVERS = 8;

/** Bases asked from at once, at most; further ones are passed over. */
export const MAX_BASES = 16;

/**
 * Requests to one server and how long the last is waited for: 0, 0.5, 1.5, 3.5 s, given up at 5.5 s. RFC 8489 §6.2.1 would
 * go on to 39.5 s; what is asked again later anyway need not.
 */
const REQUEST_COUNT = 4;
const LAST_MULTIPLIER = 4;

/** From one question to the same server to the next, however often somebody claims that the mapping has changed. */
const MIN_RECHECK_MS = 1000;

/** RFC 8445 §14.3. */
const MIN_RTO_MS = 500;

/** What {@linkcode serverReflexive} goes by. */
export interface ServerReflexiveOptions {
  /** Addresses, not names: names are resolved before. */
  readonly servers: readonly Address[];
  /** Time between two new transactions, Ta: RFC 8445 §14.2 allows no less than 5. @default {5} */
  readonly taMs?: number;
  /**
   * Time between two questions that keep a mapping alive; 0 asks once.
   *
   * @default {15000} Half of the 30 s after which many NATs forget (RFC 9000 §10.1.2).
   */
  readonly keepaliveMs?: number;
}

/** The provider; its machine also takes servers that become known later. */
export interface ServerReflexiveProvider extends CandidateProvider {
  gather(
    bases: readonly Base[],
    context: { readonly now: number; readonly random: Random },
  ): ServerReflexiveMachine;
}

/**
 * Asks STUN servers for the address they see.
 *
 * @throws {RangeError} If Ta is below 5 ms or the keep-alive interval below 1 s.
 */
export function serverReflexive(options: ServerReflexiveOptions): ServerReflexiveProvider {
  const { servers, taMs = 5, keepaliveMs = 15_000 } = options;
  if (!(taMs >= 5)) throw new RangeError(`Cannot ask STUN servers: taMs must be 5 or more: ${taMs}`);
  if (keepaliveMs !== 0 && !(keepaliveMs >= 1000)) {
    throw new RangeError(`Cannot ask STUN servers: keepaliveMs must be 0, or 1000 or more: ${keepaliveMs}`);
  }
  return {
    name: "srflx",
    gather: (bases, context) => new ServerReflexiveMachine(bases, { servers, taMs, keepaliveMs, ...context }),
  };
}

type QueryState =
  /** To be asked from `at` on, as soon as Ta allows. */
  | { readonly name: "due"; readonly at: number }
  | { readonly name: "asking"; readonly transaction: Transaction }
  | { readonly name: "resting" };

/** One base and one server. */
class Query {
  readonly own: OwnBase;
  readonly server: Address;
  state: QueryState;
  /** When it was asked last. */
  askedAt = -Infinity;
  /** What the server saw last. */
  mapped: Address | undefined;
  /** Whether it has ended for the first time. */
  isSettled = false;

  constructor(own: OwnBase, server: Address, now: number) {
    this.own = own;
    this.server = server;
    this.state = { name: "due", at: now };
  }
}

/** One base, what was found on it and who keeps it alive. */
interface OwnBase {
  readonly base: Base;
  readonly queries: Query[];
  readonly candidates: Map<Address, LocalCandidate>;
  keeper: Query | undefined;
}

/** Complete options of one machine. */
export interface ServerReflexiveContext {
  readonly servers: readonly Address[];
  readonly taMs: number;
  readonly keepaliveMs: number;
  readonly now: number;
  readonly random: Random;
}

/** Asks every server of a base's family from that base. */
export class ServerReflexiveMachine implements CandidateMachine {
  readonly #random: Random;
  readonly #taMs: number;
  readonly #keepaliveMs: number;
  #bases: OwnBase[] = [];
  readonly #servers = new Set<Address>();
  /** Server by server, so that the first one is asked from every base before the second from any. */
  #queries: Query[] = [];
  readonly #asking = new Map<string, Query>();
  readonly #events: CandidateEvent[] = [];
  #nextAt: number;
  #isDoneSaid = false;

  constructor(bases: readonly Base[], context: ServerReflexiveContext) {
    this.#random = context.random;
    this.#taMs = context.taMs;
    this.#keepaliveMs = context.keepaliveMs;
    this.#nextAt = context.now;
    for (const base of bases) this.#own(base);
    this.addServers(context.servers, context.now);
  }

  /** Asks from this base too. `done` comes again when all servers have answered it. */
  addBase(base: Base, now: number): void {
    this.#isDoneSaid = false;
    const own = this.#own(base);
    if (own !== undefined) { for (const server of this.#servers) this.#addQuery(own, server, now); }
    this.#sayDone();
  }

  /** Asks nothing from this base any more. */
  removeBase(base: Base): void {
    this.#bases = this.#bases.filter((own) => own.base !== base);
    this.#queries = this.#queries.filter(({ own }) => own.base !== base);
    for (const [key, { own }] of this.#asking) if (own.base === base) this.#asking.delete(key);
    this.#sayDone();
  }

  /** Asks these servers too: the hub named them. Known ones are passed over. `done` comes again when all have answered. */
  addServers(servers: readonly Address[], now: number): void {
    this.#isDoneSaid = false;
    for (const server of servers) {
      if (this.#servers.size >= MAX_SERVERS || this.#servers.has(server)) continue;
      this.#servers.add(server);
      for (const own of this.#bases) this.#addQuery(own, server, now);
    }
    this.#sayDone();
  }

  /** Asks the server that keeps the base's mapping alive now. */
  recheck(base: Base, now: number): void {
    const keeper = this.#bases.find((own) => own.base === base)?.keeper;
    if (keeper?.state.name !== "due") return;
    const { at } = keeper.state;
    keeper.state = { name: "due", at: Math.min(at, Math.max(now, keeper.askedAt + MIN_RECHECK_MS)) };
  }

  /** Whether a response with this transaction key (`transactionKey` of `stun/classify.ts`) belongs here. */
  ownsTransaction(key: string): boolean {
    return this.#asking.has(key);
  }

  /** A question could not be sent: the base has no way to that server. */
  handleSocketError(
    error: { readonly base: Base; readonly remote: Address | undefined; readonly code: string },
    now: number,
  ): void {
    if (!isNoWay(error.code)) return;
    for (const [key, query] of this.#asking) {
      if (query.own.base !== error.base || query.server !== error.remote) continue;
      this.#asking.delete(key);
      this.#fail(query, `STUN server ${query.server} cannot be reached: ${error.code}`, now);
    }
  }

  handleDatagram(datagram: Datagram, now: number): void {
    const { base, remote, payload } = datagram;
    if (!isStun(payload)) return;
    const key = transactionKey(payload);
    const query = this.#asking.get(key);
    // Whoever guesses 96 bits of a transaction ID must also forge the server's address.
    if (query === undefined || query.own.base !== base || query.server !== remote) return;
    const message = decodeStun(payload);
    if (!message.ok || query.state.name !== "asking") return;
    query.state.transaction.handleDatagram(datagram, now);
    if (query.state.transaction.isPending) return;
    this.#asking.delete(key);
    const { mappedAddress, error } = message;
    if (mappedAddress === undefined || message.class === "error") {
      this.#fail(query, `STUN server ${query.server} answers with error ${error?.code}`, now);
    } else if (!isCredible(mappedAddress, query)) {
      this.#fail(query, `STUN server ${query.server} tells an impossible address, ${mappedAddress}`, now);
    } else {
      this.#learn(query, mappedAddress, now);
    }
  }

  handleTimeout(now: number): void {
    for (const [key, query] of this.#asking) {
      if (query.state.name !== "asking") continue;
      query.state.transaction.handleTimeout(now);
      if (query.state.transaction.isPending) continue;
      this.#asking.delete(key);
      this.#fail(query, `STUN server ${query.server} does not answer`, now);
    }
  }

  pollTransmit(now: number): Datagram | undefined {
    for (const { state } of this.#asking.values()) {
      const request = state.name === "asking" ? state.transaction.pollTransmit(now) : undefined;
      if (request !== undefined) return request;
    }
    if (now < this.#nextAt) return undefined;
    const query = this.#nextDue();
    return query === undefined || dueAt(query) > now ? undefined : this.#ask(query, now);
  }

  pollEvent(): CandidateEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    let at = Infinity;
    for (const { state } of this.#asking.values()) {
      if (state.name === "asking") at = Math.min(at, state.transaction.pollTimeout() ?? Infinity);
    }
    const next = this.#nextDue();
    if (next !== undefined) at = Math.min(at, Math.max(this.#nextAt, dueAt(next)));
    return at === Infinity ? undefined : at;
  }

  #own(base: Base): OwnBase | undefined {
    if (base.kind !== "socket" || this.#bases.length >= MAX_BASES) return undefined;
    const own: OwnBase = { base, queries: [], candidates: new Map(), keeper: undefined };
    this.#bases.push(own);
    return own;
  }

  #addQuery(own: OwnBase, server: Address, now: number): void {
    if (!canReach(own.base, server)) return;
    const query = new Query(own, server, now);
    own.queries.push(query);
    this.#queries.push(query);
  }

  #nextDue(): Query | undefined {
    let next: Query | undefined;
    for (const query of this.#queries) {
      if (dueAt(query) < (next === undefined ? Infinity : dueAt(next))) next = query;
    }
    return next;
  }

  #ask(query: Query, now: number): Datagram | undefined {
    const payload = encodeStun({
      class: "request",
      transactionId: randomBytes(this.#random, TRANSACTION_ID_BYTES),
    });
    // RFC 8445 §14.3: what is asked at once must not come again all at once.
    const rtoMs = Math.max(MIN_RTO_MS, this.#taMs * this.#queries.length);
    const config: TransactionConfig = { rtoMs, requestCount: REQUEST_COUNT, lastMultiplier: LAST_MULTIPLIER };
    const request: Datagram = { base: query.own.base, remote: query.server, payload };
    const transaction = new Transaction(request, { now, config });
    query.state = { name: "asking", transaction };
    query.askedAt = now;
    this.#asking.set(transaction.key, query);
    this.#nextAt = now + this.#taMs;
    return transaction.pollTransmit(now);
  }

  #learn(query: Query, mapped: Address, now: number): void {
    const { own } = query;
    const before = query.mapped;
    query.mapped = mapped;
    own.keeper ??= query;
    this.#rest(query, now);
    if (before !== undefined && before !== mapped) this.#forget(own, query, now);
    if (mapped !== own.base.local && !own.candidates.has(mapped)) {
      const candidate: LocalCandidate = { type: "srflx", address: mapped, base: own.base, server: query.server };
      own.candidates.set(mapped, candidate);
      this.#events.push({ type: "candidate", candidate });
    }
    this.#settle(query);
  }

  /** The base's mapping has changed: nothing that was known before is true, and every server is asked anew. */
  #forget(own: OwnBase, teller: Query, now: number): void {
    for (const candidate of own.candidates.values()) this.#events.push({ type: "withdrawn", candidate });
    own.candidates.clear();
    for (const query of own.queries) {
      if (query === teller) continue;
      query.mapped = undefined;
      if (query.state.name !== "asking") query.state = { name: "due", at: now };
    }
  }

  #fail(query: Query, reason: string, now: number): void {
    const { own } = query;
    if (own.keeper === query) {
      // Another server that has answered takes over. Without one this one is asked on: its requests keep the mapping alive.
      const heir = own.queries.find((other) => other !== query && other.mapped !== undefined);
      if (heir !== undefined) {
        query.mapped = undefined;
        own.keeper = heir;
        if (heir.state.name !== "asking") heir.state = { name: "due", at: now };
      }
    }
    if (!query.isSettled) this.#events.push({ type: "error", base: own.base, reason });
    this.#rest(query, now);
    this.#settle(query);
  }

  /** The keeper is asked again after the interval; so is every server of a base that has no keeper. */
  #rest(query: Query, now: number): void {
    const { keeper } = query.own;
    const asksAgain = this.#keepaliveMs > 0 && (keeper === undefined || keeper === query);
    query.state = asksAgain ? { name: "due", at: now + this.#keepaliveMs } : { name: "resting" };
  }

  #settle(query: Query): void {
    query.isSettled = true;
    this.#sayDone();
  }

  #sayDone(): void {
    if (this.#isDoneSaid || this.#queries.some(({ isSettled }) => !isSettled)) return;
    this.#isDoneSaid = true;
    this.#events.push({ type: "done" });
  }
}

function dueAt(query: Query): number {
  return query.state.name === "due" ? query.state.at : Infinity;
}

/** Same family, and both on this machine or neither. */
function canReach(base: Base, server: Address): boolean {
  if (base.local.family !== server.family || server.port === 0) return false;
  return (scopeOf(base.local) === "loopback") === (scopeOf(server) === "loopback");
}

/** A server may say anything; what could never be our address is not passed on. */
function isCredible(mapped: Address, { own, server }: Query): boolean {
  if (mapped.family !== own.base.local.family) return false;
  switch (scopeOf(mapped)) {
    case "unspecified":
    case "multicast":
    case "reserved":
    case "link-local":
      return mapped === own.base.local;
    case "loopback":
      return scopeOf(server) === "loopback";
    case "private":
    case "shared":
    case "global":
      return true;
  }
}
