/**
 * What a datagram says of itself as STUN, read from the raw bytes without decoding it: enough for the Mux to route by
 * (RFC 8489 §5, §6.3; RFC 9443). Nothing here is authenticated, and nothing here throws.
 *
 * @module
 */

/** Bytes of the fixed header: RFC 8489 §5. */
export const STUN_HEADER_BYTES = 20;

/** Bytes of a transaction ID: RFC 8489 §5. */
export const TRANSACTION_ID_BYTES = 12;

/** Largest USERNAME we look at: RFC 8489 §14.3 allows at most 508 bytes. */
export const MAX_USERNAME_BYTES = 508;

/** RFC 8489 §5: the two class bits. */
export type StunClass = "request" | "indication" | "success" | "error";

/** The Binding method: RFC 8489 §18.2. */
export const BINDING = 0x001;

const CLASSES: readonly StunClass[] = ["request", "indication", "success", "error"];

/**
 * Whether the datagram is STUN: first two bits zero, magic cookie, and a length that is a multiple of four and covers the
 * datagram exactly (RFC 8489 §6.3, RFC 9443 §3).
 */
export function isStun(datagram: Uint8Array): boolean {
  return datagram.length >= STUN_HEADER_BYTES && datagram[0]! < 4 &&
    datagram[4] === 0x21 && datagram[5] === 0x12 && datagram[6] === 0xa4 && datagram[7] === 0x42 &&
    (datagram[3]! & 3) === 0 &&
    ((datagram[2]! << 8) | datagram[3]!) + STUN_HEADER_BYTES === datagram.length;
}

/** The class of a datagram for which {@linkcode isStun} holds. */
export function stunClass(datagram: Uint8Array): StunClass {
  const bits = ((datagram[0]! & 0x01) << 1) | ((datagram[1]! & 0x10) >> 4);
  return CLASSES[bits]!;
}

/** The method of a datagram for which {@linkcode isStun} holds: 12 bits around the class bits (RFC 8489 §5). */
export function stunMethod(datagram: Uint8Array): number {
  const type = (datagram[0]! << 8) | datagram[1]!;
  return ((type & 0x3e00) >> 2) | ((type & 0x00e0) >> 1) | (type & 0x000f);
}

/**
 * The transaction ID as a string of 12 characters, one a byte: a key for tables, not for people.
 *
 * @param datagram One for which {@linkcode isStun} holds.
 */
export function transactionKey(datagram: Uint8Array): string {
  return keyOfTransactionId(datagram, 8);
}

/** The key of 12 bytes that begin at `offset`. */
export function keyOfTransactionId(bytes: Uint8Array, offset = 0): string {
  return String.fromCharCode(
    bytes[offset]!,
    bytes[offset + 1]!,
    bytes[offset + 2]!,
    bytes[offset + 3]!,
    bytes[offset + 4]!,
    bytes[offset + 5]!,
    bytes[offset + 6]!,
    bytes[offset + 7]!,
    bytes[offset + 8]!,
    bytes[offset + 9]!,
    bytes[offset + 10]!,
    bytes[offset + 11]!,
  );
}

/**
 * The first half of USERNAME, up to the colon: in a connectivity check the fragment of whoever receives it (RFC 8445
 * §7.2.2), by which a Mux finds the agent.
 *
 * @param datagram One for which {@linkcode isStun} holds.
 * @returns `undefined` if there is no USERNAME with a colon in it.
 */
export function usernameTarget(datagram: Uint8Array): string | undefined {
  let at = STUN_HEADER_BYTES;
  while (at + 4 <= datagram.length) {
    const type = (datagram[at]! << 8) | datagram[at + 1]!;
    const length = (datagram[at + 2]! << 8) | datagram[at + 3]!;
    const start = at + 4;
    const end = start + length;
    if (end > datagram.length) return undefined;
    if (type === 0x0006) {
      if (length > MAX_USERNAME_BYTES) return undefined;
      const colon = datagram.subarray(start, end).indexOf(0x3a);
      if (colon < 0) return undefined;
      // ufrag is made of ALPHA, DIGIT, "+" and "/" (RFC 8839 §5.4); any other byte matches no agent, whatever it decodes to.
      return String.fromCharCode(...datagram.subarray(start, start + colon));
    }
    at = start + ((length + 3) & ~3);
  }
  return undefined;
}
