import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Writer } from "../../protocols/core/writer.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import type { DropReason } from "../../protocols/quic/events.ts";
import { PacketHeader, patchLength, writeLongHeader } from "../../protocols/quic/packet.ts";
import { deriveInitialSecrets, INITIAL_SUITE, PacketSealer } from "../../protocols/quic/packet_protection.ts";
import { CLIENT_ADDRESS, Pair, SERVER_ADDRESS } from "../support/quic_pair.ts";

// What an RFC wants closed or dropped, and is dropped: the table "without_row.ts".

/** An Initial with a PING in less than 1200 bytes, under keys made of the client's first. */
function smallInitial(from: "client" | "server", first: Uint8Array, token: Uint8Array): Uint8Array {
  const header = new PacketHeader();
  strictEqual(header.read(first, 0, first.length), undefined);
  const { destinationConnectionId, sourceConnectionId } = header;
  const writer = new Writer(new Uint8Array(200));
  const lengthAt = writeLongHeader(writer, {
    type: "Initial",
    destinationConnectionId: from === "server" ? sourceConnectionId : destinationConnectionId,
    sourceConnectionId: new Uint8Array(8).fill(7),
    token,
    packetNumber: 0,
    packetNumberBytes: 4,
  });
  const payloadAt = writer.offset;
  writer.uint8(1);
  writer.zeros(50);
  const end = writer.offset;
  writer.zeros(16);
  patchLength(writer, lengthAt, writer.offset);
  const secret = deriveInitialSecrets(destinationConnectionId)[from];
  new PacketSealer(NODE_AEAD_BACKEND, INITIAL_SUITE, secret).seal(writer.buffer, 0, payloadAt - 4, 4, end, 0);
  return writer.written().slice();
}

/** A client whose first Initial goes nowhere. */
function lonelyClient(): { pair: Pair; first: Uint8Array; drops: () => [DropReason, number][] } {
  const pair = new Pair();
  let first: Uint8Array | undefined;
  pair.filter = (_, bytes) => {
    first ??= bytes;
    return false;
  };
  pair.connect();
  pair.drain();
  ok(first !== undefined);
  return { pair, first, drops: () => [...pair.client.endpoint.drops] };
}

Deno.test("Initial of a server with a token is dropped, and one without is taken (RFC 9000 §17.2.2)", () => {
  const { pair, first, drops } = lonelyClient();
  const { stats } = pair.client.connections[0]!;
  pair.inject(smallInitial("server", first, Uint8Array.of(0xaa)), SERVER_ADDRESS, CLIENT_ADDRESS);
  pair.runTo(pair.now + 50);
  deepStrictEqual(drops(), [["Initial of a server has a token", 1]]);
  deepStrictEqual([stats.receivedPackets, pair.client.connections[0]!.state], [0, "handshaking"]);
  pair.inject(smallInitial("server", first, new Uint8Array(0)), SERVER_ADDRESS, CLIENT_ADDRESS);
  pair.runTo(pair.now + 50);
  strictEqual(drops().length, 1);
  strictEqual(pair.client.connections[0]!.stats.receivedPackets, 1);
});

Deno.test("Initial of a client in less than 1200 bytes is dropped, and nothing is remembered (RFC 9000 §14.1)", () => {
  const { pair, first } = lonelyClient();
  pair.inject(smallInitial("client", first, new Uint8Array(0)), CLIENT_ADDRESS, SERVER_ADDRESS);
  pair.runTo(pair.now + 50);
  deepStrictEqual([...pair.server.endpoint.drops], [["Initial is too small", 1]]);
  deepStrictEqual([pair.server.endpoint.connectionCount, pair.sent.server], [0, 0]);
});

Deno.test("0-RTT packet is dropped unopened, whatever is in it (RFC 9000 §17.2.3, RFC 9001 §8.3)", () => {
  const pair = new Pair();
  let sent: Uint8Array | undefined;
  pair.filter = (_, bytes) => {
    sent ??= bytes;
    return true;
  };
  pair.established();
  const header = new PacketHeader();
  strictEqual(header.read(sent!, 0, sent!.length), undefined);
  // It has no token, which is one byte of nothing in an Initial of ours.
  const idsEnd = 7 + header.destinationConnectionId.length + header.sourceConnectionId.length;
  const zeroRtt = new Uint8Array([...sent!.subarray(0, idsEnd), ...sent!.subarray(idsEnd + 1)]);
  zeroRtt[0] = 0xd3;
  pair.inject(zeroRtt, CLIENT_ADDRESS, SERVER_ADDRESS);
  pair.runTo(pair.now + 50);
  strictEqual(pair.server.endpoint.drops.get("0-RTT is not accepted"), 1);
  strictEqual(pair.server.connections[0]!.state, "confirmed");
});
