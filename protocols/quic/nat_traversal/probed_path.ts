/**
 * One path that is being probed: when to ask, what was asked, what was answered. First small datagrams at short intervals, as
 * the first packet through a pair of NATs is often lost and nothing is known of the address; once it has answered, datagrams
 * of 1200 bytes (RFC 9000 §8.2.1). This is the only file that assigns the state of a path.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import { equalBytes } from "../../core/bytes.ts";
import type { Base } from "../../core/machine.ts";
import { randomBytes } from "../../core/random.ts";
import type { Random } from "../../core/random.ts";

/** Small probes of one schedule. */
export const PROBE_TRIES = 9;
/** From the first to the second; then each wait is as long as all before together, up to the limit. */
export const FIRST_PROBE_INTERVAL_MS = 33;
export const MAX_PROBE_INTERVAL_MS = 2000;
/** How long after the last probe an answer may come. */
export const PROBE_LINGER_MS = 2000;
/** Probes of 1200 bytes, and the shortest wait between the first two; it doubles up to `MAX_PROBE_INTERVAL_MS`. */
export const SIZING_TRIES = 5;
export const MIN_SIZING_INTERVAL_MS = 50;
/** RFC 9002 §6.2.1 with one sample: smoothed RTT, and four times half of it. */
const SIZING_INTERVAL_RTTS = 3;

/** PATH_RESPONSEs that wait on a path; one more drops the oldest: the peer asks again. */
const MAX_PENDING_RESPONSES = 4;
/** Challenges that may still be answered. */
const MAX_OUTSTANDING_CHALLENGES: number = PROBE_TRIES + SIZING_TRIES;

/** A small probe at most: short header, connection ID and packet number at their longest, tag, PATH_CHALLENGE. */
export const SMALL_PROBE_BYTES: number = 1 + 20 + 4 + 16 + 9;
/** One more frame of that kind in it. */
const SECOND_FRAME_BYTES = 9;
/** RFC 9000 §8.2.1. */
export const FULL_PROBE_BYTES = 1200;
/** RFC 9000 §8: what may be sent to an unproven address per byte received from it. */
const AMPLIFICATION_FACTOR = 3;

/** When the small probes of a schedule leave, counted from its start: 0, 33, 66, 132, ... 2112, 4112 ms. */
export const PROBE_OFFSETS_MS: readonly number[] = probeOffsets();

function probeOffsets(): readonly number[] {
  const offsets = [0];
  for (let at = FIRST_PROBE_INTERVAL_MS; offsets.length < PROBE_TRIES; at += Math.min(at, MAX_PROBE_INTERVAL_MS)) {
    offsets.push(at);
  }
  return offsets;
}

/** Where a path is in its life. */
export type ProbedPathState =
  /** Small probes are sent until one is answered. */
  | { readonly name: "probing"; readonly startedAt: number; readonly tries: number; readonly nextAt: number }
  /** The address has answered; whether 1200 bytes get there is being asked. */
  | { readonly name: "sizing"; readonly rttMs: number; readonly tries: number; readonly nextAt: number }
  /** 1200 bytes got there and back. */
  | { readonly name: "sized"; readonly rttMs: number }
  /** Nothing was answered, or nothing of 1200 bytes. */
  | { readonly name: "failed"; readonly reason: "no answer" | "too narrow" | "no way" };

/** What `onTimeout` and `onResponse` may change. */
export type ProbedPathChange = "answered" | "sized" | "failed";

/** Decides whether a small probe to an address that has not answered may be sent, and counts it. */
export type TakeBudget = (remote: Address, bytes: number) => boolean;

/** What a path has to send in one datagram. */
export interface PathProbe {
  readonly response: Uint8Array | undefined;
  readonly challenge: Uint8Array | undefined;
  readonly isFullSize: boolean;
  /** What it counts for: a small one at its longest. */
  readonly bytes: number;
}

interface Challenge {
  readonly data: Uint8Array;
  readonly sentAt: number;
  readonly isFullSize: boolean;
}

