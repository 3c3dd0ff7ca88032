/**
 * Our STUN client against coturn's server, and our server against its client (RFC 8489, RFC 5780).
 *
 * @module
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { NatBehaviourTest } from "../../candidates/nat_behaviour.ts";
import type { NatBehaviourEvent } from "../../candidates/nat_behaviour.ts";
import { serverReflexive } from "../../candidates/server_reflexive.ts";
import type { CandidateEvent } from "../../candidates/provider.ts";
import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { Forwarder } from "./forwarder.ts";
import { StunServer } from "../../service/stun_server.ts";
import { bindAlternates } from "../../service/stun_sockets.ts";
import { coturn, COTURN_DISCOVERY, COTURN_PEER, natDiscovery } from "./coturn.ts";
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

peerTest(COTURN_PEER, "Our client learns from coturn how the way to it behaves (RFC 5780 §4.3, §4.4)", async () => {
  await using server = await coturn(["127.0.0.1", "127.0.0.2"]);
  using host = new DenoHost();
  const told = Promise.withResolvers<NatBehaviourEvent>();
  const machine = new LateMachine<NatBehaviourEvent>();
  const driver = new Driver<NatBehaviourEvent>(machine, host, told.resolve);
  const base = host.bind(addressOf("127.0.0.1", 0));
  const context = { now: host.now(), random: host.random };
  machine.begin(new NatBehaviourTest(base, addressOf("127.0.0.1", server.port), context));
  driver.drain();
  const event = await told.promise;
  ok(event.type === "behaviour", JSON.stringify(event));
  deepStrictEqual(event.behaviour, {
    mapped: base.local,
    isMapped: false,
    mapping: "endpoint-independent",
    filtering: "endpoint-independent",
  });
});

peerTest(
  COTURN_DISCOVERY,
  "coturn's client learns from our server how the way to it behaves (RFC 5780 §6)",
  async () => {
    using host = new DenoHost();
    const machine = new LateMachine<never>();
    new Driver(machine, host, () => {});
    const first = host.bind(addressOf("127.0.0.1", 0));
    const bases = [first, host.bind(addressOf("127.0.0.2", first.local.port))];
    machine.begin(new StunServer(bindAlternates(host, bases)));
    const said = await natDiscovery("127.0.0.1", first.local.port);
    match(said, /NAT with Endpoint Independent Filtering/i);
    match(said, /Endpoint Independent Mapping|No NAT/i);
  },
);

/** Gathers on one base until the machine is done. */
async function gather(serverPort: number): Promise<{ events: readonly CandidateEvent[]; base: Base }> {
  using host = new DenoHost();
  const provider = serverReflexive({ servers: [addressOf("127.0.0.1", serverPort)], keepaliveMs: 0 });
  const done = Promise.withResolvers<void>();
  const events: CandidateEvent[] = [];
  const machine = new LateMachine<CandidateEvent>();
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
class LateMachine<Event> implements Machine<Event> {
  #machine: Machine<Event> | undefined;

  begin(machine: Machine<Event>): void {
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

  pollEvent(): Event | undefined {
    return this.#machine?.pollEvent();
  }

  pollTimeout(): number | undefined {
    return this.#machine?.pollTimeout();
  }
}
