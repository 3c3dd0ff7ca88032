/**
 * Transfers over a {@linkcode Pair}: each end writes its bytes to streams as fast as it may and checks what comes.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import type { Peer } from "./quic_pair.ts";

/** What byte `offset` of stream `id` is: different for every stream and offset, so that nothing can be swapped unseen. */
export function byteAt(id: number, offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7 + id * 13 + 5) & 0xff;
}

/** The first `length` bytes of a stream. */
export function streamBytes(id: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(id, i);
  return bytes;
}

/** Sends and checks on all streams of one end. */
export class Transfer {
  /** Bytes to send on each stream. */
  readonly totalBytes: number;
  /** Bytes received in order, by stream. */
  readonly received = new Map<number, number>();
  /** Streams that ended as they should. */
  readonly ended = new Set<number>();
  readonly #sent = new Map<number, number>();
  readonly #data = new Map<number, Uint8Array>();
  readonly #echo: boolean;

  /** @param options `echo`: writes on streams that the peer opens too. */
  constructor(peer: Peer, totalBytes: number, options: { readonly echo: boolean }) {
    this.totalBytes = totalBytes;
    this.#echo = options.echo;
    peer.onEvent = (connection, event) => this.#handle(connection, event);
  }

  /** Starts to send on a stream. */
  start(connection: QuicConnection, id: number): void {
    this.#sent.set(id, 0);
    this.#data.set(id, streamBytes(id, this.totalBytes));
    this.#write(connection, id);
  }

  #write(connection: QuicConnection, id: number): void {
    const data = this.#data.get(id);
    if (data === undefined) return;
    let sent = this.#sent.get(id) ?? 0;
    while (sent < data.length) {
      const bytes = connection.write(id, data.subarray(sent));
      if (bytes === 0) break;
      sent += bytes;
    }
    this.#sent.set(id, sent);
    if (sent < data.length) return;
    connection.finish(id);
    this.#data.delete(id);
  }

  #read(connection: QuicConnection, id: number): void {
    let offset = this.received.get(id) ?? 0;
    for (let data = connection.read(id); data !== undefined; data = connection.read(id)) {
      for (const byte of data) {
        if (byte !== byteAt(id, offset++)) throw new Error(`Stream ${id} is wrong at ${offset - 1}`);
      }
    }
    this.received.set(id, offset);
    if (!connection.isAtEnd(id)) return;
    strictEqual(offset, this.totalBytes);
    strictEqual(this.ended.has(id), false, `Stream ${id} ended twice`);
    this.ended.add(id);
  }

  #handle(connection: QuicConnection, event: ConnectionEvent): void {
    switch (event.type) {
      case "streamOpened":
        if (this.#echo && event.directionality === "bidirectional") this.start(connection, event.id);
        break;
      case "streamWritable":
        this.#write(connection, event.id);
        break;
      case "streamReadable":
        this.#read(connection, event.id);
        break;
      case "closed":
        throw new Error(`The connection closed by ${event.by}: ${event.reason}`);
      default:
    }
  }
}
