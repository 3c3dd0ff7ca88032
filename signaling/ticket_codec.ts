/**
 * The strings that people copy: tickets, and the answer to a ticket that works without any server. At most 160 characters:
 * `TV` and base58 of a payload and the first three bytes of its SHA-256, so that a typo and a foreign string differ.
 *
 *     payload = version (4) · kind (4) · Ta in ms (8) · body
 *     hub     = key ID (16 bytes) · secret (16) · hub · STUN servers
 *               a hub at a relay: its name · digest of its certificate (0 or 32), or no name · digest · port (16) · address
 *     direct  = key ID (16) · record key (32) · expiry (16) · candidates · STUN servers
 *     answer  = key ID (16) · one-time key (32) · proof (8) · candidates
 *     relayed = key ID (16) · token (16) · port (16) · address, or several: 4 or 6 · port · address, each
 *
 * A direct ticket has no room for 16 random bytes of its own beside addresses of both families, nor does it need them: its
 * record key is as random, made for this ticket, and nowhere else to be seen. The secret is derived from it.
 *
 * @module
 */

import { addressFromBytes, addressOf, isIpAddress } from "../protocols/core/address.ts";
import type { Address } from "../protocols/core/address.ts";
import { concatBytes, equalBytes, fromHex, toHex } from "../protocols/core/bytes.ts";
import type { CandidateType, RemoteCandidate } from "../protocols/core/candidate.ts";
import { Reader, TruncatedError } from "../protocols/core/reader.ts";
import { Writer } from "../protocols/core/writer.ts";
import { hmac, sha256 } from "../protocols/crypto/hash.ts";
import { X25519_BYTES } from "../protocols/crypto/x25519.ts";
import { base58Capacity, decodeBase58, encodeBase58 } from "./base58.ts";
import { SIGNAL_PATH } from "./channel.ts";
import { KEY_ID_BYTES } from "./identity.ts";
import { MAX_CANDIDATES } from "./machines.ts";
import { isStunServer } from "./messages.ts";
import { encodeText } from "./signed.ts";

/** Longest ticket or answer, in characters: it still fits into one message anywhere. */
export const MAX_TICKET_LENGTH = 160;

/** Length of the secret in a ticket, in bytes. */
export const TICKET_SECRET_BYTES = 16;

/** Length of the proof in an answer, in bytes. Guessing it takes 2^63 strings that somebody has to paste. */
const ANSWER_PROOF_BYTES = 8;

/** A direct ticket is good for ten minutes. */
export const TICKET_LIFETIME_MS = 600_000;

/** Addresses at relays in one ticket: as many of IPv6 as have room. */
const MAX_RELAYED_ADDRESSES = 4;

const PREFIX = "TV";
const VERSION = 1;
const CHECKSUM_BYTES = 3;
const MAX_PAYLOAD_BYTES = base58Capacity(MAX_TICKET_LENGTH - PREFIX.length) - CHECKSUM_BYTES;
const MINUTE_MS = 60_000;
const KINDS = ["hub", "direct", "answer", "relayed"] as const;
const DEFAULT_PATH = SIGNAL_PATH;
const RELAY_LETTER = "h";
const SCHEME_LETTERS: ReadonlyMap<string, string> = new Map([["wss:", "s"], ["ws:", "-"], ["https:", RELAY_LETTER]]);
/** RFC 9110 §4.2.2. */
const HTTPS_PORT = 443;
const CANDIDATE_TYPES: readonly CandidateType[] = ["host", "srflx", "prflx", "relay"];
const IS_IPV6 = 0x04;
const SAME_PORT = 0x08;
/** The first 8 bytes are those of the IPv6 address before: temporary and stable address of one network. */
const SAME_PREFIX = 0x10;

/** A ticket for calls through a hub. */
export interface HubTicket {
  readonly kind: "hub";
  readonly taMs: number;
  readonly keyId: Uint8Array;
  readonly secret: Uint8Array;
  /** `ws:` or `wss:` URL, or that of a relay: `https://HOST[:PORT]`, with `#SHA-256` of its certificate or without. */
  readonly hubUrl: string;
  readonly stunServers: readonly string[];
}

