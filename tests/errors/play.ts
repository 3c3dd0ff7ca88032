/**
 * The ways in which raw peers break rules of QUIC in the table of errors.
 *
 * @module
 */

import { concatBytes } from "../../protocols/core/bytes.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import { varintBytes, writeVarint62 } from "../../protocols/quic/varint.ts";
import { Writer } from "../../protocols/core/writer.ts";
import { closingOf, rawEnd, rawEndEstablished } from "../support/raw_answers.ts";
import type { PairOptions } from "../support/quic_pair.ts";
import type { RawPeer } from "../support/raw_peer.ts";
import { withMessages } from "../support/tls_rewrite.ts";
import type { Answer, Side } from "./row.ts";

/** IDs of streams that nobody has opened yet, as hexadecimal: by who opens them. */
export interface StreamIds {
  /** Bidirectional, the raw peer's. */
  readonly own: string;
  /** Bidirectional, the raw peer's next. */
  readonly ownSecond: string;
  /** Unidirectional, the raw peer's. */
  readonly ownUni: string;
  /** Bidirectional, of the end that answers. */
  readonly theirs: string;
  /** Unidirectional, of the end that answers. */
  readonly theirsUni: string;
}

const STREAM_IDS: Readonly<Record<Side, StreamIds>> = {
  client: { own: "00", ownSecond: "04", ownUni: "02", theirs: "01", theirsUni: "03" },
  server: { own: "01", ownSecond: "05", ownUni: "03", theirs: "00", theirsUni: "02" },
};

/** How frames are said. */
export interface SayOptions {
  readonly transport?: Partial<TransportSettings>;
  /** In the first such packet that leaves by itself, instead of in a 1-RTT packet once all is quiet. */
  readonly packet?: "Initial" | "Handshake" | "1-RTT";
  /** Whether the answer goes to a connection ID that the raw peer knows; not where it has offered others. Default true. */
  readonly isAddressed?: boolean;
  /** Bits set in the first byte of the packet. */
  readonly setBits?: number;
}

/** Says frames, in one packet. */
export function say(
  frames: string | ((ids: StreamIds) => string),
  options: SayOptions = {},
): (by: Side) => Answer {
  return (by) => {
    const text = typeof frames === "string" ? frames : frames(STREAM_IDS[by]);
    const { transport, packet, isAddressed, setBits = 0 } = options;
    const pairOptions: PairOptions = transport === undefined ? {} : { transport };
    if (packet === undefined) {
      const { pair, raw } = rawEndEstablished(by, pairOptions);
      raw.say(text, { alone: true, setBits });
      return closingOf(pair, raw, by, isAddressed);
    }
    const { pair, raw } = rawEnd(by, pairOptions);
    raw.prepare(text, { packet, setBits });
    pair.connect();
    pair.runTo(1000);
    return closingOf(pair, raw, by);
  };
}

/** Says frames in several 1-RTT packets, one after the other. */
export function sayInTurn(...frames: readonly ((ids: StreamIds) => string)[]): (by: Side) => Answer {
  return (by) => {
    const { pair, raw } = rawEndEstablished(by);
    for (const one of frames) raw.say(one(STREAM_IDS[by]), { alone: true });
    return closingOf(pair, raw, by);
  };
}

/** Transport parameters as they are on the wire, to be changed: RFC 9000 §18. */
export class WireParameters {
  #list: readonly (readonly [id: bigint, value: Uint8Array])[];

  constructor(bytes: Uint8Array) {
    const list: [bigint, Uint8Array][] = [];
    for (let at = 0; at < bytes.length;) {
      const next = (): bigint => {
        const lengthBytes = 1 << (bytes[at]! >> 6);
        let value = BigInt(bytes[at]! & 0x3f);
        for (let i = 1; i < lengthBytes; i++) value = (value << 8n) | BigInt(bytes[at + i]!);
        at += lengthBytes;
        return value;
      };
      const id = next();
      const length = Number(next());
      list.push([id, bytes.slice(at, at + length)]);
      at += length;
    }
    this.#list = list;
  }

  /** Without one. */
  without(id: number): this {
    this.#list = this.#list.filter(([other]) => other !== BigInt(id));
    return this;
  }

  /** With one more, whatever there is already. */
  add(id: number, value: Uint8Array): this {
    this.#list = [...this.#list, [BigInt(id), value]];
    return this;
  }

  /** With another value. */
  set(id: number, value: Uint8Array): this {
    return this.without(id).add(id, value);
  }

  /** A value that is there. */
  get(id: number): Uint8Array {
    const found = this.#list.find(([other]) => other === BigInt(id));
    if (found === undefined) throw new Error(`There is no transport parameter ${id}`);
    return found[1];
  }

  get bytes(): Uint8Array {
    return concatBytes(...this.#list.flatMap(([id, value]) => [varint(id), varint(value.length), value]));
  }
}

/** A number as it is on the wire. */
export function varint(value: number | bigint): Uint8Array {
  const writer = new Writer(new Uint8Array(8));
  writeVarint62(writer, BigInt(value));
  return writer.written().slice();
}

/** As hexadecimal, and in the shortest form. */
export function varintHex(value: number): string {
  const bytes = varint(value);
  if (bytes.length !== varintBytes(value)) throw new Error("It is not the shortest form");
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Declares other transport parameters in the handshake, which is right otherwise.
 *
 * @param prepare What else is wrong with the raw peer.
 */
export function declare(
  change: (parameters: WireParameters) => WireParameters | Uint8Array,
  options: PairOptions = {},
  prepare: (raw: RawPeer) => void = () => {},
): (by: Side) => Answer {
  return (by) => {
    const { pair, raw } = rawEnd(by, options);
    prepare(raw);
    withMessages((from, message) => {
      if (from !== by || (message.type !== "client_hello" && message.type !== "encrypted_extensions")) return message;
      const extensions = message.extensions.map((extension) => {
        if (extension.type !== "quic_transport_parameters") return extension;
        const changed = change(new WireParameters(extension.bytes));
        return { ...extension, bytes: changed instanceof Uint8Array ? changed : changed.bytes };
      });
      return { ...message, extensions };
    }, () => {
      pair.connect();
      pair.runTo(1000);
    });
    return closingOf(pair, raw, by, !raw.hasEmptyId);
  };
}
