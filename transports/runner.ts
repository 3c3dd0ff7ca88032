/**
 * The runner: drives a traversal's machine on a host, carries its messages over a signaling channel, and makes sessions
 * of its connections. The async shell that `dial` and `listen` share (design decision 9).
 *
 * @module
 */

import { Driver } from "../io/driver.ts";
import type { Host } from "../io/host.ts";
import { sleep } from "../io/sleep.ts";
import type { Address } from "../protocols/core/address.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { SignalingRefusedError } from "../signaling/channel.ts";
import type { MessageChannel, Signaling, SignalingRelay } from "../signaling/channel.ts";
import type { NamedRelay } from "../signaling/machines.ts";
import type { NodeBases } from "./bases.ts";
import { findRelay } from "./relay_access.ts";
import { Session } from "./session.ts";
import type { TraversalEvent, TraversalMachine } from "./traversal.ts";

/**
 * How long sockets stay open, at most, for a CONNECTION_CLOSE that may have to be repeated: three probe timeouts
 * (RFC 9000 §10.2) of a path that is slow.
 */
const MAX_CLOSING_MS = 3000;

/** A relay whose name nobody knows is looked up again after so long, then twice as long, and so on. */
const MIN_LOOKUP_PAUSE_MS = 1000;

/** The longest pause. */
const MAX_LOOKUP_PAUSE_MS = 60_000;

/** What a runner needs of its surroundings. */
export interface RunnerOptions {
  readonly host: Host;
  readonly machine: TraversalMachine;
  /** Its sockets. They follow the addresses of the host from now on, until they are closed. */
  readonly bases: NodeBases;
  /** `undefined`: the machine asks for no channel (ticket mode). */
  readonly signaling: Signaling | undefined;
  /** Turns `HOST:PORT` into addresses; an unknown name is an empty list. */
  readonly resolve: (server: string) => Promise<readonly Address[]>;
  /** Settles when the sockets of its only session are closed: what a session that is disposed of waits for. */
  readonly sessionReleased?: () => Promise<void>;
  /** Everything the machine tells, in order, sessions included. */
  readonly onEvent: (event: TraversalEvent, runner: Runner) => void;
}

