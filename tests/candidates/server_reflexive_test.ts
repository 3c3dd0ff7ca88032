import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { CandidateEvent } from "../../candidates/provider.ts";
import {
  serverReflexive,
  type ServerReflexiveMachine,
  type ServerReflexiveOptions,
} from "../../candidates/server_reflexive.ts";
import { type Address, addressOf, parseAddress } from "../../protocols/core/address.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";
import { transactionKey } from "../../protocols/stun/classify.ts";
import { encodeStun } from "../../protocols/stun/npm_stun.ts";
import { respondToBinding } from "../../protocols/stun/server.ts";
import { candidateProviderContract } from "../contract/candidate_provider.ts";
import { socketBase } from "../support/ice_pair.ts";
import { seededRandom } from "../support/seeded_random.ts";

const MAX_STEPS = 5000;
const server = addressOf("198.51.100.1", 3478);
const second = addressOf("198.51.100.2", 3478);
const server6 = addressOf("2001:db8:ffff::1", 3478);
const lan = socketBase("192.168.1.5:1000");
const lan6 = socketBase("[2001:db8::5]:1000");

candidateProviderContract({
  name: "Server-reflexive candidates",
  newProvider: () => serverReflexive({ servers: [server, second, server6] }),
  answer: ({ base, remote, payload }) => {
    const mapped = addressOf(base.local.family === 4 ? "203.0.113.1" : "2001:db8::1", 5000);
    const answer = respondToBinding(payload, mapped, server)?.payload;
    return answer === undefined ? undefined : { base, remote, payload: answer };
  },
  doneWithinMs: 6000,
});

Deno.test("Server-reflexive candidates come the instant a server answers, dead servers or not", () => {
  const net = new Net({ servers: [second, server], bases: [lan] });
  net.dead.add(second);
  net.run(10_000);
  deepStrictEqual(net.log, [
    "45 candidate srflx 203.0.113.1:40000",
    "5500 error STUN server 198.51.100.2:3478 does not answer",
    "5500 done",
  ]);
});

Deno.test("Server-reflexive candidates are asked for from each base at servers of its family, each Ta (RFC 8445 §14.3)", () => {
  const other = socketBase("10.0.0.5:1000");
  const loopback = socketBase("127.0.0.1:1000");
  const net = new Net({ servers: [server, second, server6], bases: [lan, other, lan6, loopback], taMs: 5 });
  net.run(30);
  deepStrictEqual(net.sent, [
    "0 192.168.1.5:1000 198.51.100.1:3478",
    "5 10.0.0.5:1000 198.51.100.1:3478",
    "10 192.168.1.5:1000 198.51.100.2:3478",
    "15 10.0.0.5:1000 198.51.100.2:3478",
    "20 [2001:db8::5]:1000 [2001:db8:ffff::1]:3478",
  ]);
});

Deno.test("Server-reflexive candidates are said once, however many servers see the same (RFC 8445 §5.1.3)", () => {
  const net = new Net({ servers: [server, second], bases: [lan] });
  net.run(1000);
  deepStrictEqual(net.log, ["40 candidate srflx 203.0.113.1:40000", "45 done"]);
});

Deno.test("Server-reflexive candidates leave out what is the base's own address", () => {
  const net = new Net({ servers: [server], bases: [lan] });
  net.mapping = (base) => base.local;
  net.run(60_000);
  deepStrictEqual(net.log, ["40 done"]);
  // But a firewall may want to be kept open.
  deepStrictEqual(net.sent.length, 4);
});

Deno.test("Server-reflexive candidates are several behind a symmetric NAT", () => {
  const net = new Net({ servers: [server, second], bases: [lan] });
  net.mapping = (_base, remote) => addressOf("203.0.113.1", remote === server ? 40001 : 40002);
  net.run(1000);
  deepStrictEqual(net.log, [
    "40 candidate srflx 203.0.113.1:40001",
    "45 candidate srflx 203.0.113.1:40002",
    "45 done",
  ]);
});

Deno.test("Server-reflexive candidates cost one question a base each interval while they wait", () => {
  const net = new Net({ servers: [server, second], bases: [lan, socketBase("10.0.0.5:1000")] });
  net.run(600_000);
  // Four to begin with, then one for each base every 15 s after its last answer.
  const later = net.sent.slice(4);
  strictEqual(later.length, 2 * 39);
  strictEqual(later.every((line) => line.endsWith(" 198.51.100.1:3478")), true);
  deepStrictEqual(later.slice(0, 3).map((line) => Number(line.split(" ")[0])), [15_040, 15_045, 30_080]);
});

Deno.test("Server-reflexive candidates ask once when nothing is to be kept alive", () => {
  const net = new Net({ servers: [server], bases: [lan], keepaliveMs: 0 });
  net.run(600_000);
  strictEqual(net.sent.length, 1);
  strictEqual(net.machine.pollTimeout(), undefined);
});

