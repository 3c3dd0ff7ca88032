/**
 * What every traversal has around its own logic: a mux with a QUIC endpoint, a dialogue over messages and the gathering of
 * candidates, and the events that come of them.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { EndpointConfig } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import type { MessageMachine } from "../signaling/channel.ts";
import { Gathering } from "./gathering.ts";
import type { GatheringListener } from "./gathering.ts";
import { LiveBases } from "./live_bases.ts";
import { MessagePort } from "./message_port.ts";
import type { MessagePortEvent } from "./message_port.ts";
import { Mux } from "./mux.ts";
import type { Port } from "./mux.ts";
import { RelayChannel } from "./relay_channel.ts";
import type { RelayChannelListener } from "./relay_channel.ts";
import { RelayConnections } from "./relay_connection.ts";
import type { RelayHost } from "./relay_connection.ts";
import { allowsDirect } from "./relay_policy.ts";
import type { Node, RelayAccess, RelayChannelOptions, TraversalEvent, TraversalMachine } from "./traversal.ts";

/** What is a transport's own on one side of a call. */
export interface TraversalLogic<DialogueEvent> {
  /** Something happened at the QUIC endpoint. */
  onEndpoint(event: EndpointEvent, now: number): void;
  /** The caller's or listener's machine tells something. */
  onDialogue(event: DialogueEvent, now: number): void;
  /** The message channel is up, and the dialogue has been told. */
  onOpen(now: number): void;
  onCandidate(candidate: LocalCandidate, now: number): void;
  onCandidateWithdrawn(candidate: LocalCandidate, now: number): void;
  /** A base has come or gone, and connections have moved already: handshakes under way cannot, and are begun anew. */
  onBasesChanged?(now: number): void;
  /** Gathering has said all it knows; it may do so again. */
  onGathered(now: number): void;
  onSocketError(error: SocketError, now: number): void;
  /** Relays that were found besides those known from the start. */
  addRelays(relays: readonly RelayAccess[], now: number): void;
  /** Nothing moves any more, for the moment: the last chance to emit. */
  onSettled(now: number): void;
  /** Runs what is due. */
  onTimeout(now: number): void;
  /** When `onTimeout` wants to be called; `Infinity` for never. */
  readonly timeoutAt: number;
  /** Ends every session with CONNECTION_CLOSE and stops. */
  close(code: number, reason: string, now: number): void;
  /** Sizes of its own tables. */
  readonly tableSizes: Readonly<Record<string, number>>;
}

