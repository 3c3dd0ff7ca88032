/**
 * The sockets of a node, and how they follow the addresses of its machine.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { VirtualHost } from "../../lab/mod.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { COMPARE_INTERVAL_MS, MAX_BASES, MIN_COMPARE_INTERVAL_MS, NodeBases } from "../../transports/bases.ts";

/** What a user of bases was told, as lines. */
class Told {
  readonly lines: string[] = [];
  readonly #bases: NodeBases;

  constructor(bases: NodeBases) {
    this.#bases = bases;
    bases.attach(this);
  }

  addBase({ local }: Base, now: number, rank: number): void {
    this.lines.push(`${now} + ${local.host} at ${rank}`);
  }

  removeBase({ local }: Base, now: number): void {
    this.lines.push(`${now} - ${local.host}`);
  }

  /** Compares at the next instant that it is due, and says what was told. */
  next(): string[] {
    this.#bases.run(this.#bases.dueAt);
    return this.lines.splice(0);
  }
}

function start(address = "203.0.113.1"): { net: VirtualNetwork; host: VirtualHost; bases: NodeBases; told: Told } {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a", { address });
  const bases = new NodeBases(host, { loopbackOnly: false });
  return { net, host, bases, told: new Told(bases) };
}

function hosts(bases: NodeBases): string[] {
  return bases.all.map(({ local }) => local.host);
}

Deno.test("NodeBases compares every two seconds and tells nothing while nothing changes", () => {
  const { bases, told } = start();
  for (let times = 1; times <= 5; times++) {
    strictEqual(bases.dueAt, times * COMPARE_INTERVAL_MS);
    deepStrictEqual(told.next(), []);
  }
  strictEqual(COMPARE_INTERVAL_MS, 2000);
  deepStrictEqual(hosts(bases), ["203.0.113.1"]);
});

Deno.test("NodeBases opens a socket for a new address, and closes that of one that has gone, in this order", () => {
  const { net, host, bases, told } = start();
  const [before] = bases.all;
  net.attach(host, "wwan0", { address: "203.0.113.2" });
  deepStrictEqual(told.next(), ["2000 + 203.0.113.2 at 1"]);
  host.removeAddress("203.0.113.1");
  deepStrictEqual(told.next(), ["4000 - 203.0.113.1"]);
  host.removeAddress("203.0.113.2");
  net.attach(host, "eth0", { address: "203.0.113.3" });
  deepStrictEqual(told.next(), ["6000 + 203.0.113.3 at 0", "6000 - 203.0.113.2"]);
  deepStrictEqual(hosts(bases), ["203.0.113.3"]);
  // The port is free again: it was closed.
  net.attach(host, "eth1", { address: "203.0.113.1" });
  strictEqual(host.bind(before!.local).local, before!.local);
});

Deno.test("NodeBases keeps its sockets while there is no address at all: the same ones may come back", () => {
  const { net, host, bases, told } = start();
  const [before] = bases.all;
  host.removeAddress("203.0.113.1");
  for (let times = 0; times < 30; times++) deepStrictEqual(told.next(), []);
  net.attach(host, "eth0", { address: "203.0.113.1" });
  deepStrictEqual(told.next(), []);
  strictEqual(bases.all[0], before);
  host.removeAddress("203.0.113.1");
  deepStrictEqual(told.next(), []);
  net.attach(host, "eth0", { address: "2001:db8::1" });
  deepStrictEqual(told.next(), ["66000 + 2001:db8::1 at 0", "66000 - 203.0.113.1"]);
});

Deno.test("NodeBases prefers as RFC 8421 does, and leaves a socket in use where more addresses come than it opens", () => {
  const { net, host, bases, told } = start();
  net.attach(host, "eth0", { address: "2001:db8::1" });
  deepStrictEqual(told.next(), ["2000 + 2001:db8::1 at 0"]);
  deepStrictEqual(hosts(bases), ["2001:db8::1", "203.0.113.1"]);
  for (let number = 2; number < 30; number++) net.attach(host, `eth${number}`, { address: `2001:db8::${number}` });
  strictEqual(told.next().length, MAX_BASES - 2);
  strictEqual(hosts(bases).length, MAX_BASES);
  strictEqual(hosts(bases).includes("203.0.113.1"), true);
  deepStrictEqual(told.next(), []);
});

Deno.test("NodeBases takes up what could not be bound the next time, and passes over addresses that reach nobody", () => {
  const { net, host, bases, told } = start();
  const { bind } = host;
  host.bind = (): never => {
    throw new Error("EADDRNOTAVAIL");
  };
  net.attach(host, "eth1", { address: "203.0.113.2" });
  net.attach(host, "eth2", { address: "169.254.1.1" });
  deepStrictEqual(told.next(), []);
  host.bind = bind;
  deepStrictEqual(told.next(), ["4000 + 203.0.113.2 at 1"]);
  deepStrictEqual(hosts(bases), ["203.0.113.1", "203.0.113.2"]);
});

Deno.test("NodeBases looks at once when the system refuses to send, but not more often than every 100 ms", () => {
  const { bases } = start();
  const [base] = bases.all;
  const refuse = (code: string, now: number): void =>
    bases.handleSocketError({ base: base!, remote: undefined, code }, now);
  refuse("EMSGSIZE", 500);
  strictEqual(bases.dueAt, COMPARE_INTERVAL_MS);
  refuse("ENETUNREACH", 500);
  strictEqual(bases.dueAt, 500);
  bases.run(500);
  refuse("ENETUNREACH", 510);
  strictEqual(bases.dueAt, 500 + MIN_COMPARE_INTERVAL_MS);
  bases.run(600);
  strictEqual(bases.dueAt, 600 + COMPARE_INTERVAL_MS);
});

Deno.test("NodeBases does nothing more once closed", () => {
  const { net, host, bases, told } = start();
  const [base] = bases.all;
  bases.close();
  strictEqual(bases.dueAt, Infinity);
  bases.handleSocketError({ base: base!, remote: undefined, code: "ENETUNREACH" }, 1);
  strictEqual(bases.dueAt, Infinity);
  net.attach(host, "eth1", { address: "203.0.113.2" });
  deepStrictEqual([told.lines, bases.all], [[], []]);
  strictEqual(host.bind(base!.local).local, base!.local);
});

Deno.test("NodeBases leaves the socket of a wildcard address alone where interfaces may not be listed, and replaces it once they may", () => {
  const { net, host, bases, told } = start();
  bases.close();
  const { interfaces, bind } = host;
  host.interfaces = () => [];
  host.bind = (local) => ({ kind: "socket", local, maxPayloadBytes: 1472 });
  const blind = new NodeBases(host, { loopbackOnly: false });
  const seen = new Told(blind);
  deepStrictEqual(hosts(blind), ["0.0.0.0"]);
  deepStrictEqual(seen.next(), []);
  host.interfaces = interfaces;
  host.bind = bind;
  net.run({ until: 1 });
  deepStrictEqual(seen.next(), ["4000 + 203.0.113.1 at 0", "4000 - 0.0.0.0"]);
  deepStrictEqual(told.lines, []);
});
