/**
 * The server's end of NAT traversal (draft-seemann-quic-nat-traversal-02 §4.1, §4.3): it names its addresses, and probes where
 * the client asks it to.
 *
 * Who asks is authenticated and may still be lying about where: the draft leaves the defence open. Requests count against the
 * limit whether or not they lead anywhere; scope, port and family of a target must be such as a peer could have; what is sent
 * is bounded by `probe_budget.ts`; nothing is done before the client's Finished has verified, or after the connection's end.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import type { LocalCandidate } from "../../core/candidate.ts";
import type { Base } from "../../core/machine.ts";
import type { ScopeRules } from "../../core/address_scope.ts";
import type { Writer } from "../../core/writer.ts";
import { TransportError } from "../errors.ts";
import { Fifo } from "../fifo.ts";
import { encodeTraversalFrame, traversalFrameBytes } from "./dialect.ts";
import type { AddAddressFrame, Dialect, PunchMeNowFrame, TraversalFrame } from "./dialect.ts";
import { isDirect, remoteFrom } from "./pairing.ts";
import { ConnectionBudget } from "./probe_budget.ts";
import { Prober } from "./prober.ts";
import type {
  NatTraversal,
  PathKey,
  Probe,
  ProbeLeave,
  TraversalCounts,
  TraversalEvent,
  TraversalSetup,
} from "./traversal.ts";

/** Addresses that are named at once; more are ignored. Others keep as many. */
export const MAX_NAMED_ADDRESSES = 32;
interface NamedAddress {
  readonly sequenceNumber: number;
  readonly candidate: LocalCandidate;
  /** Whether ADD_ADDRESS has left, so that it takes REMOVE_ADDRESS to take it back. */
  isSent: boolean;
}

/** The server's end. */
export class TraversalServer implements NatTraversal {
  readonly #dialect: Dialect;
  readonly #limit: number;
  readonly #rules: ScopeRules;
  readonly #prober: Prober;
  readonly #named = new Map<number, NamedAddress>();
  #nextSequenceNumber = 0;
  /** Frames to be sent, be it again: sequence numbers of addresses to add and to remove. */
  readonly #toAdd = new Set<number>();
  readonly #toRemove = new Set<number>();
  readonly #events = new Fifo<TraversalEvent>();
  #round = -1;
  /** What was asked for in this round: each once, however often it was repeated. */
  readonly #requests = new Map<string, PunchMeNowFrame>();
  #isEnabled = false;
  #isStopped = false;
  #refused = 0;
  #ignored = 0;

  constructor(setup: TraversalSetup) {
    this.#dialect = setup.dialect;
    this.#limit = setup.concurrencyLimit;
    this.#rules = setup.rules;
    this.#prober = new Prober(setup.random, new ConnectionBudget(setup.budget, true));
  }

  /** The round under way; -1 before the first. */
  get round(): number {
    return this.#round;
  }

