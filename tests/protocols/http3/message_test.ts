import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Http3StreamError } from "../../../protocols/http3/errors.ts";
import {
  checkTrailers,
  contentLengthOf,
  type Field,
  fieldsOfRequest,
  fieldsOfResponse,
  requestOf,
  responseOf,
  singleField,
} from "../../../protocols/http3/message.ts";

function malformed(what: string, act: () => void): void {
  throws(act, (error) => {
    ok(error instanceof Http3StreamError, String(error));
    strictEqual(error.code, "H3_MESSAGE_ERROR");
    return true;
  }, what);
}

const GET: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "a.example"],
  [":path", "/x?y"],
];

Deno.test("Request heads come back as they were given (RFC 9114 §4.3.1, §4.4, RFC 8441 §4)", () => {
  const heads = [
    { method: "GET", scheme: "https", authority: "a.example", path: "/x?y", fields: [["te", "trailers"]] },
    { method: "OPTIONS", scheme: "https", authority: "a.example", path: "*", fields: [] },
    { method: "CONNECT", authority: "a.example:443", fields: [["x", "y"]] },
    {
      method: "CONNECT",
      scheme: "https",
      authority: "[2001:db8::1]:443",
      path: "/.well-known/masque/udp/%2A/%2A/",
      protocol: "connect-udp",
      fields: [["capsule-protocol", "?1"]],
    },
    { method: "GET", scheme: "urn", path: "", fields: [] },
  ] as const;
  for (const head of heads) deepStrictEqual(requestOf(fieldsOfRequest(head), true), head);
});

Deno.test("Response heads come back as they were given (RFC 9114 §4.3.2)", () => {
  for (
    const head of [{ status: 200, fields: [["a", "b"]] }, { status: 103, fields: [] }, {
      status: 999,
      fields: [],
    }] as const
  ) {
    deepStrictEqual(responseOf(fieldsOfResponse(head)), head);
  }
});

Deno.test("Request's authority may be in Host (RFC 9114 §4.3.1)", () => {
  const fields: Field[] = [[":method", "GET"], [":scheme", "https"], [":path", "/"], ["host", "a.example"]];
  strictEqual(requestOf(fields, true).authority, "a.example");
  strictEqual(requestOf([...GET, ["host", "A.example"]], true).authority, "a.example");
});

