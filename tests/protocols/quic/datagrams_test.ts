import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Datagrams, MAX_RECEIVE_DATAGRAMS, MAX_SEND_DATAGRAMS } from "../../../protocols/quic/datagrams.ts";

Deno.test("Datagrams sends in order, and leaves what does not fit in the queue (RFC 9221 §5)", () => {
  const datagrams = new Datagrams();
  const data = Uint8Array.of(1, 2);
  datagrams.send(data);
  data[0] = 9; // The queue has its own copy.
  datagrams.send(Uint8Array.of(3));
  strictEqual(datagrams.hasToSend, true);
  deepStrictEqual(datagrams.peekToSend(), Uint8Array.of(1, 2));
  datagrams.dropToSend();
  deepStrictEqual(datagrams.peekToSend(), Uint8Array.of(3));
  datagrams.dropToSend();
  strictEqual(datagrams.peekToSend(), undefined);
  strictEqual(datagrams.hasToSend, false);
});

Deno.test("Datagrams takes what it is given as it is", () => {
  const datagrams = new Datagrams();
  const data = Uint8Array.of(1, 2);
  datagrams.give(data);
  strictEqual(datagrams.peekToSend(), data);
});

Deno.test("Datagrams drops and counts the oldest beyond its limits", () => {
  const datagrams = new Datagrams();
  for (let i = 0; i < MAX_SEND_DATAGRAMS + 3; i++) datagrams.send(Uint8Array.of(i));
  strictEqual(datagrams.sendDropped, 3);
  deepStrictEqual(datagrams.peekToSend(), Uint8Array.of(3));
  for (let i = 0; i < MAX_RECEIVE_DATAGRAMS + 5; i++) datagrams.onDatagram(Uint8Array.of(i & 0xff, i >> 8));
  strictEqual(datagrams.receiveDropped, 5);
  deepStrictEqual(datagrams.read(), Uint8Array.of(5, 0));
});

Deno.test("Datagrams tells once that there is something to read, until the queue was empty", () => {
  const datagrams = new Datagrams();
  strictEqual(datagrams.takeReadable(), false);
  datagrams.onDatagram(Uint8Array.of(1));
  datagrams.onDatagram(Uint8Array.of(2));
  strictEqual(datagrams.takeReadable(), true);
  strictEqual(datagrams.takeReadable(), false);
  deepStrictEqual(datagrams.read(), Uint8Array.of(1));
  datagrams.onDatagram(Uint8Array.of(3));
  strictEqual(datagrams.takeReadable(), false);
  datagrams.read();
  datagrams.read();
  strictEqual(datagrams.read(), undefined);
  datagrams.onDatagram(Uint8Array.of(4));
  strictEqual(datagrams.takeReadable(), true);
});
