/**
 * Certification paths: from what a server presents to an authority that is trusted (RFC 5280 §6.1, RFC 4158 for the
 * search), for one purpose: to be the TLS server of that name. Without policies, and without revocation, which the runtime's
 * own TLS does not look at either.
 *
 * @module
 */

import { equalBytes } from "../../core/bytes.ts";
import { TruncatedError } from "../../core/reader.ts";
import { CertificateKey } from "../../crypto/certificate_signature.ts";
import type { AlertName } from "../alerts.ts";
import type { Verdict } from "../events.ts";
import {
  type CertificateExtensions,
  KEY_PURPOSE,
  KEY_USAGE,
  readX509Certificate,
  type X509Certificate,
} from "./certificate.ts";
import { DerError } from "./der.ts";
import { matchesHost } from "./general_name.ts";
import { satisfies } from "./name_constraints.ts";
import { certificateAlgorithm } from "./signature_algorithm.ts";
import type { TrustStore } from "./trust_store.ts";

/** CAs between the server's certificate and the authority. */
const MAX_INTERMEDIATES = 6;

/** Signatures verified for one verdict: a pool of CAs with one name and many keys would ask for more. */
const MAX_SIGNATURES = 32;

/** Whom a chain is to prove, and when. */
export interface ChainQuestion {
  /** The DNS name or IP address that the server was called by. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly epochMs: number;
  readonly trust: TrustStore;
}

/**
 * Whether a chain proves that its first certificate is that server's.
 *
 * @param chain As the server presented it: its own certificate first, the others in any order. DER.
 * @returns The alert that RFC 8446 §6.2 names for what is wrong, and the same in words.
 */
export function verifyChain(chain: readonly Uint8Array[], question: ChainQuestion): Verdict {
  try {
    new PathSearch(chain, question).run();
    return { accepted: true };
  } catch (error) {
    if (error instanceof Rejection) return { accepted: false, alert: error.alert, reason: error.message };
    if (error instanceof DerError || error instanceof TruncatedError) {
      return { accepted: false, alert: "bad_certificate", reason: `one is malformed: ${error.message}` };
    }
    throw error;
  }
}

/** Something is wrong with a path. */
class Rejection extends Error {
  readonly alert: AlertName;

  constructor(alert: AlertName, message: string) {
    super(message);
    this.alert = alert;
  }
}

/** One search: depth first, from the server's certificate up. */
class PathSearch {
  readonly #leaf: X509Certificate;
  readonly #pool: readonly X509Certificate[];
  readonly #question: ChainQuestion;
  #signatures = 0;
  /** What was wrong with the first path that led anywhere. */
  #rejection: Rejection | undefined;

  constructor([leaf, ...others]: readonly Uint8Array[], question: ChainQuestion) {
    if (leaf === undefined) throw new Rejection("bad_certificate", "there is none");
    this.#leaf = readX509Certificate(leaf);
    this.#pool = others.map(readX509Certificate);
    this.#question = question;
  }

