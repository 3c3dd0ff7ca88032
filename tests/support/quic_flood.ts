/**
 * A QUIC server that is flooded by one that has the keys of its own connection there, or by strangers from any address, while
 * an honest client beside it asks and is answered.
 *
 * @module
 */

import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import { Writer } from "../../protocols/core/writer.ts";
import type { AeadBackend } from "../../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { Frame } from "../../protocols/quic/frame.ts";
import { writeShortHeader } from "../../protocols/quic/packet.ts";
import { PacketSealer } from "../../protocols/quic/packet_protection.ts";
import { writeVarint } from "../../protocols/quic/varint.ts";
import { CIPHER_SUITES } from "../../protocols/tls/cipher_suites.ts";
import { framesOf, PacketTap } from "./packet_tap.ts";
import { AnswerLedger } from "./stranger.ts";
import { CLIENT_KEY, Pair, rawKeyTls, readAll, SERVER_ADDRESS, SERVER_KEY } from "./quic_pair.ts";

/** Where the flood comes from, unless from strangers. */
export const FLOODER_ADDRESS: Address = addressOf("203.0.113.66", 6666);
/** How long a flood lasts, and what the honest client does without one is measured for. */
const FLOOD_MS = 500;
/** What the honest client asks for at a time; it asks again when it has the answer. */
const REQUEST_BYTES = 20_000;
/** How long after the flood everything of it must be over. */
const SETTLING_MS = 40_000;

/** What to flood with. */
export interface FloodOptions {
  /** Datagrams in each virtual millisecond. */
  readonly perMs: number;
  /** What the flooder says in the packet with that number, from 0; `undefined`: nothing this time. */
  readonly frames?: (n: number, flood: Flood) => Uint8Array | undefined;
  /** Instead: a datagram from any address. */
  readonly datagram?: (n: number, flood: Flood) => { readonly from: Address; readonly bytes: Uint8Array };
  /** Where the packet with that number comes from. Default: always the same address. */
  readonly from?: (n: number) => Address;
  /** Packet numbers that are left out after each. */
  readonly skippedNumbers?: number;
  /** Whether what the server sends is acknowledged. Default true. */
  readonly acknowledges?: boolean;
  /** Whether the server's application reads what the flooder sends. Default true. */
  readonly isRead?: boolean;
  /** Asked each millisecond: what must hold at any time. */
  readonly check?: (flood: Flood) => void;
}

/** What came of it. */
export interface FloodOutcome {
  /** Bytes that the honest client had back in the time, and without the flood. */
  readonly honestBytes: number;
  readonly undisturbedBytes: number;
  readonly floodDatagrams: number;
  /** Per byte of the flood, what the server sent to where it came from. */
  readonly answerFactor: number;
  /** Packets that the server sealed or opened, per datagram of the flood, what it did for the honest client left out. */
  readonly packetsPerDatagram: number;
  /** Time of this machine that it took to receive a datagram and to answer: to be told, not to be judged. */
  readonly microsPerDatagram: number;
  /** How the server closed the flooder's connection, if it did. */
  readonly code: number | undefined;
}

/** The flood and those who see it. */
export class Flood {
  readonly pair: Pair;
  /** The flooder's connection at the server. */
  readonly server: QuicConnection;
  /** Frames that the server has sent to the flooder; the latest last. */
  readonly heard: Frame[] = [];
  readonly #options: FloodOptions;
  readonly #sealer: PacketSealer;
  readonly #ledger = new AnswerLedger();
  readonly #tap = new PacketTap("server");
  readonly #work: { packets: number };
  #connectionId = new Uint8Array(0);
  #packetNumber = 1000;
  #largestHeard = -1;
  #sentBytes = 0;
  #sentDatagrams = 0;
  #answerBytes = 0;
  #honestBytes = 0;

  constructor(options: FloodOptions) {
    this.#options = options;
    const work = this.#work = { packets: 0 };
    const pair = this.pair = new Pair({ server: { aead: countingBackend(work) } });
    const keyed = { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog: true };
    const base = pair.client.addBase(FLOODER_ADDRESS);
    let last: Uint8Array = new Uint8Array(0);
    pair.filter = (from, bytes): boolean => {
      if (from === pair.client && (bytes[0]! & 0x80) === 0) this.#connectionId = bytes.slice(1, 9);
      if (from === pair.server) last = bytes;
      return true;
    };
    const { client, server } = pair.established({ base, tls: keyed });
    pair.runTo(pair.now + 100);
    this.server = server;
    let secret: Uint8Array | undefined;
    for (const { event } of pair.client.events) {
      if (event.type !== "keyLog") continue;
      this.#tap.onSecret(event.label, event.secret);
      if (event.label === "CLIENT_TRAFFIC_SECRET_0") secret = event.secret;
    }
    if (secret === undefined) throw new Error("There is no secret");
    this.#sealer = new PacketSealer(NODE_AEAD_BACKEND, CIPHER_SUITES.TLS_CHACHA20_POLY1305_SHA256, secret);
    this.#hear(last);
    // From here on the flooder speaks for its client.
    pair.filter = (from, bytes, hop): boolean => {
      if (hop.from === FLOODER_ADDRESS) return false;
      if (from !== pair.server || hop.to === pair.client.base.local) return true;
      this.#answerBytes += bytes.length;
      if (hop.to === FLOODER_ADDRESS) this.#hear(bytes);
      else this.#ledger.onSent(hop.to, bytes.length);
      return false;
    };
    pair.admits = (hop, bytes): boolean => {
      if (hop.to === SERVER_ADDRESS && hop.from !== FLOODER_ADDRESS) this.#ledger.onReceived(hop.from, bytes.length);
      return true;
    };
    client.abandon();
  }

