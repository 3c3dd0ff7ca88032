/**
 * The signaling hub: who is registered under which name and key, and messages to and fro. It believes nobody without a
 * signature, decides nothing but limits, and hands a record out only to whom its listener told it to admit.
 *
 * What it knows is in memory. After a restart the listeners come back by themselves; names are then taken again by whoever
 * registers first.
 *
 * @module
 */

import { equalBytes } from "../protocols/core/bytes.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import { MAX_UNANSWERED_OFFERS } from "../signaling/admission.ts";
import type { HubMachine, HubTransmit } from "../signaling/hub_machine.ts";
import { keyIdOf } from "../signaling/identity.ts";
import { KEEP_ALIVE_MS } from "../signaling/listener.ts";
import type { NamedRelay } from "../signaling/machines.ts";
import { decodeClientMessage, encodeMessage } from "../signaling/messages.ts";
import type { ClientMessage, HubErrorCode, HubMessage, OtherVersion, RefusalCode } from "../signaling/messages.ts";
import { RateLimiter, sourceOfHost } from "../signaling/rate_limit.ts";
import { callIdOf, isCurrent, OFFER_LIFETIME_MS, openOffer, openRecord, openRegistration } from "../signaling/trust.ts";
import type { EarlyAdmission, Offer } from "../signaling/trust.ts";
import { HubDirectory } from "./hub_directory.ts";
import type { ListenerEntry, RegistrationProblem } from "./hub_directory.ts";
import { OfferLimits } from "./offer_limits.ts";
import { RELAY_TOKEN_LIFETIME_MS } from "./relay_token.ts";

/** Connections at once. */
export const MAX_CLIENTS = 10_000;

/** Connections at once from one source, an IPv4 address or the /64 of an IPv6 address: a large household. */
export const MAX_CLIENTS_PER_SOURCE = 256;

/** Messages a second from one client of its own accord, and how many at once. Beyond it is disconnected. */
const MESSAGES_PER_SECOND = 20;
export const MESSAGE_BURST = 60;

/**
 * Replies to one offer that do not count as the listener's own accord, since others choose how many offers there are: an
 * answer, two later records, a refusal.
 */
export const REPLIES_PER_OFFER = 4;

/** Such replies that a listener may save up. */
const MAX_REPLIES_OWED = 256;

/** Messages that wait to be sent to one client, at most. Beyond it is disconnected: it does not read. */
export const MAX_QUEUED_MESSAGES = 128;

/** Calls remembered, so that candidates, answers and refusals find their way. The oldest makes room. */
export const MAX_CALLS = 10_000;

/** How long a call is remembered: ICE is done by then. */
export const CALL_HOLD_MS = 60_000;

/** Messages with later candidates in one call. */
export const MAX_CANDIDATE_MESSAGES = 16;

/** As many of them reach a listener that has not answered yet: most who call are strangers to it until then. */
export const MAX_UNANSWERED_CANDIDATE_MESSAGES = 4;

/** A client that has said nothing for so long is gone: listeners ping three times as often. */
export const IDLE_TIMEOUT_MS = 3 * KEEP_ALIVE_MS + 5_000;

/** How long after leave to use relays was given it is given anew, with the next pong: half of its life. */
const RELAY_RENEWAL_MS = RELAY_TOKEN_LIFETIME_MS / 2;

/** How often what is past its time is looked for. */
const SWEEP_INTERVAL_MS = 10_000;

/** What a {@linkcode Hub} is made with. */
export interface HubOptions {
  /** STUN servers told to everybody: `HOST:PORT`, or `:PORT` on the hub's own host. */
  readonly stunServers: readonly string[];
  /** Wall-clock milliseconds since 1970 at monotonic instant 0. */
  readonly epochMs: number;
  /** Relays told to listeners, at most `MAX_NAMED_RELAYS`, each with leave for that Ed25519 key. Absent: there are none. */
  readonly relaysFor?: (publicKey: Uint8Array, now: number) => readonly NamedRelay[];
}

/** Things a hub counts, by the name they have in the metrics. */
export type HubCounter =
  | "clients"
  | "messages"
  | "registrations"
  | "offers"
  | "early_answers"
  | "refusals"
  | "candidate_messages"
  | "rejected_full"
  | "rejected_rate"
  | "rejected_malformed"
  | "rejected_stale"
  | "rejected_name_taken"
  | "limited_offers"
  | "unknown_callee"
  | "replayed_offers"
  | "unsent_messages"
  | "idle_disconnects";

