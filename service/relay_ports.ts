/**
 * The ports of a relay: whose they are, and how long they wait for their owner.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { BoundPort } from "../protocols/masque/bound_port.ts";
import { hmac } from "../protocols/crypto/hash.ts";
import { sourceOf } from "../signaling/rate_limit.ts";
import { encodeText } from "../signaling/signed.ts";
import { DailyQuota, PortTraffic, type RelayLimits } from "./relay_limits.ts";

/** Ports for keys: those that nobody else is given by rule (RFC 6335 §6). */
const FIRST_PORT = 49_152;
const PORT_COUNT = 16_384;

/** Ports that are tried for a key before the system is left to choose. */
const MAX_PORT_TRIES = 8;

/** Keys and addresses whose use of their day is remembered; the one that opened no port for longest makes room. */
const MAX_REMEMBERED_DAYS = 10_000;

/** Opens and closes the sockets of ports: a host. */
export interface PortBinder {
  bind(local: Address): Base;
  close(base: Base): void;
}

/** A port: bound, with a tunnel or without. */
export interface RelayPort {
  /** The key it belongs to, as text; absent if nobody can come back for it. */
  readonly owner: string | undefined;
  /** Where the tunnel came from that it was opened for. */
  readonly source: string;
  readonly base: Base;
  readonly traffic: PortTraffic;
  /** Whom datagrams go to. */
  tunnel: BoundPort | undefined;
  /** While there is no tunnel: when it is given up. */
  keptUntil: number | undefined;
}

/** Who asks for a port. */
export interface PortRequest {
  /** The key that the port is kept for. */
  readonly owner: string | undefined;
  /** The key whose day it uses. */
  readonly payer: string | undefined;
  /** The tunnel's address. */
  readonly remote: Address;
  /** Where the port is to be: a host of the relay. */
  readonly localHost: string;
}

/** Why there is no port. */
export type PortRefusal = "too many ports for the address" | "too many ports" | "no port is free";

/** All ports. */
export class RelayPorts {
  readonly #limits: RelayLimits;
  readonly #binder: PortBinder;
  readonly #secret: Uint8Array | undefined;
  readonly #byBase = new Map<Base, RelayPort>();
  readonly #byAddress = new Map<Address, RelayPort>();
  readonly #byOwner = new Map<string, RelayPort>();
  readonly #counts = new Map<string, number>();
  /** Without a tunnel, the first to be given up first: all are kept equally long. */
  readonly #kept = new Set<RelayPort>();
  /** What keys and addresses have used of their day, the one that opened no port for longest first. */
  readonly #days = new Map<string, DailyQuota>();

  /** @param secret With it a key is given the same port each time, if that is free. */
  constructor(limits: RelayLimits, binder: PortBinder, secret?: Uint8Array) {
    this.#limits = limits;
    this.#binder = binder;
    this.#secret = secret;
  }

  /** Ports that are bound. */
  get size(): number {
    return this.#byBase.size;
  }

  /** Of these, the ones that wait for their key. */
  get keptCount(): number {
    return this.#kept.size;
  }

  /** The port of a base. */
  of(base: Base): RelayPort | undefined {
    return this.#byBase.get(base);
  }

  /** The port that is bound to an address. */
  at(address: Address): RelayPort | undefined {
    return this.#byAddress.get(address);
  }

  /** The port of a key. */
  ofOwner(owner: string): RelayPort | undefined {
    return this.#byOwner.get(owner);
  }

  /** All ports. */
  values(): IterableIterator<RelayPort> {
    return this.#byBase.values();
  }

  /** When `expire` has something to do. */
  get expiresAt(): number | undefined {
    for (const port of this.#kept) return port.keptUntil;
    return undefined;
  }

  /** A port for whoever asks: the one they have, or a new one. */
  allot({ owner, payer, remote, localHost }: PortRequest, now: number): RelayPort | PortRefusal {
    const own = owner === undefined ? undefined : this.#byOwner.get(owner);
    if (own !== undefined) {
      this.#kept.delete(own);
      own.keptUntil = undefined;
      return own;
    }
    const source = sourceOf(remote);
    const count = this.#counts.get(source) ?? 0;
    if (count >= this.#limits.portsPerAddress) return "too many ports for the address";
    if (this.#byBase.size >= this.#limits.maxPorts) return "too many ports";
    const base = this.#bindFor(owner, localHost);
    if (base === undefined) return "no port is free";
    const { bytesPerDay, portsPerAddress } = this.#limits;
    const days = {
      ofKey: payer === undefined ? new DailyQuota(bytesPerDay, now) : this.#day(`key ${payer}`, bytesPerDay, now),
      ofAddress: this.#day(`address ${source}`, portsPerAddress * bytesPerDay, now),
    };
    const traffic = new PortTraffic(this.#limits, days, now);
    const port: RelayPort = { owner, source, base, traffic, tunnel: undefined, keptUntil: undefined };
    this.#byBase.set(base, port);
    this.#byAddress.set(base.local, port);
    this.#counts.set(source, count + 1);
    if (owner !== undefined) this.#byOwner.set(owner, port);
    return port;
  }

  /** The tunnel of a port has ended: the port waits for its key, or is given up. */
  release(port: RelayPort, now: number): void {
    port.tunnel = undefined;
    if (port.owner === undefined) return this.#giveUp(port);
    port.keptUntil = now + this.#limits.keepMs;
    this.#kept.add(port);
  }

  /** Gives up the ports that have waited long enough. */
  expire(now: number): void {
    for (const port of this.#kept) {
      if (port.keptUntil !== undefined && port.keptUntil > now) return;
      this.#giveUp(port);
    }
  }

  /** A port for a key is one of those that its secret hash names: so it has it back when the relay was restarted. */
  #bindFor(owner: string | undefined, host: string): Base | undefined {
    if (owner !== undefined && this.#secret !== undefined) {
      const hash = hmac("SHA-256", this.#secret, encodeText(`${owner} ${host}`));
      for (let i = 0; i < MAX_PORT_TRIES; i++) {
        const base = this.#bind(addressOf(host, FIRST_PORT + (((hash[2 * i]! << 8) | hash[2 * i + 1]!) % PORT_COUNT)));
        if (base !== undefined) return base;
      }
    }
    return this.#bind(addressOf(host, 0));
  }

  #bind(local: Address): Base | undefined {
    try {
      return this.#binder.bind(local);
    } catch {
      // Somebody has it, or the system has no more of them.
      return undefined;
    }
  }

  #giveUp(port: RelayPort): void {
    this.#kept.delete(port);
    this.#byBase.delete(port.base);
    this.#byAddress.delete(port.base.local);
    if (port.owner !== undefined) this.#byOwner.delete(port.owner);
    const count = this.#counts.get(port.source) ?? 1;
    if (count > 1) this.#counts.set(port.source, count - 1);
    else this.#counts.delete(port.source);
    this.#binder.close(port.base);
  }

  #day(whose: string, bytesPerDay: number, now: number): DailyQuota {
    const day = this.#days.get(whose) ?? new DailyQuota(bytesPerDay, now);
    this.#days.delete(whose);
    if (this.#days.size >= MAX_REMEMBERED_DAYS) {
      for (const oldest of this.#days.keys()) {
        this.#days.delete(oldest);
        break;
      }
    }
    this.#days.set(whose, day);
    return day;
  }
}
