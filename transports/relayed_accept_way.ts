/**
 * The way of `quic-native`, listening: has addresses at relays and takes connections through them, from whoever shows the
 * ticket's token or that of an accepted offer (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import { equalBytes } from "../protocols/core/bytes.ts";
import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { ListenerEvent } from "../signaling/machines.ts";
import type { AcceptCalls } from "./accept_calls.ts";
import { callToken } from "./quic_settings.ts";
import { RelayTunnel } from "./relay_tunnel.ts";
import type { Reception, RelayAccess } from "./traversal.ts";
import type { TraversalShell } from "./traversal_shell.ts";
import type { AcceptWay, Incoming, PendingCall } from "./ways.ts";

/** Relays that we have an address at, at most: a ticket or record has room for these and direct ones. */
export const MAX_RELAYS = 4;

/** How long callers are told nothing while a relay has not answered; what it says later makes the record true again. */
const MAX_RELAY_WAIT_MS = 1000;

/** A relay, and how we are reached there. */
interface Relayed {
  readonly authority: string;
  readonly tunnel: RelayTunnel;
  /** Our address there; it is kept for a while after the tunnel is lost. */
  address: Address | undefined;
  /** Whether the relay has said yes or no. */
  hasAnswered: boolean;
}

/** The tunnels, and who may come through. */
export class RelayedAcceptWay implements AcceptWay {
  readonly transport = "quic-native";
  readonly tellsAddresses = true;
  readonly patienceMs: number = MAX_RELAY_WAIT_MS;
  readonly #shell: TraversalShell<ListenerEvent>;
  readonly #calls: AcceptCalls;
  readonly #relays: Relayed[] = [];
  /** What holders of the ticket show in their Initials. It proves no address: three times what came stays the limit. */
  readonly #ticketToken: Uint8Array | undefined;
  /** Whom the ticket is for; `undefined`: whoever holds it. */
  readonly #ticketKeys: readonly Uint8Array[] | undefined;
  /** What the callers of accepted offers show: each call has a token of its own. */
  readonly #tokens = new Map<PendingCall, Uint8Array>();
  #isOver = false;

  constructor(reception: Reception, shell: TraversalShell<ListenerEvent>, calls: AcceptCalls) {
    this.#shell = shell;
    this.#calls = calls;
    this.#ticketToken = reception.ticketToken;
    this.#ticketKeys = reception.ticketKeys;
    if (this.#ticketToken !== undefined) shell.endpoint.admitToken(this.#ticketToken, Infinity);
  }

  /** Relays that the hub names are known only when it has been told something. */
  get isReady(): boolean {
    if (this.#relays.length === 0) return true;
    return this.published.length > 0 && this.#relays.every(({ hasAnswered }) => hasAnswered);
  }

  get isReachable(): boolean {
    return this.published.length > 0;
  }

  get published(): readonly RemoteCandidate[] {
    return this.#relays.flatMap(({ address }) => address === undefined ? [] : [{ type: "relay" as const, address }]);
  }

  addRelays(relays: readonly RelayAccess[], _now: number): void {
    for (const access of relays) {
      const known = this.#relays.find(({ authority }) => authority === access.authority);
      // The hub renews our leave, and a relay that was made anew has another certificate.
      if (known !== undefined) known.tunnel.update(access);
      if (known !== undefined || this.#relays.length >= MAX_RELAYS || this.#isOver) continue;
      const tunnel: RelayTunnel = new RelayTunnel(this.#shell, access, {
        tunnelOpened: (base, now) => this.#onOpened(relay, base, now),
        tunnelClosed: (_base, reason, retryAt, now) => this.#onClosed(relay, reason, retryAt, now),
      });
      const relay: Relayed = { authority: access.authority, tunnel, address: undefined, hasAnswered: false };
      this.#relays.push(relay);
    }
  }

  answer(pending: PendingCall): void {
    const token = callToken(pending.call, "listener");
    this.#tokens.set(pending, token);
    this.#shell.endpoint.admitToken(token, pending.deadlineAt);
  }

  addRemote(): void {
    // A caller's addresses come to us through the relay.
  }

  addLocal(): void {
    // Each connection is told by whoever has them all.
  }

  removeLocal(): void {
    // As above.
  }

  endOfLocal(): void {
    // Nobody waits for it: callers are told of each address as it is found.
  }

  handleSocketError(): void {
    // Tunnels have timers of their own.
  }

  welcome(): void {
    // Nothing was measured of the way through the relay.
  }

  owns({ connection, token }: Incoming): boolean {
    return connection.path.base.kind === "tunnel" || token.length > 0;
  }

  /** Whoever holds a ticket may know where we are. Who is let in for its key has to prove it first. */
  tellsAtOnce({ token }: Incoming): boolean {
    for (const [{ call }, expected] of this.#tokens) if (equalBytes(token, expected)) return call.isListed !== true;
    return this.#ticketKeys === undefined;
  }

  admitsHolder({ token }: Incoming, key: Uint8Array | undefined): boolean {
    if (this.#ticketToken === undefined || !equalBytes(token, this.#ticketToken)) return false;
    return this.#ticketKeys?.some((listed) => key !== undefined && equalBytes(listed, key)) ?? true;
  }

  isAttemptOf(pending: PendingCall, { token }: Incoming): boolean {
    const expected = this.#tokens.get(pending);
    return expected !== undefined && equalBytes(token, expected);
  }

  won(pending: PendingCall): void {
    this.ended(pending);
  }

  ended(pending: PendingCall): void {
    const token = this.#tokens.get(pending);
    if (token === undefined) return;
    this.#tokens.delete(pending);
    this.#shell.endpoint.unadmitToken(token);
  }

  sessionEnded(): void {
    // Nothing was kept for it.
  }

  report(): undefined {
    return undefined;
  }

  close(): void {
    this.#isOver = true;
    if (this.#ticketToken !== undefined) this.#shell.endpoint.unadmitToken(this.#ticketToken);
  }

  /** Sessions that were still relayed have said goodbye: now the relays are told. */
  release(now: number): void {
    for (const { tunnel } of this.#relays.splice(0)) tunnel.stop(now);
  }

  #onOpened(relay: Relayed, base: Base, now: number): void {
    relay.address = base.local;
    relay.hasAnswered = true;
    this.#calls.onPublishable(now);
  }

  #onClosed(relay: Relayed, reason: string, retryAt: number, now: number): void {
    relay.hasAnswered = true;
    if (this.#isOver) return;
    this.#shell.emit({ type: "unregistered", retryAt, pauseMs: retryAt - now, reason });
  }
}
