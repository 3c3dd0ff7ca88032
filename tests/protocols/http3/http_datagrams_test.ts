import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { randomBytes } from "../../../protocols/core/random.ts";
import {
  encodeDatagram,
  HttpDatagrams,
  MAX_EARLY_DATAGRAMS,
  MAX_RELEASED_DATAGRAMS,
} from "../../../protocols/http3/http_datagrams.ts";
import {
  EXTENDED_FIELDS,
  EXTENDED_HEAD,
  GET_HEAD,
  headersFrame,
  type Http3End,
  http3Pair,
  rawPair,
} from "../../support/http3_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const NONE = new Uint8Array(0);

/** Payloads of the datagrams that are there, with the request they belong to. */
function readDatagrams(end: Http3End, now: number): string[] {
  const datagrams: string[] = [];
  for (let i = 0; i < 1000; i++) {
    const datagram = end.http3.readDatagram(now);
    if (datagram === undefined) return datagrams;
    datagrams.push(`${datagram.streamId}:${toHex(datagram.bytes.subarray(datagram.payloadAt))}`);
  }
  throw new Error("The datagrams never end");
}

Deno.test("HTTP Datagram is encoded as in the worked example (RFC 9297 §2.1, RFC 9298 §5)", () => {
  const payload = fromHex("04c000022ac3506869");
  strictEqual(toHex(encodeDatagram(44, fromHex("02"), payload)), "0b0204c000022ac3506869");
  strictEqual(toHex(encodeDatagram(256, NONE, NONE)), "4040");
});

Deno.test("HTTP Datagram is decoded, or is an H3_DATAGRAM_ERROR (RFC 9297 §2.1)", () => {
  const datagrams = new HttpDatagrams();
  for (
    const [hex, streamId, payloadAt] of [["0baa", 44, 1], ["4040", 256, 2], ["c00000000000000baa", 44, 8]] as const
  ) {
    strictEqual(datagrams.decode(fromHex(hex)), undefined);
    deepStrictEqual([datagrams.current.streamId, datagrams.current.payloadAt], [streamId, payloadAt]);
  }
  for (const hex of ["", "40", "800000", "c0000000000000", "d000000000000000", "ffffffffffffffff00"]) {
    strictEqual(typeof datagrams.decode(fromHex(hex)), "string", hex);
  }
  strictEqual(datagrams.decode(fromHex("cfffffffffffffff")), undefined);
  const random = seededRandom(76);
  for (let round = 0; round < 500; round++) datagrams.decode(randomBytes(random, round % 12));
});

Deno.test("HTTP Datagrams are kept for their request, up to a limit and an age (RFC 9297 §2.1)", () => {
  const datagrams = new HttpDatagrams();
  for (let i = 0; i < MAX_EARLY_DATAGRAMS + 2; i++) {
    datagrams.decode(Uint8Array.of(i % 2, i));
    datagrams.keep(i);
  }
  strictEqual(datagrams.earlyCount, MAX_EARLY_DATAGRAMS);
  // The first two were pushed out, and of the rest those before 30 are too old.
  strictEqual(datagrams.release(4, 30), true);
  const released: number[] = [];
  for (let next = datagrams.takeReleased(); next !== undefined; next = datagrams.takeReleased()) {
    released.push(next.bytes[1]!);
  }
  deepStrictEqual(released, [31, 33]);
  strictEqual(datagrams.earlyCount, 2);
  strictEqual(datagrams.release(8, 0), false);
});

Deno.test("HTTP Datagrams that nobody reads are dropped beyond a limit, the oldest first", () => {
  const datagrams = new HttpDatagrams();
  for (let i = 0; i < MAX_RELEASED_DATAGRAMS + 3; i++) {
    datagrams.decode(Uint8Array.of(0, i >> 8, i & 0xff));
    datagrams.keep(0);
    datagrams.release(0, 0);
  }
  strictEqual(toHex(datagrams.takeReleased()!.bytes), "000003");
  let count = 1;
  while (datagrams.takeReleased() !== undefined) count++;
  strictEqual(count, MAX_RELEASED_DATAGRAMS);
});

Deno.test("HTTP Datagrams go both ways on an extended CONNECT (RFC 9297 §2.1)", () => {
  const { pair, client, server } = http3Pair();
  server.onEvent = (event) => {
    if (event.type === "request") server.http3.respond(event.streamId, { status: 200, fields: [] });
  };
  const first = client.http3.request(EXTENDED_HEAD)!;
  const second = client.http3.request(EXTENDED_HEAD)!;
  pair.runUntil(() => client.of("response").length === 2);
  strictEqual(client.http3.sendDatagram(first, fromHex("aabb"), fromHex("00")), true);
  strictEqual(client.http3.sendDatagram(second, fromHex("cc")), true);
  strictEqual(client.http3.sendDatagram(first, NONE), true);
  pair.runUntil(() => server.of("datagramReadable").length === 1);
  deepStrictEqual(readDatagrams(server, pair.now), ["0:00aabb", "4:cc", "0:"]);
  strictEqual(server.http3.sendDatagram(second, fromHex("dd")), true);
  pair.runUntil(() => client.of("datagramReadable").length === 1);
  deepStrictEqual(readDatagrams(client, pair.now), ["4:dd"]);
});

