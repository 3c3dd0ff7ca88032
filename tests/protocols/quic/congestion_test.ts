import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { MAX_CONGESTION_WINDOW_BYTES, NewReno } from "../../../protocols/quic/congestion.ts";
import { SentPacket } from "../../../protocols/quic/sent_packet.ts";

const BYTES = 1200;

function packetAt(sentAt: number, bytes = BYTES): SentPacket {
  const packet = new SentPacket();
  packet.sentAt = sentAt;
  packet.bytes = bytes;
  packet.isAckEliciting = true;
  packet.isInFlight = true;
  return packet;
}

/** Sends as much as the window allows. */
function sendWindow(reno: NewReno, now: number): SentPacket[] {
  const packets: SentPacket[] = [];
  for (let i = 0; i < 100_000 && reno.availableBytes >= BYTES; i++) {
    const packet = packetAt(now);
    reno.onPacketSent(packet);
    packets.push(packet);
  }
  return packets;
}

Deno.test("NewReno begins with ten datagrams, at most 14,720 bytes or two datagrams (RFC 9002 §7.2)", () => {
  strictEqual(new NewReno(1200).congestionWindowBytes, 12_000);
  strictEqual(new NewReno(1472).congestionWindowBytes, 14_720);
  strictEqual(new NewReno(9000).congestionWindowBytes, 18_000);
});

Deno.test("NewReno doubles the window in a round trip of slow start (RFC 9002 §7.3.1)", () => {
  const reno = new NewReno(BYTES);
  const packets = sendWindow(reno, 0);
  strictEqual(packets.length, 10);
  strictEqual(reno.bytesInFlight, 12_000);
  strictEqual(reno.availableBytes, 0);
  for (const packet of packets) reno.onPacketAcked(packet, 100);
  strictEqual(reno.congestionWindowBytes, 24_000);
  strictEqual(reno.bytesInFlight, 0);
  strictEqual(reno.isInSlowStart, true);
});

Deno.test("NewReno halves the window once a round trip, however much was lost (RFC 9002 §7.3.2)", () => {
  const reno = new NewReno(BYTES);
  const first = sendWindow(reno, 0);
  for (const packet of first) reno.onPacketAcked(packet, 100);
  const packets = sendWindow(reno, 100);
  strictEqual(packets.length, 20);
  reno.onPacketLost(packets[0]!, 200);
  strictEqual(reno.congestionWindowBytes, 12_000);
  reno.onPacketLost(packets[1]!, 201);
  reno.onPacketLost(packets[2]!, 202);
  strictEqual(reno.congestionWindowBytes, 12_000);
  strictEqual(reno.isInSlowStart, false);
  strictEqual(reno.bytesInFlight, 17 * BYTES);
  // In recovery, acknowledgements of what was sent before it do not grow the window.
  for (const packet of packets.slice(3)) reno.onPacketAcked(packet, 203);
  strictEqual(reno.congestionWindowBytes, 12_000);
  strictEqual(reno.bytesInFlight, 0);
});

Deno.test("NewReno grows by one datagram a round trip in congestion avoidance (RFC 9002 §7.3.3)", () => {
  const reno = new NewReno(BYTES);
  const packets = sendWindow(reno, 0);
  for (const packet of packets) reno.onPacketAcked(packet, 100);
  const second = sendWindow(reno, 100);
  reno.onPacketLost(second[0]!, 200);
  for (const packet of second.slice(1)) reno.onPacketAcked(packet, 200);
  strictEqual(reno.congestionWindowBytes, 12_000);
  for (let round = 0; round < 5; round++) {
    const now = 300 + 100 * round;
    for (const packet of sendWindow(reno, now)) reno.onPacketAcked(packet, now + 100);
    strictEqual(reno.congestionWindowBytes, 12_000 + 1200 * (round + 1));
  }
});

Deno.test("NewReno does not grow a window that is not used (RFC 9002 §7.8)", () => {
  const reno = new NewReno(BYTES);
  for (let round = 0; round < 20; round++) {
    const packet = packetAt(100 * round);
    reno.onPacketSent(packet);
    reno.onPacketAcked(packet, 100 * round + 50);
  }
  strictEqual(reno.congestionWindowBytes, 12_000);
});

