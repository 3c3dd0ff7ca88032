/**
 * Signaling over WebSocket (RFC 6455) to a hub. `open` resolves when TCP (and TLS) are up; the upgrade request is written
 * with the first message, in a header and never in the URL, which proxies write down. `npm:ws` can do that, because it
 * takes a socket that is connected already; the runtime's own WebSocket freezes its headers before there is one.
 *
 * This file is the only one that names `ws`, so the server's half of it is here too: `service/` is handed it.
 *
 * @module
 */

import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Buffer } from "node:buffer";
// @ts-types="@types/ws"
import { WebSocket, WebSocketServer } from "ws";
// @ts-types="@types/ws"
import type { RawData } from "ws";
import { isIpAddress } from "../protocols/core/address.ts";
import { MAX_MESSAGE_LENGTH, SignalingRefusedError } from "./channel.ts";
import type { MessageChannel, Signaling } from "./channel.ts";
import { MessageQueue } from "./queue_stream.ts";

/** The header of the upgrade request that carries the first message, in base64url. */
export const MESSAGE_HEADER = "traverse-message";

/**
 * Longest value of that header, in bytes: with all others it stays below the 8 KiB that servers and proxies allow. A
 * longer first message is the first frame instead, and costs a round trip.
 */
export const MAX_MESSAGE_HEADER_BYTES = 6144;

/** How long one address of the hub is waited for before the next is tried too (RFC 8305 §8). */
const CONNECTION_ATTEMPT_DELAY_MS = 250;

/** How long TCP and TLS may take by default. */
const CONNECT_TIMEOUT_MS = 10_000;

/** How long the hub may take to answer the upgrade request. */
const UPGRADE_TIMEOUT_MS = 10_000;

/** Messages that wait for the upgrade to be answered, at most. */
const MAX_WAITING_MESSAGES = 64;

/** Bytes that wait for a peer who does not read, at most: beyond, the connection is cut. */
const MAX_BUFFERED_BYTES = 256 * 1024;

/**
 * Pings of WebSocket (RFC 6455 §5.5.2) from a client since its last message: they cost it nothing where messages are
 * counted, and a hub hangs up on who says nothing for 95 s. One more, and the connection is cut.
 */
export const MAX_PINGS_BETWEEN_MESSAGES = 64;

/** Where a hub is, and how to get in. */
export interface WebSocketSignalingOptions {
  /** What a hub with `--token` asks for. */
  readonly token?: string;
  /** Certificates to trust besides the system's, in PEM. */
  readonly caCerts?: readonly string[];
  /** How long TCP and TLS may take. @default {10000} */
  readonly connectTimeoutMs?: number;
}

/**
 * Signaling through the hub at `url`.
 *
 * @param url `ws:` or `wss:`; without a path, `/signal` is meant.
 * @throws {TypeError} If it is no such URL.
 * @example
 * ```ts
 * import { websocket } from "@traverse/traverse";
 * const signaling = websocket("wss://hub.example.org");
 * ```
 */
export function websocket(url: string | URL, options: WebSocketSignalingOptions = {}): WebSocketSignaling {
  return new WebSocketSignaling(url, options);
}

/** Made by {@linkcode websocket}. */
export class WebSocketSignaling implements Signaling {
  readonly name = "websocket";
  readonly dialogue = "hub";
  readonly hub: string;
  /** With path, without token: what a ticket says. */
  readonly url: string;
  readonly #url: URL;
  readonly #options: WebSocketSignalingOptions;

  constructor(url: string | URL, options: WebSocketSignalingOptions) {
    const parsed = URL.parse(String(url));
    if (parsed === null || !["ws:", "wss:"].includes(parsed.protocol) || parsed.username + parsed.search !== "") {
      throw new TypeError(`Cannot signal through "${url}": it is not a URL like wss://hub.example.org/signal`);
    }
    if (parsed.pathname === "/") parsed.pathname = "/signal";
    parsed.hash = "";
    this.#url = parsed;
    this.#options = options;
    this.hub = parsed.host;
    this.url = parsed.href;
  }

