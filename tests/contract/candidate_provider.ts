/**
 * What every candidate provider must do, as tests that any implementation runs: ours and a third party's.
 *
 * ```ts
 * candidateProviderContract({ name: "my provider", newProvider: () => myProvider() });
 * ```
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { CandidateEvent, CandidateMachine, CandidateProvider } from "../../candidates/provider.ts";
import { parseAddress } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { toHex } from "../../protocols/core/bytes.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";
import { seededRandom } from "../support/seeded_random.ts";

/** Steps after which a provider that does not come to rest is stopped. */
const MAX_STEPS = 10_000;

/** What the suite needs to know of an implementation. */
export interface CandidateProviderContract {
  /** Begins the name of each test. */
  readonly name: string;
  newProvider(): CandidateProvider;
  /** Bases to gather on. @default {two sockets, one of each family} */
  readonly bases?: readonly Base[];
  /** What the network says to a datagram. @default {nothing} */
  readonly answer?: (datagram: Datagram) => Datagram | undefined;
  /** Virtual time within which `done` comes, even if nothing is answered. @default {60000} */
  readonly doneWithinMs?: number;
  /** Tests that do not apply, each by its name in this file, and why. */
  readonly skip?: readonly { readonly reason: string; readonly tests: readonly string[] }[];
}

/** Registers the suite with the test runner. */
export function candidateProviderContract(contract: CandidateProviderContract): void {
  const bases = contract.bases ?? ["192.0.2.10:40000", "[2001:db8::10]:40000"].map((local): Base => ({
    kind: "socket",
    local: parseAddress(local),
    maxPayloadBytes: 1472,
  }));
  const doneWithinMs = contract.doneWithinMs ?? 60_000;
  const gathered = (options: Partial<RunOptions> = {}): Run =>
    new Run(contract.newProvider(), { bases, answer: contract.answer ?? (() => undefined), seed: 1, ...options });

  const tests: Readonly<Record<string, () => void>> = {
    "has a name": () => {
      ok(/^[a-z][a-z0-9-]*$/.test(contract.newProvider().name));
    },
    "says done, once": () => {
      const run = gathered();
      run.until(doneWithinMs);
      strictEqual(run.count("done"), 1);
    },
    "says done when nothing is answered": () => {
      const run = gathered({ answer: () => undefined });
      run.until(doneWithinMs);
      strictEqual(run.count("done"), 1);
    },
    "says done again after servers were added, be they new or known, if it takes any": () => {
      const run = gathered();
      run.until(doneWithinMs);
      const servers = ["198.51.100.77:3478", "[2001:db8::77]:3478"].map(parseAddress);
      for (let expected = 2; expected <= 3; expected++) {
        if (!run.addServers(servers)) return;
        run.until(expected * doneWithinMs);
        strictEqual(run.count("done"), expected);
      }
    },
    "says done for a base that comes later, and nothing is asked or found on one that is gone": () => {
      const run = gathered();
      run.until(doneWithinMs);
      const [first] = bases;
      if (first === undefined) return;
      const local = parseAddress(first.local.family === 4 ? "192.0.2.99:40000" : "[2001:db8::99]:40000");
      const late: Base = { ...first, local };
      if (!run.addBase(late)) return;
      run.until(2 * doneWithinMs);
      strictEqual(run.count("done"), 2);
      run.removeBase(late);
      run.removeBase(first);
      const [events, sent] = [run.events.length, run.sent.length];
      run.until(10 * doneWithinMs);
      for (const event of run.events.slice(events)) {
        ok(event.type !== "candidate" || (event.candidate.base !== late && event.candidate.base !== first));
      }
      for (const { base } of run.sent.slice(sent)) ok(base !== late && base !== first);
    },
    "is done at once without bases": () => {
      const run = gathered({ bases: [] });
      run.until(0);
      deepStrictEqual(run.events.map(({ type }) => type), ["done"]);
    },
    "finds candidates on the bases it was given, each once": () => {
      const run = gathered();
      run.until(doneWithinMs);
      const seen = new Set<string>();
      for (const event of run.events) {
        if (event.type !== "candidate") continue;
        const { address, base, type } = event.candidate;
        ok(bases.includes(base));
        strictEqual(address.family, base.local.family);
        ok(address.port > 0);
        const key = `${type} ${address} ${bases.indexOf(base)}`;
        ok(!seen.has(key), key);
        seen.add(key);
      }
    },
    "withdraws only what it has said": () => {
      const run = gathered();
      run.until(10 * doneWithinMs);
      const said = new Set<unknown>();
      for (const event of run.events) {
        if (event.type === "candidate") said.add(event.candidate);
        if (event.type === "withdrawn") ok(said.delete(event.candidate));
      }
    },
    "sends from the bases it was given, within their family and size": () => {
      const run = gathered();
      run.until(doneWithinMs);
      for (const { base, remote, payload, segmentBytes } of run.sent) {
        ok(bases.includes(base));
        strictEqual(remote.family, base.local.family);
        ok((segmentBytes ?? payload.length) <= base.maxPayloadBytes);
      }
    },
    "does the same again with the same randomness": () => {
      const [one, two] = [gathered(), gathered()];
      one.until(doneWithinMs);
      two.until(doneWithinMs);
      deepStrictEqual(one.trace, two.trace);
      deepStrictEqual(one.events, two.events);
    },
    "does not mind early wake-ups": () => {
      const [plain, nervous] = [gathered(), gathered({ isNervous: true })];
      plain.until(doneWithinMs);
      nervous.until(doneWithinMs);
      deepStrictEqual(nervous.trace, plain.trace);
      deepStrictEqual(nervous.events, plain.events);
    },
    "does not mind bad bytes from anywhere": () => {
      const quiet = gathered({ answer: () => undefined });
      quiet.until(doneWithinMs);
      const random = seededRandom(7);
      const run = gathered({ answer: () => undefined });
      const remotes = [...quiet.sent.map(({ remote }) => remote), parseAddress("198.51.100.66:666")];
      for (let round = 0; round < 500; round++) {
        const base = bases[round % bases.length];
        if (base === undefined) return;
        const payload = random.fill(new Uint8Array(round % 64));
        // Half of them look like STUN.
        if (round % 2 === 0 && payload.length >= 20) {
          payload.set([1, 1, 0, payload.length - 20, 0x21, 0x12, 0xa4, 0x42]);
        }
        run.receive({ base, remote: remotes[round % remotes.length]!, payload });
      }
      run.until(doneWithinMs);
      deepStrictEqual(run.events, quiet.events);
    },
    "does not mind its answers truncated or changed": () => {
      const { answer } = contract;
      const random = seededRandom(8);
      let isCut = false;
      const mangled = (datagram: Datagram): Datagram | undefined => {
        const said = answer?.(datagram);
        if (said === undefined) return undefined;
        isCut = !isCut;
        const payload = isCut ? said.payload.slice(0, said.payload.length - 1) : said.payload.slice();
        const at = random.fill(new Uint8Array(1))[0]! % payload.length;
        payload[at]! ^= 0xff;
        return { ...said, payload };
      };
      const run = gathered({ answer: mangled });
      run.until(doneWithinMs);
      strictEqual(run.count("done"), 1);
    },
  };

  for (const [test, fn] of Object.entries(tests)) {
    const skip = contract.skip?.find(({ tests }) => tests.includes(test));
    const suffix = skip === undefined ? "" : ` (skipped: ${skip.reason})`;
    Deno.test({ name: `${contract.name} ${test}${suffix}`, ignore: skip !== undefined, fn });
  }
}

