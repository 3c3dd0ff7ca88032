import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes, toHex } from "../../../protocols/core/bytes.ts";
import { MAX_DATA_FRAME_BYTES, MAX_UNREAD_REQUESTS } from "../../../protocols/http3/connection.ts";
import type { Field, RequestHead } from "../../../protocols/http3/message.ts";
import {
  dataFrame,
  EXTENDED_HEAD,
  GET_FIELDS,
  GET_HEAD,
  headersFrame,
  type Http3End,
  http3Pair,
  rawPair,
} from "../../support/http3_pair.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Lets a server answer every request with its path as content. */
function answer(server: Http3End): void {
  server.onEvent = (event) => {
    if (event.type !== "request") return;
    server.http3.respond(event.streamId, { status: 200, fields: [["server", "traverse"]] });
    server.http3.write(event.streamId, bytes(`you asked for ${event.request.path}`));
    server.http3.finish(event.streamId);
  };
}

Deno.test("HTTP/3 ends tell each other their settings first (RFC 9114 §6.2.1, §7.2.4)", () => {
  const { client, server } = http3Pair({ serverHttp3: { maxFieldSectionBytes: 5000 } });
  deepStrictEqual(client.http3.peerSettings, {
    maxFieldSectionBytes: 5000,
    enableConnectProtocol: true,
    enableDatagrams: true,
  });
  deepStrictEqual(server.http3.peerSettings, {
    maxFieldSectionBytes: 16384,
    enableConnectProtocol: false,
    enableDatagrams: true,
  });
  deepStrictEqual(client.events.map(({ type }) => type), ["settings"]);
});

Deno.test("HTTP/3 client's first bytes are the control stream's (RFC 9114 §6.2.1)", () => {
  const { pair, end, raw } = rawPair("client");
  pair.runUntil(() => raw.events.some(({ type }) => type === "streamReadable"));
  strictEqual(toHex(raw.quic.read(2)!), "00040b01000680004000" + "07003301");
  // Neither QPACK stream: RFC 9204 §4.2.
  strictEqual(raw.events.filter(({ type }) => type === "streamOpened").length, 1);
  strictEqual(end.http3.role, "client");
});

Deno.test("HTTP/3 request and response with content (RFC 9114 §4.1)", () => {
  const { pair, client, server } = http3Pair();
  answer(server);
  const id = client.http3.request({ ...GET_HEAD, path: "/hello", fields: [["x-a", "1"], ["x-a", "2"]] }, {
    isEnd: true,
  })!;
  strictEqual(id, 0);
  pair.runUntil(() => client.of("readable").length === 1);
  deepStrictEqual(server.of("request")[0], {
    type: "request",
    streamId: 0,
    request: { ...GET_HEAD, path: "/hello", fields: [["x-a", "1"], ["x-a", "2"]] },
  });
  deepStrictEqual(client.of("response")[0]!.response, { status: 200, fields: [["server", "traverse"]] });
  strictEqual(text(client.readAll(id, pair.now)), "you asked for /hello");
  strictEqual(client.http3.isAtEnd(id), true);
  client.drain();
  pair.runUntil(() => client.of("streamClosed").length === 1 && server.of("streamClosed").length === 1);
  deepStrictEqual([client.http3.streamCount, server.http3.streamCount], [0, 0]);
});

Deno.test("HTTP/3 keeps content that nobody has read yet, within a limit", () => {
  const { pair, client, server } = http3Pair();
  answer(server);
  const ids: number[] = [];
  // One at a time, so that each response comes in one piece and its stream is over underneath.
  for (let i = 0; i < MAX_UNREAD_REQUESTS + 10; i++) {
    ids.push(client.http3.request(GET_HEAD, { isEnd: true })!);
    pair.runUntil(() => server.of("streamClosed").length === i + 1);
  }
  strictEqual(client.of("response").length, MAX_UNREAD_REQUESTS + 10);
  const closed = (): number[] => client.of("streamClosed").map(({ streamId }) => streamId);
  deepStrictEqual(closed(), ids.slice(0, 10));
  deepStrictEqual([client.http3.streamCount, client.quic.stats.streams], [MAX_UNREAD_REQUESTS, 2]);
  strictEqual(client.http3.isAtEnd(ids[10]!), false);
  strictEqual(text(client.readAll(ids[10]!, pair.now)), "you asked for /");
  client.http3.stopReading(ids[11]!);
  client.http3.abort(ids[12]!, "H3_REQUEST_CANCELLED");
  client.drain();
  deepStrictEqual(closed(), ids.slice(0, 13));
  strictEqual(client.http3.isAtEnd(ids[10]!), true);
});

