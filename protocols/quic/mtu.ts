/**
 * The datagram size in use: RFC 9000 §14. 1200 bytes during the handshake, then what the settings, the peer and the base
 * allow. Sizes are not probed for yet: who raises `maxUdpPayloadBytes` knows the path.
 *
 * @module
 */

import { MIN_INITIAL_DATAGRAM_BYTES } from "./packet.ts";

/** Chooses the datagram size of a connection. */
export class Mtu {
  /** UDP payload of a datagram with an Initial packet: RFC 9000 §14.1. */
  readonly initialBytes: number;
  readonly #configuredBytes: number;
  #currentBytes: number;

  /**
   * @param initialBytes During the handshake.
   * @param maxUdpPayloadBytes What the settings say.
   */
  constructor(initialBytes: number, maxUdpPayloadBytes: number) {
    this.initialBytes = initialBytes;
    this.#configuredBytes = maxUdpPayloadBytes;
    this.#currentBytes = initialBytes;
  }

  /** UDP payload of a full datagram. */
  get currentBytes(): number {
    return this.#currentBytes;
  }

  /**
   * The handshake is done, or the connection has moved.
   *
   * @param peerMaxBytes The peer's max_udp_payload_size, RFC 9000 §18.2.
   * @param baseMaxBytes What the base can carry.
   */
  onPath(peerMaxBytes: number, baseMaxBytes: number): void {
    this.#currentBytes = Math.max(
      MIN_INITIAL_DATAGRAM_BYTES,
      Math.min(this.#configuredBytes, peerMaxBytes, baseMaxBytes),
    );
  }
}