Deno.test("Server-reflexive candidate that has changed is withdrawn and said anew", () => {
  const net = new Net({ servers: [server, second], bases: [lan] });
  net.run(1000);
  net.mapping = () => addressOf("203.0.113.1", 41000);
  net.run(20_000);
  deepStrictEqual(net.log.slice(2), [
    "15080 withdrawn srflx 203.0.113.1:40000",
    "15080 candidate srflx 203.0.113.1:41000",
  ]);
});

Deno.test("Server-reflexive candidates are asked for at once when somebody sees the base elsewhere, but not more than once a second", () => {
  const net = new Net({ servers: [server, second], bases: [lan] });
  net.run(5000);
  net.mapping = () => addressOf("203.0.113.1", 41000);
  net.machine.recheck(lan6, 5000);
  net.machine.recheck(lan, 5000);
  net.run(5100);
  deepStrictEqual(net.log.slice(2), [
    "5040 withdrawn srflx 203.0.113.1:40000",
    "5040 candidate srflx 203.0.113.1:41000",
  ]);
  for (let at = 5100; at < 8100; at += 10) {
    net.machine.recheck(lan, at);
    net.run(at);
  }
  // And the second server is asked what it sees now.
  deepStrictEqual(net.sent.slice(2).map((line) => Number(line.split(" ")[0])), [5000, 5040, 6000, 7000, 8000]);
});

Deno.test("Server-reflexive candidates go on with another server when theirs falls silent", () => {
  const net = new Net({ servers: [server, second], bases: [lan] });
  net.run(1000);
  net.dead.add(server);
  net.mapping = () => addressOf("203.0.113.1", 41000);
  net.run(60_000);
  deepStrictEqual(net.log.slice(2), [
    // Asked at 15040, given up 5.5 s later, and then the other one knows.
    "20580 withdrawn srflx 203.0.113.1:40000",
    "20580 candidate srflx 203.0.113.1:41000",
  ]);
});

Deno.test("Server-reflexive candidates are found when all servers were dead at first", () => {
  const net = new Net({ servers: [server], bases: [lan] });
  net.dead.add(server);
  net.run(10_000);
  deepStrictEqual(net.log, ["5500 error STUN server 198.51.100.1:3478 does not answer", "5500 done"]);
  net.dead.clear();
  net.run(30_000);
  deepStrictEqual(net.log.slice(2), ["20540 candidate srflx 203.0.113.1:40000"]);
});

Deno.test("Server-reflexive candidates take servers later, and each server once", () => {
  const net = new Net({ servers: [], bases: [lan] });
  net.run(1000);
  deepStrictEqual(net.log, ["0 done"]);
  net.machine.addServers([server], 1000);
  net.run(2000);
  net.machine.addServers([server], 2000);
  net.run(3000);
  deepStrictEqual(net.log.slice(1), ["1040 candidate srflx 203.0.113.1:40000", "1040 done", "2000 done"]);
  strictEqual(net.sent.length, 1);
});

Deno.test("Server-reflexive candidates take bases later, of which each server is asked", () => {
  const net = new Net({ servers: [server, second, server6], bases: [lan] });
  net.run(1000);
  net.mapping = ({ local }) => local.family === 4 ? addressOf("203.0.113.1", 40_001) : local;
  net.machine.addBase(socketBase("10.0.0.5:1000"), 1000);
  net.machine.addBase(lan6, 1000);
  net.run(1100);
  deepStrictEqual(net.sent.slice(2), [
    "1000 10.0.0.5:1000 198.51.100.1:3478",
    "1005 10.0.0.5:1000 198.51.100.2:3478",
    "1010 [2001:db8::5]:1000 [2001:db8:ffff::1]:3478",
  ]);
  deepStrictEqual(net.log.slice(2), ["1040 candidate srflx 203.0.113.1:40001", "1050 done"]);
});

Deno.test("Server-reflexive candidates wait for nothing from a base that is gone, and ask nothing more from it", () => {
  const other = socketBase("10.0.0.5:1000");
  const net = new Net({ servers: [server], bases: [lan, other] });
  net.dead.add(server);
  net.run(1000);
  net.machine.removeBase(other);
  net.dead.clear();
  net.run(1600);
  deepStrictEqual(net.log, ["1540 candidate srflx 203.0.113.1:40000", "1540 done"]);
  const count = net.sent.length;
  net.machine.removeBase(lan);
  net.run(600_000);
  strictEqual(net.sent.length, count);
  strictEqual(net.machine.pollTimeout(), undefined);
});

Deno.test("Server-reflexive candidates of bases that come and go a thousand times leave nothing behind", () => {
  const net = new Net({ servers: [server], bases: [] });
  net.run(0);
  for (let times = 0; times < 1000; times++) {
    const base = socketBase(`10.0.${times >> 8}.${times & 255}:1000`);
    net.machine.addBase(base, 10 * times);
    net.run(10 * times + 5);
    net.machine.removeBase(base);
  }
  net.run(20_000);
  strictEqual(net.sent.length, 1000);
  strictEqual(net.machine.pollTimeout(), undefined);
});

