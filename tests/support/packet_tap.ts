/**
 * Opens what one end of a QUIC connection sends, with the secrets of its key log, and seals it again with other frames: for
 * reading what was on the wire, and for peers that say what ours never would.
 *
 * @module
 */

import { concatBytes, fromHex } from "../../protocols/core/bytes.ts";
import type { Reader } from "../../protocols/core/reader.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import { decodeObservedAddress, isObservedAddress } from "../../protocols/quic/address_discovery.ts";
import { FrameDecoder } from "../../protocols/quic/frame.ts";
import type { ExtensionFrame, Frame } from "../../protocols/quic/frame.ts";
import { decodeTraversalFrame, layoutOf } from "../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../protocols/quic/nat_traversal/draft_seemann_02.ts";
import { PacketHeader, TAG_BYTES } from "../../protocols/quic/packet.ts";
import {
  deriveInitialSecrets,
  INITIAL_SUITE,
  PacketOpener,
  PacketSealer,
} from "../../protocols/quic/packet_protection.ts";
import type { ProtectionSuite } from "../../protocols/quic/packet_protection.ts";
import { CIPHER_SUITES } from "../../protocols/tls/cipher_suites.ts";

/** Packets that carry frames. */
export type TappedType = "Initial" | "Handshake" | "1-RTT";

/** A packet that was opened. */
export interface TappedPacket {
  readonly type: TappedType;
  readonly packetNumber: number;
  readonly payload: Uint8Array;
  /** Empty in a 1-RTT packet. */
  readonly sourceConnectionId: Uint8Array;
}

interface Keys {
  /** With each suite that the secret may be for, until a packet has shown which. */
  candidates: readonly { readonly opener: PacketOpener; readonly sealer: PacketSealer }[];
  largest: number;
}

/** A packet that was opened is sealed again: with another payload, and perhaps bits of its first byte set. */
export interface Rewritten {
  readonly payload: Uint8Array;
  /** Default 0. */
  readonly setBits?: number;
  /** In place of the Source Connection ID of a long header. */
  readonly sourceConnectionId?: Uint8Array;
  /** In place of the Destination Connection ID of a long header, if that is empty. */
  readonly destinationConnectionId?: Uint8Array;
}

/** One direction of one connection. */
export class PacketTap {
  readonly #sender: "client" | "server";
  readonly #keys = new Map<TappedType, Keys>();
  readonly #header = new PacketHeader();

  constructor(sender: "client" | "server") {
    this.#sender = sender;
  }

