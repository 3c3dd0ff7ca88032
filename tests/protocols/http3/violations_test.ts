import { strictEqual } from "node:assert/strict";
import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
import { HTTP3_ERROR, nameHttp3Error } from "../../../protocols/http3/errors.ts";
import { encodeFrame } from "../../../protocols/http3/frame.ts";
import type { Field } from "../../../protocols/http3/message.ts";
import { MAX_INFORMATIONAL_RESPONSES } from "../../../protocols/http3/request_stream.ts";
import { dataFrame, EXTENDED_FIELDS, GET_FIELDS, headersFrame } from "../../support/http3_pair.ts";
import {
  type Case,
  GET_FRAME,
  onControl,
  onControlAgain,
  onRequest,
  play,
  requestAtFault,
  respond,
  respondAtFault,
} from "../../support/http3_violations.ts";

// What a raw peer does wrong, and the code that answers it: RFC 9114, RFC 9204, RFC 9297.

const hex = fromHex;
const OK_HEAD = headersFrame([[":status", "200"]]);

const changed = (name: string, value: string): Uint8Array =>
  headersFrame(GET_FIELDS.map((field) => field[0] === name ? [name, value] : field));

/** What goes wrong at connections, whatever the role of our end. */
const CONNECTION: readonly Case[] = [
  // RFC 9114 §6.2.1.
  {
    what: "a control stream that begins with GOAWAY",
    code: "H3_MISSING_SETTINGS",
    play: (raw) => void raw.open("unidirectional", "00 07 01 00"),
  },
  {
    what: "a control stream that begins with a reserved frame",
    code: "H3_MISSING_SETTINGS",
    play: (raw) => void raw.open("unidirectional", "00 21 00"),
  },
  {
    what: "a control stream that begins with DATA",
    code: "H3_MISSING_SETTINGS",
    play: (raw) => void raw.open("unidirectional", "00 00 00"),
  },
  {
    what: "two control streams",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.openControl();
    },
  },
  {
    what: "two encoder streams",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => {
      raw.open("unidirectional", "02");
      raw.open("unidirectional", "02");
    },
  },
  {
    what: "two decoder streams",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => {
      raw.open("unidirectional", "03");
      raw.open("unidirectional", "4003");
    },
  },
  {
    what: "a control stream that ends",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => raw.quic.finish(raw.openControl()),
  },
  {
    what: "a control stream that ends at once",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => void raw.open("unidirectional", "00", true),
  },
  {
    what: "an encoder stream that ends",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => void raw.open("unidirectional", "02 20", true),
  },
  // RFC 9114 §7.2.4, §7.2.4.1.
  { what: "SETTINGS twice", code: "H3_FRAME_UNEXPECTED", play: onControl("04 00") },
  {
    what: "a reserved setting",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 02 0200"),
  },
  {
    what: "a setting twice",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 04 0601 0602"),
  },
  {
    what: "a setting of 2 where 0 or 1 is meant",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 02 3302"),
  },
  {
    what: "SETTINGS cut inside a setting",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 01 06"),
  },
  {
    what: "SETTINGS of a million bytes",
    code: "H3_EXCESSIVE_LOAD",
    play: (raw) => void raw.open("unidirectional", "00 04 800f4240"),
  },
  // RFC 9114 §7.2, Table 1; §7.2.8.
  { what: "DATA on the control stream", code: "H3_FRAME_UNEXPECTED", play: onControl("00 01 00") },
  { what: "HEADERS on the control stream", code: "H3_FRAME_UNEXPECTED", play: onControl("01 03 0000d1") },
  { what: "PUSH_PROMISE on the control stream", code: "H3_FRAME_UNEXPECTED", play: onControl("05 04 000000d1") },
  { what: "PRIORITY of HTTP/2", code: "H3_FRAME_UNEXPECTED", play: onControl("02 05 0000000000") },
  { what: "PING of HTTP/2", code: "H3_FRAME_UNEXPECTED", play: onControl("06 08 0000000000000000") },
  { what: "WINDOW_UPDATE of HTTP/2", code: "H3_FRAME_UNEXPECTED", play: onControl("08 04 00000000") },
  { what: "CONTINUATION of HTTP/2", code: "H3_FRAME_UNEXPECTED", play: onControl("09 00") },
  // RFC 9114 §7.1.
  { what: "GOAWAY with bytes behind its field", code: "H3_FRAME_ERROR", play: onControl("07 02 0000") },
  { what: "GOAWAY cut inside its field", code: "H3_FRAME_ERROR", play: onControl("07 01 40") },
  { what: "GOAWAY without its field", code: "H3_FRAME_ERROR", play: onControl("07 00") },
  { what: "GOAWAY of nine bytes", code: "H3_FRAME_ERROR", play: onControl("07 09") },
  // RFC 9114 §5.2, §7.2.3.
  { what: "GOAWAY that grows", code: "H3_ID_ERROR", play: onControl("07 01 04 07 01 08") },
  { what: "CANCEL_PUSH of a push that never was", code: "H3_ID_ERROR", play: onControl("03 01 00") },
  { what: "CANCEL_PUSH that is empty", code: "H3_FRAME_ERROR", play: onControl("03 00") },
  // RFC 9204 §3.2.3, §4.3, §4.4.
  {
    what: "a capacity above the maximum",
    code: "QPACK_ENCODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "02 3fbd01"),
  },
  {
    what: "an insertion without capacity",
    code: "QPACK_ENCODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "02 20 c0 01 61"),
  },
  {
    what: "a section acknowledgment for nothing",
    code: "QPACK_DECODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "03 80"),
  },
  {
    what: "an insert count increment for nothing",
    code: "QPACK_DECODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "03 01"),
  },
  // RFC 9297 §2.1.
  {
    what: "an empty datagram",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.quic.sendDatagram(new Uint8Array(0));
    },
  },
  {
    what: "a datagram cut inside its Quarter Stream ID",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.quic.sendDatagram(hex("c0000000000000"));
    },
  },
  {
    what: "a Quarter Stream ID of 2^60",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.quic.sendDatagram(hex("d000000000000000"));
    },
  },
];