/** A ticket for a call without any server: the listener's record in short. */
export interface DirectTicket {
  readonly kind: "direct";
  readonly taMs: number;
  readonly keyId: Uint8Array;
  readonly recordKey: Uint8Array;
  /** Milliseconds since 1970, a whole minute. */
  readonly expiresAt: number;
  readonly candidates: readonly RemoteCandidate[];
  readonly stunServers: readonly string[];
}

/** A ticket for a call through a relay, without any signaling. */
export interface RelayedTicket {
  readonly kind: "relayed";
  readonly keyId: Uint8Array;
  /** What the caller shows in its Initials. 16 bytes. */
  readonly token: Uint8Array;
  /** The listener's addresses at relays, at least one, at most four: the one that was there first is the first. */
  readonly addresses: readonly Address[];
}

/** What the caller gives back for a direct ticket: its offer in short. */
export interface TicketAnswer {
  readonly kind: "answer";
  readonly taMs: number;
  readonly keyId: Uint8Array;
  readonly oneTimeKey: Uint8Array;
  readonly candidates: readonly RemoteCandidate[];
  /** Shows that the caller holds the ticket, and that nobody changed its answer. */
  readonly proof: Uint8Array;
  /** What the proof is over, and what names the call. */
  readonly proven: Uint8Array;
}

/** A string of any of the kinds. */
export type TicketString = HubTicket | DirectTicket | TicketAnswer | RelayedTicket;

/** Why a string is not a ticket. */
export interface TicketProblem {
  readonly kind: "problem";
  readonly reason: "foreign" | "typo" | "version";
  /** One line for people. */
  readonly message: string;
}

/** A string that was written, and what did not fit into it. */
export interface EncodedTicket {
  readonly text: string;
  readonly dropped: readonly RemoteCandidate[];
}

/** @throws {RangeError} If the hub's URL is too long for a ticket. */
export function encodeHubTicket(ticket: Omit<HubTicket, "kind">): EncodedTicket {
  const writer = startPayload("hub", ticket.taMs);
  writer.bytes(ticket.keyId);
  writer.bytes(ticket.secret);
  writeHub(writer, ticket.hubUrl);
  writeStunServers(writer, ticket.stunServers);
  return { text: finish(writer), dropped: [] };
}

/** @param ticket Candidates in order of preference: those at the end are dropped where there is no room. */
export function encodeDirectTicket(ticket: Omit<DirectTicket, "kind">): EncodedTicket {
  const writer = startPayload("direct", ticket.taMs);
  writer.bytes(ticket.keyId);
  writer.bytes(ticket.recordKey);
  // 16 bits of minutes come round in 45 days, so the decoder's own clock tells which round it is.
  writer.uint16((wholeMinute(ticket.expiresAt) / MINUTE_MS) & 0xffff);
  const dropped = writeCandidates(writer, ticket.candidates);
  writeStunServers(writer, ticket.stunServers);
  return { text: finish(writer), dropped };
}

/** @param answer Candidates in order of preference: those at the end are dropped where there is no room. */
export function encodeTicketAnswer(
  answer: Omit<TicketAnswer, "kind" | "proof" | "proven">,
  secret: Uint8Array,
): EncodedTicket & { readonly proven: Uint8Array } {
  const writer = startPayload("answer", answer.taMs);
  writer.bytes(answer.keyId);
  writer.bytes(answer.oneTimeKey);
  const proofAt = writer.skip(ANSWER_PROOF_BYTES);
  const dropped = writeCandidates(writer, answer.candidates);
  // The proof is over everything, with zeros in its own place.
  const proven = writer.written().slice();
  writer.buffer.set(answerProof(secret, proven), proofAt);
  return { text: finish(writer), dropped, proven };
}

