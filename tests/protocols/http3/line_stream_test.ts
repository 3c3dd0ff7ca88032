import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes } from "../../../protocols/core/bytes.ts";
import { randomBytes } from "../../../protocols/core/random.ts";
import { Http3StreamError } from "../../../protocols/http3/errors.ts";
import { LineParser, LineStream } from "../../../protocols/http3/line_stream.ts";
import type { LineLimits } from "../../../protocols/http3/line_stream.ts";
import { type Http3End, http3Pair } from "../../support/http3_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const LIMITS: LineLimits = { maxLineBytes: 1000, maxWaitingBytes: 4000 };
const POST = { method: "POST", scheme: "https", authority: "relay.test", path: "/lines", fields: [] };

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** All lines of a parser. */
function linesOf(parser: LineParser): string[] {
  const lines: string[] = [];
  for (let line = parser.next(); line !== undefined; line = parser.next()) lines.push(line);
  return lines;
}

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Http3StreamError && error.code === code;
}

/** What is there to be read. */
function readAll(stream: LineStream, now: number): string[] {
  const lines: string[] = [];
  for (let line = stream.read(now); line !== undefined; line = stream.read(now)) lines.push(line);
  return lines;
}

/** A request that the server has answered with 200. */
function openLines(limits = LIMITS): {
  readonly pair: ReturnType<typeof http3Pair>["pair"];
  readonly ends: readonly [Http3End, Http3End];
  readonly lines: readonly [LineStream, LineStream];
  readonly id: number;
} {
  const { pair, client, server } = http3Pair();
  const id = client.http3.request(POST)!;
  pair.runUntil(() => server.of("request").length > 0);
  server.http3.respond(id, { status: 200, fields: [] });
  pair.runUntil(() => client.of("response").length > 0);
  const lines = [new LineStream(client.http3, id, limits), new LineStream(server.http3, id, limits)] as const;
  return { pair, ends: [client, server], lines, id };
}

Deno.test("Lines come out whole, cut at any byte", () => {
  const text = '{"t":"ping"}\n\nü€\u{1f600}\r\nx\n';
  const bytes = bytesOf(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const parser = new LineParser(100);
    parser.push(bytes.slice(0, cut));
    const lines = linesOf(parser);
    parser.push(bytes.slice(cut));
    lines.push(...linesOf(parser));
    deepStrictEqual(lines, ['{"t":"ping"}', "", "ü€\u{1f600}\r", "x"]);
    ok(parser.isAtBoundary);
  }
});

Deno.test("A line without its end waits, however it is cut short", () => {
  const bytes = bytesOf('{"t":"ping"}\n');
  for (let cut = 1; cut < bytes.length; cut++) {
    const parser = new LineParser(100);
    parser.push(bytes.slice(0, cut));
    deepStrictEqual(linesOf(parser), []);
    strictEqual(parser.isAtBoundary, false);
  }
});

Deno.test("A line may be so long and no longer, be its end there or not", () => {
  const parser = new LineParser(10);
  parser.push(bytesOf(`${"x".repeat(10)}\n${"y".repeat(10)}`));
  strictEqual(parser.next(), "x".repeat(10));
  strictEqual(parser.next(), undefined);
  parser.push(bytesOf("y"));
  throws(() => parser.next(), isError("H3_EXCESSIVE_LOAD"));
  const other = new LineParser(10);
  other.push(bytesOf(`${"z".repeat(11)}\n`));
  throws(() => other.next(), isError("H3_EXCESSIVE_LOAD"));
});

Deno.test("A line that is no UTF-8 is an H3_MESSAGE_ERROR (RFC 3629 §3)", () => {
  for (const bytes of [[0x80], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xff]]) {
    const parser = new LineParser(100);
    parser.push(concatBytes(bytesOf("{"), Uint8Array.from(bytes), bytesOf("}\n")));
    throws(() => parser.next(), isError("H3_MESSAGE_ERROR"));
  }
});

