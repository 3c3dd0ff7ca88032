/**
 * The packets of a call as a diagram with times: three lines of life, an arrow for each packet, its name read from its
 * bytes.
 *
 * @module
 */

import type { Packet, PacketEvent } from "../../lab/mod.ts";
import { Reader } from "../../protocols/core/reader.ts";
import { readVarint } from "../../protocols/quic/varint.ts";
import { isStun, stunClass, usernameTarget } from "../../protocols/stun/classify.ts";
import { decodeStun } from "../../protocols/stun/npm_stun.ts";

/** Distance between two lines of life, in characters. */
const LANE_WIDTH = 38;
const LONG_TYPES = ["Initial", "0-RTT", "Handshake", "Retry"];
/** What the first byte of a piece of a channel says: `lab/message_channel.ts`. */
const CHANNEL_UNITS = ["upgrade", "101", "", ""];

interface Arrow {
  readonly from: number;
  /** Where it ended; between two lines if the packet was dropped there. */
  readonly to: number;
  readonly sentMs: number;
  readonly endedMs: number;
  readonly isDelivered: boolean;
  /** Why it was dropped, if it was. */
  readonly reason: string;
  readonly labels: string[];
}

/**
 * Draws what was sent from `startedAt` to `endedAt`. Acknowledgements of TCP are left out, and so is what was not yet
 * received.
 *
 * @param lanes Names of hosts, left to right, with what to call them.
 */
export function drawSequence(
  events: readonly PacketEvent[],
  options: { readonly startedAt: number; readonly endedAt: number; readonly lanes: ReadonlyMap<string, string> },
): string {
  const names = [...options.lanes.keys()];
  const titles = [...options.lanes.values()];
  const arrows: Arrow[] = [];
  for (const [index, event] of events.entries()) {
    if (event.type !== "sent" || event.at < options.startedAt || event.at > options.endedAt) continue;
    const label = labelOf(event.packet);
    const end = events.slice(index).find(({ type, packet }) =>
      packet.id === event.packet.id && (type === "delivered" || type === "dropped")
    );
    if (label === undefined || end === undefined || end.at > options.endedAt) continue;
    const from = names.indexOf(event.where);
    const isDelivered = end.type === "delivered";
    const to = isDelivered ? names.indexOf(end.where) : (names.length - 1) / 2;
    const [sentMs, endedMs] = [event.at - options.startedAt, end.at - options.startedAt];
    const same = arrows.find((arrow) =>
      arrow.from === from && arrow.to === to && arrow.sentMs === sentMs && arrow.isDelivered === isDelivered &&
      event.packet.protocol === "tcp" && arrow.labels[0] === "101"
    );
    if (same !== undefined) same.labels.push(label);
    else {
      const reason = end.type === "dropped" ? end.reason : "";
      arrows.push({ from, to, sentMs, endedMs, isDelivered, reason, labels: [label] });
    }
  }
  const head = "   sent  " + titles.map((title) => title.padEnd(LANE_WIDTH)).join("").trimEnd() + "  arrives";
  return [head, ...arrows.map((arrow) => drawArrow(arrow, names.length))].join("\n");
}

function drawArrow(arrow: Arrow, laneCount: number): string {
  const cells: string[] = Array.from({ length: (laneCount - 1) * LANE_WIDTH + 1 }, () => " ");
  for (let lane = 0; lane < laneCount; lane++) cells[lane * LANE_WIDTH] = "│";
  const [tail, head] = [arrow.from * LANE_WIDTH, arrow.to * LANE_WIDTH];
  const [left, right] = [Math.min(tail, head), Math.max(tail, head)];
  for (let x = left + 1; x < right; x++) cells[x] = "─";
  const tip = !arrow.isDelivered ? "✗" : head > tail ? "▶" : "◀";
  cells[head > tail ? head - 1 : head + 1] = tip;
  const label = ` ${arrow.labels.join(", ")} `;
  const start = Math.round((left + right - label.length) / 2);
  for (const [offset, character] of [...label].entries()) cells[start + offset] = character;
  const arrives = arrow.isDelivered ? arrow.endedMs.toFixed(2).padStart(9) : arrow.reason.padStart(9);
  return `${arrow.sentMs.toFixed(2).padStart(7)}  ${cells.join("")}${arrives}`;
}

function labelOf(packet: Packet): string | undefined {
  const { payload } = packet;
  if (packet.protocol === "udp") return isStun(payload) ? stunLabel(packet) : `QUIC ${quicLabel(payload)}`;
  if (packet.type === "ACK") return undefined;
  if (packet.type !== "DATA") return `TCP ${packet.type}`;
  const message = /"t":"(\w+)"/.exec(new TextDecoder().decode(payload))?.[1];
  return [CHANNEL_UNITS[payload[0] ?? 0], message].filter((part) => part !== "" && part !== undefined).join(" with ");
}

function stunLabel({ payload, destination, source }: Packet): string {
  const isServer = destination.port === 3478 || source.port === 3478;
  if (stunClass(payload) !== "request") return isServer ? "STUN answer" : "check answered";
  if (usernameTarget(payload) === undefined) return "STUN request";
  const message = decodeStun(payload);
  return message.ok && message.useCandidate ? "check, nominates" : "check";
}

/** Names the packets of a datagram: RFC 9000 §17.2. */
function quicLabel(payload: Uint8Array): string {
  const reader = new Reader(payload);
  const names: string[] = [];
  while (reader.remaining > 0) {
    const first = reader.uint8();
    if (first === 0) break;
    if ((first & 0x80) === 0) {
      names.push("1-RTT");
      break;
    }
    const name = LONG_TYPES[(first >> 4) & 3] ?? "";
    names.push(name);
    reader.uint32();
    reader.bytes(reader.uint8());
    reader.bytes(reader.uint8());
    if (name === "Initial") reader.bytes(readVarint(reader));
    reader.bytes(readVarint(reader));
  }
  return names.join(" + ");
}