/** Runs until `stop`. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #driver: Driver<TraversalEvent>;
  readonly #sessions = new Map<QuicConnection, Session>();
  readonly #abort = new AbortController();
  readonly #released = Promise.withResolvers<void>();
  #channel: MessageChannel | undefined;
  /** Channels opened so far: tells the one in use from those before. */
  #openings = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { bases, host, machine } = options;
    bases.attach(machine);
    this.#driver = new Driver(machine, host, (event) => this.#handle(event), bases);
  }

  /** Polls the machine for the first time, and after every command that was given to it directly. */
  drain(): void {
    this.#options.machine.wake();
    this.#driver.drain();
  }

  /** Tells the machine which STUN servers to ask, each when its name is resolved; or that there are none. */
  async addStunServers(servers: readonly string[]): Promise<void> {
    let isAnyFound = false;
    const add = (addresses: readonly Address[]): void => {
      if (this.#abort.signal.aborted) return;
      this.#options.machine.addStunServers(addresses, this.#options.host.now());
      this.#driver.drain();
    };
    await Promise.all(servers.map(async (server) => {
      const addresses = await this.#options.resolve(server);
      if (addresses.length === 0) return;
      isAnyFound = true;
      add(addresses);
    }));
    if (!isAnyFound) add([]);
  }

  /** Tells the machine how each relay is reached, as soon as that is known: one whose name is not is looked for again. */
  async addRelays(relays: readonly NamedRelay[]): Promise<void> {
    await Promise.all(relays.map((relay) => this.#addRelay(relay)));
  }

  async #addRelay(relay: NamedRelay): Promise<void> {
    const { host, machine, onEvent, resolve } = this.#options;
    const { signal } = this.#abort;
    for (let pauseMs = MIN_LOOKUP_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, MAX_LOOKUP_PAUSE_MS)) {
      const found = await findRelay(relay, resolve);
      if (found === "unusable" || signal.aborted) return;
      if (found !== "unknown") {
        machine.addRelays([found], host.now());
        this.#driver.drain();
        return;
      }
      const reason = `nobody knows the name of the relay ${relay.url.split("#")[0] ?? ""}`;
      onEvent({ type: "unregistered", retryAt: host.now() + pauseMs, pauseMs, reason }, this);
      await sleep(pauseMs, { signal }).catch(() => {});
    }
  }

  /** Closes the signaling channel: a caller that is connected needs it no more. */
  closeChannel(): void {
    this.#openings++;
    this.#channel?.close();
    this.#channel = undefined;
    const { host, machine, signaling } = this.#options;
    if (signaling?.relay === undefined) return;
    machine.closeRelayChannel?.(host.now());
    this.#driver.drain();
  }

  /** Waits until the peers know that their sessions have ended, as far as RFC 9000 §10.2 has us wait. */
  async released(): Promise<void> {
    const done = new AbortController();
    await Promise.race([this.#released.promise, sleep(MAX_CLOSING_MS, { signal: done.signal }).catch(() => {})]);
    done.abort();
  }

  /** Closes the channel and opens no other. Sessions are the caller's to close before. */
  stop(): void {
    this.#abort.abort();
    this.closeChannel();
  }

  #handle(event: TraversalEvent): void {
    switch (event.type) {
      case "openChannel": {
        const relay = this.#options.signaling?.relay;
        void (relay === undefined ? this.#openChannel() : this.#openRelayChannel(relay));
        break;
      }
      case "message":
        this.#channel?.send(event.text);
        break;
      case "stunServers":
        void this.addStunServers(event.servers);
        break;
      case "relays":
        void this.addRelays(event.relays);
        break;
      case "connection":
        this.#sessions.get(event.connection)?.handleEvent(event.event);
        if (event.event.type === "closed") this.#sessions.delete(event.connection);
        break;
      case "released":
        this.#released.resolve();
        break;
      default:
        break;
    }
    this.#options.onEvent(event, this);
  }

  /** The session of an `established` event: made once, fed by this runner. */
  session(event: TraversalEvent & { readonly type: "session" }): Session {
    const { connection } = event.session;
    const known = this.#sessions.get(connection);
    if (known !== undefined) return known;
    const { host, sessionReleased } = this.#options;
    const session = new Session(event.session, {
      now: () => host.now(),
      drain: () => this.drain(),
      ...(sessionReleased === undefined ? {} : { released: sessionReleased }),
    });
    this.#sessions.set(connection, session);
    return session;
  }

  /** Has the machine carry its messages itself, once it is known where the relay is. */
  async #openRelayChannel({ url, token }: SignalingRelay): Promise<void> {
    const { host, machine, resolve } = this.#options;
    const opening = ++this.#openings;
    const relay = await findRelay({ url }, resolve);
    if (opening !== this.#openings || this.#abort.signal.aborted) return;
    const where = url.split("#")[0] ?? "";
    if (relay === "unusable") machine.handleClosed(host.now(), `${where} is no relay that we know how to reach`, true);
    else if (relay === "unknown") machine.handleClosed(host.now(), `Nobody knows the name of the relay ${where}`);
    else if (machine.openRelayChannel === undefined) {
      machine.handleClosed(host.now(), "The transport cannot signal through a relay: choose another of the two", true);
    } else {
      machine.openRelayChannel({ relay, ...(token === undefined ? {} : { token }) }, host.now());
    }
    this.#driver.drain();
  }

  async #openChannel(): Promise<void> {
    const { host, machine, signaling } = this.#options;
    const { signal } = this.#abort;
    // The machine has given up the channel there is, a silent one too: whatever still comes from it is not for the next.
    this.closeChannel();
    const opening = ++this.#openings;
    let reason: string | undefined;
    let isRefused = false;
    try {
      if (signaling === undefined || signal.aborted) return;
      const channel = await signaling.open({ signal });
      this.#channel = channel;
      machine.handleOpen(host.now());
      this.#driver.drain();
      for await (const message of channel.messages) {
        if (opening !== this.#openings) return;
        machine.handleMessage(message, host.now());
        this.#driver.drain();
      }
    } catch (error) {
      // The machine says it when it gives up.
      reason = error instanceof Error ? error.message : String(error);
      isRefused = error instanceof SignalingRefusedError;
    }
    if (opening !== this.#openings) return;
    this.#channel = undefined;
    if (signal.aborted) return;
    machine.handleClosed(host.now(), reason, isRefused);
    this.#driver.drain();
  }
}
