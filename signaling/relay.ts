/**
 * Signaling through the hub at a relay: its messages travel as a request on the connection that a peer has to the relay, so
 * that one socket and one handshake serve for the name, for the address that others see, and for the relay itself.
 *
 * @module
 */

import type { MessageChannel, Signaling, SignalingRelay } from "./channel.ts";

/** How to get in. */
export interface RelaySignalingOptions {
  /** What a hub with `--token` asks for. */
  readonly token?: string | undefined;
}

/**
 * Signaling through the hub at the relay at `url`.
 *
 * @param url `https://HOST[:PORT]`, with `#SHA-256` of the relay's certificate in hexadecimal if it is to be known by that.
 * @throws {TypeError} If it is no such URL, or none at all.
 */
export function relaySignaling(url: string | undefined, options: RelaySignalingOptions = {}): RelaySignaling {
  if (url === undefined) throw new TypeError("Cannot signal through a relay: give its URL as via");
  return new RelaySignaling(url, options);
}

/** Made by {@linkcode relaySignaling}. */
export class RelaySignaling implements Signaling {
  readonly name = "relay";
  readonly dialogue = "hub";
  readonly hub: string;
  readonly url: string;
  readonly relay: SignalingRelay;

  constructor(url: string, { token }: RelaySignalingOptions) {
    const parsed = URL.parse(url);
    if (
      parsed === null || parsed.protocol !== "https:" || parsed.pathname !== "/" ||
      parsed.username + parsed.password + parsed.search !== "" || !/^(?:#[0-9a-f]{64})?$/i.test(parsed.hash)
    ) {
      throw new TypeError(`Cannot signal through "${url}": it is not https://HOST:PORT#SHA-256, as serve prints it`);
    }
    // As a WebSocket's URL has it: peers of both kinds find each other where the relay has the hub's host and port.
    this.hub = parsed.host;
    this.url = `https://${parsed.host}${parsed.hash.toLowerCase()}`;
    this.relay = { url, ...(token === undefined ? {} : { token }) };
  }

  /** Always rejects: it has no channel of its own. */
  open(): Promise<MessageChannel> {
    return Promise.reject(new Error("Cannot open a channel: the traversal carries the messages of relay signaling"));
  }
}
