import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { type Capsule, CapsuleParser } from "../../../protocols/http3/capsule.ts";
import { Http3StreamError } from "../../../protocols/http3/errors.ts";
import {
  COMPRESSION_CAPSULE,
  type CompressionCapsule,
  decodeCompressionCapsule,
  encodeCompressionCapsule,
  MAX_COMPRESSION_VALUE_BYTES,
} from "../../../protocols/masque/compression_capsule.ts";

const TARGET = addressOf("192.0.2.42", 1234);
const TARGET_6 = addressOf("2001:db8::1", 443);

/** What goes over the wire, byte for byte. */
const GOLDEN: readonly (readonly [string, CompressionCapsule])[] = [
  ["11 02 02 00", { type: "COMPRESSION_ASSIGN", contextId: 2, target: undefined }],
  ["11 08 04 04 c000022a 04d2", { type: "COMPRESSION_ASSIGN", contextId: 4, target: TARGET }],
  [
    "11 14 01 06 20010db8000000000000000000000001 01bb",
    { type: "COMPRESSION_ASSIGN", contextId: 1, target: TARGET_6 },
  ],
  ["11 09 4040 04 c000022a 04d2", { type: "COMPRESSION_ASSIGN", contextId: 64, target: TARGET }],
  ["12 01 04", { type: "COMPRESSION_ACK", contextId: 4 }],
  ["13 01 04", { type: "COMPRESSION_CLOSE", contextId: 4 }],
];

function capsuleOf(hex: string): Capsule {
  const parser = new CapsuleParser({ types: new Set(Object.values(COMPRESSION_CAPSULE)), maxValueBytes: 64 });
  parser.push(fromHex(hex));
  return parser.next()!;
}

Deno.test("Compression capsules have the bytes of draft-ietf-masque-connect-udp-listen-13", () => {
  for (const [hex, capsule] of GOLDEN) {
    strictEqual(toHex(encodeCompressionCapsule(capsule)), hex.replaceAll(" ", ""));
    deepStrictEqual(decodeCompressionCapsule(capsuleOf(hex)), capsule);
  }
  strictEqual(decodeCompressionCapsule({ type: 0x14, value: fromHex("04") }), undefined);
  const longest = { type: "COMPRESSION_ASSIGN", contextId: 2 ** 40, target: TARGET_6 } as const;
  strictEqual(encodeCompressionCapsule(longest).length, 2 + MAX_COMPRESSION_VALUE_BYTES);
});

Deno.test("Compression capsules cut short at any byte, or too long, are malformed (RFC 9297 §3.3)", () => {
  for (const [hex] of GOLDEN) {
    const { type, value } = capsuleOf(hex);
    for (let end = 0; end < value.length; end++) {
      throws(
        () => decodeCompressionCapsule({ type, value: value.subarray(0, end) }),
        (error) =>
          error instanceof Http3StreamError && error.code === "H3_MESSAGE_ERROR" && /ends inside/.test(error.message),
      );
    }
    throws(() => decodeCompressionCapsule({ type, value: Uint8Array.of(...value, 0) }), /1 bytes too many/);
  }
});

Deno.test("Compression capsules with context 0 or another IP version are malformed", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["11 02 00 00", /COMPRESSION_ASSIGN names context 0/],
    ["12 01 00", /COMPRESSION_ACK names context 0/],
    ["13 01 00", /COMPRESSION_CLOSE names context 0/],
    ["11 08 04 05 c000022a 04d2", /IP version 5/],
    ["11 08 04 01 c000022a 04d2", /IP version 1/],
    ["11 03 04 00 00", /1 bytes too many/],
  ];
  for (const [hex, message] of wrong) {
    throws(() => decodeCompressionCapsule(capsuleOf(hex)), {
      name: "Http3StreamError",
      code: "H3_MESSAGE_ERROR",
      message,
    });
  }
});
