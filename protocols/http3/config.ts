/**
 * What an HTTP/3 connection is told before it starts, and what it says of itself in SETTINGS: RFC 9114 §7.2.4.1.
 *
 * @module
 */

/** How our end behaves. */
export interface Http3Options {
  /**
   * Largest field section taken, counted as RFC 9114 §4.2.2 counts: SETTINGS_MAX_FIELD_SECTION_SIZE. Larger ones end
   * their request with H3_EXCESSIVE_LOAD.
   */
  readonly maxFieldSectionBytes: number;
  /** Server: takes extended CONNECT, SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 9220). */
  readonly enableConnectProtocol: boolean;
  /**
   * Takes and sends HTTP Datagrams, SETTINGS_H3_DATAGRAM (RFC 9297 §2.1.1). The connection underneath must take DATAGRAM
   * frames (`maxDatagramFrameBytes`).
   */
  readonly enableDatagrams: boolean;
}

/** What holds where nothing is said. */
export const DEFAULT_HTTP3_OPTIONS: Http3Options = Object.freeze({
  // Heads of tunnels have some hundred bytes; of web pages, some thousand.
  maxFieldSectionBytes: 16 * 1024,
  enableConnectProtocol: true,
  enableDatagrams: true,
});

/** What the peer's SETTINGS said; where it said nothing, what RFC 9114 §7.2.4.1 makes of that. */
export interface PeerSettings {
  /** Largest field section it takes; `Infinity` if it did not say. */
  readonly maxFieldSectionBytes: number;
  /** A server's: extended CONNECT may be sent to it. */
  readonly enableConnectProtocol: boolean;
  /** HTTP Datagrams may be sent to it, if we take them too. */
  readonly enableDatagrams: boolean;
}

/** @throws {RangeError} If a value cannot work. */
export function checkHttp3Options({ maxFieldSectionBytes }: Http3Options): void {
  if (!Number.isSafeInteger(maxFieldSectionBytes) || maxFieldSectionBytes < 1) {
    throw new RangeError(`Cannot use maxFieldSectionBytes ${maxFieldSectionBytes}: it is not a whole number above 0`);
  }
}