/** A traversal's machine: this, around a transport's logic. */
export class TraversalShell<DialogueEvent>
  implements TraversalMachine, GatheringListener, RelayHost, RelayChannelListener {
  readonly node: Node;
  readonly mux: Mux = new Mux();
  readonly endpoint: QuicEndpoint;
  readonly gathering: Gathering;
  /** The connections to relays, shared by all that is done on them. */
  readonly relays: RelayConnections;
  readonly #dialogue: MessageMachine<DialogueEvent>;
  readonly #endpointPort: Port;
  readonly #dialoguePort: Port;
  readonly #logic: TraversalLogic<DialogueEvent>;
  readonly #events: TraversalEvent[] = [];
  readonly #bases: LiveBases;
  /** Relays, where nobody else may know where we are; whoever asks them bounds them. */
  readonly #expected = new Set<Address>();
  /** What carries the messages, if it is ours to do. */
  #channel: RelayChannel | undefined;
  /** `released` is told as soon as the relays know too. */
  #hasFailed = false;
  #isReleasing = false;
  #now: number;

  /** @param makeLogic Gets the shell, whose `gathering` begins when the logic is there. */
  constructor(
    node: Node,
    dialogue: MessageMachine<DialogueEvent>,
    endpointConfig: EndpointConfig,
    makeLogic: (shell: TraversalShell<DialogueEvent>) => TraversalLogic<DialogueEvent>,
  ) {
    this.#now = node.now;
    this.#dialogue = dialogue;
    this.endpoint = new QuicEndpoint(endpointConfig, node.random);
    this.#bases = new LiveBases(this.endpoint, node.bases);
    // Who keeps to relays has no use for addresses of its own.
    const providers = allowsDirect(node.relayPolicy) ? node.providers : [];
    this.node = { ...node, providers, bases: this.#bases.all };
    this.#endpointPort = this.mux.attach(this.endpoint, (event: EndpointEvent, now) => {
      if (event.type === "connection" && this.relays.onEvent(event.connection, event.event, now)) return;
      this.#logic.onEndpoint(event, now);
    });
    this.relays = new RelayConnections(this);
    this.mux.routeQuic(this.#endpointPort);
    // Before gathering: TCP to the hub and the questions to STUN leave at the same moment.
    this.#dialoguePort = this.mux.attach(new MessagePort(dialogue), (event: MessagePortEvent<DialogueEvent>, now) => {
      if (event.type === "message") this.#send(event, now);
      else this.#logic.onDialogue(event.event, now);
    });
    // Nothing is told before the first poll, and by then the logic is there.
    this.#logic = makeLogic(this);
    this.gathering = new Gathering(this.mux, this.node, this);
    // A call may have come to nothing before anything was asked.
    if (this.#hasFailed) this.gathering.stop();
  }

  /** The endpoint's counters: what strangers' packets were dropped for. */
  get drops(): ReadonlyMap<string, number> {
    return this.endpoint.drops;
  }

  /** Sizes of all tables, for reports and tests: each is 0 once everything is over. */
  get tableSizes(): Readonly<Record<string, number>> {
    const { endpoint, mux, relays } = this;
    return { ...endpoint.tableSizes, ...mux.tableSizes, relays: relays.size, ...this.#logic.tableSizes };
  }

  /** The instant of the last call from outside. */
  get now(): number {
    return this.#now;
  }

  /** Tells whoever drives this machine. */
  emit(event: TraversalEvent): void {
    if (event.type !== "released") {
      this.#hasFailed ||= event.type === "failed";
      this.#events.push(event);
      return;
    }
    this.closeRelayChannel(this.#now);
    this.#isReleasing = true;
  }

  /** A command was given to the endpoint or a connection of it. */
  wakeEndpoint(): void {
    this.#endpointPort.wake();
  }

  /** A command was given to the dialogue. */
  wakeDialogue(): void {
    this.#dialoguePort.wake();
  }

  /** Has nothing more to say over messages. */
  endDialogue(): void {
    this.mux.detach(this.#dialoguePort);
    this.closeRelayChannel(this.#now);
  }

  /** Whoever keeps to relays hears those whom it has asked something, and nobody else. */
  expectFrom(remote: Address): void {
    this.#expected.add(remote);
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#now = now;
    if (!allowsDirect(this.node.relayPolicy) && !this.#expected.has(datagram.remote)) return;
    this.mux.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.mux.handleTimeout(now);
    this.relays.onTimeout(now);
    this.#logic.onTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    this.#now = now;
    return this.mux.pollTransmit(now);
  }

  pollEvent(): TraversalEvent | undefined {
    do this.mux.settle(this.#now); while (this.relays.settle(this.#now));
    this.#logic.onSettled(this.#now);
    if (this.#isReleasing && this.relays.size === 0) {
      this.#isReleasing = false;
      this.#events.push({ type: "released" });
    }
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    const at = Math.min(this.mux.pollTimeout() ?? Infinity, this.relays.timeoutAt, this.#logic.timeoutAt);
    return at === Infinity ? undefined : at;
  }

  handleOpen(now: number): void {
    this.#now = now;
    this.#dialogue.handleOpen(now);
    this.wakeDialogue();
    this.#logic.onOpen(now);
  }

  handleMessage(text: string, now: number): void {
    this.#now = now;
    this.#dialogue.handleMessage(text, now);
    this.wakeDialogue();
  }

  handleClosed(now: number, reason?: string, isRefused?: boolean): void {
    this.#now = now;
    this.#dialogue.handleClosed(now, reason, isRefused);
    this.wakeDialogue();
  }

  openRelayChannel(options: RelayChannelOptions, now: number): void {
    this.#now = now;
    this.#channel?.close(now);
    this.#channel = new RelayChannel(this.relays, options, this, now);
  }

  closeRelayChannel(now: number): void {
    this.#now = now;
    this.#channel?.close(now);
    this.#channel = undefined;
    this.wakeEndpoint();
  }

  channelOpened(now: number): void {
    this.handleOpen(now);
  }

  channelMessage(text: string, now: number): void {
    this.handleMessage(text, now);
  }

  channelClosed(reason: string, isRefused: boolean, now: number): void {
    this.handleClosed(now, reason, isRefused);
  }

  handleSocketError(error: SocketError, now: number): void {
    this.#now = now;
    this.emit({ type: "socketError", error });
    this.gathering.handleSocketError(error, now);
    this.#logic.onSocketError(error, now);
  }

  addBase(base: Base, now: number, rank: number): void {
    this.#now = now;
    this.#bases.add(base, rank, now);
    this.emit({ type: "base", base, change: "added" });
    this.gathering.addBase(base, now);
    this.#basesChanged(now);
  }

  removeBase(base: Base, now: number): void {
    this.#now = now;
    // Connections first: what is withdrawn is told on paths that work.
    this.#bases.remove(base, now);
    this.emit({ type: "base", base, change: "removed" });
    this.gathering.removeBase(base, now);
    this.#dialogue.handleNetworkChange?.(now);
    this.wakeDialogue();
    this.#basesChanged(now);
  }

  addStunServers(servers: readonly Address[], now: number): void {
    this.#now = now;
    this.gathering.addServers(servers, now);
  }

  addRelays(relays: readonly RelayAccess[], now: number): void {
    this.#now = now;
    this.#logic.addRelays(relays, now);
  }

  wake(): void {
    this.#endpointPort.wake();
    this.#dialoguePort.wake();
  }

  close(code: number, reason: string, now: number): void {
    this.#now = now;
    this.#logic.close(code, reason, now);
    this.closeRelayChannel(now);
    this.#endpointPort.wake();
  }

  candidateFound(candidate: LocalCandidate, now: number): void {
    this.emit({ type: "candidate", candidate });
    this.#logic.onCandidate(candidate, now);
  }

  candidateWithdrawn(candidate: LocalCandidate, now: number): void {
    this.emit({ type: "candidateWithdrawn", candidate });
    this.#logic.onCandidateWithdrawn(candidate, now);
  }

  gatheringFailed(event: { readonly base: Base; readonly reason: string }): void {
    this.emit({ type: "gatheringError", base: event.base, reason: event.reason });
  }

  gatheringDone(now: number): void {
    this.#logic.onGathered(now);
  }

  addressObserved(base: Base, address: Address, server: Address, now: number): void {
    if (allowsDirect(this.node.relayPolicy)) this.gathering.observe(base, address, server, now);
  }

  #basesChanged(now: number): void {
    this.relays.onBasesChanged(now);
    this.#logic.onBasesChanged?.(now);
    this.#endpointPort.wake();
  }

  #send(event: TraversalEvent & { readonly type: "message" }, now: number): void {
    if (this.#channel === undefined) return this.emit(event);
    this.#channel.send(event.text, now);
    this.wakeEndpoint();
  }

  keyLogged(connection: QuicConnection, event: Extract<ConnectionEvent, { readonly type: "keyLog" }>): void {
    this.emit({ type: "connection", connection, event });
  }
}
