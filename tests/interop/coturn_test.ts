/**
 * Our STUN client against coturn.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { serverReflexive } from "../../candidates/server_reflexive.ts";
import type { CandidateEvent } from "../../candidates/provider.ts";
import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { Forwarder } from "./forwarder.ts";
import { coturn, COTURN_PEER } from "./coturn.ts";
import { peerTest } from "./peers.ts";

peerTest(COTURN_PEER, "Our STUN client learns from coturn where its NAT sends from (RFC 8489 §2)", async () => {
  await using server = await coturn();
  await using nat = new Forwarder(server.port);
  const { events, base } = await gather(nat.insidePort);
  deepStrictEqual(events.map((event) => event.type), ["candidate", "done"]);
  const [first] = events;
  strictEqual(first?.type === "candidate" && first.candidate.type, "srflx");
  strictEqual(first?.type === "candidate" && first.candidate.address, addressOf("127.0.0.1", nat.outsidePort));
  strictEqual(first?.type === "candidate" && first.candidate.base, base);
});

peerTest(
  COTURN_PEER,
  "Our STUN client finds no candidate where coturn sees its own address (RFC 8445 §5.1.3)",
  async () => {
    await using server = await coturn();
    deepStrictEqual((await gather(server.port)).events, [{ type: "done" }]);
  },
);

/** Gathers on one base until the machine is done. */
async function gather(serverPort: number): Promise<{ events: readonly CandidateEvent[]; base: Base }> {
  using host = new DenoHost();
  const provider = serverReflexive({ servers: [addressOf("127.0.0.1", serverPort)], keepaliveMs: 0 });
  const done = Promise.withResolvers<void>();
  const events: CandidateEvent[] = [];
  const machine = new LateMachine();
  const driver = new Driver<CandidateEvent>(machine, host, (event) => {
    events.push(event);
    if (event.type === "done") done.resolve();
  });
  const base = host.bind(addressOf("127.0.0.1", 0));
  machine.begin(provider.gather([base], { now: host.now(), random: host.random }));
  driver.drain();
  await done.promise;
  return { events, base };
}

/** A machine that comes to life after its driver: the driver must be there before a base, and gathering needs the base. */
class LateMachine implements Machine<CandidateEvent> {
  #machine: Machine<CandidateEvent> | undefined;

  begin(machine: Machine<CandidateEvent>): void {
    this.#machine = machine;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#machine?.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#machine?.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.#machine?.pollTransmit(now);
  }

  pollEvent(): CandidateEvent | undefined {
    return this.#machine?.pollEvent();
  }

  pollTimeout(): number | undefined {
    return this.#machine?.pollTimeout();
  }
}
