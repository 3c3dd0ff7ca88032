/**
 * Callers, listeners and a hub that hand each other messages without a network, in virtual time; what travels is recorded,
 * and may be altered on the way, as a hub that lies would.
 *
 * @module
 */

import { addressOf } from "../../protocols/core/address.ts";
import type { CandidateType, RemoteCandidate } from "../../protocols/core/candidate.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { Hub } from "../../service/hub.ts";
import type { CallerEvent, CallerMachine, ListenerEvent, ListenerMachine } from "../../signaling/machines.ts";
import type { MachineContext } from "../../signaling/machines.ts";
import { seededRandom } from "./seeded_random.ts";

/** 2026-11-22T12:00:00Z at monotonic instant 0. */
export const EPOCH_MS = 1_795_348_800_000;

/** Rounds of handing over after which a test is stuck. */
const MAX_ROUNDS = 1000;

/** What a machine of the person with this number is made with. */
export function contextOf(seed: number): MachineContext {
  const random = seededRandom(seed);
  return { key: Ed25519PrivateKey.generate(random), random, taMs: 5, epochMs: EPOCH_MS, allowLoopback: false };
}

/** A candidate, by `IP` or `IP PORT`. */
export function candidate(text: string, type: CandidateType = "host"): RemoteCandidate {
  const [host, port] = text.split(" ");
  return { type, address: addressOf(host!, Number(port ?? 50_000)) };
}

/** The events of one kind. */
export function eventsOf<E extends { readonly type: string }, T extends E["type"]>(
  events: readonly E[],
  type: T,
): Extract<E, { readonly type: T }>[] {
  return events.filter((event): event is Extract<E, { readonly type: T }> => event.type === type);
}

/** Changes a message on its way, or, with `undefined`, loses it. */
export type Tamper = (message: string, direction: "to-hub" | "from-hub", client: string) => string | undefined;

type AnyMachine = CallerMachine | ListenerMachine;
type AnyEvent = CallerEvent | ListenerEvent;

/** Everybody at one hub. */
export class Exchange {
  now = 0;
  hub: Hub<string> = this.#newHub();
  tamper: Tamper = (message) => message;
  /** Whether whoever wants a carrier gets one. */
  isReachable = true;
  /** `caller>offer`, `caller<answer`: what travelled, in order. */
  readonly log: string[] = [];
  readonly #machines = new Map<string, AnyMachine>();
  readonly #events = new Map<string, AnyEvent[]>();
  readonly #connected = new Set<string>();

  /** Adds somebody; `run` brings them to the hub. */
  add(client: string, machine: AnyMachine): void {
    this.#machines.set(client, machine);
    this.#events.set(client, []);
  }

  /** What a caller told since it was last asked. */
  callerEvents(client: string): CallerEvent[] {
    return this.#events.get(client)!.splice(0) as CallerEvent[];
  }

  /** What a listener told since it was last asked. */
  listenerEvents(client: string): ListenerEvent[] {
    return this.#events.get(client)!.splice(0) as ListenerEvent[];
  }

  /** A hub that knows nothing, to which all have to come back. */
  restartHub(): void {
    this.hub = this.#newHub();
    for (const client of [...this.#connected]) this.#disconnect(client, false);
  }

  /** Ends a client's connection. */
  cut(client: string): void {
    this.#disconnect(client, true);
  }

  /** Ends a client's connection for good. */
  remove(client: string): void {
    this.#machines.delete(client);
    this.#disconnect(client, true);
  }

  /** Hands everything over until nothing moves. */
  run(): void {
    for (let round = 0; this.#round(); round++) {
      if (round === MAX_ROUNDS) throw new Error("The exchange does not come to rest");
    }
  }

  /** Runs until `until`, from deadline to deadline. */
  advanceTo(until: number): void {
    this.run();
    for (let step = 0; step < 100_000; step++) {
      const at = this.nextTimeout();
      if (at === undefined || at > until) {
        this.now = until;
        return;
      }
      this.now = Math.max(this.now, at);
      this.hub.handleTimeout(this.now);
      for (const machine of this.#machines.values()) machine.handleTimeout(this.now);
      this.run();
    }
    throw new Error("The exchange does not come to rest");
  }

  /** When the first of all wants to be woken. */
  nextTimeout(): number | undefined {
    const all = [this.hub.pollTimeout(), ...[...this.#machines.values()].map((machine) => machine.pollTimeout())];
    const set = all.filter((at) => at !== undefined);
    return set.length === 0 ? undefined : Math.min(...set);
  }

  #round(): boolean {
    let moved = false;
    for (const [client, machine] of this.#machines) {
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        moved = true;
        this.#events.get(client)!.push(event);
        if (event.type === "open") this.#open(client, machine);
      }
      for (let text = machine.pollMessage(); text !== undefined; text = machine.pollMessage()) {
        moved = true;
        this.log.push(`${client}>${JSON.parse(text).t}`);
        const sent = this.tamper(text, "to-hub", client);
        if (sent !== undefined && this.#connected.has(client)) this.hub.handleMessage(client, sent, this.now);
      }
    }
    for (let sent = this.hub.pollMessage(); sent !== undefined; sent = this.hub.pollMessage()) {
      moved = true;
      this.log.push(`${sent.client}<${JSON.parse(sent.message).t}`);
      const message = this.tamper(sent.message, "from-hub", sent.client);
      if (message !== undefined) this.#machines.get(sent.client)?.handleMessage(message, this.now);
    }
    for (let client = this.hub.pollDisconnect(); client !== undefined; client = this.hub.pollDisconnect()) {
      moved = true;
      this.#disconnect(client, true);
    }
    return moved;
  }

  #open(client: string, machine: AnyMachine): void {
    // The machine has given up the one it has: only the hub hears of its end.
    if (this.#connected.delete(client)) this.hub.handleClosed(client, this.now);
    if (!this.isReachable) {
      machine.handleClosed(this.now);
      return;
    }
    this.#connected.add(client);
    // Everybody lives elsewhere.
    const index = [...this.#events.keys()].indexOf(client);
    this.hub.handleOpen(client, `198.18.${index >> 8}.${index & 0xff}`, this.now);
    machine.handleOpen(this.now);
  }

  #disconnect(client: string, tellHub: boolean): void {
    if (!this.#connected.delete(client)) return;
    if (tellHub) this.hub.handleClosed(client, this.now);
    this.#machines.get(client)?.handleClosed(this.now);
  }

  #newHub(): Hub<string> {
    return new Hub<string>({ stunServers: [":3478"], epochMs: EPOCH_MS });
  }
}