  /** @throws {Error} If the hub cannot be reached. */
  async open({ signal }: { readonly signal: AbortSignal }): Promise<MessageChannel> {
    signal.throwIfAborted();
    const socket = await connectSocket(this.#url, signal, this.#options);
    return new WebSocketChannel(this.#url, socket, { signal, token: this.#options.token });
  }
}

function connectSocket(url: URL, signal: AbortSignal, options: WebSocketSignalingOptions): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const isSecure = url.protocol === "wss:";
  const { caCerts, connectTimeoutMs: timeout = CONNECT_TIMEOUT_MS } = options;
  const target = {
    host,
    port: Number(url.port) || (isSecure ? 443 : 80),
    autoSelectFamilyAttemptTimeout: CONNECTION_ATTEMPT_DELAY_MS,
    timeout,
  };
  return new Promise((resolve, reject) => {
    const socket = isSecure
      ? connectTls({
        ...target,
        ALPNProtocols: ["http/1.1"],
        // RFC 6066 §3: a server name is never an address.
        ...(isIpAddress(host) ? {} : { servername: host }),
        ...(caCerts && { ca: [...caCerts] }),
      })
      : connectTcp(target);
    const settle = (): void => {
      signal.removeEventListener("abort", abort);
      socket.removeListener("error", fail);
      socket.removeListener("timeout", expire);
    };
    const abort = (): void => {
      settle();
      // What goes wrong from now on concerns nobody.
      socket.on("error", () => {});
      socket.destroy();
      reject(signal.reason);
    };
    const fail = (error: Error): void => {
      settle();
      socket.on("error", () => {});
      socket.destroy();
      reject(new Error(`Cannot reach ${url.host}: ${error.message}`, { cause: error }));
    };
    const expire = (): void => fail(new Error(`no answer for ${timeout} ms`));
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", fail);
    socket.once("timeout", expire);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      settle();
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

class WebSocketChannel implements MessageChannel {
  readonly #url: URL;
  readonly #socket: Socket;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal;
  readonly #queue: MessageQueue;
  readonly #waiting: string[] = [];
  readonly #onAbort: () => void;
  #webSocket: WebSocket | undefined;
  #isClosed = false;

  constructor(
    url: URL,
    socket: Socket,
    options: { readonly signal: AbortSignal; readonly token: string | undefined },
  ) {
    this.#url = url;
    this.#socket = socket;
    this.#token = options.token;
    this.#signal = options.signal;
    this.#queue = new MessageQueue(() => this.close());
    this.#onAbort = () => this.close();
    this.#signal.addEventListener("abort", this.#onAbort, { once: true });
    // Between TCP and the first message the socket is ours to watch.
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(undefined));
  }

  get messages(): ReadableStream<string> {
    return this.#queue.stream;
  }

  send(message: string): void {
    if (message.length > MAX_MESSAGE_LENGTH) {
      throw new RangeError(`Cannot send ${message.length} characters: at most ${MAX_MESSAGE_LENGTH}`);
    }
    if (this.#isClosed) return;
    const webSocket = this.#webSocket;
    if (webSocket === undefined) {
      this.#upgrade(message);
    } else if (webSocket.readyState !== WebSocket.OPEN) {
      if (this.#waiting.length < MAX_WAITING_MESSAGES) this.#waiting.push(message);
    } else if (webSocket.bufferedAmount > MAX_BUFFERED_BYTES) {
      this.#end(new Error("Cannot send: the hub does not read"));
    } else {
      webSocket.send(message);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    if (this.#webSocket?.readyState === WebSocket.OPEN) this.#webSocket.close(1000);
    else this.#socket.destroy();
    this.#end(undefined);
  }

  #upgrade(first: string): void {
    const headers: Record<string, string> = {};
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    const encoded = new TextEncoder().encode(first).toBase64({ alphabet: "base64url", omitPadding: true });
    if (encoded.length <= MAX_MESSAGE_HEADER_BYTES) headers[MESSAGE_HEADER] = encoded;
    else this.#waiting.push(first);
    const webSocket = new WebSocket(this.#url, {
      createConnection: () => this.#socket,
      headers,
      handshakeTimeout: UPGRADE_TIMEOUT_MS,
      maxPayload: 4 * MAX_MESSAGE_LENGTH,
      // Compression keeps a context and a lot of memory for messages that are mostly random bytes.
      perMessageDeflate: false,
      followRedirects: false,
    });
    this.#webSocket = webSocket;
    webSocket.on("open", () => {
      for (const message of this.#waiting.splice(0)) webSocket.send(message);
    });
    webSocket.on("message", (data, isBinary) => {
      const text = isBinary ? undefined : textOf(data);
      if (text !== undefined && !this.#queue.push(text)) this.close();
    });
    webSocket.on("unexpected-response", (_request, response) => {
      this.#end(this.#explain(response.statusCode));
      this.#socket.destroy();
    });
    webSocket.on("error", (error) => this.#end(error));
    webSocket.on("close", () => this.#end(undefined));
  }

  #explain(status: number | undefined): Error {
    const message = `Cannot signal through ${this.#url.host}: the answer is ${status}`;
    // RFC 9110 §15.5.2, §15.5.4: it is understood who asks, and that is the trouble.
    if (status !== 401 && status !== 403) return new Error(message);
    const what = this.#token === undefined ? "a --token is asked for" : "another --token is asked for";
    return new SignalingRefusedError(`${message}, ${what}`);
  }

  #end(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#waiting.length = 0;
    if (error === undefined) this.#queue.close();
    else this.#queue.fail(error);
    if (error !== undefined) this.#socket.destroy();
  }
}

/** Who is told what a client says. */
export interface ServerSocketHandler {
  handleMessage(message: string): void;
  /** The last call. */
  handleClosed(): void;
}

/** The server's end of a channel. */
export interface ServerSocket {
  /** Whether it was taken: a client that does not read is cut off. */
  send(message: string): boolean;
  close(): void;
}

const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  maxPayload: MAX_MESSAGE_LENGTH,
  perMessageDeflate: false,
});

/**
 * Answers an upgrade request. The 101 is written at once, and what `handle` sends right away goes in the same flight.
 *
 * @param handle Gets the socket and the first message, if the request carried one, and returns who is told the rest.
 */
export function acceptWebSocket(
  upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Uint8Array },
  handle: (socket: ServerSocket, first: string | undefined) => ServerSocketHandler,
): void {
  const { request, socket, head } = upgrade;
  server.handleUpgrade(request, socket, Buffer.from(head), (webSocket) => {
    const handler = handle({
      send(message: string): boolean {
        if (webSocket.readyState !== WebSocket.OPEN) return false;
        if (webSocket.bufferedAmount > MAX_BUFFERED_BYTES) {
          webSocket.terminate();
          return false;
        }
        webSocket.send(message);
        return true;
      },
      close(): void {
        webSocket.close(1000);
      },
    }, readMessageHeader(request.headers[MESSAGE_HEADER]));
    let pings = 0;
    webSocket.on("message", (data, isBinary) => {
      const text = isBinary ? undefined : textOf(data);
      pings = 0;
      if (text === undefined) webSocket.close(1003);
      else handler.handleMessage(text);
    });
    // The library answers them, and cuts off who does not read the answers.
    webSocket.on("ping", () => {
      if (++pings > MAX_PINGS_BETWEEN_MESSAGES) webSocket.terminate();
    });
    // The library has closed it, with the code of RFC 6455 §7.4.1, and "close" follows.
    webSocket.on("error", () => {});
    webSocket.on("close", () => handler.handleClosed());
  });
}

/**
 * The first message, from the header of the upgrade request; `undefined` if there is none. What is not readable is an empty
 * message: the hub answers it as it answers any other nonsense.
 */
export function readMessageHeader(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== "string" || header.length > MAX_MESSAGE_HEADER_BYTES) return "";
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(header, { alphabet: "base64url" }));
  } catch {
    return "";
  }
}

function textOf(data: RawData): string | undefined {
  if (data instanceof ArrayBuffer) return new TextDecoder().decode(data);
  return Array.isArray(data) ? undefined : new TextDecoder().decode(data);
}