/** What a client does wrong. */
const AT_SERVER: readonly Case[] = [
  ...CONNECTION,
  // RFC 9114 §4.1.
  { what: "DATA before the head", code: "H3_FRAME_UNEXPECTED", play: onRequest(dataFrame("x")) },
  {
    what: "DATA after trailers",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(GET_FRAME, headersFrame([["a", "b"]]), dataFrame("x")),
  },
  {
    what: "HEADERS after trailers",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(GET_FRAME, headersFrame([["a", "b"]]), headersFrame([["a", "b"]])),
  },
  // RFC 9114 §4.4.
  {
    what: "HEADERS in a tunnel",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(headersFrame([[":method", "CONNECT"], [":authority", "a:1"]]), headersFrame([["a", "b"]])),
  },
  {
    what: "HEADERS in an extended CONNECT",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(headersFrame(EXTENDED_FIELDS), dataFrame("x"), headersFrame([["a", "b"]])),
  },
  // RFC 9114 §7.2.
  { what: "SETTINGS on a request stream", code: "H3_FRAME_UNEXPECTED", play: onRequest(hex("04 00")) },
  { what: "GOAWAY on a request stream", code: "H3_FRAME_UNEXPECTED", play: onRequest(GET_FRAME, hex("07 01 00")) },
  { what: "MAX_PUSH_ID on a request stream", code: "H3_FRAME_UNEXPECTED", play: onRequest(hex("0d 01 00")) },
  { what: "CANCEL_PUSH on a request stream", code: "H3_FRAME_UNEXPECTED", play: onRequest(hex("03 01 00")) },
  { what: "PUSH_PROMISE by a client", code: "H3_FRAME_UNEXPECTED", play: onRequest(GET_FRAME, hex("05 01 00")) },
  { what: "PING of HTTP/2 on a request stream", code: "H3_FRAME_UNEXPECTED", play: onRequest(hex("06 00")) },
  // RFC 9114 §7.1.
  {
    what: "a stream that ends inside HEADERS",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("bidirectional", GET_FRAME.subarray(0, 4), true),
  },
  {
    what: "a stream that ends inside a frame header",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("bidirectional", concatBytes(GET_FRAME, hex("40")), true),
  },
  {
    what: "a stream that ends inside an unknown frame",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("bidirectional", concatBytes(GET_FRAME, hex("21 02 00")), true),
  },
  // RFC 9114 §6.2.2, §7.2.7.
  {
    what: "a push stream of a client",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => void raw.open("unidirectional", "01 00"),
  },
  { what: "MAX_PUSH_ID that shrinks", code: "H3_ID_ERROR", play: onControl("0d 01 05 0d 01 04") },
  // RFC 9204 §2.2.3, §4.5.
  {
    what: "a field section that needs the dynamic table",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: onRequest(encodeFrame("HEADERS", hex("03811011"))),
  },
  {
    what: "an index beyond the static table",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: onRequest(encodeFrame("HEADERS", hex("0000ff24"))),
  },
  { what: "an empty field section", code: "QPACK_DECOMPRESSION_FAILED", play: onRequest(hex("01 00")) },
  // The critical streams: RFC 9114 §6.2.1.
  {
    what: "a control stream that is reset",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw, pair) => {
      const id = raw.openControl();
      // A reset takes with it what was not sent, and without its type a stream means nothing.
      pair.runTo(pair.now + 50);
      raw.quic.reset(id, 0);
    },
  },
  {
    what: "our control stream stopped",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => raw.quic.stopSending(3, 0x0100),
  },
];

