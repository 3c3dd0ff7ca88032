import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { concatBytes } from "../../../protocols/core/bytes.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { SentPacket, type StreamControlFrame } from "../../../protocols/quic/sent_packet.ts";
import { type Stream, StreamSelection } from "../../../protocols/quic/stream.ts";
import { Streams, type StreamsOptions } from "../../../protocols/quic/streams.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const STREAM_LIMIT_ERROR = 0x04;
const STREAM_STATE_ERROR = 0x05;
const FLOW_CONTROL_ERROR = 0x03;

const OPTIONS: StreamsOptions = {
  connectionWindow: { windowBytes: 4000, maxWindowBytes: 4000 },
  streamWindow: { windowBytes: 2000, maxWindowBytes: 2000 },
  maxBidirectionalStreams: 4,
  maxUnidirectionalStreams: 4,
};

const LIMITS = {
  initialMaxData: 4000,
  initialMaxStreamDataBidiLocal: 2000,
  initialMaxStreamDataBidiRemote: 2000,
  initialMaxStreamDataUni: 2000,
  initialMaxStreamsBidi: 4,
  initialMaxStreamsUni: 4,
};

const ABC = Uint8Array.of(97, 98, 99);
const NOTHING = new Uint8Array(0);

function streamsOf(role: "client" | "server", options: StreamsOptions = OPTIONS): Streams {
  const streams = new Streams(role, options);
  streams.applyPeerLimits(LIMITS);
  return streams;
}

function isTransportError(code: number): (error: unknown) => boolean {
  return (error) => error instanceof TransportError && error.code === code;
}

function eventsOf(streams: Streams): string[] {
  const list: string[] = [];
  for (let i = 0; i < 1000; i++) {
    const event = streams.pollEvent();
    if (event === undefined) return list;
    if (event.type === "available") list.push(`available ${event.directionality}`);
    else list.push(`${event.type} ${event.stream.id}` + ("code" in event ? ` ${event.code}` : ""));
  }
  throw new Error("Events do not end");
}

function controlFramesOf(streams: Streams): StreamControlFrame[] {
  const list: StreamControlFrame[] = [];
  for (let i = 0; i < 1000; i++) {
    const frame = streams.takeControlFrame(100, 0);
    if (frame === undefined) return list;
    list.push(frame);
  }
  throw new Error("Control frames do not end");
}

/** Sends one STREAM frame in a packet of its own. */
function sendOne(streams: Streams, roomBytes = 1000): { packet: SentPacket; data: Uint8Array } | undefined {
  const selection = new StreamSelection();
  if (!streams.select(roomBytes, selection)) return undefined;
  const data = new Uint8Array(selection.length);
  const { stream, offset, length, fin } = selection;
  streams.fill(selection, data, 0);
  const packet = new SentPacket();
  packet.addStream(stream!, offset, length, fin);
  return { packet, data };
}

function packetWith(frame: StreamControlFrame): SentPacket {
  const packet = new SentPacket();
  packet.frames.push(frame);
  return packet;
}

Deno.test("Streams opens as many as the peer allows, and says when it allows more (RFC 9000 §4.6)", () => {
  const streams = new Streams("client", OPTIONS);
  strictEqual(streams.open("bidirectional"), undefined);
  streams.applyPeerLimits({ ...LIMITS, initialMaxStreamsBidi: 2, initialMaxStreamsUni: 1 });
  deepStrictEqual(eventsOf(streams), ["available bidirectional"]);
  strictEqual(streams.open("bidirectional")?.id, 0);
  strictEqual(streams.open("bidirectional")?.id, 4);
  strictEqual(streams.open("unidirectional")?.id, 2);
  strictEqual(streams.open("bidirectional"), undefined);
  deepStrictEqual(controlFramesOf(streams), [{ type: "STREAMS_BLOCKED", bidirectional: true, limit: 2 }]);
  strictEqual(streams.open("bidirectional"), undefined);
  deepStrictEqual(controlFramesOf(streams), []);
  streams.onMaxStreams(true, 3);
  deepStrictEqual(eventsOf(streams), ["available bidirectional"]);
  strictEqual(streams.open("bidirectional")?.id, 8);
  strictEqual(streams.count, 4);
});

