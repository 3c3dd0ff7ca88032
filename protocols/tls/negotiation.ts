/**
 * What a server chooses from a ClientHello: version, suite, key share, protocol, credential (RFC 8446 §4.1.1, §4.1.2,
 * RFC 7250 §4.2, RFC 7301 §3.2, RFC 9001 §8). A function of the config and the message, without state.
 *
 * @module
 */

import { HandshakeViolation, TlsAlert } from "./alerts.ts";
import { CERTIFICATE_TYPE_CODES } from "./certificates.ts";
import type { CertificateType, Credential } from "./certificates.ts";
import { CIPHER_SUITES } from "./cipher_suites.ts";
import type { CipherSuite } from "./cipher_suites.ts";
import { groupsOf } from "./config.ts";
import type { TlsConfig } from "./config.ts";
import type { Extension, KeyShareEntry } from "./extensions.ts";
import { TLS_1_3 } from "./messages.ts";
import type { ClientHello } from "./messages.ts";
import { NAMED_GROUPS } from "./named_groups.ts";
import type { NamedGroup } from "./named_groups.ts";
import { SIGNATURE_SCHEME_CODES } from "./signature_schemes.ts";
import type { SignatureScheme } from "./signature_schemes.ts";

/** Key shares looked at; a client that sends more is refused. */
const MAX_KEY_SHARES = 16;

/** What the server has chosen. */
export interface ServerChoice {
  readonly suite: CipherSuite;
  readonly group: NamedGroup;
  /** The client's share of it; `undefined`: it has sent none, and has to be asked. */
  readonly peerShare: Uint8Array | undefined;
  readonly applicationProtocol: string;
  readonly serverName: string | undefined;
  /** The client's, as it sent them. */
  readonly transportParameters: Uint8Array;
  readonly credential: Credential;
  readonly scheme: SignatureScheme;
  /** What the client is to present; `undefined`: it is not asked. */
  readonly clientCertificateType: CertificateType | undefined;
  /** The extensions of EncryptedExtensions that answer the client's. */
  readonly certificateTypeAnswers: readonly Extension[];
}

/**
 * Chooses.
 *
 * @throws {TlsAlert} If the client's offer breaks a rule, or has nothing for us.
 * @throws {HandshakeViolation} If it asks for the compatibility mode.
 */
export function negotiate(config: TlsConfig, hello: ClientHello): ServerChoice {
  const { extensions } = hello;
  const versions = extensions.find((extension) => extension.type === "supported_versions")?.versions;
  if (!versions?.includes(TLS_1_3)) throw new TlsAlert("protocol_version", "The client does not offer TLS 1.3");
  // RFC 9001 §8.4: the compatibility mode of TLS is not for QUIC.
  if (hello.legacySessionId.length > 0) throw new HandshakeViolation("ClientHello with a session ID");

  const suite = config.cipherSuites.map((name) => CIPHER_SUITES[name])
    .find(({ code }) => hello.cipherSuites.includes(code));
  if (suite === undefined) throw new TlsAlert("handshake_failure", "No cipher suite in common");
  const { group, key } = chooseGroup(config, extensions);
  const { credential, scheme, certificateTypes } = chooseCredential(config, extensions);
  const client = chooseClientType(config, extensions);
  const answers: Extension[] = [];
  if (client.isAnswered && client.type !== undefined) {
    answers.push({ type: "client_certificate_type", certificateTypes: [CERTIFICATE_TYPE_CODES[client.type]] });
  }
  if (certificateTypes !== undefined) {
    const code = CERTIFICATE_TYPE_CODES[credential.certificateType];
    answers.push({ type: "server_certificate_type", certificateTypes: [code] });
  }
  const parameters = extensions.find((extension) => extension.type === "quic_transport_parameters");
  // RFC 9001 §8.2.
  if (parameters === undefined) {
    throw new TlsAlert("missing_extension", "ClientHello without quic_transport_parameters");
  }
  return {
    suite,
    group,
    peerShare: key,
    applicationProtocol: chooseProtocol(config, extensions),
    serverName: extensions.find((extension) => extension.type === "server_name")?.hostName,
    transportParameters: parameters.bytes,
    credential,
    scheme,
    clientCertificateType: client.type,
    certificateTypeAnswers: answers,
  };
}

/**
 * RFC 8446 §4.1.1, §4.2.8: our first group that the client has sent a share of; without any, our first that it offers: a
 * group we like better is not worth a round trip.
 */
