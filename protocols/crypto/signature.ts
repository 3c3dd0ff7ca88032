/**
 * Signatures by the names TLS 1.3 gives them (RFC 8446 §4.2.3), with keys as SubjectPublicKeyInfo and PKCS #8: for X.509
 * certificates, whose keys may be of other kinds than ours.
 *
 * @module
 */

import { constants, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { Buffer } from "node:buffer";
import { plainBytes } from "./hash.ts";

/** What a key can be used for; RSA keys sign with PSS only. */
export type KeyKind = "ed25519" | "p256" | "p384" | "rsa";

/** A signature algorithm of TLS 1.3. */
export type SignatureAlgorithm =
  | "ed25519"
  | "ecdsa_secp256r1_sha256"
  | "ecdsa_secp384r1_sha384"
  | "rsa_pss_rsae_sha256"
  | "rsa_pss_rsae_sha384"
  | "rsa_pss_rsae_sha512";

interface AlgorithmProperties {
  readonly keyKind: KeyKind;
  /** As `node:crypto` names it; Ed25519 has its own inside. */
  readonly digest: string | null;
}

/** Shorter keys of ours are refused: everybody else does so, and PSS with SHA-512 does not even fit 1,024 bits. */
const MIN_RSA_BITS = 2048;

const ALGORITHMS: Readonly<Record<SignatureAlgorithm, AlgorithmProperties>> = {
  ed25519: { keyKind: "ed25519", digest: null },
  ecdsa_secp256r1_sha256: { keyKind: "p256", digest: "sha256" },
  ecdsa_secp384r1_sha384: { keyKind: "p384", digest: "sha384" },
  rsa_pss_rsae_sha256: { keyKind: "rsa", digest: "sha256" },
  rsa_pss_rsae_sha384: { keyKind: "rsa", digest: "sha384" },
  rsa_pss_rsae_sha512: { keyKind: "rsa", digest: "sha512" },
};

/** The kind of key that `algorithm` needs. In TLS 1.3 an ECDSA algorithm fixes the curve (RFC 8446 §4.2.3). */
export function keyKindOf(algorithm: SignatureAlgorithm): KeyKind {
  return ALGORITHMS[algorithm].keyKind;
}

/** A public key of any kind we can verify with. */
export class VerifyingKey {
  readonly kind: KeyKind;
  readonly #key: KeyObject;

  private constructor(kind: KeyKind, key: KeyObject) {
    this.kind = kind;
    this.#key = key;
  }

  /** Reads a SubjectPublicKeyInfo in DER; `undefined` if it is malformed or of a kind that is not in the table. */
  static fromSpki(spki: Uint8Array): VerifyingKey | undefined {
    try {
      const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
      const kind = kindOf(key);
      return kind === undefined ? undefined : new VerifyingKey(kind, key);
    } catch {
      return undefined;
    }
  }

  /** Whether `algorithm` is one for this kind of key. */
  canVerify(algorithm: SignatureAlgorithm): boolean {
    return ALGORITHMS[algorithm].keyKind === this.kind;
  }

  /** Whether `signature` is this key's over `message`; `false` too if `algorithm` is not one for this kind of key. */
  verify(algorithm: SignatureAlgorithm, message: Uint8Array, signature: Uint8Array): boolean {
    const { keyKind, digest } = ALGORITHMS[algorithm];
    if (keyKind !== this.kind) return false;
    try {
      return verify(digest, message, keyWithPadding(this.#key, keyKind), signature);
    } catch {
      // ECDSA signatures are DER, and not every byte string is.
      return false;
    }
  }
}

/** A private key of any kind we can sign with. */
export class SigningKey {
  readonly kind: KeyKind;
  readonly #key: KeyObject;

  private constructor(kind: KeyKind, key: KeyObject) {
    this.kind = kind;
    this.#key = key;
  }

  /**
   * Reads PKCS #8 in DER (the body of a PEM "PRIVATE KEY").
   *
   * @throws {TypeError} If it is not that, the key is of a kind that is not in the table, or an RSA key below 2,048 bits.
   */
  static fromPkcs8(pkcs8: Uint8Array): SigningKey {
    let key: KeyObject;
    try {
      key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    } catch (cause) {
      throw new TypeError("Cannot read private key: it is not PKCS #8 in DER", { cause });
    }
    const kind = kindOf(key);
    if (kind === undefined) throw new TypeError("Cannot use private key: not Ed25519, P-256, P-384 or RSA");
    const bits = key.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS;
    if (kind === "rsa" && bits < MIN_RSA_BITS) {
      throw new TypeError(`Cannot use private key: RSA with ${bits} bits, at least ${MIN_RSA_BITS} are needed`);
    }
    return new SigningKey(kind, key);
  }

  /** The SubjectPublicKeyInfo of the public key, in DER. */
  publicKeySpki(): Uint8Array {
    return plainBytes(createPublicKey(this.#key).export({ format: "der", type: "spki" }));
  }

  /** @throws {TypeError} If `algorithm` is not one for this kind of key. */
  sign(algorithm: SignatureAlgorithm, message: Uint8Array): Uint8Array {
    const { keyKind, digest } = ALGORITHMS[algorithm];
    if (keyKind !== this.kind) throw new TypeError(`Cannot sign: ${algorithm} needs another key than ${this.kind}`);
    return plainBytes(sign(digest, message, keyWithPadding(this.#key, keyKind)));
  }
}

/** RFC 8446 §4.2.3: in RSASSA-PSS the salt is as long as the digest. */
function keyWithPadding(key: KeyObject, kind: KeyKind): { key: KeyObject; padding?: number; saltLength?: number } {
  if (kind !== "rsa") return { key };
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

function kindOf(key: KeyObject): KeyKind | undefined {
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return "ed25519";
    case "rsa":
      return "rsa";
    case "ec":
      return kindOfCurve(key.asymmetricKeyDetails?.namedCurve);
    default:
      return undefined;
  }
}

function kindOfCurve(name: string | undefined): KeyKind | undefined {
  switch (name) {
    case "prime256v1":
      return "p256";
    case "secp384r1":
      return "p384";
    default:
      return undefined;
  }
}
