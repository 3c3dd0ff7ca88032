/**
 * What a client offers, and what it makes of the answers: the counterpart of `negotiation.ts` (RFC 8446 §4.1.2, §4.2,
 * RFC 7250 §4.1).
 *
 * @module
 */

import { TlsAlert } from "./alerts.ts";
import { CERTIFICATE_TYPE_CODES, certificateTypeOf } from "./certificates.ts";
import type { CertificateType, Credential } from "./certificates.ts";
import { groupsOf } from "./config.ts";
import type { TlsConfig } from "./config.ts";
import { extensionCode } from "./extensions.ts";
import type { Extension, KeyShareEntry } from "./extensions.ts";
import { TLS_1_3 } from "./messages.ts";
import type { CertificateRequest } from "./messages.ts";
import { NAMED_GROUPS } from "./named_groups.ts";
import { CHAIN_SIGNATURE_SCHEMES, schemesFor, SIGNATURE_SCHEME_CODES } from "./signature_schemes.ts";
import type { SignatureScheme } from "./signature_schemes.ts";

/** The extensions of our first ClientHello, with the key shares we send. */
export function offeredExtensions(config: TlsConfig, shares: readonly KeyShareEntry[]): Extension[] {
  const { serverName, applicationProtocols, transportParameters, credentials, peer } = config;
  const extensions: Extension[] = [];
  if (serverName !== undefined) extensions.push({ type: "server_name", hostName: serverName });
  extensions.push(
    { type: "supported_groups", groups: groupsOf(config).map((name) => NAMED_GROUPS[name].code) },
    { type: "signature_algorithms", schemes: schemesFor(peer.certificateTypes).map(schemeCode) },
    { type: "application_layer_protocol_negotiation", protocols: applicationProtocols },
  );
  // RFC 8446 §4.2.3: said only where it differs. Of a certificate that is pinned no signature is looked at.
  if (peer.certificateTypes.includes("X509") && peer.certificateSha256 === undefined) {
    extensions.push({ type: "signature_algorithms_cert", schemes: CHAIN_SIGNATURE_SCHEMES });
  }
  // RFC 7250 §4.1: X.509 alone is what goes without saying.
  const ours = [...new Set(credentials.map((credential) => credential.certificateType))];
  if (ours.includes("RawPublicKey")) {
    extensions.push({ type: "client_certificate_type", certificateTypes: ours.map(typeCode) });
  }
  if (peer.certificateTypes.includes("RawPublicKey")) {
    extensions.push({ type: "server_certificate_type", certificateTypes: peer.certificateTypes.map(typeCode) });
  }
  extensions.push(
    { type: "supported_versions", versions: [TLS_1_3] },
    { type: "key_share", entries: shares },
    { type: "quic_transport_parameters", bytes: transportParameters },
  );
  return extensions;
}

/**
 * RFC 8446 §4.2: an answer holds only extensions that were asked for.
 *
 * @throws {TlsAlert} unsupported_extension.
 */
export function checkOffered(extensions: readonly Extension[], offered: ReadonlySet<number>): void {
  for (const extension of extensions) {
    const code = extensionCode(extension);
    if (!offered.has(code)) {
      throw new TlsAlert("unsupported_extension", `The server answers extension ${code}, not asked`);
    }
  }
}

/**
 * The certificate type the server has settled on: RFC 7250 §4.2. Without an answer it is X.509, which then has to be
 * acceptable.
 *
 * @throws {TlsAlert} unsupported_certificate or illegal_parameter.
 */
export function chosenType(
  answer: readonly number[] | undefined,
  acceptable: readonly CertificateType[],
): CertificateType {
  const code = answer?.[0];
  const type = code === undefined ? "X509" : certificateTypeOf(code);
  if (type !== undefined && acceptable.includes(type)) return type;
  if (code === undefined) throw new TlsAlert("unsupported_certificate", "The server can only present X.509");
  throw new TlsAlert("illegal_parameter", "The server chose a certificate type not offered");
}

/** What to present: of the type agreed on, with a scheme the server takes. */
export function chooseCredential(
  credentials: readonly Credential[],
  type: CertificateType,
  request: CertificateRequest,
): { readonly credential: Credential; readonly scheme: SignatureScheme } | undefined {
  const accepted = request.extensions.find((extension) => extension.type === "signature_algorithms")?.schemes ?? [];
  for (const credential of credentials) {
    if (credential.certificateType !== type) continue;
    const scheme = credential.signatureSchemes.find((candidate) => accepted.includes(schemeCode(candidate)));
    if (scheme !== undefined) return { credential, scheme };
  }
  return undefined;
}

function typeCode(type: CertificateType): number {
  return CERTIFICATE_TYPE_CODES[type];
}

function schemeCode(scheme: SignatureScheme): number {
  return SIGNATURE_SCHEME_CODES[scheme];
}