/** What a client does wrong about one request. */
const STREAM_AT_SERVER: readonly Case[] = [
  // RFC 9114 §4.1.2, §4.2, §4.3: the whole table of malformed heads is in message_test.ts.
  { what: "a head without :method", code: "H3_MESSAGE_ERROR", play: requestAtFault(headersFrame(GET_FIELDS.slice(1))) },
  { what: "a path without slash", code: "H3_MESSAGE_ERROR", play: requestAtFault(changed(":path", "x")) },
  {
    what: "a name in upper case",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["Accept", "a"]])),
  },
  {
    what: "a response's pseudo-header field",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, [":status", "200"]])),
  },
  {
    what: "transfer-encoding",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["transfer-encoding", "chunked"]])),
  },
  {
    what: "extended CONNECT where it is not enabled",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame(EXTENDED_FIELDS)),
    options: { serverHttp3: { enableConnectProtocol: false } },
  },
  {
    what: "less content than Content-Length",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"]])),
  },
  {
    what: "more content than Content-Length",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"]]), dataFrame("xy")),
  },
  {
    what: "less content than Content-Length before trailers",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"]]), headersFrame([["a", "b"]])),
  },
  {
    what: "Content-Length of two values",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"], ["content-length", "2"]])),
  },
  {
    what: "a pseudo-header field in trailers",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(GET_FRAME, headersFrame([[":path", "/"]])),
  },
  // RFC 9114 §4.1.
  { what: "a request that ends before its head", code: "H3_REQUEST_INCOMPLETE", play: requestAtFault() },
  {
    what: "a request of reserved frames alone",
    code: "H3_REQUEST_INCOMPLETE",
    play: requestAtFault(hex("21 00")),
  },
  // RFC 9114 §4.2.2.
  {
    what: "a HEADERS frame longer than the limit",
    code: "H3_EXCESSIVE_LOAD",
    play: requestAtFault(encodeFrame("HEADERS", new Uint8Array(16_385))),
  },
  {
    what: "a field section larger than the limit",
    code: "H3_EXCESSIVE_LOAD",
    play: requestAtFault(headersFrame([...GET_FIELDS, ...new Array<Field>(500).fill([":path", "/"])])),
  },
  // RFC 9297 §2.
  {
    what: "a datagram for a GET",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      const id = raw.open("bidirectional", GET_FRAME);
      raw.quic.sendDatagram(hex("00 aa"));
      return id;
    },
  },
];

