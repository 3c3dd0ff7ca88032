/**
 * One of our ICE agents on a real socket of 127.0.0.1, which also carries datagrams that are not STUN.
 *
 * @module
 */

import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { IceAgent } from "../../protocols/ice/agent.ts";
import type { IceCredentials, IceEvent, IceRole, ValidPair } from "../../protocols/ice/types.ts";
import { isStun } from "../../protocols/stun/classify.ts";

type SocketEvent = IceEvent | { readonly type: "text"; readonly text: string };

/** The agent, and what goes over its nominated pair. */
class AgentWithData implements Machine<SocketEvent> {
  readonly agent: IceAgent;
  readonly #texts: string[] = [];
  readonly #outgoing: Datagram[] = [];

  constructor(agent: IceAgent) {
    this.agent = agent;
  }

  send(pair: ValidPair, text: string): void {
    this.#outgoing.push({ base: pair.base, remote: pair.remote, payload: new TextEncoder().encode(text) });
  }

  handleDatagram(datagram: Datagram, now: number): void {
    if (isStun(datagram.payload)) this.agent.handleDatagram(datagram, now);
    else this.#texts.push(new TextDecoder().decode(datagram.payload));
  }

  handleTimeout(now: number): void {
    this.agent.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.agent.pollTransmit(now) ?? this.#outgoing.shift();
  }

  pollEvent(): SocketEvent | undefined {
    const text = this.#texts.shift();
    return text !== undefined ? { type: "text", text } : this.agent.pollEvent();
  }

  pollTimeout(): number | undefined {
    return this.agent.pollTimeout();
  }
}

/** A running agent. */
export class IceSocket implements Disposable {
  /** The pair both sides agreed on; rejects when ICE fails. */
  readonly nominated: Promise<ValidPair>;
  /** The first datagram that is not STUN. */
  readonly text: Promise<string>;
  readonly credentials: IceCredentials;
  readonly #host = new DenoHost();
  readonly #base: Base;
  readonly #machine: AgentWithData;
  readonly #driver: Driver<SocketEvent>;

  constructor(role: IceRole, credentials: IceCredentials) {
    const nominated = Promise.withResolvers<ValidPair>();
    const text = Promise.withResolvers<string>();
    this.nominated = nominated.promise;
    this.text = text.promise;
    this.credentials = credentials;
    const agent = new IceAgent({
      role,
      local: credentials,
      now: this.#host.now(),
      random: this.#host.random,
      config: { allowLoopback: true, nomination: "automatic", taMs: 20 },
    });
    this.#machine = new AgentWithData(agent);
    this.#driver = new Driver(this.#machine, this.#host, (event) => {
      if (event.type === "nominated") nominated.resolve(event.pair);
      if (event.type === "failed") nominated.reject(new Error(`ICE failed: ${event.reason}`));
      if (event.type === "text") text.resolve(event.text);
    });
    this.#base = this.#host.bind(addressOf("127.0.0.1", 0));
    agent.addLocalCandidate({ type: "host", address: this.#base.local, base: this.#base }, this.#host.now());
    agent.endOfLocalCandidates(this.#host.now());
  }

  get port(): number {
    return this.#base.local.port;
  }

  /** Tells the agent who the peer is: checks begin. */
  start(remote: IceCredentials, port: number): void {
    const { agent } = this.#machine;
    const now = this.#host.now();
    agent.setRemoteCredentials(remote, now);
    agent.addRemoteCandidate({ type: "host", address: addressOf("127.0.0.1", port) }, now);
    agent.endOfRemoteCandidates(now);
    this.#driver.drain();
  }

  send(pair: ValidPair, text: string): void {
    this.#machine.send(pair, text);
    this.#driver.drain();
  }

  [Symbol.dispose](): void {
    this.#host[Symbol.dispose]();
  }
}
