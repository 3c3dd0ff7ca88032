/**
 * A peer that has the keys and says almost the right thing: packets of a real connection of ours whose payload is damaged
 * before it is sealed, in every packet number space and from the first Initial on. What may be seen: nothing thrown, a close
 * with a code of RFC 9000 §20.1 or none, tables within their limits, and empty in the end.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { concatBytes } from "../../protocols/core/bytes.ts";
import { randomBytes, randomUnit } from "../../protocols/core/random.ts";
import type { Random } from "../../protocols/core/random.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import { TRANSPORT_ERROR } from "../../protocols/quic/errors.ts";
import type { TappedPacket, TappedType } from "./packet_tap.ts";
import { CLIENT_KEY, Pair, rawKeyTls, readAll, SERVER_KEY } from "./quic_pair.ts";
import { RawPeer } from "./raw_peer.ts";
import { seededRandom } from "./seeded_random.ts";
import { below, mutated, pick, Seen } from "./stranger.ts";

const TYPES: readonly TappedType[] = ["Initial", "Handshake", "1-RTT"];
const CODES: readonly number[] = Object.values(TRANSPORT_ERROR);
const IDLE_TIMEOUT_MS = 3000;
/** Payload that still fits a datagram. */
const MAX_PAYLOAD_BYTES = 1350;

/** What a storm did: for reports. */
export interface KeyedCounts {
  readonly datagrams: number;
  readonly damaged: number;
  /** How our end closed the connection, if it did. */
  readonly code: number | undefined;
  /** Whether our end has completed the handshake. */
  readonly isEstablished: boolean;
}

/**
 * One connection with a peer on `side` that damages what it says.
 *
 * @throws {Error} If anything is seen that may not be.
 */
export function keyedStorm(seed: number, side: "client" | "server"): KeyedCounts {
  const random = seededRandom(seed ^ 0xc0de);
  const transport = { ...DEFAULT_TRANSPORT_SETTINGS, idleTimeoutMs: IDLE_TIMEOUT_MS };
  const pair = new Pair({
    seed,
    link: { latencyMs: 5, loss: pick(random, [0, 0, 0.1]) },
    transport,
    clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog: true },
    serverTls: { ...rawKeyTls(SERVER_KEY, CLIENT_KEY), keyLog: true },
  });
  const raw = new RawPeer(pair, side);
  // Where the damage begins, and how much of what follows is damaged.
  const first = pick(random, TYPES);
  const rate = pick(random, [0.05, 0.3, 1]);
  const seen = new Seen(random);
  let damaged = 0;
  raw.alter = ({ type, payload }: TappedPacket): Uint8Array | undefined => {
    seen.add(payload);
    if (TYPES.indexOf(type) < TYPES.indexOf(first) || randomUnit(random) >= rate) return undefined;
    damaged++;
    const changed = damagedPayload(payload, random, seen).subarray(0, MAX_PAYLOAD_BYTES);
    // Packets without frames are in tests/errors/packets.ts; header protection wants four bytes.
    return changed.length < 4 ? concatBytes(changed, new Uint8Array(4)) : changed;
  };
  for (const peer of [pair.client, pair.server]) {
    const { onEvent } = peer;
    peer.onEvent = (connection, event): void => {
      onEvent(connection, event);
      if (event.type === "handshakeComplete") {
        const id = connection.openStream("bidirectional");
        if (id === undefined) return;
        connection.write(id, new Uint8Array(5000));
        connection.finish(id);
      }
      if (event.type === "streamReadable") readAll(connection, event.id);
      if (event.type === "datagramReadable") { for (let n = 0; n < 300 && connection.readDatagram(); n++); }
    };
  }
  const client = pair.connect();
  const ours = (): typeof client | undefined => (side === "server" ? client : pair.server.connections[0]);
  for (let round = 0; round < 12; round++) {
    const mine = raw.isConnected ? raw.connection : undefined;
    if (mine?.isEstablished === true && mine.state !== "drained" && mine.state !== "closing") mine.ping();
    pair.drain();
    pair.runTo(pair.now + 30);
    for (const { endpoint } of [pair.client, pair.server]) {
      const { connections = 0, routes = 0, answers = 0 } = endpoint.tableSizes;
      ok(connections <= 1 && routes <= 5 && answers <= 32, JSON.stringify(endpoint.tableSizes));
    }
    const { streams = 0 } = ours()?.stats ?? {};
    ok(streams <= 201, `${streams} streams`);
  }
  const closed = ours()?.closeReason;
  if (closed?.by === "transport") {
    ok(CODES.includes(closed.code) || (closed.code >= 0x100 && closed.code <= 0x1ff), JSON.stringify(closed));
    ok(closed.code !== TRANSPORT_ERROR.INTERNAL_ERROR, JSON.stringify(closed));
  }
  raw.alter = (): undefined => undefined;
  pair.runTo(pair.now + 8 * IDLE_TIMEOUT_MS);
  for (const { name, endpoint } of [pair.client, pair.server]) {
    for (const [table, size] of Object.entries(endpoint.tableSizes)) strictEqual(size, 0, `${name} ${table}`);
  }
  return {
    datagrams: pair.sent.client + pair.sent.server,
    damaged,
    code: closed?.by === "transport" ? closed.code : undefined,
    isEstablished: pair[side === "server" ? "client" : "server"].timeOf("handshakeComplete") !== undefined,
  };
}

/** What becomes of a payload: its bytes or its frames are changed, or others put in front of it. */
function damagedPayload(payload: Uint8Array, random: Random, seen: Seen): Uint8Array {
  switch (below(random, 5)) {
    case 0:
      return concatBytes(randomFrame(random), payload);
    case 1:
      return concatBytes(randomFrame(random), randomFrame(random), randomFrame(random));
    case 2:
      // What was said in another packet, perhaps of another space.
      return seen.any() ?? payload;
    default:
      return mutated(payload, random, seen.any());
  }
}

/** A frame of any type with fields that mean something, or nearly do. */
function randomFrame(random: Random): Uint8Array {
  const type = pick(random, [...Array(0x1f).keys(), 0x30, 0x31]);
  const fields: Uint8Array[] = [Uint8Array.of(type)];
  for (let i = below(random, 5); i > 0; i--) {
    fields.push(pick(random, [
      Uint8Array.of(below(random, 64)),
      Uint8Array.of(0x40 | below(random, 64), below(random, 256)),
      Uint8Array.of(0x80, 0, below(random, 256), below(random, 256)),
      new Uint8Array(8).fill(0xff),
    ]));
  }
  return concatBytes(...fields, randomBytes(random, pick(random, [0, 0, 8, 16, 24])));
}