  /** Section 4.1 of the draft: each address is named as soon as it is known. */
  addCandidate(candidate: LocalCandidate): void {
    if (this.#isStopped || !isDirect(candidate) || this.#named.size >= MAX_NAMED_ADDRESSES) return;
    const { address, base } = candidate;
    for (const { candidate: other } of this.#named.values()) {
      if (other.base === base && other.address === address) return;
    }
    const sequenceNumber = this.#nextSequenceNumber++;
    this.#named.set(sequenceNumber, { sequenceNumber, candidate, isSent: false });
    this.#toAdd.add(sequenceNumber);
  }

  removeCandidate(base: Base, address: Address): void {
    for (const named of this.#named.values()) {
      if (named.candidate.base === base && named.candidate.address === address) this.#forget(named);
    }
  }

  removeBase(base: Base): void {
    for (const named of this.#named.values()) if (named.candidate.base === base) this.#forget(named);
    this.#prober.close((path) => path.base === base);
  }

  enable(now: number): void {
    if (this.#isEnabled) return;
    this.#isEnabled = true;
    for (const request of this.#requests.values()) this.#serve(request, now);
  }

  /** Only a client begins rounds. */
  restart(): void {}

  stop(): void {
    this.#isStopped = true;
    this.#toAdd.clear();
    this.#toRemove.clear();
    this.#requests.clear();
    this.#prober.close(() => true);
  }

  onFrame(frame: TraversalFrame, now: number): void {
    // The direction of the others was checked where they were read.
    if (frame.type !== "PUNCH_ME_NOW" || this.#isStopped || frame.round < this.#round) {
      this.#ignored++; // The draft does not say what a request of an older round means.
      return;
    }
    if (frame.round > this.#round) {
      // Section 4.3 of the draft: a new round cancels what the last one began. What has answered goes too, or paths of years
      // would hold their connection IDs; the one that the client has moved to is the connection's own by now.
      this.#round = frame.round;
      this.#requests.clear();
      this.#prober.close(() => true);
    }
    const key = `${frame.pairedWithSequenceNumber} ${frame.address}`;
    if (this.#requests.has(key)) return;
    if (this.#requests.size >= this.#limit) {
      throw new TransportError("PROTOCOL_VIOLATION", `More than ${this.#limit} requests in a round of NAT traversal`);
    }
    this.#requests.set(key, frame);
    if (this.#isEnabled) this.#serve(frame, now);
  }

  hasFrame(): boolean {
    return this.#toAdd.size > 0 || this.#toRemove.size > 0;
  }

  writeFrame(writer: Writer): TraversalFrame | undefined {
    const frame = this.#nextFrame();
    if (frame === undefined || traversalFrameBytes(this.#dialect, frame) > writer.remaining) return undefined;
    encodeTraversalFrame(this.#dialect, frame, writer);
    const { sequenceNumber } = frame;
    const named = this.#named.get(sequenceNumber);
    if (named !== undefined) named.isSent = true;
    this.#toAdd.delete(sequenceNumber);
    this.#toRemove.delete(sequenceNumber);
    return frame;
  }

  onFrameLost(frame: TraversalFrame): void {
    if (this.#isStopped || frame.type === "PUNCH_ME_NOW") return;
    // Section 4.1 of the draft: again, unless it does not hold any more.
    if (frame.type === "REMOVE_ADDRESS") this.#toRemove.add(frame.sequenceNumber);
    else if (this.#named.has(frame.sequenceNumber)) this.#toAdd.add(frame.sequenceNumber);
  }

  pollProbe(now: number, leave: ProbeLeave): Probe | undefined {
    return this.#prober.poll(now, leave);
  }

  pollReleased(): number | undefined {
    return this.#prober.pollReleased();
  }

  onChallenge({ base, remote }: PathKey, data: Uint8Array, bytes: number, now: number): void {
    if (this.#isStopped) return;
    // The client may come through another mapping of its NAT than it named: that is where it is to be answered.
    this.#prober.open(base, remote, now)?.onChallenge(data, bytes, now);
  }

  onResponse(path: PathKey, data: Uint8Array, bytes: number, now: number): boolean {
    const outcome = this.#prober.onResponse(path, data, bytes, now);
    this.#readReports();
    return outcome !== undefined;
  }

  onUnreachable(path: PathKey): void {
    this.#prober.onUnreachable(path);
    this.#readReports();
  }

  /** RFC 9000 §9: clients may come from anywhere. */
  acceptsFrom(): boolean {
    return !this.#isStopped;
  }

  isProven({ base, remote }: PathKey): boolean {
    return this.#prober.find(base, remote)?.isAnswered === true;
  }

  rttMsOf({ base, remote }: PathKey): number | undefined {
    return this.#prober.find(base, remote)?.rttMs;
  }

  probedPathId({ base, remote }: PathKey): number | undefined {
    return this.#prober.find(base, remote)?.id;
  }

  pollEvent(): TraversalEvent | undefined {
    return this.#events.shift();
  }

  get timeoutAt(): number | undefined {
    return this.#prober.timeoutAt;
  }

  onTimeout(now: number): void {
    this.#prober.onTimeout(now);
    this.#readReports();
  }

  get counts(): TraversalCounts {
    const { probesSent, probeBytesSent, probesWithheld } = this.#prober;
    return {
      probesSent,
      probeBytesSent,
      probesWithheld,
      addressesRefused: this.#refused,
      framesIgnored: this.#ignored,
    };
  }

  #nextFrame(): TraversalFrame & { readonly sequenceNumber: number } | undefined {
    for (const sequenceNumber of this.#toRemove) return { type: "REMOVE_ADDRESS", sequenceNumber };
    for (const sequenceNumber of this.#toAdd) {
      const named = this.#named.get(sequenceNumber);
      if (named !== undefined) return addressFrameOf(named);
    }
    return undefined;
  }

  #forget(named: NamedAddress): void {
    const { sequenceNumber, candidate, isSent } = named;
    this.#named.delete(sequenceNumber);
    this.#toAdd.delete(sequenceNumber);
    if (isSent) this.#toRemove.add(sequenceNumber);
    const { base } = candidate;
    for (const other of this.#named.values()) if (other.candidate.base === base) return;
    this.#prober.close((path) => path.base === base && !path.isAnswered);
  }

  /** Probes begin from the base of the address that the client has paired the target with. */
  #serve(request: PunchMeNowFrame, now: number): void {
    const named = this.#named.get(request.pairedWithSequenceNumber);
    if (named === undefined) {
      this.#ignored++; // It may have crossed with REMOVE_ADDRESS.
      return;
    }
    const { base } = named.candidate;
    const remote = remoteFrom(base, request.address, this.#rules);
    if (remote === undefined) {
      this.#refused++;
      return;
    }
    // Also where it has answered already: a client that asks has no path yet, and waits to be shown the way.
    this.#prober.open(base, remote, now)?.restart(now);
  }

  /** Paths that have failed are done with; those that have answered stay: the client may come to use them. */
  #readReports(): void {
    for (let report = this.#prober.pollReport(); report !== undefined; report = this.#prober.pollReport()) {
      const { path, change } = report;
      if (change === "failed") this.#prober.close((other) => other === path);
      // A client that probes us through a tunnel wants to know it open.
      if (change === "sized" && path.base.kind === "tunnel" && path.rttMs !== undefined) {
        this.#events.push({ type: "wayBackFound", base: path.base, remote: path.remote, rttMs: path.rttMs });
      }
    }
  }
}

function addressFrameOf({ sequenceNumber, candidate }: NamedAddress): AddAddressFrame {
  return { type: "ADD_ADDRESS", sequenceNumber, address: candidate.address };
}
