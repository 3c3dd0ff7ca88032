/**
 * The TLS 1.3 handshake for QUIC (RFC 8446, RFC 9001 §4), without record layer and without I/O: CRYPTO data in and out,
 * secrets and other events out. {@linkcode TlsHandshake} puts messages together; the client's and the server's states
 * are in files of their own.
 *
 * Left out: pre-shared keys and 0-RTT. A chain of certificates is pinned by its first, or judged by whoever answers
 * `verifyPeer`, with `x509/path.ts`.
 *
 * @module
 */

import type { Random } from "../core/random.ts";
import { HandshakeViolation, TlsAlert } from "./alerts.ts";
import { ClientSide } from "./client.ts";
import { checkTlsConfig } from "./config.ts";
import type { TlsConfig } from "./config.ts";
import { HandshakeContext } from "./context.ts";
import type { HandshakeSide } from "./context.ts";
import type { CryptoData, EncryptionLevel, TlsEvent, Verdict } from "./events.ts";
import { exportSecret } from "./key_schedule.ts";
import { MessageBuffer } from "./message_buffer.ts";
import { decodeMessage } from "./messages.ts";
import { ServerSide } from "./server.ts";

/**
 * One handshake.
 *
 * Taking in: `start`, `handleCrypto`, `provideSignature`, `provideVerdict`; each may throw a {@linkcode TlsAlert} or
 * a {@linkcode HandshakeViolation}, with which the connection has to be closed; from then on nothing is taken any more. Giving out: `pollEvent` and
 * `pollCrypto`, to be drained after each of those, events first, for they hold the keys that the data needs.
 */
export class TlsHandshake {
  readonly #context: HandshakeContext;
  readonly #side: HandshakeSide;
  readonly #buffer = new MessageBuffer();
  #hasFailed = false;

  /**
   * @param config Borrowed for the life of the handshake, and not to be changed meanwhile.
   * @throws {TypeError|RangeError} If the config cannot lead to a handshake.
   */
  constructor(config: TlsConfig, random: Random) {
    checkTlsConfig(config);
    this.#context = new HandshakeContext(config, random);
    this.#side = config.role === "client" ? new ClientSide(this.#context) : new ServerSide(this.#context);
  }

  /** Says the ClientHello. A server has nothing to say first. */
  start(): void {
    this.#side.start();
  }

  /**
   * Takes CRYPTO data of one level, in order and each byte once.
   *
   * @param data Borrowed until the call returns; may hold parts of messages, or several.
   * @throws {TlsAlert} If the peer broke a rule or is not whom we accept.
   * @throws {HandshakeViolation} If the rule was one of QUIC.
   */
  handleCrypto(level: EncryptionLevel, data: Uint8Array): void {
    if (this.#hasFailed || data.length === 0) return;
    this.#guard(() => {
      // RFC 9001 §4.1.3: nothing more comes at a level that was left, and keys for the next come from us; nor does anything
      // come with early data (§8.3).
      if (level !== this.#side.readLevel) {
        throw new HandshakeViolation(`Handshake data at level ${level}, not ${this.#side.readLevel}`);
      }
      this.#buffer.add(data);
      this.#takeMessages();
    });
  }

  /** The next bytes to send in CRYPTO frames. */
  pollCrypto(): CryptoData | undefined {
    return this.#context.pollCrypto();
  }

  /** The next event. */
  pollEvent(): TlsEvent | undefined {
    return this.#context.pollEvent();
  }

  /**
   * Answers `sign`.
   *
   * @param signature By the key of the credential, over the `input` of the event; copied.
   * @throws {TlsAlert} As `handleCrypto` does, for messages that waited.
   * @throws {TypeError} If no signature was asked for.
   */
  provideSignature(signature: Uint8Array): void {
    if (this.#hasFailed) return;
    this.#guard(() => {
      this.#side.provideSignature(signature);
      this.#takeMessages();
    });
  }

  /**
   * Answers `verifyPeer`.
   *
   * @throws {TlsAlert} The alert of the verdict, if the peer is not accepted; else as `handleCrypto` does.
   * @throws {TypeError} If no verdict was asked for.
   */
  provideVerdict(verdict: Verdict): void {
    if (this.#hasFailed) return;
    this.#guard(() => {
      this.#side.provideVerdict(verdict);
      this.#takeMessages();
    });
  }

  /** Whether `handshakeComplete` was reached: RFC 9001 §4.1.1. */
  get isComplete(): boolean {
    return this.#side.exporterSecret !== undefined;
  }

  /**
   * Keying material that only the two sides of this connection know: RFC 8446 §7.5.
   *
   * @param label ASCII, at most 249 characters.
   * @throws {TypeError} If the handshake is not complete.
   */
  exportKeyingMaterial(label: string, context: Uint8Array, lengthBytes: number): Uint8Array {
    const secret = this.#side.exporterSecret;
    if (secret === undefined) throw new TypeError("Cannot export keying material: the handshake is not complete");
    return exportSecret(secret, label, context, lengthBytes);
  }

  #takeMessages(): void {
    while (!this.#side.isWaiting) {
      const bytes = this.#buffer.take();
      if (bytes === undefined) return;
      const level = this.#side.readLevel;
      this.#side.handleMessage(decodeMessage(bytes), bytes);
      // RFC 8446 §5.1: messages do not span a change of keys. RFC 9001 §4.1.3 has the code for it.
      if (this.#side.readLevel !== level && this.#buffer.bufferedBytes > 0) {
        throw new HandshakeViolation(`Handshake data after the last message of level ${level}`);
      }
    }
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (error instanceof TlsAlert || error instanceof HandshakeViolation) {
        this.#hasFailed = true;
        this.#buffer.clear();
        // What led here in the same call is not to look like success: that of a Finished with bytes behind it, for one.
        this.#context.discard();
      }
      throw error;
    }
  }
}
