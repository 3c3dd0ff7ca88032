/**
 * The server's side of the handshake: RFC 8446 §A.2 as states that carry what is known in them.
 *
 * @module
 */

import { randomBytes } from "../core/random.ts";
import { TlsAlert } from "./alerts.ts";
import { presentedCertificates } from "./context.ts";
import type { HandshakeContext, HandshakeSide } from "./context.ts";
import type { EncryptionLevel, Verdict } from "./events.ts";
import type { Extension } from "./extensions.ts";
import { helloRetryRequest, shareAskedFor } from "./hello_retry.ts";
import { deriveApplicationSecrets, deriveHandshakeSecrets, messageHash } from "./key_schedule.ts";
import type { ApplicationSecrets, ExporterSecret, HandshakeSecrets } from "./key_schedule.ts";
import { RANDOM_BYTES, TLS_1_3 } from "./messages.ts";
import type { Certificate, CertificateVerify, ClientHello, Finished, HandshakeMessage } from "./messages.ts";
import { negotiate } from "./negotiation.ts";
import type { ServerChoice } from "./negotiation.ts";
import { examineCertificates } from "./peer_policy.ts";
import type { PeerIdentity, PresentedCertificate } from "./peer_policy.ts";
import { schemesFor, SIGNATURE_SCHEME_CODES } from "./signature_schemes.ts";

/** What is settled once our flight is sent. */
interface Session {
  readonly choice: ServerChoice;
  readonly secrets: HandshakeSecrets;
  readonly application: ApplicationSecrets;
}

type State =
  | { readonly name: "expectClientHello" }
  | { readonly name: "expectSecondClientHello"; readonly first: ClientHello; readonly choice: ServerChoice }
  | { readonly name: "awaitSignature"; readonly choice: ServerChoice; readonly secrets: HandshakeSecrets }
  | { readonly name: "expectCertificate"; readonly session: Session }
  | { readonly name: "expectCertificateVerify"; readonly session: Session; readonly presented: PresentedCertificate }
  | { readonly name: "awaitVerdict"; readonly session: Session; readonly peer: PeerIdentity }
  | { readonly name: "expectFinished"; readonly session: Session; readonly peer: PeerIdentity | undefined }
  | { readonly name: "complete"; readonly exporter: ExporterSecret };

/** The server's side. */
export class ServerSide implements HandshakeSide {
  readonly #context: HandshakeContext;
  #state: State = { name: "expectClientHello" };

  constructor(context: HandshakeContext) {
    this.#context = context;
  }

  get readLevel(): EncryptionLevel {
    const { name } = this.#state;
    if (name === "expectClientHello" || name === "expectSecondClientHello") return "initial";
    return name === "complete" ? "application" : "handshake";
  }

  get isWaiting(): boolean {
    return this.#state.name === "awaitVerdict" || this.#state.name === "awaitSignature";
  }

  get exporterSecret(): ExporterSecret | undefined {
    return this.#state.name === "complete" ? this.#state.exporter : undefined;
  }

  /** The client speaks first. */
  start(): void {}

  handleMessage(message: HandshakeMessage, bytes: Uint8Array): void {
    const state = this.#state;
    switch (state.name) {
      case "expectClientHello":
        if (message.type === "client_hello") return this.#onClientHello(message, bytes);
        break;
      case "expectSecondClientHello":
        if (message.type === "client_hello") return this.#onSecondClientHello(state, message, bytes);
        break;
      case "expectCertificate":
        if (message.type === "certificate") return this.#onCertificate(state.session, message, bytes);
        break;
      case "expectCertificateVerify":
        if (message.type === "certificate_verify") return this.#onCertificateVerify(state, message, bytes);
        break;
      case "expectFinished":
        if (message.type === "finished") return this.#onFinished(state, message, bytes);
        break;
      case "awaitSignature":
      case "awaitVerdict":
      case "complete": // A client has nothing to say after its Finished: KeyUpdate is not used (RFC 9001 §6).
        break;
    }
    throw new TlsAlert("unexpected_message", `${message.type} where the state is ${state.name}`);
  }

  provideSignature(signature: Uint8Array): void {
    const state = this.#state;
    if (state.name !== "awaitSignature") throw new TypeError("Cannot take a signature: none was asked for");
    this.#finishFlight(state.choice, state.secrets, signature);
  }

  provideVerdict(verdict: Verdict): void {
    const state = this.#state;
    if (state.name !== "awaitVerdict") throw new TypeError("Cannot take a verdict: none was asked for");
    if (!verdict.accepted) throw new TlsAlert(verdict.alert, verdict.reason ?? "The peer was not accepted");
    this.#state = { name: "expectFinished", session: state.session, peer: state.peer };
  }

