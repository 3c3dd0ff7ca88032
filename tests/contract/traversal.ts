/**
 * What every {@linkcode Traversal} must do, as a suite that each implementation runs: ours and a third party's. Two peers
 * in one process, on loopback, through a hub in memory, by the public API alone.
 *
 * ```ts
 * testTraversal({ name: "mine", newTraversal: () => mine() });
 * ```
 *
 * @module
 */

import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { dial, DialError, formatKey, listen, memory } from "../../mod.ts";
import type { DialOptions, Listener, ListenOptions, Session, Signaling, Traversal } from "../../mod.ts";

/** How an implementation takes part. */
export interface TraversalContractOptions {
  readonly name: string;
  readonly newTraversal: () => Traversal;
  /** What sessions may say they came about by. Default: the traversal's name. */
  readonly sessionTransports?: readonly string[];
  /** Starts what a case needs besides, for instance a relay: what listeners are told of it. It is disposed of afterwards. */
  readonly start?: () => Promise<Surroundings>;
  /** Cases that do not apply, with the reason. */
  readonly skip?: Partial<Record<TraversalCase, string>>;
}

/** What a case takes place in. */
export interface Surroundings extends AsyncDisposable {
  readonly listening: Partial<ListenOptions>;
}

/** The cases, by what skips call them. */
export type TraversalCase =
  | "session"
  | "echo"
  | "caller closes"
  | "listener closes"
  | "listening ends"
  | "absent"
  | "not admitted"
  | "busy"
  | "another after"
  | "other protocol"
  | "abort before"
  | "abort";

/** Two peers that can reach each other. */
class Fixture {
  readonly #signaling: Signaling;
  readonly #newTraversal: () => Traversal;
  readonly #listening: Partial<ListenOptions>;

  constructor(name: string, newTraversal: () => Traversal, listening: Partial<ListenOptions>) {
    this.#signaling = memory(`contract ${name}`);
    this.#newTraversal = newTraversal;
    this.#listening = listening;
  }

  listen(options: Partial<ListenOptions> = {}): Listener {
    return listen({
      ...this.#common,
      name: "callee",
      allow: { any: true, keys: [] },
      ...this.#listening,
      ...options,
    });
  }

  dial(options: Partial<DialOptions> = {}): Promise<Session> {
    return dial({
      ...this.#common,
      peer: "callee",
      // Each case has a key of its own behind the name.
      known: { lookup: () => undefined, pin: () => {} },
      ...options,
    });
  }

  /** A listener that can be called, and one session with it. */
  async connect(): Promise<Pair> {
    const listener = this.listen();
    await listener.ready;
    const [caller, callee] = await Promise.all([this.dial(), nextSession(listener)]);
    return new Pair(listener, caller, callee);
  }

  get #common(): Pick<ListenOptions, "signaling" | "transports" | "loopback"> {
    return { signaling: this.#signaling, transports: [this.#newTraversal()], loopback: true };
  }
}

class Pair implements AsyncDisposable {
  readonly listener: Listener;
  readonly caller: Session;
  readonly callee: Session;

  constructor(listener: Listener, caller: Session, callee: Session) {
    this.listener = listener;
    this.caller = caller;
    this.callee = callee;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.caller[Symbol.asyncDispose]();
    await this.listener[Symbol.asyncDispose]();
  }
}

