/**
 * The Huffman code of field strings: RFC 7541 §5.2 and Appendix B, used by RFC 9204 §4.1.2.
 *
 * The code is canonical: among codes of one length the values ascend with the symbols, and each length goes on where the one
 * before ended. The lengths therefore say everything.
 *
 * @module
 */

/** A Huffman-coded string that no encoder could have made: RFC 7541 §5.2. */
export class HuffmanError extends Error {
  override readonly name = "HuffmanError";
}

/** Length in bits of the code of each symbol, sixteen a row; the last is that of EOS. */
// deno-fmt-ignore
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const EOS = 256;
const MAX_CODE_BITS = 30;

/** Symbols in the order of their codes. */
const SYMBOLS: readonly number[] = CODE_BITS.map((_, symbol) => symbol).sort((a, b) =>
  CODE_BITS[a]! - CODE_BITS[b]! || a - b
);
/** By length: the first code of that length, how many there are, and where in `SYMBOLS` they begin. */
const FIRST_CODE: number[] = [];
const COUNT: number[] = [];
const FIRST_INDEX: number[] = [];
/** By symbol. */
const CODES: number[] = [];

for (let bits = 0, code = 0, index = 0; bits <= MAX_CODE_BITS; bits++, code *= 2) {
  FIRST_CODE[bits] = code;
  FIRST_INDEX[bits] = index;
  for (; index < SYMBOLS.length && CODE_BITS[SYMBOLS[index]!] === bits; index++) CODES[SYMBOLS[index]!] = code++;
  COUNT[bits] = index - FIRST_INDEX[bits]!;
}

/**
 * Decodes a string.
 *
 * @param maxBytes Longest result.
 * @returns One character a byte; `undefined` if the result would be longer than `maxBytes`.
 * @throws {HuffmanError} If EOS is in it, or if it does not end with less than eight bits of EOS.
 */
export function decodeHuffman(bytes: Uint8Array, maxBytes: number): string | undefined {
  let text = "";
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let shift = 7; shift >= 0; shift--) {
      code = (code << 1) | ((byte >> shift) & 1);
      bits++;
      const offset = code - FIRST_CODE[bits]!;
      if (offset >= COUNT[bits]!) continue;
      const symbol = SYMBOLS[FIRST_INDEX[bits]! + offset]!;
      if (symbol === EOS) throw new HuffmanError("EOS is in a string");
      if (text.length === maxBytes) return undefined;
      text += String.fromCharCode(symbol);
      code = 0;
      bits = 0;
    }
  }
  // The padding is the beginning of EOS, which is all ones.
  if (bits >= 8) throw new HuffmanError("A string has a byte of padding");
  if (code !== (1 << bits) - 1) throw new HuffmanError("The padding of a string is not of ones");
  return text;
}

/** How many bytes `encodeHuffman` takes for `text`. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_BITS[text.charCodeAt(i)]!;
  return Math.ceil(bits / 8);
}

/** Encodes `text`, one byte a character, into `target` from `at` on, which has room for `huffmanBytes`. */
export function encodeHuffman(text: string, target: Uint8Array, at: number): void {
  // At most 7 bits left over and 30 new ones: more than bit operations have, fewer than a number has.
  let waiting = 0;
  let waitingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    waiting = waiting * 2 ** CODE_BITS[symbol]! + CODES[symbol]!;
    waitingBits += CODE_BITS[symbol]!;
    while (waitingBits >= 8) {
      waitingBits -= 8;
      const unit = 2 ** waitingBits;
      target[at++] = Math.floor(waiting / unit);
      waiting %= unit;
    }
  }
  if (waitingBits > 0) target[at] = (waiting << (8 - waitingBits)) | (0xff >> waitingBits);
}
