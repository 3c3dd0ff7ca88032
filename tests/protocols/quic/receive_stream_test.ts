import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { ReceiveStream } from "../../../protocols/quic/receive_stream.ts";

const FLOW_CONTROL_ERROR = 0x03;
const FINAL_SIZE_ERROR = 0x06;

function streamOf(windowBytes = 1000): ReceiveStream {
  return new ReceiveStream({ windowBytes, maxWindowBytes: windowBytes });
}

function isTransportError(code: number): (error: unknown) => boolean {
  return (error) => error instanceof TransportError && error.code === code;
}

const ABC = Uint8Array.of(97, 98, 99);

Deno.test("ReceiveStream goes from Recv over SizeKnown and DataRecvd to DataRead (RFC 9000 §3.2)", () => {
  const stream = streamOf();
  strictEqual(stream.state, "Recv");
  strictEqual(stream.onData(3, ABC, true), 6);
  strictEqual(stream.state, "SizeKnown");
  strictEqual(stream.isReadable, false);
  strictEqual(stream.onData(0, ABC, false), 0);
  strictEqual(stream.state, "DataRecvd");
  deepStrictEqual(stream.read(), ABC);
  strictEqual(stream.state, "DataRecvd");
  deepStrictEqual(stream.read(), ABC);
  strictEqual(stream.state, "DataRead");
  strictEqual(stream.isAtEnd, true);
  strictEqual(stream.isTerminal, true);
  strictEqual(stream.read(), undefined);
});

Deno.test("ReceiveStream with a FIN alone is readable once, for its end", () => {
  const stream = streamOf();
  stream.onData(0, ABC, false);
  stream.read();
  strictEqual(stream.isReadable, false);
  strictEqual(stream.onData(3, new Uint8Array(0), true), 0);
  strictEqual(stream.state, "DataRecvd");
  strictEqual(stream.isReadable, true);
  strictEqual(stream.read(), undefined);
  strictEqual(stream.isAtEnd, true);
});

Deno.test("ReceiveStream says by how much the highest offset grew, once for each byte (RFC 9000 §4.1)", () => {
  const stream = streamOf();
  strictEqual(stream.onData(10, ABC, false), 13);
  strictEqual(stream.onData(0, ABC, false), 0);
  strictEqual(stream.onData(11, ABC, false), 1);
  strictEqual(stream.window.received, 14);
});

Deno.test("ReceiveStream refuses data beyond its window (RFC 9000 §4.1)", () => {
  const stream = streamOf(10);
  stream.onData(7, ABC, false);
  throws(() => stream.onData(8, ABC, false), isTransportError(FLOW_CONTROL_ERROR));
  throws(() => streamOf(10).onData(Number.MAX_SAFE_INTEGER, ABC, false), isTransportError(FLOW_CONTROL_ERROR));
  throws(() => streamOf(10).onReset(0, 11), isTransportError(FLOW_CONTROL_ERROR));
});

Deno.test("ReceiveStream refuses a final size that changes or that was exceeded (RFC 9000 §4.5)", () => {
  const known = streamOf();
  known.onData(0, ABC, true);
  throws(() => known.onData(1, ABC, false), isTransportError(FINAL_SIZE_ERROR));
  throws(() => known.onData(0, ABC.subarray(0, 2), true), isTransportError(FINAL_SIZE_ERROR));
  throws(() => known.onReset(0, 4), isTransportError(FINAL_SIZE_ERROR));
  throws(() => known.onReset(0, 2), isTransportError(FINAL_SIZE_ERROR));
  strictEqual(known.onData(0, ABC, true), 0);

  const below = streamOf();
  below.onData(5, ABC, false);
  throws(() => below.onData(0, ABC, true), isTransportError(FINAL_SIZE_ERROR));
  throws(() => below.onReset(0, 7), isTransportError(FINAL_SIZE_ERROR));

  const reset = streamOf();
  reset.onReset(1, 5);
  throws(() => reset.onData(3, ABC, false), isTransportError(FINAL_SIZE_ERROR));
  throws(() => reset.onReset(1, 6), isTransportError(FINAL_SIZE_ERROR));
});

Deno.test("ReceiveStream that is reset lets unread data go and counts the rest (RFC 9000 §3.2, §4.5)", () => {
  const stream = streamOf();
  stream.onData(0, ABC, false);
  strictEqual(stream.onReset(42, 10), 7);
  strictEqual(stream.state, "ResetRecvd");
  strictEqual(stream.resetCode, 42);
  strictEqual(stream.read(), undefined);
  strictEqual(stream.takeDiscarded(), 10);
  strictEqual(stream.takeDiscarded(), 0);
  stream.onResetRead();
  strictEqual(stream.state, "ResetRead");
  strictEqual(stream.onData(0, ABC, false), 0);
});

Deno.test("ReceiveStream ignores a reset once all data is there (RFC 9000 §3.2)", () => {
  const stream = streamOf();
  stream.onData(0, ABC, true);
  strictEqual(stream.onReset(1, 3), 0);
  strictEqual(stream.state, "DataRecvd");
  deepStrictEqual(stream.read(), ABC);
});

Deno.test("ReceiveStream asks the peer to stop, and drops what still comes (RFC 9000 §3.5)", () => {
  const stream = streamOf();
  stream.onData(0, ABC, false);
  strictEqual(stream.stop(7), true);
  strictEqual(stream.stop(8), false);
  strictEqual(stream.isStopPending, true);
  strictEqual(stream.stopCode, 7);
  strictEqual(stream.takeDiscarded(), 3);
  stream.onStopSent();
  strictEqual(stream.isStopPending, false);
  stream.onStopLost();
  strictEqual(stream.isStopPending, true);
  strictEqual(stream.onData(3, ABC, false), 3);
  strictEqual(stream.isReadable, false);
  strictEqual(stream.takeDiscarded(), 3);
  strictEqual(stream.window.isUpdatePending, false);
  stream.onReset(7, 100);
  strictEqual(stream.state, "ResetRead");
  strictEqual(stream.takeDiscarded(), 94);
  stream.onStopLost();
  strictEqual(stream.isStopPending, false);
});

Deno.test("ReceiveStream need not ask the peer to stop once the size is known (RFC 9000 §3.5)", () => {
  const stream = streamOf();
  stream.onData(5, ABC, true);
  strictEqual(stream.stop(7), true);
  strictEqual(stream.isStopPending, false);
  strictEqual(stream.isTerminal, true);
  strictEqual(stream.takeDiscarded(), 8);
});

Deno.test("ReceiveStream that was stopped ends with the FIN", () => {
  const stream = streamOf();
  stream.stop(7);
  stream.onData(0, ABC, true);
  strictEqual(stream.isTerminal, true);
  strictEqual(stream.isStopPending, false);
});

Deno.test("ReceiveStream gives no more credit once the size is known (RFC 9000 §4.1)", () => {
  const stream = streamOf(10);
  stream.onData(0, new Uint8Array(8), true);
  stream.window.consume(stream.read()!.length);
  strictEqual(stream.window.isUpdatePending, false);
});
