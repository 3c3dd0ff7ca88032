import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../../../protocols/core/bytes.ts";
import { randomBytes } from "../../../../protocols/core/random.ts";
import { Http3Error, Http3StreamError } from "../../../../protocols/http3/errors.ts";
import type { Field } from "../../../../protocols/http3/message.ts";
import {
  decodeFieldSection,
  encodeFieldSection,
  fieldSectionBytes,
} from "../../../../protocols/http3/qpack/field_section.ts";
import { findStatic, STATIC_TABLE } from "../../../../protocols/http3/qpack/static_table.ts";
import { seededRandom } from "../../../support/seeded_random.ts";

const LIMIT = 100_000;

function refuses(hex: string): void {
  throws(() => decodeFieldSection(fromHex(hex), LIMIT), (error) => {
    ok(error instanceof Http3Error, String(error));
    strictEqual(error.code, "QPACK_DECOMPRESSION_FAILED");
    return true;
  }, hex);
}

Deno.test("Static table has 99 entries that are found by name and value (RFC 9204 Appendix A)", () => {
  strictEqual(STATIC_TABLE.length, 99);
  deepStrictEqual(STATIC_TABLE[98], ["x-frame-options", "sameorigin"]);
  STATIC_TABLE.forEach(([name, value], index) => strictEqual(findStatic(name, value)?.index, index));
  deepStrictEqual(findStatic(":status", "418"), { nameIndex: 24, index: undefined });
  strictEqual(findStatic("x-nothing", ""), undefined);
});

Deno.test("Field section with a static name reference is decoded (RFC 9204 §B.1)", () => {
  const fields = decodeFieldSection(fromHex("0000 510b 2f69 6e64 6578 2e68 746d 6c"), LIMIT);
  deepStrictEqual(fields, [[":path", "/index.html"]]);
  // Ours is the same, and Huffman-coded.
  strictEqual(toHex(encodeFieldSection(fields)), "0000518860d5485f2bce9a68");
});

Deno.test("Field section in each form is decoded (RFC 9204 §4.5)", () => {
  // Indexed :method GET; index 98 in two bytes; both name forms with and without N and H.
  deepStrictEqual(decodeFieldSection(fromHex("0000 d1"), LIMIT), [[":method", "GET"]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000 ff23"), LIMIT), [["x-frame-options", "sameorigin"]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000 5f4503 616263"), LIMIT), [["authorization", "abc"]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000 7f4503 616263"), LIMIT), [["authorization", "abc"]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000 23616263 03646566"), LIMIT), [["abc", "def"]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000 33616263 00"), LIMIT), [["abc", ""]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000 2f01 25a849e95ba97d7f 89 25a849e95bb8e8b4bf"), LIMIT), [
    ["custom-key", "custom-value"],
  ]);
  // A Base that is not used may be anything that is not negative.
  deepStrictEqual(decodeFieldSection(fromHex("007f05 d1"), LIMIT), [[":method", "GET"]]);
  deepStrictEqual(decodeFieldSection(fromHex("0000"), LIMIT), []);
});

Deno.test("Field section that needs the dynamic table is refused (RFC 9204 §2.2.3, §4.5.1)", () => {
  refuses("0381 10 11"); // §B.2
  refuses("0500 80 c1 81"); // §B.4
  refuses("0100 d1");
  refuses("ff00 00 d1");
  refuses("0080 d1"); // Base is -1.
  refuses("0000 80"); // Indexed, dynamic.
  refuses("0000 10"); // Indexed, post-base.
  refuses("0000 4001 61"); // Name reference, dynamic.
  refuses("0000 0001 61"); // Name reference, post-base.
});

Deno.test("Field section with an index beyond the static table is refused (RFC 9204 §3.1)", () => {
  refuses("0000 ff24"); // 99
  refuses("0000 ffffffffffffffffff7f");
  refuses("0000 5f54 00"); // name 99
});

Deno.test("Field section with a bad string or an endless integer is refused (RFC 9204 §4.1)", () => {
  refuses("0000 51 82 07ff"); // padding of a byte
  refuses("0000 51 84 ffffffff"); // EOS
  refuses("0000 ff8080808080808080808080");
  refuses("0000 51 05 61626364");
});

Deno.test("Field section comes back as it was written, in order (RFC 9204 §4.5)", () => {
  const fields: Field[] = [
    [":status", "200"],
    [":status", "418"],
    ["content-type", "text/plain"],
    ["authorization", "secret"],
    ["cookie", ""],
    ["x-empty", ""],
    ["x-bytes", "\x80\xff\t~"],
    ["content-type", "text/plain"],
    ["x-long", "ab".repeat(3000)],
  ];
  deepStrictEqual(decodeFieldSection(encodeFieldSection(fields), LIMIT), fields);
});

Deno.test("Field section never lets a secret be indexed (RFC 9204 §7.1.3)", () => {
  // N is set, and cookie "" is not taken from the table.
  strictEqual(toHex(encodeFieldSection([["authorization", "a"]])), "00007f450161");
  strictEqual(toHex(encodeFieldSection([["cookie", ""]])), "00007500");
  strictEqual(toHex(encodeFieldSection([["proxy-authorization", ""]])).slice(4, 6), "3f");
});

Deno.test("Field section is not decoded beyond its limit (RFC 9114 §4.2.2)", () => {
  const fields: Field[] = [["abc", "defg"], [":method", "GET"]];
  strictEqual(fieldSectionBytes(fields), 3 + 4 + 32 + 7 + 3 + 32);
  const bytes = encodeFieldSection(fields);
  deepStrictEqual(decodeFieldSection(bytes, 81), fields);
  for (const limit of [80, 40, 32, 5, 1]) {
    throws(() => decodeFieldSection(bytes, limit), (error) => {
      ok(error instanceof Http3StreamError);
      strictEqual(error.code, "H3_EXCESSIVE_LOAD");
      return true;
    });
  }
  // A small section that says much: 200 references of two bytes.
  const bomb = new Uint8Array(402).fill(0xfa, 2);
  throws(() => decodeFieldSection(bomb, 10_000), Http3StreamError);
});

Deno.test("Field section truncated at every byte is refused, or ends where a field does", () => {
  const fields: Field[] = [[":path", "/index.html"], ["custom-key", "custom-value"], [":method", "GET"], ["x", "Z"]];
  const whole = encodeFieldSection(fields);
  let complete = 0;
  for (let length = 0; length < whole.length; length++) {
    try {
      deepStrictEqual(decodeFieldSection(whole.subarray(0, length), LIMIT), fields.slice(0, complete));
      complete++;
    } catch (error) {
      ok(error instanceof Http3Error, String(error));
    }
  }
  strictEqual(complete, fields.length);
});

Deno.test("Field section of flipped bits and random bytes is decoded or refused, never more", () => {
  const seed = 9114;
  const random = seededRandom(seed);
  const whole = encodeFieldSection([[":path", "/index.html"], ["custom-key", "custom-value"], [":method", "GET"]]);
  for (let round = 0; round < 3000; round++) {
    const bytes = round < 8 * whole.length ? whole.slice() : randomBytes(random, 2 + round % 50);
    if (round < 8 * whole.length) bytes[round >> 3]! ^= 1 << (round & 7);
    else bytes.fill(0, 0, 2);
    try {
      decodeFieldSection(bytes, 500);
    } catch (error) {
      ok(error instanceof Http3Error || error instanceof Http3StreamError, `seed ${seed}, round ${round}: ${error}`);
    }
  }
});
