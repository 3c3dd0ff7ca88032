/**
 * The caller and the listener of a traversal that needs no signaling: the ticket holds the address at a relay, and all else.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import { randomBytes } from "../protocols/core/random.ts";
import type { Random } from "../protocols/core/random.ts";
import type { Ed25519PublicKey } from "../protocols/crypto/ed25519.ts";
import { hmac } from "../protocols/crypto/hash.ts";
import { keyIdOf } from "./identity.ts";
import type { CallerEvent, CallerMachine, ListenerEvent, ListenerMachine, Refusal } from "./machines.ts";
import { encodeText } from "./signed.ts";
import { encodeRelayedTicket, TICKET_SECRET_BYTES } from "./ticket_codec.ts";

/**
 * What holders of a ticket that names an address at a relay show there. With a key that is kept it is the same each time, as
 * is the address that the relay keeps for the key: such a ticket outlives a restart.
 *
 * @param seed That of the listener's key, if it is kept.
 * @param authority Host and port of the relay.
 */
export function relayedTicketToken(random: Random, authority: string, seed: Uint8Array | undefined): Uint8Array {
  if (seed === undefined) return randomBytes(random, TICKET_SECRET_BYTES);
  return hmac("SHA-256", seed, encodeText(`traverse 1 relayed ticket\0${authority}`)).subarray(0, TICKET_SECRET_BYTES);
}

class Silence<Event> {
  handleOpen(_now: number): void {}

  handleMessage(_message: string, _now: number): void {}

  handleClosed(_now: number): void {}

  handleTimeout(_now: number): void {}

  pollMessage(): undefined {
    return undefined;
  }

  pollEvent(): Event | undefined {
    return undefined;
  }

  pollTimeout(): undefined {
    return undefined;
  }
}

/** Calls nobody. */
export class SilentCaller extends Silence<CallerEvent> implements CallerMachine {
  offer(_candidates: readonly RemoteCandidate[], _now: number): void {}

  addCandidates(_candidates: readonly RemoteCandidate[], _now: number): void {}

  confirm(_key: Uint8Array): void {}
}

function equalLists(one: readonly Address[], other: readonly Address[]): boolean {
  return one.length === other.length && one.every((address, i) => address === other[i]);
}

/** What a {@linkcode RelayedListener} is made with. */
export interface RelayedListenerOptions {
  /** Our own key. */
  readonly key: Ed25519PublicKey;
  /** What callers have to show in their Initials: 16 bytes, the same that the traversal admits. */
  readonly token: Uint8Array;
}

/** Hears nobody: makes a ticket of the addresses at relays, and that is all a caller needs. */
export class RelayedListener extends Silence<ListenerEvent> implements ListenerMachine {
  readonly refusals: ReadonlyMap<Refusal, number> = new Map();
  readonly #options: RelayedListenerOptions;
  #events: ListenerEvent[] = [];
  /** In the order in which they came. */
  #published: readonly Address[] = [];

  constructor(options: RelayedListenerOptions) {
    super();
    this.#options = options;
  }

  override pollEvent(): ListenerEvent | undefined {
    return this.#events.shift();
  }

  publish(candidates: readonly RemoteCandidate[], _now: number): void {
    const relayed = candidates.filter(({ type }) => type === "relay").map(({ address }) => address);
    const before = this.#published.filter((address) => relayed.includes(address));
    const addresses = [...before, ...relayed.filter((address) => !before.includes(address))];
    if (addresses.length === 0 || equalLists(addresses, this.#published)) return;
    this.#published = addresses;
    const { key, token } = this.#options;
    const { text, dropped } = encodeRelayedTicket({ keyId: keyIdOf(key.bytes), token, addresses });
    this.#events = [{ type: "ticket", text, dropped }, { type: "registered" }];
  }

  setBusy(_isBusy: boolean, _now: number): void {}

  settle(_call: string): void {}
}
