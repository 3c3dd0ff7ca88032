/**
 * A server, and a stranger that has the keys of its client.
 *
 * @module
 */

import { Writer } from "../../protocols/core/writer.ts";
import type { AeadBackend, AeadLimits } from "../../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { FrameDecoder } from "../../protocols/quic/frame.ts";
import { writeShortHeader } from "../../protocols/quic/packet.ts";
import { PacketOpener, PacketSealer } from "../../protocols/quic/packet_protection.ts";
import { CIPHER_SUITES } from "../../protocols/tls/cipher_suites.ts";
import type { KeyLogLabel } from "../../protocols/tls/events.ts";
import {
  CLIENT_ADDRESS,
  CLIENT_KEY,
  Pair,
  type PairOptions,
  rawKeyTls,
  SERVER_ADDRESS,
  SERVER_KEY,
} from "./quic_pair.ts";
import { type Closing, closingOfFrame } from "./raw_answers.ts";

const SUITE = CIPHER_SUITES.TLS_CHACHA20_POLY1305_SHA256;

/**
 * A server, and in its client's place somebody with the client's keys who says what he likes: the true client is cut off once
 * the handshake is confirmed.
 */
export class RogueClient {
  readonly pair: Pair;
  readonly server: QuicConnection;
  readonly sealer: PacketSealer;
  /** Largest number of the packets that the server has sent. */
  largestFromServer = -1;
  /** Key phases that they have begun. */
  phaseFromServer = 0;
  /** How many of them do not open. */
  unreadFromServer = 0;
  /** How the server has closed, once it has. */
  closing: Closing | undefined;
  readonly #opener: PacketOpener;
  readonly #frames = new FrameDecoder();
  #connectionId = new Uint8Array(0);
  #packetNumber = 1000;

  constructor(options: PairOptions = {}) {
    this.pair = new Pair({ clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog: true }, ...options });
    const early: Uint8Array[] = [];
    this.pair.filter = (from, bytes) => {
      if (from === this.pair.client && (bytes[0]! & 0x80) === 0) this.#connectionId = bytes.slice(1, 9);
      if (from === this.pair.server && (bytes[0]! & 0x80) === 0) early.push(bytes);
      return true;
    };
    this.server = this.pair.established().server;
    this.pair.runTo(this.pair.now + 200);
    this.sealer = new PacketSealer(NODE_AEAD_BACKEND, SUITE, this.#secret("CLIENT_TRAFFIC_SECRET_0"));
    this.#opener = new PacketOpener(NODE_AEAD_BACKEND, SUITE, this.#secret("SERVER_TRAFFIC_SECRET_0"));
    for (const bytes of early) this.#read(bytes);
    this.pair.filter = (from, bytes) => {
      if (from === this.pair.server) this.#read(bytes);
      return false;
    };
  }

  #secret(label: KeyLogLabel): Uint8Array {
    const logged = this.pair.client.events.find(({ event }) => event.type === "keyLog" && event.label === label)?.event;
    if (logged?.type !== "keyLog") throw new Error(`There is no ${label}`);
    return logged.secret;
  }

  #read(bytes: Uint8Array): void {
    const copy = bytes.slice();
    if (!this.#opener.open(copy, 0, 9, copy.length, this.largestFromServer)) {
      this.unreadFromServer++;
      return;
    }
    if (this.#opener.isNewPhase) this.phaseFromServer++;
    this.#frames.reset(copy.subarray(this.#opener.payloadStart, this.#opener.payloadEnd), "1");
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      if (frame.type === "CONNECTION_CLOSE") this.closing = closingOfFrame(frame);
    }
    this.largestFromServer = Math.max(this.largestFromServer, this.#opener.packetNumber);
  }

  /** The next packet number, which then is taken. */
  takeNumber(): number {
    return this.#packetNumber++;
  }

  /** Says it with this number and these keys, and lets it arrive. */
  say(payload: Uint8Array, sealer: PacketSealer = this.sealer, packetNumber: number = this.takeNumber()): void {
    const writer = new Writer(new Uint8Array(1500));
    writeShortHeader(writer, this.#connectionId, sealer.keyPhase, packetNumber, 4);
    const payloadAt = writer.offset;
    writer.bytes(payload);
    writer.zeros(Math.max(0, 4 - payload.length));
    const end = writer.offset;
    writer.zeros(16);
    sealer.seal(writer.buffer, 0, payloadAt - 4, 4, end, packetNumber);
    this.forge(writer.written().slice());
  }

  /** Lets any bytes arrive; a connection ID goes in front where one has its place. */
  forge(bytes: Uint8Array): void {
    bytes.set(this.#connectionId, 1);
    this.pair.inject(bytes, CLIENT_ADDRESS, SERVER_ADDRESS);
    this.pair.runTo(this.pair.now + this.pair.link.latencyMs);
  }

  /** Another sealer that begins where the client began. */
  oldSealer(): PacketSealer {
    return new PacketSealer(NODE_AEAD_BACKEND, SUITE, this.#secret("CLIENT_TRAFFIC_SECRET_0"));
  }
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** The backend of every day with other limits of packets than its AEADs have; none where none is named. */
export function backendWith(limits: Partial<AeadLimits>): AeadBackend {
  return {
    ...NODE_AEAD_BACKEND,
    limits: { confidentialityLimitPackets: NO_LIMIT, integrityLimitPackets: NO_LIMIT, ...limits },
  };
}
