import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { MAX_SENT_PACKETS, SENT_PING, SentPacket, SentPackets } from "../../../protocols/quic/sent_packet.ts";
import { Stream } from "../../../protocols/quic/stream.ts";

const WINDOW = { windowBytes: 1000, maxWindowBytes: 1000 };

function packetOf(packetNumber: number, isInFlight = true): SentPacket {
  const packet = new SentPacket();
  packet.packetNumber = packetNumber;
  packet.isInFlight = isInFlight;
  packet.isAckEliciting = isInFlight;
  return packet;
}

Deno.test("SentPackets finds what was added until it is removed", () => {
  const sent = new SentPackets();
  for (let n = 0; n < 100; n++) sent.add(packetOf(n));
  strictEqual(sent.find(57)?.packetNumber, 57);
  sent.remove(57);
  strictEqual(sent.find(57), undefined);
  strictEqual(sent.find(100), undefined);
  strictEqual(sent.oldest, 0);
  for (let n = 0; n < 57; n++) sent.remove(n);
  strictEqual(sent.oldest, 58);
  strictEqual(sent.next, 100);
});

Deno.test("SentPackets hands out an empty record in exchange, and uses few records again and again", () => {
  const sent = new SentPackets();
  const records = new Set<SentPacket>();
  let record = new SentPacket();
  for (let n = 0; n < 1000; n++) {
    records.add(record);
    record.packetNumber = n;
    record.isInFlight = true;
    record.frames.push(SENT_PING);
    record.largestAcknowledged = n;
    record = sent.add(record);
    strictEqual(record.packetNumber, -1);
    strictEqual(record.largestAcknowledged, -1);
    strictEqual(record.frames.length, 0);
    if (n >= 5) sent.remove(n - 5);
  }
  strictEqual(records.size, 17); // One in each of the 16 slots, and the one in hand.
});

Deno.test("SentPacket keeps the first stream range in place and lists others", () => {
  const packet = new SentPacket();
  const a = new Stream(0, true, WINDOW);
  const b = new Stream(4, true, WINDOW);
  packet.addStream(a, 10, 20, false);
  packet.addStream(b, 0, 5, true);
  strictEqual(packet.stream, a);
  strictEqual(packet.streamOffset, 10);
  strictEqual(packet.streamLength, 20);
  strictEqual(packet.streamFin, false);
  deepStrictEqual(packet.frames, [{ type: "STREAM", stream: b, offset: 0, length: 5, fin: true }]);
  packet.clear();
  strictEqual(packet.stream, undefined);
  deepStrictEqual(packet.frames, []);
});

Deno.test("SentPackets remembers the numbers that were passed over (RFC 9000 §21.4)", () => {
  const sent = new SentPackets();
  sent.add(packetOf(3));
  sent.add(packetOf(6));
  strictEqual(sent.oldest, 3);
  strictEqual(sent.isSkipped(3), false);
  strictEqual(sent.isSkipped(4), true);
  strictEqual(sent.isSkipped(5), true);
  strictEqual(sent.find(4), undefined);
  sent.remove(3);
  strictEqual(sent.oldest, 6);
});

Deno.test("SentPackets refuses a number out of order and more than it can hold", () => {
  const sent = new SentPackets();
  sent.add(packetOf(1));
  throws(() => sent.add(packetOf(1)), RangeError);
  throws(() => sent.add(packetOf(1 + 2 * MAX_SENT_PACKETS)), RangeError);
  strictEqual(sent.hasRoom, true);
  sent.add(packetOf(MAX_SENT_PACKETS));
  strictEqual(sent.hasRoom, false);
  sent.add(packetOf(1 + MAX_SENT_PACKETS, false)); // An acknowledgement may still leave.
});

Deno.test("SentPackets forgets old packets that were not in flight (RFC 9000 §13.2.4)", () => {
  const sent = new SentPackets();
  for (let n = 0; n < 10_000; n++) sent.add(packetOf(n, false));
  strictEqual(sent.oldest, 10_000 - 256);
  sent.add(packetOf(10_000, true));
  for (let n = 10_001; n < 20_000; n++) sent.add(packetOf(n, false));
  strictEqual(sent.oldest, 10_000);
});

Deno.test("SentPackets clears at once, and numbers go on", () => {
  const sent = new SentPackets();
  for (let n = 0; n < 40; n++) sent.add(packetOf(n));
  sent.clear();
  strictEqual(sent.oldest, 40);
  strictEqual(sent.find(39), undefined);
  sent.add(packetOf(40));
  strictEqual(sent.find(40)?.packetNumber, 40);
});
