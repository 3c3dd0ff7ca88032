/**
 * A path in miniature on 127.0.0.1: what reaches its inside port goes on to the server from an outside port of its own, as
 * through a NAT, and answers go back to whoever asked last. It can lose, reorder and rebind.
 *
 * @module
 */

import { randomUnit } from "../../protocols/core/random.ts";
import { seededRandom } from "../support/seeded_random.ts";

/** What goes wrong on the way, in both directions alike. */
export interface ForwarderOptions {
  /** Share of datagrams that vanish. @default {0} */
  readonly loss?: number;
  /** Share of datagrams that are held back until the next one has passed. @default {0} */
  readonly reordering?: number;
  /** @default {1} */
  readonly seed?: number;
}

/** Forwards until it is disposed of. */
export class Forwarder implements AsyncDisposable {
  #server: Deno.NetAddr;
  readonly #options: Required<ForwarderOptions>;
  readonly #inside = open();
  readonly #running: Promise<void>[] = [];
  #outside = open();
  #client: Deno.Addr | undefined;

  /** @param port Where the server is. */
  constructor(port: number, options: ForwarderOptions = {}) {
    this.#server = { transport: "udp", hostname: "127.0.0.1", port };
    this.#options = { loss: 0, reordering: 0, seed: 1, ...options };
    this.#running.push(this.#pump(this.#inside, async (payload) => {
      await this.#outside.send(payload, this.#server);
    }));
    this.#pumpOutside();
  }

  /** The port to send to. */
  get insidePort(): number {
    return portOf(this.#inside);
  }

  /** The port that the server sees. */
  get outsidePort(): number {
    return portOf(this.#outside);
  }

  /** Forgets the mapping, as a NAT does: the server sees another port from now on, and the old one is deaf. */
  rebind(): void {
    const before = this.#outside;
    this.#outside = open();
    before.close();
    this.#pumpOutside();
  }

  /** The server is on another port from now on, as one that was restarted behind a NAT. */
  redirect(port: number): void {
    this.#server = { ...this.#server, port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inside.close();
    this.#outside.close();
    await Promise.all(this.#running);
  }

  #pumpOutside(): void {
    this.#running.push(this.#pump(this.#outside, async (payload) => {
      if (this.#client !== undefined) await this.#inside.send(payload, this.#client);
    }));
  }

  async #pump(socket: Deno.DatagramConn, forward: (payload: Uint8Array) => Promise<void>): Promise<void> {
    const { loss, reordering, seed } = this.#options;
    const random = seededRandom(seed + this.#running.length);
    let held: Uint8Array | undefined;
    for await (const [payload, from] of socket) {
      if (socket === this.#inside) this.#client = from;
      if (randomUnit(random) < loss) continue;
      if (held === undefined && randomUnit(random) < reordering) {
        held = payload;
        continue;
      }
      await forward(payload).catch(ignoreClosed);
      if (held !== undefined) await forward(held).catch(ignoreClosed);
      held = undefined;
    }
  }
}

/** The socket was closed or replaced while a datagram was on its way out: it is lost, as on any path. */
function ignoreClosed(error: unknown): void {
  if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
}

function open(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}

function portOf(socket: Deno.DatagramConn): number {
  return socket.addr.transport === "udp" ? socket.addr.port : 0;
}
