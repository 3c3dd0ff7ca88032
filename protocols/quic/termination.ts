/**
 * How a connection ends: closing, draining, and letting go of everything: RFC 9000 §10.2, §11.
 *
 * @module
 */

import type { ConnectionParts } from "./connection_parts.ts";
import type { CloseReason } from "./connection_state.ts";
import { TRANSPORT_ERROR, TransportError } from "./errors.ts";
import { MAX_REASON_BYTES } from "./frame_writer.ts";

/** RFC 9000 §10.2: how long closing and draining last. */
const CLOSE_PROBE_TIMEOUTS = 3;

/** We close on the application's behalf: RFC 9000 §10.2. */
export function closeByApplication(parts: ConnectionParts, code: number, reason: string, now: number): void {
  const frame = { isApplication: true, code, frameType: 0, reason: encodeReason(reason) };
  enterClosing(parts, frame, { by: "local", code, reason }, now);
}

/** The peer broke a rule: RFC 9000 §11.1. Anything that is not a {@linkcode TransportError} is our bug, and thrown on. */
export function closeOnError(parts: ConnectionParts, error: unknown, now: number): void {
  if (!(error instanceof TransportError)) throw error;
  const { code, frameType = 0, message } = error;
  const frame = { isApplication: false, code, frameType, reason: encodeReason(message) };
  enterClosing(parts, frame, { by: "transport", code, reason: message }, now);
}

/**
 * The peer closed: RFC 9000 §10.2.2. One packet tells it that we know, as that section allows, so that it need not stay in
 * case its own was lost.
 */
export function drain(parts: ConnectionParts, reason: CloseReason, now: number): void {
  const until = now + CLOSE_PROBE_TIMEOUTS * parts.loss.ptoMs;
  parts.pending.isCloseDue = false;
  if (!parts.state.enterDraining(reason, until)) return;
  parts.pending.isCloseDue = true;
  parts.timers.clear();
  parts.extensions?.stop();
  parts.timers.set("close", until);
  parts.events.push({ type: "closed", ...reason });
}

/** It is over at once, without a word: idle timeout, stateless reset, abandoned, or the end of closing and draining. */
export function finish(parts: ConnectionParts, reason: CloseReason): void {
  if (parts.state.enterDrained(reason)) parts.events.push({ type: "closed", ...reason });
  parts.timers.clear();
  parts.extensions?.stop();
  parts.pending.isCloseDue = false;
  parts.localIds.close();
  // What the ciphers keep outside the heap goes now and not with the garbage.
  for (const space of [parts.spaces.Initial, parts.spaces.Handshake, parts.spaces.Application]) {
    if (!space.isDiscarded) space.discard();
  }
}

function enterClosing(
  parts: ConnectionParts,
  frame: { isApplication: boolean; code: number; frameType: number; reason: Uint8Array },
  reason: CloseReason,
  now: number,
): void {
  const until = now + CLOSE_PROBE_TIMEOUTS * parts.loss.ptoMs;
  if (!parts.state.enterClosing(frame, reason, until)) return;
  parts.pending.isCloseDue = true;
  parts.timers.clear();
  parts.extensions?.stop();
  parts.timers.set("close", until);
  parts.events.push({ type: "closed", ...reason });
}

/** How we answer the peer's close. */
export const ANSWERING_CLOSE = Object.freeze({
  isApplication: false,
  code: TRANSPORT_ERROR.NO_ERROR,
  frameType: 0,
  reason: new Uint8Array(0),
});

/** What an application's close becomes in Initial and Handshake packets, which are not its own: RFC 9000 §10.2.3. */
export const HIDDEN_APPLICATION_CLOSE = Object.freeze({
  isApplication: false,
  code: TRANSPORT_ERROR.APPLICATION_ERROR,
  frameType: 0,
  reason: new Uint8Array(0),
});

function encodeReason(reason: string): Uint8Array {
  return new TextEncoder().encode(reason).subarray(0, MAX_REASON_BYTES);
}
