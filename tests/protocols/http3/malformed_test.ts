import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
import { encodeFrame } from "../../../protocols/http3/frame.ts";
import type { Field } from "../../../protocols/http3/message.ts";
import {
  dataFrame,
  EXTENDED_FIELDS,
  GET_FIELDS,
  headersFrame,
  type RawEnd,
  rawPair,
} from "../../support/http3_pair.ts";
import {
  type Case,
  GET_FRAME,
  onControl,
  onControlAgain,
  play,
  requestAtFault,
  respond,
  respondAtFault,
} from "../../support/http3_violations.ts";
import { STREAM_AT_CLIENT } from "./violations_table.ts";

// One table an RFC: messages, frames and streams (RFC 9114), field compression (RFC 9204), and what is odd but allowed. Those
// of streams and frames in general are in violations_table.ts, capsules of the relay in ../masque/tunnel_test.ts.

const hex = fromHex;
const without = (name: string): Field[] => GET_FIELDS.filter((field) => field[0] !== name);
const changed = (name: string, value: string): Field[] =>
  GET_FIELDS.map((field) => field[0] === name ? [name, value] : field);
const also = (...fields: readonly Field[]): Field[] => [...GET_FIELDS, ...fields];

/** RFC 9114 §4.1.2, §4.2, §4.3, §4.4: malformed requests, each a stream error. */
const REQUESTS: readonly (readonly [what: string, fields: readonly Field[]])[] = [
  [":method missing", without(":method")],
  [":scheme missing", without(":scheme")],
  [":path missing", without(":path")],
  ["neither :authority nor Host", without(":authority")],
  [":path twice", [[":path", "/"], ...GET_FIELDS]],
  [":authority twice", also([":authority", "relay.example"])],
  [":path empty", changed(":path", "")],
  [":authority with userinfo", changed(":authority", "me@relay.example")],
  [":authority that Host contradicts", also(["host", "other.example"])],
  [":status in a request", also([":status", "200"])],
  ["a pseudo-header field that nobody knows", also([":unknown", "1"])],
  ["a name in upper case", also(["Accept", "*/*"])],
  ["a name with a blank", also(["a b", "c"])],
  ["an empty name", also(["", "c"])],
  ["a value with a line feed", also(["a", "b\nc: d"])],
  ["a value with a zero byte", also(["a", "b\0"])],
  ["a value with a blank in front", also(["a", " b"])],
  ...(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] as const).map((name) =>
    [name, also([name, "x"])] as const
  ),
  ["TE other than trailers", also(["te", "gzip"])],
  ["CONNECT with :scheme", [[":method", "CONNECT"], [":scheme", "https"], [":authority", "a:1"]]],
  ["CONNECT with :path", [[":method", "CONNECT"], [":path", "/"], [":authority", "a:1"]]],
  ["CONNECT without :authority", [[":method", "CONNECT"]]],
  [":protocol without CONNECT", also([":protocol", "connect-udp"])],
  ["extended CONNECT without :path", EXTENDED_FIELDS.filter(([name]) => name !== ":path")],
  ["extended CONNECT without :scheme", EXTENDED_FIELDS.filter(([name]) => name !== ":scheme")],
  ["Content-Length that is no number", also(["content-length", "x"])],
  ["Content-Length below zero", also(["content-length", "-1"])],
  ["a list of Content-Lengths", also(["content-length", "1, 1"])],
];

/** The same for responses: RFC 9114 §4.3.2. */
const RESPONSES: readonly (readonly [what: string, fields: readonly Field[]])[] = [
  [":status missing", [["a", "b"]]],
  [":status twice", [[":status", "200"], [":status", "200"]]],
  [":status of two digits", [[":status", "20"]]],
  [":status of letters", [[":status", "abc"]]],
  [":status of 99", [[":status", "099"]]],
  [":status behind a field", [["a", "b"], [":status", "200"]]],
  [":path in a response", [[":status", "200"], [":path", "/"]]],
  ["a name in upper case", [[":status", "200"], ["A", "b"]]],
  ...(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] as const).map((name) =>
    [name, [[":status", "200"], [name, "x"]] satisfies Field[]] as const
  ),
  ["TE in a response", [[":status", "200"], ["te", "trailers"]]],
];

for (const [what, fields] of REQUESTS) {
  Deno.test(`HTTP/3 server meets a request with ${what}: H3_MESSAGE_ERROR (RFC 9114 §4.1.2)`, () => {
    play("server", { what, code: "H3_MESSAGE_ERROR", play: requestAtFault(headersFrame(fields)) }, true);
  });
}

