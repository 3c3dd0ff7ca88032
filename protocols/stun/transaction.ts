/**
 * One STUN request over UDP: sent, sent again until something comes back, given up (RFC 8489 §6.2.1).
 *
 * The response is matched by transaction ID alone; whether it is authentic is for whoever knows the key to say. A response
 * that is not can be ignored, because {@linkcode Transaction.handleDatagram} is only called with one that was believed.
 *
 * @module
 */

import type { Datagram, Machine } from "../core/machine.ts";
import { isStun, stunClass, transactionKey } from "./classify.ts";

/** When a request is sent again. */
export interface TransactionConfig {
  /** Time to the first retransmission; it doubles each time. */
  readonly rtoMs: number;
  /** Requests sent at most: Rc. */
  readonly requestCount: number;
  /** How long the wait after the last request is, in RTOs: Rm. */
  readonly lastMultiplier: number;
}

/** RFC 8489 §6.2.1. */
export const DEFAULT_TRANSACTION_CONFIG: TransactionConfig = Object.freeze({
  rtoMs: 500,
  requestCount: 7,
  lastMultiplier: 16,
});

/** How it ended. */
export type TransactionEvent =
  | {
    readonly type: "response";
    /** The success or error response; it is the receiver's. */
    readonly response: Datagram;
    /** From request to response; `undefined` when the request was sent more than once, which leaves open which it answers. */
    readonly rttMs: number | undefined;
  }
  | { readonly type: "timeout" };

type State =
  | { readonly name: "sending"; readonly sent: number; readonly sentAt: number; readonly dueAt: number }
  /** No more requests, but a response is still taken until the time is over: RFC 8445 §7.3.1.4. */
  | { readonly name: "waiting"; readonly sent: number; readonly sentAt: number; readonly dueAt: number }
  | { readonly name: "finished"; readonly event: TransactionEvent }
  | { readonly name: "read" };

/** One request and its fate. */
export class Transaction implements Machine<TransactionEvent> {
  /** `transactionKey` of the request, and so of the response. */
  readonly key: string;
  readonly request: Datagram;
  readonly #config: TransactionConfig;
  #state: State;
  #requestsSent = 0;

  /**
   * @param request Kept: the payload must not be written any more.
   * @param options `now`: when the first request may leave.
   */
  constructor(request: Datagram, options: { readonly now: number; readonly config?: TransactionConfig }) {
    this.request = request;
    this.key = transactionKey(request.payload);
    this.#config = options.config ?? DEFAULT_TRANSACTION_CONFIG;
    this.#state = { name: "sending", sent: 0, sentAt: options.now, dueAt: options.now };
  }

  /** Requests sent so far. */
  get requestsSent(): number {
    return this.#requestsSent;
  }

  /** Whether neither response nor timeout has come yet. */
  get isPending(): boolean {
    return this.#state.name === "sending" || this.#state.name === "waiting";
  }

  /** Sends nothing more, and takes a response for as long as it would have: RFC 8445 §7.3.1.4. */
  cancel(): void {
    const state = this.#state;
    if (state.name !== "sending" || state.sent === 0) return;
    const { rtoMs, requestCount, lastMultiplier } = this.#config;
    // What was left of the schedule: the sum of the waits after the one that runs.
    let endAt = state.dueAt;
    for (let sent = state.sent + 1; sent <= requestCount; sent++) {
      endAt += rtoMs * (sent === requestCount ? lastMultiplier : 2 ** (sent - 1));
    }
    this.#state = { ...state, name: "waiting", dueAt: endAt };
  }

  handleDatagram(datagram: Datagram, now: number): void {
    const state = this.#state;
    if (state.name !== "sending" && state.name !== "waiting") return;
    const { payload } = datagram;
    if (!isStun(payload) || transactionKey(payload) !== this.key) return;
    const kind = stunClass(payload);
    if (kind !== "success" && kind !== "error") return;
    // The payload is borrowed and the event outlives this call, so this is the one copy.
    const response: Datagram = { base: datagram.base, remote: datagram.remote, payload: payload.slice() };
    const rttMs = state.sent === 1 ? now - state.sentAt : undefined;
    this.#state = { name: "finished", event: { type: "response", response, rttMs } };
  }

  handleTimeout(now: number): void {
    const state = this.#state;
    const isLast = state.name === "waiting" || (state.name === "sending" && state.sent === this.#config.requestCount);
    if (isLast && now >= state.dueAt) this.#state = { name: "finished", event: { type: "timeout" } };
  }

  pollTransmit(now: number): Datagram | undefined {
    const state = this.#state;
    const { rtoMs, requestCount, lastMultiplier } = this.#config;
    if (state.name !== "sending" || state.sent === requestCount || now < state.dueAt) return undefined;
    const sent = state.sent + 1;
    const waitMs = rtoMs * (sent === requestCount ? lastMultiplier : 2 ** state.sent);
    this.#state = { name: "sending", sent, sentAt: now, dueAt: now + waitMs };
    this.#requestsSent = sent;
    return this.request;
  }

  pollEvent(): TransactionEvent | undefined {
    if (this.#state.name !== "finished") return undefined;
    const { event } = this.#state;
    this.#state = { name: "read" };
    return event;
  }

  pollTimeout(): number | undefined {
    return this.#state.name === "sending" || this.#state.name === "waiting" ? this.#state.dueAt : undefined;
  }
}