/** @param ticket `token` has 16 bytes. */
export function encodeRelayedTicket({ keyId, token, addresses }: Omit<RelayedTicket, "kind">): EncodedTicket {
  const writer = startPayload("relayed", 0);
  writer.bytes(keyId);
  writer.bytes(token);
  const told = addresses.slice(0, MAX_RELAYED_ADDRESSES);
  for (const { family, port, bytes } of told) {
    if (told.length > 1) writer.uint8(family);
    writer.uint16(port);
    writer.bytes(bytes);
  }
  const dropped = addresses.slice(MAX_RELAYED_ADDRESSES).map((address) => ({ type: "relay" as const, address }));
  return { text: finish(writer), dropped };
}

/** The instant a ticket can say, at or after `epochMs`: a whole minute. */
export function wholeMinute(epochMs: number): number {
  return Math.ceil(epochMs / MINUTE_MS) * MINUTE_MS;
}

/** The secret of a direct ticket. */
export function directTicketSecret(recordKey: Uint8Array): Uint8Array {
  return hmac("SHA-256", recordKey, encodeText("traverse 1 direct ticket\0")).subarray(0, TICKET_SECRET_BYTES);
}

/** The proof over an answer's `proven` bytes. */
export function answerProof(secret: Uint8Array, proven: Uint8Array): Uint8Array {
  return hmac("SHA-256", secret, encodeText("traverse 1 ticket answer\0"), proven).subarray(0, ANSWER_PROOF_BYTES);
}

/**
 * Reads any of the strings. White space anywhere is passed over: mail programs break lines.
 *
 * @param epochMs Wall-clock milliseconds since 1970.
 */
export function decodeTicket(text: string, epochMs: number): TicketString | TicketProblem {
  const compact = text.length > 4 * MAX_TICKET_LENGTH ? text : text.replace(/\s+/g, "");
  if (!compact.startsWith(PREFIX) || compact.length > MAX_TICKET_LENGTH) {
    return problem("foreign", `This is not a ticket: tickets begin with ${PREFIX} and have at most 160 characters`);
  }
  const bytes = decodeBase58(compact.slice(PREFIX.length));
  const end = (bytes?.length ?? 0) - CHECKSUM_BYTES;
  if (
    bytes === undefined || end < 2 || !equalBytes(bytes.subarray(end), checksum(bytes.subarray(0, end)))
  ) {
    return problem("typo", "This ticket is damaged: a character is missing or wrong, copy all of it again");
  }
  const payload = bytes.subarray(0, end);
  const kind = KINDS[payload[0]! & 0x0f];
  if (payload[0]! >> 4 !== VERSION || kind === undefined) {
    return problem("version", "This ticket is of another version: update the older of the two programs");
  }
  try {
    return readBody(kind, payload, epochMs);
  } catch (error) {
    // The checksum was right, so a program and no person made this.
    if (error instanceof TruncatedError || error instanceof TypeError) {
      return problem("version", "This ticket says something this version does not understand");
    }
    throw error;
  }
}

/** Whether the string was meant to be a ticket or an answer. Names never look like it: they have no capitals. */
export function looksLikeTicket(text: string): boolean {
  return text.trimStart().startsWith(PREFIX);
}

function readBody(kind: typeof KINDS[number], payload: Uint8Array, epochMs: number): TicketString {
  const reader = new Reader(payload, 1);
  const taMs = reader.uint8();
  const keyId = reader.bytes(KEY_ID_BYTES).slice();
  switch (kind) {
    case "hub": {
      const secret = reader.bytes(TICKET_SECRET_BYTES).slice();
      return { kind, taMs, keyId, secret, hubUrl: readHub(reader), stunServers: readStunServers(reader) };
    }
    case "direct": {
      const recordKey = reader.bytes(X25519_BYTES).slice();
      const expiresAt = nearestMinute(reader.uint16(), epochMs) * MINUTE_MS;
      const candidates = readCandidates(reader);
      return { kind, taMs, keyId, recordKey, expiresAt, candidates, stunServers: readStunServers(reader) };
    }
    case "relayed": {
      const token = reader.bytes(TICKET_SECRET_BYTES).slice();
      return { kind, keyId, token, addresses: readRelayedAddresses(reader) };
    }
    case "answer": {
      const oneTimeKey = reader.bytes(X25519_BYTES).slice();
      const proofAt = reader.offset;
      const proof = reader.bytes(ANSWER_PROOF_BYTES).slice();
      const candidates = readCandidates(reader);
      const proven = payload.slice();
      proven.fill(0, proofAt, proofAt + ANSWER_PROOF_BYTES);
      return { kind, taMs, keyId, oneTimeKey, candidates, proof, proven };
    }
  }
}

