import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { TlsAlert } from "../../../protocols/tls/alerts.ts";
import { MAX_BUFFERED_BYTES, MessageBuffer } from "../../../protocols/tls/message_buffer.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { seededRandom } from "../../support/seeded_random.ts";

function message(length: number, fill: number): Uint8Array {
  const bytes = new Uint8Array(4 + length).fill(fill);
  bytes.set([20, length >> 16, length >> 8, length]);
  return bytes;
}

Deno.test("MessageBuffer gives messages back whole, however they come in (RFC 9001 §4.1.3)", () => {
  const random = seededRandom(11);
  const messages = Array.from({ length: 40 }, (_, i) => message(Math.floor(randomUnit(random) * 5000), i));
  const all = Uint8Array.from(messages.flatMap((one) => [...one]));
  const buffer = new MessageBuffer();
  const taken: Uint8Array[] = [];
  for (let at = 0; at < all.length;) {
    const end = Math.min(all.length, at + 1 + Math.floor(randomUnit(random) * 3000));
    buffer.add(all.subarray(at, end));
    at = end;
    for (let next = buffer.take(); next !== undefined; next = buffer.take()) taken.push(next);
  }
  deepStrictEqual(taken, messages);
  strictEqual(buffer.bufferedBytes, 0);
});

Deno.test("MessageBuffer keeps its own copies", () => {
  const buffer = new MessageBuffer();
  const data = message(3, 1);
  buffer.add(data);
  data.fill(9);
  const taken = buffer.take();
  buffer.add(message(3, 2));
  deepStrictEqual(taken, message(3, 1));
});

Deno.test("MessageBuffer refuses what says that it is too long, and what piles up", () => {
  const buffer = new MessageBuffer();
  buffer.add(Uint8Array.of(11, 1, 0, 1));
  throws(() => buffer.take(), (error) => error instanceof TlsAlert && error.alert === "decode_error");
  buffer.clear();
  strictEqual(buffer.bufferedBytes, 0);
  for (let kept = 0; kept < MAX_BUFFERED_BYTES; kept += 4) buffer.add(message(0, 0));
  throws(() => buffer.add(message(0, 0)), (error) => {
    return error instanceof TlsAlert && error.alert === "unexpected_message";
  });
});