for (const [what, fields] of RESPONSES) {
  Deno.test(`HTTP/3 client meets a response with ${what}: H3_MESSAGE_ERROR (RFC 9114 §4.1.2)`, () => {
    play("client", { what, code: "H3_MESSAGE_ERROR", play: respondAtFault(headersFrame(fields)) }, false);
  });
}

for (const test of STREAM_AT_CLIENT) {
  Deno.test(`HTTP/3 client meets ${test.what}: ${test.code}`, () => void play("client", test, false));
}

/** A stream that nobody may end is reset once its type has arrived, or is wanted no more. */
const resetLater = (open: (raw: RawEnd) => number): Case["play"] => (raw, pair) => {
  const id = open(raw);
  pair.runTo(pair.now + 50);
  raw.quic.reset(id, 0);
};

/** RFC 9114, whatever our end is: the connection closes. */
const CONNECTION: readonly Case[] = [
  ...["00", "02", "03", "04", "05"].map((identifier): Case => ({
    what: `setting 0x${identifier} of HTTP/2 (§7.2.4.1)`,
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", `00 04 02 ${identifier}01`),
  })),
  {
    what: "SETTINGS_ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441 §3)",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 02 0802"),
  },
  {
    what: "SETTINGS_H3_DATAGRAM of 2^62 - 1 (RFC 9297 §2.1.1)",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 09 33 ffffffffffffffff"),
  },
  {
    what: "the same unknown setting twice (§7.2.4)",
    code: "H3_SETTINGS_ERROR",
    play: (raw) => void raw.open("unidirectional", "00 04 06 4021 01 4021 01"),
  },
  { what: "SETTINGS a third time (§7.2.4)", code: "H3_FRAME_UNEXPECTED", play: onControl("21 00 04 00") },
  { what: "CANCEL_PUSH with bytes behind (§7.1)", code: "H3_FRAME_ERROR", play: onControl("03 02 0000") },
  { what: "CANCEL_PUSH cut (§7.1)", code: "H3_FRAME_ERROR", play: onControl("03 01 40") },
  {
    what: "a control stream that is reset (§6.2.1)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: resetLater((raw) => raw.open("unidirectional", "00 04 00")),
  },
  {
    what: "an encoder stream that is reset (RFC 9204 §4.2)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: resetLater((raw) => raw.open("unidirectional", "02")),
  },
  {
    what: "a decoder stream that is reset (RFC 9204 §4.2)",
    code: "H3_CLOSED_CRITICAL_STREAM",
    play: resetLater((raw) => raw.open("unidirectional", "03")),
  },
  // RFC 9204 §3.2.3, §4.3, §4.4: with a dynamic table of no capacity.
  ...([
    ["a capacity of 1 (§4.3.1)", "21"],
    ["a capacity whose integer has no end (§4.1.1)", "3fffffffffffffffffffffff7f"],
    ["an insertion with a name of the static table (§4.3.2)", "20 c1 01 61"],
    ["an insertion with a name of the dynamic table (§4.3.2)", "20 80 01 61"],
    ["an insertion with a literal name (§4.3.3)", "20 41 61 01 62"],
    ["an insertion with a name of Huffman code (§4.3.3)", "20 61 ff 01 62"],
    ["Duplicate (§4.3.4)", "20 00"],
  ] as const).map(([what, bytes]): Case => ({
    what: `${what} on the encoder stream`,
    code: "QPACK_ENCODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", `02 ${bytes}`),
  })),
  ...([
    ["Section Acknowledgment of a request (§4.4.1)", "80"],
    ["Section Acknowledgment whose integer has no end (§4.1.1)", "ffffffffffffffffffffffffff"],
    ["Insert Count Increment of 1 (§4.4.3)", "01"],
    ["Stream Cancellation whose integer has no end (§4.1.1)", "7fffffffffffffffffffffff7f"],
  ] as const).map(([what, bytes]): Case => ({
    what: `${what} on the decoder stream`,
    code: "QPACK_DECODER_STREAM_ERROR",
    play: (raw) => void raw.open("unidirectional", `03 ${bytes}`),
  })),
];

