/**
 * HTTP Datagrams in DATAGRAM frames, and those that overtook the request they belong to: RFC 9297 §2.1.
 *
 * @module
 */

import { Reader } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import { DATAGRAM_BUFFERS } from "../quic/datagram_buffers.ts";
import { Fifo } from "../quic/fifo.ts";
import { readVarint, varintBytes, writeVarint } from "../quic/varint.ts";

/** Datagrams kept that overtook their requests, of all requests together; one more forgets the oldest. */
export const MAX_EARLY_DATAGRAMS = 32;

/** Datagrams whose requests have come since, and that nobody has read; one more drops the oldest. */
export const MAX_RELEASED_DATAGRAMS = 256;

/** An HTTP Datagram (RFC 9297 §2.1). One object serves every call of `readDatagram`; `bytes` is the caller's own. */
export interface HttpDatagram {
  /** The request it belongs to. */
  readonly streamId: number;
  /** The DATAGRAM frame's bytes. */
  readonly bytes: Uint8Array;
  /** Where in them the HTTP Datagram Payload begins, behind the Quarter Stream ID. */
  readonly payloadAt: number;
}

/** Bytes that the Quarter Stream ID of a request takes. */
export function quarterStreamIdBytes(streamId: number): number {
  return varintBytes(streamId / 4);
}

/** The DATAGRAM frame's bytes of an HTTP Datagram whose payload is `prefix` and `payload`, in a buffer for datagrams. */
export function encodeDatagram(streamId: number, prefix: Uint8Array, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = DATAGRAM_BUFFERS.take(quarterStreamIdBytes(streamId) + prefix.length + payload.length);
  const writer = new Writer(bytes);
  writeVarint(writer, streamId / 4);
  bytes.set(prefix, writer.offset);
  bytes.set(payload, writer.offset + prefix.length);
  return bytes;
}

/** What came in. */
export class HttpDatagrams {
  readonly #current: { streamId: number; bytes: Uint8Array; payloadAt: number } = {
    streamId: 0,
    bytes: NO_BYTES,
    payloadAt: 0,
  };
  readonly #reader = new Reader(NO_BYTES);
  // There is no timer: the limit bounds the memory, and age is looked at when a request comes.
  #early: (HttpDatagram & { readonly at: number })[] = [];
  readonly #released = new Fifo<HttpDatagram>();

  /** Datagrams that wait for their requests. */
  get earlyCount(): number {
    return this.#early.length;
  }

  /** The datagram that was decoded last. */
  get current(): HttpDatagram {
    return this.#current;
  }

  /**
   * Reads a DATAGRAM frame's bytes into `current`; they are kept.
   *
   * @returns What is wrong with them, which is an H3_DATAGRAM_ERROR; `undefined` if nothing is.
   */
  decode(bytes: Uint8Array): string | undefined {
    const first = bytes[0];
    if (first === undefined || bytes.length < 1 << (first >> 6)) return "A datagram ends inside its Quarter Stream ID";
    // Of eight bytes the first tells whether the value exceeds 2^60 - 1.
    if (first >= 0xd0) return "A Quarter Stream ID exceeds 2^60 - 1";
    this.#reader.reset(bytes);
    this.#current.bytes = bytes;
    this.#current.streamId = readVarint(this.#reader) * 4;
    this.#current.payloadAt = this.#reader.offset;
    return undefined;
  }

  /** Keeps `current`, whose request has not come yet. */
  keep(now: number): void {
    if (this.#early.length === MAX_EARLY_DATAGRAMS) this.#early.shift();
    this.#early.push({ ...this.#current, at: now });
  }

  /**
   * The request has come: its datagrams that came at `since` or later are given out by `takeReleased`, and the older ones
   * of all requests are let go.
   *
   * @returns Whether there are any.
   */
  release(streamId: number, since: number): boolean {
    const recent = this.#early.filter((datagram) => datagram.at >= since);
    const released = recent.filter((datagram) => datagram.streamId === streamId);
    this.#early = recent.filter((datagram) => datagram.streamId !== streamId);
    for (const datagram of released) {
      if (this.#released.count === MAX_RELEASED_DATAGRAMS) this.#released.shift();
      this.#released.push(datagram);
    }
    return released.length > 0;
  }

  /** The next of those that `release` has let through. */
  takeReleased(): HttpDatagram | undefined {
    return this.#released.shift();
  }

  /** The connection is over. */
  clear(): void {
    this.#early = [];
  }
}

const NO_BYTES = new Uint8Array(0);
