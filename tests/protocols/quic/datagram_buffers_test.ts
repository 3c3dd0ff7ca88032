import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { DATAGRAM_BUFFER_BYTES, DatagramBuffers, MAX_SPARE_BUFFERS } from "../../../protocols/quic/datagram_buffers.ts";

Deno.test("DatagramBuffers gives the same memory again, as long as it is to be", () => {
  const buffers = new DatagramBuffers();
  const first = buffers.take(1200);
  notStrictEqual(buffers.take(1200).buffer, first.buffer);
  buffers.give(first);
  strictEqual(buffers.take(1200), first);
  buffers.give(first);
  const shorter = buffers.take(20);
  deepStrictEqual([shorter.length, shorter.byteOffset, shorter.buffer === first.buffer], [20, 0, true]);
});

Deno.test("DatagramBuffers keeps no more than its limit, and nothing of another size", () => {
  const buffers = new DatagramBuffers();
  buffers.give(new Uint8Array(1200));
  buffers.give(buffers.take(DATAGRAM_BUFFER_BYTES + 1));
  strictEqual(buffers.spareCount, 0);
  for (let i = 0; i < MAX_SPARE_BUFFERS + 2; i++) buffers.give(new Uint8Array(DATAGRAM_BUFFER_BYTES));
  strictEqual(buffers.spareCount, MAX_SPARE_BUFFERS);
});
