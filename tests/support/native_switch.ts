/**
 * A transfer that starts relayed and goes direct, both ways 10 Mb/s with a queue of 50 ms: what the application sees of it.
 *
 * @module
 */

import { deepStrictEqual, ok } from "node:assert/strict";
import { NativeTransfer } from "./native_transfer.ts";
import { CALL_AT, NativeWorld, PEER_RTT_MS } from "./native_world.ts";

const RATE_BITS_PER_SECOND = 10_000_000;
const QUEUE_MS = 50;
/** Of a full datagram on the link: UDP and IPv4 headers are 28 bytes, what QUIC adds 34. */
const DATAGRAM_BYTES = 1452;
const GOODPUT_BYTES_PER_MS = RATE_BITS_PER_SECOND / 8000 * (DATAGRAM_BYTES - 34) / (DATAGRAM_BYTES + 28);
/** RFC 9002 §7.2, of datagrams of 1200 bytes. */
const INITIAL_WINDOW_BYTES = 12_000;
/** Until so many round trips after the switch the window grows and has not filled the queue. */
const LOSSLESS_RTTS = 6;
/** Three packets at the rate, and what an acknowledgement may wait for the next packet. */
const DETECTION_MS = 5;
const MAX_MS = 600_000;

/** What is transferred. */
export interface SwitchOptions {
  readonly sender: "caller" | "listener";
  readonly totalBytes: number;
  /** Packets that go around the relay are dropped for so long, from the call. */
  readonly directAfterMs: number;
}

/** @throws {Error} If bytes are lost or late, or congestion control does not start over (RFC 9000 §9.4). */
export function transferOverSwitch({ sender, totalBytes, directAfterMs }: SwitchOptions): void {
  const world = new NativeWorld({ seed: 1 });
  const { net, natOfA, natOfB, listener, relay } = world;
  net.run({ until: CALL_AT });
  // Each path has a queue of its own: at the relay, and on the way down to the receiver. What has come through the relay
  // does not fill the second one.
  const [nic] = relay.host.interfaces();
  for (const link of [nic?.up, nic?.down, natOfA!.down, natOfB!.down]) {
    ok(link !== undefined);
    link.options = { ...link.options, rateBitsPerSecond: RATE_BITS_PER_SECOND, queueMs: QUEUE_MS };
  }
  for (const [nat, other] of [[natOfA!, natOfB!], [natOfB!, natOfA!]] as const) {
    const isClosed = (): boolean => net.now < CALL_AT + directAfterMs;
    nat.up.options = { ...nat.up.options, drop: ({ destination }) => isClosed() && destination.host === other.address };
  }
  const transfer = new NativeTransfer(world, sender, totalBytes);
  const peer = sender === "caller" ? transfer.caller : listener;
  const switches: {
    at: number;
    windowBytes: number;
    bytesInFlight: number;
    minRttMs: number;
    deliveredBytes: number;
  }[] = [];
  const { onConnection } = peer;
  peer.onConnection = (connection, event): void => {
    if (event.type === "pathChanged") {
      const { congestionWindowBytes, bytesInFlight, minRttMs } = connection.stats;
      const { deliveredBytes } = transfer;
      switches.push({ at: net.now, windowBytes: congestionWindowBytes, bytesInFlight, minRttMs, deliveredBytes });
    }
    onConnection(connection, event);
  };
  net.run({ until: CALL_AT + MAX_MS, stopWhen: () => transfer.doneAt !== undefined, maxEvents: 50_000_000 });

  const [moved] = switches;
  ok(moved !== undefined && switches.length === 1, `${switches.length} switches`);
  // Every byte once, in order; nothing was known of the new path, and nothing in flight on it.
  const { windowBytes, bytesInFlight, minRttMs, deliveredBytes } = moved;
  deepStrictEqual({
    deliveredBytes: transfer.deliveredBytes,
    wrongAt: transfer.wrongAt,
    isDone: transfer.doneAt !== undefined,
    startedRelayed: directAfterMs === 0 || deliveredBytes > 0,
    windowBytes,
    bytesInFlight,
    minRttMs,
  }, {
    deliveredBytes: totalBytes,
    wrongAt: undefined,
    isDone: true,
    startedRelayed: true,
    windowBytes: INITIAL_WINDOW_BYTES,
    bytesInFlight: 0,
    minRttMs: 0,
  });
  const { at } = moved;
  // The window grows, and has not filled the queue yet: nothing is lost.
  const gapMs = transfer.longestGap(at - PEER_RTT_MS, at + LOSSLESS_RTTS * PEER_RTT_MS);
  ok(gapMs <= PEER_RTT_MS, `${gapMs} ms without a byte at the switch`);
  // Then, as once in each sawtooth of NewReno, it has: the round trip is longer by the queue, and a loss is known from the
  // third packet behind it (RFC 9002 §6.1.1).
  const laterGapMs = transfer.longestGap(at, at + 40 * PEER_RTT_MS);
  ok(laterGapMs <= PEER_RTT_MS + QUEUE_MS + DETECTION_MS, `${laterGapMs} ms without a byte after the switch`);
  const [from, to] = [at + 6 * PEER_RTT_MS, at + 12 * PEER_RTT_MS];
  const share = transfer.bytesBetween(from, to) / ((to - from) * GOODPUT_BYTES_PER_MS);
  ok(share >= 0.9, `${(100 * share).toFixed(1)} % of the rate from the sixth round trip on`);
}
