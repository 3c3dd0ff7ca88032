/**
 * Stream IDs and what their two low bits say: RFC 9000 §2.1.
 *
 * @module
 */

/** Which end of a connection: the low bit of a stream ID, and much of RFC 9000, depends on it. */
export type Role = "client" | "server";

/** Whether data flows both ways on a stream, or only from its initiator. */
export type Directionality = "bidirectional" | "unidirectional";

/** The ID of the stream number `index` (from 0) of its type. */
export function streamIdOf(initiator: Role, directionality: Directionality, index: number): number {
  return index * 4 + (directionality === "unidirectional" ? 2 : 0) + (initiator === "server" ? 1 : 0);
}

/** Who opened the stream. */
export function initiatorOf(streamId: number): Role {
  return streamId % 2 === 0 ? "client" : "server";
}

/** Whether the stream goes both ways. */
export function directionalityOf(streamId: number): Directionality {
  return streamId % 4 < 2 ? "bidirectional" : "unidirectional";
}

/** How many streams of the same type have a smaller ID. */
export function indexOf(streamId: number): number {
  return Math.floor(streamId / 4);
}
