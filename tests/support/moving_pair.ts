/**
 * Two ends that meet at a relay and look for paths around it, while paths come and go, addresses are named and withdrawn,
 * and the client is moved: what random operations do to a connection with NAT traversal.
 *
 * @module
 */

import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { type Random, randomUnit } from "../../protocols/core/random.ts";
import type { TransportSettings } from "../../protocols/quic/config.ts";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { DirectPath, RELAY } from "./quic_direct_path.ts";
import { CLIENT_ADDRESS, type Pair, SERVER_ADDRESS } from "./quic_pair.ts";

/** Which packets get through, by way. */
type Weather = "clear" | "cut" | "narrow" | "client only" | "server only";

const WEATHERS: readonly Weather[] = ["clear", "clear", "cut", "narrow", "client only", "server only"];

/** A path that is `narrow` lets no more than this through. */
const NARROW_BYTES = 1000;

/** The pair, and what may happen to it. */
export class MovingPair {
  readonly pair: Pair;
  readonly #path: DirectPath;
  readonly #random: Random;
  #direct: Weather = "clear";
  /** The relay may be silent, but not for longer than a connection waits. */
  #isRelaySilent = false;

  constructor(seed: number, random: Random, transport: Partial<TransportSettings>) {
    this.#random = random;
    const path = this.#path = new DirectPath({
      seed,
      transport: { ...transport, addressDiscovery: "reports and wants" },
      relayedMs: 1 + Math.floor(randomUnit(random) * 60),
      directMs: 1 + Math.floor(randomUnit(random) * 60),
    });
    this.pair = path.pair;
    path.filter = (from, bytes, { from: source, to }) => {
      const isRelayed = source === RELAY || to === RELAY;
      if (isRelayed) return !this.#isRelaySilent;
      switch (this.#direct) {
        case "clear":
          return true;
        case "cut":
          return false;
        case "narrow":
          return bytes.length <= NARROW_BYTES;
        case "client only":
          return from === this.pair.client;
        case "server only":
          return from === this.pair.server;
      }
    };
  }

  /** Connects, and waits until both ends have confirmed it. */
  connected(): { readonly client: QuicConnection; readonly server: QuicConnection } {
    const ends = this.#path.connected();
    this.pair.runUntil(() => ends.client.state === "confirmed" && ends.server.state === "confirmed");
    return ends;
  }

  /** From now on the client takes every path that is found. */
  followFound(): void {
    const { client } = this.pair;
    const { onEvent } = client;
    client.onEvent = (connection, event) => {
      onEvent(connection, event);
      if (event.type === "pathFound") connection.migrate(event.base, event.remote, this.pair.now);
    };
  }

  /** Something happens. */
  operate(): void {
    const { pair } = this;
    const { now, client: { base }, server: { base: serverBase } } = pair;
    const [client, server] = [pair.client.connections[0]!, pair.server.connections[0]!];
    const nowhere = addressOf(`203.0.113.${1 + this.#below(200)}`, 1024 + this.#below(60_000));
    switch (this.#below(12)) {
      case 0:
      case 1:
      case 2:
        this.#direct = WEATHERS[this.#below(WEATHERS.length)] ?? "clear";
        break;
      case 3:
        this.#isRelaySilent = !this.#isRelaySilent && this.#below(3) === 0;
        break;
      case 4:
        server.addCandidate({ type: "srflx", address: nowhere, base: serverBase, server: RELAY }, now);
        break;
      case 5:
        server.removeCandidate(serverBase, this.#below(2) === 0 ? SERVER_ADDRESS : nowhere, now);
        break;
      case 6:
        server.addCandidate({ type: "host", address: SERVER_ADDRESS, base: serverBase }, now);
        break;
      case 7:
        client.addCandidate({ type: "srflx", address: nowhere, base, server: RELAY }, now);
        break;
      case 8:
        if (this.#below(2) === 0) client.removeCandidate(base, CLIENT_ADDRESS, now);
        else client.addCandidate({ type: "host", address: CLIENT_ADDRESS, base }, now);
        break;
      case 9:
        client.restartTraversal(now);
        break;
      case 10:
        this.#visit(client, this.#below(2) === 0 ? RELAY : SERVER_ADDRESS);
        break;
      case 11:
        client.onUnreachable(base, this.#below(2) === 0 ? SERVER_ADDRESS : nowhere, now);
        break;
    }
    pair.drain();
  }

  /** Everything works again, and stays so. */
  heal(): void {
    this.#direct = "clear";
    this.#isRelaySilent = false;
  }

  #visit(client: QuicConnection, remote: Address): void {
    const { now, client: { base } } = this.pair;
    if (this.#below(2) === 0) client.probePath(base, remote, now);
    else client.migrate(base, remote, now);
  }

  #below(bound: number): number {
    return Math.floor(randomUnit(this.#random) * bound);
  }
}