/** A path that is probed. */
export class ProbedPath {
  /** Never used again within the connection. */
  readonly id: number;
  readonly base: Base;
  readonly remote: Address;
  /** Whether a probe has left, so that a connection ID of the peer serves the path. */
  hasStarted = false;
  /** Whether it has something to send and no connection ID to send it to; it is asked again when there may be one. */
  isBlocked = false;
  #state: ProbedPathState;
  #outstanding: Challenge[] = [];
  readonly #responses: Uint8Array[] = [];
  /** The peer has just been heard here, so that a challenge goes along with the answer. */
  #isTriggered = false;
  #receivedBytes = 0;
  /** Of what was received: what was sent because of it. */
  #returnedBytes = 0;

  constructor(id: number, base: Base, remote: Address, now: number) {
    this.id = id;
    this.base = base;
    this.remote = remote;
    this.#state = { name: "probing", startedAt: now, tries: 0, nextAt: now };
  }

  get state(): ProbedPathState {
    return this.#state;
  }

  /** Whether the peer has answered from here. */
  get isAnswered(): boolean {
    return this.#state.name === "sizing" || this.#state.name === "sized";
  }

  /** Time there and back, once the peer has answered. */
  get rttMs(): number | undefined {
    return this.#state.name === "sizing" || this.#state.name === "sized" ? this.#state.rttMs : undefined;
  }

