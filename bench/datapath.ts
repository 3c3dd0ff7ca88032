/**
 * The yardstick: what this runtime can carry at all. Two processes over loopback do for each datagram what any QUIC has to,
 * and nothing of QUIC: copy the payload, seal, mask the header, send; receive, unmask, open, copy out; small sealed packets
 * back, one for every two as RFC 9000 §13.2.2 recommends, or (`--acks batch`) one for whatever was there to be received
 * together, as our host and engine do it. Straight on the runtime's sockets, without driver, host or tables.
 *
 *     deno run -A --unstable-net bench/datapath.ts receive --aead CHACHA20_POLY1305 --acks two
 *     deno run -A --unstable-net bench/datapath.ts send --aead CHACHA20_POLY1305 --port PORT --mebibytes 128
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { Aead, AeadName, HeaderProtection } from "../protocols/crypto/aead.ts";
import { AEAD_PROPERTIES } from "../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../protocols/crypto/node_aead.ts";
import { cpuTime, DATAGRAM_BYTES, PAYLOAD_BYTES, report } from "./support/roles.ts";

/** First byte, an 8 byte connection ID, a 4 byte packet number. */
const HEADER_BYTES = 13;
const PACKET_NUMBER_AT = 9;
const TAG_BYTES = 16;
/** Where the data is: behind what a STREAM frame says before it, so that both carry the same number of bytes. */
const DATA_AT = DATAGRAM_BYTES - TAG_BYTES - PAYLOAD_BYTES;
/** An ACK frame with one range in a short header packet is about this long. */
const ACK_BYTES = HEADER_BYTES + 8 + TAG_BYTES;
const DATAGRAMS_PER_ACK = 2;
/** In flight at most: the default receive buffer holds about 90. */
const WINDOW_DATAGRAMS = 64;
const BURST_DATAGRAMS = 32;
/** Without an acknowledgement for this long, what is in flight counts as lost and is sent again. */
const RETRY_MS = 50;

/** Seals and opens as RFC 9001 §5.3 and §5.4 do it, with fixed keys. */
class Protection {
  readonly #aead: Aead;
  readonly #mask: HeaderProtection;
  readonly #nonce = new Uint8Array(12);

  constructor(name: AeadName) {
    const { keyBytes } = AEAD_PROPERTIES[name];
    this.#aead = NODE_AEAD_BACKEND.aead(name, new Uint8Array(keyBytes).fill(1));
    this.#mask = NODE_AEAD_BACKEND.headerProtection(name, new Uint8Array(keyBytes).fill(2));
  }

  seal(packet: Uint8Array, packetNumber: number, end: number): void {
    packet[0] = 0x43;
    write32(packet, PACKET_NUMBER_AT, packetNumber);
    write32(this.#nonce, 8, packetNumber);
    this.#aead.seal(this.#nonce, packet, 0, HEADER_BYTES, end);
    this.#applyMask(packet);
  }

  /** The packet number, or -1. */
  open(packet: Uint8Array): number {
    this.#applyMask(packet);
    const packetNumber = read32(packet, PACKET_NUMBER_AT);
    write32(this.#nonce, 8, packetNumber);
    return this.#aead.open(this.#nonce, packet, 0, HEADER_BYTES, packet.length) ? packetNumber : -1;
  }

  #applyMask(packet: Uint8Array): void {
    const mask = this.#mask.mask(packet, PACKET_NUMBER_AT + 4);
    packet[0] = packet[0]! ^ (mask[0]! & 0x1f);
    for (let i = 0; i < 4; i++) packet[PACKET_NUMBER_AT + i] = packet[PACKET_NUMBER_AT + i]! ^ mask[1 + i]!;
  }
}

async function receive(aead: AeadName, acks: "two" | "batch"): Promise<void> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  report({ type: "ready", port: socket.addr.transport === "udp" ? socket.addr.port : 0 });
  const protection = new Protection(aead);
  const buffer = new Uint8Array(2048);
  const delivered = new Uint8Array(PAYLOAD_BYTES * 64);
  const ackPackets = Array.from({ length: WINDOW_DATAGRAMS }, () => new Uint8Array(ACK_BYTES));
  let ackCount = 0;
  let isAckComing = false;
  let to: Deno.Addr = socket.addr;
  const acknowledge = (): void => {
    isAckComing = false;
    const ack = ackPackets[ackCount % ackPackets.length]!;
    write32(ack, HEADER_BYTES, next);
    protection.seal(ack, ackCount++, ACK_BYTES - TAG_BYTES);
    void socket.send(ack, to);
  };
  let next = 0;
  let total = Infinity;
  let bytes = 0;
  let begunAt = 0;
  while (bytes < total) {
    const [packet, from] = await socket.receive(buffer);
    if (begunAt === 0) begunAt = performance.now();
    const packetNumber = protection.open(packet);
    if (packetNumber === next) {
      // The first packet says how much there will be.
      if (next === 0) total = read32(packet, DATA_AT) * 0x100000000 + read32(packet, DATA_AT + 4);
      delivered.set(packet.subarray(DATA_AT, DATA_AT + PAYLOAD_BYTES), (next % 64) * PAYLOAD_BYTES);
      bytes += PAYLOAD_BYTES;
      next++;
    }
    to = from;
    if (bytes >= total || (acks === "two" && packetNumber % DATAGRAMS_PER_ACK === 1)) {
      acknowledge();
    } else if (acks === "batch" && !isAckComing) {
      isAckComing = true;
      // Comes after every receive that is ready.
      setImmediate(acknowledge);
    }
  }
  report({ type: "done", bytes, seconds: (performance.now() - begunAt) / 1000, acks: ackCount, ...cpuTime() });
  // The last acknowledgement is on its way.
  setTimeout(() => socket.close(), 200);
}