Deno.test("HTTP/3 takes one round trip to a response (RFC 9114 §4.1)", () => {
  const { pair, client, server } = http3Pair();
  answer(server);
  const begun = pair.now;
  client.http3.request(GET_HEAD, { isEnd: true });
  pair.runUntil(() => client.of("response").length === 1);
  strictEqual(pair.now - begun, 20);
});

Deno.test("HTTP/3 interim responses come before the final one (RFC 9114 §4.1)", () => {
  const { pair, client, server } = http3Pair();
  server.onEvent = (event) => {
    if (event.type !== "request") return;
    server.http3.respond(event.streamId, { status: 100, fields: [] });
    server.http3.respond(event.streamId, { status: 103, fields: [["link", "</a>"]] });
    throws(() => server.http3.write(event.streamId, bytes("early")), TypeError);
    server.http3.respond(event.streamId, { status: 204, fields: [] }, { isEnd: true });
    throws(() => server.http3.respond(event.streamId, { status: 200, fields: [] }), TypeError);
  };
  const id = client.http3.request({ ...GET_HEAD, method: "PUT" })!;
  client.http3.finish(id);
  pair.runUntil(() => client.of("response").length === 1);
  deepStrictEqual(client.of("informational").map(({ response }) => response.status), [100, 103]);
  strictEqual(client.of("response")[0]!.response.status, 204);
});

Deno.test("HTTP/3 carries large content both ways within its windows (RFC 9114 §7.2.1)", () => {
  const { pair, client, server } = http3Pair();
  const size = 3_000_000;
  const content = Uint8Array.from({ length: size }, (_, at) => (at * 7 + (at >> 8)) & 0xff);
  const received: Uint8Array[] = [];
  let receivedBytes = 0;
  const pump = (end: Http3End, state: { sent: number }): void => {
    while (state.sent < size) {
      const taken = end.http3.write(0, content.subarray(state.sent, state.sent + 50_000));
      state.sent += taken;
      if (taken === 0) return;
    }
    end.http3.finish(0);
  };
  const up = { sent: 0 };
  const down = { sent: 0 };
  let echoed = 0;
  server.onEvent = (event) => {
    if (event.type === "request") server.http3.respond(0, { status: 200, fields: [["content-length", `${size}`]] });
    if (event.type === "request" || event.type === "writable") pump(server, down);
    if (event.type === "readable") {
      const part = server.readAll(0, pair.now);
      deepStrictEqual(part, content.subarray(echoed, echoed + part.length));
      echoed += part.length;
    }
  };
  client.onEvent = (event) => {
    if (event.type === "writable") pump(client, up);
    if (event.type !== "readable") return;
    const part = client.readAll(0, pair.now);
    received.push(part);
    receivedBytes += part.length;
  };
  client.http3.request({ ...GET_HEAD, method: "POST", fields: [["content-length", `${size}`]] });
  pump(client, up);
  pair.runUntil(() => client.of("streamClosed").length === 1 && server.of("streamClosed").length === 1, 200_000);
  strictEqual(receivedBytes, size);
  strictEqual(echoed, size);
  let at = 0;
  for (const part of received) {
    deepStrictEqual(part, content.subarray(at, at + part.length));
    at += part.length;
  }
});

Deno.test("HTTP/3 write takes a DATA frame whole or nothing of it", () => {
  const { pair, client } = http3Pair();
  const id = client.http3.request({ ...GET_HEAD, method: "POST" })!;
  const piece = new Uint8Array(MAX_DATA_FRAME_BYTES);
  const taken: number[] = [];
  for (let i = 0; i < 100; i++) taken.push(client.http3.write(id, piece));
  const refusedAt = taken.indexOf(0);
  // 256 KiB wait underneath, and the rest of a frame here.
  strictEqual(refusedAt, 16);
  ok(taken.slice(0, refusedAt).every((count) => count === piece.length));
  ok(taken.slice(refusedAt).every((count) => count === 0));
  pair.runUntil(() => client.of("writable").length > 0);
  strictEqual(client.http3.write(id, piece), piece.length);
  client.http3.finish(id);
  throws(() => client.http3.write(id, piece), TypeError);
});