Deno.test("Streams applies the peer's initial limits by who opens the stream (RFC 9000 §18.2)", () => {
  const streams = new Streams("server", OPTIONS);
  streams.applyPeerLimits({
    ...LIMITS,
    initialMaxStreamDataBidiLocal: 11,
    initialMaxStreamDataBidiRemote: 22,
    initialMaxStreamDataUni: 33,
  });
  strictEqual(streams.open("bidirectional")?.sending?.credit.maximum, 22);
  strictEqual(streams.open("unidirectional")?.sending?.credit.maximum, 33);
  streams.onStream(0, 0, ABC, false);
  const event = streams.pollEvent();
  strictEqual(event?.type === "opened" ? event.stream.sending?.credit.maximum : undefined, 11);
});

Deno.test("Streams opened by the peer open all below them (RFC 9000 §3.2)", () => {
  const streams = streamsOf("server");
  streams.onStream(8, 0, ABC, false);
  deepStrictEqual(eventsOf(streams), ["opened 0", "opened 4", "opened 8", "readable 8"]);
  streams.onStreamDataBlocked(2);
  deepStrictEqual(eventsOf(streams), ["opened 2"]);
});

Deno.test("Streams refuses what goes beyond its limits (RFC 9000 §4.1, §4.6)", () => {
  const streams = streamsOf("server");
  throws(() => streams.onStream(16, 0, ABC, false), isTransportError(STREAM_LIMIT_ERROR));
  throws(() => streams.onResetStream(18, 0, 0), isTransportError(STREAM_LIMIT_ERROR));
  throws(() => streams.onStream(Number.MAX_SAFE_INTEGER - 3, 0, ABC, false), isTransportError(STREAM_LIMIT_ERROR));
  throws(() => streams.onStream(0, 1998, ABC, false), isTransportError(FLOW_CONTROL_ERROR));
  streams.onStream(4, 1997, ABC, false);
  streams.onStream(8, 1997, ABC, false);
  throws(() => streams.onStream(12, 0, ABC, false), isTransportError(FLOW_CONTROL_ERROR));
});

Deno.test("Streams refuses frames for streams that go the other way or are ours to open (RFC 9000 §19)", () => {
  const streams = streamsOf("client");
  const refused = isTransportError(STREAM_STATE_ERROR);
  streams.open("unidirectional");
  // 2 is for the client to send on, 3 for the server.
  throws(() => streams.onStream(2, 0, ABC, false), refused);
  throws(() => streams.onResetStream(2, 0, 0), refused);
  throws(() => streams.onStreamDataBlocked(2), refused);
  throws(() => streams.onStopSending(3, 0), refused);
  throws(() => streams.onMaxStreamData(3, 10), refused);
  // 0 and 6 have not been opened.
  throws(() => streams.onStream(0, 0, ABC, false), refused);
  throws(() => streams.onMaxStreamData(6, 10), refused);
  throws(() => streams.onStopSending(0, 10), refused);
});

Deno.test("Streams sends one frame of each stream in turn", () => {
  const streams = streamsOf("client");
  const opened = [streams.open("bidirectional")!, streams.open("bidirectional")!, streams.open("unidirectional")!];
  for (const stream of opened) streams.write(stream, new Uint8Array(1000));
  const order: number[] = [];
  for (let i = 0; i < 100; i++) {
    const sent = sendOne(streams, 405);
    if (sent === undefined) break;
    order.push(sent.packet.stream!.id);
  }
  deepStrictEqual(order, [0, 4, 2, 0, 4, 2, 0, 4, 2]);
  strictEqual(streams.hasData, false);
});

Deno.test("Streams fills the room exactly, header included", () => {
  const streams = streamsOf("client");
  const stream = streams.open("bidirectional")!;
  streams.write(stream, new Uint8Array(1900));
  // Type, stream ID, Length in two bytes.
  strictEqual(sendOne(streams, 1000)!.data.length, 996);
  // And an offset of 996 in two bytes.
  strictEqual(sendOne(streams, 500)!.data.length, 494);
  strictEqual(sendOne(streams, 6), undefined);
  strictEqual(streams.hasData, true);
});

