/**
 * Messages between callers, listeners and a hub: one small JSON object each, whose `t` says which. What is signed travels
 * inside as base64url (`trust.ts`). Fields nobody knows are passed over; anything malformed is `undefined`, never thrown.
 *
 *     caller      hub       listener
 *       │          │◄─ register ─│     record, registration
 *       │          │─ registered►│
 *       │─ offer ─►│─── offer ──►│     the hub's first frame is `answer` if the listener told it whom it admits,
 *       │◄ answer ─│◄ answer ────│     else `forwarded`, and the answer comes from the listener
 *       │─ candidates ──────────►│     more from the caller; the listener sends a later record as another `answer`
 *       │◄ refused │◄─ refuse ───│
 *       │          │◄─ ping ─────│
 *       │          │── pong ────►│     with leave to use the hub's relays, when the one before ends soon
 *
 * @module
 */

import { MAX_MESSAGE_LENGTH } from "./channel.ts";
import type { NamedRelay } from "./machines.ts";
import { MAX_SIGNED_BYTES } from "./signed.ts";

/** Said in the first message of each side; a hub answers another one with `error`. */
const PROTOCOL_VERSION = 1;

/** STUN servers in one message, at most. */
export const MAX_STUN_SERVERS = 8;

/** Relays in one message, at most. */
export const MAX_NAMED_RELAYS = 4;

/** Longest name, reason, URL or token in a message, in characters. */
const MAX_TEXT_LENGTH = 256;

/** Why a listener, or the hub itself, turns a caller down. */
export type RefusalCode = "denied" | "busy" | "limited" | "expired" | "ourself" | "unknown" | "misdirected";

/** Why a hub does not do what it was asked, or any longer: `replaced` means that our key registered once more, elsewhere. */
export type HubErrorCode = "version" | "malformed" | "nameTaken" | "stale" | "full" | "limited" | "replaced";

/** What a hub gets. */
export type ClientMessage =
  | { readonly t: "register"; readonly record: Uint8Array; readonly registration: Uint8Array }
  | { readonly t: "offer"; readonly offer: Uint8Array }
  | { readonly t: "candidates"; readonly call: string; readonly candidates: Uint8Array }
  | { readonly t: "answer"; readonly call: string; readonly record: Uint8Array }
  | { readonly t: "refuse"; readonly call: string; readonly reason: RefusalCode }
  | { readonly t: "ping" };

/** What a hub sends. */
export type HubMessage =
  | { readonly t: "registered"; readonly stun: readonly string[]; readonly relays?: readonly NamedRelay[] }
  | { readonly t: "forwarded"; readonly stun: readonly string[] }
  /** `stun` is there in the hub's first frame. */
  | { readonly t: "answer"; readonly record: Uint8Array; readonly stun: readonly string[] }
  | { readonly t: "refused"; readonly reason: RefusalCode }
  /** `answered`: the hub has handed out the record already. */
  | { readonly t: "offer"; readonly offer: Uint8Array; readonly answered: boolean }
  | { readonly t: "candidates"; readonly call: string; readonly candidates: Uint8Array }
  | { readonly t: "pong"; readonly relays?: readonly NamedRelay[] }
  | { readonly t: "error"; readonly reason: HubErrorCode };

/** A message of another version of this protocol. */
export interface OtherVersion {
  readonly t: "version";
}

const REFUSAL_CODES: readonly RefusalCode[] = [
  "denied",
  "busy",
  "limited",
  "expired",
  "ourself",
  "unknown",
  "misdirected",
];
const HUB_ERROR_CODES: readonly HubErrorCode[] = [
  "version",
  "malformed",
  "nameTaken",
  "stale",
  "full",
  "limited",
  "replaced",
];

/** Writes a message. */
export function encodeMessage(message: ClientMessage | HubMessage): string {
  const opens = message.t === "register" || message.t === "offer";
  return JSON.stringify(opens ? { v: PROTOCOL_VERSION, ...message } : message, (_key, value: unknown) => {
    return value instanceof Uint8Array ? value.toBase64({ alphabet: "base64url", omitPadding: true }) : value;
  });
}

/** Reads what a hub gets; `undefined` if it is malformed. */
export function decodeClientMessage(text: string): ClientMessage | OtherVersion | undefined {
  const fields = parseObject(text);
  if (fields === undefined) return undefined;
  if (isOtherVersion(fields)) return { t: "version" };
  switch (fields.get("t")) {
    case "register": {
      const record = signedOf(fields, "record");
      const registration = signedOf(fields, "registration");
      return record && registration && { t: "register", record, registration };
    }
    case "offer": {
      const offer = signedOf(fields, "offer");
      return offer && { t: "offer", offer };
    }
    case "candidates":
      return candidatesOf(fields);
    case "answer": {
      const call = textOf(fields, "call");
      const record = signedOf(fields, "record");
      return call !== undefined && record ? { t: "answer", call, record } : undefined;
    }
    case "refuse": {
      const call = textOf(fields, "call");
      const reason = REFUSAL_CODES.find((code) => code === fields.get("reason"));
      return call !== undefined && reason ? { t: "refuse", call, reason } : undefined;
    }
    case "ping":
      return { t: "ping" };
    default:
      return undefined;
  }
}

