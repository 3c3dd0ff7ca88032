import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { NODE_AEAD_BACKEND } from "../../../protocols/crypto/node_aead.ts";
import { PacketHeader } from "../../../protocols/quic/packet.ts";
import {
  deriveHeaderKey,
  deriveInitialSecrets,
  derivePhaseKeys,
  INITIAL_SUITE,
  isRetryAuthentic,
  nextSecret,
  PacketOpener,
  PacketSealer,
  retryIntegrityTag,
} from "../../../protocols/quic/packet_protection.ts";
import type { ProtectionSuite } from "../../../protocols/quic/packet_protection.ts";
import {
  CHACHA20_PACKET,
  CLIENT_DCID,
  CLIENT_INITIAL,
  CLIENT_INITIAL_PACKET,
  RETRY_PACKET,
  SERVER_INITIAL,
  SERVER_INITIAL_PACKET,
} from "../../vectors/rfc9001_appendix_a.ts";

const CHACHA20: ProtectionSuite = { aead: "CHACHA20_POLY1305", hash: "SHA-256" };

function hexKeys(suite: ProtectionSuite, secret: Uint8Array): { key: string; iv: string; hp: string } {
  const { key, iv } = derivePhaseKeys(suite, secret);
  const hp = deriveHeaderKey(suite, secret);
  return { key: toHex(key), iv: toHex(iv), hp: toHex(hp) };
}

/** Seals `header` and `payload` in place; the packet number takes the header's last bytes. */
function seal(sealer: PacketSealer, header: string, payload: Uint8Array, packetNumber: number): Uint8Array {
  const packet = concatBytes(fromHex(header), payload, new Uint8Array(16));
  const packetNumberBytes = (packet[0]! & 0x03) + 1;
  const payloadAt = packet.length - payload.length - 16;
  sealer.seal(packet, 0, payloadAt - packetNumberBytes, packetNumberBytes, packet.length - 16, packetNumber);
  return packet;
}

Deno.test("Initial secrets and keys of both sides (RFC 9001 §A.1)", () => {
  const secrets = deriveInitialSecrets(fromHex(CLIENT_DCID));
  deepStrictEqual({ secret: toHex(secrets.client), ...hexKeys(INITIAL_SUITE, secrets.client) }, { ...CLIENT_INITIAL });
  deepStrictEqual({ secret: toHex(secrets.server), ...hexKeys(INITIAL_SUITE, secrets.server) }, { ...SERVER_INITIAL });
});

Deno.test("Client Initial is sealed and opened (RFC 9001 §A.2)", () => {
  const secrets = deriveInitialSecrets(fromHex(CLIENT_DCID));
  const payload = new Uint8Array(1162);
  payload.set(fromHex(CLIENT_INITIAL_PACKET.frame));
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, INITIAL_SUITE, secrets.client);
  const packet = seal(sealer, CLIENT_INITIAL_PACKET.header, payload, 2);
  strictEqual(toHex(packet), toHex(fromHex(CLIENT_INITIAL_PACKET.protected)));

  const header = new PacketHeader();
  strictEqual(header.read(packet, 0, packet.length), undefined);
  deepStrictEqual(
    [header.type, toHex(header.destinationConnectionId), header.sourceConnectionId.length, header.payloadStart],
    ["Initial", CLIENT_DCID, 0, 18],
  );
  const opener = new PacketOpener(NODE_AEAD_BACKEND, INITIAL_SUITE, secrets.client);
  strictEqual(opener.open(packet, 0, header.payloadStart, header.end, -1), true);
  deepStrictEqual([opener.packetNumber, opener.payloadStart, opener.payloadEnd], [2, 22, 1184]);
  strictEqual(toHex(packet.subarray(22, 1184)), toHex(payload));
});

Deno.test("Server Initial is sealed and opened (RFC 9001 §A.3)", () => {
  const secrets = deriveInitialSecrets(fromHex(CLIENT_DCID));
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, INITIAL_SUITE, secrets.server);
  const packet = seal(sealer, SERVER_INITIAL_PACKET.header, fromHex(SERVER_INITIAL_PACKET.payload), 1);
  strictEqual(toHex(packet), toHex(fromHex(SERVER_INITIAL_PACKET.protected)));
  const opener = new PacketOpener(NODE_AEAD_BACKEND, INITIAL_SUITE, secrets.server);
  strictEqual(opener.open(packet, 0, 18, packet.length, 0), true);
  strictEqual(opener.packetNumber, 1);
});

Deno.test("Retry carries the integrity tag of the Initial it answers (RFC 9001 §A.4)", () => {
  const retry = fromHex(RETRY_PACKET);
  const dcid = fromHex(CLIENT_DCID);
  strictEqual(toHex(retryIntegrityTag(NODE_AEAD_BACKEND, dcid, retry.subarray(0, -16))), RETRY_PACKET.slice(-32));
  strictEqual(isRetryAuthentic(NODE_AEAD_BACKEND, dcid, retry), true);
  strictEqual(isRetryAuthentic(NODE_AEAD_BACKEND, dcid.subarray(1), retry), false);
  for (let length = 0; length < retry.length; length++) {
    strictEqual(isRetryAuthentic(NODE_AEAD_BACKEND, dcid, retry.subarray(0, length)), false);
  }
  const header = new PacketHeader();
  strictEqual(header.read(retry, 0, retry.length), undefined);
  deepStrictEqual([header.type, new TextDecoder().decode(header.token)], ["Retry", "token"]);
});