function chooseGroup(
  config: TlsConfig,
  extensions: readonly Extension[],
): { readonly group: NamedGroup; readonly key: Uint8Array | undefined } {
  const groups = extensions.find((extension) => extension.type === "supported_groups")?.groups;
  const shares = extensions.find((extension) => extension.type === "key_share")?.entries;
  // RFC 8446 §9.2: without pre-shared keys both are mandatory.
  if (groups === undefined || shares === undefined) {
    throw new TlsAlert("missing_extension", "ClientHello without supported_groups or key_share");
  }
  checkShares(groups, shares);
  const ours = groupsOf(config).map((name) => NAMED_GROUPS[name]).filter(({ code }) => groups.includes(code));
  for (const group of ours) {
    const share = shares.find((entry) => entry.group === group.code);
    if (share !== undefined) return { group, key: share.key };
  }
  const [first] = ours;
  if (first === undefined) throw new TlsAlert("handshake_failure", "No key exchange group in common");
  return { group: first, key: undefined };
}

/** RFC 8446 §4.2.8: one share a group at most, and only of groups that are offered. */
function checkShares(groups: readonly number[], shares: readonly KeyShareEntry[]): void {
  if (shares.length > MAX_KEY_SHARES) throw new TlsAlert("illegal_parameter", `More than ${MAX_KEY_SHARES} key shares`);
  const seen = new Set<number>();
  for (const { group } of shares) {
    if (seen.has(group)) throw new TlsAlert("illegal_parameter", `Two key shares of group ${group}`);
    if (!groups.includes(group)) throw new TlsAlert("illegal_parameter", `A key share of group ${group}, not offered`);
    seen.add(group);
  }
}

/** RFC 7301 §3.2 and RFC 9001 §8.1: our first protocol that the client offers too. */
function chooseProtocol(config: TlsConfig, extensions: readonly Extension[]): string {
  const offered = extensions.find((extension) => extension.type === "application_layer_protocol_negotiation");
  const protocol = config.applicationProtocols.find((candidate) => offered?.protocols.includes(candidate));
  if (protocol === undefined) throw new TlsAlert("no_application_protocol", "No application protocol in common");
  return protocol;
}

interface CredentialChoice {
  readonly credential: Credential;
  readonly scheme: SignatureScheme;
  /** What the client said it takes; `undefined`: nothing, which means X.509. */
  readonly certificateTypes: readonly number[] | undefined;
}

/** RFC 7250 §4.2 and RFC 8446 §4.4.2.2: our first credential of a type and with a scheme that the client takes. */
function chooseCredential(config: TlsConfig, extensions: readonly Extension[]): CredentialChoice {
  const certificateTypes = extensions.find((extension) => extension.type === "server_certificate_type")
    ?.certificateTypes;
  const schemes = extensions.find((extension) => extension.type === "signature_algorithms")?.schemes;
  // RFC 8446 §4.2.3: mandatory where the server authenticates by certificate.
  if (schemes === undefined) throw new TlsAlert("missing_extension", "ClientHello without signature_algorithms");
  const acceptable = config.credentials.filter((credential) => isTypeIn(credential.certificateType, certificateTypes));
  if (acceptable.length === 0) throw new TlsAlert("unsupported_certificate", "No certificate type in common");
  for (const credential of acceptable) {
    const scheme = credential.signatureSchemes.find((candidate) => schemes.includes(SIGNATURE_SCHEME_CODES[candidate]));
    if (scheme !== undefined) return { credential, scheme, certificateTypes };
  }
  throw new TlsAlert("handshake_failure", "No signature scheme in common");
}

/** RFC 7250 §4.2: what the client is to present, if it is asked at all. */
function chooseClientType(
  config: TlsConfig,
  extensions: readonly Extension[],
): { readonly type: CertificateType | undefined; readonly isAnswered: boolean } {
  const wanted = config.peer.certificateTypes;
  if (wanted.length === 0) return { type: undefined, isAnswered: false };
  const offered = extensions.find((extension) => extension.type === "client_certificate_type")?.certificateTypes;
  const type = wanted.find((candidate) => isTypeIn(candidate, offered));
  if (type === undefined && offered === undefined) {
    // Asked, it could only present X.509 or nothing, and neither will do.
    throw new TlsAlert("certificate_required", "The client has no raw public key to present");
  }
  if (type === undefined) {
    throw new TlsAlert("unsupported_certificate", "No certificate type of the client's in common");
  }
  return { type, isAnswered: offered !== undefined };
}

function isTypeIn(type: CertificateType, codes: readonly number[] | undefined): boolean {
  return codes === undefined ? type === "X509" : codes.includes(CERTIFICATE_TYPE_CODES[type]);
}