Deno.test("Streams sends what was lost before what is new, also without credit", () => {
  const streams = streamsOf("client");
  const [a, b, c] = [streams.open("bidirectional")!, streams.open("bidirectional")!, streams.open("bidirectional")!];
  streams.write(a, new Uint8Array(2000));
  streams.write(b, new Uint8Array(2000));
  const first = sendOne(streams, 1000)!;
  for (let i = 0; i < 10 && sendOne(streams, 1000) !== undefined; i++);
  strictEqual(streams.credit.availableBytes, 0);
  streams.write(c, ABC);
  strictEqual(streams.hasData, false);
  deepStrictEqual(controlFramesOf(streams), [{ type: "DATA_BLOCKED", limit: 4000 }]);
  streams.onPacketLost(first.packet);
  strictEqual(streams.hasData, true);
  const again = sendOne(streams, 1100)!;
  strictEqual(again.packet.stream, a);
  strictEqual(again.packet.streamOffset, 0);
  strictEqual(again.data.length, 996);
  strictEqual(sendOne(streams), undefined);
  streams.onMaxData(4002);
  deepStrictEqual(sendOne(streams)!.data, ABC.subarray(0, 2));
});

Deno.test("Streams says that a stream is blocked and goes on with others (RFC 9000 §4.1)", () => {
  const streams = streamsOf("client");
  const [a, b] = [streams.open("bidirectional")!, streams.open("bidirectional")!];
  streams.write(a, new Uint8Array(3000));
  streams.write(b, ABC);
  for (let i = 0; i < 10 && sendOne(streams) !== undefined; i++);
  strictEqual(a.sending!.sentOffset, 2000);
  strictEqual(b.sending!.sentOffset, 3);
  const blocked = controlFramesOf(streams);
  deepStrictEqual(blocked, [{ type: "STREAM_DATA_BLOCKED", stream: a, limit: 2000 }]);
  streams.onPacketLost(packetWith(blocked[0]!));
  deepStrictEqual(controlFramesOf(streams), blocked);
  streams.onMaxStreamData(0, 2500);
  strictEqual(sendOne(streams)!.data.length, 500);
});

Deno.test("Streams raises limits as data is read, and again if that is lost (RFC 9000 §4.2, §13.3)", () => {
  const streams = streamsOf("server");
  streams.onStream(0, 0, new Uint8Array(1000), false);
  streams.onStream(4, 0, new Uint8Array(1000), false);
  const [a, b] = [streams.pollEvent()!, undefined];
  strictEqual(b, undefined);
  const stream = a.type === "opened" ? a.stream : undefined;
  strictEqual(streams.read(stream!)!.length, 1000);
  const frames = controlFramesOf(streams);
  deepStrictEqual(frames, [{ type: "MAX_STREAM_DATA", stream, maximum: 3000 }]);
  for (let i = 0; i < 10; i++) {
    const event = streams.pollEvent();
    if (event?.type === "readable" && event.stream.id === 4) streams.read(event.stream);
  }
  const more = controlFramesOf(streams);
  strictEqual(more.length, 2);
  deepStrictEqual(more[0], { type: "MAX_DATA", maximum: 6000 });
  streams.onPacketLost(packetWith(more[0]!));
  streams.onPacketLost(packetWith(frames[0]!));
  deepStrictEqual(controlFramesOf(streams), [{ type: "MAX_DATA", maximum: 6000 }, frames[0]]);
});

Deno.test("Streams tells that data is readable once until it was read to its end", () => {
  const streams = streamsOf("server");
  streams.onStream(0, 0, ABC, false);
  streams.onStream(0, 3, ABC, false);
  const opened = streams.pollEvent()!;
  deepStrictEqual(eventsOf(streams), ["readable 0"]);
  streams.onStream(0, 6, ABC, false);
  deepStrictEqual(eventsOf(streams), []);
  const stream = opened.type === "opened" ? opened.stream : undefined;
  const parts: Uint8Array[] = [];
  for (let part = streams.read(stream!), i = 0; part !== undefined && i < 10; part = streams.read(stream!), i++) {
    parts.push(part);
  }
  deepStrictEqual(concatBytes(...parts), concatBytes(ABC, ABC, ABC));
  streams.onStream(0, 12, ABC, false);
  deepStrictEqual(eventsOf(streams), []);
  streams.onStream(0, 9, ABC, false);
  deepStrictEqual(eventsOf(streams), ["readable 0"]);
});

