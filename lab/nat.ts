/**
 * A NAT by the vocabulary of RFC 4787: mapping (§4.1), port allocation (§4.2), timeout and refresh (§4.3), filtering (§5),
 * hairpinning (§6). TCP goes by the same tables with a timeout of its own (RFC 5382). Inbound packets never make state.
 *
 * @module
 */

import { type Address, addressOf } from "../protocols/core/address.ts";
import type { Link, LinkContext } from "./link.ts";
import { type PortAllocation, PortAllocator } from "./nat_ports.ts";
import type { Packet } from "./packet.ts";
import { SeededRandom } from "./random.ts";
import { type Access, type AccessOptions, Subnet } from "./subnet.ts";
import type { DropReason } from "./trace.ts";

/** Endpoint-independent, address-dependent, address-and-port-dependent mapping: RFC 4787 §4.1. */
export type NatMapping = "EIM" | "ADM" | "APDM";

/** Endpoint-independent, address-dependent, address-and-port-dependent filtering: RFC 4787 §5. */
export type NatFiltering = "EIF" | "ADF" | "APDF";

/** How a NAT behaves. */
export interface NatBehaviour {
  /** Default `EIM`: RFC 4787 REQ-1. */
  readonly mapping?: NatMapping;
  /** Default `ADF`: RFC 4787 REQ-8. */
  readonly filtering?: NatFiltering;
  /** Default `preserve`. */
  readonly allocation?: PortAllocation;
  /** Whether inside hosts reach each other by their external addresses (RFC 4787 REQ-9). Default `true`. */
  readonly hairpin?: boolean;
  /** A UDP mapping, and each permission of its filter, ends after so long without refresh. Default 2 min: REQ-5. */
  readonly timeoutMs?: number;
  /** What refreshes: outbound packets (RFC 4787 REQ-6) or those of both directions. Default `outbound`. */
  readonly refresh?: "outbound" | "both";
  /** The same for TCP. Default 2 h 4 min: RFC 5382 REQ-5. */
  readonly tcpTimeoutMs?: number;
}

/** Where a NAT sits. */
export interface NatOptions extends NatBehaviour, AccessOptions {
  readonly name?: string;
  /** The NAT whose inside this one hangs on: a CGN. Without it, the core. */
  readonly behind?: VirtualNat;
  /** External address. Chosen by the network without it. */
  readonly address?: string;
  /** First three numbers of the addresses inside, as `192.168.1`. Chosen by the network without it. */
  readonly inside?: string;
}

/** A mapping as a test sees it. */
export interface NatMappingView {
  readonly protocol: Packet["protocol"];
  readonly internal: Address;
  readonly external: Address;
  /** What the mapping is for, besides the internal address: nothing (EIM), a host (ADM), a host and port (APDM). */
  readonly remote: string;
}

interface Mapping extends NatMappingView {
  refreshedAt: number;
  /** Who may send in, by the key of the filtering, and when that was last refreshed. */
  readonly permissions: Map<string, number>;
}

/** Permissions of one mapping; the oldest goes first. */
const MAX_PERMISSIONS = 4096;

/** Translates between its inside and the subnet it hangs on. Made by `VirtualNetwork.nat`. */
export class VirtualNat {
  readonly name: string;
  /** Where hosts behind this NAT live. */
  readonly inside: Subnet;
  /** First three numbers of the addresses inside. */
  readonly prefix: string;
  readonly #outside: Subnet;
  readonly #access: Access;
  readonly #context: LinkContext;
  readonly #behaviour: Required<NatBehaviour>;
  readonly #allocators: Readonly<Record<Packet["protocol"], PortAllocator>>;
  /** By protocol, internal address and what the mapping depends on. */
  readonly #byInternal = new Map<string, Mapping>();
  /** By protocol and external port. */
  readonly #byExternal = new Map<string, Mapping>();
  /** Ports of before a rebinding, and until when they stay out of use: a rebinding changes the port. */
  readonly #retiredPorts = new Map<string, number>();
  #address: string;

