import { deepStrictEqual } from "node:assert/strict";
import { fixedCandidates } from "../../candidates/fixed.ts";
import type { CandidateEvent } from "../../candidates/provider.ts";
import { parseAddress } from "../../protocols/core/address.ts";
import { candidateProviderContract } from "../contract/candidate_provider.ts";
import { socketBase } from "../support/ice_pair.ts";
import { seededRandom } from "../support/seeded_random.ts";

const forwarded = parseAddress("203.0.113.5:4433");

candidateProviderContract({
  name: "Fixed candidates",
  newProvider: () => fixedCandidates({ addresses: [forwarded] }),
  doneWithinMs: 0,
});

Deno.test("Fixed candidates stand for the first socket of their family that is on a network", () => {
  const bases = ["[2001:db8::5]:1000", "127.0.0.1:1000", "192.168.1.5:1000", "10.0.0.5:1000"].map(socketBase);
  const machine = fixedCandidates({ addresses: [forwarded] }).gather(bases, { now: 0, random: seededRandom(1) });
  const events: (CandidateEvent | undefined)[] = [machine.pollEvent(), machine.pollEvent(), machine.pollEvent()];
  deepStrictEqual(events, [
    { type: "candidate", candidate: { type: "srflx", address: forwarded, base: bases[2] } },
    { type: "done" },
    undefined,
  ]);
});

Deno.test("Fixed candidates stand for another socket when theirs is gone, and for a new one where none was left", () => {
  const [first, second, third] = ["192.168.1.5:1000", "10.0.0.5:1000", "10.0.0.6:1000"].map(socketBase);
  const machine = fixedCandidates({ addresses: [forwarded] }).gather([first!], { now: 0, random: seededRandom(1) });
  const told = (): string[] => {
    const lines: string[] = [];
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      lines.push(event.type === "candidate" ? `${event.candidate.base.local}` : event.type);
    }
    return lines;
  };
  deepStrictEqual(told(), ["192.168.1.5:1000", "done"]);
  machine.addBase?.(second!, 1);
  deepStrictEqual(told(), ["done"]);
  machine.removeBase?.(first!, 1);
  deepStrictEqual(told(), ["10.0.0.5:1000"]);
  machine.removeBase?.(second!, 1);
  deepStrictEqual(told(), []);
  machine.addBase?.(third!, 1);
  deepStrictEqual(told(), ["10.0.0.6:1000", "done"]);
});