Deno.test("HTTP/3 keeps heads that find no room underneath, up to a limit, and sends them in order", () => {
  const { pair, client, server } = http3Pair({ clientHttp3: { maxFieldSectionBytes: 64 * 1024 } });
  const id = client.http3.request(GET_HEAD, { isEnd: true })!;
  pair.runUntil(() => server.of("request").length === 1);
  // Not shorter with Huffman's code.
  const hint = (index: number): Field[] => [["x-index", String(index)], ["x-long", "~".repeat(40_000)]];
  let sent = 0;
  throws(() => {
    for (; sent < 16; sent++) server.http3.respond(id, { status: 103, fields: hint(sent) });
  }, RangeError);
  // 256 KiB wait underneath, and 128 KiB here.
  strictEqual(sent, 9);
  strictEqual(server.http3.streamCount, 1);
  pair.runUntil(() => client.of("informational").length === sent);
  server.http3.respond(id, { status: 200, fields: [] });
  server.http3.write(id, bytes("end"));
  server.http3.finish(id);
  pair.runUntil(() => client.of("readable").length === 1);
  deepStrictEqual(client.of("informational").map(({ response }) => response.fields[0]![1]), [..."012345678"]);
  strictEqual(text(client.readAll(id, pair.now)), "end");
});

Deno.test("HTTP/3 content stays underneath until it is read, so that the window closes", () => {
  const { pair, client, server } = http3Pair();
  const id = client.http3.request({ ...GET_HEAD, method: "POST" })!;
  const piece = new Uint8Array(MAX_DATA_FRAME_BYTES);
  let sent = 0;
  client.onEvent = (event) => {
    if (event.type !== "writable") return;
    for (let taken = client.http3.write(id, piece); taken > 0; taken = client.http3.write(id, piece)) sent += taken;
  };
  while (client.http3.write(id, piece) > 0) sent += piece.length;
  pair.runTo(pair.now + 5000, 100_000);
  // A window of 1 MiB at the server, 256 KiB and a frame at the client.
  ok(sent < 1024 * 1024 + 256 * 1024 + 2 * MAX_DATA_FRAME_BYTES, `${sent}`);
  strictEqual(server.of("readable").length, 1);
  ok(server.readAll(id, pair.now).length > 900_000);
});

Deno.test("HTTP/3 passes over trailers and unknown frames (RFC 9114 §4.1, §9)", () => {
  const { pair, end, raw } = rawPair("server");
  raw.openControl("21 03 aabbcc 0d 01 05");
  const id = raw.open("bidirectional", "21 00");
  for (
    const frame of [
      headersFrame([...GET_FIELDS, ["content-length", "5"]]),
      dataFrame("ab"),
      dataFrame(""),
      Uint8Array.of(0x40, 0x60, 2, 1, 2),
      dataFrame("cde"),
      headersFrame([["checksum", "1"]]),
      Uint8Array.of(0x21, 1, 0),
    ]
  ) raw.quic.write(id, frame);
  raw.quic.finish(id);
  pair.runUntil(() => end.of("readable").length === 1);
  strictEqual(text(end.readAll(id, pair.now)), "abcde");
  strictEqual(end.http3.isAtEnd(id), true);
  strictEqual(end.quic.state, "confirmed");
});

Deno.test("HTTP/3 stops unidirectional streams of unknown types (RFC 9114 §6.2, §9)", () => {
  const { pair, end, raw } = rawPair("server");
  raw.openControl();
  const ids = [
    raw.open("unidirectional", "21 0102"),
    raw.open("unidirectional", "4054"),
    raw.open("unidirectional", "c0000000deadbeef 00"),
  ];
  // Without a type, and ended.
  raw.open("unidirectional", "c0", true);
  raw.quic.reset(raw.open("unidirectional", "80"), 5);
  pair.runTo(pair.now + 200);
  for (const id of ids) deepStrictEqual(raw.codesOf(id), [undefined, 0x0103]);
  strictEqual(end.quic.state, "confirmed");
});

Deno.test("HTTP/3 response to HEAD and 304 has no content, whatever Content-Length says (RFC 9114 §4.1.2)", () => {
  for (const [method, status] of [["HEAD", 200], ["GET", 304], ["GET", 204]] as const) {
    const { pair, client, server } = http3Pair();
    server.onEvent = (event) => {
      if (event.type !== "request") return;
      server.http3.respond(event.streamId, { status, fields: [["content-length", "100"]] }, { isEnd: true });
    };
    const id = client.http3.request({ ...GET_HEAD, method }, { isEnd: true })!;
    pair.runUntil(() => client.of("streamClosed").length === 1);
    deepStrictEqual(client.of("failed"), []);
    strictEqual(client.http3.isAtEnd(id), true);
  }
});

