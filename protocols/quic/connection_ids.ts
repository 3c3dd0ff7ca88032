/**
 * Connection IDs of both directions: issuing, using, retiring, and stateless reset tokens: RFC 9000 §5.1, §10.3, §19.15,
 * §19.16.
 *
 * @module
 */

import { equalBytes } from "../core/bytes.ts";
import { equalSecrets } from "../crypto/constant_time.ts";
import { TransportError } from "./errors.ts";

/** IDs of ours that the peer may hold at once, whatever it allows: what probing a few paths needs. */
export const MAX_LOCAL_CONNECTION_IDS = 4;
/** What we declare as active_connection_id_limit: IDs of the peer that we keep. */
export const ACTIVE_CONNECTION_ID_LIMIT = 8;
/** RFC 9000 §5.1.2: RETIRE_CONNECTION_ID frames that wait; a peer that causes more is cut off. */
const MAX_PENDING_RETIREMENTS: number = 4 * ACTIVE_CONNECTION_ID_LIMIT;

/** A connection ID with its reset token. */
export interface IssuedConnectionId {
  readonly sequenceNumber: number;
  readonly connectionId: Uint8Array;
  readonly statelessResetToken: Uint8Array;
}

/** Who hands out connection IDs and routes by them: the endpoint. */
export interface ConnectionIdRegistry {
  /** A fresh ID that routes to the connection, and its reset token. */
  issue(): { readonly connectionId: Uint8Array; readonly statelessResetToken: Uint8Array };
  /** Packets with this ID are no longer the connection's. */
  retire(connectionId: Uint8Array): void;
}

/** The IDs that the peer addresses us by. */
export class LocalConnectionIds {
  readonly #registry: ConnectionIdRegistry;
  #active: IssuedConnectionId[];
  #nextSequenceNumber = 1;
  /** How many the peer keeps: its active_connection_id_limit. */
  #limit = 1;
  /** Issued and not yet said, or said in a packet that was lost. */
  #pending: IssuedConnectionId[] = [];

  /** @param first The one of the handshake, already registered. */
  constructor(
    registry: ConnectionIdRegistry,
    first: { readonly connectionId: Uint8Array; readonly statelessResetToken: Uint8Array },
  ) {
    this.#registry = registry;
    this.#active = [{ sequenceNumber: 0, ...first }];
  }

  /** Those that are valid, the oldest first. */
  get active(): readonly IssuedConnectionId[] {
    return this.#active;
  }

  /** The sequence number of an ID that is valid, -1 of any other. */
  sequenceNumberOf(connectionId: Uint8Array): number {
    return this.#active.find((id) => equalBytes(id.connectionId, connectionId))?.sequenceNumber ?? -1;
  }

  /** The peer said how many it keeps: RFC 9000 §5.1.1. */
  setLimit(activeConnectionIdLimit: number): void {
    this.#limit = Math.min(activeConnectionIdLimit, MAX_LOCAL_CONNECTION_IDS);
    this.#replenish();
  }

  /** The next NEW_CONNECTION_ID to send, left where it is. */
  get pending(): IssuedConnectionId | undefined {
    return this.#pending[0];
  }

  /** The next NEW_CONNECTION_ID was put into a packet. */
  takePending(): IssuedConnectionId | undefined {
    return this.#pending.shift();
  }

