/**
 * How the NAT in front of a base behaves, asked of a STUN server with a second port and, better, a second address
 * (RFC 5780 §4.3, §4.4): by what it maps, and whom it lets in (RFC 4787 §4.1, §5).
 *
 * What a server is asked opens the filter for it, so filtering is asked about first, and always of the primary address.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../protocols/core/machine.ts";
import { type Random, randomBytes } from "../protocols/core/random.ts";
import { TRANSACTION_ID_BYTES } from "../protocols/stun/classify.ts";
import { type ChangeRequest, decodeStun, encodeStun } from "../protocols/stun/npm_stun.ts";
import { Transaction, type TransactionConfig } from "../protocols/stun/transaction.ts";

/** What a mapping, or the leave to come in, is for: nobody in particular, a host, or a host's port. RFC 4787 §4.1, §5. */
export type NatDependence =
  | "endpoint-independent"
  | "address-dependent"
  | "address-and-port-dependent"
  /** The server has one address: what it sees of its two ports is the same. */
  | "not port-dependent";

const MAPPING_QUESTIONS = ["mapping of the other host", "mapping of the other port"] as const;

/** What was found out. */
export interface NatBehaviour {
  /** The address the server sees. */
  readonly mapped: Address;
  /** Whether that is the base's own: there is no NAT, but there may be a firewall. */
  readonly isMapped: boolean;
  readonly mapping: NatDependence;
  readonly filtering: NatDependence;
}

/** How it ended. */
export type NatBehaviourEvent =
  | { readonly type: "behaviour"; readonly behaviour: NatBehaviour }
  /** Why nothing can be said, for people. */
  | { readonly type: "unknown"; readonly reason: string };

/**
 * Each question is asked at 0, 0.2, 0.6 and 1.4 s and given up at 1.8 s: that nothing comes is an answer too, and worth
 * waiting for a little.
 */
const QUESTION: TransactionConfig = { rtoMs: 200, requestCount: 4, lastMultiplier: 2 };

type Question =
  /** What the server sees, and where else it is. */
  | "mapping of the primary"
  /** Whether somebody else may answer. */
  | "answer from elsewhere"
  /** Whether another port of the same host may. */
  | "answer from the other port"
  /** What another address sees. */
  | "mapping of the other host"
  /** What its other port sees. */
  | "mapping of the other port";

interface Pending {
  readonly question: Question;
  readonly transaction: Transaction;
}

/** Asks one server from one base. */
export class NatBehaviourTest implements Machine<NatBehaviourEvent> {
  readonly #base: Base;
  readonly #server: Address;
  readonly #random: Random;
  #pending: Pending[] = [];
  #mapped: Address | undefined;
  #other: Address | undefined;
  readonly #seen = new Map<Question, Address | undefined>();
  #event: NatBehaviourEvent | undefined;
  #now: number;

  constructor(base: Base, server: Address, context: { readonly now: number; readonly random: Random }) {
    this.#base = base;
    this.#server = server;
    this.#random = context.random;
    this.#now = context.now;
    this.#ask("mapping of the primary", server);
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#now = now;
    for (const { transaction } of this.#pending) transaction.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    for (const { transaction } of this.#pending) transaction.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    for (const { transaction } of this.#pending) {
      const request = transaction.pollTransmit(now);
      if (request !== undefined) return request;
    }
    return undefined;
  }

