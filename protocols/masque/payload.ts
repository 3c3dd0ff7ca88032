/**
 * What HTTP Datagrams of a tunnel carry: Context ID and UDP payload, between them the address in the uncompressed context:
 * RFC 9298 §5, draft-ietf-masque-connect-udp-listen-13.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { Reader, TruncatedError } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import { readVarint } from "../quic/varint.ts";
import { malformed } from "./compression_capsule.ts";
import type { Context, ContextTable } from "./contexts.ts";
import { ipVersionBytes, MAX_TUPLE_BYTES, readIpVersion, readTuple, writeTuple } from "./tuple.ts";

/** RFC 9298 §5: more is no payload of UDP. */
export const MAX_UDP_PAYLOAD_BYTES = 65_527;

/** What stands before the payload of an uncompressed datagram, at most. */
export const MAX_PREFIX_BYTES: number = 8 + MAX_TUPLE_BYTES;

/** One UDP datagram out of a tunnel. Views, valid as long as the bytes they were read from. */
export interface TunnelPayload {
  /** The target on a proxy, the source on a client. */
  readonly remote: Address;
  readonly context: Context;
  readonly payload: Uint8Array;
}

/** Why an HTTP Datagram holds no UDP datagram for us. */
export type PayloadFault = "unknown context" | "truncated" | "IP version";

/** Reads and writes them. One object serves a tunnel. */
export class PayloadCodec {
  readonly #contexts: ContextTable;
  readonly #reader = new Reader(new Uint8Array(0));
  readonly #prefix = new Uint8Array(MAX_PREFIX_BYTES);
  readonly #writer = new Writer(this.#prefix);

  constructor(contexts: ContextTable) {
    this.#contexts = contexts;
  }

  /**
   * Reads an HTTP Datagram's payload.
   *
   * @returns What is wrong with it, where it is to be dropped.
   * @throws {Http3StreamError} H3_MESSAGE_ERROR, where the tunnel ends: context 0 has no meaning without a target, and a
   * payload is not longer than those of UDP.
   */
  decode(bytes: Uint8Array, start = 0): TunnelPayload | PayloadFault {
    const reader = this.#reader;
    reader.reset(bytes, start);
    try {
      const id = readVarint(reader);
      const context = this.#contexts.find(id);
      if (context === undefined) {
        if (id === 0) throw malformed("A datagram is of context 0, which a tunnel without target does not have");
        // Closed, or its capsule is still to come: RFC 9298 §4 lets it be dropped.
        return "unknown context";
      }
      let remote = context.target;
      if (remote === undefined) {
        const version = readIpVersion(reader);
        if (ipVersionBytes(version) === undefined) return "IP version";
        remote = readTuple(reader, version);
      }
      if (reader.remaining > MAX_UDP_PAYLOAD_BYTES) throw malformed(`A UDP payload has ${reader.remaining} bytes`);
      return { remote, context, payload: reader.rest() };
    } catch (error) {
      if (error instanceof TruncatedError) return "truncated";
      throw error;
    }
  }

  /** What goes before a payload to or from `remote`. Valid until the next call. */
  prefix(context: Context, remote: Address): Uint8Array {
    if (context.target !== undefined) return context.prefix;
    const writer = this.#writer;
    writer.reset(this.#prefix);
    writer.bytes(context.prefix);
    writeTuple(writer, remote);
    return writer.written();
  }
}
