/**
 * Who is registered at a hub: one entry a key, connected or not, and the names that keys hold.
 *
 * @module
 */

import { toHex } from "../protocols/core/bytes.ts";
import { keyIdOf } from "../signaling/identity.ts";
import { isCurrent, RECORD_LIFETIME_MS } from "../signaling/trust.ts";
import type { EarlyAdmission, ListenerRecord, Offer, Registration, Signed } from "../signaling/trust.ts";

/** Keys with a record, connected or not: one whose owner is away makes room. */
const MAX_LISTENERS = 10_000;

/** Names that are held: one whose owner is away makes room. */
const MAX_NAMES = 20_000;

/**
 * Names that owners at one source have taken, an IPv4 address or the /64 of an IPv6 address: twice as many as can be there at
 * once. One more has it lose the earliest whose owner is away, so that whoever takes names by the thousand has nobody else's
 * make room.
 */
export const MAX_NAMES_PER_SOURCE = 512;

/** How long a name stays with the key that took it, after its owner was last seen. */
export const NAME_HOLD_MS = 24 * 3_600_000;

/** A key's place at the hub. */
export interface ListenerEntry<Client> {
  readonly keyHex: string;
  /** `undefined` while its owner is away. */
  client: Client | undefined;
  record: Signed<ListenerRecord>;
  admission: EarlyAdmission;
  /** Calls that neither hub nor listener has answered. */
  readonly unanswered: Set<string>;
}

/** Why a registration is not taken. */
export type RegistrationProblem = "stale" | "nameTaken" | "full";

interface HeldName {
  readonly keyHex: string;
  /** Where its owner was when it was taken. */
  readonly source: string;
  /** `Infinity` while its owner is here. */
  heldUntil: number;
}

/** Entries and names of one hub. */
export class HubDirectory<Client> {
  /** By key ID in hexadecimal. */
  readonly #entries = new Map<string, ListenerEntry<Client>>();
  readonly #names = new Map<string, HeldName>();
  /** In the order they were taken. */
  readonly #namesOf = new Map<string, Set<string>>();

  /** How many keys have an entry. */
  get entryCount(): number {
    return this.#entries.size;
  }

  /** How many names are held. */
  get nameCount(): number {
    return this.#names.size;
  }

  /**
   * Takes a record whose signature and registration are good.
   *
   * @returns The entry, and the client that had it before if that was another one.
   */
  register(
    client: Client,
    signed: { readonly record: Signed<ListenerRecord>; readonly registration: Registration },
    at: { readonly now: number; readonly epochMs: number; readonly source: string },
  ): { readonly entry: ListenerEntry<Client>; readonly replaced: Client | undefined } | RegistrationProblem {
    const { record, registration: { admission } } = signed;
    const { key, name, issuedAt } = record.content;
    const keyHex = toHex(keyIdOf(key));
    const known = this.#entries.get(keyHex);
    // A registration that somebody recorded and plays again is not later than the one we have.
    const isLater = known === undefined || issuedAt > known.record.content.issuedAt;
    if (!isLater || !isCurrent(record.content, at.epochMs, RECORD_LIFETIME_MS)) return "stale";
    const holder = name === undefined ? undefined : this.#names.get(name);
    if (holder !== undefined && holder.keyHex !== keyHex && holder.heldUntil > at.now) return "nameTaken";
    if (known === undefined && this.#entries.size >= MAX_LISTENERS && !this.#evictEntry()) return "full";
    if (name !== undefined && holder === undefined && !this.#makeRoomForName(at.source)) return "full";

    const entry = known ?? { keyHex, client, record, admission, unanswered: new Set<string>() };
    const replaced = entry.client === client ? undefined : entry.client;
    const oldName = entry.record.content.name;
    if (oldName !== undefined && oldName !== name && this.#names.get(oldName)?.keyHex === keyHex) {
      this.#freeName(oldName);
    }
    entry.client = client;
    entry.record = record;
    entry.admission = admission;
    this.#entries.set(keyHex, entry);
    if (name !== undefined) this.#holdName(name, { keyHex, source: at.source, heldUntil: Infinity });
    return { entry, replaced };
  }

  /** Whom an offer is for: by key, by name, or by both, if they belong together. */
  find({ calleeName, calleeKeyId }: Offer): ListenerEntry<Client> | undefined {
    const keyHex = calleeKeyId === undefined ? this.#names.get(calleeName ?? "")?.keyHex : toHex(calleeKeyId);
    const entry = keyHex === undefined ? undefined : this.#entries.get(keyHex);
    return calleeName !== undefined && entry?.record.content.name !== calleeName ? undefined : entry;
  }

  /** Its owner has gone; the name stays its own for a while. */
  leave(entry: ListenerEntry<Client>, now: number): void {
    entry.client = undefined;
    const { name } = entry.record.content;
    const held = name === undefined ? undefined : this.#names.get(name);
    if (held?.keyHex === entry.keyHex) held.heldUntil = now + NAME_HOLD_MS;
  }

  /** Forgets what is past its time. */
  sweep(at: { readonly now: number; readonly epochMs: number }): void {
    for (const [keyHex, entry] of this.#entries) {
      if (entry.client === undefined && entry.record.content.expiresAt <= at.epochMs) this.#entries.delete(keyHex);
    }
    for (const [name, held] of this.#names) {
      if (held.heldUntil <= at.now) this.#freeName(name);
    }
  }

  #evictEntry(): boolean {
    for (const [keyHex, entry] of this.#entries) {
      if (entry.client === undefined) return this.#entries.delete(keyHex);
    }
    return false;
  }

  #holdName(name: string, held: HeldName): void {
    const before = this.#names.get(name);
    // The same owner at the same place: it was taken when it was taken.
    if (before === undefined || before.source !== held.source) {
      this.#freeName(name);
      const names = this.#namesOf.get(held.source) ?? new Set();
      this.#namesOf.set(held.source, names.add(name));
    }
    this.#names.set(name, held);
  }

  #freeName(name: string): void {
    const held = this.#names.get(name);
    if (held === undefined) return;
    this.#names.delete(name);
    const names = this.#namesOf.get(held.source);
    names?.delete(name);
    if (names?.size === 0) this.#namesOf.delete(held.source);
  }

  /** @returns Whether there is room. */
  #makeRoomForName(source: string): boolean {
    const own = this.#namesOf.get(source);
    if (own !== undefined && own.size >= MAX_NAMES_PER_SOURCE) return this.#evictName(own);
    return this.#names.size < MAX_NAMES || this.#evictName(this.#names.keys());
  }

  #evictName(names: Iterable<string>): boolean {
    for (const name of names) {
      if (this.#names.get(name)?.heldUntil === Infinity) continue;
      this.#freeName(name);
      return true;
    }
    return false;
  }
}
