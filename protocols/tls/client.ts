/**
 * The client's side of the handshake: RFC 8446 §A.1 as states that carry what is known in them.
 *
 * @module
 */

import { randomBytes } from "../core/random.ts";
import { HandshakeViolation, TlsAlert } from "./alerts.ts";
import type { CertificateType } from "./certificates.ts";
import { CIPHER_SUITES } from "./cipher_suites.ts";
import type { CipherSuite } from "./cipher_suites.ts";
import { keySharesOf } from "./config.ts";
import { presentedCertificates } from "./context.ts";
import type { HandshakeContext, HandshakeSide } from "./context.ts";
import type { EncryptionLevel, Verdict } from "./events.ts";
import { extensionCode } from "./extensions.ts";
import { readHelloRetryRequest, secondClientHello } from "./hello_retry.ts";
import { deriveApplicationSecrets, deriveHandshakeSecrets, messageHash } from "./key_schedule.ts";
import type { ApplicationSecrets, ExporterSecret, HandshakeSecrets } from "./key_schedule.ts";
import { isHelloRetryRequest, RANDOM_BYTES, TLS_1_3 } from "./messages.ts";
import type {
  Certificate,
  CertificateRequest,
  CertificateVerify,
  ClientHello,
  EncryptedExtensions,
  Finished,
  HandshakeMessage,
  NewSessionTicket,
  ServerHello,
} from "./messages.ts";
import { NAMED_GROUPS, namedGroupOf } from "./named_groups.ts";
import type { KeyExchange, NamedGroupName } from "./named_groups.ts";
import { checkOffered, chooseCredential, chosenType, offeredExtensions } from "./offer.ts";
import { examineCertificates } from "./peer_policy.ts";
import type { PeerIdentity, PresentedCertificate } from "./peer_policy.ts";
import { schemesFor } from "./signature_schemes.ts";
import type { SignatureScheme } from "./signature_schemes.ts";

/** In a ticket QUIC allows no other size of early data: RFC 9001 §4.6.1. */
const QUIC_MAX_EARLY_DATA_BYTES = 0xffffffff;

/** What ServerHello and EncryptedExtensions have settled. */
interface Session {
  readonly suite: CipherSuite;
  readonly group: NamedGroupName;
  readonly secrets: HandshakeSecrets;
  readonly applicationProtocol: string;
  readonly serverCertificateType: CertificateType;
  readonly clientCertificateType: CertificateType;
}

type State =
  | { readonly name: "start" }
  | {
    readonly name: "expectServerHello";
    readonly clientHello: ClientHello;
    /** The same, encoded. */
    readonly bytes: Uint8Array;
    /** Our half of each group that it has a share of. */
    readonly keyExchanges: ReadonlyMap<number, KeyExchange>;
    /** What a HelloRetryRequest has settled, once there was one. */
    readonly retrySuite: CipherSuite | undefined;
  }
  | {
    readonly name: "expectEncryptedExtensions";
    readonly suite: CipherSuite;
    readonly group: NamedGroupName;
    readonly secrets: HandshakeSecrets;
    readonly offered: ReadonlySet<number>;
  }
  | { readonly name: "expectCertificateOrRequest"; readonly session: Session }
  | { readonly name: "expectCertificate"; readonly session: Session; readonly request: CertificateRequest }
  | {
    readonly name: "expectCertificateVerify";
    readonly session: Session;
    readonly request: CertificateRequest | undefined;
    readonly presented: PresentedCertificate;
  }
  | {
    readonly name: "awaitVerdict";
    readonly session: Session;
    readonly request: CertificateRequest | undefined;
    readonly peer: PeerIdentity;
  }
  | {
    readonly name: "expectFinished";
    readonly session: Session;
    readonly request: CertificateRequest | undefined;
    readonly peer: PeerIdentity;
  }
  | {
    readonly name: "awaitSignature";
    readonly session: Session;
    readonly application: ApplicationSecrets;
    readonly peer: PeerIdentity;
    readonly scheme: SignatureScheme;
  }
  | { readonly name: "complete"; readonly exporter: ExporterSecret };

/** The client's side. */
export class ClientSide implements HandshakeSide {
  readonly #context: HandshakeContext;
  #state: State = { name: "start" };

  constructor(context: HandshakeContext) {
    this.#context = context;
  }

  get readLevel(): EncryptionLevel {
    const { name } = this.#state;
    if (name === "start" || name === "expectServerHello") return "initial";
    // Once the server's Finished is in, our own signature changes nothing about what the server may say.
    return name === "awaitSignature" || name === "complete" ? "application" : "handshake";
  }