Deno.test("Streams forgets a stream when both parts have ended, and allows the peer another (RFC 9000 §3.4, §4.6)", () => {
  const streams = streamsOf("server");
  streams.onStream(0, 0, ABC, true);
  const opened = streams.pollEvent()!;
  if (opened.type !== "opened") throw new Error("expected a stream");
  const stream = opened.stream;
  deepStrictEqual(streams.read(stream), ABC);
  strictEqual(stream.receiving?.isAtEnd, true);
  strictEqual(streams.write(stream, ABC), 3);
  streams.finish(stream);
  const sent = sendOne(streams)!;
  strictEqual(sent.packet.streamFin, true);
  strictEqual(streams.count, 1);
  streams.onPacketAcked(sent.packet);
  deepStrictEqual(eventsOf(streams), ["readable 0", "finished 0", "closed 0"]);
  strictEqual(streams.count, 0);
  const frames = controlFramesOf(streams);
  deepStrictEqual(frames, [{ type: "MAX_STREAMS", bidirectional: true, maximum: 5 }]);
  streams.onStream(16, 0, ABC, false);
  // Late frames for the forgotten stream mean nothing.
  streams.onStream(0, 0, ABC, true);
  streams.onMaxStreamData(0, 5000);
  streams.onStopSending(0, 1);
  streams.onResetStream(0, 1, 3);
  deepStrictEqual(eventsOf(streams), ["opened 4", "opened 8", "opened 12", "opened 16", "readable 16"]);
  streams.onPacketLost(packetWith(frames[0]!));
  deepStrictEqual(controlFramesOf(streams), frames);
});

Deno.test("Streams resets in answer to STOP_SENDING, with the same code (RFC 9000 §3.5)", () => {
  const streams = streamsOf("client");
  const stream = streams.open("unidirectional")!;
  streams.write(stream, new Uint8Array(1500));
  sendOne(streams, 1000);
  streams.onStopSending(2, 77);
  streams.onStopSending(2, 78);
  deepStrictEqual(eventsOf(streams), ["stopped 2 77"]);
  strictEqual(streams.hasData, false);
  const frames = controlFramesOf(streams);
  deepStrictEqual(frames, [{ type: "RESET_STREAM", stream, code: 77, finalSize: 996 }]);
  strictEqual(streams.write(stream, ABC), 0);
  streams.onPacketLost(packetWith(frames[0]!));
  deepStrictEqual(controlFramesOf(streams), frames);
  streams.onPacketAcked(packetWith(frames[0]!));
  deepStrictEqual(eventsOf(streams), ["closed 2"]);
  strictEqual(streams.count, 0);
});

Deno.test("Streams tells of a reset, and gives its credit back (RFC 9000 §4.5)", () => {
  const streams = streamsOf("server");
  streams.onStream(2, 0, new Uint8Array(500), false);
  streams.onResetStream(2, 5, 1900);
  streams.onResetStream(2, 5, 1900);
  strictEqual(streams.window.consumed, 1900);
  strictEqual(streams.count, 1);
  deepStrictEqual(eventsOf(streams), ["opened 2", "reset 2 5", "closed 2"]);
  strictEqual(streams.count, 0);
});

