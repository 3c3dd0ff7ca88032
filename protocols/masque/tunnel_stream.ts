/**
 * What both sides of a tunnel do with its stream: capsules in and out (RFC 9297 §3), datagrams in and out (RFC 9298 §5), and
 * the end of it all when the other side breaks a rule.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { CapsuleParser, DATAGRAM_CAPSULE } from "../http3/capsule.ts";
import type { Http3Connection } from "../http3/connection.ts";
import { type Http3ErrorName, Http3StreamError } from "../http3/errors.ts";
import {
  COMPRESSION_CAPSULE,
  decodeCompressionCapsule,
  encodeCompressionCapsule,
  malformed,
} from "./compression_capsule.ts";
import type { Context, ContextTable } from "./contexts.ts";
import { MAX_PREFIX_BYTES, MAX_UDP_PAYLOAD_BYTES, PayloadCodec, type TunnelPayload } from "./payload.ts";

/** Longest value of a capsule that we look at: a DATAGRAM capsule with the largest payload of UDP. */
const MAX_CAPSULE_BYTES = MAX_PREFIX_BYTES + MAX_UDP_PAYLOAD_BYTES;

/** Capsules that mean something to us; others are passed over (RFC 9297 §3.2). */
const CAPSULE_TYPES: ReadonlySet<number> = new Set([DATAGRAM_CAPSULE, ...Object.values(COMPRESSION_CAPSULE)]);

/** Why datagrams were dropped, as counters name it. */
export type TunnelDropReason =
  /** From the tunnel: see `PayloadFault`. */
  | "unknown context"
  | "truncated"
  | "IP version"
  /** Into the tunnel: no context for it, or longer than what the outer path carries. */
  | "no context"
  | "too large";

/** How a tunnel ended by our doing. */
export interface TunnelFault {
  readonly code: Http3ErrorName;
  readonly reason: string;
}

/** One side of a tunnel's stream. */
export class TunnelStream {
  readonly contexts: ContextTable;
  readonly #http3: Http3Connection;
  readonly #streamId: number;
  readonly #codec: PayloadCodec;
  readonly #parser = new CapsuleParser({ types: CAPSULE_TYPES, maxValueBytes: MAX_CAPSULE_BYTES });
  readonly #drops = new Map<TunnelDropReason, number>();
  /** A capsule that the stream had no room for. */
  #unsent: Uint8Array | undefined;
  #fault: TunnelFault | undefined;

  constructor(http3: Http3Connection, streamId: number, contexts: ContextTable) {
    this.#http3 = http3;
    this.#streamId = streamId;
    this.contexts = contexts;
    this.#codec = new PayloadCodec(this.contexts);
  }

  /** What was dropped, and how often, by reason. */
  get drops(): ReadonlyMap<TunnelDropReason, number> {
    return this.#drops;
  }

  /** Why we have ended it, once the other side broke a rule. */
  get fault(): TunnelFault | undefined {
    return this.#fault;
  }

  /** Largest UDP payload that fits in a datagram of the uncompressed context to addresses of that family. */
  maxPayloadBytes(family: 4 | 6): number {
    const prefixBytes = (this.contexts.uncompressed?.prefix.length ?? 1) + (family === 4 ? 7 : 19);
    return Math.max(0, this.#http3.maxDatagramBytes(this.#streamId) - prefixBytes);
  }

  /**
   * Reads the capsules that have come.
   *
   * @param mayAssign As in `ContextTable.handle`.
   * @param onPayload Gets datagrams that came in capsules (RFC 9297 §3.5), which are views until it returns.
   * @returns Whether the stream has come to its end.
   */
  read(now: number, mayAssign: (target: Address) => boolean, onPayload: (payload: TunnelPayload) => void): boolean {
    this.#guard(() => {
      const [http3, id] = [this.#http3, this.#streamId];
      for (let data = http3.read(id, now); data !== undefined; data = http3.read(id, now)) {
        this.#parser.push(data);
        for (let capsule = this.#parser.next(); capsule !== undefined; capsule = this.#parser.next()) {
          if (capsule.type === DATAGRAM_CAPSULE) {
            const payload = this.decode(capsule.value);
            if (payload !== undefined) onPayload(payload);
            continue;
          }
          // RFC 9297 §3.2: to a tunnel with one target these are capsules that mean nothing.
          if (this.contexts.isFixed) continue;
          const decoded = decodeCompressionCapsule(capsule);
          if (decoded !== undefined) this.contexts.handle(decoded, mayAssign);
          this.flush();
        }
      }
      // RFC 9297 §3.3: a capsule that the end cuts off is malformed.
      if (http3.isAtEnd(id) && !this.#parser.isAtBoundary) throw malformed("The content ends inside a capsule");
    });
    return this.#fault !== undefined || this.#http3.isAtEnd(this.#streamId);
  }

  /** Reads a datagram of this stream; `undefined` if it is to be dropped. */
  decode(bytes: Uint8Array, payloadAt = 0): TunnelPayload | undefined {
    let decoded: TunnelPayload | undefined;
    this.#guard(() => {
      const result = this.#codec.decode(bytes, payloadAt);
      if (typeof result === "string") this.drop(result);
      else decoded = result;
    });
    return decoded;
  }

  /** Sends a datagram in that context. @returns Whether it was taken. */
  send(context: Context, remote: Address, payload: Uint8Array): boolean {
    const prefix = this.#codec.prefix(context, remote);
    if (this.#http3.sendDatagram(this.#streamId, payload, prefix)) return true;
    // RFC 9298 §6.1: what does not fit is dropped, and not sent on the stream.
    this.drop("too large");
    return false;
  }

  /** Sends the capsules that wait, as far as the stream takes them. */
  flush(): void {
    while (this.#fault === undefined) {
      if (this.#unsent === undefined) {
        const capsule = this.contexts.takeCapsule();
        if (capsule === undefined) return;
        this.#unsent = encodeCompressionCapsule(capsule);
      }
      // Taken whole or not at all.
      if (this.#http3.write(this.#streamId, this.#unsent) === 0) return;
      this.#unsent = undefined;
    }
  }

  /** Counts a datagram that goes nowhere. */
  drop(reason: TunnelDropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  /** RFC 9297 §3.3: where a rule is broken the request ends, and nothing else. */
  #guard(action: () => void): void {
    if (this.#fault !== undefined) return;
    try {
      action();
    } catch (error) {
      if (!(error instanceof Http3StreamError)) throw error;
      this.#fault = { code: error.code, reason: error.message };
      this.#http3.abort(this.#streamId, error.code);
    }
  }
}
