/**
 * The connection IDs that we address the peer by, which path uses which, and stateless reset tokens: RFC 9000 §5.1, §9.5,
 * §10.3, §19.15.
 *
 * Each path has an ID of its own, unless the peer does not know that it moved, or uses IDs without length. Paths are named
 * by number; the path in use is one of them.
 *
 * @module
 */

import { concatBytes, equalBytes } from "../core/bytes.ts";
import { equalSecrets } from "../crypto/constant_time.ts";
import { TransportError } from "./errors.ts";
import { RangeSet } from "./range_set.ts";

/** What we declare as active_connection_id_limit: IDs of the peer that we keep. */
export const ACTIVE_CONNECTION_ID_LIMIT = 8;
/** RFC 9000 §5.1.2: RETIRE_CONNECTION_ID frames that wait, per ID of the limit; a peer that causes more is cut off. */
const PENDING_RETIREMENTS_PER_ID = 4;

/** Runs of retired IDs that are remembered: a peer that counts by one, as it must (RFC 9000 §5.1.1), makes few. */
const MAX_RETIRED_RANGES = 64;

interface RemoteConnectionId {
  readonly sequenceNumber: number;
  readonly connectionId: Uint8Array;
  statelessResetToken: Uint8Array | undefined;
}

/** The IDs that we address the peer by. */
export class RemoteConnectionIds {
  readonly #limit: number;
  #current: RemoteConnectionId;
  /** Number of the path in use. */
  #currentPath = 0;
  /** By number of the path. */
  readonly #held = new Map<number, RemoteConnectionId>();
  #spare: RemoteConnectionId[] = [];
  #retirePriorTo = 0;
  /** Sequence numbers that we have given back, from `#retirePriorTo` on. */
  readonly #retired = new RangeSet();
  #pendingRetirements: number[] = [];

  /**
   * @param connectionId Of the first packets: a client draws it, a server takes it from the client's Initial.
   * @param limit The active_connection_id_limit that we declare.
   */
  constructor(connectionId: Uint8Array, limit: number = ACTIVE_CONNECTION_ID_LIMIT) {
    this.#limit = limit;
    this.#current = { sequenceNumber: 0, connectionId: connectionId.slice(), statelessResetToken: undefined };
    this.#held.set(0, this.#current);
  }

  /** That of the path in use. */
  get current(): Uint8Array {
    return this.#current.connectionId;
  }

  /** Whether the peer uses IDs without length, which cannot tell paths apart. */
  get isEmpty(): boolean {
    return this.#current.connectionId.length === 0;
  }

  /** Whether one more path can have an ID. */
  get hasSpare(): boolean {
    return this.#spare.length > 0 || this.isEmpty;
  }

  /** The ID of a path, if it has one. */
  of(path: number): Uint8Array | undefined {
    return this.#held.get(path)?.connectionId;
  }

