/**
 * What we can present: a raw public key (RFC 7250) or an X.509 chain, with the key that signs for it.
 *
 * @module
 */

import type { Ed25519PrivateKey } from "../crypto/ed25519.ts";
import { equalBytes } from "../core/bytes.ts";
import { keyKindOf } from "../crypto/signature.ts";
import type { SigningKey } from "../crypto/signature.ts";
import { SIGNATURE_SCHEMES } from "./signature_schemes.ts";
import type { SignatureScheme } from "./signature_schemes.ts";
import { subjectPublicKeyInfo } from "./x509.ts";

/** The certificate types we speak, as RFC 8446 §4.4.2 spells them. */
export type CertificateType = "X509" | "RawPublicKey";

/** RFC 7250 §3 and the registry it refers to. */
export const CERTIFICATE_TYPE_CODES: Readonly<Record<CertificateType, number>> = { X509: 0, RawPublicKey: 2 };

/** The type with that number on the wire; `undefined` if it is one we do not speak. */
export function certificateTypeOf(code: number): CertificateType | undefined {
  switch (code) {
    case CERTIFICATE_TYPE_CODES.X509:
      return "X509";
    case CERTIFICATE_TYPE_CODES.RawPublicKey:
      return "RawPublicKey";
    default:
      return undefined;
  }
}

/** Bytes of a chain to present, so that its message stays within the 64 KiB that we and others take. */
const MAX_CHAIN_BYTES = 60_000;

/** Something we can present. Made once and used by many connections. */
export interface Credential {
  /** What `certificates` holds. */
  readonly certificateType: CertificateType;
  /** One SubjectPublicKeyInfo for a raw public key, else a chain with the leaf first; DER. */
  readonly certificates: readonly Uint8Array[];
  /** What the key can sign with, in order of preference. */
  readonly signatureSchemes: readonly SignatureScheme[];
  /** Absent: the handshake emits `sign` and waits for `provideSignature`. */
  readonly sign?: (scheme: SignatureScheme, input: Uint8Array) => Uint8Array;
}

/** Our Ed25519 key as a raw public key. */
export function rawPublicKeyCredential(key: Ed25519PrivateKey): Credential {
  return {
    certificateType: "RawPublicKey",
    certificates: [key.publicKey.toSpki()],
    signatureSchemes: ["ed25519"],
    sign: (_scheme: SignatureScheme, input: Uint8Array): Uint8Array => key.sign(input),
  };
}

/**
 * A certificate chain and the key of its leaf.
 *
 * @param chain DER, leaf first, at least one.
 * @throws {TypeError} If the leaf is not a certificate, or not that key's.
 * @throws {RangeError} If the chain is longer than a handshake message may be.
 */
export function x509Credential(chain: readonly Uint8Array[], key: SigningKey): Credential {
  const leaf = chain[0];
  const spki = leaf === undefined ? undefined : subjectPublicKeyInfo(leaf);
  if (spki === undefined) throw new TypeError("Cannot present certificate: it is not X.509 in DER");
  if (!equalBytes(spki, key.publicKeySpki())) {
    throw new TypeError("Cannot present certificate: the private key belongs to another one");
  }
  const chainBytes = chain.reduce((sum, certificate) => sum + certificate.length, 0);
  if (chainBytes > MAX_CHAIN_BYTES) {
    throw new RangeError(`Cannot present certificate: a chain of ${chainBytes} bytes, at most ${MAX_CHAIN_BYTES}`);
  }
  return {
    certificateType: "X509",
    certificates: chain,
    signatureSchemes: SIGNATURE_SCHEMES.filter((scheme) => keyKindOf(scheme) === key.kind),
    sign: (scheme: SignatureScheme, input: Uint8Array): Uint8Array => key.sign(scheme, input),
  };
}
