/**
 * What a port of a relay may do: whom it may talk to, how much, and to how many strangers it listens.
 *
 * @module
 */

import { type Address, addressOf } from "../protocols/core/address.ts";
import { refuseRemote, scopeOf } from "../protocols/core/address_scope.ts";

/** What holds for each port; the defaults are in `DEFAULT_RELAY_LIMITS`. */
export interface RelayLimits {
  /** Ports of one registered key. Its next tunnel takes over the port it has. */
  readonly portsPerKey: 1;
  /** Ports whose tunnels come from one address (IPv6: one /64). */
  readonly portsPerAddress: number;
  /** Ports of the whole relay. */
  readonly maxPorts: number;
  /** Bytes of UDP payload a second, in each direction. */
  readonly bytesPerSecond: number;
  /** Bytes of UDP payload in a day, both directions together. All ports of one address have `portsPerAddress` times that. */
  readonly bytesPerDay: number;
  /** Addresses a minute that the client has not sent to. */
  readonly strangersPerMinute: number;
  /** How long a port waits for its key after its tunnel has ended. */
  readonly keepMs: number;
}

/** Stated in README.md. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = Object.freeze({
  portsPerKey: 1,
  portsPerAddress: 8,
  maxPorts: 4096,
  bytesPerSecond: 20_000_000 / 8,
  bytesPerDay: 1024 ** 3,
  strangersPerMinute: 64,
  keepMs: 10 * 60_000,
});

/** A burst that a bucket lets through at once, as time at its rate: a window of QUIC that arrives in one piece. */
const BURST_MS = 250;

/** Addresses that a port remembers to have admitted; the one admitted first makes room. */
export const MAX_KNOWN_SOURCES = 256;

const DAY_MS = 86_400_000;

/** What a key or an address has used of its day. Kept when the port is gone: a new port does not bring a new day. */
export class DailyQuota {
  readonly #bytesPerDay: number;
  #from: number;
  #usedBytes = 0;

  constructor(bytesPerDay: number, now: number) {
    this.#bytesPerDay = bytesPerDay;
    this.#from = now;
  }

  /** Whether it is as good as new. */
  isOver(now: number): boolean {
    return now - this.#from >= DAY_MS;
  }

  /** Whether that much is left. */
  has(bytes: number, now: number): boolean {
    if (this.isOver(now)) {
      this.#from = now;
      this.#usedBytes = 0;
    }
    return this.#usedBytes + bytes <= this.#bytesPerDay;
  }

  /** Takes that much, which `has` has said is left. */
  use(bytes: number): void {
    this.#usedBytes += bytes;
  }
}

/** A bucket of bytes. */
class ByteRate {
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  #bytes: number;
  #filledAt: number;

  constructor(bytesPerSecond: number, now: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#burstBytes = this.#bytesPerMs * BURST_MS;
    this.#bytes = this.#burstBytes;
    this.#filledAt = now;
  }

  take(bytes: number, now: number): boolean {
    this.#bytes = Math.min(this.#burstBytes, this.#bytes + (now - this.#filledAt) * this.#bytesPerMs);
    this.#filledAt = now;
    if (this.#bytes < bytes) return false;
    this.#bytes -= bytes;
    return true;
  }
}

/** What one port has let through. */
export class PortTraffic {
  readonly #limits: RelayLimits;
  readonly #ofKey: DailyQuota;
  readonly #ofAddress: DailyQuota;
  readonly #out: ByteRate;
  readonly #in: ByteRate;
  /** In the order they were admitted. */
  readonly #known = new Set<Address>();
  #strangers: number;
  #strangersAt: number;
  /** UDP payload that went through. */
  readonly bytes = { out: 0, in: 0 };

  /** @param days Of the key, and of the address that the tunnel came from: keys cost nothing. */
  constructor(limits: RelayLimits, days: { readonly ofKey: DailyQuota; readonly ofAddress: DailyQuota }, now: number) {
    this.#limits = limits;
    this.#ofKey = days.ofKey;
    this.#ofAddress = days.ofAddress;
    this.#out = new ByteRate(limits.bytesPerSecond, now);
    this.#in = new ByteRate(limits.bytesPerSecond, now);
    this.#strangers = limits.strangersPerMinute;
    this.#strangersAt = now;
  }

  /** Whether that much may go through now; then it has. */
  spend(direction: "out" | "in", bytes: number, now: number): boolean {
    if (!(direction === "out" ? this.#out : this.#in).take(bytes, now)) return false;
    if (!this.#ofKey.has(bytes, now) || !this.#ofAddress.has(bytes, now)) return false;
    this.#ofKey.use(bytes);
    this.#ofAddress.use(bytes);
    this.bytes[direction] += bytes;
    return true;
  }

  /** Whether something from that address may go to the client. */
  isSource(source: Address, now: number): boolean {
    if (this.#known.has(source)) return true;
    const { strangersPerMinute } = this.#limits;
    const returned = ((now - this.#strangersAt) / 60_000) * strangersPerMinute;
    this.#strangers = Math.min(strangersPerMinute, this.#strangers + returned);
    this.#strangersAt = now;
    if (this.#strangers < 1) return false;
    this.#strangers--;
    this.admit(source);
    return true;
  }

  /** The client has sent there: it is no stranger. */
  admit(target: Address): void {
    if (this.#known.has(target)) return;
    if (this.#known.size >= MAX_KNOWN_SOURCES) {
      for (const oldest of this.#known) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.add(target);
  }
}

/** What a relay knows of where it is. */
export interface RelayPlace {
  /** Hosts it listens on. */
  readonly hosts: ReadonlySet<string>;
  /** Other addresses of its machine. */
  readonly otherHosts?: ReadonlySet<string>;
  /** Whether an address is one of its ports, which other ports may talk to. */
  isPort(address: Address): boolean;
}

/**
 * Why a port may not send there: RFC 9298 §7. Addresses of private networks are no targets of a relay that has none itself:
 * whoever runs one on the Internet does not open the network behind it.
 *
 * @returns `undefined` if it may.
 */
export function refuseTarget(target: Address, place: RelayPlace): string | undefined {
  const isOnLoopback = everyHost(place, "loopback");
  const refusal = refuseRemote(target, { allowLoopback: isOnLoopback });
  if (refusal !== undefined) return refusal;
  const scope = scopeOf(target);
  if (scope === "link-local") return "link-local address";
  const isPrivate = scope === "private" || scope === "shared";
  if (isPrivate && everyHost(place, "global")) return `${scope} address`;
  // On loopback everybody is on this host.
  if (isOnLoopback || place.isPort(target)) return undefined;
  const isOwn = place.hosts.has(target.host) || place.otherHosts?.has(target.host) === true;
  return isOwn ? "address of the relay" : undefined;
}

function everyHost({ hosts }: RelayPlace, scope: "loopback" | "global"): boolean {
  for (const host of hosts) if (scopeOfHost(host) !== scope) return false;
  return true;
}

function scopeOfHost(host: string): string {
  return scopeOf(addressOf(host, 1));
}
