import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { dial, listen, memory, StreamResetError } from "../../mod.ts";
import type { DialOptions, Listener, Session } from "../../mod.ts";
import { run } from "../support/command.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { sameBytes } from "../support/same_bytes.ts";

const KIB = 1024;

/** What the engine takes of a stream before it is sent. */
const MAX_SEND_BUFFER_BYTES = 256 * KIB;

/** Two peers with a session, on loopback. */
class Pair implements AsyncDisposable {
  readonly caller: Session;
  readonly callee: Session;
  readonly #listener: Listener;

  constructor(listener: Listener, caller: Session, callee: Session) {
    this.#listener = listener;
    this.caller = caller;
    this.callee = callee;
  }

  static async open(quic: NonNullable<DialOptions["quic"]> = {}): Promise<Pair> {
    const signaling = memory("session tests");
    const common = { signaling, loopback: true, quic };
    const listener = listen({
      ...common,
      key: new Uint8Array(32).fill(9),
      name: "callee",
      allow: { any: true, keys: [] },
    });
    await listener.ready;
    const [caller, { value: callee }] = await Promise.all([
      dial({ ...common, peer: "callee" }),
      listener[Symbol.asyncIterator]().next(),
    ]);
    return new Pair(listener, caller, callee);
  }

  /** A round trip on a stream of its own: what the peers had to say to each other before has been said. */
  async roundTrip(): Promise<void> {
    const { readable, writable } = await this.caller.openStream();
    const { value } = await take(this.callee.incomingStreams, () => writeAll(writable, Uint8Array.of(1)));
    await Promise.all([value.readable.pipeTo(value.writable), new Response(readable).bytes()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.caller[Symbol.asyncDispose]();
    await this.#listener[Symbol.asyncDispose]();
  }
}

/** The next of a stream that something is done for; the stream stays free for others. */
async function take<T>(stream: ReadableStream<T>, act: () => Promise<unknown>): Promise<{ readonly value: T }> {
  const reader = stream.getReader();
  const [{ value }] = await Promise.all([reader.read(), act()]);
  reader.releaseLock();
  ok(value !== undefined, "The stream of streams has ended");
  return { value };
}

async function writeAll(writable: WritableStream<Uint8Array>, data: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(data);
  await writer.close();
}

function bytes(count: number, seed: number): Uint8Array<ArrayBuffer> {
  return seededRandom(seed).fill(new Uint8Array(count));
}

function isReset(code: number): (error: unknown) => boolean {
  return (error) => error instanceof StreamResetError && error.code === code;
}

Deno.test("Session carries many streams of both kinds at once, more than the peer allows at a time", async () => {
  await using pair = await Pair.open({ maxBidirectionalStreams: 8, maxUnidirectionalStreams: 8 });
  const COUNT = 100;
  const echoing = (async (): Promise<void> => {
    let taken = 0;
    for await (const { readable, writable } of pair.callee.incomingStreams) {
      // A caller that has read all of it may be gone before it has acknowledged the end.
      readable.pipeTo(writable).catch(() => {});
      if (++taken === COUNT) return;
    }
  })();
  const collecting = (async (): Promise<number[]> => {
    const sizes: Promise<number>[] = [];
    for await (const stream of pair.callee.incomingUnidirectionalStreams) {
      sizes.push(new Response(stream).bytes().then(({ length }) => length));
      if (sizes.length === COUNT) break;
    }
    return await Promise.all(sizes);
  })();
  const sending = Array.from({ length: COUNT }, async (_, i) => {
    const data = bytes(i * 40, i);
    const { readable, writable } = await pair.caller.openStream();
    const [back] = await Promise.all([new Response(readable).bytes(), writeAll(writable, data)]);
    deepStrictEqual(back, data);
    await writeAll(await pair.caller.openUnidirectionalStream(), data);
  });
  await Promise.all([echoing, ...sending]);
  const expected = Array.from({ length: COUNT }, (_, i) => i * 40);
  deepStrictEqual((await collecting).toSorted((a, b) => a - b), expected);
});

Deno.test("Session has streams from either side, and IDs of RFC 9000 §2.1", async () => {
  await using pair = await Pair.open();
  const fromCallee = await pair.callee.openStream();
  const { value: atCaller } = await take(
    pair.caller.incomingStreams,
    () => writeAll(fromCallee.writable, bytes(10, 1)),
  );
  deepStrictEqual([fromCallee.id, atCaller.id], [1, 1]);
  strictEqual((await new Response(atCaller.readable).bytes()).length, 10);
  const fromCaller = await pair.caller.openStream();
  strictEqual(fromCaller.id, 0);
});

Deno.test("Session writes no more to a reader that has stopped than window and buffer hold, and goes on with it", async () => {
  const streamWindowBytes = 128 * KIB;
  await using pair = await Pair.open({ streamWindowBytes, maxStreamWindowBytes: streamWindowBytes });
  const CHUNK_BYTES = 16 * KIB;
  const TOTAL_BYTES = 4 * KIB * KIB;
  const writer = (await pair.caller.openUnidirectionalStream()).getWriter();
  let taken = 0;
  const writing = (async (): Promise<void> => {
    for (let sent = 0; sent < TOTAL_BYTES; sent += CHUNK_BYTES) {
      await writer.write(new Uint8Array(CHUNK_BYTES));
      taken += CHUNK_BYTES;
    }
    await writer.close();
  })();
  const { value: reader } = await take(pair.callee.incomingUnidirectionalStreams, () => Promise.resolve());
  // It has stopped when a few round trips change nothing any more.
  let before = -1;
  for (let quiet = 0, rounds = 0; quiet < 5; rounds++) {
    ok(rounds < 1000, `${taken} bytes were taken, and more`);
    quiet = taken === before ? quiet + 1 : 0;
    before = taken;
    await pair.roundTrip();
  }
  ok(taken >= streamWindowBytes, `${taken}`);
  ok(taken <= streamWindowBytes + MAX_SEND_BUFFER_BYTES, `${taken}`);
  const [{ length }] = await Promise.all([new Response(reader).bytes(), writing]);
  strictEqual(length, TOTAL_BYTES);
});

Deno.test("Session hands abort to the reader and cancel to the writer, with the application's code (RFC 9000 §19.4, §19.5)", async () => {
  await using pair = await Pair.open();
  const first = await pair.caller.openStream();
  const writer = first.writable.getWriter();
  const { value: one } = await take(pair.callee.incomingStreams, () => writer.write(bytes(10, 1)));
  const reader = one.readable.getReader();
  strictEqual((await reader.read()).value?.length, 10);
  await Promise.all([
    rejects(reader.read(), isReset(42)),
    writer.abort(new StreamResetError(42, "changed our mind")),
  ]);
  // The other direction is none of its business.
  await writeAll(one.writable, bytes(20, 2));
  strictEqual((await new Response(first.readable).bytes()).length, 20);

  const second = await pair.caller.openStream();
  const stopped = second.writable.getWriter();
  const { value: two } = await take(pair.callee.incomingStreams, () => stopped.write(bytes(10, 3)));
  await Promise.all([
    rejects(stopped.closed, isReset(43)),
    two.readable.cancel(new StreamResetError(43, "enough")),
  ]);
  await rejects(stopped.write(bytes(1, 4)), isReset(43));

  // Without a code of the application's it is 0.
  const third = await pair.caller.openStream();
  const aborted = third.writable.getWriter();
  const { value: three } = await take(pair.callee.incomingStreams, () => aborted.write(bytes(10, 5)));
  await Promise.all([
    rejects(new Response(three.readable).bytes(), isReset(0)),
    aborted.abort("a text is not a code"),
  ]);
});

Deno.test("Session lets a writer that waits for a stalled reader abort at once", async () => {
  await using pair = await Pair.open({ streamWindowBytes: 16 * KIB, maxStreamWindowBytes: 16 * KIB });
  const writer = (await pair.caller.openUnidirectionalStream()).getWriter();
  const writing = writer.write(new Uint8Array(1024 * KIB));
  const { value: reader } = await take(pair.callee.incomingUnidirectionalStreams, () => Promise.resolve());
  await pair.roundTrip();
  await Promise.all([rejects(writing), writer.abort(new StreamResetError(7, "no more"))]);
  await rejects(new Response(reader).bytes(), isReset(7));
});

Deno.test("Session lets what has arrived be read after the peer has closed it", async () => {
  await using pair = await Pair.open();
  const data = bytes(50_000, 1);
  const whole = await pair.caller.openUnidirectionalStream();
  const { value: atCallee } = await take(
    pair.callee.incomingUnidirectionalStreams,
    () => writeAll(whole, data),
  );
  const part = (await pair.caller.openUnidirectionalStream()).getWriter();
  const { value: cut } = await take(pair.callee.incomingUnidirectionalStreams, () => part.write(data.subarray(0, 100)));
  await pair.roundTrip();
  // Nobody has taken these yet.
  const untaken = await pair.caller.openUnidirectionalStream();
  await writeAll(untaken, data.subarray(0, 5));
  pair.caller.close(3, "bye");
  deepStrictEqual(await pair.callee.closed, { by: "peer", code: 3, reason: "bye" });
  sameBytes(await new Response(atCallee).bytes(), data);
  const reader = cut.getReader();
  strictEqual((await reader.read()).value?.length, 100);
  await rejects(reader.read(), /The peer closed the session \(code 3, bye\)/);
  await rejects(part.write(data), /The session was closed here \(code 3, bye\)/);
  const late = await Array.fromAsync(pair.callee.incomingUnidirectionalStreams);
  deepStrictEqual(await Promise.all(late.map(async (each) => (await new Response(each).bytes()).length)), [5]);
  deepStrictEqual(await Array.fromAsync(pair.callee.incomingStreams), []);
});

Deno.test("Session that has ended opens no stream, sends no datagram, and ends whoever waits", async () => {
  await using pair = await Pair.open({ maxBidirectionalStreams: 1 });
  const { readable } = await pair.caller.openStream();
  const waiting = pair.caller.openStream();
  const datagram = pair.caller.datagrams.readable.getReader().read();
  pair.callee.close(5, "closing time");
  const why = /The peer closed the session \(code 5, closing time\)/;
  await Promise.all([
    rejects(waiting, why),
    rejects(new Response(readable).bytes(), why),
  ]);
  strictEqual((await datagram).done, true);
  await rejects(pair.caller.openStream(), why);
  await rejects(pair.caller.openUnidirectionalStream(), why);
  await rejects(pair.caller.datagrams.writable.getWriter().write(bytes(1, 1)), why);
  // Closing again changes nothing.
  pair.caller.close(6, "too late");
  deepStrictEqual(await pair.caller.closed, { by: "peer", code: 5, reason: "closing time" });
});

Deno.test("Session carries datagrams both ways, and drops one that is too long (RFC 9221)", async () => {
  await using pair = await Pair.open();
  const writer = pair.caller.datagrams.writable.getWriter();
  const reader = pair.callee.datagrams.readable.getReader();
  await writer.write(new Uint8Array(65_000));
  await writer.write(bytes(1000, 1));
  deepStrictEqual((await reader.read()).value, bytes(1000, 1));
  const back = pair.callee.datagrams.writable.getWriter();
  await back.write(Uint8Array.of(1, 2, 3));
  deepStrictEqual((await pair.caller.datagrams.readable.getReader().read()).value, Uint8Array.of(1, 2, 3));
});

Deno.test("Session tells when the first byte came, and what the path is like", async () => {
  await using pair = await Pair.open();
  strictEqual(pair.caller.times.firstByte, undefined);
  await pair.roundTrip();
  const { handshake = NaN, firstByte = NaN } = pair.caller.times;
  ok(firstByte >= handshake, `${firstByte} ${handshake}`);
  const { kind, local, remote, rtt } = pair.caller.path;
  deepStrictEqual([kind, local.host, remote.host], ["direct", "127.0.0.1", "127.0.0.1"]);
  ok(rtt > 0 && rtt < 10_000, `${rtt}`);
});

Deno.test("Session refuses chunks that are not bytes, and says so", async () => {
  await using pair = await Pair.open();
  const { writable } = await pair.caller.openStream();
  const odd: WritableStream = writable;
  await rejects(odd.getWriter().write("text"), /a chunk must be a Uint8Array/);
});

Deno.test("Sessions and listeners that are closed do not keep a program alive", async () => {
  // With the flags that README gives for a caller.
  const { code, stdout, stderr } = await run(["connect"], { program: "tests/api/short_program.ts" });
  strictEqual(code, 0, stderr);
  deepStrictEqual(JSON.parse(new TextDecoder().decode(stdout)), { by: "local", code: 0, reason: "that is all" });
});
