/**
 * What both sides of a handshake do alike: keep the transcript, say messages, report events, sign and verify.
 *
 * @module
 */

import type { Random } from "../core/random.ts";
import { equalSecrets } from "../crypto/constant_time.ts";
import { RunningHash } from "../crypto/hash.ts";
import type { HashName } from "../crypto/hash.ts";
import { TlsAlert } from "./alerts.ts";
import type { Credential } from "./certificates.ts";
import type { CipherSuite } from "./cipher_suites.ts";
import type { TlsConfig } from "./config.ts";
import type { CryptoData, EncryptionLevel, KeyLogLabel, TlsEvent, Verdict } from "./events.ts";
import { certificateVerifyInput, finishedVerifyData } from "./key_schedule.ts";
import type { ExporterSecret } from "./key_schedule.ts";
import { encodeMessage } from "./messages.ts";
import type { Certificate, CertificateVerify, Finished, HandshakeMessage } from "./messages.ts";
import type { PresentedCertificate } from "./peer_policy.ts";
import { SIGNATURE_SCHEME_CODES, signatureSchemeOf } from "./signature_schemes.ts";
import type { SignatureScheme } from "./signature_schemes.ts";

/** One side of a handshake: states, and what each does with a message. */
export interface HandshakeSide {
  /** The level that messages are taken from; those of another level are refused. */
  readonly readLevel: EncryptionLevel;
  /** Whether it waits for `provideSignature` or `provideVerdict`, so that messages have to wait too. */
  readonly isWaiting: boolean;
  /** What exporters are made from; `undefined` until the handshake is complete. */
  readonly exporterSecret: ExporterSecret | undefined;
  start(): void;
  /** @param bytes The whole message, for the transcript. */
  handleMessage(message: HandshakeMessage, bytes: Uint8Array): void;
  provideSignature(signature: Uint8Array): void;
  provideVerdict(verdict: Verdict): void;
}

const NO_BYTES = new Uint8Array(0);

/** The parts of a handshake that do not depend on its side. */
export class HandshakeContext {
  readonly config: TlsConfig;
  readonly random: Random;
  readonly #crypto: CryptoData[] = [];
  readonly #events: TlsEvent[] = [];
  #transcript: RunningHash | undefined;
  /** Of the ClientHello, for key logs; empty where there are none. */
  #clientRandom: Uint8Array = NO_BYTES;

  constructor(config: TlsConfig, random: Random) {
    this.config = config;
    this.random = random;
  }

  /** Kept only for whoever wants key logs. */
  noteClientRandom(random: Uint8Array): void {
    if (this.config.keyLog) this.#clientRandom = random.slice();
  }

  /** The hash of all messages so far: RFC 8446 §4.4.1. */
  get transcriptHash(): Uint8Array {
    return this.#requireTranscript().digest();
  }

  /** Begins the transcript once the suite, and so its hash, is known. */
  startTranscript(name: HashName, clientHello: Uint8Array): void {
    this.#transcript = new RunningHash(name);
    this.#transcript.update(clientHello);
  }

  /** Adds a message that was received. */
  addToTranscript(bytes: Uint8Array): void {
    this.#requireTranscript().update(bytes);
  }

  /** Encodes a message, adds it to the transcript if there is one, and queues it. */
  send(level: EncryptionLevel, message: HandshakeMessage): Uint8Array {
    const data = encodeMessage(message);
    this.#transcript?.update(data);
    this.#crypto.push({ level, data });
    return data;
  }

  emit(event: TlsEvent): void {
    this.#events.push(event);
  }

  /** Reports a traffic secret, and logs it if asked to. */
  emitSecret(
    level: "handshake" | "application",
    direction: "read" | "write",
    secret: Uint8Array,
    cipherSuite: CipherSuite,
  ): void {
    const sender = (direction === "write") === (this.config.role === "client") ? "client" : "server";
    this.emitKeyLog(KEY_LOG_LABELS[level][sender], secret);
    this.emit({ type: "secrets", level, direction, secret, cipherSuite });
  }