  /** Lets the honest client work alone, floods it, and looks at what is left. */
  run(): FloodOutcome {
    const { pair } = this;
    const honest = this.#ask();
    pair.runTo(pair.now + FLOOD_MS);
    this.#honestBytes = 0;
    const workBefore = this.#work.packets;
    const honestMs = spent(() => pair.runTo(pair.now + FLOOD_MS));
    const undisturbedBytes = this.#honestBytes;
    const honestWork = this.#work.packets - workBefore;
    this.#honestBytes = 0;
    this.#answerBytes = 0;
    const workAtFlood = this.#work.packets;
    let floodMs = 0;
    for (let ms = 0; ms < FLOOD_MS; ms++) {
      for (let i = 0; i < this.#options.perMs; i++) this.#send(ms * this.#options.perMs + i);
      floodMs += spent(() => pair.runTo(pair.now + 1));
      this.#options.check?.(this);
    }
    const honestBytes = this.#honestBytes;
    const floodWork = this.#work.packets - workAtFlood - (honestWork * honestBytes) / undisturbedBytes;
    const { closeReason } = this.server;
    const outcome = {
      honestBytes,
      undisturbedBytes,
      floodDatagrams: this.#sentDatagrams,
      answerFactor: this.#answerBytes / Math.max(1, this.#sentBytes),
      packetsPerDatagram: floodWork / Math.max(1, this.#sentDatagrams),
      microsPerDatagram: 1000 * (floodMs - honestMs) / Math.max(1, this.#sentDatagrams),
      code: closeReason?.by === "transport" ? closeReason.code : undefined,
    };
    honest.close(0, "", pair.now);
    pair.runTo(pair.now + SETTLING_MS, 100_000);
    const left = Object.entries(pair.server.endpoint.tableSizes).filter(([, size]) => size > 0);
    if (left.length > 0) throw new Error(`The flood has left ${JSON.stringify(left)}`);
    return outcome;
  }

  #ask(): QuicConnection {
    const { pair } = this;
    const honest = pair.connect();
    const request = (): void => {
      const id = honest.openStream("bidirectional");
      if (id === undefined) return;
      honest.write(id, new Uint8Array(REQUEST_BYTES));
      honest.finish(id);
    };
    pair.client.onEvent = (connection, event): void => {
      if (connection !== honest) return;
      if (event.type === "handshakeComplete" || event.type === "streamsAvailable") request();
      if (event.type === "streamReadable") this.#honestBytes += readAll(connection, event.id).length;
      if (event.type === "streamClosed") request();
    };
    pair.server.onEvent = (connection, event): void => {
      if (connection === this.server && this.#options.isRead === false) return;
      if (event.type === "streamReadable") connection.write(event.id, readAll(connection, event.id));
      if ((event.type === "streamReadable" || event.type === "streamWritable") && connection.isAtEnd(event.id)) {
        connection.finish(event.id);
      }
    };
    return honest;
  }

  #send(n: number): void {
    const { frames, datagram, acknowledges = true, skippedNumbers = 0 } = this.#options;
    if (datagram !== undefined) {
      const { from, bytes } = datagram(n, this);
      return this.#inject(bytes, from);
    }
    const said = frames?.(n, this);
    if (said === undefined) return;
    const ack = acknowledges && this.#largestHeard >= 0 ? ackOf(this.#largestHeard) : new Uint8Array(0);
    const payload = concatBytes(ack, said);
    const writer = new Writer(new Uint8Array(1500));
    writeShortHeader(writer, this.#connectionId, 0, this.#packetNumber, 4);
    const payloadAt = writer.offset;
    writer.bytes(payload);
    writer.zeros(Math.max(0, 4 - payload.length));
    const end = writer.offset;
    writer.zeros(16);
    this.#sealer.seal(writer.buffer, 0, payloadAt - 4, 4, end, this.#packetNumber);
    this.#packetNumber += 1 + skippedNumbers;
    this.#inject(writer.written().slice(), this.#options.from?.(n) ?? FLOODER_ADDRESS);
  }

  #inject(bytes: Uint8Array, from: Address): void {
    this.#sentBytes += bytes.length;
    this.#sentDatagrams++;
    this.pair.inject(bytes, from, SERVER_ADDRESS);
  }

  #hear(bytes: Uint8Array): void {
    if ((bytes[0]! & 0x80) !== 0) return;
    for (const packet of this.#tap.open(bytes)) {
      this.#largestHeard = Math.max(this.#largestHeard, packet.packetNumber);
      for (const frame of framesOf(packet)) {
        if (frame.type === "PADDING" || frame.type === "ACK") continue;
        this.heard.push(frame);
        if (this.heard.length > 1000) this.heard.shift();
      }
    }
  }
}

/** Milliseconds of this machine. */
function spent(act: () => void): number {
  const from = performance.now();
  act();
  return performance.now() - from;
}

/** Fields of a frame. */
export function varints(...values: readonly number[]): Uint8Array {
  const writer = new Writer(new Uint8Array(8 * values.length));
  for (const value of values) writeVarint(writer, value);
  return writer.written().slice();
}

/** Everything up to there. */
function ackOf(largest: number): Uint8Array {
  return varints(0x02, largest, 0, 0, largest);
}

function countingBackend(work: { packets: number }): AeadBackend {
  return {
    ...NODE_AEAD_BACKEND,
    aead: (name, key) => {
      const aead = NODE_AEAD_BACKEND.aead(name, key);
      return {
        tagBytes: aead.tagBytes,
        seal: (nonce, buffer, aadStart, start, end): void => {
          work.packets++;
          aead.seal(nonce, buffer, aadStart, start, end);
        },
        open: (nonce, buffer, aadStart, start, end): boolean => {
          work.packets++;
          return aead.open(nonce, buffer, aadStart, start, end);
        },
      };
    },
  };
}
