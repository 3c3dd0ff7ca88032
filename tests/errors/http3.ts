/**
 * The cases of `tests/protocols/http3/violations_table.ts`: RFC 9114, RFC 9204, RFC 9297.
 *
 * @module
 */

import { AT_CLIENT, AT_EITHER, AT_SERVER, STREAM_AT_SERVER } from "../protocols/http3/violations_table.ts";
import { type Case, play } from "../support/http3_violations.ts";
import { EITHER, type ErrorRow, otherSide, type Side } from "./row.ts";

/** What h3spec calls some of the cases, by what is wrong in them. It tests servers. */
const H3SPEC_NAMES: Readonly<Record<string, string>> = {
  "DATA before the head": "MUST send H3_FRAME_UNEXPECTED if DATA is received before HEADERS [HTTP/3 4.1]",
  "a head with :method twice": "MUST send H3_MESSAGE_ERROR if a pseudo-header is duplicated [HTTP/3 4.1.1]",
  "a head without :method": "MUST send H3_MESSAGE_ERROR if mandatory pseudo-header fields are absent [HTTP/3 4.1.3]",
  "a response's pseudo-header field":
    "MUST send H3_MESSAGE_ERROR if prohibited pseudo-header fields are present[HTTP/3 4.1.3]",
  "a head with :path behind a field":
    "MUST send H3_MESSAGE_ERROR if pseudo-header fields exist after fields [HTTP/3 4.1.3]",
  "a control stream that begins with DATA":
    "MUST send H3_MISSING_SETTINGS if the first control frame is not SETTINGS [HTTP/3 6.2.1]",
  "DATA on the control stream":
    "MUST send H3_FRAME_UNEXPECTED if a DATA frame is received on a control stream [HTTP/3 7.2.1]",
  "HEADERS on the control stream":
    "MUST send H3_FRAME_UNEXPECTED if a HEADERS frame is received on a control stream [HTTP/3 7.2.2]",
  "SETTINGS twice": "MUST send H3_FRAME_UNEXPECTED if a second SETTINGS frame is received [HTTP/3 7.2.4]",
  "a reserved setting": "MUST send H3_SETTINGS_ERROR if HTTP/2 settings are included [HTTP/3 7.2.4.1]",
  "CANCEL_PUSH on a request stream":
    "MUST send H3_FRAME_UNEXPECTED if CANCEL_PUSH is received in a request stream [HTTP/3 7.2.5]",
  "an index beyond the static table":
    "MUST send QPACK_DECOMPRESSION_FAILED if an invalid static table index exits in a field line representation " +
    "[QPACK 3.1]",
  "a field section that needs the dynamic table":
    "MUST send QPACK_DECOMPRESSION_FAILED if a field line references a dynamic table entry that is not there " +
    "[QPACK 2.1.2]",
  "a capacity above the maximum":
    "MUST send QPACK_ENCODER_STREAM_ERROR if a new dynamic table capacity value exceeds the limit [QPACK 4.1.3]",
  "a control stream that ends": "MUST send H3_CLOSED_CRITICAL_STREAM if a control stream is closed [QPACK 4.2]",
  "an encoder stream that ends": "MUST send H3_CLOSED_CRITICAL_STREAM if an encoder stream is closed [QPACK 4.2]",
  "a decoder stream that ends": "MUST send H3_CLOSED_CRITICAL_STREAM if a decoder stream is closed [QPACK 4.2]",
  "two control streams": "MUST send H3_STREAM_CREATION_ERROR if a second control stream is opened [HTTP/3 6.2.1]",
  "two encoder streams": "MUST send H3_STREAM_CREATION_ERROR if a second encoder stream is opened [QPACK 4.2]",
  "two decoder streams": "MUST send H3_STREAM_CREATION_ERROR if a second decoder stream is opened [QPACK 4.2]",
  "a push stream of a client": "MUST send H3_STREAM_CREATION_ERROR if a client opens a push stream [HTTP/3 6.2.2]",
  "an insert count increment of 0": "MUST send QPACK_DECODER_STREAM_ERROR if Insert Count Increment is 0 [QPACK 4.4.3]",
};

/** @param startsBare See `play`. */
function rowOf(test: Case, by: readonly Side[], startsBare: boolean, frame: 0x1d | 0x04 = 0x1d): ErrorRow {
  const [, rule, rfc, section] = /^(.+) \((RFC \d+) (§[\d.]+)\)$/.exec(test.what) ?? [];
  if (rule === undefined || rfc === undefined || section === undefined) throw new Error(`Cannot read ${test.what}`);
  const h3spec = by.includes("client") ? H3SPEC_NAMES[rule] : undefined;
  return {
    rfc,
    section,
    rule,
    by,
    name: test.code,
    frame,
    ...(h3spec === undefined ? {} : { h3spec }),
    play: (side) => {
      const answer = play(otherSide(side), test, startsBare);
      if (answer === undefined) throw new Error("Nothing was answered");
      return answer;
    },
  };
}

/** Rules of HTTP/3 whose breach ends the connection, or the request stream. */
export const HTTP3_ROWS: readonly ErrorRow[] = [
  ...AT_EITHER.map((test) => rowOf(test, EITHER, true)),
  ...AT_SERVER.map((test) => rowOf(test, ["client"], true)),
  ...STREAM_AT_SERVER.map((test) => rowOf(test, ["client"], true, 0x04)),
  ...AT_CLIENT.map((test) => rowOf(test, ["server"], false)),
];
