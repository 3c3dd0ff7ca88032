/**
 * Signaling inside one process: any number of channels to one hub, for tests and for programs that hold both peers.
 *
 * @module
 */

import { MAX_MESSAGE_LENGTH } from "./channel.ts";
import type { MessageChannel, Signaling } from "./channel.ts";
import type { HubMachine } from "./hub_machine.ts";
import { MessageQueue } from "./queue_stream.ts";

/** One connection to a {@linkcode MemoryHub}. */
export class MemoryClient {
  readonly queue: MessageQueue;

  constructor(onCancel: () => void) {
    this.queue = new MessageQueue(onCancel);
  }
}

/** What a {@linkcode MemoryHub} is made with. */
export interface MemoryHubOptions {
  /** What records and offers are bound to. @default {"memory"} */
  readonly hub?: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** A hub without a network. It has no timers of its own: what is due is done with the next message. */
export class MemoryHub implements Signaling {
  readonly name = "memory";
  readonly dialogue = "hub";
  readonly hub: string;
  readonly #machine: HubMachine<MemoryClient>;
  readonly #now: () => number;
  readonly #clients = new Set<MemoryClient>();
  #isDelivering = false;

  constructor(machine: HubMachine<MemoryClient>, options: MemoryHubOptions) {
    this.#machine = machine;
    this.#now = options.now;
    this.hub = options.hub ?? "memory";
  }

  /** Channels that are open. */
  get size(): number {
    return this.#clients.size;
  }

  /** Drops all channels, as a hub that restarts does. */
  disconnectAll(): void {
    for (const client of [...this.#clients]) this.#close(client);
  }

  open(options: { readonly signal: AbortSignal }): Promise<MessageChannel> {
    if (options.signal.aborted) return Promise.reject(options.signal.reason);
    const client: MemoryClient = new MemoryClient(() => this.#close(client));
    this.#clients.add(client);
    options.signal.addEventListener("abort", () => this.#close(client), { once: true });
    this.#machine.handleOpen(client, "memory", this.#now());
    return Promise.resolve({
      send: (message: string): void => {
        if (message.length > MAX_MESSAGE_LENGTH) {
          throw new RangeError(`Cannot send ${message.length} characters: at most ${MAX_MESSAGE_LENGTH}`);
        }
        if (!this.#clients.has(client)) return;
        this.#machine.handleMessage(client, message, this.#now());
        this.deliver();
      },
      messages: client.queue.stream,
      close: () => this.#close(client),
    });
  }

  /** Delivers what the hub wants sent; to be called when something other than a channel has moved it. */
  deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    this.#machine.handleTimeout(this.#now());
    for (let sent = this.#machine.pollMessage(); sent !== undefined; sent = this.#machine.pollMessage()) {
      if (this.#clients.has(sent.client) && !sent.client.queue.push(sent.message)) this.#close(sent.client);
    }
    this.#isDelivering = false;
    for (let client = this.#machine.pollDisconnect(); client; client = this.#machine.pollDisconnect()) {
      this.#close(client);
    }
  }

  #close(client: MemoryClient): void {
    if (!this.#clients.delete(client)) return;
    client.queue.close();
    this.#machine.handleClosed(client, this.#now());
    this.deliver();
  }
}