  /** When there is something to do, be it to send, 0 being at once; `undefined` if only the peer can change that. */
  get dueAt(): number | undefined {
    if (this.isBlocked) return this.#state.name === "probing" ? failsAt(this.#state) : undefined;
    if (this.#responses.length > 0 || this.#isTriggered) return 0;
    return this.#state.name === "probing" || this.#state.name === "sizing" ? this.#state.nextAt : undefined;
  }

  /** Whether `take` may have something. */
  hasToSend(now: number): boolean {
    if (this.#responses.length > 0 || this.#isTriggered) return true;
    return this.#isChallengeDue(now);
  }

  /** Ends what has waited long enough. */
  onTimeout(now: number): ProbedPathChange | undefined {
    const state = this.#state;
    if (state.name === "probing" && now >= failsAt(state)) return this.#fail("no answer");
    if (state.name === "sizing" && state.tries === SIZING_TRIES && now >= state.nextAt) return this.#fail("too narrow");
    return undefined;
  }

  /** What leaves now; `undefined` if nothing may. A probe without budget counts as tried: its time is over. */
  take(random: Random, budget: TakeBudget, now: number): PathProbe | undefined {
    const isDue = this.#isChallengeDue(now);
    const isChallenged = this.#isTriggered || isDue;
    const response = this.#responses.shift();
    this.#isTriggered = false;
    if (isDue) this.#countTry(now);
    if (response === undefined && !isChallenged) return undefined;
    const isFullSize = this.isAnswered || this.#returnableBytes >= FULL_PROBE_BYTES;
    const smallBytes = SMALL_PROBE_BYTES + (response !== undefined && isChallenged ? SECOND_FRAME_BYTES : 0);
    const bytes = isFullSize ? FULL_PROBE_BYTES : smallBytes;
    if (!this.isAnswered) {
      if (this.#returnableBytes >= bytes) this.#returnedBytes += bytes;
      // RFC 9000 §8.2.2: the answer, too, has to be allowed; without it the peer repeats what it asked.
      else if (!budget(this.remote, bytes)) return undefined;
    }
    this.hasStarted = true;
    const challenge = isChallenged ? this.#challenge(random, isFullSize, now) : undefined;
    return { response, challenge, isFullSize, bytes };
  }

  /** The peer has sent PATH_CHALLENGE here; the data is copied. */
  onChallenge(data: Uint8Array, bytes: number, now: number): void {
    if (this.#state.name === "failed") this.restart(now);
    this.#receivedBytes += bytes;
    if (this.#responses.length === MAX_PENDING_RESPONSES) this.#responses.shift();
    this.#responses.push(data.slice());
    if (this.isAnswered) return;
    // Whoever is heard can be reached now, as the NAT in between has let the peer in: do not wait for the next turn.
    this.#isTriggered = true;
  }

  /**
   * PATH_RESPONSE with data of this path's. One that took another way back proves nothing here, see `prober.ts`.
   *
   * @returns What has changed, `undefined` if nothing has; `false` if it is not an answer to this path's challenges.
   */
  onResponse(data: Uint8Array, bytes: number, now: number): ProbedPathChange | undefined | false {
    const challenge = this.#outstanding.find((other) => equalBytes(other.data, data));
    if (challenge === undefined) return false;
    this.#receivedBytes += bytes;
    const state = this.#state;
    if (state.name === "sized") return undefined;
    const rttMs = state.name === "sizing" ? state.rttMs : now - challenge.sentAt;
    if (challenge.isFullSize) {
      this.#enterSized(rttMs);
      return "sized";
    }
    if (state.name === "sizing") return undefined;
    this.#state = { name: "sizing", rttMs, tries: 0, nextAt: now };
    return "answered";
  }

  /** Whether the data is of a challenge sent here. */
  hasChallenged(data: Uint8Array): boolean {
    return this.#outstanding.some((other) => equalBytes(other.data, data));
  }

  /** Begins again with small probes: what has answered once may be somebody else's by now. Late answers still count. */
  restart(now: number): void {
    this.#state = { name: "probing", startedAt: now, tries: 0, nextAt: now };
    this.#receivedBytes = 0;
    this.#returnedBytes = 0;
  }

  /** Our host has no way there. */
  onUnreachable(): ProbedPathChange | undefined {
    return this.#state.name === "failed" ? undefined : this.#fail("no way");
  }

  get #returnableBytes(): number {
    return AMPLIFICATION_FACTOR * this.#receivedBytes - this.#returnedBytes;
  }

  #isChallengeDue(now: number): boolean {
    const state = this.#state;
    switch (state.name) {
      case "probing":
        return state.tries < PROBE_TRIES && now >= state.nextAt;
      case "sizing":
        return state.tries < SIZING_TRIES && now >= state.nextAt;
      case "sized":
      case "failed":
        return false;
    }
  }

  #countTry(now: number): void {
    const state = this.#state;
    if (state.name === "probing") {
      const tries = Math.min(state.tries + 1, PROBE_TRIES);
      // One that is late does not make the next one early.
      const nextAt = tries === PROBE_TRIES
        ? failsAt(state)
        : Math.max(state.startedAt + (PROBE_OFFSETS_MS[tries] ?? 0), now + FIRST_PROBE_INTERVAL_MS);
      this.#state = { ...state, tries, nextAt };
    } else if (state.name === "sizing") {
      const firstMs = Math.max(SIZING_INTERVAL_RTTS * state.rttMs, MIN_SIZING_INTERVAL_MS);
      const intervalMs = Math.min(firstMs * 2 ** state.tries, MAX_PROBE_INTERVAL_MS);
      this.#state = { ...state, tries: state.tries + 1, nextAt: now + intervalMs };
    }
  }

  #challenge(random: Random, isFullSize: boolean, now: number): Uint8Array {
    const data = randomBytes(random, 8); // RFC 9000 §8.2.1: unpredictable, and new each time.
    if (this.#outstanding.length === MAX_OUTSTANDING_CHALLENGES) this.#outstanding.shift();
    this.#outstanding.push({ data, sentAt: now, isFullSize });
    return data;
  }

  #enterSized(rttMs: number): void {
    this.#state = { name: "sized", rttMs };
    this.#isTriggered = false;
  }

  #fail(reason: "no answer" | "too narrow" | "no way"): ProbedPathChange {
    this.#state = { name: "failed", reason };
    this.#isTriggered = false;
    this.#responses.length = 0;
    return "failed";
  }
}

function failsAt({ startedAt }: { readonly startedAt: number }): number {
  return startedAt + (PROBE_OFFSETS_MS[PROBE_TRIES - 1] ?? 0) + PROBE_LINGER_MS;
}
