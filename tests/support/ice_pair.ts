/**
 * Two ICE agents on a small network in virtual time: hosts with bases, links with latency, NATs as builders. Enough for
 * exact times and counts; the laboratory is for everything else.
 *
 * @module
 */

import { type Address, addressOf, parseAddress } from "../../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../../protocols/core/candidate.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";
import type { Random } from "../../protocols/core/random.ts";
import { IceAgent } from "../../protocols/ice/agent.ts";
import type { IceConfig, IceCredentials, IceEvent, IceRole } from "../../protocols/ice/types.ts";
import { stunClass } from "../../protocols/stun/classify.ts";
import { decodeStun } from "../../protocols/stun/npm_stun.ts";
import { seededRandom } from "./seeded_random.ts";

/** Steps after which a test that does not come to rest is stopped. */
const MAX_STEPS = 20_000;

/** A base on a socket. */
export function socketBase(address: string): Base {
  return { kind: "socket", local: parseAddress(address), maxPayloadBytes: 1472 };
}

/** What a NAT does with ports and strangers: RFC 4787 §4.1, §5. */
export interface NatOptions {
  readonly publicHost: string;
  /** First port it hands out. */
  readonly firstPort: number;
  /** `endpoint`: one port for all remotes; `address-and-port`: another one for each ("symmetric"). */
  readonly mapping: "endpoint" | "address-and-port";
  readonly filtering: "none" | "address" | "address-and-port";
}

/** A NAT in front of some bases. */
class Nat {
  readonly #options: NatOptions;
  readonly #outside = new Map<string, Address>();
  readonly #inside = new Map<Address, Address>();
  readonly #opened = new Set<string>();
  #nextPort: number;

  constructor(options: NatOptions) {
    this.#options = options;
    this.#nextPort = options.firstPort;
  }

  out(local: Address, remote: Address): Address {
    const key = this.#options.mapping === "endpoint" ? `${local}` : `${local} ${remote}`;
    let outside = this.#outside.get(key);
    if (outside === undefined) {
      outside = addressOf(this.#options.publicHost, this.#nextPort++);
      this.#outside.set(key, outside);
      this.#inside.set(outside, local);
    }
    this.#opened.add(`${outside} ${remote}`).add(`${outside} ${remote.host}`);
    return outside;
  }

  in(outside: Address, remote: Address): Address | undefined {
    const { filtering } = this.#options;
    const isOpen = filtering === "none" ||
      this.#opened.has(`${outside} ${filtering === "address" ? remote.host : remote}`);
    return isOpen ? this.#inside.get(outside) : undefined;
  }

  owns(address: Address): boolean {
    return address.host === this.#options.publicHost;
  }
}

/** One side: an agent, its bases, what it did. */
export class IceHost {
  readonly name: string;
  readonly agent: IceAgent;
  readonly bases: Base[];
  readonly nat: Nat | undefined;
  readonly credentials: IceCredentials;
  readonly events: { readonly at: number; readonly event: IceEvent }[] = [];

  constructor(name: string, agent: IceAgent, options: {
    readonly bases: readonly Base[];
    readonly nat: Nat | undefined;
    readonly credentials: IceCredentials;
  }) {
    this.name = name;
    this.agent = agent;
    this.bases = [...options.bases];
    this.nat = options.nat;
    this.credentials = options.credentials;
  }

  /** Instants and types of the events: `0 valid`. */
  get timeline(): string[] {
    return this.events.map(({ at, event }) =>
      `${at} ${event.type}${event.type === "authenticatedCheck" ? ` ${event.kind}` : ""}`
    );
  }

  event<T extends IceEvent["type"]>(type: T): Extract<IceEvent, { type: T }> | undefined {
    const found = this.events.find(({ event }) => event.type === type)?.event;
    return found === undefined ? undefined : found as Extract<IceEvent, { type: T }>;
  }
}

/** What {@linkcode IcePair.host} makes an agent from. */
export interface HostOptions {
  readonly role: IceRole;
  /** `192.0.2.1:1000` */
  readonly addresses: readonly string[];
  readonly nat?: NatOptions;
  readonly config?: Partial<IceConfig>;
  readonly random?: Random;
}

/** A datagram seen on its way. */
export interface Sent {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  /** `request`, `success`, `error 487`, `indication`, with `+use` for USE-CANDIDATE. */
  readonly what: string;
}

/** Two hosts, one link between them. */
export class IcePair {
  readonly latencyMs: number;
  readonly hosts: IceHost[] = [];
  /** Everything that was sent, by name of the host, local and remote address. */
  readonly sent: Sent[] = [];
  /** Drops a datagram on its way when it says so. */
  loses: (sent: Sent, nth: number) => boolean = () => false;
  /** Changes a datagram on its way. */
  damages: (sent: Sent, payload: Uint8Array) => void = () => {};
  /** Local errors of sending: the name of the error, or `undefined`. */
  sendError: (base: Base, remote: Address) => string | undefined = () => undefined;
  now = 0;
  readonly #inFlight: { readonly at: number; readonly host: IceHost; readonly datagram: Datagram }[] = [];
  #seed = 1;

