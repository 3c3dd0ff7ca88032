/**
 * The calling side of a call through a hub: one signed offer, written with the upgrade request; an answer that is believed
 * only as far as it is signed by the key we call.
 *
 * @module
 */

import { equalBytes } from "../protocols/core/bytes.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { X25519KeyPair } from "../protocols/crypto/x25519.ts";
import { agreedTaMs, usableCandidates } from "./agreement.ts";
import { Backoff } from "./backoff.ts";
import type { Callee } from "./callee.ts";
import { deriveCredentials, ticketProof, ticketTag } from "./credentials.ts";
import { resolveStunServer } from "./hub_names.ts";
import { formatIdentity, formatKey, identityOf, keyIdOf } from "./identity.ts";
import type { KnownPeers } from "./known_peers.ts";
import { MAX_CANDIDATES } from "./machines.ts";
import type { CallerEvent, CallerMachine, CallFailure, MachineContext } from "./machines.ts";
import { decodeHubMessage, encodeMessage } from "./messages.ts";
import type { HubErrorCode, RefusalCode } from "./messages.ts";
import {
  callIdOf,
  isCurrent,
  OFFER_LIFETIME_MS,
  openRecord,
  RECORD_LIFETIME_MS,
  signLaterCandidates,
  signOffer,
} from "./trust.ts";
import type { ListenerRecord } from "./trust.ts";

/** How often a caller tries to reach its hub before it says that it cannot. */
export const MAX_CALL_ATTEMPTS = 3;

/** How often a hub that was lost in this call may know nobody: its listeners come back at their own pace. */
const MAX_UNKNOWN_AFTER_RESTART = 3;

/** How long a caller waits for an answer to its offer: a listener that admits us answers in a round trip. */
export const ANSWER_TIMEOUT_MS = 10_000;

/** How long ICE may take, from the answer on. */
export const CALL_LIFETIME_MS = 30_000;

/** Messages with later candidates that wait to be sent, at most. */
const MAX_QUEUED_MESSAGES = 16;

/** What a {@linkcode HubCaller} is made with. */
export interface HubCallerOptions extends MachineContext {
  /** `host[:port]` of the hub: what the offer is bound to. */
  readonly hub: string;
  readonly callee: Exclude<Callee, { readonly kind: "direct" | "relayed" }>;
  /** Where a bare name is looked up and pinned. */
  readonly known?: KnownPeers;
}

type State =
  /** Waiting for a carrier. */
  | { readonly name: "connecting" }
  /** The carrier failed; another attempt is due. */
  | { readonly name: "pausing"; readonly until: number }
  /** The carrier is up and there is nothing to offer yet. */
  | { readonly name: "open" }
  | { readonly name: "offered"; readonly offer: SentOffer; readonly until: number }
  | { readonly name: "answered"; readonly offer: SentOffer; readonly record: ListenerRecord }
  | { readonly name: "failed" };

interface SentOffer {
  readonly call: string;
  readonly digest: Uint8Array;
  readonly exchange: X25519KeyPair;
}

/** Calls one peer through a hub. */
export class HubCaller implements CallerMachine {
  readonly #options: HubCallerOptions;
  readonly #backoff: Backoff;
  readonly #ownKey: Uint8Array;
  readonly #expectedKey: Uint8Array | undefined;
  readonly #events: CallerEvent[] = [{ type: "open" }];
  readonly #messages: string[] = [];
  #state: State = { name: "connecting" };
  #candidates: RemoteCandidate[] | undefined;
  #attempts = 1;
  #unknownAfterRestart = 0;
  #sequence = 0;

