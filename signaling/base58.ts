/**
 * Base58: bytes as letters and digits without the four that are mistaken for another (0, O, I, l). A double click selects
 * all of it, no mail program breaks it, and 160 characters hold 117 bytes.
 *
 * @module
 */

/** The 58 digits, in order of value. */
export const BASE58_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const BASE = 58n;

/** Characters that `bytes` bytes need: the same for all values, so that length and value cannot be confused. */
export function base58Length(bytes: number): number {
  return Math.ceil((bytes * 8) / Math.log2(58));
}

/** Bytes that fit into `characters` characters. */
export function base58Capacity(characters: number): number {
  return Math.floor((characters * Math.log2(58)) / 8);
}

/** Writes all bytes as one number, padded to {@linkcode base58Length}. */
export function encodeBase58(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  let text = "";
  for (let left = base58Length(bytes.length); left > 0; left--) {
    text = BASE58_ALPHABET.charAt(Number(value % BASE)) + text;
    value /= BASE;
  }
  return text;
}

/**
 * Reads what {@linkcode encodeBase58} writes.
 *
 * @returns `undefined` for any other character and for a number or length that no bytes have.
 */
export function decodeBase58(text: string): Uint8Array | undefined {
  const length = base58Capacity(text.length);
  if (base58Length(length) !== text.length) return undefined;
  let value = 0n;
  for (const character of text) {
    const digit = BASE58_ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    value = value * BASE + BigInt(digit);
  }
  const bytes = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  return value === 0n ? bytes : undefined;
}
