/**
 * Whom to call, as people say it: a ticket, `NAME`, or `NAME@KEY`.
 *
 * @module
 */

import { parseKey } from "./identity.ts";
import { decodeTicket, looksLikeTicket } from "./ticket_codec.ts";
import type { DirectTicket, HubTicket, RelayedTicket } from "./ticket_codec.ts";
import { NAME_PATTERN } from "./trust.ts";

/** Somebody to call. */
export type Callee =
  | HubTicket
  | DirectTicket
  | RelayedTicket
  /** Without `key` the hub is believed once, and the key pinned. */
  | { readonly kind: "name"; readonly name: string; readonly key: Uint8Array | undefined };

/**
 * Reads what somebody typed or pasted.
 *
 * @param epochMs Wall-clock milliseconds since 1970.
 * @throws {TypeError} If it is none of the three; the message says what is wrong with it.
 */
export function parseCallee(text: string, epochMs: number): Callee {
  if (looksLikeTicket(text)) {
    const ticket = decodeTicket(text, epochMs);
    if (ticket.kind === "problem") throw new TypeError(ticket.message);
    if (ticket.kind === "answer") {
      throw new TypeError("This is the answer to a ticket, not a ticket: paste it where the ticket was made");
    }
    return ticket;
  }
  const trimmed = text.trim();
  const at = trimmed.indexOf("@");
  const name = at < 0 ? trimmed : trimmed.slice(0, at);
  if (!NAME_PATTERN.test(name)) {
    const hint = name.length > 63 ? "tickets begin with TV" : "names have small letters, digits, dots and dashes";
    throw new TypeError(`Cannot call "${shorten(name)}": neither a ticket nor a name, ${hint}`);
  }
  if (at < 0) return { kind: "name", name, key: undefined };
  const key = parseKey(trimmed.slice(at + 1));
  if (key === undefined) {
    throw new TypeError(`Cannot call "${shorten(trimmed)}": what follows the @ is not a key of 44 characters`);
  }
  return { kind: "name", name, key };
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