Deno.test("HTTP/3 plain CONNECT is a tunnel (RFC 9114 §4.4)", () => {
  const { pair, client, server } = http3Pair();
  server.onEvent = (event) => {
    if (event.type === "request") server.http3.respond(event.streamId, { status: 200, fields: [] });
    if (event.type === "readable") {
      server.http3.write(event.streamId, server.readAll(event.streamId, pair.now));
      if (server.http3.isAtEnd(event.streamId)) server.http3.finish(event.streamId);
    }
  };
  const id = client.http3.request({ method: "CONNECT", authority: "a.example:22", fields: [] })!;
  pair.runUntil(() => client.of("response").length === 1);
  client.http3.write(id, bytes("ping"));
  pair.runUntil(() => client.of("readable").length === 1);
  strictEqual(text(client.readAll(id, pair.now)), "ping");
  client.http3.finish(id);
  pair.runUntil(() => client.of("streamClosed").length === 1);
});

Deno.test("HTTP/3 extended CONNECT waits for the server's leave (RFC 9220 §3, RFC 8441 §3)", () => {
  const { pair, client, server } = http3Pair();
  server.onEvent = (event) => {
    if (event.type === "request") server.http3.respond(event.streamId, { status: 200, fields: [] });
  };
  client.http3.request(EXTENDED_HEAD);
  pair.runUntil(() => client.of("response").length === 1);
  deepStrictEqual(server.of("request")[0]!.request, EXTENDED_HEAD);

  const without = http3Pair({ serverHttp3: { enableConnectProtocol: false } });
  throws(() => without.client.http3.request(EXTENDED_HEAD), TypeError);
});

Deno.test("HTTP/3 refuses heads that the caller got wrong, and sends nothing", () => {
  const { client, server } = http3Pair({ serverHttp3: { maxFieldSectionBytes: 300 } });
  const wrong: RequestHead[] = [
    { ...GET_HEAD, method: "" },
    { ...GET_HEAD, path: "no slash" },
    { ...GET_HEAD, fields: [["Accept", "a"]] },
    { ...GET_HEAD, fields: [["connection", "close"]] },
    { ...GET_HEAD, fields: [["a", "b\n"]] },
    { ...GET_HEAD, fields: [["a", "\u0100"]] },
    { ...GET_HEAD, fields: [[":path", "/"]] },
    { method: "GET", fields: [] },
    { ...GET_HEAD, protocol: "connect-udp" },
  ];
  for (const head of wrong) throws(() => client.http3.request(head), TypeError, JSON.stringify(head));
  // RFC 9114 §4.2.2.
  throws(() => client.http3.request({ ...GET_HEAD, fields: [["a", "b".repeat(300)]] }), RangeError);
  throws(() => client.http3.respond(0, { status: 200, fields: [] }), TypeError);
  throws(() => server.http3.request(GET_HEAD), TypeError);
  throws(() => server.http3.respond(0, { status: 101, fields: [] }), TypeError);
  strictEqual(client.http3.streamCount, 0);
});

Deno.test("HTTP/3 abort ends a request both ways (RFC 9114 §4.1.1)", () => {
  const { pair, client, server } = http3Pair();
  const id = client.http3.request({ ...GET_HEAD, method: "POST" })!;
  pair.runUntil(() => server.of("request").length === 1);
  server.http3.respond(id, { status: 200, fields: [] });
  pair.runUntil(() => client.of("response").length === 1);
  client.http3.abort(id, "H3_REQUEST_CANCELLED");
  pair.runUntil(() => client.of("streamClosed").length === 1 && server.of("streamClosed").length === 1);
  deepStrictEqual(server.of("reset"), [{ type: "reset", streamId: id, code: 0x010c }]);
  deepStrictEqual(server.of("stopped"), [{ type: "stopped", streamId: id, code: 0x010c }]);
  deepStrictEqual([client.http3.streamCount, server.http3.streamCount], [0, 0]);
});

