import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SeededRandom } from "../../lab/random.ts";
import { NAME_HOLD_MS } from "../../service/hub_directory.ts";
import { MAX_UNANSWERED_OFFERS } from "../../signaling/admission.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { HubListener } from "../../signaling/listener.ts";
import type { Call, CallerEvent, ListenerEvent } from "../../signaling/machines.ts";
import { candidate, contextOf, Exchange } from "../support/signaling_exchange.ts";

const SEEDS = 20;
const STEPS = 150;
const NAMES = ["ann", "bob", "cid"] as const;

/** A random afternoon at a hub: people register, call, trickle, lose connections; messages are lost or damaged. */
class Afternoon {
  readonly exchange = new Exchange();
  readonly #random: SeededRandom;
  readonly #listeners = new Map<string, HubListener>();
  readonly #callers = new Map<string, HubCaller>();
  readonly offered = new Map<string, Call>();
  readonly answered = new Map<string, Call>();
  failures = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const damage = this.#random;
    this.exchange.tamper = (message) => {
      if (!damage.chance(0.02)) return message;
      if (damage.chance(0.5)) return undefined;
      const at = damage.below(message.length);
      return message.slice(0, at) + String.fromCharCode(32 + damage.below(95)) + message.slice(at + 1);
    };
  }

  step(index: number): void {
    const { exchange } = this;
    const random = this.#random;
    switch (random.below(9)) {
      case 0: {
        const name = NAMES[random.below(3)]!;
        const client = `${name} ${index}`;
        const allow = { any: random.chance(0.7), keys: [] };
        const listener = new HubListener({ ...contextOf(random.below(3)), hub: "hub", name, allow });
        this.#listeners.set(client, listener);
        exchange.add(client, listener);
        listener.publish([candidate("192.0.2.1")], exchange.now);
        break;
      }
      case 1:
      case 2:
      case 3: {
        const client = `caller ${index}`;
        const callee = { kind: "name", name: NAMES[random.below(3)]!, key: undefined } as const;
        const caller = new HubCaller({ ...contextOf(1000 + index), hub: "hub", callee });
        this.#callers.set(client, caller);
        exchange.add(client, caller);
        if (random.chance(0.9)) caller.offer([candidate("192.0.2.2")], exchange.now);
        break;
      }
      case 4:
        this.#pick(this.#callers)?.[1].addCandidates([candidate(`192.0.2.${random.below(200) + 3}`)], exchange.now);
        break;
      case 5:
        this.#pick(this.#listeners)?.[1].setBusy(random.chance(0.3), exchange.now);
        break;
      case 6:
        if (random.chance(0.2)) exchange.restartHub();
        else exchange.cut((this.#pick(this.#callers) ?? this.#pick(this.#listeners))?.[0] ?? "");
        break;
      case 7: {
        const gone = this.#pick(this.#callers) ?? this.#pick(this.#listeners);
        if (gone !== undefined) this.#remove(gone[0]);
        break;
      }
      default:
        exchange.advanceTo(exchange.now + random.below(20_000));
    }
    exchange.run();
    this.#collect();
  }

  /** Everybody leaves. */
  end(): void {
    for (const client of [...this.#callers.keys(), ...this.#listeners.keys()]) this.#remove(client);
    this.exchange.advanceTo(this.exchange.now + NAME_HOLD_MS + 20_000);
  }

  #collect(): void {
    for (const client of this.#callers.keys()) {
      for (const event of this.exchange.callerEvents(client)) this.#note(event, this.answered);
    }
    for (const client of this.#listeners.keys()) {
      for (const event of this.exchange.listenerEvents(client)) this.#note(event, this.offered);
    }
  }

  #note(event: CallerEvent | ListenerEvent, calls: Map<string, Call>): void {
    if (event.type === "failed") this.failures++;
    if (event.type !== "answer" && event.type !== "offer") return;
    ok(!calls.has(event.call.id), "no call is told twice");
    calls.set(event.call.id, event.call);
  }

  #remove(client: string): void {
    this.exchange.remove(client);
    this.#callers.delete(client);
    this.#listeners.delete(client);
  }

  #pick<M>(machines: Map<string, M>): [string, M] | undefined {
    return [...machines][this.#random.below(Math.max(1, machines.size))];
  }
}

Deno.test("Random afternoons at a hub: both sides of a call agree, no call is told twice, and everything is forgotten", () => {
  let agreed = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const afternoon = new Afternoon(seed);
    try {
      for (let index = 0; index < STEPS; index++) {
        afternoon.step(index);
        ok(afternoon.exchange.hub.sizes.calls <= index + 1);
      }
      for (const [id, answered] of afternoon.answered) {
        const offered = afternoon.offered.get(id);
        if (offered === undefined) continue;
        agreed++;
        deepStrictEqual(answered.localCredentials, offered.remoteCredentials);
        deepStrictEqual(answered.remoteCredentials, offered.localCredentials);
      }
      ok(afternoon.failures > 0);
      afternoon.end();
      deepStrictEqual(afternoon.exchange.hub.sizes, { clients: 0, listeners: 0, names: 0, calls: 0 });
      strictEqual(afternoon.exchange.nextTimeout(), undefined);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  ok(agreed > SEEDS * MAX_UNANSWERED_OFFERS / 8, `${agreed} calls`);
});
