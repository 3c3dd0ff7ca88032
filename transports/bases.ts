/**
 * Which sockets a node opens, in which order it prefers them (RFC 8445 §5.1.1.1, RFC 8421 §4), and how they follow the
 * addresses of the machine. The sockets of a wildcard address, opened where interfaces may not be listed, follow by
 * themselves: the system chooses their source address anew for each packet, which peers see as a NAT rebinding.
 *
 * @module
 */

import type { Chore } from "../io/driver.ts";
import type { Host, NetworkInterface, SocketError } from "../io/host.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";
import { isNoWay } from "../protocols/core/send_errors.ts";

/** Sockets at most: a machine with many virtual interfaces would otherwise ask every server from each of them. */
export const MAX_BASES = 8;

/** How often the addresses of the machine are compared with the sockets. */
export const COMPARE_INTERVAL_MS = 2000;

/** When the system refuses to send they are compared at once, but not sooner after the last time than this. */
export const MIN_COMPARE_INTERVAL_MS = 100;

/** What {@linkcode bindBases} goes by. */
export interface BaseOptions {
  /** Only loopback, and nothing else: for demonstrations and tests on one machine. */
  readonly loopbackOnly: boolean;
}

/**
 * Binds one UDP socket on each useful interface address, most preferred first. Where the host cannot tell its interfaces,
 * one socket on every address of the machine.
 *
 * @throws {Error} If no socket at all can be bound; the message says what failed.
 */
export function bindBases(host: Host, options: BaseOptions): readonly Base[] {
  const addresses = usefulAddresses(host, options);
  if (addresses.length === 0) addresses.push(addressOf(options.loopbackOnly ? "127.0.0.1" : "0.0.0.0", 0));
  const bases: Base[] = [];
  let lastError: unknown;
  for (const address of addresses.slice(0, MAX_BASES)) {
    try {
      bases.push(host.bind(addressOf(address.host, 0)));
    } catch (error) {
      // An address that has just gone away, or one the system will not give us: the others serve.
      lastError = error;
    }
  }
  if (bases.length > 0) return bases;
  const reason = lastError instanceof Error ? lastError.message : String(lastError);
  throw new Error(`Cannot open a UDP socket: ${reason}`, { cause: lastError });
}

/** Who is told of sockets that come and go: a traversal's machine. */
export interface BaseUser {
  /** @param rank Place among the bases, most preferred first. */
  addBase(base: Base, now: number, rank: number): void;
  /** Its address is gone: nothing that is sent there arrives. The socket is closed afterwards. */
  removeBase(base: Base, now: number): void;
}

/**
 * The sockets of one node, which follow the addresses of its machine: a driver's chore.
 *
 * New addresses get a socket each. A socket whose address has vanished is taken away as soon as there is an address to go on
 * with; while there is none all stay, because the same addresses may come back, and with them the mappings of NATs.
 */
export class NodeBases implements Chore {
  readonly #host: Host;
  readonly #options: BaseOptions;
  #bases: readonly Base[];
  #user: BaseUser | undefined;
  #comparedAt: number;
  #dueAt: number;

  /** Binds as {@linkcode bindBases} does. @throws {Error} As that. */
  constructor(host: Host, options: BaseOptions) {
    this.#host = host;
    this.#options = options;
    this.#bases = bindBases(host, options);
    this.#comparedAt = host.now();
    this.#dueAt = this.#comparedAt + COMPARE_INTERVAL_MS;
  }

  /** Those there are, most preferred first. */
  get all(): readonly Base[] {
    return this.#bases;
  }

  /** Names who is told from now on. */
  attach(user: BaseUser): void {
    this.#user = user;
  }

  get dueAt(): number {
    return this.#dueAt;
  }

  /** Compares. Nothing happens where nothing has changed, or the host does not tell its addresses. */
  run(now: number): void {
    this.#comparedAt = now;
    this.#dueAt = now + COMPARE_INTERVAL_MS;
    const present = usefulAddresses(this.#host, this.#options);
    const kept = this.#bases.filter(({ local }) => present.some(({ host }) => host === local.host));
    const added: Base[] = [];
    for (const address of present) {
      if (kept.length + added.length >= MAX_BASES) break;
      const base = kept.some(({ local }) => local.host === address.host) ? undefined : this.#bind(address);
      if (base !== undefined) added.push(base);
    }
    const rankOf = ({ local }: Base): number => present.findIndex(({ host }) => host === local.host);
    const bound = [...kept, ...added].sort((a, b) => rankOf(a) - rankOf(b));
    if (bound.length === 0) return;
    const removed = this.#bases.filter((base) => !kept.includes(base));
    this.#bases = bound;
    // What comes is told first: whoever used what goes has somewhere to go.
    for (const base of added) this.#user?.addBase(base, now, bound.indexOf(base));
    for (const base of removed) {
      this.#user?.removeBase(base, now);
      this.#host.close(base);
    }
  }

  /** A socket whose address has vanished is the likeliest reason for a refusal, and Linux refuses at once (IPv4). */
  handleSocketError({ base, code }: SocketError, now: number): void {
    if (!isNoWay(code) || !this.#bases.includes(base)) return;
    this.#dueAt = Math.min(this.#dueAt, Math.max(now, this.#comparedAt + MIN_COMPARE_INTERVAL_MS));
  }

  /** Closes all of them and compares no more. */
  close(): void {
    for (const base of this.#bases) this.#host.close(base);
    this.#bases = [];
    this.#user = undefined;
    this.#dueAt = Infinity;
  }

  /** An address that was just given may not be ready, as an IPv6 one whose uniqueness is being tested: the next time. */
  #bind(address: Address): Base | undefined {
    try {
      return this.#host.bind(addressOf(address.host, 0));
    } catch {
      return undefined;
    }
  }
}

/** Those that may have a socket, most preferred first. */
function usefulAddresses(host: Host, options: BaseOptions): Address[] {
  return preferred(host.interfaces().filter((it) => isUseful(it, options))).map(({ address }) => address);
}

function isUseful({ address, isLoopback }: NetworkInterface, { loopbackOnly }: BaseOptions): boolean {
  if (loopbackOnly) return isLoopback && address.family === 4;
  if (isLoopback) return false;
  const scope = scopeOf(address);
  return scope === "global" || scope === "private" || scope === "shared";
}

/**
 * Interfaces with a default route before those without (RFC 8421 §4: what is known to be unreliable goes last); among
 * equals IPv6 first, then the families in turn, so that a broken one costs little.
 */
function preferred(interfaces: readonly NetworkInterface[]): NetworkInterface[] {
  const ordered: NetworkInterface[] = [];
  for (const hasDefaultRoute of [true, false]) {
    const group = interfaces.filter((it) => it.hasDefaultRoute === hasDefaultRoute);
    const six = group.filter(({ address }) => address.family === 6);
    const four = group.filter(({ address }) => address.family === 4);
    // RFC 8421 §4: (N4 + N6) / N4 addresses of IPv6 have a head start before an IPv4 one.
    const headStart = four.length === 0 ? six.length : Math.floor(group.length / four.length);
    let sinceFour = 0;
    while (six.length + four.length > 0) {
      const takeSix = six.length > 0 && (four.length === 0 || sinceFour < headStart);
      const next = takeSix ? six.shift() : four.shift();
      if (next === undefined) break;
      sinceFour = takeSix ? sinceFour + 1 : 0;
      ordered.push(next);
    }
  }
  return ordered;
}
