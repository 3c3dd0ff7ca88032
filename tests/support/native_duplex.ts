/**
 * A transfer in both directions at once over one stream of a `quic-native` session, that notes when bytes were delivered.
 *
 * @module
 */

import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { NativePeer, NativeWorld } from "./native_world.ts";

const CHUNK_BYTES = 16 * 1024;

/** One end: sends so many bytes and takes as many. */
class End {
  readonly peer: NativePeer;
  readonly deliveredAt: number[] = [];
  deliveredBytes = 0;
  wrongAt: number | undefined;
  doneAt: number | undefined;
  readonly #totalBytes: number;
  #sentBytes = 0;
  #isFinished = false;

  constructor(peer: NativePeer, totalBytes: number) {
    this.peer = peer;
    this.#totalBytes = totalBytes;
  }

  /** Sends what there is room for. */
  give(connection: QuicConnection, id: number): void {
    while (this.#sentBytes < this.#totalBytes) {
      const start = this.#sentBytes;
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, this.#totalBytes - start)).map((_, i) => byteAt(start + i));
      const taken = connection.write(id, chunk);
      this.#sentBytes += taken;
      if (taken < chunk.length) break;
    }
    if (this.#sentBytes === this.#totalBytes && !this.#isFinished) {
      this.#isFinished = true;
      connection.finish(id);
    }
    this.peer.drain();
  }

  /** Takes what has come. */
  take(connection: QuicConnection, id: number): void {
    for (let data = connection.read(id); data !== undefined; data = connection.read(id)) {
      for (const [i, byte] of data.entries()) {
        if (byte !== byteAt(this.deliveredBytes + i)) this.wrongAt ??= this.deliveredBytes + i;
      }
      this.deliveredBytes += data.length;
      this.deliveredAt.push(this.peer.host.now());
    }
    if (connection.isAtEnd(id)) this.doneAt ??= this.peer.host.now();
    this.peer.drain();
  }
}

/** What is sent at an offset: no two stretches of it are alike. */
function byteAt(offset: number): number {
  return (offset ^ (offset >> 8) * 31 ^ (offset >> 16) * 131) & 0xff;
}

/** Both ways. */
export class NativeDuplex {
  readonly caller: NativePeer;
  /** What each end has got. */
  readonly atCaller: End;
  readonly atListener: End;

  /** Dials at once. */
  constructor(world: NativeWorld, totalBytes: number) {
    const caller = this.caller = world.dial();
    const ends = [this.atCaller = new End(caller, totalBytes), this.atListener = new End(world.listener, totalBytes)];
    caller.onSession = (connection): void => {
      const id = connection.openStream("bidirectional");
      if (id === undefined) throw new Error("the peer allows no stream");
      this.atCaller.give(connection, id);
    };
    for (const end of ends) {
      end.peer.onConnection = (connection, event): void => {
        if (event.type === "streamOpened" || event.type === "streamWritable") end.give(connection, event.id);
        if (event.type === "streamOpened" || event.type === "streamReadable") end.take(connection, event.id);
      };
    }
  }

  /** Whether both ends have got everything. */
  get isDone(): boolean {
    return this.atCaller.doneAt !== undefined && this.atListener.doneAt !== undefined;
  }

  /** What has arrived, to be compared. */
  get outcome(): unknown {
    const of = ({ deliveredBytes, wrongAt, doneAt }: End): unknown => [deliveredBytes, wrongAt, doneAt !== undefined];
    return { caller: of(this.atCaller), listener: of(this.atListener) };
  }

  /** Longest time from `since` on in which one of the ends got nothing although there was something to come. */
  longestGap(since: number): number {
    let longest = 0;
    for (const { deliveredAt } of [this.atCaller, this.atListener]) {
      let last = since;
      for (const at of deliveredAt) {
        if (at <= since) continue;
        longest = Math.max(longest, at - last);
        last = at;
      }
    }
    return longest;
  }
}

/** What a transfer of so many bytes each way comes to if nothing is lost. */
export function complete(totalBytes: number): unknown {
  const all = [totalBytes, undefined, true];
  return { caller: all, listener: all };
}
