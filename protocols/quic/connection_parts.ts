/**
 * What a connection is made of. `QuicConnection` owns the parts; `receive`, `send` and the other rooms work on them. Each
 * part keeps its state to itself and has verbs.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Random } from "../core/random.ts";
import type { TransportSettings } from "./config.ts";
import type { CongestionController } from "./congestion.ts";
import type { LocalConnectionIds } from "./connection_ids.ts";
import type { ConnectionState } from "./connection_state.ts";
import type { Datagrams } from "./datagrams.ts";
import type { ConnectionEvent, DropReason } from "./events.ts";
import type { Extensions } from "./extensions.ts";
import type { Fifo } from "./fifo.ts";
import type { Handshake, PacketSpaces } from "./handshake.ts";
import type { Idle } from "./idle.ts";
import type { KeyUpdate } from "./key_update.ts";
import type { LossDetection } from "./loss_detection.ts";
import type { Mtu } from "./mtu.ts";
import type { Pacer } from "./pacer.ts";
import type { Paths } from "./paths.ts";
import type { RemoteConnectionIds } from "./remote_connection_ids.ts";
import type { Rtt } from "./rtt.ts";
import type { Role } from "./stream_id.ts";
import type { Streams } from "./streams.ts";
import type { Timers } from "./timers.ts";

/** Small frames that are due, and what the handshake left to remember. */
export interface Pending {
  /** HANDSHAKE_DONE is to be sent: RFC 9000 §19.20. */
  isHandshakeDoneDue: boolean;
  /** NEW_TOKEN with this is to be sent: RFC 9000 §8.1.3. */
  newToken: Uint8Array | undefined;
  /** PING is to be sent: keep-alive, or the application asked. */
  isPingDue: boolean;
  /** CONNECTION_CLOSE is to be sent: RFC 9000 §10.2.1. */
  isCloseDue: boolean;
}

/** What went by, for `stats`. */
export interface Counters {
  sentBytes: number;
  sentDatagrams: number;
  sentPackets: number;
  receivedBytes: number;
  receivedDatagrams: number;
  receivedPackets: number;
  lostPackets: number;
}

/** What is remembered of the handshake's connection IDs and token: RFC 9000 §7.2, §7.3, §8.1.2. */
export interface Origin {
  /** On a client: Destination Connection ID of its very first Initial. On a server: of the first Initial it got. */
  readonly originalDestinationId: Uint8Array;
  /** Our Source Connection ID of the handshake. */
  readonly sourceId: Uint8Array;
  /** The peer's, once a packet of it was processed. */
  peerSourceId: Uint8Array | undefined;
  /** On a client: of the Retry it followed. */
  retrySourceId: Uint8Array | undefined;
  /** On a client: given by the application or by Retry, to be sent in every Initial. */
  token: Uint8Array;
}

/** The early dial's limit: how many datagrams may leave before the peer has answered. */
export interface EarlyDial {
  /** `Infinity` once released. */
  remainingDatagrams: number;
}

/** What changes when the connection moves. */
export interface Epoch {
  /** Which run of packets congestion window and RTT belong to: packets sent before a reset are not shown to them. */
  id: number;
  /** When a server last asked on paths used before, because the one in use was silent. */
  askedElsewhereAt: number;
  /** When a client last kept open the paths that it may go back to. */
  keptOpenAt: number;
}

/** The parts of one connection. */
export interface ConnectionParts {
  readonly role: Role;
  readonly settings: TransportSettings;
  readonly random: Random;
  readonly origin: Origin;
  readonly state: ConnectionState;
  readonly paths: Paths;
  readonly localIds: LocalConnectionIds;
  readonly remoteIds: RemoteConnectionIds;
  readonly spaces: PacketSpaces;
  readonly handshake: Handshake;
  readonly keyUpdate: KeyUpdate;
  readonly rtt: Rtt;
  readonly loss: LossDetection;
  readonly congestion: CongestionController;
  readonly pacer: Pacer;
  readonly mtu: Mtu;
  readonly streams: Streams;
  readonly datagrams: Datagrams;
  readonly timers: Timers;
  readonly idle: Idle;
  /** Absent unless an extension was asked for. */
  readonly extensions: Extensions | undefined;
  readonly pending: Pending;
  readonly earlyDial: EarlyDial;
  readonly epoch: Epoch;
  readonly counters: Counters;
  /** In order; bounded by what can happen between two polls. */
  readonly events: Fifo<ConnectionEvent>;
  /** On a server: see `ConnectionHost.newToken`. */
  readonly makeNewToken: (remote: Address) => Uint8Array | undefined;
  /** Counts a datagram or packet that was passed over. */
  readonly drop: (reason: DropReason) => void;
}