interface ClientState<Client> {
  readonly source: string;
  heardAt: number;
  queued: number;
  /** Replies to offers that cost no token. */
  repliesOwed: number;
  isLeaving: boolean;
  listener: ListenerEntry<Client> | undefined;
  call: string | undefined;
  /** When its leave to use relays is given anew. */
  relaysDueAt: number;
}

interface HubCall<Client> {
  readonly caller: Client;
  readonly listener: ListenerEntry<Client>;
  readonly expiresAt: number;
  candidateMessages: number;
}

/** The hub. */
export class Hub<Client> implements HubMachine<Client> {
  readonly #options: HubOptions;
  readonly #clients = new Map<Client, ClientState<Client>>();
  readonly #sources = new Map<string, number>();
  readonly #directory = new HubDirectory<Client>();
  /** Oldest first. */
  readonly #calls = new Map<string, HubCall<Client>>();
  readonly #messageRate = new RateLimiter<Client>({
    perSecond: MESSAGES_PER_SECOND,
    burst: MESSAGE_BURST,
    maxKeys: MAX_CLIENTS,
  });
  readonly #offerLimits = new OfferLimits();
  readonly #counters = new Map<HubCounter, number>();
  #transmits: HubTransmit<Client>[] = [];
  #sentIndex = 0;
  readonly #disconnects: Client[] = [];
  #sweepAt: number | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** How often each thing happened. */
  get counters(): ReadonlyMap<HubCounter, number> {
    return this.#counters;
  }

  /** How full each table is. */
  get sizes(): {
    readonly clients: number;
    readonly listeners: number;
    readonly names: number;
    readonly calls: number;
  } {
    return {
      clients: this.#clients.size,
      listeners: this.#directory.entryCount,
      names: this.#directory.nameCount,
      calls: this.#calls.size,
    };
  }

  handleOpen(client: Client, remote: string, now: number): void {
    this.#count("clients");
    const source = sourceOfHost(remote);
    const fromSource = this.#sources.get(source) ?? 0;
    this.#sources.set(source, fromSource + 1);
    this.#clients.set(client, {
      source,
      heardAt: now,
      queued: 0,
      repliesOwed: 0,
      isLeaving: false,
      listener: undefined,
      call: undefined,
      relaysDueAt: Infinity,
    });
    this.#sweepAt ??= now + SWEEP_INTERVAL_MS;
    if (this.#clients.size > MAX_CLIENTS || fromSource >= MAX_CLIENTS_PER_SOURCE) {
      this.#count("rejected_full");
      this.#reject(client, "full");
    }
  }

  handleMessage(client: Client, message: string, now: number): void {
    const state = this.#clients.get(client);
    if (state === undefined || state.isLeaving) return;
    this.#count("messages");
    state.heardAt = now;
    const decoded = decodeClientMessage(message);
    if (!takeReply(state, decoded) && !this.#messageRate.take(client, now)) {
      this.#count("rejected_rate");
      this.#reject(client, "limited");
      return;
    }
    if (decoded === undefined || decoded.t === "version") {
      this.#count("rejected_malformed");
      this.#reject(client, decoded === undefined ? "malformed" : "version");
      return;
    }
    this.#dispatch(client, state, { message: decoded, now });
  }

  handleClosed(client: Client, now: number): void {
    const state = this.#clients.get(client);
    if (state === undefined) return;
    this.#clients.delete(client);
    this.#messageRate.delete(client);
    const left = (this.#sources.get(state.source) ?? 1) - 1;
    if (left > 0) this.#sources.set(state.source, left);
    else this.#sources.delete(state.source);
    if (state.call !== undefined) this.#forgetCall(state.call);
    if (state.listener?.client === client) this.#leave(state.listener, now);
  }

  handleTimeout(now: number): void {
    for (const [id, call] of this.#calls) {
      if (call.expiresAt > now) break;
      this.#forgetCall(id);
    }
    if (this.#sweepAt === undefined || now < this.#sweepAt) return;
    this.#sweep(now);
    const isEmpty = this.#clients.size === 0 && this.#directory.entryCount === 0 && this.#directory.nameCount === 0;
    this.#sweepAt = isEmpty ? undefined : now + SWEEP_INTERVAL_MS;
  }

  pollMessage(): HubTransmit<Client> | undefined {
    const transmit = this.#transmits[this.#sentIndex];
    if (transmit === undefined) {
      // Emptied as a whole: shifting a long array for every message would cost its length each time.
      if (this.#sentIndex > 0) this.#transmits = [];
      this.#sentIndex = 0;
      return undefined;
    }
    this.#sentIndex++;
    const state = this.#clients.get(transmit.client);
    if (state !== undefined) state.queued--;
    return transmit;
  }

  pollDisconnect(): Client | undefined {
    return this.#disconnects.shift();
  }

  pollTimeout(): number | undefined {
    for (const call of this.#calls.values()) return Math.min(call.expiresAt, this.#sweepAt ?? Infinity);
    return this.#sweepAt;
  }

  #dispatch(
    client: Client,
    state: ClientState<Client>,
    { message, now }: { readonly message: ClientMessage; readonly now: number },
  ): void {
    switch (message.t) {
      case "register":
        this.#handleRegister(client, message, now);
        break;
      case "offer":
        this.#handleOffer(client, message.offer, now);
        break;
      case "candidates":
        this.#handleCandidates(state, message);
        break;
      case "answer": {
        const call = this.#callOf(state, message.call);
        if (call === undefined) break;
        call.listener.unanswered.delete(message.call);
        this.#send(call.caller, { t: "answer", record: message.record, stun: [] });
        break;
      }
      case "refuse": {
        const call = this.#callOf(state, message.call);
        if (call === undefined) break;
        this.#count("refusals");
        this.#send(call.caller, { t: "refused", reason: message.reason });
        this.#forgetCall(message.call);
        break;
      }
      case "ping":
        this.#send(client, { t: "pong", ...now < state.relaysDueAt ? {} : this.#relaysFor(state, now) });
        break;
      default:
        unreachable(message);
    }
  }

  #handleRegister(
    client: Client,
    message: Extract<ClientMessage, { readonly t: "register" }>,
    now: number,
  ): void {
    const state = this.#clients.get(client);
    const record = openRecord(message.record);
    const registration = record && openRegistration(message.registration, record);
    if (state === undefined || record === undefined || registration === undefined) {
      this.#count("rejected_malformed");
      this.#reject(client, "malformed");
      return;
    }
    const at = { now, epochMs: this.#options.epochMs + now, source: state.source };
    const taken = this.#directory.register(client, { record, registration }, at);
    if (typeof taken === "string") {
      this.#count(REGISTRATION_COUNTERS[taken]);
      this.#reject(client, taken);
      return;
    }
    this.#count("registrations");
    const { entry, replaced } = taken;
    // A client speaks for one key: another before is given up.
    if (state.listener !== undefined && state.listener !== entry) this.#leave(state.listener, now);
    state.listener = entry;
    if (replaced !== undefined) {
      // The same key came back on another connection, before the old one was found dead.
      const other = this.#clients.get(replaced);
      if (other !== undefined) other.listener = undefined;
      this.#reject(replaced, "replaced");
    }
    this.#send(client, { t: "registered", stun: this.#options.stunServers, ...this.#relaysFor(state, now) });
  }

  #relaysFor(state: ClientState<Client>, now: number): { readonly relays?: readonly NamedRelay[] } {
    const key = state.listener?.record.content.key;
    const relays = key === undefined ? [] : this.#options.relaysFor?.(key, now) ?? [];
    if (relays.length === 0) return {};
    state.relaysDueAt = now + RELAY_RENEWAL_MS;
    return { relays };
  }

  #handleOffer(client: Client, bytes: Uint8Array, now: number): void {
    const state = this.#clients.get(client);
    if (state === undefined) return;
    if (!this.#offerLimits.takeFromSource(state.source, now)) {
      this.#refuse(client, "limited");
      return;
    }
    const offer = openOffer(bytes)?.content;
    if (offer === undefined) {
      this.#count("rejected_malformed");
      this.#reject(client, "malformed");
      return;
    }
    this.#count("offers");
    if (!isCurrent(offer, this.#options.epochMs + now, OFFER_LIFETIME_MS)) {
      this.#refuse(client, "expired");
      return;
    }
    if (!this.#offerLimits.takeFromCaller(offer.callerKey, now)) {
      this.#refuse(client, "limited");
      return;
    }
    const listener = this.#directory.find(offer);
    if (listener?.client === undefined || listener.record.content.expiresAt <= this.#options.epochMs + now) {
      this.#count("unknown_callee");
      this.#refuse(client, "unknown");
      return;
    }
    const id = callIdOf(bytes);
    if (this.#calls.has(id)) {
      this.#count("replayed_offers");
      return;
    }
    const isKnown = isKnownTo(listener.admission, offer);
    const answered = isKnown || (listener.admission.any && offer.ticket === undefined);
    const onItsWay = { listener: listener.keyHex, source: state.source, isKnown };
    if (
      (!answered && listener.unanswered.size >= MAX_UNANSWERED_OFFERS) ||
      !this.#offerLimits.takeForListener(onItsWay, now)
    ) {
      this.#count("limited_offers");
      this.#refuse(client, "limited");
      return;
    }
    if (state.call !== undefined) this.#forgetCall(state.call);
    if (this.#calls.size >= MAX_CALLS) {
      for (const oldest of this.#calls.keys()) {
        this.#forgetCall(oldest);
        break;
      }
    }
    state.call = id;
    this.#calls.set(id, { caller: client, listener, expiresAt: now + CALL_HOLD_MS, candidateMessages: 0 });
    const stun = this.#options.stunServers;
    if (answered) {
      this.#count("early_answers");
      this.#send(client, { t: "answer", record: listener.record.bytes, stun });
    } else {
      listener.unanswered.add(id);
      this.#send(client, { t: "forwarded", stun });
    }
    const called = this.#clients.get(listener.client);
    if (called !== undefined) called.repliesOwed = Math.min(MAX_REPLIES_OWED, called.repliesOwed + REPLIES_PER_OFFER);
    this.#send(listener.client, { t: "offer", offer: bytes, answered });
  }

  #handleCandidates(
    state: ClientState<Client>,
    message: Extract<ClientMessage, { readonly t: "candidates" }>,
  ): void {
    const call = this.#calls.get(message.call);
    if (call === undefined || state.call !== message.call || call.listener.client === undefined) return;
    const isUnanswered = call.listener.unanswered.has(message.call);
    const most = isUnanswered ? MAX_UNANSWERED_CANDIDATE_MESSAGES : MAX_CANDIDATE_MESSAGES;
    if (call.candidateMessages >= most) return;
    call.candidateMessages++;
    this.#count("candidate_messages");
    this.#send(call.listener.client, message);
  }

  /** The call, if this client is the listener it was made to. */
  #callOf(state: ClientState<Client>, id: string): HubCall<Client> | undefined {
    const call = this.#calls.get(id);
    return call !== undefined && call.listener === state.listener ? call : undefined;
  }

  /** The listener's connection has gone, or speaks for another key now: nobody answers who waits for it. */
  #leave(listener: ListenerEntry<Client>, now: number): void {
    this.#directory.leave(listener, now);
    for (const id of [...listener.unanswered]) {
      const call = this.#calls.get(id);
      if (call !== undefined) this.#refuse(call.caller, "unknown");
      this.#forgetCall(id);
    }
  }

  #forgetCall(id: string): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    call.listener.unanswered.delete(id);
    const caller = this.#clients.get(call.caller);
    if (caller?.call === id) caller.call = undefined;
  }

  #sweep(now: number): void {
    for (const [client, state] of this.#clients) {
      if (state.isLeaving || now - state.heardAt < IDLE_TIMEOUT_MS) continue;
      this.#count("idle_disconnects");
      this.#disconnect(client);
    }
    this.#directory.sweep({ now, epochMs: this.#options.epochMs + now });
  }

  #send(client: Client, message: HubMessage): void {
    const state = this.#clients.get(client);
    if (state === undefined || state.isLeaving) return;
    if (state.queued >= MAX_QUEUED_MESSAGES) {
      this.#count("unsent_messages");
      this.#disconnect(client);
      return;
    }
    state.queued++;
    this.#transmits.push({ client, message: encodeMessage(message) });
  }

  #refuse(client: Client, reason: RefusalCode): void {
    this.#count("refusals");
    this.#send(client, { t: "refused", reason });
  }

  #reject(client: Client, reason: HubErrorCode): void {
    this.#send(client, { t: "error", reason });
    this.#disconnect(client);
  }

  #disconnect(client: Client): void {
    const state = this.#clients.get(client);
    if (state === undefined || state.isLeaving) return;
    state.isLeaving = true;
    this.#disconnects.push(client);
  }

  #count(counter: HubCounter): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + 1);
  }
}

const REGISTRATION_COUNTERS: Readonly<Record<RegistrationProblem, HubCounter>> = {
  stale: "rejected_stale",
  nameTaken: "rejected_name_taken",
  full: "rejected_full",
};

/** Takes one of the replies that cost nothing, if the message is a reply and there is one left. */
function takeReply(state: { repliesOwed: number }, message: ClientMessage | OtherVersion | undefined): boolean {
  if ((message?.t !== "answer" && message?.t !== "refuse") || state.repliesOwed === 0) return false;
  state.repliesOwed--;
  return true;
}

/** Whether the listener has named the caller's key or ticket. Who shows a ticket is judged by it alone. */
function isKnownTo(admission: EarlyAdmission, offer: Offer): boolean {
  const tag = offer.ticket?.tag;
  if (tag !== undefined) return admission.tags.some((admitted) => equalBytes(admitted, tag));
  const keyId = keyIdOf(offer.callerKey);
  return admission.keyIds.some((admitted) => equalBytes(admitted, keyId));
}
