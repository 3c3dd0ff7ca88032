/**
 * An ICE agent (RFC 8445) with one component, for host, server-reflexive and peer-reflexive candidates, with trickle
 * (RFC 8838) and regular nomination. It answers checks for as long as it is driven, also when it has failed or is done.
 *
 * Deviations:
 * - Candidates, pairs and checks may come before the peer's credentials: only sending checks waits for them.
 * - RTO grows with the checks under way but not with N, the number of all checks (RFC 8445 §14.3): "N" there multiplies
 *   the count with itself, and a lost check would be repeated after tens of seconds. RFC 5245 §16.1 had it as here.
 * - Consent (RFC 7675) is asked for only where it is wanted, and checks for it leave only where what runs over the path has
 *   been silent: its acknowledgements prove as much.
 * - Another pair may be nominated without a restart, as in RFC 5245 §8.1.1.1: checks of better pairs go on, and the
 *   controlling side names the one in use.
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
} from "./connectivity_check.ts";
import { Consent, type ConsentedPath } from "./consent.ts";
import { type Generation, generationOf, Generations, MIN_RESTART_INTERVAL_MS } from "./generations.ts";
import { Nomination } from "./nomination.ts";
import type { Pair } from "./pair.ts";
import { Pairing } from "./pairing.ts";
import { candidatePriority } from "./priority.ts";
import { describeFailure, impliedBy } from "./report.ts";
import { resolveConflict, RoleOfAgent } from "./role.ts";
import { DEFAULT_ICE_CONFIG } from "./types.ts";
import type { IceAgentOptions, IceConfig, IceCredentials, IceEvent, IceRole, PairReport, ValidPair } from "./types.ts";

/** Answers waiting to be sent at most; a request that finds the queue full is dropped, and comes again. */
export const MAX_QUEUED_ANSWERS = 32;

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
  readonly #generations: Generations;
  readonly #candidates: CandidateTable;
  readonly #checklist: Checklist;
  readonly #nomination: Nomination;
  readonly #checks = new ChecksInFlight();
  readonly #pairing: Pairing;
  readonly #answers: Datagram[] = [];
  readonly #events: IceEvent[] = [];
  readonly #drops = new Map<string, number>();
  #startedAt: number;
  readonly #role: RoleOfAgent;
  #state: State = { name: "checking" };
  /** Stays until another one is agreed on: RFC 8445 §9. */
  #selected: ValidPair | undefined;
  #consent: Consent | undefined;
  #isLocalComplete = false;
  #isRemoteComplete = false;
  #nextCheckAt: number;
  #lastSentAt = 0;

  /**
   * @throws {RangeError} If our own credentials are too short to be hard to guess (RFC 8445 §5.3), Ta is below 5 ms
   * (RFC 8445 §14.2) or keep-alives are closer than 15 s (RFC 8445 §11).
   */
  constructor(options: IceAgentOptions) {
    this.#generations = new Generations(generationOf(options.local, options.remote));
    this.#config = Object.freeze({ ...DEFAULT_ICE_CONFIG, ...options.config });
    if (!(this.#config.taMs >= 5)) throw new RangeError(`Cannot start ICE: taMs is below 5: ${this.#config.taMs}`);
    if (!(this.#config.keepaliveMs >= 15_000)) {
      throw new RangeError(`Cannot start ICE: keepaliveMs is below 15000: ${this.#config.keepaliveMs}`);
    }
    this.#random = options.random;
    this.#role = new RoleOfAgent(options.role, options.random);
    this.#candidates = new CandidateTable(this.#config);
    this.#checklist = new Checklist(options.role, this.#config.maxPairs);
    this.#pairing = new Pairing(this.#candidates, this.#checklist, this.#checks);
    this.#nomination = new Nomination(this.#config, this.#checklist);
    this.#startedAt = options.now;
    this.#nextCheckAt = options.now;
  }

  /** The fragment by which a Mux routes requests here. */
  get localUfrag(): string {
    return this.#generations.current.local.ufrag;
  }

  get role(): IceRole {
    return this.#role.role;
  }

  /** The pair both sides agreed on; after a restart the one of before, until there is another. */
  get nominated(): ValidPair | undefined {
    return this.#selected;
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
    return this.#checks.find(key) !== undefined || this.#consent?.owns(key) === true;
  }

  setRemoteCredentials(credentials: IceCredentials, _now: number): void {
    this.#generations.setRemote(credentials);
  }

  /**
   * Begins anew (RFC 8445 §9): all pairs of the candidates are checked again, with other credentials. The pair that was
   * agreed on stays, and is asked and answered for as before, until another one is.
   *
   * @throws {RangeError} If our own credentials are too short.
   */
  restart(credentials: { readonly local: IceCredentials; readonly remote: IceCredentials }, now: number): void {
    this.#restart(generationOf(credentials.local, credentials.remote), now);
  }

  /** The peer's first authentic check with these restarts us too (`restarted`). @throws {RangeError} As `restart` does. */
  expectRestart(credentials: { readonly local: IceCredentials; readonly remote: IceCredentials }): void {
    this.#generations.expect(generationOf(credentials.local, credentials.remote));
  }

  /** Nothing is sent on the path any more once the peer has consented to nothing for 30 s (RFC 7675 §5.1). */
  keepConsent(path: ConsentedPath, now: number): void {
    const known = this.#consent?.path;
    if (known?.base === path.base && known.remote === path.remote) return;
    this.#consent = new Consent(path, this.#random, now);
  }

  /** What is sent now is somebody else's care. */
  endConsent(): void {
    this.#consent = undefined;
  }

  /** Whether a check of ours has got through there, since the last restart. */
  isProved(base: Base, remote: Address): boolean {
    return this.#checklist.find(base, remote)?.state.name === "succeeded";
  }

  /** The best proved pair, if it is better than that of the path, or that is not proved. */
  betterThan(base: Base, remote: Address): ValidPair | undefined {
    const best = this.#checklist.bestSucceeded();
    const used = this.#checklist.find(base, remote);
    if (best === used || best?.state.name !== "succeeded") return undefined;
    return this.#checklist.isBehind(best, used) ? undefined : best.state.valid;
  }

  /** @param options `preference`: local preference 0 to 65535 (RFC 8421); by default the base that came first is the best. */
  addLocalCandidate(candidate: LocalCandidate, _now: number, options: { readonly preference?: number } = {}): void {
    const entry = this.#candidates.addLocal(candidate, options.preference);
    if (entry === undefined) return;
    this.#pairing.pairUp([entry], this.#candidates.remote);
    this.#pairing.dropUnfit();
    this.#revive();
  }

  /** Takes a candidate back that is no longer true. Pairs that were proved stay. */
  removeLocalCandidate(candidate: LocalCandidate, _now: number): void {
    const entry = this.#candidates.removeLocal(candidate);
    if (entry === undefined) return;
    this.#pairing.replace(entry);
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
    if (typeof remote === "string") {
      this.#drop(remote);
      return remote;
    }
    this.#pairing.pairUp(this.#candidates.local, [remote]);
    this.#pairing.dropUnfit();
    this.#revive();
    return undefined;
  }

  /** No remote candidate follows through signaling. */
  endOfRemoteCandidates(_now: number): void {
    this.#isRemoteComplete = true;
  }

  /**
   * Names the pair that QUIC uses; while we are the controlling side it is nominated as soon as it is valid. Another one may
   * be named later, and one that was never checked is.
   */
  nominate(base: Base, remote: Address, now: number): void {
    this.#nomination.want(base, remote);
    if (this.#state.name === "concluded" && this.#checklist.find(base, remote) === undefined) {
      const entry = this.#candidates.addPeerReflexive(remote, candidatePriority("prflx", 0));
      if (typeof entry !== "string") this.#checklist.add(this.#candidates.bestOf(base) ?? impliedBy(base), entry);
    }
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
    this.#checklist.retry(now, this.#config.keepTryingUntil);
    this.#considerNomination(now);
    this.#considerConsent(now);
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
    return this.#startConsentCheck(now) ?? this.#keepalive(now);
  }

  pollEvent(): IceEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    let at = Math.min(this.#checks.dueAt, this.#checklist.retryAt);
    if (this.#nextToCheck() !== undefined) at = Math.min(at, this.#nextCheckAt);
    if (this.#state.name === "concluded") at = Math.min(at, this.#lastSentAt + this.#config.keepaliveMs);
    else if (this.role === "controlling") at = Math.min(at, this.#nomination.dueAt ?? Infinity);
    at = Math.min(at, this.#failsAt() ?? Infinity, this.#consent?.dueAt ?? Infinity);
    return at === Infinity ? undefined : at;
  }

  // Sending checks

  #nextToCheck(): Pair | undefined {
    if (this.#generations.current.remote === undefined) return undefined;
    const next = this.#nomination.chosen ?? this.#checklist.next();
    if (next === undefined || this.#state.name !== "concluded") return next;
    if (next.isNominatedByPeer || this.#nomination.isWanted(next)) return next;
    return this.#checklist.isBehind(next, this.#state.pair) ? undefined : next;
  }

  /** RFC 8445 §6.1.4.2: at most one new check each Ta. */
  #startCheck(now: number): Datagram | undefined {
    const pair = this.#nextToCheck();
    if (pair === undefined) return undefined;
    const isNomination = pair === this.#nomination.chosen;
    const payload = this.#encodeCheck(this.#generations.current, pair, isNomination);
    if (payload === undefined) return undefined;
    const { keepTryingUntil, retryMs, requestCount, lastMultiplier } = this.#config;
    const config = keepTryingUntil !== undefined
      ? { rtoMs: retryMs, requestCount: 1, lastMultiplier: 1 }
      : { rtoMs: this.#rtoMs(), requestCount, lastMultiplier };
    const request: Datagram = { base: pair.base, remote: pair.remote.address, payload };
    const transaction = new Transaction(request, { now, config });
    this.#checklist.untrigger(pair);
    if (isNomination) this.#nomination.enterSent(pair);
    else pair.enterInProgress(transaction);
    this.#checks.add({ pair, transaction, role: this.role, isNomination });
    this.#nextCheckAt = now + this.#config.taMs;
    pair.requestsSent++;
    return transaction.pollTransmit(now);
  }

  /** @returns `undefined` while the peer's credentials are not known. */
  #encodeCheck({ local, remote }: Generation, pair: Pair | undefined, useCandidate: boolean): Uint8Array | undefined {
    if (remote === undefined) return undefined;
    return encodeCheck({
      transactionId: randomBytes(this.#random, TRANSACTION_ID_BYTES),
      local,
      remote: remote.credentials,
      remoteKey: remote.key,
      priority: candidatePriority("prflx", pair?.local.preference ?? 0),
      role: this.role,
      tiebreaker: this.#role.tiebreaker,
      useCandidate,
    });
  }

  /** Whose credentials the path in use is asked with: after a restart those of before, until another pair is agreed on. */
  get #agreed(): Generation {
    const { current, previous } = this.#generations;
    return this.#state.name === "concluded" ? current : previous ?? current;
  }

  /** RFC 7675 §5.1. */
  #startConsentCheck(now: number): Datagram | undefined {
    const consent = this.#consent;
    if (consent?.isCheckDue(now) !== true) return undefined;
    const { base, remote } = consent.path;
    const payload = this.#encodeCheck(this.#agreed, this.#checklist.find(base, remote), false);
    if (payload === undefined) return undefined;
    consent.onCheckSent(transactionKey(payload), now);
    return { base, remote, payload };
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
    const request = this.#generations.read(datagram.payload);
    if (!request.ok) return this.#drop(request.reason);
    const { message, generation } = request;
    const { base, remote } = datagram;
    if (generation === this.#generations.next) {
      if (now - this.#startedAt < MIN_RESTART_INTERVAL_MS) return this.#drop("restart too soon");
      this.#restart(generation, now);
    }
    try {
      const check = grantCheck(message);
      this.#repairRole(check);
      this.#answers.push({ base, remote, payload: encodeCheckSuccess(message, remote, generation.localKey) });
      // What is asked with the credentials of before is whether we are still there, and nothing else.
      if (generation === this.#generations.current) this.#learnFrom(check, base, remote, now);
    } catch (error) {
      if (!(error instanceof StunError)) throw error;
      this.#drop(error.message);
      this.#answers.push({ base, remote, payload: encodeCheckError(message, error, generation.localKey) });
    }
  }

  /** RFC 8445 §7.3.1.1. @throws {StunError} 487 if the peer has to change. */
  #repairRole(theirs: GrantedCheck): void {
    const outcome = resolveConflict(this.#role, theirs);
    if (outcome === "switch") this.#switchRole();
    if (outcome === "refuse") throw new StunError(STUN_ERROR_CODES.ROLE_CONFLICT, "check with our own role");
  }

  #switchRole(): void {
    this.#role.switch();
    this.#checklist.setRole(this.role);
    this.#nomination.reopen();
    this.#events.push({ type: "roleChanged", role: this.role });
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
    if (check.useCandidate && this.role === "controlled") pair.isNominatedByPeer = true;
    if (pair.state.name === "succeeded") {
      if (pair.isNominatedByPeer) this.#conclude(pair, pair.state.valid, { by: "peer", now });
      return;
    }
    if (this.#state.name === "concluded" && !pair.isNominatedByPeer) return;
    if (pair.state.name === "in-progress") pair.state.transaction.cancel();
    this.#checklist.trigger(pair);
    this.#revive();
  }

  /** RFC 8445 §7.2.5. */
  #handleResponse(datagram: Datagram, now: number): void {
    const key = transactionKey(datagram.payload);
    const check = this.#checks.find(key);
    const isConsent = this.#consent?.owns(key) === true;
    const { remote } = isConsent ? this.#agreed : this.#generations.current;
    if ((check === undefined && !isConsent) || remote === undefined) return this.#drop("response to nothing");
    const message = decodeStun(datagram.payload);
    if (!message.ok) return this.#drop(message.reason);
    // RFC 8489 §9.1.5: as if it had never come; the request is sent again.
    if (!isAuthentic(datagram.payload, message, remote.key)) return this.#drop("response not authentic");
    if (check === undefined) {
      const isGiven = message.class === "success" && this.#consent?.onAnswer(key, datagram) === true;
      return isGiven ? undefined : this.#drop("no consent");
    }
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
    if (check.role === this.role) {
      this.#role.renewTiebreaker(this.#random);
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
    this.#consent?.onProved(pair.base, pair.remote.address, now);
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

  /** With `keepTryingUntil` the pair comes again; a proved pair keeps what it has. */
  #fail(pair: Pair, reason: string, now: number): void {
    const { keepTryingUntil, retryMs } = this.#config;
    const mayRetry = keepTryingUntil !== undefined && now < keepTryingUntil && this.#state.name !== "concluded";
    if (!mayRetry) pair.enterFailed(reason, undefined);
    // A request that was waited for has taken its time already.
    else pair.enterFailed(reason, reason === "timeout" ? now : now + retryMs);
  }

  /** RFC 8445 §8.1.1: the controlling side nominates, and again only when another path is in use. */
  #considerNomination(now: number): void {
    if (this.role !== "controlling") return;
    this.#nomination.consider(now, this.#state.name === "concluded" ? this.#state.pair : undefined);
  }

  /** RFC 8445 §8.1.2: no other pair is needed any more, but that a better one may still be found. */
  #conclude(pair: Pair, valid: ValidPair, how: { readonly by: "us" | "peer"; readonly now: number }): void {
    for (const other of this.#checklist.pairs) if (other !== pair) other.isNominatedByPeer = false;
    if (this.#state.name === "concluded" && this.#state.pair === pair) return;
    this.#state = { name: "concluded", pair, valid };
    this.#selected = valid;
    this.#lastSentAt = how.now;
    for (const other of this.#checklist.pairs) {
      if (!other.isOpen || !this.#checklist.isBehind(other, pair)) continue;
      this.#checklist.untrigger(other);
      if (other.state.name === "in-progress") this.#checks.delete(other.state.transaction);
      other.enterFailed("another pair was nominated", undefined);
    }
    this.#events.push({ type: "nominated", pair: valid, by: how.by });
  }

  #considerConsent(now: number): void {
    const consent = this.#consent;
    if (consent === undefined) return;
    const { base, remote } = consent.path;
    if (consent.isExpired(now)) {
      this.#consent = undefined;
      this.#events.push({ type: "consentExpired", base, remote });
    } else if (consent.takeDoubt(now)) this.#events.push({ type: "consentInDoubt", base, remote });
    else if (consent.takeQuiet(now)) this.#events.push({ type: "consentQuiet", base, remote });
  }

  #restart(generation: Generation, now: number): void {
    this.#generations.restart(generation);
    this.#checks.clear();
    this.#checklist.clear();
    this.#nomination.restart();
    this.#candidates.forgetPeerReflexive(this.#selected?.remote);
    this.#state = { name: "checking" };
    this.#startedAt = now;
    this.#pairing.pairUp(this.#candidates.local, this.#candidates.remote);
    this.#events.push({ type: "restarted" });
  }

  /** When there is nothing left to hope for: RFC 8445 §8.1.2 with RFC 8838 §10 and RFC 8863 §4. */
  #failsAt(): number | undefined {
    if (this.#state.name !== "checking" || !this.#isLocalComplete || !this.#isRemoteComplete) return undefined;
    if (this.#generations.current.remote === undefined) return undefined;
    if (this.#checklist.pairs.some((pair) => pair.isOpen)) return undefined;
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

  /** There is something to try again. */
  #revive(): void {
    if (this.#state.name === "failed" && this.#checklist.pairs.some((pair) => pair.isOpen)) {
      this.#state = { name: "checking" };
    }
  }

  #drop(reason: string): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }
}