/** RFC 9114 §7.2: frames of a client that has none of them to send there. */
const AT_SERVER: readonly Case[] = [
  { what: "MAX_PUSH_ID without its field (§7.1)", code: "H3_FRAME_ERROR", play: onControl("0d 00") },
  { what: "MAX_PUSH_ID with bytes behind (§7.1)", code: "H3_FRAME_ERROR", play: onControl("0d 02 0000") },
  {
    what: "GOAWAY with a push ID that grows (§5.2)",
    code: "H3_ID_ERROR",
    play: onControl("07 01 03 07 01 03 07 01 04"),
  },
  ...["02", "06", "08", "09"].flatMap((type): Case[] => [
    {
      what: `frame 0x${type} of HTTP/2 in front of a request (§7.2.8)`,
      code: "H3_FRAME_UNEXPECTED",
      play: (raw) => {
        raw.openControl();
        raw.open("bidirectional", hex(`${type} 00`));
      },
    },
    {
      what: `frame 0x${type} of HTTP/2 behind a request (§7.2.8)`,
      code: "H3_FRAME_UNEXPECTED",
      play: (raw) => {
        raw.openControl();
        raw.open("bidirectional", concatBytes(GET_FRAME, hex(`${type} 00`)));
      },
    },
  ]),
  ...["03 01 00", "04 00", "05 01 00", "07 01 00", "0d 01 00"].map((frame): Case => ({
    what: `a frame of type 0x${frame.slice(0, 2)} in a tunnel (§4.4)`,
    code: "H3_FRAME_UNEXPECTED",
    play: (raw) => {
      raw.openControl();
      raw.open("bidirectional", concatBytes(headersFrame(EXTENDED_FIELDS), dataFrame("x"), hex(frame)));
    },
  })),
];

const AT_CLIENT: readonly Case[] = [
  { what: "GOAWAY that grows (§5.2)", code: "H3_ID_ERROR", play: onControlAgain("07 01 04 07 01 08") },
  { what: "GOAWAY of a stream of the server's (§5.2)", code: "H3_ID_ERROR", play: onControlAgain("07 01 03") },
  { what: "CANCEL_PUSH (§7.2.3)", code: "H3_ID_ERROR", play: onControlAgain("03 01 00") },
  {
    what: "PUSH_PROMISE without its field, where none is allowed (§7.2.5)",
    code: "H3_ID_ERROR",
    play: respond(hex("05 00")),
  },
  { what: "a push stream without its field (§4.6)", code: "H3_ID_ERROR", play: (raw) => openPush(raw, "01 3f") },
  ...["03 01 00", "04 00", "0d 01 00"].map((frame): Case => ({
    what: `a frame of type 0x${frame.slice(0, 2)} in a response (§7.2)`,
    code: "H3_FRAME_UNEXPECTED",
    play: respond(headersFrame([[":status", "200"]]), hex(frame)),
  })),
  ...["02", "06", "08", "09"].map((type): Case => ({
    what: `frame 0x${type} of HTTP/2 in a response (§7.2.8)`,
    code: "H3_FRAME_UNEXPECTED",
    play: respond(hex(`${type} 00`)),
  })),
];

function openPush(raw: RawEnd, bytes: string): void {
  raw.open("unidirectional", bytes);
}

/** RFC 9204 §2.2.3, §3.1, §4.1, §4.5: field sections that cannot be read. Two bytes of prefix, then field lines. */
const FIELD_SECTIONS: readonly (readonly [what: string, bytes: string])[] = [
  ["nothing but half a prefix (§4.5.1)", "00"],
  ["a Required Insert Count of 1 (§4.5.1.1)", "0100 d1"],
  ["a Required Insert Count without end (§4.1.1)", "ffffffffffffffffffffff7f 00 d1"],
  ["a Base below zero (§4.5.1.2)", "0080 d1"],
  ["an indexed field line of the dynamic table (§4.5.2)", "0000 80"],
  ["an indexed field line beyond the static table (§3.1)", "0000 ff24"],
  ["an index without end (§4.1.1)", "0000 ffffffffffffffffffffffff7f"],
  ["an index that is cut (§4.1.1)", "0000 ff"],
  ["a post-Base index (§4.5.3)", "0000 10"],
  ["a name of the dynamic table (§4.5.4)", "0000 4001 61"],
  ["a name beyond the static table (§4.5.4)", "0000 5f54 0161"],
  ["a post-Base name (§4.5.5)", "0000 00 0161"],
  ["a name longer than the section (§4.1.2)", "0000 27 7f 61"],
  ["a value longer than the section (§4.1.2)", "0000 51 7f 61"],
  ["a value that is missing (§4.5.4)", "0000 51"],
  ["a length without end (§4.1.2)", "0000 51 7fffffffffffffffffffffff7f"],
  ["Huffman code with EOS in it (RFC 7541 §5.2)", "0000 51 84 ffffffff"],
  ["Huffman padding of eight bits (RFC 7541 §5.2)", "0000 51 82 1fff"],
  ["Huffman padding of zeros (RFC 7541 §5.2)", "0000 51 81 18"],
];

