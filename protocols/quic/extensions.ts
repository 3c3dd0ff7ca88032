/**
 * The extensions of a connection: what was negotiated, and the parts that serve it. NAT traversal
 * (draft-seemann-quic-nat-traversal-02 §5) and address discovery (draft-ietf-quic-address-discovery-00); both off unless
 * asked for, and then without a trace.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { ScopeRules } from "../core/address_scope.ts";
import type { LocalCandidate } from "../core/candidate.ts";
import type { Base } from "../core/machine.ts";
import type { Random } from "../core/random.ts";
import { Reader } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import {
  AddressObserver,
  AddressReporter,
  decodeAddressDiscovery,
  decodeObservedAddress,
  encodeAddressDiscovery,
  isObservedAddress,
  reportsTo,
  unexpectedReport,
} from "./address_discovery.ts";
import type { AddressDiscoveryRole } from "./address_discovery.ts";
import type { ExtensionFrame, ExtensionFrameDecoder } from "./frame.ts";
import { decodeParameter, decodeTraversalFrame, encodeParameter, layoutOf } from "./nat_traversal/dialect.ts";
import type { Dialect } from "./nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "./nat_traversal/draft_seemann_02.ts";
import type { ProbeBudget } from "./nat_traversal/probe_budget.ts";
import type { NatTraversal } from "./nat_traversal/traversal.ts";
import { TraversalClient } from "./nat_traversal/traversal_client.ts";
import { TraversalServer } from "./nat_traversal/traversal_server.ts";
import type { Role } from "./stream_id.ts";
import type { TransportParameters } from "./transport_parameters.ts";

/** How a connection looks for a direct path. */
export interface NatTraversalSettings {
  /** Requests that a server takes in a round: declared to the client, at least 1. */
  readonly concurrencyLimit: number;
  /** Which addresses of the peer are probed. */
  readonly rules: ScopeRules;
}

/** What a connection is to negotiate. */
export interface ExtensionSettings {
  readonly natTraversal?: NatTraversalSettings;
  readonly addressDiscovery?: AddressDiscoveryRole;
}

/** Candidates that wait until it is known whether the peer takes part; more are forgotten. */
const MAX_WAITING_CANDIDATES = 32;

/** The only dialect so far. */
const DIALECT: Dialect = DRAFT_SEEMANN_02;

/** What both ends have agreed on. */
export class Extensions implements ExtensionFrameDecoder {
  readonly #role: Role;
  readonly #settings: ExtensionSettings;
  readonly #random: Random;
  readonly #budget: ProbeBudget;
  #traversal: NatTraversal | undefined;
  #reporter: AddressReporter | undefined;
  #observer: AddressObserver | undefined;
  #waiting: LocalCandidate[] = [];

  constructor(role: Role, settings: ExtensionSettings, random: Random, budget: ProbeBudget) {
    this.#role = role;
    this.#settings = settings;
    this.#random = random;
    this.#budget = budget;
  }

  /** NAT traversal, if both ends take part. */
  get traversal(): NatTraversal | undefined {
    return this.#traversal;
  }

  /** Tells the peer its addresses, if it wants to know. */
  get reporter(): AddressReporter | undefined {
    return this.#reporter;
  }

  /** Takes in what the peer tells of our addresses, if we want to know. */
  get observer(): AddressObserver | undefined {
    return this.#observer;
  }

  /** Whether there is anything to say as soon as there are keys. */
  get isAny(): boolean {
    return this.#traversal !== undefined || this.#reporter !== undefined;
  }

  /** Our transport parameters. */
  get parameters(): Pick<TransportParameters, "natTraversal" | "addressDiscovery"> {
    const { natTraversal, addressDiscovery } = this.#settings;
    return {
      ...(natTraversal === undefined ? {} : {
        natTraversal: written((writer) => encodeParameter(DIALECT, this.#role, natTraversal.concurrencyLimit, writer)),
      }),
      ...(addressDiscovery === undefined
        ? {}
        : { addressDiscovery: written((writer) => encodeAddressDiscovery(addressDiscovery, writer)) }),
    };
  }

  /** The peer's transport parameters came in. @throws {TransportError} TRANSPORT_PARAMETER_ERROR. */
  negotiate(peer: TransportParameters, now: number): void {
    const { natTraversal, addressDiscovery } = this.#settings;
    if (natTraversal !== undefined && peer.natTraversal !== undefined) {
      const sender = this.#role === "client" ? "server" : "client";
      const parameter = decodeParameter(DIALECT, sender, new Reader(peer.natTraversal));
      const setup = {
        dialect: DIALECT,
        concurrencyLimit: parameter.concurrencyLimit ?? natTraversal.concurrencyLimit,
        random: this.#random,
        budget: this.#budget,
        rules: natTraversal.rules,
      };
      this.#traversal = this.#role === "client" ? new TraversalClient(setup) : new TraversalServer(setup);
      for (const candidate of this.#waiting) this.#traversal.addCandidate(candidate, now);
    }
    this.#waiting = [];
    if (addressDiscovery !== undefined && peer.addressDiscovery !== undefined) {
      const role = decodeAddressDiscovery(new Reader(peer.addressDiscovery));
      if (reportsTo(addressDiscovery, role)) this.#reporter = new AddressReporter();
      if (reportsTo(role, addressDiscovery)) this.#observer = new AddressObserver();
    }
  }

  decode(type: number, reader: Reader): ExtensionFrame | undefined {
    if (isObservedAddress(type)) {
      if (this.#settings.addressDiscovery === undefined) return undefined;
      if (this.#observer === undefined) throw unexpectedReport(type);
      return decodeObservedAddress(type, reader);
    }
    const layout = this.#traversal === undefined ? undefined : layoutOf(DIALECT, type);
    if (layout === undefined) return undefined;
    return decodeTraversalFrame(layout, type, reader, this.#role === "client" ? "server" : "client");
  }

  /** An address of ours, be it before the peer is known to take part. */
  addCandidate(candidate: LocalCandidate, isNegotiated: boolean, now: number): void {
    if (this.#traversal !== undefined) this.#traversal.addCandidate(candidate, now);
    else if (!isNegotiated && this.#settings.natTraversal !== undefined) {
      if (this.#waiting.length < MAX_WAITING_CANDIDATES) this.#waiting.push(candidate);
    }
  }

  /** As {@linkcode NatTraversal.removeCandidate}. */
  removeCandidate(base: Base, address: Address, now: number): void {
    this.#waiting = this.#waiting.filter((other) => other.base !== base || other.address !== address);
    this.#traversal?.removeCandidate(base, address, now);
  }

  /** As {@linkcode NatTraversal.removeBase}. */
  removeBase(base: Base, now: number): void {
    this.#waiting = this.#waiting.filter((other) => other.base !== base);
    this.#traversal?.removeBase(base, now);
  }

  /** The connection is over. */
  stop(): void {
    this.#waiting = [];
    this.#traversal?.stop();
  }
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(new Uint8Array(8));
  write(writer);
  return writer.written().slice();
}
