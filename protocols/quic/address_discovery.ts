/**
 * Address discovery (draft-ietf-quic-address-discovery-00): each end may tell the other from which address its packets come,
 * which is what a STUN server would, for the very socket in use. Off unless asked for.
 *
 * The connection makes an {@linkcode AddressReporter} if the peer wants reports and we give them, and an {@linkcode
 * AddressObserver} if we want reports. Reports are told by path; a path is a base and a remote address.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import type { Reader } from "../core/reader.ts";
import type { Writer } from "../core/writer.ts";
import { TransportError } from "./errors.ts";
import { addressFieldBytes, readAddress, writeAddress } from "./nat_traversal/address_field.ts";
import { readVarint, readVarint62, varintBytes, writeVarint } from "./varint.ts";

/** Transport parameter: section 4 of the draft. */
export const ADDRESS_DISCOVERY_PARAMETER_ID = 0x9f81a176;
/** Frame types by address family: section 5 of the draft. */
export const OBSERVED_ADDRESS_TYPES = [0x9f81a6, 0x9f81a7] as const;

/** What an endpoint does: tells what it sees, wants to be told, or both. */
export type AddressDiscoveryRole = "reports" | "wants" | "reports and wants";

/** What an endpoint declares; its value on the wire is the index. */
export const ADDRESS_DISCOVERY_ROLES: readonly AddressDiscoveryRole[] = ["reports", "wants", "reports and wants"];

/** Paths that reports are kept of; one more forgets the oldest. */
export const MAX_REPORTED_PATHS = 16;
/** Reports that may leave at once, and how long until one more may: who copies packets from elsewhere causes no flood. */
export const MAX_REPORT_BURST = 8;
export const REPORT_INTERVAL_MS = 1000;

/** OBSERVED_ADDRESS. */
export interface ObservedAddressFrame {
  readonly type: "OBSERVED_ADDRESS";
  readonly sequenceNumber: number;
  readonly address: Address;
}

/** What is remembered of a sent report. */
export interface SentReport {
  readonly type: "OBSERVED_ADDRESS";
  readonly sequenceNumber: number;
  readonly base: Base;
  readonly remote: Address;
}

/** A path, by what makes it one. */
interface PathOf {
  readonly base: Base;
  readonly remote: Address;
}

/** Whether both ends agree that `from` tells `to`. */
export function reportsTo(from: AddressDiscoveryRole | undefined, to: AddressDiscoveryRole | undefined): boolean {
  return from !== undefined && from !== "wants" && to !== undefined && to !== "reports";
}

/** The value of the transport parameter. */
export function encodeAddressDiscovery(role: AddressDiscoveryRole, writer: Writer): void {
  writeVarint(writer, ADDRESS_DISCOVERY_ROLES.indexOf(role));
}

/** @throws {TransportError} TRANSPORT_PARAMETER_ERROR if it is not one varint of 0 to 2. */
export function decodeAddressDiscovery(value: Reader): AddressDiscoveryRole {
  const isOneVarint = value.remaining > 0 && value.remaining === 1 << (value.peek() >> 6);
  const role = isOneVarint ? ADDRESS_DISCOVERY_ROLES[Number(readVarint62(value))] : undefined;
  if (role === undefined) {
    throw new TransportError("TRANSPORT_PARAMETER_ERROR", "Cannot take address_discovery: it is not 0, 1 or 2");
  }
  return role;
}

/** Whether the frame type is one of OBSERVED_ADDRESS. */
export function isObservedAddress(type: number): boolean {
  return type === OBSERVED_ADDRESS_TYPES[0] || type === OBSERVED_ADDRESS_TYPES[1];
}

/** Reads OBSERVED_ADDRESS behind its type. @throws {TruncatedError} If the bytes end first. */
export function decodeObservedAddress(type: number, reader: Reader): ObservedAddressFrame {
  const sequenceNumber = readVarint(reader);
  const family = type === OBSERVED_ADDRESS_TYPES[0] ? 4 : 6;
  return { type: "OBSERVED_ADDRESS", sequenceNumber, address: readAddress(reader, family) };
}

/** Writes OBSERVED_ADDRESS with its type. */
export function encodeObservedAddress(
  frame: { readonly sequenceNumber: number; readonly address: Address },
  writer: Writer,
): void {
  writeVarint(writer, OBSERVED_ADDRESS_TYPES[frame.address.family === 4 ? 0 : 1]);
  writeVarint(writer, frame.sequenceNumber);
  writeAddress(writer, frame.address);
}

interface Report {
  readonly base: Base;
  readonly remote: Address;
  /** Of the frame that told it last; a loss of an older one means nothing. */
  sequenceNumber: number;
  isDue: boolean;
}