Deno.test("Server-reflexive candidates give a server up at once that this host cannot reach", () => {
  const net = new Net({ servers: [server, second], bases: [lan] });
  net.sendError = (remote) => remote === server ? "ENETUNREACH" : undefined;
  net.run(1000);
  deepStrictEqual(net.log, [
    "0 error STUN server 198.51.100.1:3478 cannot be reached: ENETUNREACH",
    "45 candidate srflx 203.0.113.1:40000",
    "45 done",
  ]);
});

Deno.test("Server-reflexive candidates believe only the server asked, and only what can be true", () => {
  const net = new Net({ servers: [server], bases: [lan], keepaliveMs: 0 });
  net.dead.add(server);
  net.run(10);
  const { request } = net;
  const transactionId = request.payload.slice(8, 20);
  strictEqual(net.machine.ownsTransaction(transactionKey(request.payload)), true);
  const answer = (mapped: string): Uint8Array =>
    encodeStun({ class: "success", transactionId, xorMappedAddress: parseAddress(mapped) });
  const good = answer("203.0.113.1:1");
  net.machine.handleDatagram({ base: lan, remote: second, payload: good }, 10);
  net.machine.handleDatagram({ base: lan6, remote: server, payload: good }, 10);
  for (let end = 0; end < good.length; end++) {
    net.machine.handleDatagram({ base: lan, remote: server, payload: good.subarray(0, end) }, 10);
  }
  strictEqual(net.machine.pollEvent(), undefined);
  net.machine.handleDatagram({ base: lan, remote: server, payload: answer("224.0.0.1:5") }, 10);
  deepStrictEqual(net.machine.pollEvent(), {
    type: "error",
    base: lan,
    reason: "STUN server 198.51.100.1:3478 tells an impossible address, 224.0.0.1:5",
  });
  strictEqual(net.machine.ownsTransaction(transactionKey(request.payload)), false);
});

Deno.test("Server-reflexive candidates name the error a server answers with", () => {
  const net = new Net({ servers: [server], bases: [lan] });
  net.dead.add(server);
  net.run(10);
  const transactionId = net.request.payload.slice(8, 20);
  const error = { code: 500, reason: "Server Error" };
  const payload = encodeStun({ class: "error", transactionId, error });
  net.machine.handleDatagram({ base: lan, remote: server, payload }, 10);
  deepStrictEqual(net.machine.pollEvent(), {
    type: "error",
    base: lan,
    reason: "STUN server 198.51.100.1:3478 answers with error 500",
  });
});

Deno.test("Server-reflexive options out of range are refused", () => {
  throws(() => serverReflexive({ servers: [], taMs: 4 }), RangeError);
  throws(() => serverReflexive({ servers: [], keepaliveMs: 999 }), RangeError);
});

/** A NAT and some STUN servers behind 20 ms of line. */
class Net {
  readonly machine: ServerReflexiveMachine;
  readonly log: string[] = [];
  readonly sent: string[] = [];
  readonly dead = new Set<Address>();
  mapping: (base: Base, remote: Address) => Address = () => addressOf("203.0.113.1", 40000);
  sendError: (remote: Address) => string | undefined = () => undefined;
  request!: Datagram;
  readonly #answers: { readonly at: number; readonly datagram: Datagram }[] = [];
  #now = 0;

  constructor(options: ServerReflexiveOptions & { readonly bases: readonly Base[] }) {
    this.machine = serverReflexive(options).gather(options.bases, { now: 0, random: seededRandom(3) });
  }

  run(until: number): void {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.#drain();
      const at = Math.min(this.machine.pollTimeout() ?? Infinity, ...this.#answers.map(({ at }) => at));
      if (at > until) {
        this.#now = until;
        return;
      }
      this.#now = Math.max(this.#now, at);
      for (const answer of this.#answers.filter(({ at }) => at <= this.#now)) {
        this.#answers.splice(this.#answers.indexOf(answer), 1);
        this.machine.handleDatagram(answer.datagram, this.#now);
      }
      this.machine.handleTimeout(this.#now);
    }
    throw new Error(`The machine does not come to rest: ${MAX_STEPS} steps`);
  }

  #drain(): void {
    for (let step = 0; step < MAX_STEPS; step++) {
      const event = this.machine.pollEvent();
      if (event !== undefined) this.log.push(`${this.#now} ${describe(event)}`);
      const sent = this.machine.pollTransmit(this.#now);
      if (sent !== undefined) this.#send(sent);
      if (event === undefined && sent === undefined) return;
    }
  }

  #send(datagram: Datagram): void {
    const { base, remote, payload } = datagram;
    const code = this.sendError(remote);
    if (code !== undefined) return this.machine.handleSocketError({ base, remote, code }, this.#now);
    this.request = datagram;
    this.sent.push(`${this.#now} ${base.local} ${remote}`);
    if (this.dead.has(remote)) return;
    const answer = respondToBinding(payload, this.mapping(base, remote), server)!.payload;
    this.#answers.push({ at: this.#now + 40, datagram: { base, remote, payload: answer } });
  }
}

function describe(event: CandidateEvent): string {
  switch (event.type) {
    case "candidate":
    case "withdrawn":
      return `${event.type} ${event.candidate.type} ${event.candidate.address}`;
    case "error":
      return `error ${event.reason}`;
    case "done":
      return "done";
  }
}
