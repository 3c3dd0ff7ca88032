import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { randomBytes, randomUnit } from "../../../protocols/core/random.ts";
import { CapsuleParser, DATAGRAM_CAPSULE, encodeCapsule } from "../../../protocols/http3/capsule.ts";
import { Http3StreamError } from "../../../protocols/http3/errors.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const OPTIONS = { types: new Set([DATAGRAM_CAPSULE, 0x11, 0x12345678]), maxValueBytes: 200 };

function parse(pieces: readonly Uint8Array[], options = OPTIONS): { capsules: string[]; isAtBoundary: boolean } {
  const parser = new CapsuleParser(options);
  const capsules: string[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let capsule = parser.next(); capsule !== undefined; capsule = parser.next()) {
      capsules.push(`${capsule.type}:${toHex(capsule.value)}`);
    }
  }
  return { capsules, isAtBoundary: parser.isAtBoundary };
}

const STREAM = concatBytes(
  encodeCapsule(0x11, fromHex("0200")),
  encodeCapsule(DATAGRAM_CAPSULE, new Uint8Array(0)),
  encodeCapsule(0x29, new Uint8Array(1000)), // unknown, and longer than the limit
  encodeCapsule(0x12345678, new Uint8Array(200).fill(9)),
  fromHex("4017 c000000000000000"), // unknown, empty, in longer varints
  encodeCapsule(0x11, fromHex("01")),
);
const CAPSULES = ["17:0200", "0:", `305419896:${"09".repeat(200)}`, "17:01"];

Deno.test("Capsules are written as in the draft's examples (RFC 9297 §3.2)", () => {
  strictEqual(toHex(encodeCapsule(0x11, fromHex("0200"))), "11020200");
  strictEqual(toHex(encodeCapsule(0x11, fromHex("0404c000022a04d2"))), "11080404c000022a04d2");
  strictEqual(toHex(encodeCapsule(0x12, fromHex("04"))), "120104");
});

Deno.test("Capsules are found however they are cut, unknown ones passed over (RFC 9297 §3.2)", () => {
  deepStrictEqual(parse([STREAM]), { capsules: CAPSULES, isAtBoundary: true });
  deepStrictEqual(parse([...STREAM].map((byte) => Uint8Array.of(byte))), { capsules: CAPSULES, isAtBoundary: true });
  const random = seededRandom(74);
  for (let round = 0; round < 50; round++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < STREAM.length;) {
      const end = at + 1 + Math.floor(randomUnit(random) * 40);
      pieces.push(STREAM.subarray(at, end));
      at = end;
    }
    deepStrictEqual(parse(pieces).capsules, CAPSULES, `seed 74, round ${round}`);
  }
});

Deno.test("Capsules truncated at every byte leave the parser inside one (RFC 9297 §3.3)", () => {
  const ends = new Set([0]);
  let at = 0;
  for (const bytes of [4, 2, 1003, 206, 10, 3]) ends.add(at += bytes);
  strictEqual(at, STREAM.length);
  for (let length = 0; length <= STREAM.length; length++) {
    strictEqual(parse([STREAM.subarray(0, length)]).isAtBoundary, ends.has(length), `after ${length} bytes`);
  }
});

Deno.test("Capsules longer than the limit end the request (RFC 9297 §3.2)", () => {
  throws(() => parse([encodeCapsule(0x11, new Uint8Array(201))]), (error) => {
    ok(error instanceof Http3StreamError);
    strictEqual(error.code, "H3_EXCESSIVE_LOAD");
    return true;
  });
  throws(() => parse([fromHex("11ffffffffffffffff")]), Http3StreamError);
});

Deno.test("Capsule parser wants its content taken before more is given", () => {
  const parser = new CapsuleParser(OPTIONS);
  parser.push(STREAM);
  throws(() => parser.push(STREAM), TypeError);
});

Deno.test("Capsules of random bytes are cut or refused", () => {
  const random = seededRandom(75);
  for (let round = 0; round < 1000; round++) {
    try {
      parse([randomBytes(random, round % 60)]);
    } catch (error) {
      ok(error instanceof Http3StreamError, `seed 75, round ${round}: ${error}`);
    }
  }
});