  get isWaiting(): boolean {
    return this.#state.name === "awaitVerdict" || this.#state.name === "awaitSignature";
  }

  get exporterSecret(): ExporterSecret | undefined {
    return this.#state.name === "complete" ? this.#state.exporter : undefined;
  }

  /** @throws {TypeError} If it has been called before. */
  start(): void {
    if (this.#state.name !== "start") throw new TypeError("Cannot start TLS: it has been started");
    const { config, random } = this.#context;
    const keyExchanges = new Map<number, KeyExchange>();
    for (const name of keySharesOf(config)) {
      const { code, generate } = NAMED_GROUPS[name];
      keyExchanges.set(code, generate(random));
    }
    const shares = [...keyExchanges].map(([group, { publicKey }]) => ({ group, key: publicKey }));
    const clientHello: ClientHello = {
      type: "client_hello",
      random: randomBytes(random, RANDOM_BYTES),
      // RFC 9001 §8.4: the compatibility mode of TLS is not for QUIC.
      legacySessionId: new Uint8Array(0),
      cipherSuites: config.cipherSuites.map((name) => CIPHER_SUITES[name].code),
      extensions: offeredExtensions(config, shares),
    };
    this.#context.noteClientRandom(clientHello.random);
    const bytes = this.#context.send("initial", clientHello);
    this.#state = { name: "expectServerHello", clientHello, bytes, keyExchanges, retrySuite: undefined };
  }

  handleMessage(message: HandshakeMessage, bytes: Uint8Array): void {
    const state = this.#state;
    switch (state.name) {
      case "expectServerHello":
        if (message.type === "server_hello") return this.#onServerHello(state, message, bytes);
        break;
      case "expectEncryptedExtensions":
        if (message.type === "encrypted_extensions") return this.#onEncryptedExtensions(state, message, bytes);
        break;
      case "expectCertificateOrRequest":
        if (message.type === "certificate_request") return this.#onCertificateRequest(state.session, message, bytes);
        if (message.type === "certificate") return this.#onCertificate(state.session, undefined, message, bytes);
        break;
      case "expectCertificate":
        if (message.type === "certificate") return this.#onCertificate(state.session, state.request, message, bytes);
        break;
      case "expectCertificateVerify":
        if (message.type === "certificate_verify") return this.#onCertificateVerify(state, message, bytes);
        break;
      case "expectFinished":
        if (message.type === "finished") return this.#onFinished(state, message, bytes);
        break;
      case "complete":
        // Tickets are the only thing a server may still say.
        if (message.type === "new_session_ticket") return checkTicket(message);
        if (message.type === "certificate_request") {
          throw new HandshakeViolation("CertificateRequest after the handshake"); // RFC 9001 §4.4
        }
        break;
      case "start":
      case "awaitVerdict":
      case "awaitSignature":
        break;
    }
    throw new TlsAlert("unexpected_message", `${message.type} where the state is ${state.name}`);
  }

  provideVerdict(verdict: Verdict): void {
    const state = this.#state;
    if (state.name !== "awaitVerdict") throw new TypeError("Cannot take a verdict: none was asked for");
    if (!verdict.accepted) throw new TlsAlert(verdict.alert, verdict.reason ?? "The peer was not accepted");
    this.#state = { ...state, name: "expectFinished" };
  }

  provideSignature(signature: Uint8Array): void {
    const state = this.#state;
    if (state.name !== "awaitSignature") throw new TypeError("Cannot take a signature: none was asked for");
    this.#context.sendCertificateVerify(state.scheme, signature);
    this.#complete(state.session, state.application, state.peer);
  }

  #onServerHello(state: State & { name: "expectServerHello" }, message: ServerHello, bytes: Uint8Array): void {
    const isRetry = isHelloRetryRequest(message);
    // RFC 8446 §4.1.4: one is enough.
    if (isRetry && state.retrySuite !== undefined) {
      throw new TlsAlert("unexpected_message", "A second HelloRetryRequest");
    }
    const offered = new Set(state.clientHello.extensions.map(extensionCode));
    // RFC 8446 §4.2: a cookie is the one thing said unasked.
    checkOffered(isRetry ? message.extensions.filter(({ type }) => type !== "cookie") : message.extensions, offered);
    const suite = this.#chosenSuite(message);
    if (isRetry) return this.#onHelloRetryRequest(state, suite, message, bytes);
    if (state.retrySuite !== undefined && suite !== state.retrySuite) {
      throw new TlsAlert("illegal_parameter", "ServerHello with another cipher suite than HelloRetryRequest");
    }
    const share = message.extensions.find((extension) => extension.type === "key_share")?.entries[0];
    if (share === undefined) throw new TlsAlert("missing_extension", "ServerHello without key_share");
    const group = namedGroupOf(share.group);
    const keyExchange = state.keyExchanges.get(share.group);
    // RFC 8446 §4.2.8: one that we sent a share of, which after a HelloRetryRequest is the one it asked for.
    if (group === undefined || keyExchange === undefined) {
      throw new TlsAlert("illegal_parameter", "The server chose another group");
    }
    const sharedSecret = keyExchange.sharedSecret(share.key);
    if (sharedSecret === undefined) throw new TlsAlert("illegal_parameter", "The server's key share is not usable");

    if (state.retrySuite === undefined) this.#context.startTranscript(suite.hash, state.bytes);
    this.#context.addToTranscript(bytes);
    const secrets = deriveHandshakeSecrets(suite.hash, sharedSecret, this.#context.transcriptHash);
    this.#context.emitSecret("handshake", "read", secrets.server, suite);
    this.#context.emitSecret("handshake", "write", secrets.client, suite);
    this.#state = { name: "expectEncryptedExtensions", suite, group: group.name, secrets, offered };
  }

  /** What ServerHello and HelloRetryRequest have to say alike: RFC 8446 §4.1.3, §4.1.4. */
  #chosenSuite(message: ServerHello): CipherSuite {
    const versions = message.extensions.find((extension) => extension.type === "supported_versions")?.versions;
    // Without the extension it is a server of TLS 1.2, which QUIC never speaks: RFC 9001 §4.2.
    if (versions === undefined) throw new TlsAlert("protocol_version", "The server does not speak TLS 1.3");
    if (versions[0] !== TLS_1_3) throw new TlsAlert("illegal_parameter", "The server chose a version not offered");
    // RFC 8446 §4.1.3: an echo of what we sent, which is empty.
    if (message.legacySessionIdEcho.length !== 0) {
      throw new TlsAlert("illegal_parameter", "The server echoes a session ID that was not sent");
    }
    const suite = this.#context.config.cipherSuites.map((name) => CIPHER_SUITES[name])
      .find(({ code }) => code === message.cipherSuite);
    if (suite === undefined) throw new TlsAlert("illegal_parameter", "The server chose a cipher suite not offered");
    return suite;
  }

