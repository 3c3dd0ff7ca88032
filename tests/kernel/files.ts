/**
 * Files to copy, and what they are compared by.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Bytes that look random and are the same for the same seed. */
export function file(seed: number, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  let state = seed;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** The checksum, in hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A stream of the bytes in equal parts: the first at once, each of the others when its gate has resolved. */
export function inParts(
  bytes: Uint8Array<ArrayBuffer>,
  ...gates: readonly (() => Promise<unknown>)[]
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const partBytes = Math.ceil(bytes.length / (gates.length + 1));
  let part = 0;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      if (part > 0) await gates[part - 1]!();
      controller.enqueue(bytes.slice(part * partBytes, (part + 1) * partBytes));
      if (++part > gates.length) controller.close();
    },
  });
}
