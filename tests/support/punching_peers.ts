/**
 * Two ends of NAT traversal in the virtual network, without QUIC: frames travel through a relay that loses and reorders
 * them, probes are datagrams of the size they would have, through NATs of the laboratory. What a QUIC connection does for an
 * end is done here in its simplest form.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import { SeededRandom, VirtualNetwork } from "../../lab/mod.ts";
import type { LinkOptions, NatBehaviour, VirtualHost } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { parseAddress } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { Writer } from "../../protocols/core/writer.ts";
import { ProbeBudget } from "../../protocols/quic/nat_traversal/probe_budget.ts";
import type { NatTraversal, TraversalEvent } from "../../protocols/quic/nat_traversal/traversal.ts";
import { TraversalClient } from "../../protocols/quic/nat_traversal/traversal_client.ts";
import { TraversalServer } from "../../protocols/quic/nat_traversal/traversal_server.ts";
import type { Role } from "../../protocols/quic/stream_id.ts";
import { decodeFrame, setupOf } from "./traversal_ends.ts";

/** How a world differs from the usual one. */
export interface PunchingOptions {
  readonly seed: number;
  /** Without one the peer has a public address. */
  readonly clientNat?: NatBehaviour | undefined;
  readonly serverNat?: NatBehaviour | undefined;
  /** Between the peers. Default 155 ms. */
  readonly rttMs?: number;
  /** Of every link and of the relay. */
  readonly lossRate?: number;
  /** Frames overtake each other by up to so much. */
  readonly relayJitterMs?: number;
  readonly concurrencyLimit?: number;
  readonly mtuBytes?: number;
  /** Connection IDs that each has for paths. */
  readonly connectionIds?: number;
}

const RESPONSE = 1;
const CHALLENGE = 2;
const ASK_REFLEXIVE = 4;
const TELL_REFLEXIVE = 8;
/** Header and tag of a 1-RTT packet with a connection ID of 8 bytes. */
const OVERHEAD_BYTES = 1 + 8 + 2 + 16;
/** How long until a lost frame is known to be lost: RFC 9002 §6.1, §6.2. */
const LOSS_RTTS = 1.5;
const STUN_PORT = 3478;
const STUN_INTERVAL_MS = 500;

/** Tells whoever asks where it was asked from. */
class Stun implements Machine<never> {
  readonly #answers: Datagram[] = [];

  handleDatagram({ base, remote, payload }: Datagram): void {
    if (payload[0] !== ASK_REFLEXIVE) return;
    const text = new TextEncoder().encode(`\0${remote}`);
    text[0] = TELL_REFLEXIVE;
    this.#answers.push({ base, remote, payload: text });
  }

  handleTimeout(): void {}

  pollTransmit(): Datagram | undefined {
    return this.#answers.shift();
  }

  pollEvent(): undefined {}

  pollTimeout(): undefined {}
}

/** One peer. */
export class PunchingPeer implements Machine<TraversalEvent> {
  readonly role: Role;
  readonly end: NatTraversal;
  readonly host: VirtualHost;
  readonly base: Base;
  readonly events: { readonly at: number; readonly event: TraversalEvent }[] = [];
  probesSent = 0;
  probesReceived = 0;
  /** Brings what it is given to the other peer. */
  relay: (bytes: Uint8Array, onLost: () => void) => void = () => {};
  readonly #driver: Driver<TraversalEvent>;
  readonly #stun: Address;
  readonly #connectionIds: number;
  readonly #heldIds = new Set<number>();
  /** When the STUN server is asked next; it may lose what it is asked. */
  #askAt: number | undefined = 0;

  constructor(host: VirtualHost, role: Role, end: NatTraversal, stun: Address, connectionIds: number) {
    this.host = host;
    this.role = role;
    this.end = end;
    this.#stun = stun;
    this.#connectionIds = connectionIds;
    this.base = host.bind(host.address(4000));
    this.#driver = new Driver(this, host, (event) => this.events.push({ at: host.now(), event }));
    end.addCandidate({ type: "host", address: this.base.local, base: this.base }, host.now());
  }

  /** The path that it would use. */
  get path(): { readonly at: number; readonly remote: Address } | undefined {
    let path: { readonly at: number; readonly remote: Address } | undefined;
    for (const { at, event } of this.events) {
      if (event.type === "pathFound") path = { at, remote: event.remote };
      else if (event.type === "pathFailed") path = undefined;
    }
    return path;
  }

  drain(): void {
    this.#driver.drain();
  }

  /** A frame has come through the relay. */
  hear(bytes: Uint8Array, from: Role): void {
    this.end.onFrame(decodeFrame(bytes, from), this.host.now());
    this.drain();
  }

