/**
 * What a malicious client can make a server send to those who never asked for it: every byte is counted. Sizes are UDP
 * payloads; small probes count at their longest, so that these are upper bounds.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import type { Address } from "../../../../protocols/core/address.ts";
import { traversalFrameBytes } from "../../../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../../../protocols/quic/nat_traversal/draft_seemann_02.ts";
import { ProbeBudget } from "../../../../protocols/quic/nat_traversal/probe_budget.ts";
import { TraversalServer } from "../../../../protocols/quic/nat_traversal/traversal_server.ts";
import { hostOf, setupOf, socketAt, takeFrames, takeProbes } from "../../../support/traversal_ends.ts";

const BASE = socketAt("203.0.113.7:50000");
const LIMIT = 8;
/** A client's first flight, and its second with Finished, as small as they may be (RFC 9000 §14.1). */
const HANDSHAKE_BYTES = 1200 + 150;
/** Short header with a connection ID of 8 bytes, packet number, tag. */
const PACKET_OVERHEAD_BYTES = 1 + 8 + 2 + 16;

/** A client that asks for others, and the server that it asks. */
class Attack {
  readonly server: TraversalServer;
  /** By victim. */
  readonly received: Map<Address, number>;
  sentBytes = HANDSHAKE_BYTES;
  #round = 0;

  constructor(budget: ProbeBudget, received = new Map<Address, number>()) {
    this.received = received;
    this.server = new TraversalServer(setupOf({ budget, concurrencyLimit: LIMIT }));
    this.server.addCandidate(hostOf(BASE));
    this.server.enable(0);
    takeFrames(this.server, "server", 0);
  }

  /** One datagram with the requests of a new round. */
  ask(victims: readonly Address[], now: number): void {
    const round = ++this.#round;
    this.sentBytes += PACKET_OVERHEAD_BYTES;
    for (const address of victims) {
      const frame = { type: "PUNCH_ME_NOW", round, pairedWithSequenceNumber: 0, address } as const;
      this.sentBytes += traversalFrameBytes(DRAFT_SEEMANN_02, frame);
      this.server.onFrame(frame, now);
    }
    this.collect(now);
  }

  /** Lets the server do all it wants until then. */
  run(until: number): void {
    for (let step = 0; step < 10_000; step++) {
      const at = this.server.timeoutAt;
      if (at === undefined || at > until) return;
      this.server.onTimeout(at);
      this.collect(at);
    }
    throw new Error("Time stands still");
  }

  collect(now: number): void {
    for (const probe of takeProbes(this.server, now, { hasFreshId: true, receivedBytes: this.sentBytes })) {
      this.received.set(probe.remote, (this.received.get(probe.remote) ?? 0) + probe.bytes);
    }
  }

  get totals(): { readonly victims: number; readonly bytes: number; readonly most: number; readonly factor: number } {
    const bytes = [...this.received.values()].reduce((sum, each) => sum + each, 0);
    return {
      victims: this.received.size,
      bytes,
      most: Math.max(0, ...this.received.values()),
      factor: Math.round(100 * bytes / this.sentBytes) / 100,
    };
  }
}

/** Hosts that have nothing to do with each other. */
function victim(n: number): Address {
  return addressOf(`198.51.${n >> 8}.${n & 0xff}`, 40_000);
}

function group(n: number): Address[] {
  return Array.from({ length: LIMIT }, (_, i) => victim(LIMIT * n + i));
}

Deno.test("Amplification: a thousand victims, asked for as fast as it goes, get less than the client has sent itself", () => {
  const attack = new Attack(new ProbeBudget());
  for (let n = 0; n < 125; n++) {
    attack.run(n);
    attack.ask(group(n), n);
  }
  attack.run(3_600_000);
  const { totals, sentBytes } = attack;
  // 16,000 bytes a minute for one connection: 320 victims get one probe each, the others nothing, ever.
  deepStrictEqual(totals, { victims: 320, bytes: 16_000, most: 50, factor: 0.93 });
  strictEqual(sentBytes, 17_221);
});

Deno.test("Amplification: a thousand victims, asked for as patiently as it takes, get three times what the client has sent", () => {
  const attack = new Attack(new ProbeBudget());
  for (let n = 0; n < 125; n++) {
    const at = n * 60_000;
    attack.run(at);
    attack.ask(group(n), at);
  }
  attack.run(1e9);
  const { totals } = attack;
  ok(totals.factor <= 3, `${totals.factor}`);
  ok(totals.most <= 450, `${totals.most}`);
  deepStrictEqual(totals, { victims: 954, bytes: 51_650, most: 450, factor: 3 });
});

Deno.test("Amplification: a hundred connections that name one victim get it no more than one would", () => {
  const budget = new ProbeBudget();
  const received = new Map<Address, number>();
  const attacks = Array.from({ length: 100 }, () => new Attack(budget, received));
  for (const attack of attacks) attack.ask([victim(1)], 0);
  for (const attack of attacks) attack.run(59_999);
  deepStrictEqual([...received.values()], [900]);
  for (const attack of attacks) attack.ask([victim(1)], 60_000);
  for (const attack of attacks) attack.run(119_999);
  deepStrictEqual([...received.values()], [1800]);
});

Deno.test("Amplification: a thousand ports of one victim get 18,000 bytes a minute, from however many connections", () => {
  const budget = new ProbeBudget();
  const received = new Map<Address, number>();
  for (let n = 0; n < 125; n++) {
    const ports = Array.from({ length: LIMIT }, (_, i) => addressOf("198.51.100.1", 40_000 + LIMIT * n + i));
    new Attack(budget, received).ask(ports, 0);
  }
  strictEqual([...received.values()].reduce((sum, each) => sum + each, 0), 18_000);
});

Deno.test("Amplification: packets that pretend to come from the victim bring it three times their size, and prove nothing", () => {
  const attack = new Attack(new ProbeBudget());
  attack.ask([victim(1)], 0);
  attack.run(10_000);
  strictEqual(attack.received.get(victim(1)), 450);
  let spoofedBytes = 0;
  for (let n = 0; n < 1000; n++) {
    const now = 10_000 + 10 * n;
    attack.server.onChallenge({ base: BASE, remote: victim(1) }, new Uint8Array(8), 40, now);
    spoofedBytes += 40;
    attack.run(now);
    attack.collect(now);
  }
  attack.run(1e6);
  const bytes = attack.received.get(victim(1)) ?? 0;
  // What is left of the 900 bytes goes there too.
  ok(bytes <= 3 * spoofedBytes + 900, `${bytes}`);
  strictEqual(attack.server.isProven({ base: BASE, remote: victim(1) }), false);
});

Deno.test("Amplification: nothing goes to services, loopback, multicast or private addresses of a public server", () => {
  const attack = new Attack(new ProbeBudget());
  const never = [
    ["198.51.100.1", 53],
    ["198.51.100.1", 123],
    ["198.51.100.1", 11211],
    ["198.51.100.1", 0],
    ["127.0.0.1", 40_000],
    ["0.0.0.0", 40_000],
    ["224.0.0.251", 40_000],
    ["255.255.255.255", 40_000],
    ["10.0.0.1", 40_000],
    ["192.168.1.1", 40_000],
    ["169.254.169.254", 40_000],
    ["2001:db8::1", 40_000],
    ["203.0.113.7", 50_000],
  ] as const;
  for (const [n, [host, port]] of never.entries()) attack.ask([addressOf(host, port)], n);
  attack.run(1e6);
  strictEqual(attack.received.size, 0);
  strictEqual(attack.server.counts.addressesRefused, never.length);
});