Deno.test("HTTP/3 server answers without reading the rest (RFC 9114 §4.1)", () => {
  const { pair, client, server } = http3Pair();
  server.onEvent = (event) => {
    if (event.type !== "request") return;
    server.http3.respond(event.streamId, { status: 413, fields: [] });
    server.http3.write(event.streamId, bytes("too much"));
    server.http3.finish(event.streamId);
    server.http3.stopReading(event.streamId);
  };
  const id = client.http3.request({ ...GET_HEAD, method: "POST" })!;
  client.http3.write(id, new Uint8Array(10_000));
  pair.runUntil(() => client.of("stopped").length === 1 && client.of("readable").length === 1);
  strictEqual(client.of("stopped")[0]!.code, 0x0100);
  strictEqual(client.http3.write(id, new Uint8Array(1)), 0);
  strictEqual(text(client.readAll(id, pair.now)), "too much");
  pair.runUntil(() => client.of("streamClosed").length === 1 && server.of("streamClosed").length === 1);
});

Deno.test("HTTP/3 server that goes away finishes what it has, and rejects the rest (RFC 9114 §5.2)", () => {
  const { pair, client, server } = http3Pair();
  const first = client.http3.request(GET_HEAD, { isEnd: true })!;
  pair.runUntil(() => server.of("request").length === 1);
  server.http3.goAway();
  server.http3.goAway();
  // It crosses GOAWAY.
  const second = client.http3.request(GET_HEAD, { isEnd: true })!;
  pair.runUntil(() => client.of("goAway").length === 1);
  strictEqual(client.http3.request(GET_HEAD), undefined);
  const failed = client.of("failed");
  strictEqual(failed.length, 1);
  deepStrictEqual([failed[0]!.streamId, failed[0]!.code], [second, "H3_REQUEST_REJECTED"]);
  server.http3.respond(first, { status: 200, fields: [] }, { isEnd: true });
  pair.runUntil(() => client.of("streamClosed").length === 2);
  strictEqual(server.of("request").length, 1);
  deepStrictEqual(client.of("response").map(({ streamId }) => streamId), [first]);
  deepStrictEqual([client.http3.streamCount, server.http3.streamCount], [0, 0]);
});

Deno.test("HTTP/3 server rejects requests behind its GOAWAY by code (RFC 9114 §5.2)", () => {
  const { pair, end, raw } = rawPair("server");
  raw.openControl();
  end.http3.goAway();
  const id = raw.open("bidirectional", headersFrame(GET_FIELDS));
  pair.runTo(pair.now + 200);
  deepStrictEqual(raw.codesOf(id), [0x010b, 0x010b]);
  strictEqual(end.of("request").length, 0);
});

Deno.test("HTTP/3 client that goes away says so (RFC 9114 §5.2)", () => {
  const { pair, client, server } = http3Pair();
  client.http3.goAway();
  strictEqual(client.http3.request(GET_HEAD), undefined);
  pair.runUntil(() => server.of("goAway").length === 1);
});

Deno.test("HTTP/3 client fails what GOAWAY leaves out, also of the first announcement (RFC 9114 §5.2)", () => {
  const { pair, end, raw } = rawPair("client");
  const control = raw.openControl("07 08 fffffffffffffffc");
  pair.runUntil(() => end.http3.peerSettings !== undefined);
  deepStrictEqual(end.events.map(({ type }) => type), ["settings", "goAway"]);
  raw.quic.write(control, Uint8Array.of(7, 1, 0));
  pair.runTo(pair.now + 100);
  strictEqual(end.quic.state, "confirmed");
  strictEqual(end.of("goAway").length, 1);
});

Deno.test("HTTP/3 client keeps a whole response, whatever GOAWAY says of its request (RFC 9114 §5.2)", () => {
  const { pair, end, raw } = rawPair("client");
  const control = raw.openControl();
  pair.runUntil(() => end.http3.peerSettings !== undefined);
  const id = end.http3.request(GET_HEAD, { isEnd: true })!;
  const other = end.http3.request(GET_HEAD, { isEnd: true })!;
  pair.runUntil(() => raw.events.filter(({ type }) => type === "streamOpened").length === 3);
  raw.quic.write(id, concatBytes(headersFrame([[":status", "200"]]), dataFrame("x")));
  raw.quic.finish(id);
  pair.runUntil(() => end.of("response").length === 1);
  raw.quic.write(control, Uint8Array.of(7, 1, 0));
  pair.runUntil(() => end.of("failed").length === 1);
  strictEqual(end.of("failed")[0]!.streamId, other);
  strictEqual(text(end.readAll(id, pair.now)), "x");
  strictEqual(end.http3.isAtEnd(id), true);
});

