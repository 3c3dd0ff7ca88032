import { deepStrictEqual } from "node:assert/strict";
import { hostCandidates, type HostCandidatesOptions } from "../../candidates/host.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { candidateProviderContract } from "../contract/candidate_provider.ts";
import { socketBase } from "../support/ice_pair.ts";
import { seededRandom } from "../support/seeded_random.ts";

candidateProviderContract({ name: "Host candidates", newProvider: () => hostCandidates(), doneWithinMs: 0 });

Deno.test("Host candidates are the addresses of the bases, in their order (RFC 8445 §5.1.1.1)", () => {
  const bases = ["192.168.1.5:1000", "[2001:db8::5]:1000", "100.64.0.5:1000"].map(socketBase);
  deepStrictEqual(gathered(bases), ["host 192.168.1.5:1000", "host [2001:db8::5]:1000", "host 100.64.0.5:1000"]);
});

Deno.test("Host candidates leave out loopback unless it is allowed, wildcards always", () => {
  const bases = ["127.0.0.1:1000", "[::1]:1000", "0.0.0.0:1000", "192.168.1.5:1000"].map(socketBase);
  deepStrictEqual(gathered(bases), ["host 192.168.1.5:1000"]);
  deepStrictEqual(gathered(bases, { allowLoopback: true }), [
    "host 127.0.0.1:1000",
    "host [::1]:1000",
    "host 192.168.1.5:1000",
  ]);
});

Deno.test("Host candidates are link-local where there is nothing else (RFC 8445 §5.1.1.1)", () => {
  const linkLocal = ["[fe80::5]:1000", "169.254.3.4:1000"].map(socketBase);
  deepStrictEqual(gathered([...linkLocal, socketBase("10.0.0.5:1000")]), ["host 10.0.0.5:1000"]);
  deepStrictEqual(gathered(linkLocal), ["host [fe80::5]:1000", "host 169.254.3.4:1000"]);
});

Deno.test("Host candidates are of sockets only: a tunnel's address is its relay's", () => {
  const tunnel: Base = { ...socketBase("192.0.2.1:1000"), kind: "tunnel" };
  deepStrictEqual(gathered([tunnel]), []);
});

Deno.test("Host candidates are said of a base that comes later", () => {
  const machine = hostCandidates().gather([], { now: 0, random: seededRandom(1) });
  const late = socketBase("192.168.1.5:1000");
  machine.addBase?.(late, 1);
  deepStrictEqual([machine.pollEvent(), machine.pollEvent(), machine.pollEvent()], [
    { type: "done" },
    { type: "candidate", candidate: { type: "host", address: late.local, base: late } },
    { type: "done" },
  ]);
});

function gathered(bases: readonly Base[], options?: HostCandidatesOptions): string[] {
  const machine = hostCandidates(options).gather(bases, { now: 0, random: seededRandom(1) });
  const found: string[] = [];
  for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
    if (event.type === "candidate") found.push(`${event.candidate.type} ${event.candidate.address}`);
  }
  return found;
}
