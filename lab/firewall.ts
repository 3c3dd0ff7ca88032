/**
 * A stateful firewall that translates nothing: what a home router is for IPv6 (RFC 6092 §3.2). Inside addresses are reached
 * from outside as they are, by whom they have sent to.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Link, LinkContext } from "./link.ts";
import type { NatFiltering } from "./nat.ts";
import type { Packet } from "./packet.ts";
import { type Access, type AccessOptions, Subnet } from "./subnet.ts";

/** A firewall. */
export interface FirewallOptions extends AccessOptions {
  readonly name?: string;
  /** Default `APDF`: what connection tracking does. RFC 6092 REC-11 asks for `EIF`. */
  readonly filtering?: NatFiltering;
  /** A permission ends after so long without an outbound packet. Default 2 min: RFC 6092 REC-14. */
  readonly timeoutMs?: number;
  /** First groups of the addresses inside, as `2001:db8:1`. Chosen by the network without it. */
  readonly inside?: string;
}

/** Permissions kept; the oldest goes first. */
const MAX_PERMISSIONS = 65_536;

/** Passes packets out, and back in from where they went. Made by `VirtualNetwork.firewall`. */
export class VirtualFirewall {
  readonly name: string;
  /** Where hosts behind this firewall live. */
  readonly inside: Subnet;
  /** First groups of the addresses inside. */
  readonly prefix: string;
  readonly #access: Access;
  readonly #context: LinkContext;
  readonly #filtering: NatFiltering;
  readonly #timeoutMs: number;
  /** By protocol, inside address and what of the remote the filter looks at; ordered by refresh. */
  readonly #permissions = new Map<string, number>();

  constructor(
    outside: Subnet,
    options: FirewallOptions & { readonly name: string; readonly inside: string },
    context: LinkContext,
  ) {
    this.name = options.name;
    this.prefix = options.inside;
    this.#context = context;
    this.#filtering = options.filtering ?? "APDF";
    this.#timeoutMs = options.timeoutMs ?? 120_000;
    this.#access = outside.attach(this.name, options, (packet) => this.#handleInbound(packet));
    this.inside = new Subnet(`${this.name} inside`, context, {
      forward: (packet) => this.#handleOutbound(packet),
      claim: (host) => outside.claim(host, this.#access),
      release: (host) => outside.release(host),
    });
  }

  /** The link towards the core. */
  get up(): Link {
    return this.#access.up;
  }

  /** The link from the core. */
  get down(): Link {
    return this.#access.down;
  }

  #handleOutbound(packet: Packet): void {
    const key = this.#key(packet.protocol, packet.source, packet.destination);
    // Deleted first, so that the map is ordered by refresh and its first entry is the oldest.
    this.#permissions.delete(key);
    this.#permissions.set(key, this.#context.clock.now);
    if (this.#permissions.size > MAX_PERMISSIONS) {
      const [oldest] = this.#permissions.keys();
      if (oldest !== undefined) this.#permissions.delete(oldest);
    }
    this.#access.up.transmit(packet);
  }

  #handleInbound(packet: Packet): void {
    const { clock, trace } = this.#context;
    const refreshedAt = this.#permissions.get(this.#key(packet.protocol, packet.destination, packet.source));
    if (refreshedAt !== undefined && clock.now - refreshedAt < this.#timeoutMs) return this.inside.forward(packet);
    trace.add({ type: "dropped", at: clock.now, where: this.name, packet, reason: "filtered" });
  }

  #key(protocol: Packet["protocol"], inside: Address, remote: Address): string {
    switch (this.#filtering) {
      case "EIF":
        return `${protocol} ${inside}`;
      case "ADF":
        return `${protocol} ${inside} ${remote.host}`;
      case "APDF":
        return `${protocol} ${inside} ${remote}`;
    }
  }
}
