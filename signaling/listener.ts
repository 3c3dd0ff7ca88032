/**
 * The side that waits to be called through a hub: keeps its record there, decides who is admitted, and comes back when
 * the hub was lost. An idle listener sends a ping every 30 s and a new record every 30 minutes: with the replies, about
 * four messages a minute.
 *
 * @module
 */

import { equalBytes } from "../protocols/core/bytes.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { X25519KeyPair } from "../protocols/crypto/x25519.ts";
import { earlyAdmission, isAllowed, OfferGate } from "./admission.ts";
import type { AllowList } from "./admission.ts";
import { agreedTaMs, usableCandidates } from "./agreement.ts";
import { Backoff } from "./backoff.ts";
import { ANSWER_TIMEOUT_MS, CALL_LIFETIME_MS } from "./caller.ts";
import { deriveCredentials, isTicketProof, ticketTag } from "./credentials.ts";
import { resolveStunServer } from "./hub_names.ts";
import { formatKey, identityOf, keyIdOf } from "./identity.ts";
import { MAX_CANDIDATES } from "./machines.ts";
import type { ListenerEvent, ListenerMachine, MachineContext, NamedRelay, Refusal } from "./machines.ts";
import { decodeHubMessage, encodeMessage } from "./messages.ts";
import type { HubErrorCode, RefusalCode } from "./messages.ts";
import { encodeHubTicket } from "./ticket_codec.ts";
import type { EncodedTicket } from "./ticket_codec.ts";
import {
  callIdOf,
  isCurrent,
  OFFER_LIFETIME_MS,
  openLaterCandidates,
  openOffer,
  RECORD_LIFETIME_MS,
  signRecord,
  signRegistration,
} from "./trust.ts";
import type { Offer } from "./trust.ts";

/** Silence towards the hub after which a ping keeps the carrier's mappings alive, and shows whether the hub is there. */
export const KEEP_ALIVE_MS = 30_000;

/** A hub that has not answered a ping, or a registration, for so long is lost. */
const REPLY_TIMEOUT_MS = 10_000;

/** The same when an address of ours is gone: the channel was opened from there, or is as good as ever. */
const NETWORK_CHANGE_REPLY_MS = 2000;

/** Pause between two records, so that candidates found one after the other go together. */
const MIN_PUBLISH_INTERVAL_MS = 250;

/** Messages that wait to be sent, at most: the carrier takes them as fast as it can. */
const MAX_QUEUED_MESSAGES = 128;

/** What a {@linkcode HubListener} is made with. */
export interface HubListenerOptions extends MachineContext {
  /** `host[:port]` of the hub: what record and offers are bound to. */
  readonly hub: string;
  /** The name to be called by; without one, only tickets and the key reach us. */
  readonly name?: string;
  /** Whom we admit besides holders of the ticket. */
  readonly allow: AllowList;
  /** What makes a ticket: 16 random bytes, the hub's URL for the caller, STUN servers it may ask. */
  readonly ticket?: {
    readonly secret: Uint8Array;
    readonly hubUrl: string;
    readonly stunServers: readonly string[];
  };
}

type State =
  | { readonly name: "connecting" }
  | { readonly name: "pausing"; readonly until: number }
  /** The carrier is up; nothing to publish yet. */
  | { readonly name: "open" }
  | { readonly name: "registering"; readonly until: number }
  | { readonly name: "registered"; readonly pingAt: number; readonly refreshAt: number; readonly replyBy: number }
  | { readonly name: "failed" };

interface PendingCall {
  readonly callerKey: Uint8Array;
  readonly expiresAt: number;
  sequence: number;
  candidateCount: number;
}

/** Waits at a hub to be called. */
export class HubListener implements ListenerMachine {
  readonly #options: HubListenerOptions;
  readonly #backoff: Backoff;
  readonly #key: Uint8Array;
  readonly #keyId: Uint8Array;
  readonly #exchange: X25519KeyPair;
  readonly #gate = new OfferGate();
  readonly #events: ListenerEvent[] = [{ type: "open" }];
  readonly #messages: string[] = [];
  readonly #refusals = new Map<Refusal, number>();
  /** Unanswered offers, oldest first; the gate bounds them. */
  readonly #calls = new Map<string, PendingCall>();
  #state: State = { name: "connecting" };
  #candidates: readonly RemoteCandidate[] | undefined;
  #record: Uint8Array | undefined;
  #isBusy = false;
  /** Told once we can be called. */
  #untoldTicket: EncodedTicket | undefined;
  #issuedAt = 0;
  #publishedAt = -Infinity;
  /** When a record took the place of one that the hub had. */
  #replacedAt = -Infinity;
  /** When changes that came too soon after the last record go out. */
  #publishAt: number | undefined;

