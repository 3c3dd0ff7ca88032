/**
 * Messages to a hub as a request on the connection to its relay: `POST /signal`, lines to and fro (RFC 9114). The first
 * message leaves with the client's Finished, so that handshake and offer cost a round trip each and no more.
 *
 * @module
 */

import type { Http3Connection } from "../protocols/http3/connection.ts";
import type { Http3Event } from "../protocols/http3/events.ts";
import { HTTP3_ERROR, nameHttp3Error } from "../protocols/http3/errors.ts";
import { LineStream } from "../protocols/http3/line_stream.ts";
import type { ResponseHead } from "../protocols/http3/message.ts";
import { MAX_MESSAGE_LENGTH, SIGNAL_CONTENT_TYPE, SIGNAL_PATH } from "../signaling/channel.ts";
import type { RelayConnection, RelayConnections, RelayUse } from "./relay_connection.ts";
import type { RelayChannelOptions } from "./traversal.ts";

/** Messages that wait until the relay takes a request, at most: an offer and what follows it. */
const MAX_WAITING_MESSAGES = 64;

/** What is read and what may wait, in bytes, as with a WebSocket. */
const LIMITS = { maxLineBytes: 4 * MAX_MESSAGE_LENGTH, maxWaitingBytes: 256 * 1024 } as const;

/** Who is told. */
export interface RelayChannelListener {
  /** Messages may be sent. */
  channelOpened(now: number): void;
  channelMessage(text: string, now: number): void;
  /** The last call; `isRefused`: another attempt would not help. */
  channelClosed(reason: string, isRefused: boolean, now: number): void;
}

type State =
  /** The handshake is under way. */
  | { readonly name: "connecting" }
  /** There is nothing to be said yet, or no room for one more request. */
  | { readonly name: "ready"; readonly http3: Http3Connection }
  | { readonly name: "open"; readonly streamId: number; readonly lines: LineStream }
  | { readonly name: "closed" };

/** One channel, from its opening until it is closed or lost; the dialogue asks for another. */
export class RelayChannel implements RelayUse {
  readonly timeoutAt: number = Infinity;
  readonly #relays: RelayConnections;
  readonly #options: RelayChannelOptions;
  readonly #listener: RelayChannelListener;
  readonly #connection: RelayConnection;
  #waiting: string[] = [];
  #state: State = { name: "connecting" };

  constructor(relays: RelayConnections, options: RelayChannelOptions, listener: RelayChannelListener, now: number) {
    this.#relays = relays;
    this.#options = options;
    this.#listener = listener;
    this.#connection = relays.join(options.relay, this, now);
  }

  onTimeout(): void {
    // The dialogue has its own idea of how long an answer may take.
  }

  /** Sends a message. Dropped silently once the channel is closed. @throws {RangeError} If it is too long. */
  send(text: string, now: number): void {
    if (text.length > MAX_MESSAGE_LENGTH) {
      throw new RangeError(`Cannot send ${text.length} characters: at most ${MAX_MESSAGE_LENGTH}`);
    }
    if (this.#state.name === "closed") return;
    if (this.#waiting.length >= MAX_WAITING_MESSAGES) return this.#end("the hub takes no messages", false, now);
    this.#waiting.push(text);
    this.#flush(now);
  }

  /** Closes it, and tells nobody. */
  close(now: number): void {
    if (this.#state.name === "open") this.#state.lines.finish("H3_REQUEST_CANCELLED");
    this.#leave(now);
  }

  connecting(): void {
    // Nothing to be said before the handshake is over.
  }

  ready(http3: Http3Connection, now: number): void {
    if (this.#state.name !== "connecting") return;
    this.#state = { name: "ready", http3 };
    this.#listener.channelOpened(now);
  }

  handleEvent(event: Http3Event, now: number): void {
    const state = this.#state;
    if (state.name === "ready") {
      if (event.type === "requestsAvailable") this.#flush(now);
      else if (event.type === "goAway") this.#end("the relay is going away", false, now);
    }
    if (state.name !== "open" || !("streamId" in event) || event.streamId !== state.streamId) return;
    switch (event.type) {
      case "response":
        return this.#onResponse(event.response, now);
      case "readable":
        return this.#read(state.lines, now);
      case "writable":
        return state.lines.flush();
      case "stopped":
        // RFC 9114 §4.1: the response is whole, and has the reason in it.
        if (event.code === HTTP3_ERROR.H3_NO_ERROR) return;
        return this.#end(`the hub ended it with ${nameHttp3Error(event.code)}`, false, now);
      case "reset":
        return this.#end(`the hub ended it with ${nameHttp3Error(event.code)}`, false, now);
      case "failed":
        return this.#end(event.reason, false, now);
      case "streamClosed":
        return this.#end("the hub has ended the connection", false, now);
      default:
        return;
    }
  }

  settle(): void {
    // Everything is done as it comes.
  }

  lost(reason: string, _retryAt: number, now: number): void {
    // Whoever wants another channel says so: the connection comes back with it.
    this.#end(reason, false, now);
  }

  #flush(now: number): void {
    if (this.#state.name === "ready") this.#ask(this.#state.http3);
    if (this.#state.name !== "open") return;
    const { lines } = this.#state;
    for (const text of this.#waiting.splice(0)) lines.send(text);
    if (lines.fault !== undefined) this.#end(lines.fault.reason, false, now);
  }

  #ask(http3: Http3Connection): void {
    const { relay, token } = this.#options;
    const streamId = http3.request({
      method: "POST",
      scheme: "https",
      authority: relay.authority,
      path: SIGNAL_PATH,
      fields: [
        ["content-type", SIGNAL_CONTENT_TYPE],
        ...(token === undefined ? [] : [["authorization", `Bearer ${token}`] as const]),
      ],
    });
    if (streamId !== undefined) {
      this.#state = { name: "open", streamId, lines: new LineStream(http3, streamId, LIMITS) };
    }
  }

  #onResponse({ status }: ResponseHead, now: number): void {
    if (status === 200) return this.#connection.confirm();
    const { relay: { authority }, token } = this.#options;
    const what = status === 404
      ? ", there is no hub"
      : status === 401 || status === 403
      ? token === undefined ? ", a --token is asked for" : ", another --token is asked for"
      : "";
    this.#end(`Cannot signal through ${authority}: the answer is ${status}${what}`, what !== "", now);
  }

  #read(lines: LineStream, now: number): void {
    for (let text = lines.read(now); text !== undefined; text = lines.read(now)) {
      this.#listener.channelMessage(text, now);
      // What was told may have closed it.
      if (this.#state.name !== "open") return;
    }
    if (lines.fault !== undefined) this.#end(lines.fault.reason, false, now);
    else if (lines.isAtEnd) this.#end("the hub has ended the connection", false, now);
  }

  #end(reason: string, isRefused: boolean, now: number): void {
    if (this.#state.name === "closed") return;
    if (this.#state.name === "open") this.#state.lines.finish("H3_REQUEST_CANCELLED");
    this.#leave(now);
    this.#listener.channelClosed(reason, isRefused, now);
  }

  #leave(now: number): void {
    if (this.#state.name === "closed") return;
    this.#state = { name: "closed" };
    this.#waiting = [];
    this.#relays.leave(this.#connection, this, now);
  }
}