Deno.test("ChaCha20-Poly1305 short header packet is sealed and opened (RFC 9001 §A.5)", () => {
  const secret = fromHex(CHACHA20_PACKET.secret);
  const { key, iv, hp, ku } = CHACHA20_PACKET;
  deepStrictEqual(hexKeys(CHACHA20, secret), { key, iv, hp });
  strictEqual(toHex(nextSecret(CHACHA20, secret)), ku);
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, CHACHA20, secret);
  const packet = seal(sealer, CHACHA20_PACKET.header, fromHex(CHACHA20_PACKET.payload), CHACHA20_PACKET.packetNumber);
  strictEqual(toHex(packet), CHACHA20_PACKET.protected);
  const opener = new PacketOpener(NODE_AEAD_BACKEND, CHACHA20, secret);
  strictEqual(opener.open(packet, 0, 1, packet.length, CHACHA20_PACKET.packetNumber - 1), true);
  strictEqual(opener.packetNumber, CHACHA20_PACKET.packetNumber);
});

Deno.test("Packet that is truncated or changed does not open and is counted (RFC 9001 §5.5, §6.6)", () => {
  const secret = fromHex(CHACHA20_PACKET.secret);
  const opener = new PacketOpener(NODE_AEAD_BACKEND, CHACHA20, secret);
  const whole = fromHex(CHACHA20_PACKET.protected);
  let failures = 0;
  for (let length = 0; length < whole.length; length++) {
    strictEqual(opener.open(whole.slice(0, length), 0, 1, length, CHACHA20_PACKET.packetNumber - 1), false);
  }
  strictEqual(opener.failedPackets, 0); // Too short to be packets: nothing was tried with the key.
  for (let i = 0; i < whole.length; i++) {
    const changed = whole.slice();
    changed[i] = changed[i]! ^ 0x01;
    // A changed first byte is still authenticated, as it is associated data.
    strictEqual(opener.open(changed, 0, 1, changed.length, CHACHA20_PACKET.packetNumber - 1), false);
    failures++;
  }
  strictEqual(opener.failedPackets, failures);
  strictEqual(opener.isLimitReached, false);
});

function shortPacket(sealer: PacketSealer, packetNumber: number): Uint8Array {
  const first = 0x43 | (sealer.keyPhase << 2);
  const header = toHex(Uint8Array.of(first, 0, 0, packetNumber >> 8, packetNumber));
  return seal(sealer, header, fromHex("0100"), packetNumber);
}

Deno.test("Key update opens both phases until the old one is discarded (RFC 9001 §6.3, §6.5)", () => {
  const secret = fromHex(CHACHA20_PACKET.secret);
  const sealer = new PacketSealer(NODE_AEAD_BACKEND, CHACHA20, secret);
  const opener = new PacketOpener(NODE_AEAD_BACKEND, CHACHA20, secret);
  const open = (packet: Uint8Array, largest: number): boolean =>
    opener.open(packet.slice(), 0, 1, packet.length, largest);
  const old = [0, 1, 2, 3].map((packetNumber) => shortPacket(sealer, packetNumber));
  strictEqual(open(old[0]!, -1), true);
  sealer.update();
  strictEqual(sealer.keyPhase, 1);
  strictEqual(sealer.sealedPackets, 0);
  const fresh = [4, 5].map((packetNumber) => shortPacket(sealer, packetNumber));
  strictEqual(open(fresh[1]!, 0), true);
  strictEqual(opener.isNewPhase, true);
  strictEqual(open(fresh[0]!, 5), true);
  strictEqual(opener.isNewPhase, false);
  strictEqual(open(old[1]!, 5), true);
  strictEqual(opener.hasPrevious, true);
  opener.discardPrevious();
  strictEqual(open(old[2]!, 5), false);
  sealer.update();
  strictEqual(open(shortPacket(sealer, 6), 5), true);
  strictEqual(opener.isNewPhase, true);
});

Deno.test("Key update that we initiate opens what the peer still sends in the old phase (RFC 9001 §6.1)", () => {
  const secret = fromHex(CHACHA20_PACKET.secret);
  const peer = new PacketSealer(NODE_AEAD_BACKEND, CHACHA20, secret);
  const opener = new PacketOpener(NODE_AEAD_BACKEND, CHACHA20, secret);
  const open = (packet: Uint8Array, largest: number): boolean => opener.open(packet, 0, 1, packet.length, largest);
  opener.update();
  strictEqual(open(shortPacket(peer, 0), -1), true);
  peer.update();
  strictEqual(open(shortPacket(peer, 1), 0), true);
  strictEqual(opener.isNewPhase, false);
  peer.update();
  strictEqual(open(shortPacket(peer, 2), 1), true);
  strictEqual(opener.isNewPhase, true);
});
