/**
 * How many TCP connections come from where: one source has not all of them, whether or not it ever says anything on them.
 *
 * @module
 */

import { sourceOfHost } from "../signaling/rate_limit.ts";
import { MAX_CLIENTS_PER_SOURCE } from "./hub.ts";

/**
 * TCP connections at once from one source, an IPv4 address or the /64 of an IPv6 address: the clients that the hub takes, and
 * some that ask for `/health` or are turned away.
 */
export const MAX_CONNECTIONS_PER_SOURCE: number = MAX_CLIENTS_PER_SOURCE + 64;

/** What it needs of a socket. */
export interface CountedSocket {
  readonly remoteAddress?: string | undefined;
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

/** Counts connections. */
export class TcpSources {
  readonly #connections = new Map<string, number>();

  /** Sources that have connections. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes a connection in, or ends it at once. @returns Whether it was taken. */
  take(socket: CountedSocket): boolean {
    const source = sourceOfHost(socket.remoteAddress ?? "");
    const count = this.#connections.get(source) ?? 0;
    if (count >= MAX_CONNECTIONS_PER_SOURCE) {
      socket.destroy();
      return false;
    }
    this.#connections.set(source, count + 1);
    socket.once("close", () => {
      const left = (this.#connections.get(source) ?? 1) - 1;
      if (left > 0) this.#connections.set(source, left);
      else this.#connections.delete(source);
    });
    return true;
  }
}
