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

/** A stream of the first half of the bytes at once, and the second when `until` has resolved. */
export function inHalves(
  bytes: Uint8Array<ArrayBuffer>,
  until: () => Promise<unknown>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const middle = bytes.length >> 1;
  let hasBegun = false;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      if (!hasBegun) {
        hasBegun = true;
        controller.enqueue(bytes.slice(0, middle));
        return;
      }
      await until();
      controller.enqueue(bytes.slice(middle));
      controller.close();
    },
  });
}
