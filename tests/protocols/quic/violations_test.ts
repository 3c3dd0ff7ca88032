import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import { NODE_AEAD_BACKEND } from "../../../protocols/crypto/node_aead.ts";
import { writeShortHeader } from "../../../protocols/quic/packet.ts";
import { PacketSealer } from "../../../protocols/quic/packet_protection.ts";
import { CIPHER_SUITES } from "../../../protocols/tls/cipher_suites.ts";
import type { QuicConnection } from "../../../protocols/quic/connection.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, Pair, rawKeyTls, SERVER_ADDRESS, SERVER_KEY } from "../../support/quic_pair.ts";

/** A client that can be made to say anything: its keys are read from the key log. */
function rogueClient(): { pair: Pair; server: QuicConnection; say: (payload: Uint8Array, first?: number) => void } {
  const pair = new Pair({ clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog: true } });
  let connectionId = new Uint8Array(0);
  pair.filter = (from, bytes) => {
    if (from.name === "client" && (bytes[0]! & 0x80) === 0) connectionId = bytes.slice(1, 9);
    return true;
  };
  const { server } = pair.established();
  pair.runTo(pair.now + 100);
  const logged = pair.client.events.find(({ event }) =>
    event.type === "keyLog" && event.label === "CLIENT_TRAFFIC_SECRET_0"
  )?.event;
  if (logged?.type !== "keyLog") throw new Error("There is no secret");
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, CIPHER_SUITES.TLS_CHACHA20_POLY1305_SHA256, logged.secret);
  let packetNumber = 1000;
  const say = (payload: Uint8Array, first?: number): void => {
    const writer = new Writer(new Uint8Array(1500));
    writeShortHeader(writer, connectionId, 0, packetNumber, 4);
    const payloadAt = writer.offset;
    writer.bytes(payload);
    const end = writer.offset;
    writer.zeros(16);
    if (first !== undefined) writer.buffer[0] = first;
    sealer.seal(writer.buffer, 0, payloadAt - 4, 4, end, packetNumber++);
    pair.inject(writer.written().slice(), CLIENT_ADDRESS, SERVER_ADDRESS);
    pair.runTo(pair.now + pair.link.latencyMs);
  };
  return { pair, server, say };
}

const hex = (text: string): Uint8Array => fromHex(text);
const connectionIdFrame = (sequenceNumber: number): string =>
  `18${sequenceNumber.toString(16).padStart(2, "0")}0008${sequenceNumber.toString(16).padStart(2, "0").repeat(8)}${
    "00".repeat(16)
  }`;

/** What breaks a rule, with the code of RFC 9000 §20.1 that must follow. */
const VIOLATIONS: readonly (readonly [string, Uint8Array, number])[] = [
  ["packet without frames (§12.4)", hex(""), 0x0a],
  ["unknown frame (§12.4)", hex("1f"), 0x07],
  ["extension frame that was not negotiated (§12.4)", hex("803d7e9000"), 0x07],
  ["HANDSHAKE_DONE from a client (§19.20)", hex("1e"), 0x0a],
  ["NEW_TOKEN from a client (§19.7)", hex("0701aa"), 0x0a],
  ["ACK of what was never sent (§13.1)", hex("0280010000000000"), 0x0a],
  ["STREAM on a stream that only we open (§19.8)", hex("0a0101aa"), 0x05],
  ["STREAM on a stream that only we send on (§19.8)", hex("0a0301aa"), 0x05],
  ["STREAM beyond the limit of streams (§4.6)", hex("0a41f001aa"), 0x04],
  ["STREAM beyond the limit of data (§4.1)", hex("0e008040000001aa"), 0x03],
  ["STREAM at 2^62 - 1 (§4.5)", hex("0e00ffffffffffffffff01aa"), 0x03],
  ["STREAM beyond its final size (§4.5)", hex("0b0001aa" + "0e000101aa"), 0x06],
  ["RESET_STREAM with another final size (§4.5)", hex("0b0001aa" + "04000002"), 0x06],
  ["RESET_STREAM below what was sent (§4.5)", hex("0a0003aabbcc" + "04000001"), 0x06],
  ["STOP_SENDING of a stream not opened (§19.5)", hex("050100"), 0x05],
  ["MAX_STREAM_DATA of a stream not opened (§19.10)", hex("110110"), 0x05],
  ["MAX_STREAMS above 2^60 (§19.11)", hex("12d000000000000001"), 0x07],
  ["STREAM_DATA_BLOCKED of our own sending (§19.13)", hex("150301"), 0x05],
  ["RETIRE_CONNECTION_ID of what was not issued (§19.16)", hex("193f"), 0x0a],
  [
    "NEW_CONNECTION_ID beyond the limit (§5.1.1)",
    hex([16, 17, 18, 19, 20, 21, 22, 23].map(connectionIdFrame).join("")),
    0x09,
  ],
  [
    "NEW_CONNECTION_ID that contradicts (§19.15)",
    hex(connectionIdFrame(16) + connectionIdFrame(16).replace("0810", "0811")),
    0x0a,
  ],
  ["CRYPTO beyond the buffer (§7.5)", hex("068001000101aa"), 0x0d],
  ["CRYPTO with a message that has no place there (RFC 9001 §4.1.3)", hex("060004" + "14000000"), 0x10a],
];

