import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { randomBytes, randomUnit } from "../../../protocols/core/random.ts";
import { Http3Error } from "../../../protocols/http3/errors.ts";
import { encodeFrame, encodeGoAway, FRAME_TYPE, frameNameOf } from "../../../protocols/http3/frame.ts";
import { FrameParser } from "../../../protocols/http3/frame_parser.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** Frames of a stream that comes in those pieces; DATA is passed, HEADERS and SETTINGS collected, the rest skipped. */
function parse(pieces: readonly Uint8Array[]): { frames: string[]; isAtBoundary: boolean } {
  const parser = new FrameParser();
  const frames: string[] = [];
  let at = 0;
  for (let step = 0; step < 10_000; step++) {
    switch (parser.next()) {
      case "more":
        if (at === pieces.length) return { frames, isAtBoundary: parser.isAtBoundary };
        parser.push(pieces[at++]!);
        break;
      case "header":
        frames.push(`${parser.type}:${parser.lengthBytes}:`);
        if (parser.type === FRAME_TYPE.DATA) parser.pass();
        else if (parser.type === FRAME_TYPE.HEADERS || parser.type === FRAME_TYPE.SETTINGS) parser.collect();
        else parser.skip();
        break;
      case "payload":
        frames[frames.length - 1] += toHex(parser.payload);
        break;
      case "data":
        frames[frames.length - 1] += toHex(parser.takeData());
    }
  }
  throw new Error("The parser never runs dry");
}

const STREAM = concatBytes(
  encodeFrame("HEADERS", fromHex("0000d1")),
  encodeFrame("DATA", fromHex("0102030405")),
  encodeFrame("DATA", fromHex("")),
  fromHex("21 00"), // reserved, empty
  fromHex("c000000000001234 4003 aabbcc"), // unknown, longer varints
  encodeFrame("HEADERS", fromHex("")),
  encodeFrame("DATA", new Uint8Array(100).fill(7)),
);
const FRAMES = [
  "1:3:0000d1",
  "0:5:0102030405",
  "0:0:",
  "33:0:",
  "4660:3:",
  "1:0:",
  `0:100:${"07".repeat(100)}`,
];

Deno.test("Frame parser finds frames however they are cut (RFC 9114 §7.1)", () => {
  deepStrictEqual(parse([STREAM]), { frames: FRAMES, isAtBoundary: true });
  deepStrictEqual(parse([...STREAM].map((byte) => Uint8Array.of(byte))), { frames: FRAMES, isAtBoundary: true });
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const pieces = [STREAM.subarray(0, cut), STREAM.subarray(cut)];
    deepStrictEqual(parse(pieces), { frames: FRAMES, isAtBoundary: true }, `cut at ${cut}`);
  }
  const seed = 71;
  const random = seededRandom(seed);
  for (let round = 0; round < 100; round++) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < STREAM.length;) {
      const end = at + 1 + Math.floor(randomUnit(random) * 12);
      pieces.push(STREAM.subarray(at, end));
      at = end;
    }
    deepStrictEqual(parse(pieces).frames, FRAMES, `seed ${seed}, round ${round}`);
  }
});

Deno.test("Frame parser knows whether a stream may end (RFC 9114 §7.1)", () => {
  const ends = new Set([0]);
  let at = 0;
  for (const bytes of [5, 7, 2, 2, 13, 2, 103]) ends.add(at += bytes);
  strictEqual(at, STREAM.length);
  for (let length = 0; length <= STREAM.length; length++) {
    strictEqual(parse([STREAM.subarray(0, length)]).isAtBoundary, ends.has(length), `after ${length} bytes`);
  }
});

Deno.test("Frame parser takes any bytes", () => {
  const seed = 72;
  const random = seededRandom(seed);
  for (let round = 0; round < 500; round++) {
    const parser = new FrameParser();
    parser.push(randomBytes(random, round % 80));
    for (let step = 0; step < 100; step++) {
      const came = parser.next();
      if (came === "more") break;
      if (came === "header") parser.skip();
    }
  }
});

Deno.test("Frame of the largest length and type is skipped as far as it comes (RFC 9000 §16)", () => {
  const { frames, isAtBoundary } = parse([fromHex("ffffffffffffffff ffffffffffffffff 01020304")]);
  deepStrictEqual(frames, [`${Number.MAX_SAFE_INTEGER}:${Number.MAX_SAFE_INTEGER}:`]);
  strictEqual(isAtBoundary, false);
});

Deno.test("Frames stand where Table 1 says (RFC 9114 §7.2)", () => {
  const places = { control: [3, 4, 7, 13], request: [0, 1, 5] };
  for (const place of ["control", "request"] as const) {
    for (const type of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13]) {
      if (places[place].includes(type)) {
        ok(frameNameOf(type, place) !== undefined);
      } else {
        throws(() => frameNameOf(type, place), (error) => {
          ok(error instanceof Http3Error);
          strictEqual(error.code, "H3_FRAME_UNEXPECTED");
          return true;
        }, `${type} on ${place}`);
      }
    }
    for (const type of [0x0a, 0x0e, 0x21, 0x40, 0x1f * 7 + 0x21, Number.MAX_SAFE_INTEGER]) {
      strictEqual(frameNameOf(type, place), undefined);
    }
  }
});

Deno.test("Frames are written in the shortest form (RFC 9114 §7.1)", () => {
  strictEqual(toHex(encodeFrame("HEADERS", fromHex("0000d1"))), "01030000d1");
  strictEqual(toHex(encodeFrame("DATA", new Uint8Array(64))).slice(0, 6), "004040");
  strictEqual(toHex(encodeGoAway(8n)), "070108");
  strictEqual(toHex(encodeGoAway(2n ** 62n - 4n)), "0708fffffffffffffffc");
});
