/**
 * Whom we accept: raw public keys (RFC 7250), and X.509 leaves that are pinned by SHA-256 or judged by whoever answers
 * `verifyPeer`. Names, validity and chains are not looked at here.
 *
 * @module
 */

import { equalBytes } from "../core/bytes.ts";
import { decodeEd25519Spki } from "../crypto/ed25519.ts";
import { sha256 } from "../crypto/hash.ts";
import { VerifyingKey } from "../crypto/signature.ts";
import { TlsAlert } from "./alerts.ts";
import type { CertificateType } from "./certificates.ts";
import { subjectPublicKeyInfo } from "./x509.ts";

/** Certificates in a chain; a peer that sends more is refused. */
export const MAX_CHAIN_CERTIFICATES = 16;

/** Bytes of a SubjectPublicKeyInfo we still look at: RSA with 4,096 bits has 550. */
const MAX_SPKI_BYTES = 1200;

/** Whom we talk to. */
export interface PeerPolicy {
  /**
   * What the peer may present, in order of preference (RFC 7250). Empty, on a server: clients are not asked to
   * authenticate. Not empty, on a server: a client that presents nothing is refused with certificate_required.
   */
  readonly certificateTypes: readonly CertificateType[];
  /** The raw public key must be one of these Ed25519 keys, of 32 bytes; absent: any that proves itself. */
  readonly publicKeys?: readonly Uint8Array[];
  /** The leaf certificate must have one of these SHA-256 digests of its DER, of 32 bytes. X.509 needs this, or `ask`. */
  readonly certificateSha256?: readonly Uint8Array[];
  /** A peer that proves this Ed25519 key, of 32 bytes, is refused: it is our own. */
  readonly refusePublicKey?: Uint8Array;
  /** Whether, when all of the above holds, `verifyPeer` is emitted and the handshake waits for `provideVerdict`. */
  readonly ask: boolean;
}

/** Who the peer has proved to be. */
export interface PeerIdentity {
  /** What `certificates` holds. */
  readonly certificateType: CertificateType;
  /** One SubjectPublicKeyInfo for a raw public key, else the chain as it was sent, leaf first; DER. */
  readonly certificates: readonly Uint8Array[];
  /** SubjectPublicKeyInfo of the key that signed, in DER. */
  readonly spki: Uint8Array;
  /** The 32 bytes of that key, if it is an Ed25519 key. */
  readonly ed25519PublicKey: Uint8Array | undefined;
}

/** What a Certificate message presented: an identity still to be proved, and the key to prove it with. */
export interface PresentedCertificate {
  readonly identity: PeerIdentity;
  readonly key: VerifyingKey;
}

/**
 * Checks what the peer presents against the policy. That it holds the key is for CertificateVerify to show.
 *
 * @param certificates As in the Certificate message; not empty.
 * @throws {TlsAlert}
 */
export function examineCertificates(
  certificateType: CertificateType,
  certificates: readonly Uint8Array[],
  policy: PeerPolicy,
): PresentedCertificate {
  const leaf = certificates[0];
  if (leaf === undefined) throw new TlsAlert("internal_error", "There is no certificate to examine");
  if (certificates.length > MAX_CHAIN_CERTIFICATES) {
    throw new TlsAlert("bad_certificate", `More than ${MAX_CHAIN_CERTIFICATES} certificates in a chain`);
  }
  const spki = certificateType === "RawPublicKey"
    ? examineRawPublicKey(certificates, leaf, policy)
    : examineChain(leaf, policy);
  const ed25519PublicKey = decodeEd25519Spki(spki);
  const { refusePublicKey } = policy;
  if (
    ed25519PublicKey !== undefined && refusePublicKey !== undefined && equalBytes(ed25519PublicKey, refusePublicKey)
  ) {
    throw new TlsAlert("certificate_unknown", "The peer presents our own key");
  }
  const key = spki.length > MAX_SPKI_BYTES ? undefined : VerifyingKey.fromSpki(spki);
  if (key === undefined) throw new TlsAlert("unsupported_certificate", "The peer's key is of a kind we cannot verify");
  return { identity: { certificateType, certificates, spki, ed25519PublicKey }, key };
}

function examineRawPublicKey(certificates: readonly Uint8Array[], spki: Uint8Array, policy: PeerPolicy): Uint8Array {
  // RFC 8446 §4.4.2: no more than one entry if the type is RawPublicKey.
  if (certificates.length !== 1) throw new TlsAlert("illegal_parameter", "More than one raw public key");
  const publicKey = decodeEd25519Spki(spki);
  if (publicKey === undefined) throw new TlsAlert("unsupported_certificate", "The raw public key is not Ed25519");
  if (policy.publicKeys !== undefined && !policy.publicKeys.some((expected) => equalBytes(expected, publicKey))) {
    throw new TlsAlert("certificate_unknown", "The peer presents another key than the expected one");
  }
  return spki;
}

function examineChain(leaf: Uint8Array, policy: PeerPolicy): Uint8Array {
  const pins = policy.certificateSha256;
  if (pins !== undefined) {
    const digest = sha256(leaf);
    if (!pins.some((pin) => equalBytes(pin, digest))) {
      throw new TlsAlert("certificate_unknown", "The peer presents another certificate than the pinned one");
    }
  }
  const spki = subjectPublicKeyInfo(leaf);
  if (spki === undefined) throw new TlsAlert("bad_certificate", "The certificate is not X.509 in DER");
  return spki;
}
