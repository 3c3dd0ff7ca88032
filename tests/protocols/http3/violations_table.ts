/**
 * What a raw peer of HTTP/3 does wrong about streams and frames, and the code that answers it: RFC 9114, RFC 9204, RFC 9297.
 * `tests/errors/` plays it.
 *
 * @module
 */

import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
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
  requestAtFault,
  respond,
  respondAtFault,
} from "../../support/http3_violations.ts";

const hex = fromHex;
const OK_HEAD = headersFrame([[":status", "200"]]);

const changed = (name: string, value: string): Uint8Array =>
  headersFrame(GET_FIELDS.map((field) => field[0] === name ? [name, value] : field));

/** What goes wrong at connections, whatever the role of our end. */
export const AT_EITHER: readonly Case[] = [
  {
    what: "a control stream that begins with GOAWAY (RFC 9114 §6.2.1)",
    code: "H3_MISSING_SETTINGS",
    play: (raw) => void raw.open("unidirectional", "00 07 01 00"),
  },
  {
    what: "a control stream that begins with a reserved frame (RFC 9114 §6.2.1)",
    code: "H3_MISSING_SETTINGS",
    play: (raw) => void raw.open("unidirectional", "00 21 00"),
  },
  {
    what: "a control stream that begins with DATA (RFC 9114 §6.2.1)",
    code: "H3_MISSING_SETTINGS",
    play: (raw) => void raw.open("unidirectional", "00 00 00"),
  },
  {
    what: "two control streams (RFC 9114 §6.2.1)",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.openControl();
    },
  },
  {
    what: "two encoder streams (RFC 9204 §4.2)",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => {
      raw.open("unidirectional", "02");
      raw.open("unidirectional", "02");
    },
  },
  {
    what: "two decoder streams (RFC 9204 §4.2)",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => {
      raw.open("unidirectional", "03");
      raw.open("unidirectional", "4003");
    },
  },
  {
    what: "a control stream that ends (RFC 9114 §6.2.1)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => raw.quic.finish(raw.openControl()),
  },
  {
    what: "a control stream that ends at once (RFC 9114 §6.2.1)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => void raw.open("unidirectional", "00", true),
  },
  {
    what: "an encoder stream that ends (RFC 9204 §4.2)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => void raw.open("unidirectional", "02 20", true),
  },
  { what: "SETTINGS twice (RFC 9114 §7.2.4)", code: "H3_FRAME_UNEXPECTED", play: onControl("04 00") },
  {
    what: "a reserved setting (RFC 9114 §7.2.4.1)",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 02 0200"),
  },
  {
    what: "a setting twice (RFC 9114 §7.2.4)",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 04 0601 0602"),
  },
  {
    what: "a setting of 2 where 0 or 1 is meant (RFC 9297 §2.1.1)",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 02 3302"),
  },
  {
    what: "SETTINGS cut inside a setting (RFC 9114 §7.1)",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 01 06"),
  },
  {
    what: "SETTINGS of a million bytes (RFC 9114 §10.5)",
    code: "H3_EXCESSIVE_LOAD",
    play: (raw) => void raw.open("unidirectional", "00 04 800f4240"),
  },
  { what: "DATA on the control stream (RFC 9114 §7.2.1)", code: "H3_FRAME_UNEXPECTED", play: onControl("00 01 00") },
  {
    what: "HEADERS on the control stream (RFC 9114 §7.2.2)",
    code: "H3_FRAME_UNEXPECTED",
    play: onControl("01 03 0000d1"),
  },
  {
    what: "PUSH_PROMISE on the control stream (RFC 9114 §7.2.5)",
    code: "H3_FRAME_UNEXPECTED",
    play: onControl("05 04 000000d1"),
  },
  { what: "PRIORITY of HTTP/2 (RFC 9114 §7.2.8)", code: "H3_FRAME_UNEXPECTED", play: onControl("02 05 0000000000") },
  { what: "PING of HTTP/2 (RFC 9114 §7.2.8)", code: "H3_FRAME_UNEXPECTED", play: onControl("06 08 0000000000000000") },
  { what: "WINDOW_UPDATE of HTTP/2 (RFC 9114 §7.2.8)", code: "H3_FRAME_UNEXPECTED", play: onControl("08 04 00000000") },
  { what: "CONTINUATION of HTTP/2 (RFC 9114 §7.2.8)", code: "H3_FRAME_UNEXPECTED", play: onControl("09 00") },
  { what: "GOAWAY with bytes behind its field (RFC 9114 §7.1)", code: "H3_FRAME_ERROR", play: onControl("07 02 0000") },
  { what: "GOAWAY cut inside its field (RFC 9114 §7.1)", code: "H3_FRAME_ERROR", play: onControl("07 01 40") },
  { what: "GOAWAY without its field (RFC 9114 §7.1)", code: "H3_FRAME_ERROR", play: onControl("07 00") },
  { what: "GOAWAY of nine bytes (RFC 9114 §7.1)", code: "H3_FRAME_ERROR", play: onControl("07 09") },
  { what: "GOAWAY that grows (RFC 9114 §5.2)", code: "H3_ID_ERROR", play: onControl("07 01 04 07 01 08") },
  { what: "CANCEL_PUSH of a push that never was (RFC 9114 §7.2.3)", code: "H3_ID_ERROR", play: onControl("03 01 00") },
  { what: "CANCEL_PUSH that is empty (RFC 9114 §7.1)", code: "H3_FRAME_ERROR", play: onControl("03 00") },
  {
    what: "a decoder stream that ends (RFC 9204 §4.2)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => void raw.open("unidirectional", "03", true),
  },
  {
    what: "an insert count increment of 0 (RFC 9204 §4.4.3)",
    code: "QPACK_DECODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "03 00"),
  },
  {
    what: "a capacity above the maximum (RFC 9204 §4.3.1)",
    code: "QPACK_ENCODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "02 3fbd01"),
  },
  {
    what: "an insertion without capacity (RFC 9204 §3.2.2)",
    code: "QPACK_ENCODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "02 20 c0 01 61"),
  },
  {
    what: "a section acknowledgment for nothing (RFC 9204 §4.4.1)",
    code: "QPACK_DECODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "03 80"),
  },
  {
    what: "an insert count increment for nothing (RFC 9204 §4.4.3)",
    code: "QPACK_DECODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", "03 01"),
  },
  {
    what: "an empty datagram (RFC 9297 §2.1)",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.quic.sendDatagram(new Uint8Array(0));
    },
  },
  {
    what: "a datagram cut inside its Quarter Stream ID (RFC 9297 §2.1)",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.quic.sendDatagram(hex("c0000000000000"));
    },
  },
  {
    what: "a Quarter Stream ID of 2^60 (RFC 9297 §2.1)",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.openControl();
      raw.quic.sendDatagram(hex("d000000000000000"));
    },
  },
];