async function send(aead: AeadName, port: number, total: number): Promise<void> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const to: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
  const protection = new Protection(aead);
  const source = crypto.getRandomValues(new Uint8Array(PAYLOAD_BYTES * 16));
  const packets = Array.from({ length: WINDOW_DATAGRAMS }, () => new Uint8Array(DATAGRAM_BYTES));
  const count = Math.ceil(total / PAYLOAD_BYTES);
  let next = 0;
  let acknowledged = 0;
  let retries = 0;
  const fill = (): void => {
    for (let burst = 0; burst < BURST_DATAGRAMS && next < count && next - acknowledged < WINDOW_DATAGRAMS; burst++) {
      const packet = packets[next % WINDOW_DATAGRAMS]!;
      const at = (next % 16) * PAYLOAD_BYTES;
      packet.set(source.subarray(at, at + PAYLOAD_BYTES), DATA_AT);
      if (next === 0) {
        write32(packet, DATA_AT, Math.floor(total / 0x100000000));
        write32(packet, DATA_AT + 4, total % 0x100000000);
      }
      protection.seal(packet, next++, DATAGRAM_BYTES - TAG_BYTES);
      void socket.send(packet, to);
    }
  };
  let heardAt = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - heardAt < RETRY_MS) return;
    retries++;
    next = acknowledged;
    fill();
  }, RETRY_MS);
  const buffer = new Uint8Array(2048);
  // Acknowledgements that are there together are answered with one burst.
  let isFillComing = false;
  const fillOnce = (): void => {
    isFillComing = false;
    fill();
  };
  fill();
  while (acknowledged < count) {
    const [packet] = await socket.receive(buffer);
    if (protection.open(packet) < 0) continue;
    acknowledged = Math.max(acknowledged, read32(packet, HEADER_BYTES));
    heardAt = performance.now();
    if (isFillComing) continue;
    isFillComing = true;
    setImmediate(fillOnce);
  }
  clearInterval(timer);
  socket.close();
  report({ type: "done", retries, ...cpuTime() });
}

function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function read32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function isAeadName(name: string): name is AeadName {
  return name in AEAD_PROPERTIES;
}

if (import.meta.main) {
  const { positionals: [role], values } = parseArgs({
    allowPositionals: true,
    options: {
      aead: { type: "string" },
      acks: { type: "string" },
      port: { type: "string" },
      mebibytes: { type: "string" },
    },
  });
  const aead = values.aead ?? "CHACHA20_POLY1305";
  if (!isAeadName(aead)) {
    throw new TypeError(`Cannot use ${aead}: it is none of ${Object.keys(AEAD_PROPERTIES).join(", ")}`);
  }
  if (role === "receive") await receive(aead, values.acks === "batch" ? "batch" : "two");
  else await send(aead, Number(values.port), Number(values.mebibytes ?? 128) * 2 ** 20);
}