  constructor(
    outside: Subnet,
    options: NatOptions & { readonly name: string; readonly address: string; readonly inside: string },
    context: LinkContext,
  ) {
    this.name = options.name;
    this.prefix = options.inside;
    this.inside = new Subnet(`${this.name} inside`, context, { forward: (packet) => this.#handleOutbound(packet) });
    this.#outside = outside;
    this.#context = context;
    this.#behaviour = {
      mapping: options.mapping ?? "EIM",
      filtering: options.filtering ?? "ADF",
      allocation: options.allocation ?? "preserve",
      hairpin: options.hairpin ?? true,
      timeoutMs: options.timeoutMs ?? 120_000,
      refresh: options.refresh ?? "outbound",
      tcpTimeoutMs: options.tcpTimeoutMs ?? 7_440_000,
    };
    const random = new SeededRandom(context.seed, this.name);
    this.#allocators = {
      udp: new PortAllocator(this.#behaviour.allocation, random),
      tcp: new PortAllocator(this.#behaviour.allocation, random),
    };
    this.#address = options.address;
    this.#access = outside.attach(this.name, options, (packet) => this.#handleInbound(packet));
    outside.claim(this.#address, this.#access);
  }

  /** The external address. */
  get address(): string {
    return this.#address;
  }

  /** The link towards the core. */
  get up(): Link {
    return this.#access.up;
  }

  /** The link from the core. */
  get down(): Link {
    return this.#access.down;
  }

  /** Every mapping that is alive. */
  mappings(): readonly NatMappingView[] {
    return [...this.#byInternal.values()].filter((mapping) => this.#isAlive(mapping));
  }

  /**
   * Loses every mapping, as a router does that starts again or whose line reconnects. New mappings get other ports than
   * before, and another external address if one is given.
   */
  rebind(options: { readonly address?: string } = {}): void {
    const retiredUntil = this.#context.clock.now + this.#behaviour.timeoutMs;
    for (const key of this.#byExternal.keys()) this.#retiredPorts.set(key, retiredUntil);
    this.#byInternal.clear();
    this.#byExternal.clear();
    if (options.address === undefined) return;
    this.#outside.release(this.#address);
    this.#address = options.address;
    this.#outside.claim(this.#address, this.#access);
    this.#retiredPorts.clear();
  }

  #handleOutbound(packet: Packet): void {
    if (packet.destination.host === this.#address && !this.#behaviour.hairpin) return this.#drop(packet, "hairpin");
    const mapping = this.#mapOutbound(packet);
    if (mapping === undefined) return this.#drop(packet, "no free port");
    const translated = { ...packet, source: mapping.external };
    this.#translated(translated);
    // RFC 4787 REQ-9: a hairpinned packet carries the external source, and passes the filter like any other.
    if (packet.destination.host === this.#address) return this.#handleInbound(translated);
    this.#access.up.transmit(translated);
  }

  #handleInbound(packet: Packet): void {
    const mapping = this.#byExternal.get(externalKey(packet.protocol, packet.destination.port));
    if (mapping === undefined || !this.#isAlive(mapping)) return this.#drop(packet, "no mapping");
    const { clock } = this.#context;
    const { filtering, refresh } = this.#behaviour;
    const permission = remoteKey(filtering, packet.source);
    const permittedAt = mapping.permissions.get(permission);
    if (filtering !== "EIF" && !this.#isFresh(mapping, permittedAt)) return this.#drop(packet, "filtered");
    if (refresh === "both") {
      mapping.refreshedAt = clock.now;
      if (permittedAt !== undefined) mapping.permissions.set(permission, clock.now);
    }
    const translated = { ...packet, destination: mapping.internal };
    this.#translated(translated);
    this.inside.forward(translated);
  }

  #mapOutbound(packet: Packet): Mapping | undefined {
    const { clock } = this.#context;
    const { mapping: dependence, filtering } = this.#behaviour;
    const remote = dependence === "EIM" ? "" : remoteKey(dependence, packet.destination);
    const key = internalKey(packet.protocol, packet.source, remote);
    let mapping = this.#byInternal.get(key);
    if (mapping === undefined || !this.#isAlive(mapping)) {
      if (mapping !== undefined) this.#remove(mapping);
      mapping = this.#newMapping(packet, remote);
      if (mapping === undefined) return undefined;
      this.#byInternal.set(key, mapping);
      this.#byExternal.set(externalKey(mapping.protocol, mapping.external.port), mapping);
    }
    mapping.refreshedAt = clock.now;
    const permission = remoteKey(filtering, packet.destination);
    // Deleted first, so that the map is ordered by refresh and its first entry is the oldest.
    mapping.permissions.delete(permission);
    mapping.permissions.set(permission, clock.now);
    if (mapping.permissions.size > MAX_PERMISSIONS) {
      const [oldest] = mapping.permissions.keys();
      if (oldest !== undefined) mapping.permissions.delete(oldest);
    }
    return mapping;
  }

  #newMapping({ protocol, source }: Packet, remote: string): Mapping | undefined {
    const port = this.#allocators[protocol].allocate({
      internalPort: source.port,
      isFree: (candidate) => this.#isFree(protocol, candidate),
      externalOf: (internalPort) => this.#externalPortOf(protocol, source.host, internalPort),
    });
    if (port === undefined) return undefined;
    return {
      protocol,
      internal: source,
      external: addressOf(this.#address, port),
      remote,
      refreshedAt: this.#context.clock.now,
      permissions: new Map(),
    };
  }

  #isFree(protocol: Packet["protocol"], port: number): boolean {
    const key = externalKey(protocol, port);
    const retiredUntil = this.#retiredPorts.get(key);
    if (retiredUntil !== undefined && this.#context.clock.now < retiredUntil) return false;
    const mapping = this.#byExternal.get(key);
    if (mapping === undefined) return true;
    if (this.#isAlive(mapping)) return false;
    this.#remove(mapping);
    return true;
  }

  #externalPortOf(protocol: Packet["protocol"], host: string, internalPort: number): number | undefined {
    for (const mapping of this.#byInternal.values()) {
      const { internal } = mapping;
      if (mapping.protocol === protocol && internal.host === host && internal.port === internalPort) {
        if (this.#isAlive(mapping)) return mapping.external.port;
      }
    }
    return undefined;
  }

  #isAlive(mapping: Mapping): boolean {
    return this.#isFresh(mapping, mapping.refreshedAt);
  }

  #isFresh(mapping: Mapping, refreshedAt: number | undefined): boolean {
    if (refreshedAt === undefined) return false;
    const timeoutMs = mapping.protocol === "udp" ? this.#behaviour.timeoutMs : this.#behaviour.tcpTimeoutMs;
    return this.#context.clock.now - refreshedAt < timeoutMs;
  }

  #remove(mapping: Mapping): void {
    this.#byInternal.delete(internalKey(mapping.protocol, mapping.internal, mapping.remote));
    this.#byExternal.delete(externalKey(mapping.protocol, mapping.external.port));
  }

  #translated(packet: Packet): void {
    this.#context.trace.add({ type: "translated", at: this.#context.clock.now, where: this.name, packet });
  }

  #drop(packet: Packet, reason: DropReason): void {
    this.#context.trace.add({ type: "dropped", at: this.#context.clock.now, where: this.name, packet, reason });
  }
}

function internalKey(protocol: Packet["protocol"], internal: Address, remote: string): string {
  return `${protocol} ${internal} ${remote}`;
}

function externalKey(protocol: Packet["protocol"], port: number): string {
  return `${protocol} ${port}`;
}

/** What of a remote address a mapping or filter looks at. */
function remoteKey(dependence: NatMapping | NatFiltering, remote: Address): string {
  switch (dependence) {
    case "EIM":
    case "EIF":
      return "";
    case "ADM":
    case "ADF":
      return remote.host;
    case "APDM":
    case "APDF":
      return remote.toString();
  }
}