/** What a client does wrong. */
export const AT_SERVER: readonly Case[] = [
  { what: "DATA before the head (RFC 9114 §4.1)", code: "H3_FRAME_UNEXPECTED", play: onRequest(dataFrame("x")) },
  {
    what: "DATA after trailers (RFC 9114 §4.1)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(GET_FRAME, headersFrame([["a", "b"]]), dataFrame("x")),
  },
  {
    what: "HEADERS after trailers (RFC 9114 §4.1)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(GET_FRAME, headersFrame([["a", "b"]]), headersFrame([["a", "b"]])),
  },
  {
    what: "HEADERS in a tunnel (RFC 9114 §4.4)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(headersFrame([[":method", "CONNECT"], [":authority", "a:1"]]), headersFrame([["a", "b"]])),
  },
  {
    what: "HEADERS in an extended CONNECT (RFC 9114 §4.4)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(headersFrame(EXTENDED_FIELDS), dataFrame("x"), headersFrame([["a", "b"]])),
  },
  {
    what: "SETTINGS on a request stream (RFC 9114 §7.2.4)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(hex("04 00")),
  },
  {
    what: "GOAWAY on a request stream (RFC 9114 §7.2.6)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(GET_FRAME, hex("07 01 00")),
  },
  {
    what: "MAX_PUSH_ID on a request stream (RFC 9114 §7.2.7)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(hex("0d 01 00")),
  },
  {
    what: "CANCEL_PUSH on a request stream (RFC 9114 §7.2.3)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(hex("03 01 00")),
  },
  {
    what: "PUSH_PROMISE by a client (RFC 9114 §7.2.5)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(GET_FRAME, hex("05 01 00")),
  },
  {
    what: "PING of HTTP/2 on a request stream (RFC 9114 §7.2.8)",
    code: "H3_FRAME_UNEXPECTED",
    play: onRequest(hex("06 00")),
  },
  {
    what: "a stream that ends inside HEADERS (RFC 9114 §7.1)",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("bidirectional", GET_FRAME.subarray(0, 4), true),
  },
  {
    what: "a stream that ends inside a frame header (RFC 9114 §7.1)",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("bidirectional", concatBytes(GET_FRAME, hex("40")), true),
  },
  {
    what: "a stream that ends inside an unknown frame (RFC 9114 §7.1)",
    code: "H3_FRAME_ERROR",
    play: (raw) => void raw.open("bidirectional", concatBytes(GET_FRAME, hex("21 02 00")), true),
  },
  {
    what: "a push stream of a client (RFC 9114 §6.2.2)",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => void raw.open("unidirectional", "01 00"),
  },
  { what: "MAX_PUSH_ID that shrinks (RFC 9114 §7.2.7)", code: "H3_ID_ERROR", play: onControl("0d 01 05 0d 01 04") },
  {
    what: "a field section that needs the dynamic table (RFC 9204 §2.2.3)",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: onRequest(encodeFrame("HEADERS", hex("03811011"))),
  },
  {
    what: "an index beyond the static table (RFC 9204 §3.1)",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: onRequest(encodeFrame("HEADERS", hex("0000ff24"))),
  },
  {
    what: "an empty field section (RFC 9204 §4.5.1)",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: onRequest(hex("01 00")),
  },
  {
    what: "a control stream that is reset (RFC 9114 §6.2.1)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw, pair) => {
      const id = raw.openControl();
      // A reset takes with it what was not sent, and without its type a stream means nothing.
      pair.runTo(pair.now + 50);
      raw.quic.reset(id, 0);
    },
  },
  {
    what: "our control stream stopped (RFC 9114 §6.2.1)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: (raw) => raw.quic.stopSending(3, 0x0100),
  },
];

