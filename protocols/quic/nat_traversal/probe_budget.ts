/**
 * What may be sent to addresses that nobody has proven, on the word of a peer. RFC 9000 §8 limits what follows a received
 * datagram; the first probe of NAT traversal follows none, and the drafts leave its limit open. So this budget is the limit
 * that RFC 9000 §8.2.1 speaks of: probes are small until something authentic has come from their target, and few.
 *
 * What belongs to the process is shared by all connections, so that several that name one target share what it may get:
 * {@linkcode ProbeBudget}. The rest belongs to each connection: {@linkcode ConnectionBudget}.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import { toHex } from "../../core/bytes.ts";

/** Limits of a process and of its connections. Bytes are of UDP payloads. */
export interface ProbeLimits {
  /** A target, which is an address and port, gets no more than this in `windowMs`, from all connections together. */
  readonly maxTargetBytes: number;
  /** All ports of one IPv4 address, or of one IPv6 prefix of 64 bits, together. */
  readonly maxHostBytes: number;
  /** All targets of the process together. */
  readonly maxProcessBytes: number;
  /** All targets of one connection together. */
  readonly maxConnectionBytes: number;
  /** What the four above are counted over. */
  readonly windowMs: number;
  /** What a server sends on a client's word, per byte it has received from the client, ever. */
  readonly amplificationFactor: number;
  /** Targets remembered; while all of them are within their window, others get nothing. */
  readonly maxTargets: number;
}

/** What holds where nothing is said. */
export const DEFAULT_PROBE_LIMITS: ProbeLimits = Object.freeze({
  // Twice the nine probes of a schedule, at 50 bytes: a second round may follow a first that failed.
  maxTargetBytes: 900,
  // Some forty peers behind one NAT that call at once. To a victim it is 2.4 kbit/s.
  maxHostBytes: 18_000,
  // 1.3 Mbit/s: about 22,000 probes a minute, enough for a peer that is called forty times a second.
  maxProcessBytes: 10_000_000,
  // Four rounds of eight requests.
  maxConnectionBytes: 16_000,
  windowMs: 60_000,
  // As RFC 9000 §8.1 has it for a single address; here it is over all of them.
  amplificationFactor: 3,
  maxTargets: 16_384,
});

interface Account {
  bytes: number;
  readonly windowEndsAt: number;
}

/** Accounts by name, each with a window of its own; the oldest first. */
class Accounts {
  readonly #accounts = new Map<string, Account>();
  readonly #maximum: number;
  readonly #windowMs: number;

  constructor(maximum: number, windowMs: number) {
    this.#maximum = maximum;
    this.#windowMs = windowMs;
  }

  get count(): number {
    return this.#accounts.size;
  }

  find(name: string, now: number): Account | undefined {
    const account = this.#accounts.get(name);
    return account !== undefined && account.windowEndsAt > now ? account : undefined;
  }

  /** The account of that name, a fresh one if there is none; `undefined` if there is no room for it. */
  open(name: string, now: number): Account | undefined {
    const known = this.find(name, now);
    if (known !== undefined) return known;
    this.#accounts.delete(name);
    // All windows are equally long, so they end in the order they began: amortised, one look for each account opened.
    for (const [other, { windowEndsAt }] of this.#accounts) {
      if (windowEndsAt > now) break;
      this.#accounts.delete(other);
    }
    if (this.#accounts.size >= this.#maximum) return undefined;
    const account = { bytes: 0, windowEndsAt: now + this.#windowMs };
    this.#accounts.set(name, account);
    return account;
  }

  delete(name: string): void {
    this.#accounts.delete(name);
  }
}

/** The budget of a process: its endpoint owns one and hands it to every connection. */
export class ProbeBudget {
  /** What it was made with. */
  readonly limits: ProbeLimits;
  readonly #targets: Accounts;
  readonly #hosts: Accounts;
  #processBytes = 0;
  #processWindowEndsAt = -Infinity;

  /** Makes a budget of which nothing is spent. */
  constructor(limits: ProbeLimits = DEFAULT_PROBE_LIMITS) {
    this.limits = limits;
    this.#targets = new Accounts(limits.maxTargets, limits.windowMs);
    this.#hosts = new Accounts(limits.maxTargets, limits.windowMs);
  }

  /** Targets remembered. */
  get targets(): number {
    return this.#targets.count;
  }

  /** Takes `bytes` for a probe to `target`. @returns Whether it may be sent; if not, nothing was taken. */
  take(target: Address, bytes: number, now: number): boolean {
    const { maxTargetBytes, maxHostBytes, maxProcessBytes, windowMs } = this.limits;
    if (now >= this.#processWindowEndsAt) {
      this.#processBytes = 0;
      this.#processWindowEndsAt = now + windowMs;
    }
    if (this.#processBytes + bytes > maxProcessBytes) return false;
    const host = this.#hosts.open(hostOf(target), now);
    if (host === undefined || host.bytes + bytes > maxHostBytes) return false;
    const account = this.#targets.open(target.toString(), now);
    if (account === undefined || account.bytes + bytes > maxTargetBytes) return false;
    this.#processBytes += bytes;
    host.bytes += bytes;
    account.bytes += bytes;
    return true;
  }

  /**
   * The target has answered a challenge, so it wants what it gets: what was counted against it is forgiven. A packet from
   * there is not enough, be it authentic: who asks for probes may write any source address on its own packets.
   */
  onProven(target: Address): void {
    this.#targets.delete(target.toString());
  }
}

/** An IPv6 host has a whole /64 to take its addresses from. */
function hostOf({ family, host, bytes }: Address): string {
  return family === 4 ? host : toHex(bytes.subarray(0, 8));
}

/** The budget of one connection, which asks the one of its process too. */
export class ConnectionBudget {
  readonly #shared: ProbeBudget;
  readonly #amplificationFactor: number;
  #windowBytes = 0;
  #windowEndsAt = -Infinity;
  #totalBytes = 0;

  /** @param isAsked Whether we probe because the peer asks us to, so that what it has sent is the measure. */
  constructor(shared: ProbeBudget, isAsked: boolean) {
    this.#shared = shared;
    this.#amplificationFactor = isAsked ? shared.limits.amplificationFactor : Infinity;
  }

  /** Takes `bytes` for a probe to `target`. @returns Whether it may be sent. */
  take(target: Address, bytes: number, receivedBytes: number, now: number): boolean {
    const { maxConnectionBytes, windowMs } = this.#shared.limits;
    if (now >= this.#windowEndsAt) {
      this.#windowBytes = 0;
      this.#windowEndsAt = now + windowMs;
    }
    if (this.#windowBytes + bytes > maxConnectionBytes) return false;
    if (this.#totalBytes + bytes > this.#amplificationFactor * receivedBytes) return false;
    if (!this.#shared.take(target, bytes, now)) return false;
    this.#windowBytes += bytes;
    this.#totalBytes += bytes;
    return true;
  }

  /** As {@linkcode ProbeBudget.onProven}. */
  onProven(target: Address): void {
    this.#shared.onProven(target);
  }
}