Deno.test("Malformed requests are refused (RFC 9114 §4.1.2, §4.2, §4.3)", () => {
  const without = (name: string): Field[] => GET.filter((field) => field[0] !== name);
  const replaced = (name: string, value: string): Field[] =>
    GET.map((field) => field[0] === name ? [name, value] : field);
  const wrong: Readonly<Record<string, readonly Field[]>> = {
    "no fields": [],
    "no :method": without(":method"),
    "no :scheme": without(":scheme"),
    "no :path": without(":path"),
    "neither :authority nor Host": without(":authority"),
    ":method twice": [...GET, [":method", "GET"]],
    ":path twice": [[":path", "/"], ...GET],
    ":method is empty": replaced(":method", ""),
    ":method is no token": replaced(":method", "GE T"),
    ":path is empty": replaced(":path", ""),
    ":path without slash": replaced(":path", "x"),
    ":path with blank": replaced(":path", "/a b"),
    ":path * with GET": replaced(":path", "*"),
    ":scheme is no scheme": replaced(":scheme", "1:"),
    ":authority is empty": replaced(":authority", ""),
    ":authority with userinfo": replaced(":authority", "me@a.example"),
    ":authority with line feed": replaced(":authority", "a\nb"),
    ":authority and Host differ": [...GET, ["host", "b.example"]],
    "Host twice": [...GET, ["host", "a.example"], ["host", "a.example"]],
    ":status": [[":status", "200"], ...GET],
    ":unknown": [[":unknown", ""], ...GET],
    "pseudo-header field after a field": [...without(":path"), ["a", "b"], [":path", "/"]],
    "name in upper case": [...GET, ["Accept", "a"]],
    "empty name": [...GET, ["", "a"]],
    "name with blank": [...GET, ["a b", "a"]],
    "name with colon": [...GET, ["a:b", "a"]],
    "name beyond ASCII": [...GET, ["a\xe9", "a"]],
    "value with line feed": [...GET, ["a", "b\nc: d"]],
    "value with carriage return": [...GET, ["a", "b\r"]],
    "value with zero": [...GET, ["a", "b\0c"]],
    "value with DEL": [...GET, ["a", "b\x7fc"]],
    "value with blank before": [...GET, ["a", " b"]],
    "value with tab behind": [...GET, ["a", "b\t"]],
    "connection": [...GET, ["connection", "close"]],
    "keep-alive": [...GET, ["keep-alive", "1"]],
    "proxy-connection": [...GET, ["proxy-connection", "close"]],
    "transfer-encoding": [...GET, ["transfer-encoding", "chunked"]],
    "upgrade": [...GET, ["upgrade", "websocket"]],
    "te: gzip": [...GET, ["te", "gzip"]],
    "te: trailers, gzip": [...GET, ["te", "trailers, gzip"]],
    "CONNECT with :scheme": [[":method", "CONNECT"], [":scheme", "https"], [":authority", "a:1"]],
    "CONNECT with :path": [[":method", "CONNECT"], [":path", "/"], [":authority", "a:1"]],
    "CONNECT without :authority": [[":method", "CONNECT"]],
    "CONNECT with Host alone": [[":method", "CONNECT"], ["host", "a:1"]],
    "CONNECT without port": [[":method", "CONNECT"], [":authority", "a.example"]],
    "CONNECT with empty port": [[":method", "CONNECT"], [":authority", "a.example:"]],
    ":protocol with GET": [...GET, [":protocol", "connect-udp"]],
    ":protocol is no token": [...replaced(":method", "CONNECT"), [":protocol", "a b"]],
    ":protocol without :path": [[":method", "CONNECT"], [":scheme", "https"], [":authority", "a"], [":protocol", "p"]],
  };
  for (const [what, section] of Object.entries(wrong)) malformed(what, () => requestOf(section, true));
  const extended: readonly Field[] = [...replaced(":method", "CONNECT"), [":protocol", "connect-udp"]];
  strictEqual(requestOf(extended, true).protocol, "connect-udp");
  // RFC 9220 §3: not enabled, so it is unknown.
  malformed(":protocol without leave", () => requestOf(extended, false));
});

Deno.test("Malformed responses are refused (RFC 9114 §4.1.2, §4.2, §4.3.2, §4.5)", () => {
  const wrong: readonly (readonly Field[])[] = [
    [],
    [["a", "b"]],
    [[":status", "200"], [":status", "200"]],
    [[":status", "20"]],
    [[":status", "2000"]],
    [[":status", "abc"]],
    [[":status", "099"]],
    [[":status", "101"]],
    [[":status", "200"], [":path", "/"]],
    [["a", "b"], [":status", "200"]],
    [[":status", "200"], ["te", "trailers"]],
    [[":status", "200"], ["connection", "close"]],
    [[":status", "200"], ["A", "b"]],
  ];
  for (const section of wrong) malformed(JSON.stringify(section), () => responseOf(section));
});

Deno.test("Trailers have no pseudo-header fields (RFC 9114 §4.3)", () => {
  checkTrailers([]);
  checkTrailers([["checksum", "1"]]);
  malformed(":status", () => checkTrailers([[":status", "200"]]));
  malformed(":path", () => checkTrailers([["a", "b"], [":path", "/"]]));
  malformed("te", () => checkTrailers([["te", "trailers"]]));
});

Deno.test("Content-Length is one number (RFC 9110 §8.6)", () => {
  strictEqual(contentLengthOf([]), undefined);
  strictEqual(contentLengthOf([["content-length", "0"]]), 0);
  strictEqual(contentLengthOf([["content-length", "42"], ["content-length", "42"]]), 42);
  const wrong = ["", "-1", "+1", "1.0", "0x1", "1, 1", "1234567890123456"];
  for (const value of wrong) malformed(value, () => contentLengthOf([["content-length", value]]));
  malformed("two", () => contentLengthOf([["content-length", "1"], ["content-length", "2"]]));
});

Deno.test("A single field is found by name", () => {
  const fields: Field[] = [["a", "1"], ["b", "2"], ["a", "3"]];
  strictEqual(singleField(fields, "b"), "2");
  strictEqual(singleField(fields, "a"), undefined);
  strictEqual(singleField(fields, "c"), undefined);
});