/** Tells the peer what addresses its packets come from. */
export class AddressReporter {
  #reports: Report[] = [];
  #nextSequenceNumber = 0;
  /** Reports that may leave, and since when it is counted. */
  #credit = MAX_REPORT_BURST;
  #creditAt = 0;

  /**
   * A path is in use, or probed: it is reported once. The remote address is part of what makes the path, so that a peer whose
   * address changes is on a new one.
   */
  onPath({ base, remote }: PathOf): void {
    if (this.#find(base, remote) !== undefined) return;
    if (this.#reports.length >= MAX_REPORTED_PATHS) this.#reports.shift();
    this.#reports.push({ base, remote, sequenceNumber: -1, isDue: true });
  }

  /** The peer has come back to a path after it had left it: it is told again, as it may have forgotten. */
  onReturn(path: PathOf): void {
    const report = this.#find(path.base, path.remote);
    if (report === undefined) this.onPath(path);
    else report.isDue = true;
  }

  /** Whether a packet on the path is to carry a report. */
  isDue({ base, remote }: PathOf, now: number): boolean {
    return this.#find(base, remote)?.isDue === true && this.#creditOf(now) >= 1;
  }

  /** When a report that has to wait may leave on this path; `undefined` if none waits. */
  dueAt({ base, remote }: PathOf, now: number): number | undefined {
    if (this.#find(base, remote)?.isDue !== true) return undefined;
    const missing = 1 - this.#creditOf(now);
    return missing <= 0 ? now : now + missing * REPORT_INTERVAL_MS;
  }

  /** Writes the report that is due on the path, if it fits. @returns What to remember until it is acknowledged. */
  writeFrame({ base, remote }: PathOf, writer: Writer, now: number): SentReport | undefined {
    const report = this.#find(base, remote);
    if (report?.isDue !== true || this.#creditOf(now) < 1) return undefined;
    const sequenceNumber = this.#nextSequenceNumber;
    if (writer.remaining < 4 + varintBytes(sequenceNumber) + addressFieldBytes(remote)) return undefined;
    encodeObservedAddress({ sequenceNumber, address: remote }, writer);
    this.#nextSequenceNumber++;
    this.#credit = this.#creditOf(now) - 1;
    this.#creditAt = now;
    report.sequenceNumber = sequenceNumber;
    report.isDue = false;
    return { type: "OBSERVED_ADDRESS", sequenceNumber, base, remote };
  }

  /** Section 5 of the draft: it is told again, on the path that it was first told on and no other. */
  onLost(sent: SentReport): void {
    const report = this.#find(sent.base, sent.remote);
    if (report?.sequenceNumber === sent.sequenceNumber) report.isDue = true;
  }

  #find(base: Base, remote: Address): Report | undefined {
    return this.#reports.find((report) => report.base === base && report.remote === remote);
  }

  #creditOf(now: number): number {
    return Math.min(MAX_REPORT_BURST, this.#credit + Math.max(0, now - this.#creditAt) / REPORT_INTERVAL_MS);
  }
}

/** An address of ours, as the peer sees it. */
export interface ObservedAddress {
  /** Where the report came in. */
  readonly base: Base;
  /** Who reports: an address is seen differently from different places. */
  readonly remote: Address;
  readonly address: Address;
}

interface Observation {
  readonly base: Base;
  readonly remote: Address;
  sequenceNumber: number;
  address: Address;
}

/** Hears from the peer what addresses our packets come from. */
export class AddressObserver {
  #observations: Observation[] = [];

  /**
   * OBSERVED_ADDRESS came in on a path.
   *
   * @returns What is new; `undefined` if the report is older than one already seen for the path, or says the same.
   */
  onFrame(frame: ObservedAddressFrame, { base, remote }: PathOf): ObservedAddress | undefined {
    const { sequenceNumber, address } = frame;
    const known = this.#observations.find((other) => other.base === base && other.remote === remote);
    if (known === undefined) {
      if (this.#observations.length >= MAX_REPORTED_PATHS) this.#observations.shift();
      this.#observations.push({ base, remote, sequenceNumber, address });
    } else {
      // Section 5 of the draft: reports are ignored unless they are newer than all before on that path.
      if (sequenceNumber <= known.sequenceNumber) return undefined;
      known.sequenceNumber = sequenceNumber;
      if (known.address === address) return undefined;
      known.address = address;
    }
    return { base, remote, address };
  }
}

/** What a report is to an end that did not ask for it. */
export function unexpectedReport(type: number): TransportError {
  return new TransportError("PROTOCOL_VIOLATION", "OBSERVED_ADDRESS was not asked for", { frameType: type });
}
