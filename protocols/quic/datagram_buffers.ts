/**
 * Memory for datagrams that wait to be sent (RFC 9221), used again and again: what a relay passes on costs no allocation.
 *
 * @module
 */

/** Bytes of a buffer: any datagram for an Ethernet. Larger ones get memory of their own. */
export const DATAGRAM_BUFFER_BYTES = 2048;

/** Buffers of all connections together that are kept for the next datagrams; one more is left to the garbage collector. */
export const MAX_SPARE_BUFFERS = 256;

/** The buffers. What is in one is its holder's, until it is given back. */
export class DatagramBuffers {
  // As views of the length that was wanted last: most datagrams of a path have one size.
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  /** Buffers that wait for a datagram. */
  get spareCount(): number {
    return this.#spare.length;
  }

  /** Bytes to be filled, whatever is in them now. */
  take(lengthBytes: number): Uint8Array<ArrayBuffer> {
    if (lengthBytes > DATAGRAM_BUFFER_BYTES) return new Uint8Array(lengthBytes);
    const spare = this.#spare.pop();
    if (spare?.length === lengthBytes) return spare;
    return new Uint8Array(spare?.buffer ?? new ArrayBuffer(DATAGRAM_BUFFER_BYTES), 0, lengthBytes);
  }

  /** The bytes are nobody's any more, and will be written over. Those that have not the size of a buffer are let go. */
  give(bytes: Uint8Array): void {
    if (this.#spare.length < MAX_SPARE_BUFFERS && hasOwnBuffer(bytes)) this.#spare.push(bytes);
  }
}

function hasOwnBuffer(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  return buffer.byteLength === DATAGRAM_BUFFER_BYTES && buffer instanceof ArrayBuffer;
}

/** Those of this process. */
export const DATAGRAM_BUFFERS: DatagramBuffers = new DatagramBuffers();
