/**
 * Joins the CRYPTO streams of the packet number spaces to TLS, and turns its secrets into keys: RFC 9001 §4, RFC 9000 §7.
 *
 * @module
 */

import { equalBytes } from "../core/bytes.ts";
import type { Random } from "../core/random.ts";
import { unreachable } from "../core/unreachable.ts";
import type { AeadBackend } from "../crypto/aead.ts";
import { HandshakeViolation, TlsAlert } from "../tls/alerts.ts";
import type { TlsConfig } from "../tls/config.ts";
import type { EncryptionLevel, TlsEvent, Verdict } from "../tls/events.ts";
import { TlsHandshake } from "../tls/handshake.ts";
import { TRANSPORT_ERROR, TransportError } from "./errors.ts";
import type { PacketNumberSpace } from "./loss_detection.ts";
import { deriveInitialSecrets, INITIAL_SUITE, PacketOpener, PacketSealer } from "./packet_protection.ts";
import type { PacketSpace } from "./packet_space.ts";
import type { Role } from "./stream_id.ts";
import { decodeTransportParameters } from "./transport_parameters.ts";
import type { TransportParameters } from "./transport_parameters.ts";

/** The three spaces by name. */
export interface PacketSpaces {
  readonly Initial: PacketSpace;
  readonly Handshake: PacketSpace;
  readonly Application: PacketSpace;
}

/** What the rest of the connection has to know of TLS: its events, but for secrets, and the parameters decoded. */
export type HandshakeEvent =
  | Exclude<TlsEvent, { readonly type: "secrets" } | { readonly type: "transportParameters" }>
  | { readonly type: "transportParameters"; readonly parameters: TransportParameters }
  /** Keys of a space are there that were not. */
  | { readonly type: "keys"; readonly space: PacketNumberSpace; readonly direction: "read" | "write" };

/** What the handshake of one connection is made of. */
export interface HandshakeOptions {
  readonly role: Role;
  readonly tls: TlsConfig;
  readonly aead: AeadBackend;
  readonly random: Random;
  readonly spaces: PacketSpaces;
}

/** The handshake of one connection. */
export class Handshake {
  readonly #role: Role;
  readonly #tls: TlsHandshake;
  readonly #aead: AeadBackend;
  readonly #spaces: PacketSpaces;
  #peerParameters: TransportParameters | undefined;

  constructor(options: HandshakeOptions) {
    this.#role = options.role;
    this.#aead = options.aead;
    this.#spaces = options.spaces;
    this.#tls = new TlsHandshake(options.tls, options.random);
  }

  /** Has TLS say what it says first: the ClientHello. */
  start(): void {
    this.#tls.start();
    this.#flush();
  }

  /** Whether TLS is done on our side: RFC 9001 §4.1.1. */
  get isComplete(): boolean {
    return this.#tls.isComplete;
  }

  /** Keying material: RFC 8446 §7.5. @throws {TypeError} If the handshake is not complete. */
  exportKeyingMaterial(label: string, context: Uint8Array, lengthBytes: number): Uint8Array {
    return this.#tls.exportKeyingMaterial(label, context, lengthBytes);
  }

  /** What the peer declared, once it has; not authenticated before the handshake is complete: RFC 9001 §8.2. */
  get peerParameters(): TransportParameters | undefined {
    return this.#peerParameters;
  }

  /** Makes Initial keys: RFC 9001 §5.2. @param destinationConnectionId Of the client's Initial. */
  installInitialKeys(destinationConnectionId: Uint8Array): void {
    const secrets = deriveInitialSecrets(destinationConnectionId);
    const [ours, theirs] = this.#role === "client"
      ? [secrets.client, secrets.server]
      : [secrets.server, secrets.client];
    this.#spaces.Initial.setSealer(new PacketSealer(this.#aead, INITIAL_SUITE, ours));
    this.#spaces.Initial.setOpener(new PacketOpener(this.#aead, INITIAL_SUITE, theirs));
  }

  /**
   * A CRYPTO frame came in.
   *
   * @throws {TransportError} CRYPTO_BUFFER_EXCEEDED, CRYPTO_ERROR with the alert of TLS, or PROTOCOL_VIOLATION.
   */
  onCrypto(space: PacketSpace, offset: number, data: Uint8Array): void {
    space.cryptoReceive.receive(offset, data);
    for (let next = space.cryptoReceive.read(); next !== undefined; next = space.cryptoReceive.read()) {
      this.#guard(next, (bytes) => this.#tls.handleCrypto(levelOf(space.name), bytes));
    }
    this.#flush();
  }

  /** The answer to `sign`. @throws {TransportError} CRYPTO_ERROR if TLS cannot go on. */
  provideSignature(signature: Uint8Array): void {
    this.#guard(signature, (bytes) => this.#tls.provideSignature(bytes));
    this.#flush();
  }