  #onHelloRetryRequest(
    state: State & { name: "expectServerHello" },
    suite: CipherSuite,
    message: ServerHello,
    bytes: Uint8Array,
  ): void {
    const context = this.#context;
    const { group: code, cookie } = readHelloRetryRequest(state.clientHello, message);
    const group = code === undefined ? undefined : namedGroupOf(code);
    const keyExchange = group?.generate(context.random);
    const share = group === undefined || keyExchange === undefined
      ? undefined
      : { group: group.code, key: keyExchange.publicKey };
    const clientHello = secondClientHello(state.clientHello, share, cookie);
    context.startTranscript(suite.hash, messageHash(suite.hash, state.bytes));
    context.addToTranscript(bytes);
    this.#state = {
      name: "expectServerHello",
      clientHello,
      bytes: context.send("initial", clientHello),
      keyExchanges: group === undefined || keyExchange === undefined
        ? state.keyExchanges
        : new Map([[group.code, keyExchange]]),
      retrySuite: suite,
    };
  }

  #onEncryptedExtensions(
    state: State & { name: "expectEncryptedExtensions" },
    message: EncryptedExtensions,
    bytes: Uint8Array,
  ): void {
    const { config } = this.#context;
    const { extensions } = message;
    checkOffered(extensions, state.offered);
    const protocols =
      extensions.find((extension) => extension.type === "application_layer_protocol_negotiation")?.protocols ?? [];
    const applicationProtocol = protocols[0];
    // RFC 9001 §8.1: without a protocol agreed on there is no connection. RFC 7301 §3.1: exactly one, of ours.
    if (
      applicationProtocol === undefined || protocols.length > 1 ||
      !config.applicationProtocols.includes(applicationProtocol)
    ) {
      throw new TlsAlert("no_application_protocol", "The server chose none of the protocols offered");
    }
    const parameters = extensions.find((extension) => extension.type === "quic_transport_parameters");
    // RFC 9001 §8.2.
    if (parameters === undefined) {
      throw new TlsAlert("missing_extension", "EncryptedExtensions without quic_transport_parameters");
    }
    const serverTypes = extensions.find((extension) => extension.type === "server_certificate_type");
    const serverCertificateType = chosenType(serverTypes?.certificateTypes, config.peer.certificateTypes);
    const clientTypes = extensions.find((extension) => extension.type === "client_certificate_type");
    const clientCertificateType = clientTypes === undefined
      ? "X509"
      : chosenType(clientTypes.certificateTypes, config.credentials.map((credential) => credential.certificateType));

    this.#context.addToTranscript(bytes);
    this.#context.emit({ type: "transportParameters", bytes: parameters.bytes });
    this.#state = {
      name: "expectCertificateOrRequest",
      session: {
        suite: state.suite,
        group: state.group,
        secrets: state.secrets,
        applicationProtocol,
        serverCertificateType,
        clientCertificateType,
      },
    };
  }

  #onCertificateRequest(session: Session, message: CertificateRequest, bytes: Uint8Array): void {
    // RFC 8446 §4.3.2: empty unless it is post-handshake authentication, which QUIC has not.
    if (message.context.length !== 0) throw new TlsAlert("illegal_parameter", "CertificateRequest with a context");
    if (!message.extensions.some((extension) => extension.type === "signature_algorithms")) {
      throw new TlsAlert("missing_extension", "CertificateRequest without signature_algorithms");
    }
    this.#context.addToTranscript(bytes);
    this.#state = { name: "expectCertificate", session, request: message };
  }

  #onCertificate(
    session: Session,
    request: CertificateRequest | undefined,
    message: Certificate,
    bytes: Uint8Array,
  ): void {
    const certificates = presentedCertificates(message);
    // RFC 8446 §4.4.2.4: a server's Certificate is never empty.
    if (certificates.length === 0) throw new TlsAlert("decode_error", "The server presents no certificate");
    const presented = examineCertificates(session.serverCertificateType, certificates, this.#context.config.peer);
    this.#context.addToTranscript(bytes);
    this.#state = { name: "expectCertificateVerify", session, request, presented };
  }

  #onCertificateVerify(
    state: State & { name: "expectCertificateVerify" },
    message: CertificateVerify,
    bytes: Uint8Array,
  ): void {
    const { session, request, presented } = state;
    const { peer } = this.#context.config;
    this.#context.receiveCertificateVerify(message, bytes, presented, schemesFor(peer.certificateTypes));
    if (peer.ask) {
      this.#context.emit({ type: "verifyPeer", peer: presented.identity });
      this.#state = { name: "awaitVerdict", session, request, peer: presented.identity };
    } else {
      this.#state = { name: "expectFinished", session, request, peer: presented.identity };
    }
  }

  #onFinished(state: State & { name: "expectFinished" }, message: Finished, bytes: Uint8Array): void {
    const { session, request, peer } = state;
    const { suite, secrets } = session;
    this.#context.receiveFinished(message, bytes, suite.hash, secrets.server);
    const application = deriveApplicationSecrets(secrets, this.#context.transcriptHash);
    this.#context.emitSecret("application", "read", application.server, suite);
    if (request === undefined) return this.#complete(session, application, peer);

    const choice = chooseCredential(this.#context.config.credentials, session.clientCertificateType, request);
    this.#context.sendCertificate(choice?.credential, request.context);
    // RFC 8446 §4.4.3: no CertificateVerify after an empty Certificate.
    if (choice === undefined) return this.#complete(session, application, peer);
    const signature = this.#context.signTranscript(choice.credential, choice.scheme);
    if (signature === undefined) {
      this.#state = { name: "awaitSignature", session, application, peer, scheme: choice.scheme };
      return;
    }
    this.#context.sendCertificateVerify(choice.scheme, signature);
    this.#complete(session, application, peer);
  }

  #complete(session: Session, application: ApplicationSecrets, peer: PeerIdentity): void {
    const { suite, group, secrets, applicationProtocol } = session;
    this.#context.sendFinished(suite.hash, secrets.client);
    this.#context.emitSecret("application", "write", application.client, suite);
    this.#context.emitKeyLog("EXPORTER_SECRET", application.exporter);
    const { serverName } = this.#context.config;
    this.#context.emit({ type: "handshakeComplete", applicationProtocol, serverName, group, peer });
    const { hash, exporter } = application;
    this.#state = { name: "complete", exporter: { hash, exporter } };
  }
}

/** RFC 9001 §4.6.1; otherwise tickets are of no use without pre-shared keys. */
function checkTicket(message: NewSessionTicket): void {
  const early = message.extensions.find((extension) => extension.type === "early_data");
  if (early !== undefined && early.maxEarlyDataBytes !== QUIC_MAX_EARLY_DATA_BYTES) {
    throw new HandshakeViolation("A ticket that limits early data");
  }
}
