/**
 * A peer that says what ours never would: a real connection of ours whose packets get other frames on their way out. It has
 * the keys and sends the packet numbers that the other end expects, so that nothing is wrong but what a test wants to be.
 *
 * @module
 */

import { concatBytes } from "../../protocols/core/bytes.ts";
import type { Frame } from "../../protocols/quic/frame.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { varintBytes } from "../../protocols/quic/varint.ts";
import { bytesOf, framesOf, PacketTap } from "./packet_tap.ts";
import type { Rewritten, TappedPacket, TappedType } from "./packet_tap.ts";
import type { Hop, Pair, Peer } from "./quic_pair.ts";

const EMPTY_ID = new Uint8Array(0);

/** How frames are said. */
export interface SayingOptions {
  /** In which packet. Default `1-RTT`. */
  readonly packet?: TappedType;
  /** Instead of what the packet would have said, and not in front of it. */
  readonly alone?: boolean;
  /** Bits of the packet's first byte that are set beside those that are. Default none. */
  readonly setBits?: number;
  /** On which path. Default any. */
  readonly hop?: (hop: Hop) => boolean;
}

interface Saying {
  readonly setBits: number;
  readonly frames: Uint8Array;
  readonly packet: TappedType;
  readonly alone: boolean;
  readonly hop: (hop: Hop) => boolean;
}

/** A packet of either end, as it left. */
export interface SentFrames {
  readonly at: number;
  readonly hop: Hop;
  readonly type: TappedType;
  readonly frames: readonly Frame[];
  readonly datagramBytes: number;
}

/** A payload whose NEW_CONNECTION_ID frames have become PADDING. */
export function withoutConnectionIds(packet: TappedPacket): Uint8Array {
  const payload = packet.payload.slice();
  for (const frame of framesOf({ ...packet, payload })) {
    if (frame.type !== "NEW_CONNECTION_ID") continue;
    const idAt = frame.connectionId.byteOffset - payload.byteOffset;
    const headerBytes = 1 + varintBytes(frame.sequenceNumber) + varintBytes(frame.retirePriorTo) + 1;
    payload.fill(0, idAt - headerBytes, idAt + frame.connectionId.length + frame.statelessResetToken.length);
  }
  return payload;
}

/** One end of a pair, raw. Its TLS must have a key log. */
export class RawPeer {
  readonly #pair: Pair;
  readonly #peer: Peer;
  readonly #taps: Record<"client" | "server", PacketTap>;
  /** What both ends have sent, before anything was put into it. */
  readonly sent: Record<"client" | "server", SentFrames[]> = { client: [], server: [] };
  /** What else becomes of the payload of a packet on its way out, if nothing is said in it. */
  alter: (packet: TappedPacket) => Uint8Array | undefined = () => undefined;
  /** What becomes of the payload of a packet of the other end before it gets here. */
  hear: (packet: TappedPacket) => Uint8Array | undefined = () => undefined;
  /** Whether its connection ID is empty, as far as the other end can see. It hears nothing in 1-RTT packets then. */
  hasEmptyId = false;
  /** The ID that is its own all the same. */
  #connectionId: Uint8Array | undefined;
  #sayings: Saying[] = [];

  constructor(pair: Pair, side: "client" | "server") {
    this.#pair = pair;
    this.#peer = pair[side];
    this.#taps = { client: new PacketTap("client"), server: new PacketTap("server") };
    const { rewrite } = pair;
    pair.rewrite = (from, bytes, hop) => this.#rewrite(from, rewrite(from, bytes, hop), hop);
    for (const peer of [pair.client, pair.server]) {
      const { onEvent } = peer;
      peer.onEvent = (connection, event) => {
        onEvent(connection, event);
        if (event.type !== "keyLog") return;
        for (const tap of Object.values(this.#taps)) tap.onSecret(event.label, event.secret);
      };
    }
  }

  /** Whether it has a connection yet. */
  get isConnected(): boolean {
    return this.#peer.connections.length > 0;
  }

  /** Its connection. */
  get connection(): QuicConnection {
    const [connection] = this.#peer.connections;
    if (connection === undefined) throw new Error("The raw peer has no connection yet");
    return connection;
  }

  /** Puts frames, hexadecimal or bytes, into the next packet of a kind that leaves by itself. */
  prepare(frames: string | Uint8Array, options: SayingOptions = {}): void {
    const { packet = "1-RTT", alone = false, setBits = 0, hop = () => true } = options;
    this.#sayings.push({ frames: bytesOf(frames), packet, alone, setBits, hop });
  }

  /** Says frames at once in a 1-RTT packet, and lets them arrive. */
  say(frames: string | Uint8Array, options: SayingOptions = {}): void {
    this.prepare(frames, options);
    this.connection.ping();
    this.#pair.drain();
    if (this.#sayings.length > 0) throw new Error("No packet left that could say it");
    this.#pair.runTo(this.#pair.now + 100);
  }

  /** The code that the other end closed the connection with, as it came in; `undefined` if it has not. */
  get closeCode(): number | undefined {
    const reason = this.connection.closeReason;
    return reason?.by === "peer" ? reason.code : undefined;
  }

  #rewrite(from: Peer, bytes: Uint8Array, hop: Hop): Uint8Array {
    const side = from === this.#pair.client ? "client" : "server";
    for (const tap of Object.values(this.#taps)) {
      if (side === "client") tap.onFirstInitial(bytes);
      else tap.onServerDatagram(bytes);
    }
    return this.#taps[side].rewrite(bytes, (packet) => {
      const { type, payload } = packet;
      const frames = framesOf(packet);
      this.sent[side].push({ at: this.#pair.now, hop, type, frames, datagramBytes: bytes.length });
      if (from !== this.#peer) return this.#withId(packet, this.hear(packet), "destinationConnectionId");
      this.#connectionId ??= packet.sourceConnectionId;
      const saying = this.#sayings.find((other) => other.packet === type && other.hop(hop));
      if (saying === undefined) return this.#withId(packet, this.alter(packet), "sourceConnectionId");
      this.#sayings = this.#sayings.filter((other) => other !== saying);
      const { setBits } = saying;
      const said = { payload: saying.alone ? saying.frames : concatBytes(saying.frames, payload), setBits };
      return this.hasEmptyId ? { ...said, sourceConnectionId: EMPTY_ID } : said;
    });
  }

  /** Hides its ID in what it sends, and puts it back into what comes. */
  #withId(
    packet: TappedPacket,
    payload: Uint8Array | undefined,
    which: "sourceConnectionId" | "destinationConnectionId",
  ): Uint8Array | Rewritten | undefined {
    if (!this.hasEmptyId) return payload;
    const id = which === "sourceConnectionId" ? EMPTY_ID : this.#connectionId ?? EMPTY_ID;
    return { payload: payload ?? packet.payload, [which]: id };
  }
}