  constructor(options: HubCallerOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#ownKey = options.key.publicKey.bytes;
    const { callee, hub, known } = options;
    this.#expectedKey = callee.kind === "name" ? callee.key ?? known?.lookup(hub, callee.name) : undefined;
    const isOurself = callee.kind === "hub"
      ? equalBytes(callee.keyId, keyIdOf(this.#ownKey))
      : this.#expectedKey !== undefined && equalBytes(this.#expectedKey, this.#ownKey);
    if (isOurself) {
      this.#events.length = 0;
      this.#fail("ourself", "Cannot call: this is our own key, use another --key on one side");
    }
  }

  offer(candidates: readonly RemoteCandidate[], now: number): void {
    this.#candidates = candidates.slice(0, MAX_CANDIDATES);
    if (this.#state.name === "open") this.#sendOffer(now);
  }

  addCandidates(candidates: readonly RemoteCandidate[], _now: number): void {
    const state = this.#state;
    // Whoever has been told can be told more; before, the offer itself takes them along.
    if (this.#candidates === undefined) return;
    const room = MAX_CANDIDATES - this.#candidates.length;
    const added = candidates.slice(0, room);
    this.#candidates.push(...added);
    if ((state.name !== "offered" && state.name !== "answered") || added.length === 0) return;
    if (this.#messages.length >= MAX_QUEUED_MESSAGES) return;
    const later = { call: state.offer.call, sequence: ++this.#sequence, candidates: added };
    const signed = signLaterCandidates(later, this.#options.key);
    this.#messages.push(encodeMessage({ t: "candidates", call: later.call, candidates: signed }));
  }

  confirm(key: Uint8Array): void {
    const { callee, hub, known } = this.#options;
    if (callee.kind === "name" && callee.key === undefined) known?.pin(hub, callee.name, key);
  }

  handleOpen(now: number): void {
    if (this.#state.name !== "connecting") return;
    this.#state = { name: "open" };
    if (this.#candidates !== undefined) this.#sendOffer(now);
  }

  handleMessage(message: string, now: number): void {
    const { name } = this.#state;
    if (name !== "offered" && name !== "answered") return;
    const decoded = decodeHubMessage(message);
    switch (decoded?.t) {
      case "answer":
        this.#tellStunServers(decoded.stun);
        this.#handleRecord(decoded.record, now);
        break;
      case "forwarded":
        this.#tellStunServers(decoded.stun);
        break;
      case "refused":
        if (decoded.reason === "unknown" && this.#mayBeRestarting()) this.#pause(now);
        else this.#fail(...this.#explainRefusal(decoded.reason));
        break;
      case "error":
        if (name === "offered") this.#fail(...explainHubError(decoded.reason, this.#options.hub));
        break;
      case "version":
        if (name === "offered") this.#fail(...explainHubError("version", this.#options.hub));
        break;
      case undefined:
        if (name === "offered") this.#fail("hub", `Cannot understand ${this.#options.hub}: is it a Traverse hub?`);
        break;
      case "registered":
      case "offer":
      case "candidates":
      case "pong":
        // A listener's business.
        break;
      default:
        unreachable(decoded);
    }
  }

  handleClosed(now: number, reason?: string, isRefused = false): void {
    this.#messages.length = 0;
    switch (this.#state.name) {
      case "connecting":
      case "open":
      case "offered":
        if (isRefused) {
          this.#fail("hub", reason ?? `The hub ${this.#options.hub} does not let us in: is --token right?`);
        } else if (this.#attempts >= MAX_CALL_ATTEMPTS) {
          const why = reason ?? `Cannot reach the hub ${this.#options.hub}`;
          this.#fail("unreachable", `${why}: is the hub running, and the URL right?`);
        } else {
          this.#pause(now);
        }
        break;
      case "pausing":
      case "answered":
      case "failed":
        break;
      default:
        unreachable(this.#state);
    }
  }

  handleTimeout(now: number): void {
    const state = this.#state;
    if (state.name === "pausing" && now >= state.until) {
      this.#attempts++;
      this.#state = { name: "connecting" };
      this.#events.push({ type: "open" });
    } else if (state.name === "offered" && now >= state.until) {
      this.#fail("unreachable", `The hub ${this.#options.hub} does not answer: try again`);
    }
  }

  pollMessage(): string | undefined {
    return this.#messages.shift();
  }

  pollEvent(): CallerEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    const state = this.#state;
    return state.name === "pausing" || state.name === "offered" ? state.until : undefined;
  }

  #mayBeRestarting(): boolean {
    return this.#attempts > 1 && this.#unknownAfterRestart++ < MAX_UNKNOWN_AFTER_RESTART;
  }

  #pause(now: number): void {
    this.#state = { name: "pausing", until: now + this.#backoff.next() };
  }

  #sendOffer(now: number): void {
    const { callee, hub, key, taMs, random, epochMs } = this.#options;
    const exchange = X25519KeyPair.generate(random);
    const issuedAt = Math.floor(epochMs + now);
    const bytes = signOffer({
      hub,
      calleeName: callee.kind === "name" ? callee.name : undefined,
      // A pinned key is left out, so that the record of whoever has the name now comes back and both keys can be shown.
      calleeKeyId: callee.kind === "hub" ? callee.keyId : callee.key && keyIdOf(callee.key),
      callerKey: this.#ownKey,
      oneTimeKey: exchange.publicKey,
      taMs,
      candidates: this.#candidates ?? [],
      issuedAt,
      expiresAt: issuedAt + OFFER_LIFETIME_MS,
      ticket: callee.kind === "hub"
        ? { tag: ticketTag(callee.secret), proof: ticketProof(callee.secret, this.#ownKey, exchange.publicKey) }
        : undefined,
    }, key);
    this.#sequence = 0;
    this.#state = {
      name: "offered",
      offer: { call: callIdOf(bytes), digest: sha256(bytes), exchange },
      until: now + ANSWER_TIMEOUT_MS,
    };
    this.#messages.push(encodeMessage({ t: "offer", offer: bytes }));
  }

  #handleRecord(bytes: Uint8Array, now: number): void {
    const state = this.#state;
    if (state.name !== "offered" && state.name !== "answered") return;
    const record = openRecord(bytes)?.content;
    if (state.name === "answered") {
      // A later record of the same listener; anything else the hub may keep.
      if (
        record !== undefined && this.#mistrust(record, now) === undefined && equalBytes(record.key, state.record.key) &&
        equalBytes(record.recordKey, state.record.recordKey) && record.issuedAt > state.record.issuedAt
      ) {
        this.#state = { ...state, record };
        this.#events.push({ type: "candidates", candidates: usableCandidates(record.candidates, this.#options) });
      }
      return;
    }
    if (record === undefined) {
      this.#fail("untrusted", `The hub ${this.#options.hub} sent a record that its owner did not sign`);
      return;
    }
    const failure = this.#mistrust(record, now);
    if (failure !== undefined) {
      this.#events.push(failure);
      this.#state = { name: "failed" };
      return;
    }
    const { callee } = this.#options;
    const sharedSecret = state.offer.exchange.sharedSecret(record.recordKey);
    if (sharedSecret === undefined) {
      this.#fail("untrusted", "The record's key is not a usable X25519 key");
      return;
    }
    const remote = identityOf(record.key);
    const credentials = deriveCredentials({
      sharedSecret,
      ticketSecret: callee.kind === "hub" ? callee.secret : undefined,
      listenerKeyId: remote.keyId,
      callerKeyId: keyIdOf(this.#ownKey),
      recordKey: record.recordKey,
      offerDigest: state.offer.digest,
    });
    this.#state = { name: "answered", offer: state.offer, record };
    this.#events.push({
      type: "answer",
      call: {
        id: state.offer.call,
        remote,
        candidates: usableCandidates(record.candidates, this.#options),
        localCredentials: credentials.caller,
        remoteCredentials: credentials.listener,
        taMs: agreedTaMs(this.#options.taMs, record.taMs),
        expiresAt: now + CALL_LIFETIME_MS,
      },
    });
  }

  /** What speaks against a record that its own key signed. */
  #mistrust(record: ListenerRecord, now: number): Extract<CallerEvent, { readonly type: "failed" }> | undefined {
    const { callee, hub, epochMs } = this.#options;
    const actual = identityOf(record.key);
    const expected = callee.kind === "hub"
      ? { key: undefined, keyId: callee.keyId }
      : this.#expectedKey && identityOf(this.#expectedKey);
    if (expected !== undefined && !equalBytes(expected.keyId, actual.keyId)) {
      return {
        type: "failed",
        reason: "otherKey",
        message: `The peer's key is ${formatKey(record.key)}, not ${formatIdentity(expected)}: ` +
          "somebody else answers, or the peer has a new key",
        expected: formatIdentity(expected),
        actual: formatKey(record.key),
      };
    }
    if (equalBytes(record.key, this.#ownKey)) {
      return { type: "failed", reason: "ourself", message: "The peer has our own key: use another --key on one side" };
    }
    if (record.hub !== hub) {
      return {
        type: "failed",
        reason: "untrusted",
        message: `The peer is registered for the hub ${record.hub}, not for ${hub}: use one URL on both sides`,
      };
    }
    if (callee.kind === "name" && record.name !== callee.name) {
      const message = `The hub ${hub} answered for ${callee.name} with a record of somebody else`;
      return { type: "failed", reason: "untrusted", message };
    }
    if (!isCurrent(record, epochMs + now, RECORD_LIFETIME_MS)) {
      const message = "The peer's record has expired, or one of the two clocks is wrong: compare them";
      return { type: "failed", reason: "expired", message };
    }
    return undefined;
  }

  #tellStunServers(servers: readonly string[]): void {
    if (servers.length === 0) return;
    const { hub } = this.#options;
    this.#events.push({ type: "stunServers", servers: servers.map((server) => resolveStunServer(server, hub)) });
  }

  #explainRefusal(reason: RefusalCode): [CallFailure, string] {
    const { callee, hub } = this.#options;
    const who = callee.kind === "hub"
      ? "the peer"
      : callee.name + (callee.key === undefined ? "" : ` with the key ${formatKey(callee.key)}`);
    switch (reason) {
      case "unknown":
        return ["unknown", `Nobody is registered as ${who} at ${hub}: is the other side listening there?`];
      case "denied":
        return ["denied", `${who} does not admit our key ${formatKey(this.#ownKey)}: ask for a ticket or for --allow`];
      case "busy":
        return ["busy", `${who} is busy with somebody else: try again later`];
      case "limited":
        return ["limited", `${who} gets too many calls: try again in a moment`];
      case "expired":
        return ["expired", "Our offer came too late, or one of the two clocks is wrong: compare them"];
      case "ourself":
        return ["ourself", "The peer has our own key: use another --key on one side"];
      case "misdirected":
        return ["hub", `${who} is registered under another name or for another URL of the hub than ${hub}`];
      default:
        return unreachable(reason);
    }
  }

  #fail(reason: CallFailure, message: string): void {
    this.#state = { name: "failed" };
    this.#messages.length = 0;
    this.#events.push({ type: "failed", reason, message });
  }
}

function explainHubError(reason: HubErrorCode, hub: string): [CallFailure, string] {
  switch (reason) {
    case "version":
      return ["hub", `The hub ${hub} is of another version: update the older of the two programs`];
    case "limited":
    case "full":
      return ["limited", `The hub ${hub} has too much to do: try again in a moment`];
    case "malformed":
    case "nameTaken":
    case "stale":
    case "replaced":
      return ["hub", `The hub ${hub} refuses our offer: ${reason}`];
    default:
      return unreachable(reason);
  }
}
