import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { concatBytes } from "../../../protocols/core/bytes.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import {
  CryptoReceiveStream,
  CryptoSendStream,
  MAX_CRYPTO_BUFFER_BYTES,
  MAX_CRYPTO_PIECES,
} from "../../../protocols/quic/crypto_stream.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { FrameDecoder } from "../../../protocols/quic/frame.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** The ranges that packets of `room` bytes carry until nothing is left. */
function send(stream: CryptoSendStream, room: number): { offset: number; length: number }[] {
  const ranges: { offset: number; length: number }[] = [];
  for (let i = 0; i < 100; i++) {
    const range = stream.writeFrame(new Writer(new Uint8Array(room)));
    if (range === undefined) return ranges;
    ranges.push({ offset: range.offset, length: range.length });
  }
  throw new Error("There is no end");
}

Deno.test("CryptoSendStream fills packets and repeats what was lost (RFC 9000 §13.3)", () => {
  const stream = new CryptoSendStream();
  strictEqual(stream.hasToSend, false);
  stream.write(new Uint8Array(150));
  stream.write(new Uint8Array(50));
  deepStrictEqual(send(stream, 104), [{ offset: 0, length: 100 }, { offset: 100, length: 99 }, {
    offset: 199,
    length: 1,
  }]);
  strictEqual(stream.isOutstanding, true);
  stream.onAcked(0, 100);
  stream.onLost(100, 99);
  deepStrictEqual(send(stream, 300), [{ offset: 100, length: 99 }]);
  stream.resend();
  deepStrictEqual(send(stream, 300), [{ offset: 100, length: 100 }]);
  stream.onAcked(100, 100);
  strictEqual(stream.isOutstanding, false);
  stream.resend();
  strictEqual(stream.hasToSend, false);
});

Deno.test("CryptoSendStream does not begin a frame without room for a byte", () => {
  const stream = new CryptoSendStream();
  stream.write(new Uint8Array(10));
  strictEqual(stream.writeFrame(new Writer(new Uint8Array(4))), undefined);
  ok(stream.writeFrame(new Writer(new Uint8Array(5))));
});

Deno.test("CryptoReceiveStream puts every order of overlapping frames right, seeds 1 to 100 (RFC 9000 §7.5)", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = seededRandom(seed);
    const data = random.fill(new Uint8Array(3000));
    const sender = new CryptoSendStream();
    sender.write(data);
    const frames: Uint8Array[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 200; i++) {
        const writer = new Writer(new Uint8Array(20 + random.fill(new Uint8Array(1))[0]!));
        if (sender.writeFrame(writer) === undefined) break;
        frames.push(writer.written());
      }
      sender.resend();
    }
    const stream = new CryptoReceiveStream();
    const decoder = new FrameDecoder();
    const got: Uint8Array[] = [];
    while (frames.length > 0) {
      const [draw] = random.fill(new Uint8Array(1));
      const [frame] = frames.splice(draw! % frames.length, 1);
      decoder.reset(frame!, "I");
      const decoded = decoder.next();
      if (decoded?.type !== "CRYPTO") throw new Error(`seed ${seed}`);
      stream.receive(decoded.offset, decoded.data);
      for (let next = stream.read(); next !== undefined; next = stream.read()) got.push(next);
    }
    deepStrictEqual(concatBytes(...got), data, `seed ${seed}`);
    strictEqual(stream.hasGap, false);
  }
});

Deno.test("CryptoReceiveStream keeps 64 KiB behind a gap and no more (RFC 9000 §7.5)", () => {
  const stream = new CryptoReceiveStream();
  stream.receive(MAX_CRYPTO_BUFFER_BYTES - 10, new Uint8Array(10));
  for (const offset of [MAX_CRYPTO_BUFFER_BYTES - 9, Number.MAX_SAFE_INTEGER]) {
    let code: number | undefined;
    try {
      stream.receive(offset, new Uint8Array(10));
    } catch (error) {
      code = error instanceof TransportError ? error.code : undefined;
    }
    strictEqual(code, 0x0d);
  }
});

Deno.test("CryptoReceiveStream keeps 128 pieces that do not touch and no more (RFC 9000 §7.5, §21.6)", () => {
  const stream = new CryptoReceiveStream();
  const byte = Uint8Array.of(7);
  for (let n = 0; n < MAX_CRYPTO_PIECES; n++) stream.receive(1 + 2 * n, byte);
  // What closes a gap is welcome, what makes one more is not.
  stream.receive(2, byte);
  stream.receive(1 + 2 * MAX_CRYPTO_PIECES, byte);
  throws(
    () => stream.receive(3 + 2 * MAX_CRYPTO_PIECES, byte),
    (error: unknown) => error instanceof TransportError && error.code === 0x0d,
  );
});
