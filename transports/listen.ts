/**
 * Listening: from a resolved set of plugins to a stream of sessions. The public `listen` in `mod.ts` turns names into
 * values and calls this one.
 *
 * @module
 */

import { NodeBases } from "./bases.ts";
import { DialError, makeNode } from "./dial.ts";
import type { NodeOptions } from "./dial.ts";
import { Runner } from "./runner.ts";
import type { Session } from "./session.ts";
import type { Reception, TraversalMachine } from "./traversal.ts";

/** Sessions that nobody has taken yet, at most; one more is closed. Callers beyond `maxSessions` never get this far. */
const MAX_WAITING_SESSIONS = 32;

/** Waits for peers: `for await (const session of listener)`. Use `await using`, or call `close`. */
export class Listener implements AsyncIterable<Session> {
  /** The string to hand to a caller; rejects if listening fails before there is one, or signaling has no URL to put in. */
  readonly ticket: Promise<string>;
  /** Settles when the hub holds our record, or, without a hub, with the ticket. Rejects as `ticket` does. */
  readonly ready: Promise<void>;
  /** Settles when listening has ended; rejects with the reason when it failed. */
  readonly closed: Promise<void>;

  readonly #runner: Runner;
  readonly #machine: TraversalMachine;
  readonly #options: NodeOptions;
  readonly #sessions = new Set<Session>();
  readonly #released = Promise.withResolvers<void>();
  readonly #waiting: Session[] = [];
  readonly #release: () => void;
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  #takers: ((session: Session | undefined) => void)[] = [];
  #isClosed = false;

  /** Made by `listen`. @throws {Error} If no socket can be bound. */
  constructor(options: NodeOptions, reception: Omit<Reception, "patient">) {
    const { host, signal } = options;
    this.#options = options;
    const now = host.now();
    const patient = options.signaling?.dialogue === "paste";
    const ticket = Promise.withResolvers<string>();
    const ready = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    this.ticket = ticket.promise;
    this.ready = ready.promise;
    this.closed = closed.promise;
    this.#settle = closed;
    // Whoever does not look at one of them is not to be ended by it.
    for (const promise of [this.ticket, this.ready, this.closed]) promise.catch(() => {});
    if (!patient && options.signaling !== undefined && options.signaling.url === undefined) {
      const why = `signaling "${options.signaling.name}" has no URL that a caller could use`;
      ticket.reject(new Error(`There is no ticket: ${why}; let them call by name or key`));
    }
    const bases = new NodeBases(host, { loopbackOnly: options.loopback });
    this.#machine = options.transport.accept({ ...reception, patient }, makeNode(options, bases.all, now));
    this.#runner = new Runner({
      host,
      machine: this.#machine,
      bases,
      signaling: options.signaling,
      resolve: options.resolve,
      onEvent: (event, runner) => {
        options.onEvent?.(event);
        if (event.type === "ticket") {
          ticket.resolve(event.text);
          if (patient) ready.resolve();
        }
        if (event.type === "registered") ready.resolve();
        if (event.type === "session") this.#take(runner.session(event));
        if (event.type === "failed") {
          const error = new DialError(event);
          ticket.reject(error);
          ready.reject(error);
          this.#end(error);
        }
      },
    });
    this.#release = (): void => {
      signal?.removeEventListener("abort", abort);
      this.#runner.stop();
      bases.close();
      host.setAlarm(undefined);
      this.#released.resolve();
      ticket.reject(new Error("Listening has ended"));
      ready.reject(new Error("Listening has ended"));
    };
    const abort = (): void => this.close();
    signal?.addEventListener("abort", abort, { once: true });
    this.#runner.drain();
    void this.#runner.addStunServers(options.stunServers);
    void this.#runner.addRelays(options.relays ?? []);
    if (signal?.aborted) this.close();
  }

  /** Gives what was pasted to a listener in ticket mode; what is not an answer to its ticket is told as `mispaste`. */
  paste(text: string): void {
    this.#machine.handleMessage(text, this.#options.host.now());
    this.#runner.drain();
  }

  /** Ends every session with `code` and stops listening. */
  close(code = 0, reason = ""): void {
    if (this.#isClosed) return;
    this.#machine.close(code, reason, this.#options.host.now());
    this.#runner.drain();
    this.#end(undefined);
  }

  /** Closes and waits until nothing is left: the sockets stay for a few round trips, in case a peer has to be told again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed.catch(() => {});
    await this.#released.promise;
  }

  /** The sessions, as they come. Ends when listening does. */
  async *[Symbol.asyncIterator](): AsyncIterator<Session> {
    for (;;) {
      const session = this.#waiting.shift() ??
        (this.#isClosed ? undefined : await new Promise<Session | undefined>((resolve) => this.#takers.push(resolve)));
      if (session === undefined) return;
      yield session;
    }
  }

  #take(session: Session): void {
    this.#sessions.add(session);
    void session.closed.then(() => {
      this.#sessions.delete(session);
      if (this.#isClosed) this.#releaseIdle();
    });
    const taker = this.#takers.shift();
    if (taker !== undefined) taker(session);
    else if (this.#waiting.length < MAX_WAITING_SESSIONS) this.#waiting.push(session);
    else session.close(0, "nobody takes the session");
  }

  #end(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#runner.closeChannel();
    for (const taker of this.#takers.splice(0)) taker(undefined);
    this.#releaseIdle();
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
  }

  /** Closes the sockets once the last session has ended and its peer knows. */
  #releaseIdle(): void {
    if (this.#sessions.size > 0) return;
    this.#machine.close(0, "", this.#options.host.now());
    this.#runner.drain();
    void this.#runner.released().then(this.#release);
  }
}