/** What a server does wrong. Our client has sent a GET on stream 0 and an extended CONNECT on stream 4. */
const AT_CLIENT: readonly Case[] = [
  { what: "DATA before the head", code: "H3_FRAME_UNEXPECTED", play: respond(dataFrame("x")) },
  {
    what: "DATA after an interim response",
    code: "H3_FRAME_UNEXPECTED",
    play: respond(headersFrame([[":status", "103"]]), dataFrame("x")),
  },
  {
    what: "DATA after trailers",
    code: "H3_FRAME_UNEXPECTED",
    play: respond(OK_HEAD, headersFrame([["a", "b"]]), dataFrame("x")),
  },
  {
    what: "HEADERS in a tunnel",
    code: "H3_FRAME_UNEXPECTED",
    play: (raw) => void raw.quic.write(4, concatBytes(OK_HEAD, headersFrame([["a", "b"]]))),
  },
  { what: "GOAWAY on a request stream", code: "H3_FRAME_UNEXPECTED", play: respond(hex("07 01 00")) },
  // RFC 9114 §7.2.5, §4.6: we allow no push.
  { what: "PUSH_PROMISE", code: "H3_ID_ERROR", play: respond(hex("05 04 00 0000d1")) },
  { what: "a push stream", code: "H3_ID_ERROR", play: (raw) => void raw.open("unidirectional", "01 00") },
  // RFC 9114 §7.2.7, §7.2.6, §6.1.
  { what: "MAX_PUSH_ID by a server", code: "H3_FRAME_UNEXPECTED", play: onControlAgain("0d 01 00") },
  { what: "GOAWAY with an ID of no request", code: "H3_ID_ERROR", play: onControlAgain("07 01 01") },
  {
    what: "a bidirectional stream of a server",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => void raw.open("bidirectional", "00"),
  },
  {
    what: "a response that ends inside a frame",
    code: "H3_FRAME_ERROR",
    play: (raw) => {
      raw.quic.write(0, OK_HEAD.subarray(0, 2));
      raw.quic.finish(0);
    },
  },
  {
    what: "a response that needs the dynamic table",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: respond(encodeFrame("HEADERS", hex("0000 80"))),
  },
];

const STREAM_AT_CLIENT: readonly Case[] = [
  { what: "a response without :status", code: "H3_MESSAGE_ERROR", play: respondAtFault(headersFrame([["a", "b"]])) },
  { what: "101", code: "H3_MESSAGE_ERROR", play: respondAtFault(headersFrame([[":status", "101"]])) },
  { what: "a request's pseudo-header field", code: "H3_MESSAGE_ERROR", play: respondAtFault(GET_FRAME) },
  { what: "a stream that ends before its head", code: "H3_MESSAGE_ERROR", play: respondAtFault() },
  {
    what: "a stream that ends after an interim response",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([[":status", "100"]])),
  },
  {
    what: "less content than Content-Length",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([[":status", "200"], ["content-length", "3"]]), dataFrame("xy")),
  },
  {
    what: "content in a 204",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([[":status", "204"]]), dataFrame("xy")),
  },
  {
    what: "too many interim responses",
    code: "H3_EXCESSIVE_LOAD",
    play: respondAtFault(
      ...new Array<Uint8Array>(MAX_INFORMATIONAL_RESPONSES + 1).fill(headersFrame([[":status", "103"]])),
    ),
  },
  {
    what: "a datagram for a GET",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.quic.sendDatagram(hex("00 aa"));
      return 0;
    },
  },
];

for (const test of [...AT_SERVER, ...STREAM_AT_SERVER]) {
  Deno.test(`HTTP/3 server meets ${test.what}: ${test.code}`, () => play("server", test, true));
}

for (const test of [...CONNECTION, ...AT_CLIENT, ...STREAM_AT_CLIENT]) {
  Deno.test(`HTTP/3 client meets ${test.what}: ${test.code}`, () => play("client", test, CONNECTION.includes(test)));
}

Deno.test("HTTP/3 error codes are those of the registry (RFC 9114 §8.1, RFC 9204 §6, RFC 9297 §5.2)", () => {
  strictEqual(nameHttp3Error(0x010e), "H3_MESSAGE_ERROR");
  strictEqual(nameHttp3Error(0x33), "H3_DATAGRAM_ERROR");
  strictEqual(nameHttp3Error(0x0200), "QPACK_DECOMPRESSION_FAILED");
  strictEqual(nameHttp3Error(0x1f * 3 + 0x21), "0x7e");
  strictEqual(new Set(Object.values(HTTP3_ERROR)).size, 21);
});
