/**
 * What a random session happens in: a client that NATs move and that moves by itself, or two ends that meet at a relay and
 * find a path around it. Each has its moves, and things that must hold once the weather is clear again.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { type Random, randomUnit } from "../../protocols/core/random.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../../protocols/quic/events.ts";
import { ROUND_MS } from "../../protocols/quic/nat_traversal/traversal_client.ts";
import { AmplificationGuard } from "./amplification_guard.ts";
import { DirectPath, RELAY } from "./quic_direct_path.ts";
import { CLIENT_ADDRESS, Pair, type Peer, SERVER_ADDRESS } from "./quic_pair.ts";
import { Weather } from "./random_weather.ts";

/** Both ends of the connection. */
export interface Ends {
  readonly client: QuicConnection;
  readonly server: QuicConnection;
}

/** A place where a session runs. */
export interface World {
  readonly pair: Pair;
  readonly weather: Weather;
  /** How often nothing may get through for a while. */
  readonly maxOutages: number;
  /** The connection; nothing has been sent yet. */
  connect(): QuicConnection;
  /** The handshake is done. */
  begin(ends: Ends): void;
  /** Somebody moves, or an address comes or goes. */
  move(ends: Ends): void;
  /** The weather is clear and all streams have ended. @throws {Error} If something is not as it has to be. */
  check(ends: Ends): void;
}

/** Other addresses that the client has, and those that it goes to in the end. */
const OTHER_HOSTS = ["192.0.2.2", "192.0.2.3"] as const;
const LAST_HOSTS = ["192.0.2.11", "192.0.2.12", "192.0.2.13"] as const;
/** Virtual time for three paths to be proven: paths that were given up are kept for half a minute, with their IDs. */
const MAX_PROVING_MS = 120_000;

/** Runs until the condition holds. @throws {Error} If it does not within that virtual time. */
export function runWithin(pair: Pair, forMs: number, condition: () => boolean, what: () => string): void {
  const until = pair.now + forMs;
  pair.runUntil(() => condition() || pair.now > until, 2_000_000);
  if (!condition()) throw new Error(`Not within ${forMs / 1000} s: ${what()}`);
}

/** The client has three addresses, and a NAT that forgets. */
export class PlainWorld implements World {
  readonly pair: Pair;
  readonly weather: Weather;
  readonly maxOutages = 3;
  readonly #random: Random;
  readonly #bases: readonly Base[];
  readonly #lastBases: readonly Base[];
  #alias: Address = CLIENT_ADDRESS;
  #nextPort = 40_000;

  constructor(seed: number, random: Random, transport: Partial<TransportSettings>) {
    this.#random = random;
    this.pair = new Pair({
      seed,
      transport: { ...transport, addressDiscovery: "reports and wants" },
      validation: { retry: randomUnit(random) < 0.3 ? "always" : "never", newTokens: true },
    });
    const { client } = this.pair;
    this.#bases = [client.base, ...OTHER_HOSTS.map((host) => client.addBase(addressOf(host, 50_000)))];
    this.#lastBases = LAST_HOSTS.map((host) => client.addBase(addressOf(host, 50_000)));
    this.weather = new Weather(this.pair, random);
    const guard = new AmplificationGuard(SERVER_ADDRESS);
    this.pair.filter = (_, bytes, hop) => {
      guard.onSent(hop, bytes);
      return this.weather.passes(bytes);
    };
    this.pair.admits = (hop, bytes) => {
      guard.onArrived(hop, bytes);
      return true;
    };
  }

  connect(): QuicConnection {
    return this.pair.connect();
  }

  begin(): void {}