/** Reads what a hub sends; `undefined` if it is malformed. */
export function decodeHubMessage(text: string): HubMessage | OtherVersion | undefined {
  const fields = parseObject(text);
  if (fields === undefined) return undefined;
  if (isOtherVersion(fields)) return { t: "version" };
  switch (fields.get("t")) {
    case "registered": {
      const [stun, relays] = [stunOf(fields), relaysOf(fields)];
      return stun && relays && { t: "registered", stun, ...relays };
    }
    case "forwarded": {
      const stun = stunOf(fields);
      return stun && { t: "forwarded", stun };
    }
    case "answer": {
      const record = signedOf(fields, "record");
      const stun = stunOf(fields);
      return record && stun && { t: "answer", record, stun };
    }
    case "refused": {
      const reason = REFUSAL_CODES.find((code) => code === fields.get("reason"));
      return reason && { t: "refused", reason };
    }
    case "offer": {
      const offer = signedOf(fields, "offer");
      return offer && { t: "offer", offer, answered: fields.get("answered") === true };
    }
    case "candidates":
      return candidatesOf(fields);
    case "pong": {
      const relays = relaysOf(fields);
      return relays && { t: "pong", ...relays };
    }
    case "error": {
      const reason = HUB_ERROR_CODES.find((code) => code === fields.get("reason"));
      return reason && { t: "error", reason };
    }
    default:
      return undefined;
  }
}

/** Whether the text is `HOST:PORT` or `[IPv6]:PORT`; an empty host means that of the hub. */
export function isStunServer(text: string): boolean {
  if (text.length > MAX_TEXT_LENGTH) return false;
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]]*):([1-9]\d{0,4})$/.exec(text)?.[1];
  return port !== undefined && Number(port) <= 65535;
}

type JsonFields = ReadonlyMap<string, unknown>;

function parseObject(text: string): JsonFields | undefined {
  if (text.length > MAX_MESSAGE_LENGTH) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return new Map<string, unknown>(Object.entries(value));
  } catch {
    return undefined;
  }
}

function isOtherVersion(fields: JsonFields): boolean {
  return fields.has("v") && fields.get("v") !== PROTOCOL_VERSION;
}

function candidatesOf(
  fields: JsonFields,
): { readonly t: "candidates"; readonly call: string; readonly candidates: Uint8Array } | undefined {
  const call = textOf(fields, "call");
  const candidates = signedOf(fields, "candidates");
  return call !== undefined && candidates ? { t: "candidates", call, candidates } : undefined;
}

function textOf(fields: JsonFields, name: string): string | undefined {
  const value = fields.get(name);
  return typeof value === "string" && value.length > 0 && value.length <= MAX_TEXT_LENGTH ? value : undefined;
}

function signedOf(fields: JsonFields, name: string): Uint8Array | undefined {
  const value = fields.get(name);
  if (typeof value !== "string" || value.length === 0 || value.length > (MAX_SIGNED_BYTES * 4) / 3 + 4) {
    return undefined;
  }
  try {
    return Uint8Array.fromBase64(value, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}

function stunOf(fields: JsonFields): readonly string[] | undefined {
  const value = fields.get("stun");
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_STUN_SERVERS) return undefined;
  const servers: string[] = [];
  for (const item of value) {
    if (typeof item !== "string" || !isStunServer(item)) return undefined;
    servers.push(item);
  }
  return servers;
}

/** `undefined` if it is malformed. What a URL has to look like is for those to say who know relays. */
function relaysOf(fields: JsonFields): { readonly relays?: readonly NamedRelay[] } | undefined {
  const value = fields.get("relays");
  if (value === undefined) return {};
  if (!Array.isArray(value) || value.length > MAX_NAMED_RELAYS) return undefined;
  const relays: NamedRelay[] = [];
  for (const item of value) {
    if (typeof item !== "object" || item === null) return undefined;
    const relay: JsonFields = new Map<string, unknown>(Object.entries(item));
    const [url, token] = [textOf(relay, "url"), textOf(relay, "token")];
    if (url === undefined || (relay.has("token") && token === undefined)) return undefined;
    relays.push(token === undefined ? { url } : { url, token });
  }
  return { relays };
}
