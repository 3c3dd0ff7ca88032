/**
 * Signaling by copy and paste: what is sent is shown to a person, and what a person pastes is a message.
 *
 * @module
 */

import { MAX_MESSAGE_LENGTH } from "./channel.ts";
import type { MessageChannel, Signaling } from "./channel.ts";
import { MessageQueue } from "./queue_stream.ts";

/** How the two people are spoken to. */
export interface TicketSignalingOptions {
  /** Shows a ticket or an answer to be copied. */
  readonly show: (text: string) => void;
  /** What is pasted, a line each; absent on the calling side, which waits for nothing. Read while a channel is open. */
  readonly pasted?: ReadableStream<string>;
}

/** Copy and paste. One channel at a time reads what is pasted. */
export function ticketSignaling(options: TicketSignalingOptions): Signaling {
  return {
    name: "ticket",
    dialogue: "paste",
    open({ signal }: { readonly signal: AbortSignal }): Promise<MessageChannel> {
      if (signal.aborted) return Promise.reject(signal.reason);
      return Promise.resolve(new TicketChannel(options, signal));
    },
  };
}

class TicketChannel implements MessageChannel {
  readonly #show: (text: string) => void;
  readonly #queue: MessageQueue;
  readonly #reader: ReadableStreamDefaultReader<string> | undefined;
  #isClosed = false;

  constructor(options: TicketSignalingOptions, signal: AbortSignal) {
    this.#show = options.show;
    this.#queue = new MessageQueue(() => this.close());
    this.#reader = options.pasted?.getReader();
    signal.addEventListener("abort", () => this.close(), { once: true });
    if (this.#reader !== undefined) void this.#read(this.#reader);
  }

  get messages(): ReadableStream<string> {
    return this.#queue.stream;
  }

  send(message: string): void {
    if (message.length > MAX_MESSAGE_LENGTH) {
      throw new RangeError(`Cannot send ${message.length} characters: at most ${MAX_MESSAGE_LENGTH}`);
    }
    if (!this.#isClosed) this.#show(message);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#queue.close();
    // What is pasted later is for the next channel, or for whoever reads standard input then.
    this.#reader?.releaseLock();
  }

  async #read(reader: ReadableStreamDefaultReader<string>): Promise<void> {
    try {
      for (let line = await reader.read(); !line.done; line = await reader.read()) {
        if (!this.#queue.push(line.value)) break;
      }
      this.close();
    } catch (error) {
      // Either the lock was released, and the queue is closed, or nothing can be pasted any more.
      this.#queue.fail(error instanceof Error ? error : new Error(String(error)));
      this.close();
    }
  }
}
