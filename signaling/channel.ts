/**
 * The plugin point "how offers and candidates travel": a channel of small text messages, and the machines that speak
 * over one without knowing what carries it.
 *
 * @module
 */

/** Largest message, in UTF-16 units: an offer with 12 candidates stays far below it. */
export const MAX_MESSAGE_LENGTH = 8192;

/** Where a hub is, at its host, unless its URL says otherwise. */
export const SIGNAL_PATH = "/signal";

/** Media type of messages as lines of JSON, in the content of HTTP requests. */
export const SIGNAL_CONTENT_TYPE = "application/jsonl";

/**
 * A two-way carrier of messages. The first message sent is written together with whatever opens the carrier (a WebSocket:
 * in a header of the upgrade request), so that it costs no round trip of its own.
 */
export interface MessageChannel {
  /** Sends a message. Dropped silently once the channel is closed. @throws {RangeError} If it is too long. */
  send(message: string): void;
  /** Ends when the peer or the network closes the channel; errors with the reason when it broke. */
  readonly messages: ReadableStream<string>;
  /** Closes it. Harmless when it is closed already. */
  close(): void;
}

/**
 * Whoever carries messages does not let us in, and asking again would not help: no token, or another than the hub's.
 * `open` rejects with it, or `messages` errors with it; then the call or the listening ends.
 */
export class SignalingRefusedError extends Error {
  /** Tells it from other errors. */
  override readonly name = "SignalingRefusedError";
}

/** A relay that has the hub. */
export interface SignalingRelay {
  /** `https://HOST[:PORT]`, with `#SHA-256` of its certificate or without. */
  readonly url: string;
  /** What the hub asks for. */
  readonly token?: string;
}

/** Opens channels. */
export interface Signaling {
  /** For people; where `hub` is absent, also what records and offers are bound to. */
  readonly name: string;
  /** Who is at the other end: a hub (the default), or two people who paste strings. It decides which machines speak. */
  readonly dialogue?: "hub" | "paste";
  /** What records and offers are bound to, the same for all who use this hub: its `host[:port]`. Default: `name`. */
  readonly hub?: string;
  /** Where a caller finds the same hub: what a ticket says. Absent: no ticket can name it. */
  readonly url?: string;
  /** Messages travel on the connection that the traversal itself has to this relay, and `open` is never called. */
  readonly relay?: SignalingRelay;
  /** Resolves once the carrier is up (a WebSocket: once TCP is), before anything is sent. */
  open(options: { readonly signal: AbortSignal }): Promise<MessageChannel>;
}

/**
 * A synchronous machine over messages: what caller, listener and hub are, on sockets and in the laboratory alike. Instants
 * are monotonic milliseconds.
 */
export interface MessageMachine<Event> {
  /** The carrier is up: messages may be sent. */
  handleOpen(now: number): void;
  /** Takes a message in, of any content. Never throws for one that makes no sense. */
  handleMessage(message: string, now: number): void;
  /**
   * The carrier is gone, or could not be had.
   *
   * @param reason For people, where there is one: `Cannot reach hub.example: connection refused`.
   * @param isRefused It was a {@linkcode SignalingRefusedError}: there is no use in another attempt.
   */
  handleClosed(now: number, reason?: string, isRefused?: boolean): void;
  /** An address of this machine is gone, perhaps the one that the channel was opened from. Absent: there are other timers. */
  handleNetworkChange?(now: number): void;
  /** Runs what is due at `now`. Calling it early is harmless. */
  handleTimeout(now: number): void;
  /** The next message to send. */
  pollMessage(): string | undefined;
  /** The next thing that happened. */
  pollEvent(): Event | undefined;
  /** When `handleTimeout` wants to be called; `undefined`: not until something else happens. */
  pollTimeout(): number | undefined;
}