/** One address is the last field, whose length tells the family. Several have theirs before them, which no length of one allows. */
function readRelayedAddresses(reader: Reader): readonly Address[] {
  const isOne = reader.remaining === 2 + 4 || reader.remaining === 2 + 16;
  if (isOne) {
    const port = reader.uint16();
    return [addressFromBytes(reader.rest(), port)];
  }
  const addresses: Address[] = [];
  while (reader.remaining > 0) {
    const family = reader.uint8();
    if (family !== 4 && family !== 6) throw new TypeError("Unknown address in a ticket");
    const port = reader.uint16();
    addresses.push(addressFromBytes(reader.bytes(family === 4 ? 4 : 16), port));
  }
  if (addresses.length < 2 || addresses.length > MAX_RELAYED_ADDRESSES) {
    throw new TypeError("A ticket with no addresses, or too many");
  }
  return addresses;
}

function startPayload(kind: typeof KINDS[number], taMs: number): Writer {
  const writer = new Writer(new Uint8Array(MAX_PAYLOAD_BYTES));
  writer.uint8((VERSION << 4) | KINDS.indexOf(kind));
  writer.uint8(taMs);
  return writer;
}

function finish(writer: Writer): string {
  const payload = writer.written();
  return PREFIX + encodeBase58(concatBytes(payload, checksum(payload)));
}

function checksum(payload: Uint8Array): Uint8Array {
  return sha256(payload).subarray(0, CHECKSUM_BYTES);
}

/** A count, then type and flags (8), port unless it is that before, address without the prefix if it is that before. */
function writeCandidates(writer: Writer, candidates: readonly RemoteCandidate[]): RemoteCandidate[] {
  const countAt = writer.skip(1);
  const dropped: RemoteCandidate[] = [];
  let count = 0;
  let port = -1;
  let prefix: Uint8Array | undefined;
  for (const candidate of candidates) {
    const { family, bytes } = candidate.address;
    const samePort = candidate.address.port === port;
    const samePrefix = family === 6 && prefix !== undefined && equalBytes(prefix, bytes.subarray(0, 8));
    const length = 1 + (samePort ? 0 : 2) + bytes.length - (samePrefix ? 8 : 0);
    // One byte stays free for the number of STUN servers.
    if (candidate.name !== undefined || count === MAX_CANDIDATES || length + 1 > writer.remaining) {
      dropped.push(candidate);
      continue;
    }
    writer.uint8(
      CANDIDATE_TYPES.indexOf(candidate.type) | (family === 6 ? IS_IPV6 : 0) | (samePort ? SAME_PORT : 0) |
        (samePrefix ? SAME_PREFIX : 0),
    );
    if (!samePort) writer.uint16(candidate.address.port);
    writer.bytes(samePrefix ? bytes.subarray(8) : bytes);
    port = candidate.address.port;
    if (family === 6) prefix = bytes.subarray(0, 8);
    count++;
  }
  writer.buffer[countAt] = count;
  return dropped;
}

function readCandidates(reader: Reader): RemoteCandidate[] {
  const count = reader.uint8();
  if (count > MAX_CANDIDATES) throw new TypeError("Too many candidates in a ticket");
  const candidates: RemoteCandidate[] = [];
  let port = 0;
  let prefix: Uint8Array = new Uint8Array(8);
  for (let i = 0; i < count; i++) {
    const flags = reader.uint8();
    const type = CANDIDATE_TYPES[flags & 0x03];
    if (type === undefined) throw new TypeError("Unknown candidate type in a ticket");
    if ((flags & SAME_PORT) === 0) port = reader.uint16();
    let bytes: Uint8Array;
    if ((flags & IS_IPV6) === 0) {
      bytes = reader.bytes(4);
    } else {
      bytes = (flags & SAME_PREFIX) === 0 ? reader.bytes(16) : concatBytes(prefix, reader.bytes(8));
      prefix = bytes.subarray(0, 8);
    }
    candidates.push({ type, address: addressFromBytes(bytes, port) });
  }
  return candidates;
}

