/**
 * What an HTTP/3 connection reports. Events carry no content and no datagrams: those are read.
 *
 * @module
 */

import type { CloseReason } from "../quic/connection_state.ts";
import type { PeerSettings } from "./config.ts";
import type { Http3ErrorName } from "./errors.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** Something that happened on an HTTP/3 connection. */
export type Http3Event =
  /** The peer's SETTINGS came: a client may send extended CONNECT from now on, if they allow it. */
  | { readonly type: "settings"; readonly settings: PeerSettings }
  /** Server: a request, complete but for its content. Wants `respond`, or `abort`. */
  | { readonly type: "request"; readonly streamId: number; readonly request: RequestHead }
  /** Client: an interim response (1xx); the final one is still to come. */
  | { readonly type: "informational"; readonly streamId: number; readonly response: ResponseHead }
  /** Client: the final response, complete but for its content. */
  | { readonly type: "response"; readonly streamId: number; readonly response: ResponseHead }
  /** `read` has something that was not there when it last returned `undefined`, be it the end (`isAtEnd`). */
  | { readonly type: "readable"; readonly streamId: number }
  /** A `write` that was refused or cut short may go on. */
  | { readonly type: "writable"; readonly streamId: number }
  /** The peer gave up sending: what was not read is gone. Our own part goes on until it is finished or aborted. */
  | { readonly type: "reset"; readonly streamId: number; readonly code: number }
  /** The peer wants no more of what we send: it goes nowhere from now on. */
  | { readonly type: "stopped"; readonly streamId: number; readonly code: number }
  /**
   * We ended the request both ways, because the peer broke a rule of it, or, on a client, because the peer is going away
   * and has not looked at it (`H3_REQUEST_REJECTED`: it may be sent again elsewhere).
   */
  | { readonly type: "failed"; readonly streamId: number; readonly code: Http3ErrorName; readonly reason: string }
  /** Both directions of a request that was reported or made have ended, and all content was read: its last event. */
  | { readonly type: "streamClosed"; readonly streamId: number }
  /** Client: `request` returned `undefined` for want of streams, and may succeed now. */
  | { readonly type: "requestsAvailable" }
  /** `readDatagram` has something. */
  | { readonly type: "datagramReadable" }
  /** The peer is going away: a client sends no more requests, a server gets no more. */
  | { readonly type: "goAway" }
  /** The end, once: `code` is of RFC 9114 §8.1 if `by` is `local` or `application`. */
  | { readonly type: "closed" } & CloseReason;
