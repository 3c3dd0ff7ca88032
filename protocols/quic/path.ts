/**
 * One path: address validation, the limit on amplification, PATH_CHALLENGE and PATH_RESPONSE: RFC 9000 §8, §9. A path is a
 * base and a remote address. Which one carries the connection is in `paths.ts`; who may move it, in `migration.ts`.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { equalBytes } from "../core/bytes.ts";
import type { Base } from "../core/machine.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import type { PathMtu } from "./mtu.ts";

/** RFC 9000 §8.1: what may be sent to an address that is not validated, per byte received from it. */
const AMPLIFICATION_FACTOR = 3;
/** PATH_RESPONSEs that wait on a path; one more drops the oldest: the peer asks again. */
const MAX_PENDING_PATH_RESPONSES = 4;
/** Challenges that may still be answered: each retry has fresh data, RFC 9000 §8.2.1. */
const MAX_OUTSTANDING_CHALLENGES = 4;

/** A base and a remote address: what a path is. */
export interface PathKey {
  readonly base: Base;
  readonly remote: Address;
}

/** One path of a connection. */
export class Path implements PathKey {
  /** Number within the connection, never used again: packets remember it. */
  readonly id: number;
  readonly base: Base;
  readonly remote: Address;
  /** Whether we opened it: what we say there then is our own will and nobody else's. */
  readonly isOurs: boolean;
  /** Whether the application asked for validation and is owed the outcome. */
  isAsked = false;
  /** Whether the connection goes back here once it is validated: through a relay. */
  isWayBack = false;
  /** Whether a client is to move here once it is validated: RFC 9000 §9.6. */
  isPreferred = false;
  /** Whether NAT traversal has found it, and may find it again. */
  isFound = false;
  /** Of our connection IDs, the one that the peer's latest packet here was addressed to. */
  usedSequenceNumber = 0;
  /** When an authentic packet last came in here; kept up where NAT traversal is on. */
  heardAt = -Infinity;
  /** Since when it is in use, if it is. */
  usedSince = -Infinity;
  /** When it is given up, `undefined` if it is not: what was sent here may still be under way. */
  abandonAt: number | undefined;
  /** What is known of the datagram size that it carries, once it was in use. */
  mtu: PathMtu | undefined;
  /** Time there and back, as far as it was measured. */
  rttMs: number | undefined;
  /** When the newest challenge left here whose response has come: the peer was at the remote address then. */
  provenAt = -Infinity;
  #isValidated: boolean;
  #receivedBytes = 0;
  #sentBytes = 0;
  #outstanding: { readonly data: Uint8Array; readonly isFullSize: boolean; readonly sentAt: number }[] = [];
  #isChallengeDue = false;
  #isKeepAliveDue = false;
  #nextChallengeAt: number | undefined;
  #challengeIntervalMs = 0;
  #firstIntervalMs = 0;
  #timeoutMs = 0;
  #failsAt = 0;
  /** Whether something authentic came from there since validation began, or was last extended. */
  #isHeard = false;
  readonly #responses: Uint8Array[] = [];

  constructor(
    id: number,
    { base, remote }: PathKey,
    { isValidated, isOurs = false }: { readonly isValidated: boolean; readonly isOurs?: boolean },
  ) {
    this.id = id;
    this.base = base;
    this.remote = remote;
    this.isOurs = isOurs;
    this.#isValidated = isValidated;
  }

  /** Whether the peer is known to receive at the remote address: RFC 9000 §8. */
  get isValidated(): boolean {
    return this.#isValidated;
  }

  /** The peer's address is proven by other means than a challenge: RFC 9000 §8.1. */
  markValidated(): void {
    this.#isValidated = true;
    this.stopValidation();
  }

