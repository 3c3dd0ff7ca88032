/**
 * Signatures on certificates: the AlgorithmIdentifiers that CAs use (RFC 5758 §3.2, RFC 8017 §A.2, RFC 8410 §3), by the
 * runtime's cryptography. SHA-1 and short RSA keys are none of them.
 *
 * @module
 */

import { constants, createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";

/** RSA keys below are refused, as web authorities have since 2014. */
const MIN_RSA_BITS = 2048;

/** And those above: to verify with them takes long, and nobody has them. */
const MAX_RSA_BITS = 8192;

/** An algorithm of the table, by what it needs. */
export interface CertificateAlgorithm {
  readonly key: "rsa" | "rsa-pss" | "ec" | "ed25519";
  /** As `node:crypto` names it; Ed25519 has its own inside. */
  readonly digest: "sha256" | "sha384" | "sha512" | null;
}

/** AlgorithmIdentifiers without parameters, or with NULL, by the OBJECT IDENTIFIER. RSASSA-PSS is told by its parameters. */
export const CERTIFICATE_ALGORITHMS: ReadonlyMap<string, CertificateAlgorithm> = new Map<string, CertificateAlgorithm>([
  ["1.2.840.113549.1.1.11", { key: "rsa", digest: "sha256" }],
  ["1.2.840.113549.1.1.12", { key: "rsa", digest: "sha384" }],
  ["1.2.840.113549.1.1.13", { key: "rsa", digest: "sha512" }],
  ["1.2.840.10045.4.3.2", { key: "ec", digest: "sha256" }],
  ["1.2.840.10045.4.3.3", { key: "ec", digest: "sha384" }],
  ["1.2.840.10045.4.3.4", { key: "ec", digest: "sha512" }],
  ["1.3.101.112", { key: "ed25519", digest: null }],
]);

/** A public key of a CA. */
export class CertificateKey {
  readonly #key: KeyObject;

  private constructor(key: KeyObject) {
    this.#key = key;
  }

  /** Reads a SubjectPublicKeyInfo in DER; `undefined` if it is malformed or of a kind or size that is not taken. */
  static fromSpki(spki: Uint8Array): CertificateKey | undefined {
    try {
      const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
      return isTaken(key) ? new CertificateKey(key) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether `signature` is this key's over `message`; `false` too if the algorithm is one for other keys. */
  verify(algorithm: CertificateAlgorithm, message: Uint8Array, signature: Uint8Array): boolean {
    const { key: kind, digest } = algorithm;
    if (this.#key.asymmetricKeyType !== (kind === "rsa-pss" ? "rsa" : kind)) return false;
    try {
      return verify(digest, message, withPadding(this.#key, kind), signature);
    } catch {
      // ECDSA signatures are DER, and not every byte string is.
      return false;
    }
  }
}

function withPadding(key: KeyObject, kind: CertificateAlgorithm["key"]): Parameters<typeof verify>[2] {
  if (kind === "rsa") return { key, padding: constants.RSA_PKCS1_PADDING };
  if (kind !== "rsa-pss") return key;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

function isTaken(key: KeyObject): boolean {
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return true;
    case "ec":
      return CURVES.has(key.asymmetricKeyDetails?.namedCurve ?? "");
    case "rsa": {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      return bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS;
    }
    default:
      return false;
  }
}

const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1"]);
