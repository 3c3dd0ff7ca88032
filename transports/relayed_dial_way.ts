/**
 * The way of `quic-native`, calling: dials the listener's address at a relay. The connection finds its way off the relay
 * itself, see `session_paths.ts` (draft-seemann-quic-nat-traversal-02 §4).
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import { refuseRemote } from "../protocols/core/address_scope.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { PairReport } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { Call, CallerEvent } from "../signaling/machines.ts";
import type { DialCall } from "./dial_call.ts";
import { callToken, relayedSettings } from "./quic_settings.ts";
import { tlsSettings } from "./tls_settings.ts";
import type { Target } from "./traversal.ts";
import type { TraversalShell } from "./traversal_shell.ts";
import type { DialWay, Findings } from "./ways.ts";
import { NO_FINDINGS } from "./ways.ts";

/** The listener's addresses at relays that are dialled at once, at most. */
const MAX_RELAYED_ATTEMPTS = 4;

/** How long an address at a relay has before the next one is dialled too: most are as near as the first. */
const NEXT_ADDRESS_MS = 50;

/** Handshakes through relays. */
export class RelayedDialWay implements DialWay {
  readonly transport = "quic-native";
  readonly offersAddresses = false;
  readonly #target: Target;
  readonly #shell: TraversalShell<CallerEvent>;
  readonly #call: DialCall;
  /** Where each attempt goes. */
  readonly #attempts = new Map<QuicConnection, Address>();
  /** What the listener wants to see in Initials; absent before its answer. */
  #token: Uint8Array | undefined;
  /** Addresses that were heard of, in their order; those dialled already are the first. */
  #addresses: Address[] = [];
  #dialled = 0;
  #nextAt = Infinity;
  #problem: string | undefined;

  constructor(target: Target, shell: TraversalShell<CallerEvent>, call: DialCall) {
    this.#target = target;
    this.#shell = shell;
    this.#call = call;
  }

  get relayed(): readonly Address[] {
    return this.#addresses;
  }

  get size(): number {
    return this.#attempts.size;
  }

  get isHopeless(): boolean {
    return this.#attempts.size === 0 && this.#nextAt === Infinity;
  }

  /** A ticket that names an address at a relay is all that is needed. */
  begin(now: number): void {
    const { relayed } = this.#target;
    if (relayed === undefined) return;
    this.#token = relayed.token;
    this.#add(relayed.addresses, now);
  }

  answer(call: Call, now: number): void {
    this.#token = callToken(call, "caller");
    this.addRemote(call.candidates, now);
  }

  addRemote(candidates: readonly RemoteCandidate[], now: number): void {
    this.#add(candidates.filter(({ type }) => type === "relay").map(({ address }) => address), now);
  }

  addLocal(candidate: LocalCandidate, now: number): void {
    for (const connection of this.#attempts.keys()) connection.addCandidate(candidate, now);
    this.#shell.wakeEndpoint();
  }

  removeLocal({ base, address }: LocalCandidate, now: number): void {
    for (const connection of this.#attempts.keys()) connection.removeCandidate(base, address, now);
    this.#shell.wakeEndpoint();
  }

  endOfLocal(_now: number): void {
    // The listener is told of each address as it is found.
  }

  handleSocketError({ base, remote }: SocketError, now: number): void {
    if (remote === undefined) return;
    for (const connection of this.#attempts.keys()) connection.onUnreachable(base, remote, now);
  }

  onBasesChanged(now: number): void {
    const { bases } = this.#shell.node;
    for (const [connection, address] of this.#attempts) {
      const { path, state } = connection;
      if (state !== "handshaking" || bases.includes(path.base)) continue;
      const base = this.#baseFor(address);
      if (base === undefined) continue;
      this.#attempts.delete(connection);
      connection.abandon();
      this.#connect(base, address, now);
    }
  }

  has(connection: QuicConnection): boolean {
    return this.#attempts.has(connection);
  }

  /** The relay forwards to the listener alone. */
  isProven(): boolean {
    return true;
  }

  onClosed(connection: QuicConnection): void {
    this.#attempts.delete(connection);
  }

  win(session: QuicConnection): void {
    this.#attempts.delete(session);
    this.stop();
  }

  lose(): Findings {
    const [first] = this.#attempts;
    this.stop();
    if (first === undefined) return NO_FINDINGS;
    const [{ path }, remote] = first;
    return { openPaths: [], wayBack: { base: path.base, remote } };
  }

  stop(): void {
    this.#nextAt = Infinity;
    // One that was refused by us is saying so.
    for (const connection of this.#attempts.keys()) if (connection.state === "handshaking") connection.abandon();
    this.#attempts.clear();
    this.#shell.wakeEndpoint();
  }

  explain(): string | undefined {
    if (this.#addresses.length === 0) {
      if (this.#shell.node.relayPolicy === "required") {
        return "The peer has no address at a relay, and our relay policy takes no other way: let it listen with --via URL";
      }
      return "The peer has no address at a relay: let it listen with one (--via URL), or call it with ice-then-quic";
    }
    if (this.#problem !== undefined) return this.#problem;
    const isHeard = [...this.#attempts.keys()].some(({ stats }) => stats.receivedPackets > 0);
    const what = isHeard
      ? "the handshake through the relay did not end"
      : `nobody answered at the relayed address ${this.#addresses.slice(0, this.#dialled).join(", ")}`;
    return `No connection: ${what}; ask the peer whether it still listens`;
  }

  report(): readonly PairReport[] {
    return [];
  }

  get timeoutAt(): number {
    return this.#nextAt;
  }

  onTimeout(now: number): void {
    if (now >= this.#nextAt) this.#dialNext(now);
  }

  #add(addresses: readonly Address[], now: number): void {
    const fresh = addresses.filter((address) => !this.#addresses.includes(address));
    if (fresh.length === 0) return;
    this.#addresses.push(...fresh);
    if (this.#nextAt === Infinity) this.#dialNext(now);
  }

  #dialNext(now: number): void {
    this.#nextAt = Infinity;
    while (this.#dialled < Math.min(this.#addresses.length, MAX_RELAYED_ATTEMPTS)) {
      const address = this.#addresses[this.#dialled++];
      if (address === undefined) return;
      // Nothing goes to services of our own machine, or to nobody's, because a ticket says so: RFC 9000 §21.5.6.
      const refusal = refuseRemote(address, this.#shell.node);
      if (refusal !== undefined) {
        this.#problem =
          `No connection: the relayed address ${address} cannot be a peer's (${refusal}); ask for a new ticket`;
        continue;
      }
      const base = this.#baseFor(address);
      if (base === undefined) {
        this.#problem = `No way to the relay: this machine has no address of the family of ${address}`;
        continue;
      }
      this.#problem = undefined;
      this.#connect(base, address, now);
      if (this.#dialled < Math.min(this.#addresses.length, MAX_RELAYED_ATTEMPTS)) this.#nextAt = now + NEXT_ADDRESS_MS;
      return;
    }
  }

  #connect(base: Base, address: Address, now: number): void {
    const { node, endpoint } = this.#shell;
    this.#shell.expectFrom(address);
    const connection = endpoint.connect({
      base,
      remote: address,
      tls: tlsSettings(node),
      transport: relayedSettings(node),
      ...(this.#token === undefined ? {} : { token: this.#token }),
    }, now);
    this.#attempts.set(connection, address);
    for (const candidate of this.#call.candidates) connection.addCandidate(candidate, now);
    this.#shell.wakeEndpoint();
  }

  #baseFor({ family }: Address): Base | undefined {
    return this.#shell.node.bases.find(({ local }) => local.family === family);
  }
}
