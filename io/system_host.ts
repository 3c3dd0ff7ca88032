/**
 * The host of whatever runtime this is: Deno's own sockets where they are, which takes the flag `--unstable-net`, else those
 * of `node:dgram`.
 *
 * @module
 */

import { DenoHost, type DenoHostOptions } from "./deno_host.ts";
import { DgramHost } from "./dgram_host.ts";

/** What {@linkcode systemHost} opens. */
export interface SystemHost {
  readonly host: DenoHost | DgramHost;
  /** What would be better, and how: one line for people; absent if nothing. */
  readonly note?: string;
}

/** Opens it. Of the options those count that the host has a use for. */
export function systemHost(options: Pick<DenoHostOptions, "maxSockets" | "receiveBufferBytes"> = {}): SystemHost {
  // Other runtimes have one way only.
  if (typeof Deno === "undefined") return { host: new DgramHost(options) };
  if ("listenDatagram" in Deno) return { host: new DenoHost(options) };
  return {
    host: new DgramHost(options),
    note: "packets go through node:dgram, which is slower: give --unstable-net for the runtime's own sockets",
  };
}