Deno.test("HTTP Datagrams may go with the request, before the response (RFC 9298 §5)", () => {
  const { pair, client, server } = http3Pair();
  const id = client.http3.request(EXTENDED_HEAD)!;
  client.http3.sendDatagram(id, fromHex("01"));
  pair.runUntil(() => server.of("datagramReadable").length === 1);
  deepStrictEqual(readDatagrams(server, pair.now), ["0:01"]);
});

Deno.test("HTTP Datagram of the largest size arrives, and one byte more is refused (RFC 9221 §5)", () => {
  const { pair, client, server } = http3Pair();
  const id = client.http3.request(EXTENDED_HEAD)!;
  const bytes = client.http3.maxDatagramBytes(id);
  strictEqual(bytes, client.quic.maxDatagramBytes - 1);
  strictEqual(client.http3.sendDatagram(id, new Uint8Array(bytes)), true);
  strictEqual(client.http3.sendDatagram(id, new Uint8Array(bytes), Uint8Array.of(0)), false);
  pair.runUntil(() => server.of("datagramReadable").length === 1);
  strictEqual(readDatagrams(server, pair.now)[0]!.length, 2 + 2 * bytes);
});

Deno.test("HTTP Datagrams wait until both ends have said that they take them (RFC 9297 §2.1.1)", () => {
  for (const options of [{ clientHttp3: { enableDatagrams: false } }, { serverHttp3: { enableDatagrams: false } }]) {
    const { pair, client, server } = http3Pair(options);
    const id = client.http3.request(EXTENDED_HEAD)!;
    strictEqual(client.http3.maxDatagramBytes(id), 0);
    strictEqual(client.http3.sendDatagram(id, fromHex("01")), false);
    pair.runUntil(() => server.of("request").length === 1);
    strictEqual(server.http3.sendDatagram(id, fromHex("01")), false);
  }
  // And the transport has to take them.
  const { client } = http3Pair({ transport: { maxDatagramFrameBytes: 0 } });
  strictEqual(client.http3.sendDatagram(client.http3.request(EXTENDED_HEAD)!, NONE), false);
});

Deno.test("HTTP Datagrams that come though we take none are dropped (RFC 9297 §2.1.1)", () => {
  const { pair, end, raw } = rawPair("server", { serverHttp3: { enableDatagrams: false } });
  raw.openControl();
  raw.open("bidirectional", headersFrame(EXTENDED_FIELDS));
  raw.quic.sendDatagram(fromHex("00aa"));
  raw.quic.sendDatagram(NONE);
  pair.runTo(pair.now + 100);
  deepStrictEqual(readDatagrams(end, pair.now), []);
  strictEqual(end.quic.state, "confirmed");
});

Deno.test("HTTP Datagrams that overtake their request wait for it, and not for long (RFC 9297 §2.1)", () => {
  const { pair, end, raw } = rawPair("server");
  raw.openControl();
  raw.quic.sendDatagram(fromHex("00aa"));
  raw.quic.sendDatagram(fromHex("01bb"));
  // Half a request.
  const whole = headersFrame(EXTENDED_FIELDS);
  const first = raw.open("bidirectional", whole.subarray(0, 10));
  pair.runTo(pair.now + 12);
  deepStrictEqual(readDatagrams(end, pair.now), []);
  raw.quic.sendDatagram(fromHex("00cc"));
  raw.quic.write(first, whole.subarray(10));
  pair.runUntil(() => end.of("request").length === 1);
  deepStrictEqual(readDatagrams(end, pair.now), ["0:aa", "0:cc"]);
  // The other request comes too late for its datagram.
  pair.runTo(pair.now + 100);
  raw.open("bidirectional", whole);
  pair.runUntil(() => end.of("request").length === 2);
  deepStrictEqual(readDatagrams(end, pair.now), []);
});

Deno.test("HTTP Datagrams for streams far away, over or closed are dropped (RFC 9297 §2.1)", () => {
  const { pair, client, server } = http3Pair();
  server.onEvent = (event) => {
    if (event.type !== "request") return;
    server.http3.respond(event.streamId, { status: 403, fields: [] }, { isEnd: true });
    server.http3.stopReading(event.streamId);
  };
  const id = client.http3.request(EXTENDED_HEAD)!;
  client.http3.sendDatagram(id, fromHex("aa"));
  client.quic.sendDatagram(fromHex("5000aa"));
  client.quic.sendDatagram(fromHex("cfffffffffffffffaa"));
  pair.runUntil(() => client.of("stopped").length === 1);
  deepStrictEqual(readDatagrams(server, pair.now), []);
  strictEqual(client.http3.sendDatagram(id, fromHex("aa")), false);
  strictEqual(server.http3.sendDatagram(id, fromHex("aa")), false);
  client.quic.sendDatagram(fromHex("00aa"));
  pair.runTo(pair.now + 100);
  deepStrictEqual(readDatagrams(server, pair.now), []);
  strictEqual(server.quic.state, "confirmed");
});

Deno.test("HTTP Datagrams have no meaning for other requests (RFC 9297 §2)", () => {
  const { client } = http3Pair();
  const id = client.http3.request(GET_HEAD)!;
  throws(() => client.http3.sendDatagram(id, NONE), TypeError);
  strictEqual(client.http3.sendDatagram(400, NONE), false);
});
