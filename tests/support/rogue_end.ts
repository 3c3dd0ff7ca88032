/**
 * A connection one end of which is in the hands of a stranger that has its keys.
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
  type Peer,
  rawKeyTls,
  SERVER_ADDRESS,
  SERVER_KEY,
} from "./quic_pair.ts";
import { type Closing, closingOfFrame } from "./raw_answers.ts";

const SUITE = CIPHER_SUITES.TLS_CHACHA20_POLY1305_SHA256;

/**
 * A connection, and in the place of one end somebody with its keys who says what he likes: the true end is cut off once the
 * handshake is confirmed.
 */
export class RogueEnd {
  readonly pair: Pair;
  /** The other end. */
  readonly victim: QuicConnection;
  readonly sealer: PacketSealer;
  /** Largest number of the packets that the victim has sent. */
  largestHeard = -1;
  /** Key phases that they have begun. */
  phaseHeard = 0;
  /** How many of them do not open. */
  unreadPackets = 0;
  /** How the victim has closed, once it has. */
  closing: Closing | undefined;
  readonly #own: Peer;
  readonly #ownSecret: Uint8Array;
  readonly #opener: PacketOpener;
  readonly #frames = new FrameDecoder();
  #connectionId = new Uint8Array(0);
  #packetNumber = 1000;

  /** @param by Which end is the rogue's. */
  constructor(options: PairOptions = {}, by: "client" | "server" = "client") {
    this.pair = new Pair({ clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog: true }, ...options });
    const { client, server } = this.pair;
    const [own, other] = by === "client" ? [client, server] : [server, client];
    this.#own = own;
    const early: Uint8Array[] = [];
    this.pair.filter = (from, bytes) => {
      if ((bytes[0]! & 0x80) !== 0) return true;
      if (from === own) this.#connectionId = bytes.slice(1, 9);
      else early.push(bytes);
      return true;
    };
    this.victim = this.pair.established()[by === "client" ? "server" : "client"];
    this.pair.runTo(this.pair.now + 200);
    const secrets = [this.#secret("CLIENT_TRAFFIC_SECRET_0"), this.#secret("SERVER_TRAFFIC_SECRET_0")] as const;
    const [ownSecret, victimSecret] = by === "client" ? secrets : [secrets[1], secrets[0]];
    this.#ownSecret = ownSecret;
    this.sealer = this.oldSealer();
    this.#opener = new PacketOpener(NODE_AEAD_BACKEND, SUITE, victimSecret);
    for (const bytes of early) this.#read(bytes);
    this.pair.filter = (from, bytes) => {
      if (from === other) this.#read(bytes);
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
    if (!this.#opener.open(copy, 0, 9, copy.length, this.largestHeard)) {
      this.unreadPackets++;
      return;
    }
    if (this.#opener.isNewPhase) this.phaseHeard++;
    this.#frames.reset(copy.subarray(this.#opener.payloadStart, this.#opener.payloadEnd), "1");
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      if (frame.type === "CONNECTION_CLOSE") this.closing = closingOfFrame(frame);
    }
    this.largestHeard = Math.max(this.largestHeard, this.#opener.packetNumber);
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
    const [from, to] = this.#own === this.pair.client
      ? [CLIENT_ADDRESS, SERVER_ADDRESS]
      : [SERVER_ADDRESS, CLIENT_ADDRESS];
    this.pair.inject(bytes, from, to);
    this.pair.runTo(this.pair.now + this.pair.link.latencyMs);
  }

  /** Another sealer that begins where the true end began. */
  oldSealer(): PacketSealer {
    return new PacketSealer(NODE_AEAD_BACKEND, SUITE, this.#ownSecret);
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