  /** Gives a path an ID that no other has, unless it has one. @returns Whether it has one now. */
  claim(path: number): boolean {
    if (this.#held.has(path)) return true;
    const id = this.isEmpty ? this.#current : this.#spare.shift();
    if (id === undefined) return false;
    this.#held.set(path, id);
    return true;
  }

  /** Has `path` use the ID of another path; the one it had is retired. Nothing happens if that has none. */
  share(path: number, other: number): void {
    const id = this.#held.get(other);
    if (id === undefined || this.#held.get(path) === id) return;
    this.#drop(path);
    this.#held.set(path, id);
    if (path === this.#currentPath) this.#current = id;
  }

  /** Whether two paths have the same ID. */
  isShared(path: number, other: number): boolean {
    return this.#held.has(path) && this.#held.get(path) === this.#held.get(other);
  }

  /** Gives a path a fresh ID in place of the one it has: RFC 9000 §9.5. @returns Whether there was one. */
  renew(path: number): boolean {
    const next = this.#spare.shift();
    if (next === undefined) return false;
    this.#drop(path);
    this.#held.set(path, next);
    if (path === this.#currentPath) this.#current = next;
    return true;
  }

  /** The path comes into use. @throws {Error} If it has no ID. */
  use(path: number): void {
    const id = this.#held.get(path);
    if (id === undefined) throw new Error(`Cannot use path ${path}: it has no connection ID`);
    this.#currentPath = path;
    this.#current = id;
  }

  /** The path is given up: its ID is retired if no other path has it. Nothing happens to the path in use. */
  release(path: number): void {
    if (path !== this.#currentPath) this.#drop(path);
  }

  /** The peer chose another one in its first packet, or by Retry: RFC 9000 §7.2. */
  replaceInitial(connectionId: Uint8Array): void {
    this.#current = { sequenceNumber: 0, connectionId: connectionId.slice(), statelessResetToken: undefined };
    this.#held.set(this.#currentPath, this.#current);
  }

  /** The token from the transport parameters, which belongs to the ID of the handshake. */
  setInitialToken(statelessResetToken: Uint8Array): void {
    if (this.#current.sequenceNumber === 0) this.#current.statelessResetToken = statelessResetToken;
  }

  /** Whether the last 16 bytes of a datagram are the token of an ID that a path uses: RFC 9000 §10.3.1. */
  isStatelessReset(token: Uint8Array): boolean {
    let isReset = false;
    // All of them, so that time tells nothing.
    for (const { statelessResetToken } of this.#held.values()) {
      if (statelessResetToken !== undefined && equalSecrets(statelessResetToken, token)) isReset = true;
    }
    return isReset;
  }

  /**
   * The peer offers one: RFC 9000 §19.15. What outlives the call is copied.
   *
   * @throws {TransportError} PROTOCOL_VIOLATION or CONNECTION_ID_LIMIT_ERROR.
   */
  onNew(
    frame: {
      readonly sequenceNumber: number;
      readonly retirePriorTo: number;
      readonly connectionId: Uint8Array;
      readonly statelessResetToken: Uint8Array;
    },
  ): void {
    if (this.isEmpty) throw new TransportError("PROTOCOL_VIOLATION", "NEW_CONNECTION_ID from a peer whose ID is empty");
    const held = new Set(this.#held.values());
    const same = [...held, ...this.#spare].find((id) =>
      id.sequenceNumber === frame.sequenceNumber || equalBytes(id.connectionId, frame.connectionId)
    );
    if (same !== undefined) {
      const isRepeated = same.sequenceNumber === frame.sequenceNumber &&
        equalBytes(same.connectionId, frame.connectionId) &&
        (same.statelessResetToken === undefined || equalSecrets(same.statelessResetToken, frame.statelessResetToken));
      if (!isRepeated) throw new TransportError("PROTOCOL_VIOLATION", "NEW_CONNECTION_ID contradicts an earlier one");
    } else if (frame.sequenceNumber < this.#retirePriorTo) {
      // RFC 9000 §19.15: it came late and is retired already.
      this.#pendingRetirements.push(frame.sequenceNumber);
    } else if (this.#isRetired(frame.sequenceNumber)) {
      // A copy of the frame that was sent again, after we had used the ID and given it back: it is gone for good.
    } else {
      // One piece of memory for both: connections have several of these.
      const bytes = concatBytes(frame.connectionId, frame.statelessResetToken);
      const idBytes = frame.connectionId.length;
      this.#spare.push({
        sequenceNumber: frame.sequenceNumber,
        connectionId: bytes.subarray(0, idBytes),
        statelessResetToken: bytes.subarray(idBytes),
      });
    }
    if (frame.retirePriorTo > this.#retirePriorTo) this.#applyRetirePriorTo(frame.retirePriorTo);
    if (new Set(this.#held.values()).size + this.#spare.length > this.#limit) {
      throw new TransportError("CONNECTION_ID_LIMIT_ERROR", `More than ${this.#limit} connection IDs`);
    }
    if (this.#pendingRetirements.length > PENDING_RETIREMENTS_PER_ID * this.#limit) {
      throw new TransportError("CONNECTION_ID_LIMIT_ERROR", "Too many connection IDs to retire");
    }
  }

  /** The next RETIRE_CONNECTION_ID to send, left where it is. */
  get pendingRetirement(): number | undefined {
    return this.#pendingRetirements[0];
  }

  /** The next RETIRE_CONNECTION_ID was put into a packet. */
  takePendingRetirement(): number | undefined {
    return this.#pendingRetirements.shift();
  }

  /** A packet with RETIRE_CONNECTION_ID was lost: RFC 9000 §13.3. */
  onRetirementLost(sequenceNumber: number): void {
    this.#pendingRetirements.push(sequenceNumber);
  }

  /** Paths whose ID goes get a fresh one, the path in use first; a path for which there is none has to claim one later. */
  #applyRetirePriorTo(retirePriorTo: number): void {
    this.#retirePriorTo = retirePriorTo;
    const retired = new Set([...this.#held.values(), ...this.#spare].filter((id) => id.sequenceNumber < retirePriorTo));
    this.#spare = this.#spare.filter((id) => !retired.has(id));
    const fresh = new Map<RemoteConnectionId, RemoteConnectionId>();
    for (const path of [this.#currentPath, ...this.#held.keys()]) {
      const id = this.#held.get(path);
      if (id === undefined || !retired.has(id)) continue;
      const next = fresh.get(id) ?? this.#spare.shift() ??
        (path === this.#currentPath ? this.#takeFromOther() : undefined);
      if (next === undefined) {
        this.#held.delete(path);
        continue;
      }
      fresh.set(id, next);
      this.#held.set(path, next);
      if (path === this.#currentPath) this.#current = next;
    }
    for (const { sequenceNumber } of retired) this.#pendingRetirements.push(sequenceNumber);
    this.#retired.removeBelow(retirePriorTo);
  }

  #isRetired(sequenceNumber: number): boolean {
    const index = this.#retired.search(sequenceNumber + 1);
    return index < this.#retired.count && this.#retired.startOf(index) <= sequenceNumber;
  }

  #retire(sequenceNumber: number): void {
    this.#pendingRetirements.push(sequenceNumber);
    this.#retired.add(sequenceNumber, sequenceNumber + 1);
    if (this.#retired.count > MAX_RETIRED_RANGES) this.#retired.removeBelow(this.#retired.firstEnd);
  }

  /** An ID that another path has; the frame's own is not below its Retire Prior To, so there is one. */
  #takeFromOther(): RemoteConnectionId | undefined {
    for (const [path, id] of this.#held) {
      if (id.sequenceNumber < this.#retirePriorTo) continue;
      for (const [other, same] of this.#held) if (same === id && other !== path) this.#held.delete(other);
      this.#held.delete(path);
      return id;
    }
    return undefined;
  }

  #drop(path: number): void {
    const id = this.#held.get(path);
    if (id === undefined) return;
    this.#held.delete(path);
    if (id.connectionId.length === 0) return;
    for (const other of this.#held.values()) if (other === id) return;
    this.#retire(id.sequenceNumber);
  }
}
