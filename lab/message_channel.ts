/**
 * Channels of messages over virtual streams, with the packets of a WebSocket: the first message of the client rides in an
 * upgrade request once the stream is up, the server's answer is a response and its first frames in the same flight.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { concatBytes } from "../protocols/core/bytes.ts";
import { Reader } from "../protocols/core/reader.ts";
import { Writer } from "../protocols/core/writer.ts";
import type { VirtualHost } from "./host.ts";
import type { CloseReason, StreamHandler, VirtualStream } from "./stream.ts";
import type { StreamListener } from "./stream_stack.ts";

/** Who is told what happens on a channel, in virtual time. */
export interface ChannelHandler {
  /** Messages may be sent: the client's stream is up, or the server has read the request. */
  handleOpen(now: number): void;
  handleMessage(message: string, now: number): void;
  /** The last call. */
  handleClosed(now: number, reason: CloseReason): void;
}

/** One end of a channel. */
export interface VirtualChannel {
  readonly remote: Address;
  /** Dropped silently once the channel is closed. */
  send(message: string): void;
  /** Harmless when it is closed. */
  close(): void;
}

/** What travels on the stream, and the bytes of each besides its message. */
const OVERHEAD_BYTES = {
  /** Request line, host, key, protocol, and what a runtime adds by itself. */
  request: 280,
  /** A 101 response. */
  response: 129,
  /** RFC 6455 §5.2: two bytes, a 16-bit length, a mask. */
  clientFrame: 8,
  serverFrame: 4,
} as const;

type UnitType = keyof typeof OVERHEAD_BYTES;
const UNIT_TYPES: readonly UnitType[] = ["request", "response", "clientFrame", "serverFrame"];

/** Type and length of a unit. */
const UNIT_HEADER_BYTES = 4;

/** Longest message, in bytes: what a channel carries is small. */
export const MAX_MESSAGE_BYTES = 65_536;

/** Messages that wait for the upgrade; one more is an error of the test. */
const MAX_WAITING_MESSAGES = 256;

/** Opens a channel to a host's listening port. */
export function openChannel(host: VirtualHost, remote: Address, handler: ChannelHandler): VirtualChannel {
  return new ClientChannel(host, remote, handler);
}

/** Accepts channels on a port; `accept` is called when a client's request has been read. */
export function serveChannels(
  host: VirtualHost,
  port: number,
  accept: (channel: VirtualChannel) => ChannelHandler,
): StreamListener {
  return host.streams.listen(port, (stream) => new ServerChannel(host, stream, accept));
}

class ClientChannel implements VirtualChannel, StreamHandler {
  readonly #host: VirtualHost;
  readonly #handler: ChannelHandler;
  readonly #stream: VirtualStream;
  readonly #reader = new UnitReader();
  /** Messages that wait for the stream to open, or, after the first, for the response to the request. */
  readonly #waiting: string[] = [];
  #state: "connecting" | "open" | "requested" | "upgraded" | "closed" = "connecting";

  constructor(host: VirtualHost, remote: Address, handler: ChannelHandler) {
    this.#host = host;
    this.#handler = handler;
    this.#stream = host.streams.connect(remote, this);
  }

  get remote(): Address {
    return this.#stream.remote;
  }

  send(message: string): void {
    if (this.#state === "closed") return;
    if (this.#waiting.length === MAX_WAITING_MESSAGES) {
      throw new RangeError(`Cannot send: ${MAX_WAITING_MESSAGES} messages wait for the channel to open`);
    }
    this.#waiting.push(message);
    this.#flush();
  }

  close(): void {
    this.#stream.close();
  }

  handleOpen(): void {
    this.#state = "open";
    this.#handler.handleOpen(this.#host.now());
    this.#flush();
  }

  handleData(bytes: Uint8Array): void {
    for (const { type, message } of this.#reader.read(bytes)) {
      if (type === "response") this.#state = "upgraded";
      else this.#handler.handleMessage(message, this.#host.now());
    }
    this.#flush();
  }

  handleClosed(reason: CloseReason): void {
    this.#state = "closed";
    this.#waiting.length = 0;
    this.#handler.handleClosed(this.#host.now(), reason);
  }

  #flush(): void {
    if (this.#state === "open") {
      const first = this.#waiting.shift();
      if (first === undefined) return;
      this.#state = "requested";
      this.#stream.send(encodeUnit("request", first));
    }
    if (this.#state !== "upgraded") return;
    for (const message of this.#waiting.splice(0)) this.#stream.send(encodeUnit("clientFrame", message));
  }
}

class ServerChannel implements VirtualChannel, StreamHandler {
  readonly #host: VirtualHost;
  readonly #stream: VirtualStream;
  readonly #accept: (channel: VirtualChannel) => ChannelHandler;
  readonly #reader = new UnitReader();
  #handler: ChannelHandler | undefined;

  constructor(host: VirtualHost, stream: VirtualStream, accept: (channel: VirtualChannel) => ChannelHandler) {
    this.#host = host;
    this.#stream = stream;
    this.#accept = accept;
  }

  get remote(): Address {
    return this.#stream.remote;
  }

  send(message: string): void {
    this.#stream.send(encodeUnit("serverFrame", message));
  }

  close(): void {
    this.#stream.close();
  }

  handleData(bytes: Uint8Array): void {
    for (const { type, message } of this.#reader.read(bytes)) {
      if (type === "request") {
        this.#stream.send(encodeUnit("response", ""));
        this.#handler = this.#accept(this);
        this.#handler.handleOpen(this.#host.now());
      }
      this.#handler?.handleMessage(message, this.#host.now());
    }
  }

  handleClosed(reason: CloseReason): void {
    this.#handler?.handleClosed(this.#host.now(), reason);
  }
}

/** A unit: its type, the length of its message, the message, and zeros up to the size it would have on a real network. */
function encodeUnit(type: UnitType, text: string): Uint8Array {
  const message = new TextEncoder().encode(text);
  if (message.length > MAX_MESSAGE_BYTES) {
    throw new RangeError(`Cannot send a message of ${message.length} bytes: ${MAX_MESSAGE_BYTES} are the limit`);
  }
  const writer = new Writer(new Uint8Array(OVERHEAD_BYTES[type] + message.length));
  writer.uint8(UNIT_TYPES.indexOf(type));
  writer.uint24(message.length);
  writer.bytes(message);
  return writer.buffer;
}

/** Cuts the bytes of a stream into units. */
class UnitReader {
  #pending: Uint8Array = new Uint8Array(0);

  read(bytes: Uint8Array): { readonly type: UnitType; readonly message: string }[] {
    const units = [];
    let rest = concatBytes(this.#pending, bytes);
    while (rest.length >= UNIT_HEADER_BYTES) {
      const reader = new Reader(rest);
      const type = UNIT_TYPES[reader.uint8()]!;
      const messageBytes = reader.uint24();
      const unitBytes = OVERHEAD_BYTES[type] + messageBytes;
      if (rest.length < unitBytes) break;
      units.push({ type, message: new TextDecoder().decode(reader.bytes(messageBytes)) });
      rest = rest.subarray(unitBytes);
    }
    this.#pending = rest;
    return units;
  }
}
