/**
 * What comes in on the peer's control stream: RFC 9114 §6.2.1, §7.2.3, §7.2.4, §7.2.6, §7.2.7.
 *
 * @module
 */

import { Reader, TruncatedError } from "../core/reader.ts";
import { unreachable } from "../core/unreachable.ts";
import type { Role } from "../quic/stream_id.ts";
import { readVarint62 } from "../quic/varint.ts";
import type { PeerSettings } from "./config.ts";
import { Http3Error } from "./errors.ts";
import { type FrameName, frameNameOf } from "./frame.ts";
import { FrameParser } from "./frame_parser.ts";
import { decodeSettings } from "./settings.ts";

/** Longest SETTINGS taken; longer ones close the connection with H3_EXCESSIVE_LOAD. */
export const MAX_SETTINGS_FRAME_BYTES = 4096;

/** What the peer said. */
export type ControlMessage =
  | { readonly type: "SETTINGS"; readonly settings: PeerSettings }
  /** The first request (to a client) or push (to a server) that is not processed. */
  | { readonly type: "GOAWAY"; readonly id: bigint };

/** The peer's control stream. Every method throws {@linkcode Http3Error} where the peer broke a rule. */
export class ControlStream {
  /** Which end we are. */
  readonly #role: Role;
  readonly #parser = new FrameParser();
  #hasSettings = false;
  #frame: FrameName | undefined;
  #maxPushId = -1n;
  #goAwayId: bigint | undefined;

  constructor(role: Role) {
    this.#role = role;
  }

  /** Gives more bytes, after `next` has returned `undefined`. */
  push(chunk: Uint8Array): void {
    this.#parser.push(chunk);
  }

  /** The next thing that the peer said; `undefined` when more bytes are needed. */
  next(): ControlMessage | undefined {
    for (;;) {
      switch (this.#parser.next()) {
        case "more":
          return undefined;
        case "header":
          this.#onHeader();
          break;
        case "payload": {
          const message = this.#onPayload(this.#frame, this.#parser.payload);
          if (message !== undefined) return message;
          break;
        }
        case "data":
          throw new Error("Content is on a control stream");
      }
    }
  }

  #onHeader(): void {
    const { type, lengthBytes } = this.#parser;
    // RFC 9114 §6.2.1: before the frame is looked at, whatever it is.
    if (!this.#hasSettings && type !== 0x04) {
      throw new Http3Error("H3_MISSING_SETTINGS", "The control stream does not begin with SETTINGS");
    }
    const name = frameNameOf(type, "control");
    this.#frame = name;
    if (name === undefined) return this.#parser.skip();
    if (name === "SETTINGS") {
      if (this.#hasSettings) throw new Http3Error("H3_FRAME_UNEXPECTED", "SETTINGS came twice");
      this.#hasSettings = true;
      if (lengthBytes > MAX_SETTINGS_FRAME_BYTES) throw new Http3Error("H3_EXCESSIVE_LOAD", "SETTINGS is too long");
    } else if (lengthBytes > 8) {
      // All others hold one varint: RFC 9114 §7.1.
      throw new Http3Error("H3_FRAME_ERROR", `${name} is longer than its field`);
    }
    this.#parser.collect();
  }

  #onPayload(name: FrameName | undefined, payload: Uint8Array): ControlMessage | undefined {
    switch (name) {
      case "SETTINGS":
        return { type: "SETTINGS", settings: decodeSettings(payload) };
      case "GOAWAY":
        return { type: "GOAWAY", id: this.#onGoAway(readId(name, payload)) };
      case "MAX_PUSH_ID":
        return this.#onMaxPushId(readId(name, payload));
      case "CANCEL_PUSH":
        readId(name, payload);
        // RFC 9114 §7.2.3: no push was promised or allowed, so every ID is one that was not mentioned.
        throw new Http3Error("H3_ID_ERROR", "A push is cancelled that never was");
      case "DATA":
      case "HEADERS":
      case "PUSH_PROMISE":
      case undefined:
        throw new Error(`${name} passed for a frame of a control stream`);
      default:
        return unreachable(name);
    }
  }

  /** RFC 9114 §5.2, §7.2.6. */
  #onGoAway(id: bigint): bigint {
    if (this.#role === "client" && id % 4n !== 0n) {
      throw new Http3Error("H3_ID_ERROR", `GOAWAY names stream ${id}, which is no request`);
    }
    if (this.#goAwayId !== undefined && id > this.#goAwayId) {
      throw new Http3Error("H3_ID_ERROR", `GOAWAY names ${id} after ${this.#goAwayId}`);
    }
    this.#goAwayId = id;
    return id;
  }

  /** RFC 9114 §7.2.7. We push nothing, so that only the rules are of interest. */
  #onMaxPushId(id: bigint): undefined {
    if (this.#role === "client") throw new Http3Error("H3_FRAME_UNEXPECTED", "A server sent MAX_PUSH_ID");
    if (id < this.#maxPushId) throw new Http3Error("H3_ID_ERROR", `MAX_PUSH_ID fell from ${this.#maxPushId} to ${id}`);
    this.#maxPushId = id;
  }
}

/** The one varint of a frame, and nothing behind it: RFC 9114 §7.1. */
function readId(name: FrameName, payload: Uint8Array): bigint {
  const reader = new Reader(payload);
  try {
    const id = readVarint62(reader);
    if (reader.remaining === 0) return id;
  } catch (error) {
    if (!(error instanceof TruncatedError)) throw error;
  }
  throw new Http3Error("H3_FRAME_ERROR", `${name} has another length than its field`);
}
