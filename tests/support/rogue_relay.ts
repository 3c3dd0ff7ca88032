/**
 * What stands between a relay and its sockets where the relay lies: it takes peers for others, and tells them so
 * (draft-ietf-quic-address-discovery-00), or says something else than QUIC.
 *
 * @module
 */

import type { Address } from "../../protocols/core/address.ts";
import type { Datagram, Machine } from "../../protocols/core/machine.ts";
import type { Random } from "../../protocols/core/random.ts";
import { randomUnit } from "../../protocols/core/random.ts";
import type { Relay, RelayEvent } from "../../service/relay.ts";
import { RELAY_PORT } from "./relay_world.ts";

/** A relay that sees its clients come from other addresses than they do. */
export class LyingRelay implements Machine<RelayEvent> {
  readonly #relay: Relay;
  /** Where a client that comes from `remote` is said to come from. */
  readonly #lie: (remote: Address, now: number) => Address;
  readonly #real = new Map<Address, Address>();

  constructor(relay: Relay, lie: (remote: Address, now: number) => Address) {
    this.#relay = relay;
    this.#lie = lie;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    // What comes to the ports of its clients is left alone.
    if (datagram.base.local.port !== RELAY_PORT) return this.#relay.handleDatagram(datagram, now);
    const remote = this.#lie(datagram.remote, now);
    this.#real.set(remote, datagram.remote);
    this.#relay.handleDatagram({ ...datagram, remote }, now);
  }

  handleTimeout(now: number): void {
    this.#relay.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    const datagram = this.#relay.pollTransmit(now);
    if (datagram === undefined || datagram.base.local.port !== RELAY_PORT) return datagram;
    return { ...datagram, remote: this.#real.get(datagram.remote) ?? datagram.remote };
  }

  pollEvent(): RelayEvent | undefined {
    return this.#relay.pollEvent();
  }

  pollTimeout(): number | undefined {
    return this.#relay.pollTimeout();
  }
}

/** Answers everything with bytes that mean nothing. */
export class Babbler implements Machine<RelayEvent> {
  readonly #random: Random;
  readonly #answers: Datagram[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  handleDatagram({ base, remote, payload }: Datagram): void {
    for (let n = 0; n < 3; n++) {
      const bytes = this.#random.fill(new Uint8Array(1 + Math.floor(randomUnit(this.#random) * 1400)));
      // Some look as if they were an answer: a long header of version 1, with the connection IDs of the question.
      if (n === 1 && bytes.length > 60 && payload.length > 60) {
        const [destinationBytes, sourceBytes] = [payload[5] ?? 0, payload[6 + (payload[5] ?? 0)] ?? 0];
        bytes.set(payload.subarray(0, 5));
        bytes[5] = sourceBytes;
        bytes.set(payload.subarray(7 + destinationBytes, 7 + destinationBytes + sourceBytes), 6);
      }
      this.#answers.push({ base, remote, payload: bytes });
    }
  }

  handleTimeout(): void {}

  pollTransmit(): Datagram | undefined {
    return this.#answers.shift();
  }

  pollEvent(): undefined {}

  pollTimeout(): undefined {}
}
