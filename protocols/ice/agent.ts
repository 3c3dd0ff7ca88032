/**
 * An ICE agent (RFC 8445) with one component, for host, server-reflexive and peer-reflexive candidates, with trickle
 * (RFC 8838) and regular nomination. It answers checks for as long as it is driven, also when it has failed or is done.
 *
 * Deviations:
 * - Candidates, pairs and checks may come before the peer's credentials: only sending checks waits for them.
 * - RTO grows with the checks under way but not with N, the number of all checks (RFC 8445 §14.3): "N" there multiplies
 *   the count with itself, and a lost check would be repeated after tens of seconds. RFC 5245 §16.1 had it as here.
 * - No consent checks (RFC 7675): what runs over the pair is QUIC, whose acknowledgements prove that the peer consents.
 * - Failure is declared no earlier than one check takes (RFC 8863 §4), counted from the agent's start.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../core/candidate.ts";
import type { Base, Datagram, Machine } from "../core/machine.ts";
import { type Random, randomBytes } from "../core/random.ts";
import { isNoWay } from "../core/send_errors.ts";
import { isStun, stunClass, TRANSACTION_ID_BYTES, transactionKey } from "../stun/classify.ts";
import { STUN_ERROR_CODES, StunError } from "../stun/errors.ts";
import { decodeStun, isAuthentic, type StunMessage } from "../stun/npm_stun.ts";
import { Transaction } from "../stun/transaction.ts";
import { CandidateTable, type RemoteCandidateOptions } from "./candidate_table.ts";
import { Checklist } from "./checklist.ts";
import { type Check, ChecksInFlight, isCurrent } from "./checks_in_flight.ts";
import {
  encodeCheck,
  encodeCheckError,
  encodeCheckSuccess,
  encodeKeepalive,
  grantCheck,
  type GrantedCheck,
  integrityKeyOf,
  readRequest,
  resolveConflict,
} from "./connectivity_check.ts";
import { Nomination } from "./nomination.ts";
import type { LocalEntry, Pair } from "./pair.ts";
import { candidatePriority, foundationOf } from "./priority.ts";
import { DEFAULT_ICE_CONFIG } from "./types.ts";
import type { IceConfig, IceCredentials, IceEvent, IceRole, PairReport, ValidPair } from "./types.ts";

/** Answers waiting to be sent at most; a request that finds the queue full is dropped, and comes again. */
export const MAX_QUEUED_ANSWERS = 32;

/** What an agent starts from. */
export interface IceAgentOptions {
  readonly role: IceRole;
  readonly local: IceCredentials;
  /** May follow later by {@linkcode IceAgent.setRemoteCredentials}: what comes before is remembered. */
  readonly remote?: IceCredentials;
  readonly now: number;
  readonly random: Random;
  readonly config?: Partial<IceConfig>;
}

type State =
  | { readonly name: "checking" }
  | { readonly name: "failed" }
  | { readonly name: "concluded"; readonly pair: Pair; readonly valid: ValidPair };

/**
 * One agent, one call, one component.
 *
 * Commands: credentials, candidates, `nominate`. Each may be given at any time; the driver drains afterwards.
 */
export class IceAgent implements Machine<IceEvent> {
  readonly #config: IceConfig;
  readonly #random: Random;
  readonly #local: IceCredentials;
  readonly #localKey: Uint8Array;
  readonly #candidates: CandidateTable;
  readonly #checklist: Checklist;
  readonly #nomination: Nomination;
  readonly #checks = new ChecksInFlight();
  readonly #answers: Datagram[] = [];
  readonly #events: IceEvent[] = [];
  readonly #drops = new Map<string, number>();
  readonly #startedAt: number;
  #role: IceRole;
  #tiebreaker: Uint8Array;
  #remote: { readonly credentials: IceCredentials; readonly key: Uint8Array } | undefined;
  #state: State = { name: "checking" };
  #isLocalComplete = false;
  #isRemoteComplete = false;
  #nextCheckAt: number;
  #lastSentAt = 0;

