/**
 * A transfer over one stream of a `quic-native` session, from the caller or from the listener, that notes when bytes were
 * delivered.
 *
 * @module
 */

import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { NativePeer, NativeWorld } from "./native_world.ts";

const CHUNK_BYTES = 16 * 1024;

/** What is sent at an offset: no two stretches of it are alike. */
function byteAt(offset: number): number {
  return (offset ^ (offset >> 8) * 31 ^ (offset >> 16) * 131) & 0xff;
}

/** Bytes that came out of the stream in order. */
export interface Delivery {
  readonly at: number;
  readonly bytes: number;
}

/** One way, as much as there is room for at any time. */
export class NativeTransfer {
  readonly caller: NativePeer;
  readonly deliveries: Delivery[] = [];
  deliveredBytes = 0;
  /** The first byte that was not what had been sent. */
  wrongAt: number | undefined;
  /** When the end of the stream was read. */
  doneAt: number | undefined;
  readonly #world: NativeWorld;
  readonly #totalBytes: number;
  #sentBytes = 0;

  /** Dials at once. */
  constructor(world: NativeWorld, sender: "caller" | "listener", totalBytes: number) {
    this.#world = world;
    this.#totalBytes = totalBytes;
    const caller = this.caller = world.dial();
    const { listener } = world;
    const isFromCaller = sender === "caller";
    caller.onSession = (connection): void => {
      const id = connection.openStream("bidirectional");
      if (id === undefined) throw new Error("the peer allows no stream");
      if (isFromCaller) return this.#give(caller, connection, id);
      connection.write(id, Uint8Array.of(1));
      connection.finish(id);
      caller.drain();
    };
    caller.onConnection = (connection, event): void => {
      if (event.type === "streamWritable" && isFromCaller) this.#give(caller, connection, event.id);
      if (event.type === "streamReadable" && !isFromCaller) this.#take(caller, connection, event.id);
    };
    listener.onConnection = (connection, event): void => {
      if (event.type !== "streamReadable" && event.type !== "streamWritable") return;
      if (isFromCaller) return this.#take(listener, connection, event.id);
      connection.read(event.id);
      this.#give(listener, connection, event.id);
    };
  }

  /** Longest time without a delivery between two instants. */
  longestGap(from: number, to: number): number {
    let [last, longest] = [from, 0];
    for (const { at } of [...this.deliveries, { at: to }]) {
      if (at <= from || at > to) continue;
      longest = Math.max(longest, at - last);
      last = at;
    }
    return longest;
  }

  /** Bytes delivered between two instants. */
  bytesBetween(from: number, to: number): number {
    return this.deliveries.reduce((sum, { at, bytes }) => at > from && at <= to ? sum + bytes : sum, 0);
  }

  #give(peer: NativePeer, connection: QuicConnection, id: number): void {
    while (this.#sentBytes < this.#totalBytes) {
      const start = this.#sentBytes;
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, this.#totalBytes - start)).map((_, i) => byteAt(start + i));
      const taken = connection.write(id, chunk);
      this.#sentBytes += taken;
      if (taken < chunk.length) break;
      if (this.#sentBytes === this.#totalBytes) connection.finish(id);
    }
    peer.drain();
  }

  #take(peer: NativePeer, connection: QuicConnection, id: number): void {
    for (let data = connection.read(id); data !== undefined; data = connection.read(id)) {
      for (const [i, byte] of data.entries()) {
        if (byte !== byteAt(this.deliveredBytes + i)) this.wrongAt ??= this.deliveredBytes + i;
      }
      this.deliveredBytes += data.length;
      this.deliveries.push({ at: this.#world.net.now, bytes: data.length });
    }
    if (connection.isAtEnd(id)) this.doneAt ??= this.#world.net.now;
    peer.drain();
  }
}
