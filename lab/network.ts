/**
 * The virtual network: builds hosts, routers and links around a core, and lets virtual time pass over them. One seed; the
 * same seed and the same calls give the same packets at the same instants.
 *
 * @module
 */

import { VirtualClock } from "./clock.ts";
import { type FirewallOptions, VirtualFirewall } from "./firewall.ts";
import { type DeadEnd, type HostContext, type InterfaceOptions, VirtualHost, type VirtualInterface } from "./host.ts";
import { type NatOptions, VirtualNat } from "./nat.ts";
import { type AccessOptions, Subnet } from "./subnet.ts";
import { Trace, type TraceOptions } from "./trace.ts";

/** Of a network. */
export interface VirtualNetworkOptions {
  /** The number to print with a failing test. */
  readonly seed: number;
  readonly trace?: TraceOptions;
}

/** Where an interface of a host leads. */
export interface AttachmentOptions extends AccessOptions {
  /** The NAT or firewall it is inside of. Without it, the core. */
  readonly behind?: VirtualNat | VirtualFirewall;
  /** Its address, of either family. Chosen by the network without it: IPv4 on the core and behind a NAT. */
  readonly address?: string;
  /** It leads nowhere, whatever `behind` says: a docker bridge, a VPN that is down. */
  readonly deadEnd?: DeadEnd;
  readonly hasDefaultRoute?: boolean;
  readonly mtuBytes?: number;
}

/** A host with its first interface. */
export interface HostOptions extends AttachmentOptions {
  readonly sendBufferBytes?: number;
}

/** How long to let time pass. */
export interface RunOptions {
  /** Instant to stop at; the clock then stands there. Without it: until nothing is left to happen. */
  readonly until?: number;
  /** Stops as soon as it answers `true`; asked after each event. */
  readonly stopWhen?: () => boolean;
  /** Default {@linkcode MAX_EVENTS}. */
  readonly maxEvents?: number;
}

/** Events of one run, unless it says otherwise. More than that is an endless loop, and an error. */
export const MAX_EVENTS = 2_000_000;

/** A network with its own time. */
export class VirtualNetwork {
  readonly seed: number;
  readonly clock: VirtualClock = new VirtualClock();
  readonly trace: Trace;
  /** What public addresses are attached to. */
  readonly core: Subnet;
  readonly #context: HostContext;
  readonly #names = new Set<string>();
  readonly #insideCounts = new Map<Subnet, number>();
  #packetCount = 0;
  #publicCount = 0;
  #natCount = 0;
  #firewallCount = 0;

  constructor(options: VirtualNetworkOptions) {
    this.seed = options.seed;
    this.trace = new Trace(options.trace);
    const { clock, trace, seed } = this;
    this.#context = { clock, trace, seed, nextPacketId: () => ++this.#packetCount };
    this.core = new Subnet("core", this.#context);
  }

  /** Milliseconds since the network was made. */
  get now(): number {
    return this.clock.now;
  }

  /** Adds a host with one interface, `eth0`. @throws {RangeError} If the name or address is taken. */
  host(name: string, options: HostOptions = {}): VirtualHost {
    this.#claimName(name);
    const { sendBufferBytes } = options;
    const host = new VirtualHost({ name, ...(sendBufferBytes !== undefined && { sendBufferBytes }) }, this.#context);
    this.attach(host, "eth0", options);
    return host;
  }

  /** Adds another interface to a host. @throws {RangeError} If its name or address is taken. */
  attach(host: VirtualHost, name: string, options: AttachmentOptions = {}): VirtualInterface {
    const { behind, deadEnd, ...rest } = options;
    const subnet = behind === undefined ? this.core : behind.inside;
    const address = options.address ?? this.#insideAddress(behind);
    const leads = deadEnd === undefined ? { subnet } : { deadEnd };
    const interfaceOptions: InterfaceOptions = { ...rest, ...leads, name, address };
    return host.addInterface(interfaceOptions);
  }

  /** Adds a NAT on the core, or behind another NAT. @throws {RangeError} If the name or address is taken. */
  nat(options: NatOptions = {}): VirtualNat {
    const number = ++this.#natCount;
    const name = options.name ?? `nat${number}`;
    this.#claimName(name);
    const address = options.address ?? this.#insideAddress(options.behind);
    const inside = options.inside ?? `192.168.${number}`;
    const outside = options.behind === undefined ? this.core : options.behind.inside;
    return new VirtualNat(outside, { ...options, name, address, inside }, this.#context);
  }

  /** Adds a firewall for IPv6 on the core. @throws {RangeError} If the name is taken. */
  firewall(options: FirewallOptions = {}): VirtualFirewall {
    const number = ++this.#firewallCount;
    const name = options.name ?? `firewall${number}`;
    this.#claimName(name);
    const inside = options.inside ?? `2001:db8:${number.toString(16)}`;
    return new VirtualFirewall(this.core, { ...options, name, inside }, this.#context);
  }

  /** A public address that nobody has: what is sent there vanishes, as with a server that is dead. */
  unusedAddress(): string {
    return this.#publicAddress();
  }

  /** Does something at an instant to come. */
  at(at: number, action: () => void): void {
    this.clock.schedule(at, action);
  }

  /**
   * Lets time pass.
   *
   * @returns How many events happened.
   * @throws {Error} After `maxEvents`: something goes round in circles.
   */
  run(options: RunOptions = {}): number {
    const { until = Number.POSITIVE_INFINITY, stopWhen, maxEvents = MAX_EVENTS } = options;
    for (let count = 0;; count++) {
      if (count > 0 && stopWhen?.() === true) return count;
      const at = this.clock.peek();
      if (at === undefined || at > until) {
        if (Number.isFinite(until)) this.clock.advanceTo(until);
        return count;
      }
      if (count === maxEvents) {
        throw new Error(`Cannot finish the run: ${maxEvents} events by ${this.now} ms (seed ${this.seed})`);
      }
      this.clock.step();
    }
  }

  #claimName(name: string): void {
    if (this.#names.has(name)) throw new RangeError(`Cannot add ${name}: the network has it already`);
    this.#names.add(name);
  }

  #insideAddress(router: VirtualNat | VirtualFirewall | undefined): string {
    if (router === undefined) return this.#publicAddress();
    const { name, inside, prefix } = router;
    for (let number = (this.#insideCounts.get(inside) ?? 1) + 1; number < 255; number++) {
      const address = prefix.includes(":") ? `${prefix}::${number.toString(16)}` : `${prefix}.${number}`;
      if (inside.has(address)) continue;
      this.#insideCounts.set(inside, number);
      return address;
    }
    throw new RangeError(`Cannot choose an address: ${name} has 253 hosts inside`);
  }

  /** TEST-NET-3 (RFC 5737), then the benchmarking range (RFC 2544): addresses that nobody can mistake for real ones. */
  #publicAddress(): string {
    for (;;) {
      const number = ++this.#publicCount;
      const address = number < 255 ? `203.0.113.${number}` : `198.18.${number >> 8}.${number & 0xff}`;
      if (number > 0xffff) throw new RangeError("Cannot choose an address: 65,535 are in use");
      if (!this.core.has(address)) return address;
    }
  }
}
