/**
 * What a connection tells of itself in numbers, for reports and tests.
 *
 * @module
 */

import type { ConnectionParts } from "./connection_parts.ts";
import type { State } from "./connection_state.ts";

/** See {@linkcode ConnectionStats.answeredAt}. */
export function answeredAt({ loss, paths: { active } }: ConnectionParts): number {
  // Where only the port differs, loss detection goes on as before: what was sent before the move was sent elsewhere.
  const { newestAckedSentAt } = loss;
  return Math.max(active.provenAt, newestAckedSentAt >= active.usedSince ? newestAckedSentAt : -Infinity);
}

/** What a connection has done so far. */
export interface ConnectionStats {
  /** Where the connection is in its life. */
  readonly state: State["name"];
  /** Smoothed; what is assumed before the first sample. */
  readonly rttMs: number;
  /** The smallest sample: RFC 9002 §5.2. */
  readonly minRttMs: number;
  /** After how long without an acknowledgement a probe follows, without backoff: RFC 9002 §6.2.1. */
  readonly probeTimeoutMs: number;
  /** What may be in flight: RFC 9002 §7. */
  readonly congestionWindowBytes: number;
  /** What is in flight: neither acknowledged nor declared lost. */
  readonly bytesInFlight: number;
  /** UDP payload that left, on all paths. */
  readonly sentBytes: number;
  /** Datagrams that left. */
  readonly sentDatagrams: number;
  /** QUIC packets in them. */
  readonly sentPackets: number;
  /** UDP payload that came in for this connection, what was dropped included. */
  readonly receivedBytes: number;
  /** Datagrams that came in. */
  readonly receivedDatagrams: number;
  /** QUIC packets in them that were authentic. */
  readonly receivedPackets: number;
  /** Ack-eliciting ones of ours that were declared lost: RFC 9002 §6.1. */
  readonly lostPackets: number;
  /** Changes of 1-RTT keys, by either end: RFC 9001 §6. */
  readonly keyUpdates: number;
  /** Streams that are not forgotten yet. */
  readonly streams: number;
  /** UDP payload of a full datagram. */
  readonly datagramBytes: number;
  /**
   * When the newest packet left on the path in use of which the peer has shown that it came: by an acknowledgement, or by
   * PATH_RESPONSE. Monotonic ms; `-Infinity` if there is none.
   */
  readonly answeredAt: number;
}