  #onClientHello(message: ClientHello, bytes: Uint8Array): void {
    const context = this.#context;
    const choice = negotiate(context.config, message);
    const { suite, group, peerShare } = choice;
    context.noteClientRandom(message.random);
    if (peerShare !== undefined) {
      context.startTranscript(suite.hash, bytes);
      return this.#answer(message, choice, peerShare);
    }
    context.startTranscript(suite.hash, messageHash(suite.hash, bytes));
    context.send("initial", helloRetryRequest(message, suite, group));
    this.#state = { name: "expectSecondClientHello", first: message, choice };
  }

  #onSecondClientHello(
    state: State & { name: "expectSecondClientHello" },
    message: ClientHello,
    bytes: Uint8Array,
  ): void {
    // The rest is as it was: so is what we chose from it (RFC 8446 §4.1.4: the same cipher suite).
    const peerShare = shareAskedFor(state.first, message, state.choice.group);
    this.#context.addToTranscript(bytes);
    this.#answer(message, state.choice, peerShare);
  }

  #answer(message: ClientHello, choice: ServerChoice, peerShare: Uint8Array): void {
    const context = this.#context;
    const { suite, group } = choice;
    const random = randomBytes(context.random, RANDOM_BYTES);
    const answer = group.answer(context.random, peerShare);
    if (answer === undefined) throw new TlsAlert("illegal_parameter", "The client's key share is not usable");
    context.emit({ type: "transportParameters", bytes: choice.transportParameters });
    context.send("initial", {
      type: "server_hello",
      random,
      legacySessionIdEcho: message.legacySessionId,
      cipherSuite: suite.code,
      extensions: [
        { type: "supported_versions", versions: [TLS_1_3] },
        { type: "key_share", entries: [{ group: group.code, key: answer.publicKey }] },
      ],
    });
    const { sharedSecret } = answer;
    const secrets = deriveHandshakeSecrets(suite.hash, sharedSecret, context.transcriptHash);
    context.emitSecret("handshake", "write", secrets.server, suite);
    context.emitSecret("handshake", "read", secrets.client, suite);
    this.#sendAuthentication(choice, secrets);
  }

  #sendAuthentication(choice: ServerChoice, secrets: HandshakeSecrets): void {
    const context = this.#context;
    const { transportParameters, peer } = context.config;
    const extensions: Extension[] = [
      { type: "application_layer_protocol_negotiation", protocols: [choice.applicationProtocol] },
      ...choice.certificateTypeAnswers,
      { type: "quic_transport_parameters", bytes: transportParameters },
    ];
    context.send("handshake", { type: "encrypted_extensions", extensions });
    if (choice.clientCertificateType !== undefined) {
      const schemes = schemesFor(peer.certificateTypes).map((scheme) => SIGNATURE_SCHEME_CODES[scheme]);
      context.send("handshake", {
        type: "certificate_request",
        context: new Uint8Array(0),
        extensions: [{ type: "signature_algorithms", schemes }],
      });
    }
    context.sendCertificate(choice.credential, new Uint8Array(0));
    const signature = context.signTranscript(choice.credential, choice.scheme);
    if (signature === undefined) this.#state = { name: "awaitSignature", choice, secrets };
    else this.#finishFlight(choice, secrets, signature);
  }

  #finishFlight(choice: ServerChoice, secrets: HandshakeSecrets, signature: Uint8Array): void {
    const context = this.#context;
    context.sendCertificateVerify(choice.scheme, signature);
    context.sendFinished(secrets.hash, secrets.server);
    const application = deriveApplicationSecrets(secrets, context.transcriptHash);
    // Only our half: whoever the client is, it is not to be listened to before its Finished (RFC 9001 §5.7).
    context.emitSecret("application", "write", application.server, choice.suite);
    const session: Session = { choice, secrets, application };
    this.#state = choice.clientCertificateType === undefined
      ? { name: "expectFinished", session, peer: undefined }
      : { name: "expectCertificate", session };
  }

  #onCertificate(session: Session, message: Certificate, bytes: Uint8Array): void {
    const certificates = presentedCertificates(message);
    // RFC 8446 §4.4.2.4: a client that declines is refused by name.
    if (certificates.length === 0) throw new TlsAlert("certificate_required", "The client presents no certificate");
    const type = session.choice.clientCertificateType ?? "X509";
    const presented = examineCertificates(type, certificates, this.#context.config.peer);
    this.#context.addToTranscript(bytes);
    this.#state = { name: "expectCertificateVerify", session, presented };
  }

  #onCertificateVerify(
    state: State & { name: "expectCertificateVerify" },
    message: CertificateVerify,
    bytes: Uint8Array,
  ): void {
    const { session, presented } = state;
    const { peer } = this.#context.config;
    this.#context.receiveCertificateVerify(message, bytes, presented, schemesFor(peer.certificateTypes));
    if (peer.ask) {
      this.#context.emit({ type: "verifyPeer", peer: presented.identity });
      this.#state = { name: "awaitVerdict", session, peer: presented.identity };
    } else {
      this.#state = { name: "expectFinished", session, peer: presented.identity };
    }
  }

  #onFinished(state: State & { name: "expectFinished" }, message: Finished, bytes: Uint8Array): void {
    const { session, peer } = state;
    const { choice, secrets, application } = session;
    this.#context.receiveFinished(message, bytes, secrets.hash, secrets.client);
    this.#context.emitSecret("application", "read", application.client, choice.suite);
    this.#context.emitKeyLog("EXPORTER_SECRET", application.exporter);
    const { applicationProtocol, serverName, group: { name: group } } = choice;
    this.#context.emit({ type: "handshakeComplete", applicationProtocol, serverName, group, peer });
    const { hash, exporter } = application;
    this.#state = { name: "complete", exporter: { hash, exporter } };
  }
}
