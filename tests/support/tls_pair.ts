/**
 * Two TLS handshakes that talk to each other in memory.
 *
 * @module
 */

import { HandshakeViolation, TlsAlert } from "../../protocols/tls/alerts.ts";
import type { AlertName } from "../../protocols/tls/alerts.ts";
import { rawPublicKeyCredential } from "../../protocols/tls/certificates.ts";
import type { TlsConfig } from "../../protocols/tls/config.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import type { CryptoData, TlsEvent } from "../../protocols/tls/events.ts";
import { TlsHandshake } from "../../protocols/tls/handshake.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import { seededRandom } from "./seeded_random.ts";

/** The client's long-term key in tests. */
export const CLIENT_KEY: Ed25519PrivateKey = Ed25519PrivateKey.fromSeed(new Uint8Array(32).fill(0xc1));

/** The server's long-term key in tests. */
export const SERVER_KEY: Ed25519PrivateKey = Ed25519PrivateKey.fromSeed(new Uint8Array(32).fill(0x5e));

/** A client with a raw key that expects the server's. */
export const CLIENT_CONFIG: TlsConfig = {
  role: "client",
  cipherSuites: DEFAULT_CIPHER_SUITES,
  applicationProtocols: ["q2q"],
  transportParameters: new Uint8Array([1, 2, 3]),
  credentials: [rawPublicKeyCredential(CLIENT_KEY)],
  peer: { certificateTypes: ["RawPublicKey"], publicKeys: [SERVER_KEY.publicKey.bytes], ask: false },
  keyLog: false,
};

/** A server with a raw key that expects the client's. */
export const SERVER_CONFIG: TlsConfig = {
  role: "server",
  cipherSuites: DEFAULT_CIPHER_SUITES,
  applicationProtocols: ["q2q"],
  transportParameters: new Uint8Array([4, 5, 6, 7]),
  credentials: [rawPublicKeyCredential(SERVER_KEY)],
  peer: { certificateTypes: ["RawPublicKey"], publicKeys: [CLIENT_KEY.publicKey.bytes], ask: false },
  keyLog: false,
};

/** One side, with everything that came out of it. */
export class TlsSide {
  readonly handshake: TlsHandshake;
  readonly events: TlsEvent[] = [];
  /** What it said, in order. */
  readonly sent: CryptoData[] = [];
  /** What made it fail, if it is an alert. */
  alert: TlsAlert | undefined;
  /** What made it fail, if it is a rule of QUIC. */
  violation: HandshakeViolation | undefined;

  constructor(config: TlsConfig, seed: number) {
    this.handshake = new TlsHandshake(config, seededRandom(seed));
  }

  /** Runs `action`; a failure is kept, anything else thrown goes on. Returns what is to be sent now. */
  run(action: (handshake: TlsHandshake) => void): CryptoData[] {
    try {
      action(this.handshake);
    } catch (error) {
      if (error instanceof TlsAlert) this.alert ??= error;
      else if (error instanceof HandshakeViolation) this.violation ??= error;
      else throw error;
    }
    const data: CryptoData[] = [];
    for (let event = this.handshake.pollEvent(); event !== undefined; event = this.handshake.pollEvent()) {
      this.events.push(event);
    }
    for (let next = this.handshake.pollCrypto(); next !== undefined; next = this.handshake.pollCrypto()) {
      data.push(next);
    }
    this.sent.push(...data);
    return data;
  }

  /** What the peer is told: the name of an alert, or PROTOCOL_VIOLATION. */
  get failure(): AlertName | "PROTOCOL_VIOLATION" | undefined {
    return this.violation === undefined ? this.alert?.alert : "PROTOCOL_VIOLATION";
  }

  /** Names of the events so far; secrets with level and direction. */
  get eventNames(): string[] {
    return this.events.map((event) =>
      event.type === "secrets" ? `secrets ${event.level} ${event.direction}` : event.type
    );
  }

  /** The one secret of that level and direction. */
  secret(level: "handshake" | "application", direction: "read" | "write"): Uint8Array | undefined {
    for (const event of this.events) {
      if (event.type === "secrets" && event.level === level && event.direction === direction) return event.secret;
    }
    return undefined;
  }

  /** The handshakeComplete event, once it is there. */
  get complete(): (TlsEvent & { type: "handshakeComplete" }) | undefined {
    return this.events.find((event) => event.type === "handshakeComplete");
  }
}

/** A client and a server, and what lies between them. */
export class TlsPair {
  readonly client: TlsSide;
  readonly server: TlsSide;

  constructor(client: TlsConfig = CLIENT_CONFIG, server: TlsConfig = SERVER_CONFIG, seed = 1) {
    this.client = new TlsSide(client, seed);
    this.server = new TlsSide(server, seed + 1);
  }

  /**
   * Starts the client and delivers until nobody has anything to say.
   *
   * @param change Called with each piece of data before it is delivered; what it returns is delivered instead.
   */
  run(change: (from: "client" | "server", data: CryptoData) => CryptoData[] = (_, data) => [data]): this {
    this.deliver("client", this.client.run((handshake) => handshake.start()), change);
    return this;
  }

  /** Delivers `data` and everything it leads to. */
  deliver(
    from: "client" | "server",
    data: CryptoData[],
    change: (from: "client" | "server", data: CryptoData) => CryptoData[] = (_, one) => [one],
  ): void {
    let queue = data.map((one) => ({ from, one }));
    for (let round = 0; queue.length > 0; round++) {
      if (round > 20) throw new Error("The handshake does not come to an end");
      const next: typeof queue = [];
      for (const { from, one } of queue) {
        const to = from === "client" ? "server" : "client";
        for (const { level, data } of change(from, one)) {
          const answers = this[to].run((handshake) => handshake.handleCrypto(level, data));
          next.push(...answers.map((answer) => ({ from: to as "client" | "server", one: answer })));
        }
      }
      queue = next;
    }
  }
}
