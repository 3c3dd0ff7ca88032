/**
 * The connection IDs that the peer addresses us by: issuing and taking back: RFC 9000 §5.1, §19.15, §19.16. Those we address
 * the peer by are in `remote_connection_ids.ts`.
 *
 * @module
 */

import { equalBytes } from "../core/bytes.ts";
import { TransportError } from "./errors.ts";

/** IDs of ours that the peer may hold at once, whatever it allows: what probing a few paths needs. */
export const MAX_LOCAL_CONNECTION_IDS = 4;

/** A connection ID of ours. Its reset token is made of it when it is said. */
export interface IssuedConnectionId {
  readonly sequenceNumber: number;
  readonly connectionId: Uint8Array;
}

/** What NEW_CONNECTION_ID says. */
export interface ConnectionIdWithToken extends IssuedConnectionId {
  readonly statelessResetToken: Uint8Array;
}

/** Who hands out connection IDs and routes by them: the endpoint. */
export interface ConnectionIdRegistry {
  /** A fresh ID that routes to the connection. */
  issue(): Uint8Array;
  /** The reset token of an ID: RFC 9000 §10.3.2. */
  tokenOf(connectionId: Uint8Array): Uint8Array;
  /** Packets with this ID are no longer the connection's. */
  retire(connectionId: Uint8Array): void;
}

/** The IDs that the peer addresses us by. */
export class LocalConnectionIds {
  readonly #registry: ConnectionIdRegistry;
  readonly #maximum: number;
  #active: IssuedConnectionId[];
  #nextSequenceNumber = 1;
  /** How many the peer keeps: its active_connection_id_limit. */
  #limit = 1;
  /** Issued and not yet said, or said in a packet that was lost. */
  #pending: IssuedConnectionId[] = [];

  /**
   * @param first The one of the handshake, already registered.
   * @param maximum IDs that are valid at once.
   */
  constructor(
    registry: ConnectionIdRegistry,
    first: Uint8Array,
    maximum: number = MAX_LOCAL_CONNECTION_IDS,
  ) {
    this.#registry = registry;
    this.#maximum = maximum;
    this.#active = [{ sequenceNumber: 0, connectionId: first }];
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
    this.#limit = Math.min(activeConnectionIdLimit, this.#maximum);
    this.#replenish();
  }

  /** The one that goes into the preferred_address of a server: RFC 9000 §5.1.1. To be called before all others. */
  issuePreferred(): ConnectionIdWithToken {
    const id = this.#issue();
    return { ...id, statelessResetToken: this.#registry.tokenOf(id.connectionId) };
  }

  /** The next NEW_CONNECTION_ID to send, left where it is. */
  get pending(): IssuedConnectionId | undefined {
    return this.#pending[0];
  }

  /** The next NEW_CONNECTION_ID was put into a packet. */
  takePending(): ConnectionIdWithToken | undefined {
    const id = this.#pending.shift();
    return id === undefined ? undefined : { ...id, statelessResetToken: this.#registry.tokenOf(id.connectionId) };
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
      this.#pending.push(this.#issue());
    }
  }

  #issue(): IssuedConnectionId {
    const id = { sequenceNumber: this.#nextSequenceNumber++, connectionId: this.#registry.issue() };
    this.#active.push(id);
    return id;
  }
}

interface RemoteConnectionId {
  readonly sequenceNumber: number;
  readonly connectionId: Uint8Array;
  statelessResetToken: Uint8Array | undefined;
}
