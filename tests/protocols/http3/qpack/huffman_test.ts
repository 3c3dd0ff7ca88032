import { strictEqual, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../../../protocols/core/bytes.ts";
import { randomBytes } from "../../../../protocols/core/random.ts";
import { decodeHuffman, encodeHuffman, huffmanBytes, HuffmanError } from "../../../../protocols/http3/qpack/huffman.ts";
import { seededRandom } from "../../../support/seeded_random.ts";

/** Strings of RFC 7541 §C.4 and §C.6. */
const SAMPLES: readonly (readonly [text: string, hex: string])[] = [
  ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
  ["no-cache", "a8eb10649cbf"],
  ["custom-key", "25a849e95ba97d7f"],
  ["custom-value", "25a849e95bb8e8b4bf"],
  ["302", "6402"],
  ["private", "aec3771a4b"],
  ["Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"],
  ["https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"],
  ["307", "640eff"],
  ["Mon, 21 Oct 2013 20:13:22 GMT", "d07abe941054d444a8200595040b8166e084a62d1bff"],
  ["gzip", "9bd9ab"],
  [
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
  ],
];

function encode(text: string): Uint8Array {
  const bytes = new Uint8Array(huffmanBytes(text));
  encodeHuffman(text, bytes, 0);
  return bytes;
}

Deno.test("Huffman code of the samples, both ways (RFC 7541 §C.4, §C.6)", () => {
  for (const [text, hex] of SAMPLES) {
    strictEqual(toHex(encode(text)), hex);
    strictEqual(decodeHuffman(fromHex(hex), 1000), text);
  }
});

Deno.test("Huffman codes of single symbols (RFC 7541 Appendix B)", () => {
  // The first and last of some lengths, padded with ones.
  const codes: readonly (readonly [symbol: number, hex: string])[] = [
    [0x30, "07"], // 00000
    [0x74, "4f"], // 01001
    [0x20, "53"], // 010100
    [0x26, "f8"],
    [0x21, "fe3f"], // 1111111000
    [0x5c, "fffe1f"], // 1111111111111110000
    [0x00, "ffc7"], // 1111111111000
    [0x01, "ffffb1"], // 11111111111111111011000
    [0xff, "fffffbbf"], // 11111111111111111111101110
    [0x0a, "fffffff3"], // 111111111111111111111111111100
    [0x16, "fffffffb"], // 111111111111111111111111111110
  ];
  for (const [symbol, hex] of codes) strictEqual(toHex(encode(String.fromCharCode(symbol))), hex, `symbol ${symbol}`);
});

Deno.test("Huffman code of every symbol comes back (RFC 7541 Appendix B)", () => {
  for (let symbol = 0; symbol < 256; symbol++) {
    const text = String.fromCharCode(symbol);
    strictEqual(decodeHuffman(encode(text), 1), text);
    strictEqual(decodeHuffman(encode(`a${text}b`), 3), `a${text}b`);
  }
});

Deno.test("Huffman code of random strings comes back (RFC 7541 §5.2)", () => {
  const seed = 7541;
  const random = seededRandom(seed);
  for (let round = 0; round < 300; round++) {
    const text = String.fromCharCode(...randomBytes(random, round % 60));
    strictEqual(decodeHuffman(encode(text), 60), text, `seed ${seed}, round ${round}`);
  }
});

Deno.test("Huffman padding is of less than eight ones, and EOS is an error (RFC 7541 §5.2)", () => {
  strictEqual(decodeHuffman(fromHex(""), 10), "");
  strictEqual(decodeHuffman(fromHex("07"), 10), "0");
  // Zeros as padding.
  throws(() => decodeHuffman(fromHex("00ff00"), 10), HuffmanError);
  throws(() => decodeHuffman(fromHex("06"), 10), HuffmanError);
  // Eight ones and more.
  throws(() => decodeHuffman(fromHex("ff"), 10), HuffmanError);
  throws(() => decodeHuffman(fromHex("07ff"), 10), HuffmanError);
  // EOS.
  throws(() => decodeHuffman(fromHex("ffffffff"), 10), HuffmanError);
  throws(() => decodeHuffman(fromHex("fffffffc07"), 10), HuffmanError);
});

Deno.test("Huffman code is not decoded beyond the limit", () => {
  strictEqual(decodeHuffman(encode("no-cache"), 8), "no-cache");
  strictEqual(decodeHuffman(encode("no-cache"), 7), undefined);
});

Deno.test("Huffman code truncated at every byte is another string or refused, and random bytes do no harm", () => {
  const whole = fromHex(SAMPLES.at(-1)![1]);
  for (let length = 0; length < whole.length; length++) {
    try {
      const text = decodeHuffman(whole.subarray(0, length), 100)!;
      strictEqual(SAMPLES.at(-1)![0].startsWith(text), true);
    } catch (error) {
      strictEqual(error instanceof HuffmanError, true);
    }
  }
  const seed = 9204;
  const random = seededRandom(seed);
  for (let round = 0; round < 1000; round++) {
    const bytes = randomBytes(random, 1 + round % 40);
    try {
      // What decodes is what its encoding says: the code is a bijection.
      const text = decodeHuffman(bytes, 1000)!;
      strictEqual(toHex(encode(text)), toHex(bytes), `seed ${seed}, round ${round}`);
    } catch (error) {
      if (!(error instanceof HuffmanError)) throw error;
    }
  }
});