  /** @throws {Rejection|DerError|TruncatedError} */
  run(): void {
    const { host, epochMs, trust } = this.#question;
    checkLeaf(this.#leaf, host);
    checkValidity(this.#leaf, epochMs);
    // Somebody trusts this very certificate: there is nothing above it to look at.
    if (trust.has(this.#leaf) || this.#extend([this.#leaf])) return;
    throw this.#rejection ?? new Rejection("unknown_ca", "no authority that is trusted has issued it");
  }

  /** @param path From the server's certificate to one whose issuer is looked for. */
  #extend(path: readonly X509Certificate[]): boolean {
    const issued = path.at(-1) ?? this.#leaf;
    for (const anchor of this.#question.trust.issuersOf(issued)) {
      if (this.#isGood(anchor, path, "anchor")) return true;
    }
    if (path.length > MAX_INTERMEDIATES) return false;
    return this.#pool.some((issuer) =>
      equalBytes(issuer.subject, issued.issuer) && !path.includes(issuer) &&
      this.#isGood(issuer, path, "intermediate") && this.#extend([...path, issuer])
    );
  }

  #isGood(issuer: X509Certificate, path: readonly X509Certificate[], place: Place): boolean {
    if (++this.#signatures > MAX_SIGNATURES) {
      throw new Rejection("bad_certificate", `to find its authority takes more than ${MAX_SIGNATURES} signatures`);
    }
    try {
      checkIssuer(issuer, path, place);
      // How long an authority is trusted is for those to say who trust it.
      if (place === "intermediate") checkValidity(issuer, this.#question.epochMs);
      return true;
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      this.#rejection ??= error;
      return false;
    }
  }
}

type Place = "anchor" | "intermediate";

/** What does not depend on who issued the certificate. */
function checkLeaf({ extensions }: X509Certificate, host: string): void {
  checkKnown(extensions);
  const { basicConstraints, keyUsage, subjectAltName = [] } = extensions;
  // As the runtime's TLS has it: a key that signs certificates is not one that servers should hold.
  if (basicConstraints?.isCa === true) {
    throw new Rejection("bad_certificate", "it is an authority's and not a server's");
  }
  // RFC 8446 §4.4.2.2.
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE.digitalSignature) === 0) {
    throw new Rejection("unsupported_certificate", "its key is not for digital signatures");
  }
  checkPurpose(extensions);
  if (!matchesHost(subjectAltName, host)) throw new Rejection("certificate_unknown", `it is not for ${host}`);
}

/**
 * RFC 5280 §6.1.3 and §6.1.4, from the issuer's side: whether it has issued what is below, and may have.
 *
 * @param path Everything below, the server's certificate first and the one it issued last.
 */
function checkIssuer(issuer: X509Certificate, path: readonly X509Certificate[], place: Place): void {
  const { basicConstraints, keyUsage, nameConstraints } = issuer.extensions;
  const issued = path.at(-1);
  const key = CertificateKey.fromSpki(issuer.subjectPublicKeyInfo);
  const algorithm = issued === undefined ? undefined : certificateAlgorithm(issued.signatureAlgorithm);
  if (issued === undefined || key === undefined || algorithm === undefined) {
    throw new Rejection("unsupported_certificate", "it is signed in a way that is not taken");
  }
  // §6.1.3 (a) (1).
  if (!key.verify(algorithm, issued.tbsCertificate, issued.signature)) {
    throw new Rejection("bad_certificate", "a signature does not verify");
  }
  checkKnown(issuer.extensions);
  // §6.1.4 (k). Roots of version 1 have no extensions, and are trusted for what they are.
  const isCa = basicConstraints?.isCa ?? place === "anchor";
  if (!isCa) throw new Rejection("bad_certificate", "it was issued by one that is not an authority's");
  // §6.1.4 (n).
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE.keyCertSign) === 0) {
    throw new Rejection("bad_certificate", "it was issued with a key that is not for certificates");
  }
  // Not in RFC 5280, but what the runtime's TLS does too: a purpose that an authority lacks it cannot pass on.
  checkPurpose(issuer.extensions);
  // §6.1.4 (l), (m): those that an authority issued to itself do not count.
  const between = path.slice(1).filter((below) => !isSelfIssued(below)).length;
  if (between > (basicConstraints?.pathLenConstraint ?? Infinity)) {
    throw new Rejection("bad_certificate", "more authorities are in between than one of them allows");
  }
  if (nameConstraints === undefined) return;
  // §6.1.3 (b), (c): neither do they have to be within the names, unless they are the server's.
  const named = path.filter((below, i) => i === 0 || !isSelfIssued(below));
  if (!named.every(({ subject, extensions }) => satisfies(nameConstraints, extensions.subjectAltName ?? [], subject))) {
    throw new Rejection("bad_certificate", "an authority is not allowed to issue it for these names");
  }
}

/** §6.1.3 (a) (2). */
function checkValidity({ notBefore, notAfter }: X509Certificate, epochMs: number): void {
  // RFC 8446 §6.2: "expired or is not currently valid".
  if (epochMs < notBefore) throw new Rejection("certificate_expired", "it is not valid yet");
  // The last second is a part of the time.
  if (epochMs >= notAfter + 1000) throw new Rejection("certificate_expired", "it has expired");
}

/** §6.1.4 (o), §6.1.5 (f). */
function checkKnown({ unknownCritical }: CertificateExtensions): void {
  const [id] = unknownCritical;
  if (id !== undefined) throw new Rejection("unsupported_certificate", `it has the critical extension ${id}`);
}

/** RFC 5280 §4.2.1.12: without the extension, for all purposes. */
function checkPurpose({ extendedKeyUsage }: CertificateExtensions): void {
  if (extendedKeyUsage === undefined) return;
  if (!extendedKeyUsage.some((purpose) => purpose === KEY_PURPOSE.serverAuth || purpose === KEY_PURPOSE.any)) {
    throw new Rejection("unsupported_certificate", "it is not for TLS servers");
  }
}

function isSelfIssued({ subject, issuer }: X509Certificate): boolean {
  return equalBytes(subject, issuer);
}
