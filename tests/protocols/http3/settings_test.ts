import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { randomBytes } from "../../../protocols/core/random.ts";
import { checkHttp3Options, DEFAULT_HTTP3_OPTIONS } from "../../../protocols/http3/config.ts";
import { Http3Error } from "../../../protocols/http3/errors.ts";
import { decodeSettings, encodeSettings, MAX_SETTINGS } from "../../../protocols/http3/settings.ts";
import { seededRandom } from "../../support/seeded_random.ts";

function refuses(hex: string, code: string): void {
  throws(() => decodeSettings(fromHex(hex)), (error) => {
    ok(error instanceof Http3Error);
    strictEqual(error.code, code);
    return true;
  }, hex);
}

Deno.test("SETTINGS of either end (RFC 9114 §7.2.4, RFC 9204 §5, RFC 9220 §5, RFC 9297 §2.1.1)", () => {
  const options = { ...DEFAULT_HTTP3_OPTIONS, maxFieldSectionBytes: 16384 };
  strictEqual(toHex(encodeSettings(options, true)), "040d 0100 0680004000 0700 0801 3301".replaceAll(" ", ""));
  strictEqual(toHex(encodeSettings(options, false)), "040b 0100 0680004000 0700 3301".replaceAll(" ", ""));
  const plain = { maxFieldSectionBytes: 63, enableConnectProtocol: false, enableDatagrams: false };
  strictEqual(toHex(encodeSettings(plain, true)), "0406 0100 063f 0700".replaceAll(" ", ""));
});

Deno.test("SETTINGS without a word on something mean its default (RFC 9114 §7.2.4.1)", () => {
  const none = { maxFieldSectionBytes: Infinity, enableConnectProtocol: false, enableDatagrams: false };
  deepStrictEqual(decodeSettings(fromHex("")), none);
  deepStrictEqual(decodeSettings(fromHex("0800 3300")), none);
  // Unknown and reserved ones of HTTP/3, and what the peer's own decoder takes.
  deepStrictEqual(decodeSettings(fromHex("21ffffffffffffffff ffffffffffffffe0 00 015000 0710 0680004000 0801 3301")), {
    maxFieldSectionBytes: 16384,
    enableConnectProtocol: true,
    enableDatagrams: true,
  });
});

Deno.test("SETTINGS that are wrong are refused (RFC 9114 §7.2.4, RFC 8441 §3, RFC 9297 §2.1.1)", () => {
  for (const reserved of ["00", "02", "03", "04", "05"]) refuses(`${reserved}00`, "H3_SETTINGS_ERROR");
  // In a longer encoding too.
  refuses("4002 00", "H3_SETTINGS_ERROR");
  refuses("0600 0600", "H3_SETTINGS_ERROR");
  refuses("21 00 4021 01", "H3_SETTINGS_ERROR");
  refuses("0802", "H3_SETTINGS_ERROR");
  refuses("33ffffffffffffffff", "H3_SETTINGS_ERROR");
  let many = "";
  for (let i = 0; i <= MAX_SETTINGS; i++) many += `40${(0x60 + i).toString(16)}00`;
  refuses(many, "H3_EXCESSIVE_LOAD");
});

Deno.test("SETTINGS truncated at every byte, and random bytes (RFC 9114 §7.1)", () => {
  const whole = fromHex("0100 0680004000 0700 0801 3301");
  const ends = new Set([0, 2, 7, 9, 11, 13]);
  for (let length = 0; length <= whole.length; length++) {
    if (ends.has(length)) decodeSettings(whole.subarray(0, length));
    else refuses(toHex(whole.subarray(0, length)), "H3_FRAME_ERROR");
  }
  const random = seededRandom(73);
  for (let round = 0; round < 1000; round++) {
    try {
      decodeSettings(randomBytes(random, round % 30));
    } catch (error) {
      ok(error instanceof Http3Error, `seed 73, round ${round}: ${error}`);
    }
  }
});

Deno.test("Options that cannot work are refused", () => {
  checkHttp3Options(DEFAULT_HTTP3_OPTIONS);
  for (const maxFieldSectionBytes of [0, -1, 1.5, NaN, Infinity]) {
    throws(() => checkHttp3Options({ ...DEFAULT_HTTP3_OPTIONS, maxFieldSectionBytes }), RangeError);
  }
});
