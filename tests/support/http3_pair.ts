/**
 * HTTP/3 on one or both ends of a pair of QUIC endpoints in virtual time. The end without it is raw: a peer that says what a
 * test wants it to say.
 *
 * @module
 */

import { concatBytes, fromHex } from "../../protocols/core/bytes.ts";
import { DEFAULT_HTTP3_OPTIONS, type Http3Options } from "../../protocols/http3/config.ts";
import { Http3Connection } from "../../protocols/http3/connection.ts";
import type { Http3Event } from "../../protocols/http3/events.ts";
import { encodeFrame } from "../../protocols/http3/frame.ts";
import type { Field, RequestHead } from "../../protocols/http3/message.ts";
import { encodeFieldSection } from "../../protocols/http3/qpack/field_section.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import { Pair, type PairOptions, type Peer } from "./quic_pair.ts";

/** One end. */
export class Http3End {
  readonly http3: Http3Connection;
  readonly quic: QuicConnection;
  /** Every event, in order. */
  readonly events: Http3Event[] = [];
  /** Called for each event, to react to it. */
  onEvent: (event: Http3Event) => void = () => {};

  constructor(quic: QuicConnection, options: Http3Options) {
    this.quic = quic;
    this.http3 = new Http3Connection(quic, options);
  }

  /** Takes an event of the connection underneath. */
  handle(event: ConnectionEvent, now: number): void {
    this.http3.handleEvent(event, now);
    this.drain();
  }

  /** Reports what commands have caused, which happens without an event of the connection underneath. */
  drain(): void {
    for (let event = this.http3.pollEvent(); event !== undefined; event = this.http3.pollEvent()) {
      this.events.push(event);
      this.onEvent(event);
    }
  }

  /** The events of one type. */
  of<T extends Http3Event["type"]>(type: T): Extract<Http3Event, { type: T }>[] {
    return this.events.filter((event): event is Extract<Http3Event, { type: T }> => event.type === type);
  }

  /** Reads the content that is there. */
  readAll(streamId: number, now: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let data = this.http3.read(streamId, now); data !== undefined; data = this.http3.read(streamId, now)) {
      parts.push(data);
    }
    return concatBytes(...parts);
  }
}

/** The end that has no HTTP/3. */
export class RawEnd {
  readonly quic: QuicConnection;
  readonly events: ConnectionEvent[] = [];

  constructor(quic: QuicConnection) {
    this.quic = quic;
  }

  /** Opens a stream and writes to it, hexadecimal or bytes. */
  open(directionality: "bidirectional" | "unidirectional", bytes: string | Uint8Array, isEnd = false): number {
    const id = this.quic.openStream(directionality);
    if (id === undefined) throw new Error("There is no stream to open");
    this.quic.write(id, typeof bytes === "string" ? fromHex(bytes) : bytes);
    if (isEnd) this.quic.finish(id);
    return id;
  }

  /** A control stream with SETTINGS that allow everything, and what follows. */
  openControl(rest: string = ""): number {
    return this.open("unidirectional", `00 04 04 0801 3301 ${rest}`);
  }

  /** The codes with which the peer ended a stream: RESET_STREAM, STOP_SENDING. */
  codesOf(streamId: number): (number | undefined)[] {
    const find = (type: "streamReset" | "streamStopped"): number | undefined => {
      for (const event of this.events) if (event.type === type && event.id === streamId) return event.code;
      return undefined;
    };
    return [find("streamReset"), find("streamStopped")];
  }
}

/** How a pair is made. */
export interface Http3PairOptions extends PairOptions {
  readonly clientHttp3?: Partial<Http3Options>;
  readonly serverHttp3?: Partial<Http3Options>;
}

/** HTTP/3 on both ends; both have each other's SETTINGS. */
export function http3Pair(options: Http3PairOptions = {}): { pair: Pair; client: Http3End; server: Http3End } {
  const pair = new Pair(options);
  const quic = pair.connect();
  const client = new Http3End(quic, { ...DEFAULT_HTTP3_OPTIONS, ...options.clientHttp3 });
  pair.client.onEvent = (_, event) => client.handle(event, pair.now);
  let server: Http3End | undefined;
  pair.server.onEvent = (connection, event) => {
    server ??= new Http3End(connection, { ...DEFAULT_HTTP3_OPTIONS, ...options.serverHttp3 });
    server.handle(event, pair.now);
  };
  pair.runUntil(() => client.http3.peerSettings !== undefined && server?.http3.peerSettings !== undefined);
  if (server === undefined) throw new Error("There is no server");
  return { pair, client, server };
}

/** HTTP/3 on one end, and a raw peer; the handshake is done. */
export function rawPair(
  ours: "client" | "server",
  options: Http3PairOptions = {},
): { pair: Pair; end: Http3End; raw: RawEnd } {
  const pair = new Pair(options);
  const client = pair.connect();
  const http3Options = { ...DEFAULT_HTTP3_OPTIONS, ...options.clientHttp3, ...options.serverHttp3 };
  let end: Http3End | undefined = ours === "client" ? new Http3End(client, http3Options) : undefined;
  let raw: RawEnd | undefined = ours === "server" ? new RawEnd(client) : undefined;
  const handle = (peer: Peer): void => {
    peer.onEvent = (connection, event) => {
      if ((peer === pair.client) === (ours === "client")) {
        end ??= new Http3End(connection, http3Options);
        end.handle(event, pair.now);
      } else {
        raw ??= new RawEnd(connection);
        raw.events.push(event);
      }
    };
  };
  handle(pair.client);
  handle(pair.server);
  const isConfirmed = (peer: Peer): boolean => peer.connections[0]?.state === "confirmed";
  pair.runUntil(() => isConfirmed(pair.client) && isConfirmed(pair.server));
  if (end === undefined || raw === undefined) throw new Error("An end is missing");
  return { pair, end, raw };
}

/** A HEADERS frame. */
export function headersFrame(fields: readonly Field[]): Uint8Array {
  return encodeFrame("HEADERS", encodeFieldSection(fields));
}

/** A DATA frame. */
export function dataFrame(text: string): Uint8Array {
  return encodeFrame("DATA", new TextEncoder().encode(text));
}

/** The fields of a GET. */
export const GET_FIELDS: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "relay.example"],
  [":path", "/"],
];

/** The fields of an extended CONNECT. */
export const EXTENDED_FIELDS: readonly Field[] = [
  [":method", "CONNECT"],
  [":scheme", "https"],
  [":authority", "relay.example"],
  [":path", "/udp"],
  [":protocol", "connect-udp"],
];

/** A GET. */
export const GET_HEAD: RequestHead = {
  method: "GET",
  scheme: "https",
  authority: "relay.example",
  path: "/",
  fields: [],
};

/** An extended CONNECT. */
export const EXTENDED_HEAD: RequestHead = {
  method: "CONNECT",
  scheme: "https",
  authority: "relay.example",
  path: "/.well-known/masque/udp/%2A/%2A/",
  protocol: "connect-udp",
  fields: [["capsule-protocol", "?1"], ["connect-udp-bind", "?1"]],
};
