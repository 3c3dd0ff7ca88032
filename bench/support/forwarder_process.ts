/**
 * A relay, or a bare forwarder, in a process of its own (`bench/relay_process.ts`), and hosts for those who talk to it.
 *
 * @module
 */

import { DenoHost } from "../../io/deno_host.ts";
import { addressOf, parseAddress } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import type { KnownRelay, PeerHost } from "../../tests/support/relay_world.ts";

/** What a process holds after garbage collection, in bytes. */
export interface ProcessMemory {
  /** JavaScript's objects. */
  readonly objects: number;
  /** What array buffers and native parts of objects have. */
  readonly buffers: number;
  /** What the system has given it. */
  readonly resident: number;
}

/** The process; it ends when this is disposed of. */
export class ForwarderProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  /** @param target Of a forwarder: where it sends to. */
  constructor(kind: "forwarder" | "relay", target = "") {
    const script = new URL("../relay_process.ts", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--unstable-net", "--v8-flags=--expose-gc", script, kind, target],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** The address that a forwarder prints first. */
  async address(): Promise<Address> {
    return parseAddress(await this.#line());
  }

  /** What a relay prints first. */
  async relay(): Promise<KnownRelay> {
    const address = await this.address();
    return { address, certificate: { sha256: Uint8Array.fromBase64(await this.#line()) } };
  }

  /** CPU time so far, in microseconds. */
  async cpu(): Promise<number> {
    return Number(await this.#ask("cpu"));
  }

  /** What it holds now. */
  async memory(): Promise<ProcessMemory> {
    const [objects = NaN, buffers = NaN, resident = NaN] = (await this.#ask("memory")).split(" ").map(Number);
    return { objects, buffers, resident };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
  }

  async #ask(question: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${question}\n`));
    return await this.#line();
  }

  async #line(): Promise<string> {
    return String((await this.#lines.next()).value);
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop() ?? "";
    yield* parts;
  }
}

/** A host of this process on an address of 127.0.0.0/8. */
export function hostOf(name: string, address = "127.0.0.1"): PeerHost & { closeAll(): void } {
  const host = new DenoHost();
  return Object.assign(host, {
    name,
    address: (port = 0): Address => addressOf(address, port),
    closeAll: (): void => host[Symbol.dispose](),
  });
}