  /** A packet with NEW_CONNECTION_ID was lost: it is said again if it still holds, RFC 9000 §13.3. */
  onLost(sequenceNumber: number): void {
    const id = this.#active.find((other) => other.sequenceNumber === sequenceNumber);
    if (id !== undefined && !this.#pending.includes(id)) this.#pending.push(id);
  }

  /**
   * The peer retires one: RFC 9000 §19.16.
   *
   * @param usedConnectionId The one that the packet with the frame was addressed to.
   * @throws {TransportError} PROTOCOL_VIOLATION if it was never issued, or is the one in use by this very packet.
   */
  onRetire(sequenceNumber: number, usedConnectionId: Uint8Array): void {
    if (sequenceNumber >= this.#nextSequenceNumber) {
      throw new TransportError("PROTOCOL_VIOLATION", "RETIRE_CONNECTION_ID names an ID that was not issued");
    }
    const id = this.#active.find((other) => other.sequenceNumber === sequenceNumber);
    if (id === undefined) return;
    if (equalBytes(id.connectionId, usedConnectionId)) {
      throw new TransportError("PROTOCOL_VIOLATION", "RETIRE_CONNECTION_ID names the ID of its own packet");
    }
    this.#active = this.#active.filter((other) => other !== id);
    this.#pending = this.#pending.filter((other) => other !== id);
    this.#registry.retire(id.connectionId);
    this.#replenish();
  }

  /** Gives all back to the endpoint: the connection is over. */
  close(): void {
    for (const id of this.#active) this.#registry.retire(id.connectionId);
    this.#active = [];
    this.#pending = [];
  }

  #replenish(): void {
    while (this.#active.length < this.#limit) {
      const id: IssuedConnectionId = { sequenceNumber: this.#nextSequenceNumber++, ...this.#registry.issue() };
      this.#active.push(id);
      this.#pending.push(id);
    }
  }
}

interface RemoteConnectionId {
  readonly sequenceNumber: number;
  readonly connectionId: Uint8Array;
  statelessResetToken: Uint8Array | undefined;
}

/** The IDs that we address the peer by. */
export class RemoteConnectionIds {
  #current: RemoteConnectionId;
  #spare: RemoteConnectionId[] = [];
  #retirePriorTo = 0;
  #pendingRetirements: number[] = [];

  /** @param connectionId Of the first packets: a client draws it, a server takes it from the client's Initial. */
  constructor(connectionId: Uint8Array) {
    this.#current = { sequenceNumber: 0, connectionId: connectionId.slice(), statelessResetToken: undefined };
  }

  /** The one in use. */
  get current(): Uint8Array {
    return this.#current.connectionId;
  }

  /** The peer chose another one in its first packet, or by Retry: RFC 9000 §7.2. */
  replaceInitial(connectionId: Uint8Array): void {
    this.#current = { sequenceNumber: 0, connectionId: connectionId.slice(), statelessResetToken: undefined };
  }

  /** The token from the transport parameters, which belongs to the ID of the handshake. */
  setInitialToken(statelessResetToken: Uint8Array): void {
    if (this.#current.sequenceNumber === 0) this.#current.statelessResetToken = statelessResetToken;
  }

  /** Whether the last 16 bytes of a datagram are the token of the ID in use: RFC 9000 §10.3.1. */
  isStatelessReset(token: Uint8Array): boolean {
    const expected = this.#current.statelessResetToken;
    return expected !== undefined && equalSecrets(expected, token);
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
    if (this.#current.connectionId.length === 0) {
      throw new TransportError("PROTOCOL_VIOLATION", "NEW_CONNECTION_ID from a peer whose ID is empty");
    }
    const known = [this.#current, ...this.#spare];
    const same = known.find((id) =>
      id.sequenceNumber === frame.sequenceNumber || equalBytes(id.connectionId, frame.connectionId)
    );
    if (same !== undefined) {
      const isRepeated = same.sequenceNumber === frame.sequenceNumber &&
        equalBytes(same.connectionId, frame.connectionId) &&
        (same.statelessResetToken === undefined || equalSecrets(same.statelessResetToken, frame.statelessResetToken));
      if (!isRepeated) throw new TransportError("PROTOCOL_VIOLATION", "NEW_CONNECTION_ID contradicts an earlier one");
    } else if (frame.sequenceNumber < this.#retirePriorTo) {
      // RFC 9000 §19.15: it came late and is retired already.
      this.#retire(frame.sequenceNumber);
      return;
    } else {
      this.#spare.push({
        sequenceNumber: frame.sequenceNumber,
        connectionId: frame.connectionId.slice(),
        statelessResetToken: frame.statelessResetToken.slice(),
      });
    }
    if (frame.retirePriorTo > this.#retirePriorTo) this.#applyRetirePriorTo(frame.retirePriorTo);
    if (1 + this.#spare.length > ACTIVE_CONNECTION_ID_LIMIT) {
      throw new TransportError("CONNECTION_ID_LIMIT_ERROR", `More than ${ACTIVE_CONNECTION_ID_LIMIT} connection IDs`);
    }
  }

  /**
   * Goes on to a fresh ID, for another path: RFC 9000 §9.5.
   *
   * @returns Whether there was one.
   */
  advance(): boolean {
    const next = this.#spare.shift();
    if (next === undefined) return false;
    this.#retire(this.#current.sequenceNumber);
    this.#current = next;
    return true;
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

  #applyRetirePriorTo(retirePriorTo: number): void {
    this.#retirePriorTo = retirePriorTo;
    for (const id of this.#spare) if (id.sequenceNumber < retirePriorTo) this.#retire(id.sequenceNumber);
    this.#spare = this.#spare.filter((id) => id.sequenceNumber >= retirePriorTo);
    // The frame's own ID is not below its Retire Prior To, so there is one to go on with.
    if (this.#current.sequenceNumber < retirePriorTo) this.advance();
  }

  #retire(sequenceNumber: number): void {
    if (this.#pendingRetirements.length >= MAX_PENDING_RETIREMENTS) {
      throw new TransportError("CONNECTION_ID_LIMIT_ERROR", "Too many connection IDs to retire");
    }
    this.#pendingRetirements.push(sequenceNumber);
  }
}