  /** The client's first datagram came by: Initial keys are made of it (RFC 9001 §5.2). Further ones change nothing. */
  onFirstInitial(bytes: Uint8Array): void {
    if (this.#keys.has("Initial")) return;
    const { destinationConnectionId } = this.#read(bytes, 0);
    this.#setInitialKeys(destinationConnectionId);
  }

  /** A datagram of the server came by: a Retry has other Initial keys made (RFC 9001 §5.2). */
  onServerDatagram(bytes: Uint8Array): void {
    if (((bytes[0] ?? 0) & 0xf0) !== 0xf0) return;
    const { type, sourceConnectionId } = this.#read(bytes, 0);
    if (type === "Retry") this.#setInitialKeys(sourceConnectionId);
  }

  #setInitialKeys(connectionId: Uint8Array): void {
    const secret = deriveInitialSecrets(connectionId)[this.#sender];
    this.#keys.set("Initial", keysOf([INITIAL_SUITE], secret));
  }

  /** A line of the key log of either end. */
  onSecret(label: string, secret: Uint8Array): void {
    const side = this.#sender.toUpperCase();
    const suites = Object.values(CIPHER_SUITES).filter(({ hash }) => SECRET_BYTES[hash] === secret.length);
    if (label === `${side}_HANDSHAKE_TRAFFIC_SECRET`) this.#keys.set("Handshake", keysOf(suites, secret));
    else if (label === `${side}_TRAFFIC_SECRET_0`) this.#keys.set("1-RTT", keysOf(suites, secret));
  }

  /** The packets of a datagram that there are keys for. */
  open(datagram: Uint8Array): TappedPacket[] {
    const packets: TappedPacket[] = [];
    this.#forEach(datagram.slice(), (bytes, type, keys) => {
      const opener = keys?.candidates[0]?.opener;
      if (opener === undefined || type === undefined) return;
      const { payloadStart, payloadEnd, packetNumber } = opener;
      const sourceConnectionId = this.#header.sourceConnectionId.slice();
      packets.push({ type, packetNumber, payload: bytes.slice(payloadStart, payloadEnd), sourceConnectionId });
    });
    return packets;
  }

  /**
   * Puts other frames into the packets of a datagram.
   *
   * @param change Returns the new payload of a packet, or `undefined` to leave it.
   */
  rewrite(datagram: Uint8Array, change: (packet: TappedPacket) => Uint8Array | Rewritten | undefined): Uint8Array {
    const parts: Uint8Array[] = [];
    this.#forEach(datagram.slice(), (bytes, type, keys) => {
      const { start, end } = this.#header;
      const untouched = datagram.slice(start, end);
      parts.push(untouched);
      const opened = keys?.candidates[0];
      if (opened === undefined || type === undefined) return;
      const { payloadStart, payloadEnd, packetNumber } = opened.opener;
      const sourceConnectionId = this.#header.sourceConnectionId.slice();
      const changed = change({
        type,
        packetNumber,
        payload: bytes.slice(payloadStart, payloadEnd),
        sourceConnectionId,
      });
      if (changed === undefined) return;
      const rewritten: Rewritten = changed instanceof Uint8Array ? { payload: changed } : changed;
      const { payload, setBits = 0 } = rewritten;
      const numberAt = this.#header.payloadStart;
      // The longest, as header protection takes its sample 4 bytes behind (RFC 9001 §5.4.2): a payload may be empty.
      const numberBytes = 4;
      const number = new Uint8Array(numberBytes);
      new DataView(number.buffer).setUint32(0, packetNumber);
      const header = bytes.subarray(start, numberAt);
      const front = type === "1-RTT" ? header : withConnectionIds(header, rewritten);
      const headerBytes = front.length + numberBytes;
      const sealed = concatBytes(front, number, payload, new Uint8Array(TAG_BYTES));
      sealed[0]! |= setBits | (numberBytes - 1);
      if (type !== "1-RTT") {
        // The Length of a long header is two bytes of ours, in front of the packet number.
        const length = numberBytes + payload.length + TAG_BYTES;
        const lengthAt = headerBytes - numberBytes - 2;
        sealed[lengthAt] = 0x40 | (length >> 8);
        sealed[lengthAt + 1] = length & 0xff;
      }
      opened.sealer.seal(
        sealed,
        0,
        headerBytes - numberBytes,
        numberBytes,
        headerBytes + payload.length,
        packetNumber,
      );
      parts[parts.length - 1] = sealed;
    });
    return concatBytes(...parts);
  }

  #forEach(bytes: Uint8Array, each: (bytes: Uint8Array, type: TappedType | undefined, keys?: Keys) => void): void {
    for (let at = 0; at < bytes.length;) {
      const { type, start, payloadStart, end } = this.#read(bytes, at);
      const known = type === "Initial" || type === "Handshake" || type === "1-RTT" ? type : undefined;
      const keys = known === undefined ? undefined : this.#keys.get(known);
      const fitting = keys?.candidates.find(({ opener }) => opener.open(bytes, start, payloadStart, end, keys.largest));
      if (keys !== undefined && fitting !== undefined) {
        keys.candidates = [fitting];
        keys.largest = Math.max(keys.largest, fitting.opener.packetNumber);
        each(bytes, known, keys);
      } else {
        each(bytes, undefined);
      }
      at = end;
    }
  }

  #read(bytes: Uint8Array, at: number): PacketHeader {
    const fault = this.#header.read(bytes, at, bytes.length);
    if (fault !== undefined) throw new Error(`Cannot tap this: ${fault}`);
    return this.#header;
  }
}

/** A long header with other IDs. */
function withConnectionIds(header: Uint8Array, ids: Rewritten): Uint8Array {
  const sourceAt = 6 + header[5]!;
  const restAt = sourceAt + 1 + header[sourceAt]!;
  const was = header.subarray(6, sourceAt);
  const destination = was.length === 0 ? ids.destinationConnectionId ?? was : was;
  const source = ids.sourceConnectionId ?? header.subarray(sourceAt + 1, restAt);
  const lengths = [Uint8Array.of(destination.length), Uint8Array.of(source.length)] as const;
  return concatBytes(header.subarray(0, 5), lengths[0], destination, lengths[1], source, header.subarray(restAt));
}

const SECRET_BYTES = { "SHA-256": 32, "SHA-384": 48 } as const;

function keysOf(suites: readonly ProtectionSuite[], secret: Uint8Array): Keys {
  const candidates = suites.map((suite) => ({
    opener: new PacketOpener(NODE_AEAD_BACKEND, suite, secret),
    sealer: new PacketSealer(NODE_AEAD_BACKEND, suite, secret),
  }));
  return { candidates, largest: -1 };
}

/** The frames of a packet, those of all extensions among them. Bytes in them are views of the payload. */
export function framesOf({ type, payload }: TappedPacket): Frame[] {
  const decoder = new FrameDecoder();
  decoder.extensions = { decode: decodeExtension };
  decoder.reset(payload, type === "1-RTT" ? "1" : type === "Initial" ? "I" : "H");
  const frames: Frame[] = [];
  // STREAM and ACK are the decoder's own objects: what a test looks at is copied.
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push({ ...frame });
  return frames;
}

/** Reads a frame of any extension, whoever sends it. */
export function decodeExtension(type: number, reader: Reader): ExtensionFrame | undefined {
  if (isObservedAddress(type)) return decodeObservedAddress(type, reader);
  const layout = layoutOf(DRAFT_SEEMANN_02, type);
  return layout === undefined ? undefined : decodeTraversalFrame(layout, type, reader, layout.sender);
}

/** Hexadecimal, or bytes as they are. */
export function bytesOf(frames: string | Uint8Array): Uint8Array {
  return typeof frames === "string" ? fromHex(frames) : frames;
}
