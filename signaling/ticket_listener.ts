/**
 * The side that waits to be called without any server: it makes one direct ticket, and takes the answers that are pasted.
 *
 * @module
 */

import { equalBytes } from "../protocols/core/bytes.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { equalSecrets } from "../protocols/crypto/constant_time.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { X25519KeyPair } from "../protocols/crypto/x25519.ts";
import { OfferGate } from "./admission.ts";
import { agreedTaMs, usableCandidates } from "./agreement.ts";
import { deriveCredentials } from "./credentials.ts";
import { formatIdentity, keyIdOf } from "./identity.ts";
import type { ListenerEvent, ListenerMachine, MachineContext, Refusal } from "./machines.ts";
import {
  answerProof,
  decodeTicket,
  directTicketSecret,
  encodeDirectTicket,
  TICKET_LIFETIME_MS,
  wholeMinute,
} from "./ticket_codec.ts";
import type { TicketAnswer } from "./ticket_codec.ts";
import { callIdOf } from "./trust.ts";

/** What a {@linkcode TicketListener} is made with. */
export interface TicketListenerOptions extends MachineContext {
  /** STUN servers the caller may ask, as far as there is room for them. */
  readonly stunServers: readonly string[];
}

/** Waits for whoever was given its ticket. */
export class TicketListener implements ListenerMachine {
  readonly #options: TicketListenerOptions;
  readonly #keyId: Uint8Array;
  readonly #exchange: X25519KeyPair;
  readonly #secret: Uint8Array;
  readonly #gate = new OfferGate();
  readonly #events: ListenerEvent[] = [{ type: "open" }];
  readonly #messages: string[] = [];
  readonly #refusals = new Map<Refusal, number>();
  /** Calls that are not settled; the gate bounds them. */
  readonly #calls = new Set<string>();
  #isOpen = false;
  #isBusy = false;
  #candidates: readonly RemoteCandidate[] | undefined;
  /** Wall clock; `undefined` before the ticket was made. */
  #expiresAt: number | undefined;

  constructor(options: TicketListenerOptions) {
    this.#options = options;
    this.#keyId = keyIdOf(options.key.publicKey.bytes);
    this.#exchange = X25519KeyPair.generate(options.random);
    this.#secret = directTicketSecret(this.#exchange.publicKey);
  }

  get refusals(): ReadonlyMap<Refusal, number> {
    return this.#refusals;
  }

  /** @param candidates In order of preference, and all of them: the ticket is made once. */
  publish(candidates: readonly RemoteCandidate[], now: number): void {
    this.#candidates ??= candidates;
    this.#makeTicket(now);
  }

  setBusy(isBusy: boolean, _now: number): void {
    this.#isBusy = isBusy;
  }

  settle(call: string): void {
    this.#calls.delete(call);
  }

  handleOpen(now: number): void {
    this.#isOpen = true;
    this.#makeTicket(now);
  }

  handleMessage(message: string, now: number): void {
    const epochMs = this.#options.epochMs + now;
    const answer = decodeTicket(message, epochMs);
    switch (answer.kind) {
      case "problem":
        this.#events.push({
          type: "mispaste",
          message: answer.message.replaceAll("a ticket", "an answer").replaceAll("ticket", "answer"),
        });
        break;
      case "hub":
      case "direct":
        this.#events.push({
          type: "mispaste",
          message: "This is a ticket, not the answer to one: connect makes those",
        });
        break;
      case "answer":
        this.#handleAnswer(answer, now);
        break;
    }
  }

  handleClosed(_now: number): void {
    // Nobody pastes any more; what was pasted goes on.
    this.#isOpen = false;
  }

  handleTimeout(_now: number): void {
    // No timers: an answer that comes too late is refused when it comes.
  }

  pollMessage(): string | undefined {
    return this.#messages.shift();
  }

  pollEvent(): ListenerEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    return undefined;
  }

  #makeTicket(now: number): void {
    if (!this.#isOpen || this.#candidates === undefined || this.#expiresAt !== undefined) return;
    const { taMs, stunServers, epochMs } = this.#options;
    this.#expiresAt = wholeMinute(epochMs + now + TICKET_LIFETIME_MS);
    const { text, dropped } = encodeDirectTicket({
      taMs,
      keyId: this.#keyId,
      recordKey: this.#exchange.publicKey,
      expiresAt: this.#expiresAt,
      candidates: this.#candidates,
      stunServers,
    });
    this.#messages.push(text);
    this.#events.push({ type: "ticket", text, dropped });
  }

  #handleAnswer(answer: TicketAnswer, now: number): void {
    const { taMs, epochMs } = this.#options;
    const remote = { key: undefined, keyId: answer.keyId };
    const call = callIdOf(answer.proven);
    const refusal = this.#judge(answer, call, now);
    const sharedSecret = this.#exchange.sharedSecret(answer.oneTimeKey);
    if (refusal !== undefined || sharedSecret === undefined) {
      const reason = refusal ?? "forged";
      this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
      this.#events.push({ type: "refused", reason, caller: formatIdentity(remote) });
      return;
    }
    const credentials = deriveCredentials({
      sharedSecret,
      ticketSecret: this.#secret,
      listenerKeyId: this.#keyId,
      callerKeyId: answer.keyId,
      recordKey: this.#exchange.publicKey,
      offerDigest: sha256(answer.proven),
    });
    this.#calls.add(call);
    this.#events.push({
      type: "offer",
      call: {
        id: call,
        remote,
        candidates: usableCandidates(answer.candidates, this.#options),
        localCredentials: credentials.listener,
        remoteCredentials: credentials.caller,
        taMs: agreedTaMs(taMs, answer.taMs || undefined),
        expiresAt: (this.#expiresAt ?? 0) - epochMs,
      },
    });
  }

  #judge(answer: TicketAnswer, call: string, now: number): Refusal | undefined {
    const expiresAt = this.#expiresAt;
    const epochMs = this.#options.epochMs + now;
    if (expiresAt === undefined || !equalSecrets(answer.proof, answerProof(this.#secret, answer.proven))) {
      return "forged";
    }
    if (equalBytes(answer.keyId, this.#keyId)) return "ourself";
    if (epochMs >= expiresAt) return "expired";
    if (this.#isBusy) return "busy";
    return this.#gate.pass({ call, callerKeyId: answer.keyId, expiresAt }, this.#calls.size, { now, epochMs });
  }
}
