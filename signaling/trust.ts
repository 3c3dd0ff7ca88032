/**
 * What is signed: the record a listener is found by, the offer a caller makes, the candidates that follow it, and the
 * registration that takes a name at a hub. Who signed what for whom is decided here and nowhere else.
 *
 * A record holds the listener's candidates, and a hub hands it only to whom the listener told it to admit; it arrives in
 * the hub's first frame, before the listener has heard of the call. What a lying hub can do with that is show the
 * candidates to others, who then meet a listener that does not admit them. It cannot make a record or an offer, nor alter
 * one, nor use it for another callee, hub or time.
 *
 * @module
 */

import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { concatBytes, equalBytes } from "../protocols/core/bytes.ts";
import { ED25519_KEY_BYTES } from "../protocols/crypto/ed25519.ts";
import type { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { X25519_BYTES } from "../protocols/crypto/x25519.ts";
import { KEY_ID_BYTES } from "./identity.ts";
import {
  candidatesField,
  encodeCandidates,
  encodeInstant,
  encodeText,
  fixedField,
  instantField,
  isSignedBy,
  readFields,
  sealFields,
  textField,
} from "./signed.ts";

/** A record is good for an hour and published anew at half of it. */
export const RECORD_LIFETIME_MS = 3_600_000;

/** An offer is good for half a minute: longer than any way through a hub. */
export const OFFER_LIFETIME_MS = 30_000;

/** How far the clocks of two people may be apart. */
export const MAX_CLOCK_SKEW_MS = 120_000;

/** Longest `host[:port]` of a hub, in bytes. */
const MAX_HUB_BYTES = 128;

/** Names: what is easy to say and cannot be taken for a ticket or a key. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Admitted keys and ticket tags that a listener may leave with its hub; beyond, the hub asks for every call. */
export const MAX_EARLY_ADMISSIONS = 100;

/** Length of a ticket's tag and of an offer's proof that its maker holds the ticket, in bytes. */
export const TICKET_PROOF_BYTES = 16;

const MAX_NAME_BYTES = 63;

const FIELD = {
  hub: 1,
  name: 2,
  key: 3,
  exchangeKey: 4,
  taMs: 5,
  candidates: 6,
  issuedAt: 7,
  expiresAt: 8,
  calleeKeyId: 9,
  ticketTag: 10,
  ticketProof: 11,
  call: 12,
  sequence: 13,
  recordDigest: 14,
  admitsAny: 15,
  admittedKeyIds: 16,
  admittedTags: 17,
} as const;

/** How a listener can be reached. Signed by `key`. */
export interface ListenerRecord {
  readonly hub: string;
  readonly name: string | undefined;
  readonly key: Uint8Array;
  /** X25519, made anew with every start of the listener. */
  readonly recordKey: Uint8Array;
  /** `undefined`: makes no proposal. */
  readonly taMs: number | undefined;
  readonly candidates: readonly RemoteCandidate[];
  /** Milliseconds since 1970; a later record replaces an earlier one. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** A caller's wish to speak with a callee. Signed by `callerKey`. */
export interface Offer {
  readonly hub: string;
  /** At least one of the two is set; a callee that is called by both must have both. */
  readonly calleeName: string | undefined;
  readonly calleeKeyId: Uint8Array | undefined;
  readonly callerKey: Uint8Array;
  /** X25519, made for this offer. */
  readonly oneTimeKey: Uint8Array;
  readonly taMs: number | undefined;
  readonly candidates: readonly RemoteCandidate[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** Tag, which the hub knows too, and proof, which only listener and caller can make, that the caller holds a ticket. */
  readonly ticket: { readonly tag: Uint8Array; readonly proof: Uint8Array } | undefined;
}

/** Candidates a caller found after its offer. Signed by the key that signed the offer. */
export interface LaterCandidates {
  /** {@linkcode callIdOf} the offer. */
  readonly call: string;
  /** 1, 2, …: what does not count up is a replay. */
  readonly sequence: number;
  readonly candidates: readonly RemoteCandidate[];
}

/** Whom a hub may answer with the record before the listener has spoken. */
export interface EarlyAdmission {
  readonly any: boolean;
  readonly keyIds: readonly Uint8Array[];
  readonly tags: readonly Uint8Array[];
}

/** Takes the record's name and key at a hub. Signed by the record's key, and never shown to callers. */
export interface Registration {
  readonly recordDigest: Uint8Array;
  readonly admission: EarlyAdmission;
}

/** A signed thing that was understood: what it says, and the bytes that were signed. */
export interface Signed<T> {
  readonly content: T;
  readonly bytes: Uint8Array;
}

/** The call that an offer makes. */
export function callIdOf(offerBytes: Uint8Array): string {
  return sha256(offerBytes).subarray(0, 12).toBase64({ alphabet: "base64url" });
}

/** Signs a record. */
export function signRecord(record: ListenerRecord, key: Ed25519PrivateKey): Uint8Array {
  const fields = new Map<number, Uint8Array>([
    [FIELD.hub, encodeText(record.hub)],
    [FIELD.key, record.key],
    [FIELD.exchangeKey, record.recordKey],
    [FIELD.candidates, encodeCandidates(record.candidates)],
    [FIELD.issuedAt, encodeInstant(record.issuedAt)],
    [FIELD.expiresAt, encodeInstant(record.expiresAt)],
  ]);
  if (record.name !== undefined) fields.set(FIELD.name, encodeText(record.name));
  if (record.taMs !== undefined) fields.set(FIELD.taMs, Uint8Array.of(record.taMs));
  return sealFields("record", fields, key);
}

/** Reads a record that its own key signed; `undefined` if it is anything else. */
export function openRecord(bytes: Uint8Array): Signed<ListenerRecord> | undefined {
  const fields = readFields(bytes);
  if (fields === undefined) return undefined;
  const hub = textField(fields, FIELD.hub, MAX_HUB_BYTES);
  const name = nameField(fields);
  const key = fixedField(fields, FIELD.key, ED25519_KEY_BYTES);
  const recordKey = fixedField(fields, FIELD.exchangeKey, X25519_BYTES);
  const taMs = taField(fields);
  const candidates = candidatesField(fields, FIELD.candidates);
  const issuedAt = instantField(fields, FIELD.issuedAt);
  const expiresAt = instantField(fields, FIELD.expiresAt);
  if (
    hub === undefined || name === MALFORMED || key === undefined || recordKey === undefined || taMs === MALFORMED ||
    candidates === undefined || issuedAt === undefined || expiresAt === undefined || !isSignedBy(key, "record", bytes)
  ) return undefined;
  return { content: { hub, name, key, recordKey, taMs, candidates, issuedAt, expiresAt }, bytes: bytes.slice() };
}

/** Signs an offer. */
export function signOffer(offer: Offer, key: Ed25519PrivateKey): Uint8Array {
  const fields = new Map<number, Uint8Array>([
    [FIELD.hub, encodeText(offer.hub)],
    [FIELD.key, offer.callerKey],
    [FIELD.exchangeKey, offer.oneTimeKey],
    [FIELD.candidates, encodeCandidates(offer.candidates)],
    [FIELD.issuedAt, encodeInstant(offer.issuedAt)],
    [FIELD.expiresAt, encodeInstant(offer.expiresAt)],
  ]);
  if (offer.calleeName !== undefined) fields.set(FIELD.name, encodeText(offer.calleeName));
  if (offer.calleeKeyId !== undefined) fields.set(FIELD.calleeKeyId, offer.calleeKeyId);
  if (offer.taMs !== undefined) fields.set(FIELD.taMs, Uint8Array.of(offer.taMs));
  if (offer.ticket !== undefined) {
    fields.set(FIELD.ticketTag, offer.ticket.tag);
    fields.set(FIELD.ticketProof, offer.ticket.proof);
  }
  return sealFields("offer", fields, key);
}

/** Reads an offer that its own key signed; `undefined` if it is anything else. */
export function openOffer(bytes: Uint8Array): Signed<Offer> | undefined {
  const fields = readFields(bytes);
  if (fields === undefined) return undefined;
  const hub = textField(fields, FIELD.hub, MAX_HUB_BYTES);
  const calleeName = nameField(fields);
  const calleeKeyId = fixedField(fields, FIELD.calleeKeyId, KEY_ID_BYTES);
  const callerKey = fixedField(fields, FIELD.key, ED25519_KEY_BYTES);
  const oneTimeKey = fixedField(fields, FIELD.exchangeKey, X25519_BYTES);
  const taMs = taField(fields);
  const candidates = candidatesField(fields, FIELD.candidates);
  const issuedAt = instantField(fields, FIELD.issuedAt);
  const expiresAt = instantField(fields, FIELD.expiresAt);
  const tag = fixedField(fields, FIELD.ticketTag, TICKET_PROOF_BYTES);
  const proof = fixedField(fields, FIELD.ticketProof, TICKET_PROOF_BYTES);
  if (
    hub === undefined || calleeName === MALFORMED || (calleeName === undefined && calleeKeyId === undefined) ||
    callerKey === undefined || oneTimeKey === undefined || taMs === MALFORMED || candidates === undefined ||
    issuedAt === undefined || expiresAt === undefined || !isSignedBy(callerKey, "offer", bytes)
  ) return undefined;
  const ticket = tag === undefined || proof === undefined ? undefined : { tag, proof };
  return {
    content: { hub, calleeName, calleeKeyId, callerKey, oneTimeKey, taMs, candidates, issuedAt, expiresAt, ticket },
    bytes: bytes.slice(),
  };
}

/** Signs candidates that follow an offer. */
export function signLaterCandidates(later: LaterCandidates, key: Ed25519PrivateKey): Uint8Array {
  return sealFields(
    "candidates",
    new Map<number, Uint8Array>([
      [FIELD.call, encodeText(later.call)],
      [FIELD.sequence, Uint8Array.of(later.sequence >>> 8, later.sequence)],
      [FIELD.candidates, encodeCandidates(later.candidates)],
    ]),
    key,
  );
}

/** Reads candidates signed by `callerKey`; `undefined` if they are anything else. */
export function openLaterCandidates(bytes: Uint8Array, callerKey: Uint8Array): LaterCandidates | undefined {
  const fields = readFields(bytes);
  if (fields === undefined) return undefined;
  const call = textField(fields, FIELD.call, 16);
  const sequence = fixedField(fields, FIELD.sequence, 2);
  const candidates = candidatesField(fields, FIELD.candidates);
  if (call === undefined || sequence === undefined || candidates === undefined) return undefined;
  if (!isSignedBy(callerKey, "candidates", bytes)) return undefined;
  return { call, sequence: (sequence[0]! << 8) | sequence[1]!, candidates };
}

/** Signs the registration of a signed record. */
export function signRegistration(record: Uint8Array, admission: EarlyAdmission, key: Ed25519PrivateKey): Uint8Array {
  const fields = new Map<number, Uint8Array>([[FIELD.recordDigest, sha256(record)]]);
  if (admission.any) fields.set(FIELD.admitsAny, new Uint8Array(0));
  if (admission.keyIds.length > 0) fields.set(FIELD.admittedKeyIds, concatBytes(...admission.keyIds));
  if (admission.tags.length > 0) fields.set(FIELD.admittedTags, concatBytes(...admission.tags));
  return sealFields("registration", fields, key);
}

/** Reads the registration of `record`; `undefined` if it is for another record or not signed by the record's key. */
export function openRegistration(bytes: Uint8Array, record: Signed<ListenerRecord>): Registration | undefined {
  const fields = readFields(bytes);
  if (fields === undefined) return undefined;
  const recordDigest = fixedField(fields, FIELD.recordDigest, 32);
  const keyIds = split(fields.get(FIELD.admittedKeyIds), KEY_ID_BYTES);
  const tags = split(fields.get(FIELD.admittedTags), TICKET_PROOF_BYTES);
  if (recordDigest === undefined || keyIds === undefined || tags === undefined) return undefined;
  if (keyIds.length + tags.length > MAX_EARLY_ADMISSIONS) return undefined;
  if (!equalBytes(recordDigest, sha256(record.bytes))) return undefined;
  if (!isSignedBy(record.content.key, "registration", bytes)) return undefined;
  return { recordDigest, admission: { any: fields.has(FIELD.admitsAny), keyIds, tags } };
}

/** Whether something issued and expiring then is good at `epochMs`, with room for clocks that differ. */
export function isCurrent(
  thing: { readonly issuedAt: number; readonly expiresAt: number },
  epochMs: number,
  lifetimeMs: number,
): boolean {
  return thing.expiresAt - thing.issuedAt <= lifetimeMs && thing.issuedAt <= epochMs + MAX_CLOCK_SKEW_MS &&
    thing.expiresAt > epochMs - MAX_CLOCK_SKEW_MS;
}

/** A field that is there and wrong, as against one that is not there. */
const MALFORMED = Symbol("malformed");

function nameField(fields: ReadonlyMap<number, Uint8Array>): string | undefined | typeof MALFORMED {
  if (!fields.has(FIELD.name)) return undefined;
  const name = textField(fields, FIELD.name, MAX_NAME_BYTES);
  return name !== undefined && NAME_PATTERN.test(name) ? name : MALFORMED;
}

function taField(fields: ReadonlyMap<number, Uint8Array>): number | undefined | typeof MALFORMED {
  const value = fields.get(FIELD.taMs);
  if (value === undefined) return undefined;
  const taMs = value[0];
  return value.length === 1 && taMs !== undefined && taMs > 0 ? taMs : MALFORMED;
}

function split(value: Uint8Array | undefined, itemBytes: number): Uint8Array[] | undefined {
  if (value === undefined) return [];
  if (value.length % itemBytes !== 0) return undefined;
  const items: Uint8Array[] = [];
  for (let at = 0; at < value.length; at += itemBytes) items.push(value.slice(at, at + itemBytes));
  return items;
}