const CASES: Readonly<Record<TraversalCase, (fixture: Fixture, transports: readonly string[]) => Promise<void>>> = {
  async "session"(fixture, transports): Promise<void> {
    const listener = fixture.listen({ key: new Uint8Array(32).fill(1) });
    await using _ = listener;
    await listener.ready;
    const calling = fixture.dial({ key: new Uint8Array(32).fill(2) });
    const [caller, callee] = await Promise.all([calling, nextSession(listener)]);
    await using __ = caller;
    strictEqual(caller.transport, callee.transport);
    ok(transports.includes(caller.transport), caller.transport);
    // RFC 8032 §5.1.5: the public keys of these two seeds.
    strictEqual(formatKey(caller.peer), formatKey(publicKeyOf(1)));
    strictEqual(formatKey(callee.peer), formatKey(publicKeyOf(2)));
    strictEqual(caller.path.remote, callee.path.local);
    strictEqual(caller.path.local, callee.path.remote);
    const { gathered, signaled, handshake } = caller.times;
    ok(gathered !== undefined && signaled !== undefined && handshake !== undefined, JSON.stringify(caller.times));
    ok(gathered >= 0 && handshake >= signaled && signaled >= 0, JSON.stringify(caller.times));
    strictEqual(caller.times.firstByte, undefined);
  },

  async "echo"(fixture): Promise<void> {
    await using pair = await fixture.connect();
    const data = new Uint8Array(100_000).map((_, i) => i % 251);
    const { readable, writable } = await pair.caller.openStream();
    const echoed = (async (): Promise<void> => {
      const { value } = await pair.callee.incomingStreams.getReader().read();
      ok(value !== undefined);
      await value.readable.pipeTo(value.writable);
    })();
    const [back] = await Promise.all([new Response(readable).bytes(), send(writable, data), echoed]);
    deepStrictEqual(back, data);
    notStrictEqual(pair.caller.times.firstByte, undefined);
  },

  async "caller closes"(fixture): Promise<void> {
    await using pair = await fixture.connect();
    pair.caller.close(7, "enough");
    deepStrictEqual(await pair.callee.closed, { by: "peer", code: 7, reason: "enough" });
    deepStrictEqual(await pair.caller.closed, { by: "local", code: 7, reason: "enough" });
  },

  async "listener closes"(fixture): Promise<void> {
    await using pair = await fixture.connect();
    pair.callee.close(8, "closing time");
    deepStrictEqual(await pair.caller.closed, { by: "peer", code: 8, reason: "closing time" });
    deepStrictEqual(await pair.callee.closed, { by: "local", code: 8, reason: "closing time" });
  },

  async "listening ends"(fixture): Promise<void> {
    await using pair = await fixture.connect();
    pair.listener.close(9, "no more");
    deepStrictEqual(await pair.caller.closed, { by: "peer", code: 9, reason: "no more" });
    await pair.listener.closed;
    deepStrictEqual(await pair.listener[Symbol.asyncIterator]().next(), { done: true, value: undefined });
    await rejects(fixture.dial(), isDialError("unknown"));
  },

  async "absent"(fixture): Promise<void> {
    await rejects(fixture.dial({ peer: "nobody" }), isDialError("unknown"));
  },

  async "not admitted"(fixture): Promise<void> {
    const refused: unknown[] = [];
    await using listener = fixture.listen({
      allow: { any: false, keys: [] },
      onEvent: (event) => void (event.type === "refused" && refused.push(event.reason)),
    });
    await listener.ready;
    await rejects(fixture.dial(), isDialError("denied"));
    deepStrictEqual(refused, ["denied"]);
  },

  async "busy"(fixture): Promise<void> {
    await using pair = await fixture.connect();
    await rejects(fixture.dial(), isDialError("busy"));
    strictEqual(await Promise.race([pair.caller.closed, "open"]), "open");
  },

  async "another after"(fixture): Promise<void> {
    await using listener = fixture.listen();
    await listener.ready;
    for (let i = 0; i < 3; i++) {
      const [caller, callee] = await Promise.all([fixture.dial(), nextSession(listener)]);
      await caller[Symbol.asyncDispose]();
      deepStrictEqual(await callee.closed, { by: "peer", code: 0, reason: "" });
    }
  },

  async "other protocol"(fixture): Promise<void> {
    await using listener = fixture.listen({ protocol: "one" });
    await listener.ready;
    await rejects(fixture.dial({ protocol: "other" }), isDialError("handshake"));
  },

  async "abort before"(fixture): Promise<void> {
    const reason = new Error("changed our mind");
    await rejects(fixture.dial({ signal: AbortSignal.abort(reason) }), reason);
    await using listener = fixture.listen({ signal: AbortSignal.abort(reason) });
    await listener.closed;
  },

  async "abort"(fixture): Promise<void> {
    await using listener = fixture.listen();
    await listener.ready;
    const abort = new AbortController();
    const reason = new Error("changed our mind");
    // As soon as something has happened, long before there is a session.
    const calling = fixture.dial({ signal: abort.signal, onEvent: () => abort.abort(reason) });
    await rejects(calling, reason);
    // The listener goes on.
    const [caller] = await Promise.all([fixture.dial(), nextSession(listener)]);
    await caller[Symbol.asyncDispose]();
  },
};

const NOTHING: Surroundings = { listening: {}, [Symbol.asyncDispose]: () => Promise.resolve() };

/** Runs the suite for one implementation. */
export function testTraversal(options: TraversalContractOptions): void {
  for (const [name, run] of Object.entries(CASES)) {
    const reason = Object.entries(options.skip ?? {}).find(([skipped]) => skipped === name)?.[1];
    Deno.test({
      name: `Traversal contract, ${options.name}: ${name}${reason === undefined ? "" : ` (skipped: ${reason})`}`,
      ignore: reason !== undefined,
      fn: async () => {
        await using surroundings = await options.start?.() ?? NOTHING;
        const fixture = new Fixture(`${options.name} ${name}`, options.newTraversal, surroundings.listening);
        await run(fixture, options.sessionTransports ?? [options.newTraversal().name]);
      },
    });
  }
}

async function nextSession(listener: Listener): Promise<Session> {
  const { value } = await listener[Symbol.asyncIterator]().next();
  ok(value !== undefined, "Listening ended");
  return value;
}

async function send(writable: WritableStream<Uint8Array>, data: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(data);
  await writer.close();
}

function isDialError(reason: string): (error: unknown) => boolean {
  return (error) => {
    ok(error instanceof DialError, String(error));
    strictEqual(error.reason, reason, error.message);
    return true;
  };
}

/** Of the seed that is this byte 32 times. */
function publicKeyOf(byte: number): Uint8Array {
  return Uint8Array.fromHex(
    byte === 1
      ? "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
      : "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
  );
}
