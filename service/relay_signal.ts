/**
 * Signaling at a relay: `POST /signal`, whose request and response are lines of text, one message of the hub's each. One
 * directory serves these clients and those with a WebSocket.
 *
 * @module
 */

import type { Http3Connection } from "../protocols/http3/connection.ts";
import type { Http3Event } from "../protocols/http3/events.ts";
import { LineStream } from "../protocols/http3/line_stream.ts";
import { type RequestHead, type ResponseHead, singleField } from "../protocols/http3/message.ts";
import { MAX_MESSAGE_LENGTH, SIGNAL_CONTENT_TYPE, SIGNAL_PATH } from "../signaling/channel.ts";
import type { HubClientHandler, HubGate } from "./hub_connection.ts";

/** Such requests at once on one connection: one in use, and some of which is not known yet that they are over. */
export const MAX_SIGNALS_PER_CONNECTION = 4;

/** Such requests at once at a relay: anybody may signal, and connections are to be left for those who may have a port. */
export const MAX_SIGNALS = 3072;

/** Bytes that wait for a client that does not read, at most, besides what the stream underneath has taken. */
export const MAX_WAITING_BYTES = 64 * 1024;

/** What signaling counts, by the name it has in the metrics. */
export type SignalCounter =
  | "signals"
  | "refused_signals"
  /** Ended for lines that are too long, or no text. */
  | "malformed_signals"
  /** Ended because they did not read. */
  | "slow_signals";

/** What a stream needs of the relay around it. */
export interface SignalHost {
  readonly gate: HubGate;
  count(counter: SignalCounter): void;
  /** The client has gone, or the hub has had enough of it. */
  ended(now: number): void;
}

/** One request of a client's, while it lasts. */
export class SignalStream {
  readonly #host: SignalHost;
  readonly #lines: LineStream;
  readonly #client: HubClientHandler;
  #isOver = false;

  /** Answers the request; it is a client of the hub from now on. */
  constructor(http3: Http3Connection, streamId: number, host: SignalHost, now: number) {
    this.#host = host;
    this.#lines = new LineStream(http3, streamId, {
      maxLineBytes: MAX_MESSAGE_LENGTH,
      maxWaitingBytes: MAX_WAITING_BYTES,
    });
    host.count("signals");
    http3.respond(streamId, { status: 200, fields: [["content-type", SIGNAL_CONTENT_TYPE]] });
    this.#client = host.gate.open(
      {
        send: (message, at) => this.#send(message, at),
        close: (at) => this.end(at),
      },
      http3.quic.path.remote.host,
      now,
    );
  }

  /** Takes an event of this stream. */
  handleEvent(event: Http3Event, now: number): void {
    if (event.type === "writable") return this.#lines.flush();
    if (event.type !== "readable") return this.end(now);
    for (let line = this.#lines.read(now); line !== undefined; line = this.#lines.read(now)) {
      this.#client.handleMessage(line, now);
    }
    if (this.#lines.fault !== undefined) this.#host.count("malformed_signals");
    // A client that says no more has no use for answers either.
    if (this.#lines.fault !== undefined || this.#lines.isAtEnd) this.end(now);
  }

  /** It is over, and the hub forgets its client. What was sent still goes out, if anybody reads it. */
  end(now: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lines.cutOrFinish();
    this.#client.handleClosed(now);
    this.#host.ended(now);
  }

  #send(message: string, now: number): void {
    if (this.#isOver || this.#lines.send(message)) return;
    this.#host.count("slow_signals");
    this.end(now);
  }
}

/** Whether a request is about signaling. */
export function isSignalRequest({ path }: RequestHead): boolean {
  return path?.split("?")[0] === SIGNAL_PATH;
}

/** What to answer a request about signaling instead of taking it; `undefined` if it is to be taken. */
export function refuseSignal(
  { method, fields }: RequestHead,
  gate: HubGate | undefined,
  open: { readonly onConnection: number; readonly atRelay: number },
): ResponseHead | undefined {
  if (gate === undefined) return { status: 404, fields: [] };
  // RFC 9110 §15.5.6: what is allowed goes with it.
  if (method !== "POST") return { status: 405, fields: [["allow", "POST"]] };
  // RFC 9110 §15.5.2: so does what is asked for.
  if (!gate.isAuthorized(singleField(fields, "authorization"))) {
    return { status: 401, fields: [["www-authenticate", "Bearer"]] };
  }
  if (open.onConnection >= MAX_SIGNALS_PER_CONNECTION) return { status: 429, fields: [] };
  return open.atRelay < MAX_SIGNALS ? undefined : { status: 503, fields: [] };
}