Deno.test("Random bytes are lines, or errors with a code", () => {
  const random = seededRandom(3104);
  for (let round = 0; round < 500; round++) {
    const parser = new LineParser(40);
    const bytes = randomBytes(random, round % 200).map((byte) => byte % 16 === 0 ? 10 : byte >> (round % 2));
    try {
      parser.push(bytes);
      for (const line of linesOf(parser)) ok(!line.includes("\n"));
    } catch (error) {
      ok(error instanceof Http3StreamError);
    }
  }
});

Deno.test("Lines travel both ways on one request, and end with it", () => {
  const { pair, ends: [client, server], lines: [asked, answered], id } = openLines();
  ok(asked.send("one") && asked.send("") && asked.send("ü€"));
  ok(answered.send("two"));
  pair.runUntil(() => client.of("readable").length > 0 && server.of("readable").length > 0);
  deepStrictEqual(readAll(answered, pair.now), ["one", "", "ü€"]);
  deepStrictEqual(readAll(asked, pair.now), ["two"]);
  answered.send("last");
  answered.finish();
  strictEqual(answered.send("too late"), false);
  pair.runUntil(() => client.of("stopped").length > 0);
  strictEqual(client.of("stopped")[0]?.code, 0x0100);
  deepStrictEqual(readAll(asked, pair.now), ["last"]);
  ok(asked.isAtEnd);
  strictEqual(asked.fault, undefined);
  asked.finish();
  pair.runUntil(() => client.http3.streamCount === 0 && server.http3.streamCount === 0);
  deepStrictEqual([client.http3.isAtEnd(id), client.of("closed"), server.of("closed")], [true, [], []]);
});

Deno.test("An end inside a line is an H3_MESSAGE_ERROR of that request and of no other", () => {
  const { pair, ends: [client, server], lines: [, answered], id } = openLines();
  client.http3.write(id, bytesOf("whole\nha"));
  client.http3.finish(id);
  pair.runUntil(() => server.of("readable").length > 0);
  deepStrictEqual(readAll(answered, pair.now), ["whole"]);
  deepStrictEqual(answered.fault, { code: "H3_MESSAGE_ERROR", reason: "The content ends inside a line" });
  pair.runUntil(() => client.of("reset").length > 0);
  strictEqual(client.of("reset")[0]?.code, 0x010e);
  deepStrictEqual([client.of("closed"), server.of("closed")], [[], []]);
});

Deno.test("What waits for a peer that does not read has a limit", () => {
  const { pair, ends: [client, server], lines: [, answered] } = openLines();
  const line = "x".repeat(999);
  let taken = 0;
  // Flow control of 1 MiB at most lets so many through before the limit is reached.
  while (taken < 10_000 && answered.send(line)) {
    taken++;
    if (taken % 100 === 0) pair.runTo(pair.now + 100);
  }
  ok(taken >= 4 && taken < 10_000, `${taken}`);
  deepStrictEqual(answered.fault, { code: "H3_EXCESSIVE_LOAD", reason: "The peer does not read" });
  strictEqual(answered.send("more"), false);
  pair.runUntil(() => client.of("reset").length > 0);
  strictEqual(client.of("reset")[0]?.code, 0x0107);
  deepStrictEqual(server.of("closed"), []);
});

Deno.test("Whoever wants to end and finds lines waiting ends at once; otherwise what was sent goes out", () => {
  const { pair, ends: [client], lines: [, answered] } = openLines({ maxLineBytes: 1000, maxWaitingBytes: 1024 * 1024 });
  answered.send("read");
  for (let i = 0; i < 600; i++) answered.send("x".repeat(999));
  answered.cutOrFinish();
  deepStrictEqual(answered.fault, { code: "H3_EXCESSIVE_LOAD", reason: "The peer does not read" });
  pair.runUntil(() => client.of("reset").length > 0);
  strictEqual(client.of("reset")[0]?.code, 0x0107);
  const { pair: other, ends: [reader], lines: [asked, last] } = openLines();
  last.send("last");
  last.cutOrFinish();
  other.runUntil(() => reader.of("readable").length > 0);
  deepStrictEqual([readAll(asked, other.now), last.fault], [["last"], undefined]);
});