  pollEvent(): NatBehaviourEvent | undefined {
    for (const pending of [...this.#pending]) {
      const event = pending.transaction.pollEvent();
      if (event === undefined) continue;
      this.#pending = this.#pending.filter((other) => other !== pending);
      this.#onAnswer(pending.question, event.type === "response" ? event.response : undefined);
    }
    const event = this.#event;
    this.#event = undefined;
    return event;
  }

  pollTimeout(): number | undefined {
    const at = Math.min(...this.#pending.map(({ transaction }) => transaction.pollTimeout() ?? Infinity));
    return at === Infinity ? undefined : at;
  }

  #onAnswer(question: Question, response: Datagram | undefined): void {
    const message = response === undefined ? undefined : decodeStun(response.payload);
    const mapped = message?.ok === true && message.class === "success" ? message.mappedAddress : undefined;
    if (question === "mapping of the primary") {
      const other = message?.ok === true ? message.otherAddress : undefined;
      return this.#onPrimary(mapped, other, response !== undefined);
    }
    this.#seen.set(question, mapped);
    if (this.#pending.length > 0) return;
    if (question === "answer from elsewhere" || question === "answer from the other port") this.#askForMapping();
    else if (question === "mapping of the other host" && mapped !== this.#mapped && this.#other !== undefined) {
      this.#ask("mapping of the other port", this.#other);
    } else this.#conclude();
  }

  #onPrimary(mapped: Address | undefined, other: Address | undefined, isAnswered: boolean): void {
    if (mapped === undefined) {
      this.#event = {
        type: "unknown",
        reason: isAnswered ? `${this.#server} does not tell what it sees` : `${this.#server} does not answer`,
      };
      return;
    }
    if (other === undefined || other === this.#server) {
      this.#event = {
        type: "unknown",
        reason: `${this.#server} has no other address to ask from (RFC 5780)`,
      };
      return;
    }
    this.#mapped = mapped;
    this.#other = other;
    if (this.#hasOtherHost) this.#ask("answer from elsewhere", this.#server, { host: true, port: true });
    this.#ask("answer from the other port", this.#server, { host: false, port: true });
  }

  get #hasOtherHost(): boolean {
    return this.#other !== undefined && this.#other.host !== this.#server.host;
  }

  #askForMapping(): void {
    const other = this.#other;
    if (other === undefined) return;
    if (this.#hasOtherHost) this.#ask("mapping of the other host", addressOf(other.host, this.#server.port));
    else this.#ask("mapping of the other port", other);
  }

  #conclude(): void {
    const mapped = this.#mapped;
    if (mapped === undefined) return;
    // Silence is no mapping: two questions without an answer are not two that were answered alike.
    if (MAPPING_QUESTIONS.some((question) => this.#seen.has(question) && this.#seen.get(question) === undefined)) {
      this.#event = { type: "unknown", reason: `${this.#other} does not answer, the other address of ${this.#server}` };
      return;
    }
    this.#event = {
      type: "behaviour",
      behaviour: {
        mapped,
        isMapped: mapped !== this.#base.local,
        mapping: this.#mapping(mapped),
        filtering: this.#filtering(),
      },
    };
  }

  /** RFC 5780 §4.3. */
  #mapping(mapped: Address): NatDependence {
    const [host, port] = [this.#seen.get("mapping of the other host"), this.#seen.get("mapping of the other port")];
    if (!this.#hasOtherHost) return port === mapped ? "not port-dependent" : "address-and-port-dependent";
    if (host === mapped) return "endpoint-independent";
    return port === host ? "address-dependent" : "address-and-port-dependent";
  }

  /** RFC 5780 §4.4. */
  #filtering(): NatDependence {
    if (this.#seen.get("answer from elsewhere") !== undefined) return "endpoint-independent";
    if (this.#seen.get("answer from the other port") === undefined) return "address-and-port-dependent";
    return this.#hasOtherHost ? "address-dependent" : "not port-dependent";
  }

  #ask(question: Question, remote: Address, changeRequest?: ChangeRequest): void {
    const transactionId = randomBytes(this.#random, TRANSACTION_ID_BYTES);
    const payload = encodeStun({
      class: "request",
      transactionId,
      ...(changeRequest === undefined ? {} : { changeRequest }),
    });
    const request: Datagram = { base: this.#base, remote, payload };
    const transaction = new Transaction(request, { now: this.#now, config: QUESTION });
    this.#pending.push({ question, transaction });
  }
}