/** What a client does wrong about one request. */
export const STREAM_AT_SERVER: readonly Case[] = [
  {
    what: "a head without :method (RFC 9114 §4.3.1)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame(GET_FIELDS.slice(1))),
  },
  {
    what: "a head with :method twice (RFC 9114 §4.3)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, [":method", "GET"]])),
  },
  {
    what: "a head with :path behind a field (RFC 9114 §4.3)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS.slice(0, 3), ["accept", "*/*"], [":path", "/"]])),
  },
  {
    what: "a path without slash (RFC 9114 §4.3.1)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(changed(":path", "x")),
  },
  {
    what: "a name in upper case (RFC 9114 §4.2)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["Accept", "a"]])),
  },
  {
    what: "a response's pseudo-header field (RFC 9114 §4.3)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, [":status", "200"]])),
  },
  {
    what: "transfer-encoding (RFC 9114 §4.2)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["transfer-encoding", "chunked"]])),
  },
  {
    what: "extended CONNECT where it is not enabled (RFC 9220 §3)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame(EXTENDED_FIELDS)),
    options: { serverHttp3: { enableConnectProtocol: false } },
  },
  {
    what: "less content than Content-Length (RFC 9114 §4.1.2)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"]])),
  },
  {
    what: "more content than Content-Length (RFC 9114 §4.1.2)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"]]), dataFrame("xy")),
  },
  {
    what: "less content than Content-Length before trailers (RFC 9114 §4.1.2)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"]]), headersFrame([["a", "b"]])),
  },
  {
    what: "Content-Length of two values (RFC 9114 §4.1.2)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(headersFrame([...GET_FIELDS, ["content-length", "1"], ["content-length", "2"]])),
  },
  {
    what: "a pseudo-header field in trailers (RFC 9114 §4.3)",
    code: "H3_MESSAGE_ERROR",
    play: requestAtFault(GET_FRAME, headersFrame([[":path", "/"]])),
  },
  {
    what: "a request that ends before its head (RFC 9114 §4.1)",
    code: "H3_REQUEST_INCOMPLETE",
    play: requestAtFault(),
  },
  {
    what: "a request of reserved frames alone (RFC 9114 §4.1)",
    code: "H3_REQUEST_INCOMPLETE",
    play: requestAtFault(hex("21 00")),
  },
  {
    what: "a HEADERS frame longer than the limit (RFC 9114 §4.2.2)",
    code: "H3_EXCESSIVE_LOAD",
    play: requestAtFault(encodeFrame("HEADERS", new Uint8Array(16_385))),
  },
  {
    what: "a field section larger than the limit (RFC 9114 §4.2.2)",
    code: "H3_EXCESSIVE_LOAD",
    play: requestAtFault(headersFrame([...GET_FIELDS, ...new Array<Field>(500).fill([":path", "/"])])),
  },
  {
    what: "a datagram for a GET (RFC 9297 §2)",
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
export const AT_CLIENT: readonly Case[] = [
  { what: "DATA before the head (RFC 9114 §4.1)", code: "H3_FRAME_UNEXPECTED", play: respond(dataFrame("x")) },
  {
    what: "DATA after an interim response (RFC 9114 §4.1)",
    code: "H3_FRAME_UNEXPECTED",
    play: respond(headersFrame([[":status", "103"]]), dataFrame("x")),
  },
  {
    what: "DATA after trailers (RFC 9114 §4.1)",
    code: "H3_FRAME_UNEXPECTED",
    play: respond(OK_HEAD, headersFrame([["a", "b"]]), dataFrame("x")),
  },
  {
    what: "HEADERS in a tunnel (RFC 9114 §4.4)",
    code: "H3_FRAME_UNEXPECTED",
    play: (raw) => void raw.quic.write(4, concatBytes(OK_HEAD, headersFrame([["a", "b"]]))),
  },
  { what: "GOAWAY on a request stream (RFC 9114 §7.2.6)", code: "H3_FRAME_UNEXPECTED", play: respond(hex("07 01 00")) },
  { what: "PUSH_PROMISE (RFC 9114 §7.2.5)", code: "H3_ID_ERROR", play: respond(hex("05 04 00 0000d1")) },
  {
    what: "a push stream (RFC 9114 §4.6)",
    code: "H3_ID_ERROR",
    play: (raw) => void raw.open("unidirectional", "01 00"),
  },
  { what: "MAX_PUSH_ID by a server (RFC 9114 §7.2.7)", code: "H3_FRAME_UNEXPECTED", play: onControlAgain("0d 01 00") },
  { what: "GOAWAY with an ID of no request (RFC 9114 §7.2.6)", code: "H3_ID_ERROR", play: onControlAgain("07 01 01") },
  {
    what: "a bidirectional stream of a server (RFC 9114 §6.1)",
    code: "H3_STREAM_CREATION_ERROR",
    play: (raw) => void raw.open("bidirectional", "00"),
  },
  {
    what: "a response that ends inside a frame (RFC 9114 §7.1)",
    code: "H3_FRAME_ERROR",
    play: (raw) => {
      raw.quic.write(0, OK_HEAD.subarray(0, 2));
      raw.quic.finish(0);
    },
  },
  {
    what: "a response that needs the dynamic table (RFC 9204 §2.2.3)",
    code: "QPACK_DECOMPRESSION_FAILED",
    play: respond(encodeFrame("HEADERS", hex("0000 80"))),
  },
];

export const STREAM_AT_CLIENT: readonly Case[] = [
  {
    what: "a response without :status (RFC 9114 §4.3.2)",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([["a", "b"]])),
  },
  { what: "101 (RFC 9114 §4.5)", code: "H3_MESSAGE_ERROR", play: respondAtFault(headersFrame([[":status", "101"]])) },
  {
    what: "a request's pseudo-header field (RFC 9114 §4.3)",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(GET_FRAME),
  },
  { what: "a stream that ends before its head (RFC 9114 §4.1)", code: "H3_MESSAGE_ERROR", play: respondAtFault() },
  {
    what: "a stream that ends after an interim response (RFC 9114 §4.1)",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([[":status", "100"]])),
  },
  {
    what: "less content than Content-Length (RFC 9114 §4.1.2)",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([[":status", "200"], ["content-length", "3"]]), dataFrame("xy")),
  },
  {
    what: "content in a 204 (RFC 9114 §4.1.2)",
    code: "H3_MESSAGE_ERROR",
    play: respondAtFault(headersFrame([[":status", "204"]]), dataFrame("xy")),
  },
  {
    what: "too many interim responses (RFC 9114 §10.5)",
    code: "H3_EXCESSIVE_LOAD",
    play: respondAtFault(
      ...new Array<Uint8Array>(MAX_INFORMATIONAL_RESPONSES + 1).fill(headersFrame([[":status", "103"]])),
    ),
  },
  {
    what: "a datagram for a GET (RFC 9297 §2)",
    code: "H3_DATAGRAM_ERROR",
    play: (raw) => {
      raw.quic.sendDatagram(hex("00 aa"));
      return 0;
    },
  },
];