  /** The answer to `verifyPeer`. @throws {TransportError} CRYPTO_ERROR if the verdict is no. */
  provideVerdict(verdict: Verdict): void {
    this.#guard(verdict, (given) => this.#tls.provideVerdict(given));
    this.#flush();
  }

  /** The next thing that happened, keys already installed. @throws {TransportError} If the parameters are not valid. */
  pollEvent(): HandshakeEvent | undefined {
    const event = this.#tls.pollEvent();
    if (event === undefined) return undefined;
    switch (event.type) {
      case "secrets":
        return this.#installSecrets(event);
      case "transportParameters": {
        const sender: Role = this.#role === "client" ? "server" : "client";
        const parameters = decodeTransportParameters(event.bytes, sender);
        this.#peerParameters = withoutIds(parameters);
        return { type: "transportParameters", parameters };
      }
      case "sign":
      case "verifyPeer":
      case "handshakeComplete":
      case "keyLog":
        return event;
      default:
        return unreachable(event);
    }
  }

  #installSecrets(event: Extract<TlsEvent, { readonly type: "secrets" }>): HandshakeEvent {
    const space = event.level === "handshake" ? this.#spaces.Handshake : this.#spaces.Application;
    const suite = event.cipherSuite;
    if (event.direction === "write") {
      const sealer = new PacketSealer(this.#aead, suite, event.secret);
      if (event.level === "application") sealer.prepareUpdate();
      space.setSealer(sealer);
    } else {
      const opener = new PacketOpener(this.#aead, suite, event.secret);
      if (event.level === "application") opener.prepareUpdate();
      space.setOpener(opener);
    }
    return { type: "keys", space: space.name, direction: event.direction };
  }

  /** Hands what TLS wants sent to the CRYPTO streams. */
  #flush(): void {
    for (let crypto = this.#tls.pollCrypto(); crypto !== undefined; crypto = this.#tls.pollCrypto()) {
      this.#spaceOf(crypto.level).cryptoSend.write(crypto.data);
    }
  }

  #spaceOf(level: EncryptionLevel): PacketSpace {
    switch (level) {
      case "initial":
        return this.#spaces.Initial;
      case "handshake":
        return this.#spaces.Handshake;
      case "early":
      case "application":
        return this.#spaces.Application;
      default:
        return unreachable(level);
    }
  }

  /** RFC 9001 §4.8: an alert becomes CRYPTO_ERROR. */
  #guard<T>(argument: T, call: (argument: T) => void): void {
    try {
      call(argument);
    } catch (error) {
      if (error instanceof HandshakeViolation) {
        throw new TransportError("PROTOCOL_VIOLATION", error.message, { frameType: 0x06 });
      }
      if (!(error instanceof TlsAlert)) throw error;
      throw new TransportError(TRANSPORT_ERROR.CRYPTO_ERROR + error.code, error.message, { frameType: 0x06 });
    }
  }
}

/** What is looked at once the handshake has begun: IDs and tokens have been taken up by then. */
function withoutIds(parameters: TransportParameters): TransportParameters {
  const {
    originalDestinationConnectionId: _original,
    initialSourceConnectionId: _initial,
    retrySourceConnectionId: _retry,
    statelessResetToken: _token,
    ...others
  } = parameters;
  return others;
}

function levelOf(space: PacketNumberSpace): EncryptionLevel {
  switch (space) {
    case "Initial":
      return "initial";
    case "Handshake":
      return "handshake";
    case "Application":
      return "application";
    default:
      return unreachable(space);
  }
}

/** Connection IDs as they were on the wire, to be held against the transport parameters: RFC 9000 §7.3. */
export interface HandshakeConnectionIds {
  /** Source Connection ID of the peer's first packet that was processed. */
  readonly peerSource: Uint8Array;
  /** On a client: Destination Connection ID of its very first Initial. */
  readonly originalDestination?: Uint8Array;
  /** On a client: Source Connection ID of the Retry it followed. */
  readonly retrySource?: Uint8Array;
}

/**
 * Authenticates the connection IDs of the handshake: RFC 9000 §7.3.
 *
 * @throws {TransportError} TRANSPORT_PARAMETER_ERROR if the peer saw others than we did.
 */
export function checkConnectionIds(role: Role, parameters: TransportParameters, ids: HandshakeConnectionIds): void {
  checkSame("initial_source_connection_id", parameters.initialSourceConnectionId, ids.peerSource);
  if (role === "server") return;
  checkSame(
    "original_destination_connection_id",
    parameters.originalDestinationConnectionId,
    ids.originalDestination,
  );
  checkSame("retry_source_connection_id", parameters.retrySourceConnectionId, ids.retrySource);
}

function checkSame(name: string, declared: Uint8Array | undefined, seen: Uint8Array | undefined): void {
  if (declared === undefined && seen === undefined) return;
  if (declared !== undefined && seen !== undefined && equalBytes(declared, seen)) return;
  throw new TransportError("TRANSPORT_PARAMETER_ERROR", `${name} is not what was on the wire`);
}
