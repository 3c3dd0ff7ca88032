/**
 * A NAT in miniature on 127.0.0.1: what reaches its inside port goes on to the server from an outside port of its own, and
 * answers go back to whoever asked last.
 *
 * @module
 */

/** Forwards until it is disposed of. */
export class Forwarder implements AsyncDisposable {
  readonly #inside = open();
  readonly #outside = open();
  readonly #running: Promise<unknown>;
  #client: Deno.Addr | undefined;

  /** @param port Where the server is. */
  constructor(port: number) {
    const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
    this.#running = Promise.all([
      pump(this.#inside, async (payload, from) => {
        this.#client = from;
        await this.#outside.send(payload, server);
      }),
      pump(this.#outside, async (payload) => {
        if (this.#client !== undefined) await this.#inside.send(payload, this.#client);
      }),
    ]);
  }

  /** The port to send to. */
  get insidePort(): number {
    return portOf(this.#inside);
  }

  /** The port that the server sees. */
  get outsidePort(): number {
    return portOf(this.#outside);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inside.close();
    this.#outside.close();
    await this.#running;
  }
}

function open(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}

function portOf(socket: Deno.DatagramConn): number {
  return socket.addr.transport === "udp" ? socket.addr.port : 0;
}

async function pump(
  socket: Deno.DatagramConn,
  forward: (payload: Uint8Array, from: Deno.Addr) => Promise<void>,
): Promise<void> {
  for await (const [payload, from] of socket) await forward(payload, from);
}
