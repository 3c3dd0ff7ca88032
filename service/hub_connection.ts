/**
 * A client's connection to the hub, whatever carries it: a WebSocket or a stream of HTTP/3. What the hub has to say to its
 * clients comes out of `ServiceMachine`.
 *
 * @module
 */

import { equalSecrets } from "../protocols/crypto/constant_time.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import type { HubMachine } from "../signaling/hub_machine.ts";
import { encodeText } from "../signaling/signed.ts";

/** The hub's end of what carries messages. */
export interface HubSocket {
  /** Dropped silently once it is closed; a client that does not read is cut off. */
  send(message: string, now: number): void;
  /** Closes it when everything was sent. */
  close(now: number): void;
}

/** One connection, as the hub tells it from others. */
export interface HubConnection {
  readonly socket: HubSocket;
}

/** What the client's end does. */
export interface HubClientHandler {
  handleMessage(message: string, now: number): void;
  /** The last call. */
  handleClosed(now: number): void;
}

/** Lets clients in. */
export class HubGate {
  readonly #hub: HubMachine<HubConnection>;
  readonly #tokenDigest: Uint8Array | undefined;

  /** @param token What clients must show, if anything. */
  constructor(hub: HubMachine<HubConnection>, token: string | undefined) {
    this.#hub = hub;
    this.#tokenDigest = token === undefined ? undefined : sha256(encodeText(`Bearer ${token}`));
  }

  /** Whether that value of the Authorization field is the one that is asked for (RFC 6750 §2.1). */
  isAuthorized(authorization: string | undefined): boolean {
    if (this.#tokenDigest === undefined) return true;
    // Digests have one length, so that the time of the comparison tells nothing of the token's.
    return equalSecrets(this.#tokenDigest, sha256(encodeText(authorization ?? "")));
  }

  /** @param source Where the client connects from: an IP address. */
  open(socket: HubSocket, source: string, now: number): HubClientHandler {
    const hub = this.#hub;
    const connection: HubConnection = { socket };
    hub.handleOpen(connection, source, now);
    return {
      handleMessage: (message, at) => hub.handleMessage(connection, message, at),
      handleClosed: (at) => hub.handleClosed(connection, at),
    };
  }
}