for (const [name, payload, code] of VIOLATIONS) {
  Deno.test(`Connection closes with 0x${code.toString(16)} on ${name}`, () => {
    const { pair, server, say } = rogueClient();
    say(payload);
    strictEqual(server.state, "closing", toHex(payload));
    deepStrictEqual(
      [server.closeReason?.by, server.closeReason?.code],
      ["transport", code],
      JSON.stringify(server.closeReason),
    );
    const [client] = pair.client.connections;
    pair.runUntil(() => client!.closeReason !== undefined);
    deepStrictEqual([client!.closeReason?.by, client!.closeReason?.code], ["peer", code]);
    ok(client!.closeReason!.reason.length > 0);
  });
}

Deno.test("Connection closes with 0xa on reserved bits (RFC 9000 §17.3.1)", () => {
  const { server, say } = rogueClient();
  say(hex("01"), 0x43 | 0x18);
  deepStrictEqual([server.state, server.closeReason?.code], ["closing", 0x0a]);
});

/** What is odd, and allowed. */
const ODDITIES: readonly (readonly [string, Uint8Array])[] = [
  ["PATH_RESPONSE that nobody asked for (§8.2.3)", hex("1b0102030405060708")],
  ["smaller limits than before (§4.1)", hex("1001" + "1201" + "1301")],
  ["DATA_BLOCKED, STREAMS_BLOCKED (§4.1)", hex("1405" + "1605" + "1705")],
  ["a stream opened out of order (§2.1)", hex("0a0801aa")],
  ["an empty STREAM frame without FIN (§19.8)", hex("0a0000")],
  ["data repeated (§2.2)", hex("0a0002aabb" + "0a0002aabb" + "0e000102bbcc")],
  ["RETIRE_CONNECTION_ID repeated (§19.16)", hex("1901" + "1901")],
  ["STOP_SENDING repeated (§3.5)", hex("0a0001aa" + "050007" + "050007")],
  ["a thousand PADDING frames (§19.1)", concatBytes(new Uint8Array(1000), hex("01"))],
  ["many challenges in one packet (§8.2.2)", hex("1a0102030405060708".repeat(20))],
];

for (const [name, payload] of ODDITIES) {
  Deno.test(`Connection stays open on ${name}`, () => {
    const { pair, server, say } = rogueClient();
    say(payload);
    say(hex("01"));
    pair.runTo(pair.now + 200);
    strictEqual(server.state, "confirmed", JSON.stringify(server.closeReason));
  });
}

Deno.test("Frames of random bytes close the connection with a code and never throw, seeds 1 to 200 (RFC 9000 §11.1)", () => {
  const { pair: seeds } = rogueClient();
  for (let seed = 1; seed <= 200; seed++) {
    const { server, say } = rogueClient();
    for (let packet = 0; packet < 10 && server.state === "confirmed"; packet++) {
      const bytes = seeds.random.fill(new Uint8Array(1 + seed % 60));
      bytes[0] = bytes[0]! % 0x32;
      say(bytes);
    }
    ok(["confirmed", "closing", "draining", "drained"].includes(server.state), `seed ${seed}`);
  }
});