  /** @throws {RangeError} If the hub's URL is too long for a ticket. */
  constructor(options: HubListenerOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#key = options.key.publicKey.bytes;
    this.#keyId = keyIdOf(this.#key);
    this.#exchange = X25519KeyPair.generate(options.random);
    const { taMs, ticket } = options;
    this.#untoldTicket = ticket && encodeHubTicket({ taMs, keyId: this.#keyId, ...ticket });
  }

  get refusals(): ReadonlyMap<Refusal, number> {
    return this.#refusals;
  }

  publish(candidates: readonly RemoteCandidate[], now: number): void {
    this.#candidates = candidates.slice(0, MAX_CANDIDATES);
    this.#publishSoon(now);
  }

  setBusy(isBusy: boolean, now: number): void {
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    // The hub must not hand out our record while we would say no.
    this.#publishSoon(now);
  }

  settle(call: string): void {
    this.#calls.delete(call);
  }

  handleOpen(now: number): void {
    if (this.#state.name !== "connecting") return;
    this.#state = { name: "open" };
    if (this.#candidates !== undefined) this.#register(now);
  }

  handleMessage(message: string, now: number): void {
    const { name } = this.#state;
    if (name !== "registering" && name !== "registered") return;
    const decoded = decodeHubMessage(message);
    switch (decoded?.t) {
      case "registered":
        this.#handleRegistered(decoded.stun, decoded.relays ?? [], now);
        break;
      case "offer":
        this.#handleOffer(decoded.offer, decoded.answered, now);
        break;
      case "candidates":
        this.#handleCandidates(decoded.call, decoded.candidates);
        break;
      case "pong":
        if (this.#state.name === "registered") {
          this.#state = { ...this.#state, replyBy: Infinity };
          this.#tellRelays(decoded.relays ?? []);
        }
        // Not sooner: whoever is let in and thrown out again has to come back ever more slowly.
        this.#backoff.reset();
        break;
      case "error":
        this.#handleError(decoded.reason, now);
        break;
      case "version":
        this.#handleError("version", now);
        break;
      case "answer":
      case "forwarded":
      case "refused":
      case undefined:
        // A caller's business, or nothing we understand: the hub may be of a later make.
        break;
      default:
        unreachable(decoded);
    }
  }

  handleClosed(now: number, reason?: string, isRefused = false): void {
    const { name } = this.#state;
    if (name === "pausing" || name === "failed") return;
    if (isRefused) {
      this.#fail("hub", reason ?? `The hub ${this.#options.hub} does not let us in: is --token right?`);
      return;
    }
    const verb = name === "connecting" ? "cannot be reached" : "has ended the connection";
    this.#pause(reason ?? `The hub ${this.#options.hub} ${verb}`, now);
  }

  handleNetworkChange(now: number): void {
    const state = this.#state;
    const byThen = now + NETWORK_CHANGE_REPLY_MS;
    if (state.name === "registered") {
      this.#state = { ...state, pingAt: now, replyBy: Math.min(state.replyBy, byThen) };
    } else if (state.name === "registering") {
      this.#state = { ...state, until: Math.min(state.until, byThen) };
    }
  }

  handleTimeout(now: number): void {
    this.#expireCalls(now);
    const state = this.#state;
    switch (state.name) {
      case "pausing":
        if (now < state.until) break;
        this.#state = { name: "connecting" };
        this.#events.push({ type: "open" });
        break;
      case "registering":
        if (now >= state.until) this.#pause(`The hub ${this.#options.hub} does not answer`, now);
        break;
      case "registered":
        if (now >= state.replyBy) {
          this.#pause(`The hub ${this.#options.hub} does not answer`, now);
        } else if (now >= Math.min(state.refreshAt, this.#publishAt ?? Infinity)) {
          this.#register(now);
        } else if (now >= state.pingAt) {
          this.#send(encodeMessage({ t: "ping" }));
          // One unanswered ping is enough to wait for.
          const replyBy = Math.min(state.replyBy, now + REPLY_TIMEOUT_MS);
          this.#state = { ...state, pingAt: now + KEEP_ALIVE_MS, replyBy };
        }
        break;
      case "connecting":
      case "open":
      case "failed":
        break;
      default:
        unreachable(state);
    }
  }

  pollMessage(): string | undefined {
    return this.#messages.shift();
  }

  pollEvent(): ListenerEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    let at = Infinity;
    for (const call of this.#calls.values()) {
      at = call.expiresAt;
      break;
    }
    const state = this.#state;
    if (state.name === "pausing" || state.name === "registering") at = Math.min(at, state.until);
    if (state.name === "registered") {
      at = Math.min(at, state.pingAt, state.refreshAt, state.replyBy, this.#publishAt ?? Infinity);
    }
    return at === Infinity ? undefined : at;
  }

  #publishSoon(now: number): void {
    if (this.#candidates === undefined) return;
    if (this.#state.name === "open") {
      this.#register(now);
    } else if (this.#state.name === "registering" || this.#state.name === "registered") {
      this.#publishAt = Math.max(now, this.#publishedAt + MIN_PUBLISH_INTERVAL_MS);
      if (this.#state.name === "registered" && this.#publishAt <= now) this.#register(now);
    }
  }

  #register(now: number): void {
    const { key, name, hub, taMs, epochMs, allow, ticket } = this.#options;
    // Later than the last one even when the clock was set back.
    this.#issuedAt = Math.max(Math.floor(epochMs + now), this.#issuedAt + 1);
    this.#record = signRecord({
      hub,
      name,
      key: this.#key,
      recordKey: this.#exchange.publicKey,
      taMs,
      candidates: this.#candidates ?? [],
      issuedAt: this.#issuedAt,
      expiresAt: this.#issuedAt + RECORD_LIFETIME_MS,
    }, key);
    const admission = this.#isBusy
      ? { any: false, keyIds: [], tags: [] }
      : earlyAdmission(allow, ticket && ticketTag(ticket.secret));
    const registration = signRegistration(this.#record, admission, key);
    this.#send(encodeMessage({ t: "register", record: this.#record, registration }));
    this.#replacedAt = this.#state.name === "open" ? -Infinity : now;
    this.#publishedAt = now;
    this.#publishAt = undefined;
    // Callers who were answered already get the later record too.
    for (const call of this.#calls.keys()) this.#send(encodeMessage({ t: "answer", call, record: this.#record }));
    if (this.#state.name === "registered") {
      const replyBy = Math.min(this.#state.replyBy, now + REPLY_TIMEOUT_MS);
      const pingAt = now + KEEP_ALIVE_MS;
      this.#state = { ...this.#state, pingAt, refreshAt: now + RECORD_LIFETIME_MS / 2, replyBy };
    } else {
      this.#state = { name: "registering", until: now + REPLY_TIMEOUT_MS };
    }
  }

  /** Each time: the leave to use them ends after some minutes. */
  #tellRelays(relays: readonly NamedRelay[]): void {
    if (relays.length > 0) this.#events.push({ type: "relays", relays });
  }

  #handleRegistered(stun: readonly string[], relays: readonly NamedRelay[], now: number): void {
    const { hub } = this.#options;
    this.#tellRelays(relays);
    if (this.#state.name === "registered") {
      this.#state = { ...this.#state, replyBy: Infinity };
      return;
    }
    this.#state = {
      name: "registered",
      pingAt: now + KEEP_ALIVE_MS,
      refreshAt: now + RECORD_LIFETIME_MS / 2,
      replyBy: Infinity,
    };
    if (stun.length > 0) {
      this.#events.push({ type: "stunServers", servers: stun.map((server) => resolveStunServer(server, hub)) });
    }
    this.#events.push({ type: "registered" });
    if (this.#untoldTicket === undefined) return;
    const { text, dropped } = this.#untoldTicket;
    this.#untoldTicket = undefined;
    this.#events.push({ type: "ticket", text, dropped });
  }

  #handleOffer(bytes: Uint8Array, isAnswered: boolean, now: number): void {
    this.#expireCalls(now);
    const offer = openOffer(bytes)?.content;
    if (offer === undefined) {
      this.#count("forged", undefined);
      return;
    }
    const call = callIdOf(bytes);
    const refusal = this.#judge(offer, call, now);
    if (refusal !== undefined) {
      this.#count(refusal, formatKey(offer.callerKey));
      const reason = refusalCode(refusal);
      if (reason !== undefined) this.#send(encodeMessage({ t: "refuse", call, reason }));
      return;
    }
    const sharedSecret = this.#exchange.sharedSecret(offer.oneTimeKey);
    if (sharedSecret === undefined || this.#record === undefined) {
      this.#count("forged", formatKey(offer.callerKey));
      return;
    }
    // What the hub has answered with may be the record before this one: the two crossed on their way.
    const isOutdated = now - this.#replacedAt < ANSWER_TIMEOUT_MS;
    if (!isAnswered || isOutdated) this.#send(encodeMessage({ t: "answer", call, record: this.#record }));
    const remote = identityOf(offer.callerKey);
    const credentials = deriveCredentials({
      sharedSecret,
      ticketSecret: offer.ticket && this.#options.ticket?.secret,
      listenerKeyId: this.#keyId,
      callerKeyId: remote.keyId,
      recordKey: this.#exchange.publicKey,
      offerDigest: sha256(bytes),
    });
    const expiresAt = now + CALL_LIFETIME_MS;
    this.#calls.set(call, {
      callerKey: offer.callerKey,
      expiresAt,
      sequence: 0,
      candidateCount: offer.candidates.length,
    });
    this.#events.push({
      type: "offer",
      call: {
        id: call,
        remote,
        candidates: usableCandidates(offer.candidates, this.#options),
        localCredentials: credentials.listener,
        remoteCredentials: credentials.caller,
        taMs: agreedTaMs(this.#options.taMs, offer.taMs),
        isListed: offer.ticket === undefined && !this.#options.allow.any,
        expiresAt,
      },
    });
  }

  /** What speaks against an offer that its own key signed; the gate last, because it remembers whom it let pass. */
  #judge(offer: Offer, call: string, now: number): Refusal | undefined {
    const { hub, name, epochMs, allow, ticket } = this.#options;
    if (offer.hub !== hub) return "misdirected";
    if (offer.calleeName !== undefined && offer.calleeName !== name) return "misdirected";
    if (offer.calleeKeyId !== undefined && !equalBytes(offer.calleeKeyId, this.#keyId)) return "misdirected";
    if (equalBytes(offer.callerKey, this.#key)) return "ourself";
    if (!isCurrent(offer, epochMs + now, OFFER_LIFETIME_MS)) return "expired";
    const holdsTicket = ticket !== undefined && offer.ticket !== undefined &&
      isTicketProof(offer.ticket.proof, ticket.secret, offer);
    // A proof that is wrong is worse than none: credentials would differ, and somebody tries tickets.
    if (offer.ticket === undefined ? !isAllowed(allow, offer.callerKey) : !holdsTicket) return "denied";
    const gated = { call, callerKeyId: keyIdOf(offer.callerKey), expiresAt: offer.expiresAt };
    if (this.#isBusy) return "busy";
    return this.#gate.pass(gated, this.#calls.size, { now, epochMs: epochMs + now });
  }

  #handleCandidates(call: string, bytes: Uint8Array): void {
    const pending = this.#calls.get(call);
    if (pending === undefined) return;
    const later = openLaterCandidates(bytes, pending.callerKey);
    if (later === undefined || later.call !== call || later.sequence <= pending.sequence) {
      this.#count(later === undefined ? "forged" : "replayed", formatKey(pending.callerKey));
      return;
    }
    pending.sequence = later.sequence;
    const room = Math.max(0, MAX_CANDIDATES - pending.candidateCount);
    const candidates = usableCandidates(later.candidates, this.#options).slice(0, room);
    pending.candidateCount += candidates.length;
    if (candidates.length > 0) this.#events.push({ type: "candidates", call, candidates });
  }

  #handleError(reason: HubErrorCode, now: number): void {
    const { hub, name } = this.#options;
    switch (reason) {
      case "nameTaken":
        this.#fail("nameTaken", `The name ${name ?? ""} is held by another key at ${hub}: choose another --name`);
        break;
      case "version":
        this.#fail("hub", `The hub ${hub} is of another version: update the older of the two programs`);
        break;
      case "replaced":
        // Coming back would throw the other one out, and so on for ever.
        this.#fail("replaced", `Another listener with our key has registered at ${hub}: use another --key on one side`);
        break;
      // Passing troubles: another carrier after a pause.
      case "full":
      case "limited":
        this.#pause(`The hub ${hub} has too much to do`, now);
        break;
      case "stale":
        this.#pause(`The hub ${hub} takes our record for an old one: compare the two clocks`, now);
        break;
      case "malformed":
        this.#pause(`The hub ${hub} does not understand our record`, now);
        break;
      default:
        unreachable(reason);
    }
  }

  /** The carrier is of no more use; another one is asked for later. */
  #pause(reason: string, now: number): void {
    this.#messages.length = 0;
    this.#publishAt = undefined;
    const pauseMs = this.#backoff.next();
    this.#state = { name: "pausing", until: now + pauseMs };
    this.#events.push({ type: "unregistered", retryAt: now + pauseMs, pauseMs, reason });
  }

  #expireCalls(now: number): void {
    for (const [call, pending] of this.#calls) {
      if (pending.expiresAt > now) break;
      this.#calls.delete(call);
    }
  }

  #send(message: string): void {
    if (this.#messages.length < MAX_QUEUED_MESSAGES) this.#messages.push(message);
  }

  #count(reason: Refusal, caller: string | undefined): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
    this.#events.push({ type: "refused", reason, caller });
  }

  #fail(reason: "nameTaken" | "replaced" | "hub", message: string): void {
    this.#state = { name: "failed" };
    this.#messages.length = 0;
    this.#events.push({ type: "failed", reason, message });
  }
}

/** What the caller is told; `undefined`: nothing, because it was not the caller who did this. */
function refusalCode(refusal: Refusal): RefusalCode | undefined {
  switch (refusal) {
    case "denied":
    case "busy":
    case "limited":
    case "expired":
    case "misdirected":
    case "ourself":
      return refusal;
    case "replayed":
    case "forged":
      return undefined;
    default:
      return unreachable(refusal);
  }
}
