/**
 * Packet numbers on the wire: RFC 9000 §17.1, §A.2, §A.3.
 *
 * @module
 */

/** Largest packet number, kept below RFC 9000 §12.3's 2^62 - 1 by what a `number` counts exactly. */
export const MAX_PACKET_NUMBER: number = Number.MAX_SAFE_INTEGER - 1;

/**
 * How many bytes (1 to 4) the packet number must take so that the peer can tell it: RFC 9000 §A.2.
 *
 * @param largestAcknowledged -1 if the peer has acknowledged nothing in this space.
 */
export function packetNumberBytes(packetNumber: number, largestAcknowledged: number): number {
  // Twice the distance must fit: RFC 9000 §17.1.
  const unacknowledged = packetNumber - largestAcknowledged;
  if (unacknowledged <= 0x80) return 1;
  if (unacknowledged <= 0x8000) return 2;
  return unacknowledged <= 0x800000 ? 3 : 4;
}

/**
 * The full packet number that its low bytes stand for: RFC 9000 §A.3.
 *
 * @param largestPacketNumber Largest one received in this space, -1 if there is none.
 * @param truncated The bytes on the wire as an unsigned number.
 * @param length How many bytes they were, 1 to 4.
 */
export function decodePacketNumber(largestPacketNumber: number, truncated: number, length: number): number {
  const expected = largestPacketNumber + 1;
  const window = length === 1 ? 0x100 : length === 2 ? 0x10000 : length === 3 ? 0x1000000 : 0x100000000;
  const half = window / 2;
  const candidate = expected - (expected % window) + truncated;
  if (candidate <= expected - half && candidate < MAX_PACKET_NUMBER - window) return candidate + window;
  if (candidate > expected + half && candidate >= window) return candidate - window;
  return candidate;
}