  emitKeyLog(label: KeyLogLabel, secret: Uint8Array): void {
    if (this.config.keyLog) this.emit({ type: "keyLog", label, clientRandom: this.#clientRandom, secret });
  }

  pollCrypto(): CryptoData | undefined {
    return this.#crypto.shift();
  }

  pollEvent(): TlsEvent | undefined {
    return this.#events.shift();
  }

  /** Forgets what was not polled yet: the handshake has failed. */
  discard(): void {
    this.#crypto.length = 0;
    this.#events.length = 0;
  }

  /** Sends Certificate with what `credential` presents, or with nothing. */
  sendCertificate(credential: Credential | undefined, context: Uint8Array): void {
    const entries = (credential?.certificates ?? []).map((data) => ({ data, extensions: [] }));
    this.send("handshake", { type: "certificate", context, entries });
  }

  /**
   * Signs the transcript as it is now. `undefined`: the credential has no key of its own, and `sign` was emitted.
   */
  signTranscript(credential: Credential, scheme: SignatureScheme): Uint8Array | undefined {
    const input = certificateVerifyInput(this.config.role, this.transcriptHash);
    if (credential.sign !== undefined) return credential.sign(scheme, input);
    this.emit({ type: "sign", scheme, input });
    return undefined;
  }

  sendCertificateVerify(scheme: SignatureScheme, signature: Uint8Array): void {
    this.send("handshake", { type: "certificate_verify", scheme: SIGNATURE_SCHEME_CODES[scheme], signature });
  }

  /** @param trafficSecret Our handshake traffic secret. */
  sendFinished(name: HashName, trafficSecret: Uint8Array): void {
    const verifyData = finishedVerifyData(name, trafficSecret, this.transcriptHash);
    this.send("handshake", { type: "finished", verifyData });
  }

  /**
   * Checks the peer's Finished and adds it to the transcript: RFC 8446 §4.4.4.
   *
   * @param trafficSecret The peer's handshake traffic secret.
   * @throws {TlsAlert} decrypt_error.
   */
  receiveFinished(message: Finished, bytes: Uint8Array, name: HashName, trafficSecret: Uint8Array): void {
    const expected = finishedVerifyData(name, trafficSecret, this.transcriptHash);
    if (!equalSecrets(expected, message.verifyData)) throw new TlsAlert("decrypt_error", "Finished does not verify");
    this.addToTranscript(bytes);
  }

  /**
   * Checks the peer's CertificateVerify and adds it to the transcript: RFC 8446 §4.4.3.
   *
   * @param offered The schemes we said we take.
   * @throws {TlsAlert} illegal_parameter or decrypt_error.
   */
  receiveCertificateVerify(
    message: CertificateVerify,
    bytes: Uint8Array,
    presented: PresentedCertificate,
    offered: readonly SignatureScheme[],
  ): void {
    const scheme = signatureSchemeOf(message.scheme);
    if (scheme === undefined || !offered.includes(scheme) || !presented.key.canVerify(scheme)) {
      throw new TlsAlert("illegal_parameter", `CertificateVerify with the scheme ${message.scheme}`);
    }
    const signer = this.config.role === "client" ? "server" : "client";
    const input = certificateVerifyInput(signer, this.transcriptHash);
    if (!presented.key.verify(scheme, input, message.signature)) {
      throw new TlsAlert("decrypt_error", "CertificateVerify does not verify");
    }
    this.addToTranscript(bytes);
  }

  #requireTranscript(): RunningHash {
    if (this.#transcript === undefined) throw new Error("The transcript was used before its hash was known");
    return this.#transcript;
  }
}

const KEY_LOG_LABELS = {
  handshake: { client: "CLIENT_HANDSHAKE_TRAFFIC_SECRET", server: "SERVER_HANDSHAKE_TRAFFIC_SECRET" },
  application: { client: "CLIENT_TRAFFIC_SECRET_0", server: "SERVER_TRAFFIC_SECRET_0" },
} as const;

/** The certificates of a Certificate message in answer to ours: RFC 8446 §4.4.2. @throws {TlsAlert} */
export function presentedCertificates(message: Certificate): readonly Uint8Array[] {
  // In the handshake the context is empty: ours in CertificateRequest is, and a server's own Certificate has none.
  if (message.context.length !== 0) throw new TlsAlert("illegal_parameter", "Certificate with a context");
  return message.entries.map(({ data, extensions }) => {
    // RFC 8446 §4.4.2: only what our hello or request offered, and that is nothing.
    if (extensions.length > 0) throw new TlsAlert("unsupported_extension", "Certificate with extensions");
    return data;
  });
}
