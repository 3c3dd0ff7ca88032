/**
 * Signature schemes (RFC 8446 §4.2.3). Another one is another row, and an algorithm in `protocols/crypto/signature.ts`.
 *
 * @module
 */

import type { SignatureAlgorithm } from "../crypto/signature.ts";
import type { CertificateType } from "./certificates.ts";

/** The schemes that may sign CertificateVerify. Names are the RFC's, which are also the algorithm's. */
export type SignatureScheme = SignatureAlgorithm;

/** In order of preference: the cheapest to verify first. */
export const SIGNATURE_SCHEME_CODES: Readonly<Record<SignatureScheme, number>> = {
  ed25519: 0x0807,
  ecdsa_secp256r1_sha256: 0x0403,
  ecdsa_secp384r1_sha384: 0x0503,
  rsa_pss_rsae_sha256: 0x0804,
  rsa_pss_rsae_sha384: 0x0805,
  rsa_pss_rsae_sha512: 0x0806,
};

/** Every scheme, in order of preference. */
export const SIGNATURE_SCHEMES: readonly SignatureScheme[] = [
  "ed25519",
  "ecdsa_secp256r1_sha256",
  "ecdsa_secp384r1_sha384",
  "rsa_pss_rsae_sha256",
  "rsa_pss_rsae_sha384",
  "rsa_pss_rsae_sha512",
];

/**
 * What may sign certificates, see `x509/path.ts`: besides those above RSASSA-PKCS1-v1_5, which is for certificates alone and
 * which most authorities with RSA keys use (RFC 8446 §4.2.3): rsa_pkcs1_sha256, rsa_pkcs1_sha384, rsa_pkcs1_sha512.
 */
export const CHAIN_SIGNATURE_SCHEMES: readonly number[] = [
  ...SIGNATURE_SCHEMES.map((scheme) => SIGNATURE_SCHEME_CODES[scheme]),
  0x0401,
  0x0501,
  0x0601,
];

/** The scheme with that number on the wire; `undefined` if there is no row for it. */
export function signatureSchemeOf(code: number): SignatureScheme | undefined {
  return SIGNATURE_SCHEMES.find((scheme) => SIGNATURE_SCHEME_CODES[scheme] === code);
}

/** The schemes to offer to a peer who may present certificates of these types. Raw public keys are Ed25519 keys here. */
export function schemesFor(types: readonly CertificateType[]): readonly SignatureScheme[] {
  return types.includes("X509") ? SIGNATURE_SCHEMES : ["ed25519"];
}