  /**
   * @throws {RangeError} If our own credentials are too short to be hard to guess (RFC 8445 §5.3), Ta is below 5 ms
   * (RFC 8445 §14.2) or keep-alives are closer than 15 s (RFC 8445 §11).
   */
  constructor(options: IceAgentOptions) {
    const { ufrag, password } = options.local;
    if (ufrag.length < 4 || password.length < 22) {
      throw new RangeError("Cannot start ICE: it takes a fragment of 4 and a password of 22 characters");
    }
    this.#config = Object.freeze({ ...DEFAULT_ICE_CONFIG, ...options.config });
    if (!(this.#config.taMs >= 5)) throw new RangeError(`Cannot start ICE: taMs is below 5: ${this.#config.taMs}`);
    if (!(this.#config.keepaliveMs >= 15_000)) {
      throw new RangeError(`Cannot start ICE: keepaliveMs is below 15000: ${this.#config.keepaliveMs}`);
    }
    this.#random = options.random;
    this.#local = options.local;
    this.#localKey = integrityKeyOf(options.local);
    this.#role = options.role;
    this.#tiebreaker = randomBytes(options.random, 8);
    this.#candidates = new CandidateTable(this.#config);
    this.#checklist = new Checklist(options.role, this.#config.maxPairs);
    this.#nomination = new Nomination(this.#config, this.#checklist);
    this.#startedAt = options.now;
    this.#nextCheckAt = options.now;
    if (options.remote !== undefined) this.setRemoteCredentials(options.remote, options.now);
  }

  /** The fragment by which a Mux routes requests here. */
  get localUfrag(): string {
    return this.#local.ufrag;
  }

  get role(): IceRole {
    return this.#role;
  }

  /** The pair both sides agreed on. */
  get nominated(): ValidPair | undefined {
    return this.#state.name === "concluded" ? this.#state.valid : undefined;
  }

  /** Datagrams dropped, by reason. */
  get drops(): ReadonlyMap<string, number> {
    return this.#drops;
  }

  /** What became of each pair, best first. */
  report(): readonly PairReport[] {
    return this.#checklist.report(this.#state.name === "concluded" ? this.#state.pair : undefined);
  }

  /** Whether a response with this transaction key (`transactionKey` of `stun/classify.ts`) belongs here. */
  ownsTransaction(key: string): boolean {
    return this.#checks.find(key) !== undefined;
  }

  setRemoteCredentials(credentials: IceCredentials, _now: number): void {
    this.#remote = { credentials, key: integrityKeyOf(credentials) };
  }

  /** @param options `preference`: local preference 0 to 65535 (RFC 8421); by default the base that came first is the best. */
  addLocalCandidate(candidate: LocalCandidate, _now: number, options: { readonly preference?: number } = {}): void {
    const entry = this.#candidates.addLocal(candidate, options.preference);
    if (entry === undefined) return;
    for (const remote of this.#candidates.remote) {
      if (this.#candidates.mayPair(candidate.base, remote)) this.#checklist.add(entry, remote);
    }
    this.#dropUnfitPairs();
    this.#revive();
  }

  /** Takes a candidate back that is no longer true. Pairs that were proved stay. */
  removeLocalCandidate(candidate: LocalCandidate, _now: number): void {
    const entry = this.#candidates.removeLocal(candidate);
    if (entry === undefined) return;
    const instead = this.#candidates.bestOf(candidate.base);
    for (const pair of [...this.#checklist.pairs]) {
      if (pair.local !== entry) continue;
      if (instead !== undefined) pair.local = instead;
      else if (pair.state.name !== "succeeded") this.#removePair(pair);
    }
  }

  /** No local candidate follows. */
  endOfLocalCandidates(_now: number): void {
    this.#isLocalComplete = true;
  }

  /** @returns Why it was refused, or `undefined`. */
  addRemoteCandidate(
    candidate: RemoteCandidate,
    _now: number,
    options: RemoteCandidateOptions = {},
  ): string | undefined {
    const remote = this.#candidates.addRemote(candidate, options);
    if (typeof remote === "string") return remote;
    for (const local of this.#candidates.local) {
      if (this.#candidates.mayPair(local.candidate.base, remote)) this.#checklist.add(local, remote);
    }
    this.#dropUnfitPairs();
    this.#revive();
    return undefined;
  }

  /** No remote candidate follows through signaling. */
  endOfRemoteCandidates(_now: number): void {
    this.#isRemoteComplete = true;
  }

  /** Names the pair that QUIC uses; while we are the controlling side it is nominated as soon as it is valid. */
  nominate(base: Base, remote: Address, now: number): void {
    this.#nomination.want(base, remote);
    this.#considerNomination(now);
  }

  /** Something was sent on the nominated pair: no keep-alive is needed for a while. */
  noteSent(now: number): void {
    this.#lastSentAt = now;
  }

  /** A datagram could not be sent: a check there has failed for now, if the error is one that no stranger can cause. */
  handleSocketError(
    error: { readonly base: Base; readonly remote: Address | undefined; readonly code: string },
    now: number,
  ): void {
    if (error.remote === undefined || !isNoWay(error.code)) return;
    const pair = this.#checklist.find(error.base, error.remote);
    if (pair?.state.name !== "in-progress") return;
    this.#checks.delete(pair.state.transaction);
    const { keepTryingUntil, rtoMs, requestCount } = this.#config;
    if (keepTryingUntil !== undefined) return this.#fail(pair, error.code, now);
    // A cable that is plugged in again, a full table of a firewall: the pair comes back when its request would have.
    const mayRetry = pair.sendErrors < requestCount - 1;
    pair.enterFailed(error.code, mayRetry ? now + rtoMs * 2 ** pair.sendErrors++ : undefined);
  }

  handleDatagram(datagram: Datagram, now: number): void {
    if (!isStun(datagram.payload)) return this.#drop("not STUN");
    switch (stunClass(datagram.payload)) {
      case "request":
        return this.#handleRequest(datagram, now);
      case "success":
      case "error":
        return this.#handleResponse(datagram, now);
      case "indication":
        // A keep-alive asks for nothing: RFC 8445 §11.
        return;
    }
  }

  handleTimeout(now: number): void {
    for (let check = this.#checks.takeExpired(now); check !== undefined; check = this.#checks.takeExpired(now)) {
      if (check.isNomination) this.#nomination.reopen();
      if (isCurrent(check)) this.#fail(check.pair, "timeout", now);
    }
    const until = this.#config.keepTryingUntil;
    for (const pair of this.#checklist.pairs) {
      const { state } = pair;
      if (state.name !== "failed" || state.retryAt === undefined || now < state.retryAt) continue;
      if (until === undefined || now < until) pair.enterWaiting();
      else pair.enterFailed(state.reason, undefined);
    }
    this.#considerNomination(now);
    const failsAt = this.#failsAt();
    if (failsAt !== undefined && now >= failsAt) this.#declareFailure();
  }

  pollTransmit(now: number): Datagram | undefined {
    const answer = this.#answers.shift();
    if (answer !== undefined) return answer;
    const again = this.#checks.pollTransmit(now);
    if (again !== undefined) return again;
    if (now >= this.#nextCheckAt) {
      const request = this.#startCheck(now);
      if (request !== undefined) return request;
    }
    return this.#keepalive(now);
  }

  pollEvent(): IceEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    let at = this.#checks.dueAt;
    if (this.#nextToCheck() !== undefined) at = Math.min(at, this.#nextCheckAt);
    for (const { state } of this.#checklist.pairs) {
      if (state.name === "failed" && state.retryAt !== undefined) at = Math.min(at, state.retryAt);
    }
    if (this.#state.name === "concluded") at = Math.min(at, this.#lastSentAt + this.#config.keepaliveMs);
    else if (this.#role === "controlling") at = Math.min(at, this.#nomination.dueAt ?? Infinity);
    at = Math.min(at, this.#failsAt() ?? Infinity);
    return at === Infinity ? undefined : at;
  }

  // Sending checks

  #nextToCheck(): Pair | undefined {
    if (this.#remote === undefined || this.#state.name === "concluded") return undefined;
    return this.#nomination.chosen ?? this.#checklist.next();
  }

  /** RFC 8445 §6.1.4.2: at most one new check each Ta. */
  #startCheck(now: number): Datagram | undefined {
    const pair = this.#nextToCheck();
    if (pair === undefined || this.#remote === undefined) return undefined;
    const isNomination = pair === this.#nomination.chosen;
    const payload = encodeCheck({
      transactionId: randomBytes(this.#random, TRANSACTION_ID_BYTES),
      local: this.#local,
      remote: this.#remote.credentials,
      remoteKey: this.#remote.key,
      priority: candidatePriority("prflx", pair.local.preference),
      role: this.#role,
      tiebreaker: this.#tiebreaker,
      useCandidate: isNomination,
    });
    const { keepTryingUntil, retryMs, requestCount, lastMultiplier } = this.#config;
    const config = keepTryingUntil !== undefined
      ? { rtoMs: retryMs, requestCount: 1, lastMultiplier: 1 }
      : { rtoMs: this.#rtoMs(), requestCount, lastMultiplier };
    const request: Datagram = { base: pair.base, remote: pair.remote.address, payload };
    const transaction = new Transaction(request, { now, config });
    this.#checklist.untrigger(pair);
    if (isNomination) this.#nomination.enterSent(pair);
    else pair.enterInProgress(transaction);
    this.#checks.add({ pair, transaction, role: this.#role, isNomination });
    this.#nextCheckAt = now + this.#config.taMs;
    pair.requestsSent++;
    return transaction.pollTransmit(now);
  }

  /** RFC 8445 §14.3, but see the head of this file. */
  #rtoMs(): number {
    const pending = this.#checklist.count("waiting", "in-progress");
    return Math.max(this.#config.rtoMs, this.#config.taMs * pending);
  }

  #keepalive(now: number): Datagram | undefined {
    if (this.#state.name !== "concluded" || now < this.#lastSentAt + this.#config.keepaliveMs) return undefined;
    const { base, remote } = this.#state.valid;
    this.#lastSentAt = now;
    return { base, remote, payload: encodeKeepalive(randomBytes(this.#random, TRANSACTION_ID_BYTES)) };
  }

  // Receiving

  /** RFC 8445 §7.3. */
  #handleRequest(datagram: Datagram, now: number): void {
    if (this.#answers.length >= MAX_QUEUED_ANSWERS) return this.#drop("too many requests at once");
    const request = readRequest(datagram.payload, this.#local, this.#localKey);
    if (!request.ok) return this.#drop(request.reason);
    const { base, remote } = datagram;
    try {
      const check = grantCheck(request.message);
      this.#repairRole(check);
      this.#answers.push({ base, remote, payload: encodeCheckSuccess(request.message, remote, this.#localKey) });
      this.#learnFrom(check, base, remote, now);
    } catch (error) {
      if (!(error instanceof StunError)) throw error;
      this.#drop(error.message);
      this.#answers.push({ base, remote, payload: encodeCheckError(request.message, error, this.#localKey) });
    }
  }

  /** RFC 8445 §7.3.1.1. @throws {StunError} 487 if the peer has to change. */
  #repairRole(theirs: GrantedCheck): void {
    const outcome = resolveConflict({ role: this.#role, tiebreaker: this.#tiebreaker }, theirs);
    if (outcome === "switch") this.#switchRole();
    if (outcome === "refuse") throw new StunError(STUN_ERROR_CODES.ROLE_CONFLICT, "check with our own role");
  }

  #switchRole(): void {
    this.#role = this.#role === "controlling" ? "controlled" : "controlling";
    this.#checklist.setRole(this.#role);
    this.#nomination.reopen();
    this.#events.push({ type: "roleChanged", role: this.#role });
  }

  /** RFC 8445 §7.3.1.3 to §7.3.1.5: where the check came from is a candidate, and is checked in return. */
  #learnFrom(check: GrantedCheck, base: Base, source: Address, now: number): void {
    const remote = this.#candidates.addPeerReflexive(source, check.priority);
    if (typeof remote === "string") return this.#drop(remote);
    // A base that was never announced can still be reached, and stands for itself.
    const local = this.#candidates.bestOf(base) ?? impliedBy(base);
    const pair = this.#checklist.find(base, source) ?? this.#checklist.add(local, remote);
    if (pair === undefined) return this.#drop("too many pairs");
    if (pair.requestsReceived++ === 0) {
      this.#events.push({ type: "authenticatedCheck", base, remote: source, kind: "request", rttMs: undefined });
    }
    // RFC 8445 §7.3.1.5: only the controlling side nominates.
    if (check.useCandidate && this.#role === "controlled") pair.isNominatedByPeer = true;
    if (pair.state.name === "succeeded") {
      if (pair.isNominatedByPeer) this.#conclude(pair, pair.state.valid, { by: "peer", now });
      return;
    }
    if (this.#state.name === "concluded") return;
    if (pair.state.name === "in-progress") pair.state.transaction.cancel();
    this.#checklist.trigger(pair);
    this.#revive();
  }

  /** RFC 8445 §7.2.5. */
  #handleResponse(datagram: Datagram, now: number): void {
    const check = this.#checks.find(transactionKey(datagram.payload));
    if (check === undefined || this.#remote === undefined) return this.#drop("response to nothing");
    const message = decodeStun(datagram.payload);
    if (!message.ok) return this.#drop(message.reason);
    // RFC 8489 §9.1.5: as if it had never come; the request is sent again.
    if (!isAuthentic(datagram.payload, message, this.#remote.key)) return this.#drop("response not authentic");
    check.transaction.handleDatagram(datagram, now);
    const event = check.transaction.pollEvent();
    if (event?.type !== "response") return this.#drop("response to nothing");
    this.#checks.delete(check.transaction);
    const { pair } = check;
    if (check.isNomination) this.#nomination.reopen();
    if (message.class === "error") return this.#handleErrorResponse(check, message, now);
    // RFC 8445 §7.2.5.2.1: the response takes the way of the request, or the pair does not work.
    if (datagram.base !== pair.base || datagram.remote !== pair.remote.address) {
      return this.#fail(pair, `response from ${datagram.remote}`, now);
    }
    if (message.mappedAddress === undefined) return this.#fail(pair, "response without an address", now);
    this.#succeed(check, { mappedAddress: message.mappedAddress, rttMs: event.rttMs, now });
  }

  /** RFC 8445 §7.2.5.1, §7.2.5.2.4. */
  #handleErrorResponse(check: Check, message: StunMessage, now: number): void {
    const code = message.error?.code;
    if (code !== STUN_ERROR_CODES.ROLE_CONFLICT) return this.#fail(check.pair, `error ${code}`, now);
    // Several checks may be refused for one conflict: only one sent in the role we still have changes it.
    if (check.role === this.#role) {
      this.#tiebreaker = randomBytes(this.#random, 8);
      this.#switchRole();
    }
    if (check.pair.state.name !== "succeeded") this.#checklist.trigger(check.pair);
    this.#considerNomination(now);
  }

  /** RFC 8445 §7.2.5.3. */
  #succeed(
    check: Check,
    result: { readonly mappedAddress: Address; readonly rttMs: number | undefined; readonly now: number },
  ): void {
    const { pair } = check;
    const { mappedAddress, rttMs, now } = result;
    pair.rttMs = rttMs ?? pair.rttMs;
    if (pair.responsesReceived++ === 0) {
      const { base, remote: { address: remote } } = pair;
      this.#events.push({ type: "authenticatedCheck", base, remote, kind: "response", rttMs });
    }
    const valid: ValidPair = { base: pair.base, remote: pair.remote.address, mappedAddress, rttMs: pair.rttMs };
    if (pair.state.name !== "succeeded") {
      // The mapped address, if it is new, is a peer-reflexive candidate of ours: it makes no pair, for it stands for the base.
      pair.enterSucceeded(valid);
      this.#checklist.untrigger(pair);
      this.#checklist.unfreeze(pair.foundation);
      this.#nomination.noteValid(now);
      if (this.#state.name === "failed") this.#state = { name: "checking" };
      this.#events.push({ type: "valid", pair: valid });
    }
    if (check.isNomination && check.role === "controlling") this.#conclude(pair, valid, { by: "us", now });
    else if (pair.isNominatedByPeer) this.#conclude(pair, valid, { by: "peer", now });
    else this.#considerNomination(now);
  }

  // Outcome

  /** With `keepTryingUntil` the pair comes again; a proved pair keeps what it has. */
  #fail(pair: Pair, reason: string, now: number): void {
    const { keepTryingUntil, retryMs } = this.#config;
    if (keepTryingUntil === undefined || now >= keepTryingUntil) pair.enterFailed(reason, undefined);
    // A request that was waited for has taken its time already.
    else pair.enterFailed(reason, reason === "timeout" ? now : now + retryMs);
  }

  /** RFC 8445 §8.1.1: the controlling side nominates, once. */
  #considerNomination(now: number): void {
    if (this.#role === "controlling" && this.#state.name !== "concluded") this.#nomination.consider(now);
  }

  /** RFC 8445 §8.1.2: no other pair is needed any more. */
  #conclude(pair: Pair, valid: ValidPair, how: { readonly by: "us" | "peer"; readonly now: number }): void {
    if (this.#state.name === "concluded") return;
    this.#state = { name: "concluded", pair, valid };
    this.#lastSentAt = how.now;
    this.#checks.clear();
    this.#checklist.clearTriggered();
    for (const other of this.#checklist.pairs) {
      if (other.isOpen) other.enterFailed("another pair was nominated", undefined);
    }
    this.#events.push({ type: "nominated", pair: valid, by: how.by });
  }

  /** When there is nothing left to hope for: RFC 8445 §8.1.2 with RFC 8838 §10 and RFC 8863 §4. */
  #failsAt(): number | undefined {
    if (this.#state.name !== "checking" || !this.#isLocalComplete || !this.#isRemoteComplete) return undefined;
    if (this.#remote === undefined || this.#checklist.pairs.some((pair) => pair.isOpen)) return undefined;
    if (this.#checklist.count("succeeded") > 0) return undefined;
    const { rtoMs, requestCount, lastMultiplier, keepTryingUntil } = this.#config;
    const patienceMs = rtoMs * (2 ** (requestCount - 1) - 1 + lastMultiplier);
    return Math.max(this.#startedAt + patienceMs, keepTryingUntil ?? 0);
  }

  #declareFailure(): void {
    this.#state = { name: "failed" };
    const report = this.report();
    this.#events.push({ type: "failed", reason: describeFailure(report), report });
  }

  // Small things

  /** There is something to try again. */
  #revive(): void {
    if (this.#state.name === "failed" && this.#checklist.pairs.some((pair) => pair.isOpen)) {
      this.#state = { name: "checking" };
    }
  }

  /** Pairs that a later candidate has shown to be useless, and that proved nothing. */
  #dropUnfitPairs(): void {
    for (const pair of [...this.#checklist.pairs]) {
      if (pair.state.name === "succeeded" || this.#candidates.mayPair(pair.base, pair.remote)) continue;
      this.#removePair(pair);
    }
  }

  #removePair(pair: Pair): void {
    if (pair.state.name === "in-progress") this.#checks.delete(pair.state.transaction);
    this.#checklist.remove(pair);
  }

  #drop(reason: string): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }
}

/** One line for people. */
function describeFailure(report: readonly PairReport[]): string {
  if (report.length === 0) return "no candidate of the peer can be reached from an address of ours";
  const counts = new Map<string, number>();
  for (const { reason = "" } of report) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const reasons = [...counts].map(([reason, count]) => `${count} ${reason}`).join(", ");
  return `${report.length} pairs tried, none works: ${reasons}`;
}

/** What stands for a base that was never announced: not to be told to anyone, and the last choice. */
function impliedBy(base: Base): LocalEntry {
  const candidate: LocalCandidate = { type: "host", address: base.local, base };
  return { candidate, foundation: foundationOf(candidate), preference: 0, priority: candidatePriority("host", 0) };
}