  /** Bytes that may be sent: without limit on a validated path and on our own, three times what was received on others. */
  get sendAllowanceBytes(): number {
    if (this.#isValidated || this.isOurs) return Infinity;
    return AMPLIFICATION_FACTOR * this.#receivedBytes - this.#sentBytes;
  }

  /** Counts a datagram as received, whether or not it could be read: RFC 9000 §8.1. */
  onReceived(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  /** Counts a datagram as sent. */
  onSent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Whether challenges are on their way. */
  get isValidating(): boolean {
    return this.#nextChallengeAt !== undefined;
  }

  /**
   * Starts to ask the peer whether it receives here: RFC 9000 §8.2.
   *
   * @param intervalMs Between challenges: a probe timeout of a new path.
   * @param timeoutMs When validation fails: RFC 9000 §8.2.4.
   */
  startValidation(timing: { readonly intervalMs: number; readonly timeoutMs: number }, now: number): void {
    this.#firstIntervalMs = timing.intervalMs;
    this.#timeoutMs = timing.timeoutMs;
    this.#beginRound(now);
  }

  /** An authentic packet came in on the path. */
  onHeard(): void {
    this.#isHeard = true;
  }

  /** When `onTimeout` has something to do, or `abandonAt` comes. */
  get timeoutAt(): number | undefined {
    if (this.#nextChallengeAt === undefined) return this.abandonAt;
    return Math.min(this.#nextChallengeAt, this.#failsAt, this.abandonAt ?? Infinity);
  }

  /**
   * Has the next challenge sent. Validation is not abandoned as long as the peer is heard on the path: RFC 9000 §8.2.4
   * leaves the time to us, and to go back to where nobody answers any more would help no one.
   *
   * @returns Whether validation failed.
   */
  onTimeout(now: number): boolean {
    if (this.#nextChallengeAt === undefined) return false;
    if (now >= this.#failsAt) {
      if (this.#isHeard && !this.#isValidated && !this.isAsked) {
        this.#beginRound(now);
        return false;
      }
      this.stopValidation();
      return true;
    }
    if (now >= this.#nextChallengeAt) {
      this.#isChallengeDue = true;
      // RFC 9000 §8.2.1: no more often than an Initial would be sent, so with its backoff.
      this.#challengeIntervalMs *= 2;
      this.#nextChallengeAt = now + this.#challengeIntervalMs;
    }
    return false;
  }

  /** Whether a PATH_CHALLENGE waits to be sent. */
  get isChallengeDue(): boolean {
    return this.#isChallengeDue;
  }

  /**
   * The data of the PATH_CHALLENGE that is now being sent: fresh each time, RFC 9000 §8.2.1.
   *
   * @param isFullSize Whether its datagram has 1200 bytes.
   */
  takeChallenge(random: Random, isFullSize: boolean, now: number): Uint8Array {
    this.#isChallengeDue = false;
    const data = randomBytes(random, 8);
    if (this.#outstanding.length === MAX_OUTSTANDING_CHALLENGES) this.#outstanding.shift();
    this.#outstanding.push({ data, isFullSize, sentAt: now });
    return data;
  }

  /** Whether the response answers a challenge of this path, which validates it: RFC 9000 §8.2.3. */
  onResponse(data: Uint8Array, now: number): boolean {
    const challenge = this.#outstanding.find((other) => equalBytes(other.data, data));
    if (challenge === undefined) return false;
    this.#isValidated = true;
    this.rttMs = now - challenge.sentAt;
    if (challenge.sentAt > this.provenAt) this.provenAt = challenge.sentAt;
    // RFC 9000 §8.2.1: the address is proven, that 1200 bytes get there is not: one more, now that nothing limits it.
    if (challenge.isFullSize) this.stopValidation();
    else this.#isChallengeDue = true;
    return true;
  }

  /** The peer sent a challenge on this path; the data is copied. */
  onChallenge(data: Uint8Array): void {
    if (this.#responses.length === MAX_PENDING_PATH_RESPONSES) this.#responses.shift();
    this.#responses.push(data.slice());
  }

  /** Whether a PATH_RESPONSE waits to be sent. */
  get isResponseDue(): boolean {
    return this.#responses.length > 0;
  }

  /** The data of the PATH_RESPONSE that is now being sent: once a challenge, RFC 9000 §8.2.2. */
  takeResponse(): Uint8Array | undefined {
    return this.#responses.shift();
  }

  /** A packet is to leave that says nothing, so that NATs on the way do not forget the path. */
  keepAlive(): void {
    this.#isKeepAliveDue = true;
  }

  /** A packet leaves here. @returns Whether `keepAlive` wanted one. */
  takeKeepAlive(): boolean {
    const isDue = this.#isKeepAliveDue;
    this.#isKeepAliveDue = false;
    return isDue;
  }

  /** Whether there is something to send that belongs on this path and no other. */
  get hasToSend(): boolean {
    return this.#isChallengeDue || this.#responses.length > 0 || this.#isKeepAliveDue;
  }

  /** Ends what is under way. */
  stopValidation(): void {
    this.#outstanding = [];
    this.#isChallengeDue = false;
    this.#nextChallengeAt = undefined;
  }

  #beginRound(now: number): void {
    this.#isHeard = false;
    this.#isChallengeDue = true;
    this.#challengeIntervalMs = this.#firstIntervalMs;
    this.#nextChallengeAt = now + this.#firstIntervalMs;
    this.#failsAt = now + this.#timeoutMs;
  }
}