  handleDatagram({ base, remote, payload }: Datagram, now: number): void {
    const flags = payload[0] ?? 0;
    if ((flags & TELL_REFLEXIVE) !== 0) {
      this.#askAt = undefined;
      const address = parseAddress(new TextDecoder().decode(payload.subarray(1)));
      if (address !== this.base.local) this.end.addCandidate({ type: "srflx", address, base, server: remote }, now);
      return;
    }
    const path = { base, remote };
    const isKnown = this.end.probedPathId(path) !== undefined;
    if (this.role === "client" && !isKnown && !this.end.acceptsFrom(base, now)) return;
    this.probesReceived++;
    if ((flags & RESPONSE) !== 0) this.end.onResponse(path, payload.subarray(1, 9), payload.length, now);
    if ((flags & CHALLENGE) !== 0) this.end.onChallenge(path, payload.subarray(9, 17), payload.length, now);
  }

  handleTimeout(now: number): void {
    this.end.onTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    if (this.#askAt !== undefined && now >= this.#askAt) {
      this.#askAt = now + STUN_INTERVAL_MS;
      return { base: this.base, remote: this.#stun, payload: Uint8Array.of(ASK_REFLEXIVE) };
    }
    this.#sendFrames(now);
    const hasFreshId = this.#heldIds.size < this.#connectionIds;
    const probe = this.end.pollProbe(now, { hasFreshId, receivedBytes: 1e9 });
    for (let id = this.end.pollReleased(); id !== undefined; id = this.end.pollReleased()) this.#heldIds.delete(id);
    if (probe === undefined) return undefined;
    this.#heldIds.add(probe.id);
    this.probesSent++;
    const frames = (probe.response === undefined ? 0 : 1) + (probe.challenge === undefined ? 0 : 1);
    const payload = new Uint8Array(probe.isFullSize ? 1200 : OVERHEAD_BYTES + 9 * frames);
    if (payload.length > probe.bytes) throw new Error(`A probe of ${payload.length} bytes counted ${probe.bytes}`);
    payload[0] = (probe.response === undefined ? 0 : RESPONSE) | (probe.challenge === undefined ? 0 : CHALLENGE);
    if (probe.response !== undefined) payload.set(probe.response, 1);
    if (probe.challenge !== undefined) payload.set(probe.challenge, 9);
    return { base: probe.base, remote: probe.remote, payload };
  }

  pollEvent(): TraversalEvent | undefined {
    return this.end.pollEvent();
  }

  pollTimeout(): number | undefined {
    const { timeoutAt } = this.end;
    return this.#askAt === undefined ? timeoutAt : Math.min(this.#askAt, timeoutAt ?? Infinity);
  }

  #sendFrames(now: number): void {
    for (let n = 0; n < 1000 && this.end.hasFrame(now); n++) {
      const writer = new Writer(new Uint8Array(64));
      const frame = this.end.writeFrame(writer, now);
      if (frame === undefined) return;
      this.relay(writer.written().slice(), () => {
        this.end.onFrameLost(frame);
        this.drain();
      });
    }
  }
}

/** Client and server, their NATs, and a relay. */
export class PunchingWorld {
  readonly net: VirtualNetwork;
  readonly client: PunchingPeer;
  readonly server: PunchingPeer;
  readonly budget: ProbeBudget = new ProbeBudget();

  constructor(options: PunchingOptions) {
    const { seed, rttMs = 155, lossRate = 0, relayJitterMs = 0, connectionIds = 16 } = options;
    const net = this.net = new VirtualNetwork({ seed });
    const random = new SeededRandom(seed, "punching");
    const stunHost = net.host("stun");
    const stun = stunHost.address(STUN_PORT);
    stunHost.bind(stun);
    new Driver(new Stun(), stunHost, () => {});
    const link: LinkOptions = { lossRate, ...(options.mtuBytes === undefined ? {} : { mtuBytes: options.mtuBytes }) };
    const make = (name: Role, nat: NatBehaviour | undefined): PunchingPeer => {
      const behind = nat === undefined ? {} : { behind: net.nat({ allocation: "random", ...nat }) };
      const host = net.host(name, { ...behind, rttToCoreMs: rttMs / 2, up: link, down: link });
      const setup = setupOf({
        random: new SeededRandom(seed, name),
        budget: this.budget,
        concurrencyLimit: options.concurrencyLimit ?? 8,
      });
      const end = name === "client" ? new TraversalClient(setup) : new TraversalServer(setup);
      return new PunchingPeer(host, name, end, stun, connectionIds);
    };
    const server = this.server = make("server", options.serverNat);
    const client = this.client = make("client", options.clientNat);
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.relay = (bytes, onLost) => {
        if (random.chance(lossRate)) net.at(net.now + LOSS_RTTS * rttMs, onLost);
        else net.at(net.now + rttMs / 2 + random.unit() * relayJitterMs, () => to.hear(bytes, from.role));
      };
    }
    server.end.enable(0);
    server.drain();
    client.drain();
  }

  /** Lets time pass until the client's path has proven its size, or until then. @returns Whether it has. */
  run(until: number): boolean {
    const isDone = (): boolean => this.client.events.some(({ event }) => event.type === "pathSized");
    this.net.run({ until, stopWhen: isDone });
    return isDone();
  }
}
