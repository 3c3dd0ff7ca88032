/**
 * A transfer over a session in the virtual network: the caller sends, the listener returns every byte, the caller compares
 * each with what it should be. Both sides go by back-pressure.
 *
 * @module
 */

import type { VirtualNetwork } from "../../lab/mod.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { OnConnection, OnSession, VirtualPeer } from "./virtual_peers.ts";

const CHUNK_BYTES = 16 * 1024;

/** What is sent at an offset: no two stretches of it are alike. */
function byteAt(offset: number): number {
  return (offset ^ (offset >> 8) * 31 ^ (offset >> 16) * 131) & 0xff;
}

/** One stream there and back. */
export class Transfer {
  readonly totalBytes: number;
  /** Bytes that came back, in order, each as it was sent. */
  returnedBytes = 0;
  /** The first byte that was not what had been sent. */
  wrongAt: number | undefined;
  doneAt: number | undefined;
  readonly #net: VirtualNetwork;
  #id = 0;
  #sentBytes = 0;
  /** At the listener, by stream: what was read and not yet written. */
  readonly #pending = new Map<number, Uint8Array>();

  constructor(net: VirtualNetwork, totalBytes: number) {
    this.#net = net;
    this.totalBytes = totalBytes;
  }

  get isDone(): boolean {
    return this.doneAt !== undefined;
  }

  /** For the caller. */
  readonly start: OnSession = ({ connection }, peer) => {
    const id = connection.openStream("bidirectional");
    if (id === undefined) throw new Error("the peer allows no stream");
    this.#id = id;
    this.#fill(connection, peer);
  };

  /** For the caller. */
  readonly onCaller: OnConnection = (connection, peer, event) => {
    if (event.type !== "connection") return;
    if (event.event.type === "streamWritable") this.#fill(connection, peer);
    if (event.event.type !== "streamReadable") return;
    const { id } = event.event;
    for (let chunk = connection.read(id); chunk !== undefined; chunk = connection.read(id)) this.#compare(chunk);
    if (connection.isAtEnd(id)) this.doneAt ??= this.#net.now;
    peer.drain();
  };

  /** For the listener. */
  readonly onListener: OnConnection = (connection, peer, event) => {
    if (event.type !== "connection") return;
    if (event.event.type !== "streamReadable" && event.event.type !== "streamWritable") return;
    const { id } = event.event;
    for (let chunk = this.#pending.get(id) ?? connection.read(id); chunk !== undefined; chunk = connection.read(id)) {
      const rest = chunk.subarray(connection.write(id, chunk));
      if (rest.length > 0) {
        this.#pending.set(id, rest);
        break;
      }
      this.#pending.delete(id);
    }
    if (connection.isAtEnd(id) && !this.#pending.has(id)) connection.finish(id);
    peer.drain();
  };

  #fill(connection: QuicConnection, peer: VirtualPeer): void {
    while (this.#sentBytes < this.totalBytes) {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, this.totalBytes - this.#sentBytes));
      for (let i = 0; i < chunk.length; i++) chunk[i] = byteAt(this.#sentBytes + i);
      const taken = connection.write(this.#id, chunk);
      this.#sentBytes += taken;
      if (taken < chunk.length) break;
    }
    if (this.#sentBytes === this.totalBytes) connection.finish(this.#id);
    peer.drain();
  }

  #compare(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte !== byteAt(this.returnedBytes)) this.wrongAt ??= this.returnedBytes;
      this.returnedBytes++;
    }
  }
}
