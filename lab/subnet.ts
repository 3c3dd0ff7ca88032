/**
 * A place where hosts and routers see each other directly: the core of the Internet, or the inside of a router. Knows who
 * has which address; everything else goes to the gateway, if there is one.
 *
 * @module
 */

import { Link, type LinkContext, type LinkOptions } from "./link.ts";
import type { Packet } from "./packet.ts";

/** Access of one node to a subnet: a link each way. */
export interface Access {
  /** Towards the subnet. */
  readonly up: Link;
  /** Towards the node. */
  readonly down: Link;
}

/** A link written as a test thinks of it. */
export interface AccessOptions {
  /**
   * Round trip between this node and the subnet it hangs on, in ms, half of it each way. Two hosts on the core with 77.5 ms
   * each are 155 ms apart, and 77.5 ms from a server with 0.
   */
  readonly rttToCoreMs?: number;
  /** Towards the network; a latency given here wins over `rttToCoreMs`. */
  readonly up?: LinkOptions;
  /** From the network; a latency given here wins over `rttToCoreMs`. */
  readonly down?: LinkOptions;
}

/** What is between a subnet and the rest of the network. */
export interface Gateway {
  /** Takes what is addressed to nobody here. Without it that is dropped: "no route". */
  readonly forward?: (packet: Packet) => void;
  /** Addresses of this subnet are known outside: the gateway claims and releases them there. */
  readonly claim?: (host: string) => void;
  readonly release?: (host: string) => void;
}

/** Routes among the nodes attached to it, without delay of its own. */
export class Subnet {
  readonly name: string;
  readonly #context: LinkContext;
  readonly #accesses = new Map<string, Access>();
  readonly #gateway: Gateway;

  constructor(name: string, context: LinkContext, gateway: Gateway = {}) {
    this.name = name;
    this.#context = context;
    this.#gateway = gateway;
  }

  /** Connects a node; it gets packets once it has claimed an address with {@linkcode claim}. */
  attach(name: string, options: AccessOptions, receive: (packet: Packet) => void): Access {
    const latencyMs = (options.rttToCoreMs ?? 0) / 2;
    const up = new Link(`${name} up`, { latencyMs, ...options.up }, this.#context, (packet) => this.forward(packet));
    const down = new Link(`${name} down`, { latencyMs, ...options.down }, this.#context, receive);
    return { up, down };
  }

  /** Gives an address to an access. @throws {RangeError} If somebody has it. */
  claim(host: string, access: Access): void {
    if (this.#accesses.has(host)) throw new RangeError(`Cannot claim ${host}: somebody on ${this.name} has it`);
    this.#gateway.claim?.(host);
    this.#accesses.set(host, access);
  }

  /** Takes an address away. */
  release(host: string): void {
    if (this.#accesses.delete(host)) this.#gateway.release?.(host);
  }

  /** Whether somebody here has the address. */
  has(host: string): boolean {
    return this.#accesses.has(host);
  }

  /** Passes a packet on to whoever has its destination. */
  forward(packet: Packet): void {
    const access = this.#accesses.get(packet.destination.host);
    if (access !== undefined) return access.down.transmit(packet);
    if (this.#gateway.forward !== undefined) return this.#gateway.forward(packet);
    const { clock, trace } = this.#context;
    trace.add({ type: "dropped", at: clock.now, where: this.name, packet, reason: "no route" });
  }
}