interface RunOptions {
  readonly bases: readonly Base[];
  readonly answer: (datagram: Datagram) => Datagram | undefined;
  readonly seed: number;
  /** Wakes the machine before its time, all the time. */
  readonly isNervous?: boolean;
}

/** One gathering in virtual time; answers come 40 ms after the question. */
class Run {
  readonly events: CandidateEvent[] = [];
  readonly sent: Datagram[] = [];
  readonly #machine: CandidateMachine;
  readonly #options: RunOptions;
  readonly #sentAt: number[] = [];
  readonly #answers: { readonly at: number; readonly datagram: Datagram }[] = [];
  #now = 0;

  constructor(provider: CandidateProvider, options: RunOptions) {
    this.#options = options;
    this.#machine = provider.gather(options.bases, { now: 0, random: seededRandom(options.seed) });
  }

  count(type: CandidateEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** What was sent, and when. */
  get trace(): string[] {
    return this.sent.map(({ base, remote, payload }, index) =>
      `${this.#sentAt[index]} ${base.local} ${remote} ${toHex(payload)}`
    );
  }

  /** Whether the provider takes servers. */
  addServers(servers: readonly Address[]): boolean {
    this.#machine.addServers?.(servers, this.#now);
    return this.#machine.addServers !== undefined;
  }

  /** Whether the provider takes bases that come later. */
  addBase(base: Base): boolean {
    this.#machine.addBase?.(base, this.#now);
    return this.#machine.addBase !== undefined;
  }

  removeBase(base: Base): void {
    this.#machine.removeBase?.(base, this.#now);
  }

  receive(datagram: Datagram): void {
    this.#machine.handleDatagram(datagram, this.#now);
    this.#drain();
  }

  until(end: number): void {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.#drain();
      const alarm = this.#machine.pollTimeout() ?? Infinity;
      const at = Math.min(alarm, ...this.#answers.map(({ at }) => at));
      if (at > end) return;
      if (this.#options.isNervous === true) this.#wakeBefore(at);
      this.#now = Math.max(this.#now, at);
      for (const answer of this.#answers.filter(({ at }) => at <= this.#now)) {
        this.#answers.splice(this.#answers.indexOf(answer), 1);
        this.#machine.handleDatagram(answer.datagram, this.#now);
      }
      this.#machine.handleTimeout(this.#now);
    }
    throw new Error(`The provider does not come to rest: ${MAX_STEPS} steps`);
  }

  #wakeBefore(at: number): void {
    for (const share of [0.25, 0.5, 0.75]) {
      this.#now += (at - this.#now) * share;
      this.#machine.handleTimeout(this.#now);
      this.#drain();
    }
  }

  #drain(): void {
    for (let step = 0; step < MAX_STEPS; step++) {
      const event = this.#machine.pollEvent();
      if (event !== undefined) this.events.push(event);
      const sent = this.#machine.pollTransmit(this.#now);
      if (sent !== undefined) this.#carry({ ...sent, payload: sent.payload.slice() });
      if (event === undefined && sent === undefined) return;
    }
    throw new Error(`The provider's polls do not run dry: ${MAX_STEPS} steps`);
  }

  #carry(datagram: Datagram): void {
    this.sent.push(datagram);
    this.#sentAt.push(this.#now);
    const answer = this.#options.answer(datagram);
    if (answer !== undefined) this.#answers.push({ at: this.#now + 40, datagram: answer });
  }
}
