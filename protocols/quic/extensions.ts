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
import type { AddressDiscoveryRole, SentReport } from "./address_discovery.ts";
import type { ExtensionFrame, ExtensionFrameDecoder } from "./frame.ts";
import { decodeParameter, decodeTraversalFrame, encodeParameter, layoutOf } from "./nat_traversal/dialect.ts";
import type { Dialect, TraversalFrame } from "./nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "./nat_traversal/draft_seemann_02.ts";
import type { ProbeBudget } from "./nat_traversal/probe_budget.ts";
import type { NatTraversal } from "./nat_traversal/traversal.ts";
import { TraversalClient } from "./nat_traversal/traversal_client.ts";
import { TraversalServer } from "./nat_traversal/traversal_server.ts";
import type { PathKey } from "./path.ts";
import type { Role } from "./stream_id.ts";
import type { TransportParameters } from "./transport_parameters.ts";

/** How a connection looks for a direct path. */
export interface NatTraversalSettings {
  /** Requests that a server takes in a round: declared to the client, at least 1. */
  readonly concurrencyLimit: number;
  /** Which addresses of the peer are probed. */
  readonly rules: ScopeRules;
}

/** What a connection is to negotiate, and from what. */
export interface ExtensionSetup {
  readonly role: Role;
  readonly natTraversal: NatTraversalSettings | undefined;
  readonly addressDiscovery: AddressDiscoveryRole | undefined;
  readonly random: Random;
  /** Of the process. */
  readonly budget: ProbeBudget;
}

/**
 * Connection IDs of either end where paths are looked for: each that is probed has one (RFC 9000 §9.5). Enough for the
 * path in use, those it may go back to, and a round of requests with what comes of it.
 */
export const TRAVERSAL_CONNECTION_IDS = 16;

/** Candidates that wait until it is known whether the peer takes part; more are forgotten. */
const MAX_WAITING_CANDIDATES = 32;

/** The only dialect so far. */
const DIALECT: Dialect = DRAFT_SEEMANN_02;

/** What both ends have agreed on. */
export class Extensions implements ExtensionFrameDecoder {
  readonly #setup: ExtensionSetup;
  #traversal: NatTraversal | undefined;
  #reporter: AddressReporter | undefined;
  #observer: AddressObserver | undefined;
  /** The path that was told of last. */
  #reportedPath: PathKey | undefined;
  #isNegotiated = false;
  #waiting: LocalCandidate[] = [];

  constructor(setup: ExtensionSetup) {
    this.#setup = setup;
  }

  /** NAT traversal, if both ends take part. */
  get traversal(): NatTraversal | undefined {
    return this.#traversal;
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
    const { role, natTraversal, addressDiscovery } = this.#setup;
    return {
      ...(natTraversal === undefined ? {} : {
        natTraversal: written((writer) => encodeParameter(DIALECT, role, natTraversal.concurrencyLimit, writer)),
      }),
      ...(addressDiscovery === undefined
        ? {}
        : { addressDiscovery: written((writer) => encodeAddressDiscovery(addressDiscovery, writer)) }),
    };
  }

  /** The peer's transport parameters came in. @throws {TransportError} TRANSPORT_PARAMETER_ERROR. */
  applyPeer(peer: TransportParameters, now: number): void {
    const { role, natTraversal, addressDiscovery, random, budget } = this.#setup;
    this.#isNegotiated = true;
    if (natTraversal !== undefined && peer.natTraversal !== undefined) {
      const parameter = decodeParameter(DIALECT, this.#peerRole, new Reader(peer.natTraversal));
      const { rules } = natTraversal;
      const concurrencyLimit = parameter.concurrencyLimit ?? natTraversal.concurrencyLimit;
      const setup = { dialect: DIALECT, concurrencyLimit, random, budget, rules };
      this.#traversal = role === "client" ? new TraversalClient(setup) : new TraversalServer(setup);
      for (const candidate of this.#waiting) this.#traversal.addCandidate(candidate, now);
    }
    this.#waiting = [];
    if (addressDiscovery !== undefined && peer.addressDiscovery !== undefined) {
      const theirs = decodeAddressDiscovery(new Reader(peer.addressDiscovery));
      if (reportsTo(addressDiscovery, theirs)) this.#reporter = new AddressReporter();
      if (reportsTo(theirs, addressDiscovery)) this.#observer = new AddressObserver();
    }
  }

  decode(type: number, reader: Reader): ExtensionFrame | undefined {
    if (isObservedAddress(type)) {
      if (this.#setup.addressDiscovery === undefined) return undefined;
      if (this.#observer === undefined) throw unexpectedReport(type);
      return decodeObservedAddress(type, reader);
    }
    const layout = this.#traversal === undefined ? undefined : layoutOf(DIALECT, type);
    if (layout === undefined) return undefined;
    return decodeTraversalFrame(layout, type, reader, this.#peerRole);
  }

  /** Whether a packet on the path, which is the one in use, has something to say of an extension. */
  hasFrame(path: PathKey, now: number): boolean {
    this.#onPath(path);
    return this.#traversal?.hasFrame(now) === true || this.#reporter?.isDue(path, now) === true;
  }

  /** Writes the next frame, if there is one and it fits. @returns What to remember until it is acknowledged. */
  writeFrame(path: PathKey, writer: Writer, now: number): TraversalFrame | SentReport | undefined {
    this.#onPath(path);
    return this.#reporter?.writeFrame(path, writer, now) ?? this.#traversal?.writeFrame(writer, now);
  }

  /** The packet with this frame was lost. */
  onFrameLost(frame: TraversalFrame | SentReport): void {
    if (frame.type === "OBSERVED_ADDRESS") this.#reporter?.onLost(frame);
    else this.#traversal?.onFrameLost(frame);
  }

  /** An address of ours, be it before the peer is known to take part. */
  addCandidate(candidate: LocalCandidate, now: number): void {
    if (this.#traversal !== undefined) return this.#traversal.addCandidate(candidate, now);
    if (this.#isNegotiated || this.#setup.natTraversal === undefined) return;
    if (this.#waiting.length < MAX_WAITING_CANDIDATES) this.#waiting.push(candidate);
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

  get #peerRole(): Role {
    return this.#setup.role === "client" ? "server" : "client";
  }

  #onPath(path: PathKey): void {
    if (this.#reporter === undefined || path === this.#reportedPath) return;
    this.#reportedPath = path;
    this.#reporter.onReturn(path);
  }
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(new Uint8Array(8));
  write(writer);
  return writer.written().slice();
}