/** A scheme's letter, and what is behind it: of a relay with an IP address nothing, and the address in 4 or 16 bytes. */
function writeHub(writer: Writer, hubUrl: string): void {
  const url = new URL(hubUrl);
  const letter = SCHEME_LETTERS.get(url.protocol);
  if (letter === undefined) throw new TypeError(`Cannot make a ticket: ${hubUrl} is no hub's URL`);
  const address = letter === RELAY_LETTER ? addressOfUrl(url) : undefined;
  const path = letter === RELAY_LETTER || url.pathname === DEFAULT_PATH ? "" : url.pathname;
  const text = encodeText(letter + (address === undefined ? url.host + path : ""));
  const digest = letter === RELAY_LETTER ? fromHex(url.hash.slice(1)) : undefined;
  const bytes = 1 + text.length + (digest === undefined ? 0 : 1 + digest.length) +
    (address === undefined ? 0 : 3 + address.bytes.length);
  // One byte stays free for the number of STUN servers.
  if (bytes + 1 > writer.remaining) {
    throw new RangeError(`Cannot make a ticket: the hub's URL ${hubUrl} is too long`);
  }
  writer.uint8(text.length);
  writer.bytes(text);
  if (digest === undefined) return;
  writer.uint8(digest.length);
  writer.bytes(digest);
  if (address === undefined) return;
  writer.uint16(address.port);
  writer.uint8(address.bytes.length);
  writer.bytes(address.bytes);
}

function readHub(reader: Reader): string {
  const text = readText(reader);
  const place = text.slice(1);
  if (!text.startsWith(RELAY_LETTER)) {
    const url = new URL(`${text.startsWith("s") ? "wss" : "ws"}://${place}`);
    if (!place.includes("/")) url.pathname = DEFAULT_PATH;
    return url.href;
  }
  const digest = reader.bytes(reader.uint8());
  if (digest.length !== 0 && digest.length !== 32) throw new TypeError("Unknown digest in a ticket");
  const hash = digest.length === 0 ? "" : `#${toHex(digest)}`;
  if (place !== "") return `https://${new URL(`https://${place}`).host}${hash}`;
  const port = reader.uint16();
  const bytes = reader.bytes(reader.uint8());
  if (bytes.length !== 4 && bytes.length !== 16) throw new TypeError("Unknown address in a ticket");
  return `https://${addressFromBytes(bytes, port)}${hash}`;
}

/** The address of a URL whose host is one. */
function addressOfUrl({ hostname, port }: URL): Address | undefined {
  const host = hostname.replace(/^\[|\]$/g, "");
  return isIpAddress(host) ? addressOf(host, Number(port) || HTTPS_PORT) : undefined;
}

/** As many as there is room for: they are a convenience. */
function writeStunServers(writer: Writer, servers: readonly string[]): void {
  const countAt = writer.skip(1);
  let count = 0;
  for (const server of servers) {
    const text = encodeText(server);
    if (text.length + 1 > writer.remaining) continue;
    writer.uint8(text.length);
    writer.bytes(text);
    count++;
  }
  writer.buffer[countAt] = count;
}

function readStunServers(reader: Reader): string[] {
  const servers: string[] = [];
  for (let count = reader.uint8(); count > 0; count--) {
    const server = readText(reader);
    if (isStunServer(server)) servers.push(server);
  }
  return servers;
}

function readText(reader: Reader): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(reader.bytes(reader.uint8()));
}

function nearestMinute(low: number, epochMs: number): number {
  const now = Math.floor(epochMs / MINUTE_MS);
  let minute = now - (now & 0xffff) + low;
  if (minute - now > 0x8000) minute -= 0x10000;
  else if (now - minute > 0x8000) minute += 0x10000;
  return minute;
}

function problem(reason: TicketProblem["reason"], message: string): TicketProblem {
  return { kind: "problem", reason, message };
}
