import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import {
  listsVersion,
  PacketHeader,
  patchLength,
  VERSION_1,
  writeLongHeader,
  writeRetryWithoutTag,
  writeShortHeader,
  writeVersionNegotiation,
} from "../../../protocols/quic/packet.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const DCID = fromHex("0102030405060708");
const SCID = fromHex("a1a2a3");

function longPacket(type: "Initial" | "Handshake", payloadBytes: number): Uint8Array {
  const writer = new Writer(new Uint8Array(256));
  const lengthAt = writeLongHeader(writer, {
    type,
    destinationConnectionId: DCID,
    sourceConnectionId: SCID,
    token: fromHex("beef"),
    packetNumber: 0x1234,
    packetNumberBytes: 2,
  });
  writer.zeros(payloadBytes);
  patchLength(writer, lengthAt, writer.offset);
  return writer.written().slice();
}

Deno.test("Long header is written and read back (RFC 9000 §17.2.2, §17.2.4)", () => {
  const header = new PacketHeader();
  const initial = longPacket("Initial", 20);
  strictEqual(header.read(initial, 0, initial.length), undefined);
  deepStrictEqual(
    [header.type, header.version, toHex(header.destinationConnectionId), toHex(header.sourceConnectionId)],
    ["Initial", VERSION_1, "0102030405060708", "a1a2a3"],
  );
  deepStrictEqual([toHex(header.token), header.payloadStart, header.end], ["beef", 23, initial.length]);
  const handshake = longPacket("Handshake", 20);
  strictEqual(header.read(handshake, 0, handshake.length), undefined);
  deepStrictEqual([header.type, header.token.length, header.payloadStart], ["Handshake", 0, 20]);
  strictEqual(toHex(handshake.subarray(18, 22)), "40161234");
});

Deno.test("Coalesced packets are read one after the other (RFC 9000 §12.2)", () => {
  const writer = new Writer(new Uint8Array(512));
  writer.bytes(longPacket("Initial", 20));
  writer.bytes(longPacket("Handshake", 30));
  writeShortHeader(writer, DCID, 1, 7, 1);
  writer.zeros(20);
  const bytes = writer.written();
  const header = new PacketHeader();
  const types: string[] = [];
  for (let at = 0, packets = 0; at < bytes.length && packets < 10; at = header.end, packets++) {
    strictEqual(header.read(bytes, at, bytes.length), undefined);
    types.push(header.type);
  }
  deepStrictEqual(types, ["Initial", "Handshake", "1-RTT"]);
  strictEqual(toHex(header.destinationConnectionId), "0102030405060708");
  strictEqual(bytes[header.start], 0x44);
});

Deno.test("Header of an unknown version shows its connection IDs, however long (RFC 8999 §5.1)", () => {
  const header = new PacketHeader();
  const bytes = fromHex(`c0ff00001d15${"11".repeat(21)}02abcd`);
  strictEqual(header.read(bytes, 0, bytes.length), "unknown version");
  deepStrictEqual([header.version, header.destinationConnectionId.length, toHex(header.sourceConnectionId)], [
    0xff00001d,
    21,
    "abcd",
  ]);
  const known = fromHex(`c00000000115${"11".repeat(21)}02abcd0000`);
  strictEqual(header.read(known, 0, known.length), "connection ID is too long");
  const unfixed = fromHex(`800000000108${"11".repeat(8)}0000`);
  strictEqual(header.read(unfixed, 0, unfixed.length), "fixed bit is zero");
  strictEqual(header.read(fromHex("00" + "11".repeat(30)), 0, 31), "fixed bit is zero");
});

Deno.test("Version Negotiation swaps the connection IDs and lists version 1 (RFC 9000 §17.2.1)", () => {
  const writer = new Writer(new Uint8Array(64));
  writeVersionNegotiation(writer, { destinationConnectionId: DCID, sourceConnectionId: SCID }, 0xff);
  const bytes = writer.written();
  strictEqual(toHex(bytes), "ff0000000003a1a2a308010203040506070800000001");
  const header = new PacketHeader();
  strictEqual(header.read(bytes, 0, bytes.length), undefined);
  strictEqual(header.type, "Version Negotiation");
  strictEqual(listsVersion(bytes, header, VERSION_1), true);
  strictEqual(listsVersion(bytes, header, 0x6b3343cf), false);
});

Deno.test("Retry holds its token between connection IDs and tag (RFC 9000 §17.2.5)", () => {
  const writer = new Writer(new Uint8Array(128));
  writeRetryWithoutTag(writer, { destinationConnectionId: DCID, sourceConnectionId: SCID, token: fromHex("c0ffee") });
  writer.zeros(16);
  const bytes = writer.written();
  const header = new PacketHeader();
  strictEqual(header.read(bytes, 0, bytes.length), undefined);
  deepStrictEqual([header.type, toHex(header.token), header.end], ["Retry", "c0ffee", bytes.length]);
});

Deno.test("Header truncated at every byte is dropped (RFC 9000 §17)", () => {
  const header = new PacketHeader();
  for (const packet of [longPacket("Initial", 20), longPacket("Handshake", 20)]) {
    for (let length = 0; length < packet.length; length++) {
      strictEqual(header.read(packet, 0, length), "header is truncated");
    }
  }
  const short = fromHex("40010203040506070801");
  for (let length = 0; length < 9; length++) strictEqual(header.read(short, 0, length), "header is truncated");
});

Deno.test("Header of random bytes never throws and never reaches beyond them (RFC 9000 §17)", () => {
  const header = new PacketHeader();
  for (let seed = 1; seed <= 3000; seed++) {
    const bytes = seededRandom(seed).fill(new Uint8Array(seed % 90));
    if (seed % 2 === 0) bytes.set([0xc0 | (bytes[0] ?? 0), 0, 0, 0, 1].slice(0, bytes.length));
    if (header.read(bytes, 0, bytes.length) === undefined) {
      strictEqual(header.end <= bytes.length && header.payloadStart <= header.end, true, `seed ${seed}`);
    }
  }
});