Deno.test("Streams stops reading, drops what still comes, and ends with the peer's reset or FIN (RFC 9000 §3.5)", () => {
  const streams = streamsOf("server");
  streams.onStream(2, 0, new Uint8Array(500), false);
  const opened = streams.pollEvent()!;
  if (opened.type !== "opened") throw new Error("expected a stream");
  streams.stop(opened.stream, 9);
  const frames = controlFramesOf(streams);
  deepStrictEqual(frames, [{ type: "STOP_SENDING", stream: opened.stream, code: 9 }]);
  streams.onStream(2, 500, new Uint8Array(1500), false);
  deepStrictEqual(eventsOf(streams), []);
  // All of it counts as read on the connection; the stream gets no more credit.
  deepStrictEqual(controlFramesOf(streams), [{ type: "MAX_DATA", maximum: 6000 }]);
  streams.onResetStream(2, 9, 2000);
  deepStrictEqual(eventsOf(streams), ["closed 2"]);
  streams.onPacketLost(packetWith(frames[0]!));
  deepStrictEqual(controlFramesOf(streams).length, 1); // MAX_STREAMS only.
  strictEqual(streams.count, 0);
});

Deno.test("Streams refuses the application's verbs on the wrong part", () => {
  const streams = streamsOf("server");
  const ours = streams.open("unidirectional")!;
  streams.onStream(2, 0, NOTHING, false);
  const opened = streams.pollEvent()!;
  const theirs = opened.type === "opened" ? opened.stream : undefined;
  throws(() => streams.read(ours), TypeError);
  throws(() => streams.stop(ours, 0), TypeError);
  throws(() => streams.write(theirs!, ABC), TypeError);
  throws(() => streams.finish(theirs!), TypeError);
  throws(() => streams.reset(theirs!, 0), TypeError);
});

Deno.test("Streams probes with the oldest unacknowledged data of some stream (RFC 9002 §6.2.4)", () => {
  const streams = streamsOf("client");
  strictEqual(streams.probe(1000), false);
  const stream = streams.open("bidirectional")!;
  streams.write(stream, ABC);
  const sent = sendOne(streams)!;
  strictEqual(streams.hasData, false);
  strictEqual(streams.probe(1000), true);
  deepStrictEqual(sendOne(streams)!.data, ABC);
  streams.onPacketAcked(sent.packet);
  strictEqual(streams.probe(1000), false);
});

Deno.test("Streams of two ends bring every byte in order through random loss, resets and stops, and end empty", () => {
  for (let seed = 1; seed <= 25; seed++) new Pair(seed).run();
});

