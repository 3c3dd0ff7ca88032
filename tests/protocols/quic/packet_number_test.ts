import { strictEqual } from "node:assert/strict";
import { decodePacketNumber, packetNumberBytes } from "../../../protocols/quic/packet_number.ts";

Deno.test("Packet number takes enough bytes for twice the unacknowledged range (RFC 9000 §A.2)", () => {
  strictEqual(packetNumberBytes(0xac5c02, 0xabe8b3), 2);
  strictEqual(packetNumberBytes(0xace8fe, 0xabe8b3), 3);
  strictEqual(packetNumberBytes(0, -1), 1);
  strictEqual(packetNumberBytes(127, -1), 1);
  strictEqual(packetNumberBytes(128, -1), 2);
  strictEqual(packetNumberBytes(0x1000000, -1), 4);
});

Deno.test("Packet number is recovered from its low bytes (RFC 9000 §A.3)", () => {
  strictEqual(decodePacketNumber(0xa82f30ea, 0x9b32, 2), 0xa82f9b32);
  strictEqual(decodePacketNumber(-1, 0, 1), 0);
  strictEqual(decodePacketNumber(-1, 0xff, 1), 0xff);
  strictEqual(decodePacketNumber(255, 0, 1), 256);
  strictEqual(decodePacketNumber(256, 0xff, 1), 255);
  strictEqual(decodePacketNumber(2 ** 40, 5, 4), 2 ** 40 + 5);
});

Deno.test("Packet number survives every reordering the encoding allows (RFC 9000 §17.1)", () => {
  for (const largestAcknowledged of [-1, 0, 200, 2 ** 16 - 3, 2 ** 33]) {
    for (const ahead of [1, 2, 100, 127, 128, 129, 32767, 32768, 32769, 2 ** 23, 2 ** 23 + 1, 2 ** 30]) {
      const packetNumber = largestAcknowledged + ahead;
      const length = packetNumberBytes(packetNumber, largestAcknowledged);
      const truncated = packetNumber % 2 ** (8 * length);
      for (const largest of [largestAcknowledged, packetNumber - 1, packetNumber]) {
        strictEqual(decodePacketNumber(largest, truncated, length), packetNumber);
      }
    }
  }
});
