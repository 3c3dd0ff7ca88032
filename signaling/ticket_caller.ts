/**
 * The calling side without any server: the ticket is the listener's record, and our offer is a string that somebody pastes
 * on the other side. Whoever holds the ticket is admitted, and only such a one can make the answer.
 *
 * @module
 */

import { equalBytes } from "../protocols/core/bytes.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { X25519KeyPair } from "../protocols/crypto/x25519.ts";
import { agreedTaMs, usableCandidates } from "./agreement.ts";
import { deriveCredentials } from "./credentials.ts";
import { keyIdOf } from "./identity.ts";
import type { CallerEvent, CallerMachine, CallFailure, MachineContext } from "./machines.ts";
import { directTicketSecret, encodeTicketAnswer } from "./ticket_codec.ts";
import type { DirectTicket } from "./ticket_codec.ts";
import { callIdOf } from "./trust.ts";

/** What a {@linkcode TicketCaller} is made with. */
export interface TicketCallerOptions extends MachineContext {
  readonly ticket: DirectTicket;
}

/** Calls whoever made a ticket. */
export class TicketCaller implements CallerMachine {
  readonly #options: TicketCallerOptions;
  readonly #events: CallerEvent[] = [{ type: "open" }];
  readonly #messages: string[] = [];
  #candidates: readonly RemoteCandidate[] | undefined;
  #state: "connecting" | "open" | "over" = "connecting";

  constructor(options: TicketCallerOptions) {
    this.#options = options;
    const { ticket, key } = options;
    if (equalBytes(ticket.keyId, keyIdOf(key.publicKey.bytes))) {
      this.#events.length = 0;
      this.#fail("ourself", "Cannot call: this ticket is our own, use another --key on one side");
    } else if (ticket.stunServers.length > 0) {
      this.#events.push({ type: "stunServers", servers: ticket.stunServers });
    }
  }

  /** @param candidates In order of preference, and all of them: the string is made once. */
  offer(candidates: readonly RemoteCandidate[], now: number): void {
    if (this.#candidates !== undefined) return;
    this.#candidates = candidates;
    if (this.#state === "open") this.#answer(now);
  }

  addCandidates(_candidates: readonly RemoteCandidate[], _now: number): void {
    // What was copied cannot grow: ICE finds the rest as peer-reflexive candidates.
  }

  confirm(_key: Uint8Array): void {
    // The ticket names the key: there is nothing to pin.
  }

  handleOpen(now: number): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    if (this.#candidates !== undefined) this.#answer(now);
  }

  handleMessage(_message: string, _now: number): void {
    // Nothing comes back: the ticket has said it all.
  }

  handleClosed(_now: number): void {
    if (this.#state !== "over") this.#fail("unreachable", "Cannot show the answer to the ticket");
  }

  handleTimeout(_now: number): void {
    // No timers: ICE repeats its checks until the call expires.
  }

  pollMessage(): string | undefined {
    return this.#messages.shift();
  }

  pollEvent(): CallerEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    return undefined;
  }

  #answer(now: number): void {
    const { ticket, key, taMs, random, epochMs } = this.#options;
    if (epochMs + now >= ticket.expiresAt) {
      this.#fail("expired", "The ticket has expired, or one of the two clocks is wrong: ask for a new one");
      return;
    }
    const exchange = X25519KeyPair.generate(random);
    const sharedSecret = exchange.sharedSecret(ticket.recordKey);
    if (sharedSecret === undefined) {
      this.#fail("untrusted", "The ticket's key is not a usable X25519 key");
      return;
    }
    const secret = directTicketSecret(ticket.recordKey);
    const callerKeyId = keyIdOf(key.publicKey.bytes);
    const candidates = this.#candidates ?? [];
    const answer = encodeTicketAnswer({ taMs, keyId: callerKeyId, oneTimeKey: exchange.publicKey, candidates }, secret);
    const credentials = deriveCredentials({
      sharedSecret,
      ticketSecret: secret,
      listenerKeyId: ticket.keyId,
      callerKeyId,
      recordKey: ticket.recordKey,
      offerDigest: sha256(answer.proven),
    });
    this.#state = "over";
    this.#messages.push(answer.text);
    this.#events.push({ type: "paste", text: answer.text, dropped: answer.dropped });
    this.#events.push({
      type: "answer",
      call: {
        id: callIdOf(answer.proven),
        remote: { key: undefined, keyId: ticket.keyId },
        candidates: usableCandidates(ticket.candidates, this.#options),
        localCredentials: credentials.caller,
        remoteCredentials: credentials.listener,
        taMs: agreedTaMs(taMs, ticket.taMs || undefined),
        expiresAt: ticket.expiresAt - epochMs,
      },
    });
  }

  #fail(reason: CallFailure, message: string): void {
    this.#state = "over";
    this.#events.push({ type: "failed", reason, message });
  }
}