/** A client and a server whose packets are lost at random; the client opens, the server echoes. */
class Pair {
  readonly #seed: number;
  readonly #random;
  readonly #client = streamsOf("client");
  readonly #server = streamsOf("server");
  readonly #sentBytes = new Map<number, number>();
  readonly #echoed = new Map<number, number>();
  readonly #pendingEcho = new Map<Stream, Uint8Array[]>();
  #opened = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
  }

  run(): void {
    const streams = 30;
    for (let step = 0; step < 20_000; step++) {
      if (this.#opened < streams && randomUnit(this.#random) < 0.3) this.#open();
      this.#transfer(this.#client, this.#server);
      this.#transfer(this.#server, this.#client);
      this.#serve();
      this.#collect();
      if (this.#opened === streams && this.#client.count === 0 && this.#server.count === 0) break;
    }
    const where = `seed ${this.#seed}`;
    strictEqual(this.#opened, streams, where);
    strictEqual(this.#client.count, 0, where);
    strictEqual(this.#server.count, 0, where);
    for (const [id, bytes] of this.#sentBytes) strictEqual(this.#echoed.get(id), bytes, `${where}, stream ${id}`);
    // Credit given back for every byte: nothing leaks at either end.
    strictEqual(this.#client.window.consumed, this.#client.window.received, where);
    strictEqual(this.#server.window.consumed, this.#server.window.received, where);
    strictEqual(this.#client.credit.used, this.#server.window.received, where);
    strictEqual(this.#server.credit.used, this.#client.window.received, where);
  }

  #open(): void {
    const stream = this.#client.open("bidirectional");
    if (stream === undefined) return;
    this.#opened++;
    const kind = randomUnit(this.#random);
    const bytes = Math.floor(randomUnit(this.#random) * 3000);
    this.#client.write(stream, Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + stream.id) & 0xff));
    if (kind < 0.1) {
      this.#client.reset(stream, 1);
      this.#client.stop(stream, 1);
    } else if (kind < 0.2) {
      this.#client.finish(stream);
      this.#client.stop(stream, 2);
    } else {
      this.#client.finish(stream);
      this.#sentBytes.set(stream.id, bytes);
    }
  }

  #serve(): void {
    for (let i = 0; i < 100; i++) {
      const event = this.#server.pollEvent();
      if (event === undefined) break;
      if (event.type === "opened") this.#pendingEcho.set(event.stream, []);
      if (event.type === "reset") this.#server.reset(event.stream, 3);
      if (event.type === "reset" || event.type === "closed" || event.type === "stopped") {
        this.#pendingEcho.delete(event.stream);
        if (event.type === "stopped") this.#server.stop(event.stream, 4);
      }
    }
    for (const [stream, parts] of this.#pendingEcho) {
      const part = this.#server.read(stream);
      if (part !== undefined) parts.push(part);
      const first = parts[0];
      if (first !== undefined) {
        const taken = this.#server.write(stream, first);
        if (taken === first.length) parts.shift();
        else parts[0] = first.subarray(taken);
      } else if (stream.receiving?.isAtEnd) {
        this.#server.finish(stream);
        this.#pendingEcho.delete(stream);
      }
    }
  }

  #collect(): void {
    for (let i = 0; i < 100; i++) {
      const event = this.#client.pollEvent();
      if (event === undefined) break;
      if (event.type === "reset" && event.stream.sending !== undefined) this.#client.reset(event.stream, 5);
      if (event.type !== "readable") continue;
      const { stream } = event;
      for (let n = 0; n < 1000; n++) {
        const part = this.#client.read(stream);
        if (part === undefined) break;
        const offset = this.#echoed.get(stream.id) ?? 0;
        part.forEach((byte, k) => strictEqual(byte, ((offset + k) * 31 + stream.id) & 0xff, `seed ${this.#seed}`));
        this.#echoed.set(stream.id, offset + part.length);
      }
      if (stream.receiving?.isAtEnd && !this.#echoed.has(stream.id)) this.#echoed.set(stream.id, 0);
    }
  }

  /** One packet from one end to the other: lost, or acknowledged at once, sometimes arriving twice. */
  #transfer(from: Streams, to: Streams): void {
    const packet = new SentPacket();
    const frames: (() => void)[] = [];
    const control = from.takeControlFrame(100, 0);
    if (control !== undefined) {
      packet.frames.push(control);
      frames.push(() => deliver(control, to));
    }
    const selection = new StreamSelection();
    for (let i = 0; i < 3; i++) {
      if (!from.select(50 + Math.floor(randomUnit(this.#random) * 400), selection)) break;
      const { stream, offset, length, fin } = selection;
      const data = new Uint8Array(length);
      from.fill(selection, data, 0);
      packet.addStream(stream!, offset, length, fin);
      frames.push(() => to.onStream(stream!.id, offset, data, fin));
    }
    const luck = randomUnit(this.#random);
    if (luck < 0.7) frames.forEach((frame) => frame());
    if (luck < 0.1) frames.forEach((frame) => frame());
    // An acknowledgement may be lost too: then the packet counts as lost though it arrived.
    if (luck < 0.6) from.onPacketAcked(packet);
    else from.onPacketLost(packet);
  }
}

function deliver(frame: StreamControlFrame, to: Streams): void {
  switch (frame.type) {
    case "RESET_STREAM":
      return to.onResetStream(frame.stream.id, frame.code, frame.finalSize);
    case "STOP_SENDING":
      return to.onStopSending(frame.stream.id, frame.code);
    case "MAX_DATA":
      return to.onMaxData(frame.maximum);
    case "MAX_STREAM_DATA":
      return to.onMaxStreamData(frame.stream.id, frame.maximum);
    case "MAX_STREAMS":
      return to.onMaxStreams(frame.bidirectional, frame.maximum);
    case "STREAM_DATA_BLOCKED":
      return to.onStreamDataBlocked(frame.stream.id);
    case "DATA_BLOCKED":
    case "STREAMS_BLOCKED":
      return;
  }
}