Deno.test("NewReno falls to two datagrams at persistent congestion, and starts slowly (RFC 9002 §7.6.2)", () => {
  const reno = new NewReno(BYTES);
  for (const packet of sendWindow(reno, 0)) reno.onPacketLost(packet, 5000);
  reno.onPersistentCongestion();
  strictEqual(reno.congestionWindowBytes, 2400);
  strictEqual(reno.bytesInFlight, 0);
  strictEqual(reno.isInSlowStart, true);
  for (const packet of sendWindow(reno, 5001)) reno.onPacketAcked(packet, 5100);
  strictEqual(reno.congestionWindowBytes, 4800);
});

Deno.test("NewReno never goes below two datagrams (RFC 9002 §7.2)", () => {
  const reno = new NewReno(BYTES);
  for (let round = 0; round < 10; round++) {
    const packet = packetAt(100 * round + 1);
    reno.onPacketSent(packet);
    reno.onPacketLost(packet, 100 * round + 100);
  }
  strictEqual(reno.congestionWindowBytes, 2400);
});

Deno.test("NewReno stays below its limit", () => {
  const reno = new NewReno(BYTES);
  for (let round = 0; round < 14; round++) {
    for (const packet of sendWindow(reno, 100 * round)) reno.onPacketAcked(packet, 100 * round + 100);
  }
  strictEqual(reno.congestionWindowBytes, MAX_CONGESTION_WINDOW_BYTES);
});

Deno.test("NewReno counts only packets in flight, and forgets discarded ones (RFC 9002 §6.4)", () => {
  const reno = new NewReno(BYTES);
  const ackOnly = packetAt(0);
  ackOnly.isInFlight = false;
  reno.onPacketSent(ackOnly);
  strictEqual(reno.bytesInFlight, 0);
  reno.onPacketLost(ackOnly, 10);
  strictEqual(reno.congestionWindowBytes, 12_000);
  reno.onPacketSent(packetAt(0));
  reno.onDiscarded(BYTES);
  strictEqual(reno.bytesInFlight, 0);
});

Deno.test("NewReno starts over on a new path (RFC 9000 §9.4)", () => {
  const reno = new NewReno(BYTES);
  const packets = sendWindow(reno, 0);
  reno.onPacketLost(packets[0]!, 100);
  reno.reset();
  strictEqual(reno.congestionWindowBytes, 12_000);
  strictEqual(reno.bytesInFlight, 0);
  strictEqual(reno.isInSlowStart, true);
});

Deno.test("NewReno takes another datagram size (RFC 9002 §7.2)", () => {
  const reno = new NewReno(1200);
  reno.setMaxDatagramBytes(1452);
  strictEqual(reno.congestionWindowBytes, 14_520);
});

Deno.test("NewReno lets one packet leave when it halves the window, for what was lost (RFC 9002 §7.3.2)", () => {
  const reno = new NewReno(BYTES);
  const packets = sendWindow(reno, 0);
  reno.onPacketLost(packets[0]!, 100);
  strictEqual(reno.congestionWindowBytes, 6000);
  strictEqual(reno.bytesInFlight, 9 * BYTES);
  strictEqual(reno.availableBytes, BYTES);
  reno.onPacketSent(packetAt(100));
  strictEqual(reno.availableBytes, 6000 - 10 * BYTES);
  // One a recovery.
  reno.onPacketLost(packets[1]!, 101);
  strictEqual(reno.availableBytes, 6000 - 9 * BYTES);
});

/** A round trip in which the whole window is acknowledged, each packet with that sample. */
function roundTrip(reno: NewReno, sentAt: number, rttMs: number): void {
  for (const packet of sendWindow(reno, sentAt)) {
    reno.onPacketAcked(packet, sentAt + 100);
    reno.onRttSample(rttMs);
  }
}

Deno.test("NewReno grows by a quarter while the round-trip time rises, and then leaves slow start (RFC 9406 §4.2)", () => {
  const reno = new NewReno(BYTES);
  roundTrip(reno, 0, 100);
  strictEqual(reno.congestionWindowBytes, 24_000);
  // The eighth sample tells: the twelve packets behind it count a quarter.
  roundTrip(reno, 101, 112.5);
  strictEqual(reno.congestionWindowBytes, 24_000 + 8 * BYTES + 12 * BYTES / 4);
  strictEqual(reno.isInSlowStart, false);
  const windows: number[] = [];
  for (let round = 0; round < 6; round++) {
    roundTrip(reno, 202 + 101 * round, 120);
    windows.push(Math.floor(reno.congestionWindowBytes / BYTES));
  }
  // Four rounds more, which with the one it began in makes five; then a datagram a round trip.
  deepStrictEqual(windows, [38, 48, 60, 75, 75, 76]);
});
