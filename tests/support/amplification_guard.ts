/**
 * Watches from outside that a server sends no more than three times what came from an address, until the client can have
 * shown that it receives there: RFC 9000 §8, §9.3.
 *
 * @module
 */

import type { Address } from "../../protocols/core/address.ts";
import type { Hop } from "./quic_pair.ts";

interface Source {
  receivedBytes: number;
  sentBytes: number;
  /** Something that the server sent has reached the client there. */
  hasHeard: boolean;
  /** Something that the client sent after that has reached the server: it may be taken to be there. */
  isProven: boolean;
}

/** One server's account with every address. */
export class AmplificationGuard {
  readonly #server: Address;
  readonly #sources = new Map<Address, Source>();
  /** Datagrams of clients that had heard the server when they sent them. */
  readonly #answers = new WeakSet<Uint8Array>();

  constructor(server: Address) {
    this.#server = server;
  }

  /** A datagram leaves. @throws {Error} If the server may not send it. */
  onSent({ from, to }: Hop, bytes: Uint8Array): void {
    if (from !== this.#server) {
      if (this.#sourceOf(from).hasHeard) this.#answers.add(bytes);
      return;
    }
    const source = this.#sourceOf(to);
    source.sentBytes += bytes.length;
    if (source.isProven || source.sentBytes <= 3 * source.receivedBytes) return;
    throw new Error(`${source.sentBytes} bytes went to ${to}, from where ${source.receivedBytes} have come`);
  }

  /** A datagram arrives. */
  onArrived({ from, to }: Hop, bytes: Uint8Array): void {
    if (to !== this.#server) {
      this.#sourceOf(to).hasHeard = true;
      return;
    }
    const source = this.#sourceOf(from);
    source.receivedBytes += bytes.length;
    if (this.#answers.has(bytes)) source.isProven = true;
  }

  #sourceOf(address: Address): Source {
    let source = this.#sources.get(address);
    if (source === undefined) {
      this.#sources.set(address, source = { receivedBytes: 0, sentBytes: 0, hasHeard: false, isProven: false });
    }
    return source;
  }
}