  move({ client }: Ends): void {
    if (randomUnit(this.#random) < 0.5) {
      this.#alias = addressOf(CLIENT_ADDRESS.host, this.#nextPort++);
      this.pair.rebindClient(this.#alias);
    } else {
      const base = this.#bases[Math.floor(randomUnit(this.#random) * this.#bases.length)];
      if (base !== undefined) client.migrate(base, SERVER_ADDRESS, this.pair.now);
    }
  }

  check({ client }: Ends): void {
    const { pair } = this;
    runWithin(pair, 30_000, () => hasEvent(pair.client, "newToken"), () => "no token came");
    runWithin(
      pair,
      30_000,
      () =>
        observedBy(pair.client, client) ===
          (client.path.base === pair.client.base ? this.#alias : client.path.base.local),
      () => `the client is told that it is at ${observedBy(pair.client, client)}`,
    );
    this.#proveAll(client);
  }

  /** Each end still has connection IDs of the other for more paths: RFC 9000 §5.1.1. */
  #proveAll(client: QuicConnection): void {
    const { pair } = this;
    const until = pair.now + MAX_PROVING_MS;
    let proven = 0;
    while (proven < this.#lastBases.length && pair.now < until) {
      const from = pair.client.events.length;
      for (const base of this.#lastBases) client.probePath(base, SERVER_ADDRESS, pair.now);
      pair.runTo(pair.now + 4000);
      const bases = new Set(
        pair.client.events.slice(from).map(({ event }) => event.type === "pathValidated" ? event.base : undefined),
      );
      proven = this.#lastBases.filter((base) => bases.has(base)).length;
      for (const base of this.#lastBases) client.abandonPath(base, SERVER_ADDRESS);
      pair.runTo(pair.now + 4000);
    }
    strictEqual(proven, this.#lastBases.length, "paths that could be proven at the same time in the end");
  }
}

/** Two ends behind NATs, a relay and a direct path, and addresses that lead nowhere. */
export class RelayedWorld implements World {
  readonly pair: Pair;
  readonly weather: Weather;
  /** A round of NAT traversal has seven seconds: only loss must not make it fail. */
  readonly maxOutages = 0;
  readonly #path: DirectPath;
  readonly #random: Random;
  readonly #nowhere = new Set<Address>();
  #nextNowhere = 1;
  /** Addresses that lead nowhere and were asked since it was last emptied. */
  readonly #asked = new Set<Address>();

  constructor(seed: number, random: Random, transport: Partial<TransportSettings>) {
    this.#random = random;
    this.#path = new DirectPath({ seed, transport: { ...transport, addressDiscovery: "reports and wants" } });
    this.pair = this.#path.pair;
    this.weather = new Weather(this.pair, random);
    this.#path.filter = (_, bytes) => this.weather.passes(bytes);
    this.pair.onSent = (to) => {
      if (this.#nowhere.has(to)) this.#asked.add(to);
    };
  }

  connect(): QuicConnection {
    return this.#path.connect();
  }

  begin({ client, server }: Ends): void {
    const { pair } = this;
    const { onEvent } = pair.client;
    pair.client.onEvent = (connection, event) => {
      onEvent(connection, event);
      if (event.type === "pathFound") client.migrate(event.base, event.remote, pair.now);
    };
    client.addCandidate({ type: "host", address: CLIENT_ADDRESS, base: pair.client.base }, pair.now);
    server.addCandidate({ type: "host", address: SERVER_ADDRESS, base: pair.server.base }, pair.now);
  }

  move({ client, server }: Ends): void {
    const { pair } = this;
    const { base } = pair.server;
    switch (Math.floor(randomUnit(this.#random) * 4)) {
      case 0: {
        const address = addressOf("203.0.113.7", 1024 + this.#nextNowhere++);
        this.#nowhere.add(address);
        server.addCandidate({ type: "srflx", address, base, server: RELAY }, pair.now);
        break;
      }
      case 1: {
        const [address] = this.#nowhere;
        if (address !== undefined) server.removeCandidate(base, address, pair.now);
        break;
      }
      case 2:
        client.migrate(pair.client.base, RELAY, pair.now);
        break;
      default:
        client.migrate(pair.client.base, SERVER_ADDRESS, pair.now);
    }
  }

  check({ client, server }: Ends): void {
    const { pair } = this;
    const wasFound = (): boolean =>
      pair.client.events.some(({ event }) => event.type === "pathFound" && event.remote === SERVER_ADDRESS);
    runWithin(pair, 60_000, wasFound, () => "the direct path was not found");
    // A request that was lost for good is seen only by the round that comes to nothing; large probes may all get lost.
    const times = (type: ConnectionEvent["type"]): number[] =>
      pair.client.events.filter(({ event }) => event.type === type).map(({ at }) => at);
    const failures = times("pathFailed");
    for (const at of times("roundFailed")) {
      ok(failures.some((failedAt) => failedAt <= at && failedAt >= at - ROUND_MS), `a round found nothing at ${at} ms`);
    }
    for (const address of this.#nowhere) server.removeCandidate(pair.server.base, address, pair.now);
    pair.runTo(pair.now + 20_000);
    this.#asked.clear();
    const from = pair.client.events.length;
    client.restartTraversal(pair.now);
    pair.runTo(pair.now + 10_000);
    strictEqual([...this.#asked].join(), "", "addresses asked that the server had withdrawn");
    ok(pair.client.events.slice(from).some(({ event }) => event.type === "pathFound"), "the path was found again");
    client.migrate(pair.client.base, SERVER_ADDRESS, pair.now);
    pair.runTo(pair.now + 20_000);
    strictEqual(observedBy(pair.client, client), CLIENT_ADDRESS, "where the client is told to be");
    strictEqual(observedBy(pair.server, server), SERVER_ADDRESS, "where the server is told to be");
  }
}

/** What the peer has told last of our address on the path in use. */
function observedBy(peer: Peer, { path }: QuicConnection): Address | undefined {
  for (const { event } of peer.events.toReversed()) {
    if (event.type === "observedAddress" && event.base === path.base && event.remote === path.remote) {
      return event.address;
    }
  }
  return undefined;
}

function hasEvent(peer: Peer, type: ConnectionEvent["type"]): boolean {
  return peer.events.some(({ event }) => event.type === type);
}