for (const [what, bytes] of FIELD_SECTIONS) {
  const section = encodeFrame("HEADERS", hex(bytes));
  const code = "QPACK_DECOMPRESSION_FAILED";
  Deno.test(`HTTP/3 server meets a head with ${what}: ${code} (RFC 9204 §2.2)`, () => {
    play("server", {
      what,
      code,
      play: (raw) => {
        raw.openControl();
        raw.open("bidirectional", section);
      },
    }, true);
  });
  Deno.test(`HTTP/3 client meets trailers with ${what}: ${code} (RFC 9204 §2.2)`, () => {
    play("client", { what, code, play: respond(headersFrame([[":status", "200"]]), section) }, false);
  });
}

for (const test of [...CONNECTION, ...AT_SERVER]) {
  Deno.test(`HTTP/3 server meets ${test.what}: ${test.code}`, () => void play("server", test, true));
}

for (const test of CONNECTION) {
  Deno.test(`HTTP/3 client meets ${test.what}: ${test.code}`, () => void play("client", test, true));
}

for (const test of AT_CLIENT) {
  Deno.test(`HTTP/3 client meets ${test.what}: ${test.code}`, () => void play("client", test, false));
}

/** What a peer may do, however odd. */
const ALLOWED: readonly (readonly [what: string, act: (raw: RawEnd) => void])[] = [
  ["reserved frames between all others (§7.2.8)", (raw) => {
    raw.openControl("21 03 010203 4040 00 07 01 08");
    raw.open("bidirectional", concatBytes(hex("21 00"), GET_FRAME, hex("4040 01 ff"), dataFrame("x"), hex("21 00")));
  }],
  ["settings that nobody knows (§7.2.4.1)", (raw) => {
    raw.open("unidirectional", "00 04 09 4021 7fff 805f0000 01");
  }],
  ["GOAWAY repeated, and smaller (§5.2)", (raw) => void raw.openControl("07 01 08 07 01 08 07 01 04")],
  ["MAX_PUSH_ID repeated, and larger (§7.2.7)", (raw) => void raw.openControl("0d 01 00 0d 01 00 0d 01 05")],
  ["streams of unknown types, one cut in its type (§6.2)", (raw) => {
    raw.openControl();
    raw.open("unidirectional", "21 0102030405");
    raw.open("unidirectional", "5fff ff", true);
    raw.open("unidirectional", "40", true);
    raw.open("unidirectional", "", true);
  }],
  [
    "a capacity of 0, again and again (RFC 9204 §4.3.1)",
    (raw) => void raw.open("unidirectional", "02 20 20 20"),
  ],
  ["Stream Cancellation of any stream (RFC 9204 §4.4.2)", (raw) => {
    raw.open("unidirectional", "03 40 44 7f8001 7e");
  }],
  ["trailers, and TE: trailers (§4.1, §4.2)", (raw) => {
    raw.openControl();
    const head = headersFrame(also(["te", "trailers"], ["cookie", "a=b"], ["cookie", "c=d"]));
    raw.open("bidirectional", concatBytes(head, dataFrame("x"), headersFrame([["checksum", "1"]])), true);
  }],
  ["datagrams for a request that may still come (RFC 9297 §2.1)", (raw) => {
    raw.openControl();
    raw.quic.sendDatagram(hex("04 aa"));
    raw.quic.sendDatagram(hex("40 7f aa"));
  }],
];

for (const [what, act] of ALLOWED) {
  Deno.test(`HTTP/3 server takes ${what}`, () => {
    const { pair, end, raw } = rawPair("server");
    act(raw);
    pair.runTo(pair.now + 300);
    deepStrictEqual([end.quic.state, end.of("closed"), end.of("failed")], ["confirmed", [], []]);
    const next = raw.open("bidirectional", GET_FRAME, true);
    pair.runUntil(() => end.of("request").some((event) => event.streamId === next));
    ok(end.http3.streamCount >= 1);
    strictEqual(raw.quic.state, "confirmed");
  });
}