  constructor(options: { readonly latencyMs: number }) {
    this.latencyMs = options.latencyMs;
  }

  host(name: string, options: HostOptions): IceHost {
    const credentials = { ufrag: `${name}frag`, password: `${name}-password-of-22-characters` };
    const agent = new IceAgent({
      role: options.role,
      local: credentials,
      now: this.now,
      random: options.random ?? seededRandom(this.#seed++),
      ...(options.config === undefined ? {} : { config: options.config }),
    });
    const nat = options.nat === undefined ? undefined : new Nat(options.nat);
    const host = new IceHost(name, agent, { bases: options.addresses.map(socketBase), nat, credentials });
    this.hosts.push(host);
    return host;
  }

  /** Host candidates of each base, and, behind a NAT, what a server in the middle would see of it. */
  candidates(host: IceHost): LocalCandidate[] {
    const found: LocalCandidate[] = host.bases.map((base) => ({ type: "host", address: base.local, base }));
    if (host.nat === undefined) return found;
    const server = addressOf("198.51.100.1", 3478);
    for (const base of host.bases) {
      found.push({ type: "srflx", address: host.nat.out(base.local, server), base, server });
    }
    return found;
  }

  /** Gives both all candidates and credentials of both, at once. */
  introduce(): void {
    const [a, b] = this.hosts as [IceHost, IceHost];
    for (const [own, other] of [[a, b], [b, a]] as const) {
      own.agent.setRemoteCredentials(other.credentials, this.now);
      for (const candidate of this.candidates(own)) {
        own.agent.addLocalCandidate(candidate, this.now);
        const told: RemoteCandidate = { type: candidate.type, address: candidate.address };
        other.agent.addRemoteCandidate(told, this.now);
      }
    }
    for (const { agent } of this.hosts) {
      agent.endOfLocalCandidates(this.now);
      agent.endOfRemoteCandidates(this.now);
    }
  }

  /** Runs everything that happens up to and including `until`. */
  run(until: number): void {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.#drain();
      const next = this.#nextAt();
      if (next > until) {
        this.now = until;
        return;
      }
      this.now = Math.max(this.now, next);
      this.#deliver();
      for (const { agent } of this.hosts) agent.handleTimeout(this.now);
    }
    throw new Error(`The agents do not come to rest: ${MAX_STEPS} steps`);
  }

  /** What `name` sent, as `at what from to`. */
  trace(name?: string): string[] {
    return this.sent.filter(({ from }) => name === undefined || from.startsWith(`${name} `))
      .map(({ at, what, from, to }) => `${at} ${what} ${from} ${to}`);
  }

  /** How many datagrams of a kind a host sent. */
  count(name: string, what: string): number {
    return this.sent.filter((sent) => sent.from.startsWith(`${name} `) && sent.what.startsWith(what)).length;
  }

  #nextAt(): number {
    let at = Infinity;
    for (const { agent } of this.hosts) at = Math.min(at, agent.pollTimeout() ?? Infinity);
    for (const flight of this.#inFlight) at = Math.min(at, flight.at);
    return at;
  }

  #deliver(): void {
    for (let i = 0; i < this.#inFlight.length;) {
      const { at, host, datagram } = this.#inFlight[i]!;
      if (at > this.now) i++;
      else {
        this.#inFlight.splice(i, 1);
        host.agent.handleDatagram(datagram, this.now);
      }
    }
  }

  #drain(): void {
    for (const host of this.hosts) {
      for (let step = 0; step < MAX_STEPS; step++) {
        const event = host.agent.pollEvent();
        if (event !== undefined) {
          host.events.push({ at: this.now, event });
          continue;
        }
        const datagram = host.agent.pollTransmit(this.now);
        if (datagram === undefined) break;
        this.#send(host, datagram);
      }
    }
  }

  #send(host: IceHost, { base, remote, payload }: Datagram): void {
    const sent: Sent = {
      at: this.now,
      from: `${host.name} ${base.local}`,
      to: `${remote}`,
      what: describe(payload),
    };
    const code = this.sendError(base, remote);
    if (code !== undefined) {
      host.agent.handleSocketError({ base, remote, code }, this.now);
      return;
    }
    this.sent.push(sent);
    if (this.loses(sent, this.sent.length)) return;
    const source = host.nat?.out(base.local, remote) ?? base.local;
    for (const other of this.hosts) {
      if (other === host) continue;
      const target = other.nat?.owns(remote) === true
        ? other.nat.in(remote, source)
        // A private address behind a NAT is no one's here.
        : other.nat === undefined
        ? remote
        : undefined;
      const base = other.bases.find((one) => one.local === target);
      if (base === undefined) continue;
      const datagram = { base, remote: source, payload: payload.slice() };
      this.damages(sent, datagram.payload);
      this.#inFlight.push({ at: this.now + this.latencyMs, host: other, datagram });
    }
  }
}

function describe(payload: Uint8Array): string {
  const message = decodeStun(payload);
  if (!message.ok) throw new Error(message.reason);
  const error = message.error === undefined ? "" : ` ${message.error.code}`;
  return `${stunClass(payload)}${error}${message.useCandidate ? "+use" : ""}`;
}