Deno.test("HTTP/3 close carries its code to the other end (RFC 9114 §5.3, §8.1)", () => {
  const { pair, client, server } = http3Pair();
  client.http3.request(GET_HEAD);
  client.http3.close(pair.now, "H3_NO_ERROR", "done");
  pair.runUntil(() => server.of("closed").length === 1);
  deepStrictEqual(server.of("closed")[0], { type: "closed", by: "application", code: 0x0100, reason: "done" });
  client.drain();
  deepStrictEqual(client.of("closed")[0], { type: "closed", by: "local", code: 0x0100, reason: "done" });
  deepStrictEqual([client.http3.streamCount, server.http3.streamCount], [0, 0]);
  strictEqual(client.http3.request(GET_HEAD), undefined);
  strictEqual(client.http3.read(0, pair.now), undefined);
  strictEqual(client.http3.write(0, bytes("x")), 0);
});

Deno.test("HTTP/3 client waits for streams when the server allows no more (RFC 9114 §6.1)", () => {
  const { pair, client, server } = http3Pair({ transport: { maxBidirectionalStreams: 2 } });
  answer(server);
  const drop = (event: { type: string; streamId?: number }): void => {
    if (event.type === "readable") client.readAll(event.streamId!, pair.now);
  };
  client.onEvent = drop;
  strictEqual(client.http3.request(GET_HEAD, { isEnd: true }), 0);
  strictEqual(client.http3.request(GET_HEAD, { isEnd: true }), 4);
  strictEqual(client.http3.request(GET_HEAD, { isEnd: true }), undefined);
  pair.runUntil(() => client.of("requestsAvailable").length === 1);
  strictEqual(client.http3.request(GET_HEAD, { isEnd: true }), 8);
});

Deno.test("HTTP/3 leaves nothing behind after 1000 requests one after the other", () => {
  const { pair, client, server } = http3Pair();
  answer(server);
  let answers = 0;
  let ended = 0;
  const next = (): void => {
    if (ended < 1000) client.http3.request({ ...GET_HEAD, path: `/${ended}` }, { isEnd: true });
  };
  client.onEvent = (event) => {
    if (event.type === "readable") {
      if (text(client.readAll(event.streamId, pair.now)) === `you asked for /${ended}`) answers++;
    }
    if (event.type !== "streamClosed") return;
    ended++;
    next();
  };
  next();
  pair.runUntil(() => server.of("streamClosed").length === 1000 && ended === 1000, 100_000);
  strictEqual(answers, 1000);
  deepStrictEqual([client.http3.streamCount, server.http3.streamCount], [0, 0]);
  // Only the two control streams are left.
  deepStrictEqual([client.quic.stats.streams, server.quic.stats.streams], [2, 2]);
});

Deno.test("HTTP/3 exchanges survive loss, duplication and reordering (RFC 9114 §4.1)", () => {
  for (const seed of [1, 2, 3]) {
    const { pair, client, server } = http3Pair({
      seed,
      link: { loss: 0.05, duplication: 0.05, jitterMs: 15 },
    });
    const fields: Field[] = [["x-long", "abc".repeat(1000)]];
    server.onEvent = (event) => {
      if (event.type === "request") server.http3.respond(event.streamId, { status: 200, fields });
      if (event.type !== "readable") return;
      server.http3.write(event.streamId, server.readAll(event.streamId, pair.now));
      if (server.http3.isAtEnd(event.streamId)) server.http3.finish(event.streamId);
    };
    const content = "0123456789".repeat(1500);
    const received = new Map<number, string>();
    client.onEvent = (event) => {
      if (event.type !== "readable") return;
      received.set(
        event.streamId,
        (received.get(event.streamId) ?? "") + text(client.readAll(event.streamId, pair.now)),
      );
    };
    for (let i = 0; i < 20; i++) {
      const id = client.http3.request({ ...GET_HEAD, method: "POST", fields })!;
      client.http3.write(id, bytes(content));
      client.http3.finish(id);
    }
    pair.runUntil(() => client.of("streamClosed").length === 20, 100_000);
    strictEqual(received.size, 20, `seed ${seed}`);
    for (const value of received.values()) strictEqual(value, content, `seed ${seed}`);
    deepStrictEqual([client.http3.streamCount, client.of("failed").length], [0, 0], `seed ${seed}`);
  }
});
