/**
 * What every {@linkcode Signaling} must do, as a suite that each implementation runs: over a WebSocket, inside one process,
 * by copy and paste, and those of third parties.
 *
 * @module
 */

import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { MAX_MESSAGE_LENGTH } from "../../signaling/channel.ts";
import type { MessageChannel, Signaling } from "../../signaling/channel.ts";

/** The other end of a channel: a hub that says what it is told to, or a person. */
export interface SignalingFixture extends AsyncDisposable {
  readonly signaling: Signaling;
  /** The next message that arrived at the other end, over any channel. */
  received(): Promise<string>;
  /** The other end says something on every channel. */
  say(message: string): void;
  /** The other end ends every channel. */
  hangUp(): void;
}

/** How an implementation takes part. */
export interface SignalingContractOptions {
  readonly name: string;
  readonly open: () => Promise<SignalingFixture>;
  /** Cases that do not apply, with the reason. */
  readonly skip?: Partial<Record<SignalingCase, string>>;
}

/** The cases, by what skips call them. */
export type SignalingCase =
  | "order"
  | "both ways"
  | "silent opening"
  | "length"
  | "close"
  | "hang up"
  | "abort before"
  | "abort after"
  | "again";

const CASES: Readonly<Record<SignalingCase, (fixture: SignalingFixture) => Promise<void>>> = {
  async "order"(fixture): Promise<void> {
    const channel = await open(fixture);
    // A message of each length that carriers treat differently (RFC 6455 §5.2), text of every kind.
    const messages = ["1", "x".repeat(125), "y".repeat(126), "ü€", "z".repeat(MAX_MESSAGE_LENGTH / 2), '{"a":"\\n"}'];
    for (const message of messages) channel.send(message);
    for (const message of messages) strictEqual(await fixture.received(), message);
    channel.close();
  },

  async "both ways"(fixture): Promise<void> {
    const channel = await open(fixture);
    channel.send("hello");
    strictEqual(await fixture.received(), "hello");
    const reader = channel.messages.getReader();
    for (const message of ["a", "ü€", "b".repeat(MAX_MESSAGE_LENGTH / 2)]) {
      fixture.say(message);
      deepStrictEqual(await reader.read(), { done: false, value: message });
    }
    channel.close();
  },

  async "silent opening"(fixture): Promise<void> {
    const first = await open(fixture);
    first.close();
    const second = await open(fixture);
    second.send("only this");
    strictEqual(await fixture.received(), "only this");
    second.close();
  },

  async "length"(fixture): Promise<void> {
    const channel = await open(fixture);
    throws(() => channel.send("x".repeat(MAX_MESSAGE_LENGTH + 1)), RangeError);
    channel.send("x".repeat(MAX_MESSAGE_LENGTH));
    strictEqual((await fixture.received()).length, MAX_MESSAGE_LENGTH);
    channel.close();
  },

  async "close"(fixture): Promise<void> {
    const channel = await open(fixture);
    channel.send("hello");
    strictEqual(await fixture.received(), "hello");
    channel.close();
    channel.close();
    channel.send("dropped without a word");
    deepStrictEqual(await drain(channel), { messages: [], broke: false });
  },

  async "hang up"(fixture): Promise<void> {
    const channel = await open(fixture);
    channel.send("hello");
    strictEqual(await fixture.received(), "hello");
    fixture.say("last words");
    fixture.hangUp();
    const { messages } = await drain(channel);
    deepStrictEqual(messages, ["last words"]);
    channel.send("dropped without a word");
    channel.close();
  },

  async "abort before"(fixture): Promise<void> {
    const reason = new Error("changed our mind");
    await rejects(fixture.signaling.open({ signal: AbortSignal.abort(reason) }), reason);
  },

  async "abort after"(fixture): Promise<void> {
    const abort = new AbortController();
    const channel = await fixture.signaling.open({ signal: abort.signal });
    channel.send("hello");
    strictEqual(await fixture.received(), "hello");
    abort.abort();
    deepStrictEqual((await drain(channel)).messages, []);
    channel.send("dropped without a word");
  },

  async "again"(fixture): Promise<void> {
    for (let i = 0; i < 3; i++) {
      const channel = await open(fixture);
      channel.send(`${i}`);
      strictEqual(await fixture.received(), `${i}`);
      channel.close();
      await drain(channel);
    }
  },
};

/** Runs the suite for one implementation. */
export function testSignaling(options: SignalingContractOptions): void {
  for (const [name, run] of Object.entries(CASES)) {
    const reason = Object.entries(options.skip ?? {}).find(([skipped]) => skipped === name)?.[1];
    Deno.test({
      name: `Signaling contract, ${options.name}: ${name}${reason === undefined ? "" : ` (skipped: ${reason})`}`,
      ignore: reason !== undefined,
      async fn(): Promise<void> {
        await using fixture = await options.open();
        ok(fixture.signaling.name.length > 0);
        await run(fixture);
      },
    });
  }
}

function open(fixture: SignalingFixture): Promise<MessageChannel> {
  return fixture.signaling.open({ signal: new AbortController().signal });
}

/** What is left in a channel, and whether it ended with an error. */
async function drain(channel: MessageChannel): Promise<{ readonly messages: string[]; readonly broke: boolean }> {
  const messages: string[] = [];
  try {
    for await (const message of channel.messages) messages.push(message);
  } catch {
    return { messages, broke: true };
  }
  return { messages, broke: false };
}
