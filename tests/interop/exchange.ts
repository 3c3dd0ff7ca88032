/**
 * What every interop pair does over a bidirectional stream, whichever side is ours. The first byte says what follows:
 *
 * - `E`: the server returns every byte after it, then FIN.
 * - `X`: both sides send bytes of their own at once. When the client's FIN has come, the server ends its own bytes with
 *   SHA-256 of what it sent and SHA-256 of what it received, then FIN: the client can tell both directions unharmed.
 *
 * `peers/aioquic_peer.py` and `peers/iroh_peer.mjs` speak the same.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { concatBytes, toHex } from "../../protocols/core/bytes.ts";

/** Bytes each side sends of its own in `X`. */
export const EXCHANGE_BYTES = 8 * 1024 * 1024;

const ECHO = 0x45;
const EXCHANGE = 0x58;
const CHUNK_BYTES = 64 * 1024;
const HASH_BYTES = 32;

/** A stream of any engine. */
export interface DuplexStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
}

/** Plays the server on one stream the client opened. */
export async function serveStream(stream: DuplexStream): Promise<void> {
  const reader = stream.readable.getReader();
  const writer = stream.writable.getWriter();
  const first = await reader.read();
  const head = first.value ?? new Uint8Array(0);
  if (head[0] === ECHO) {
    if (head.length > 1) await writer.write(head.slice(1));
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      await writer.write(chunk.value.slice());
    }
    return await writer.close();
  }
  strictEqual(head[0], EXCHANGE, "the stream begins with E or X");
  const received = createHash("sha256").update(head.subarray(1));
  const [sent] = await Promise.all([writeRandom(writer), readInto(reader, received)]);
  await writer.write(concatBytes(sent, received.digest()));
  await writer.close();
}

/** Plays the client of `E`: sends `message`, and checks that it comes back. */
export async function echoOver(stream: DuplexStream, message: string): Promise<void> {
  const writer = stream.writable.getWriter();
  const bytes = new TextEncoder().encode(message);
  await writer.write(concatBytes(Uint8Array.of(ECHO), bytes));
  await writer.close();
  let text = "";
  const decoder = new TextDecoder();
  const reader = stream.readable.getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    text += decoder.decode(chunk.value, { stream: true });
    ok(text.length <= message.length, "no more comes back than was sent");
  }
  strictEqual(text, message);
}

/** Plays the client of `X`, and checks both directions. */
export async function exchangeOver(stream: DuplexStream, expectedBytes: number = EXCHANGE_BYTES): Promise<void> {
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  await writer.write(Uint8Array.of(EXCHANGE));
  const send = async (): Promise<Uint8Array> => {
    const hash = await writeRandom(writer);
    await writer.close();
    return hash;
  };
  const receive = async (): Promise<{ hash: Uint8Array; trailer: Uint8Array; bytes: number }> => {
    const hash = createHash("sha256");
    let trailer = new Uint8Array(0);
    let bytes = 0;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const known = concatBytes(trailer, chunk.value);
      const end = Math.max(0, known.length - 2 * HASH_BYTES);
      hash.update(known.subarray(0, end));
      bytes += end;
      trailer = known.subarray(end);
    }
    return { hash: hash.digest(), trailer, bytes };
  };
  const [sent, received] = await Promise.all([send(), receive()]);
  strictEqual(received.bytes, expectedBytes);
  strictEqual(toHex(received.trailer.subarray(0, HASH_BYTES)), toHex(received.hash), "what the server sent arrived");
  strictEqual(toHex(received.trailer.subarray(HASH_BYTES)), toHex(sent), "what the client sent arrived");
}

async function writeRandom(writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  const hash = createHash("sha256");
  for (let left = EXCHANGE_BYTES; left > 0; left -= CHUNK_BYTES) {
    const chunk = randomFillSync(new Uint8Array(Math.min(left, CHUNK_BYTES)));
    hash.update(chunk);
    await writer.write(chunk);
  }
  return hash.digest();
}

async function readInto(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): Promise<void> {
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) hash.update(chunk.value);
}
