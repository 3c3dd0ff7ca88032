/**
 * A certificate, read: what decides whether a path is good (RFC 5280 §4.1, §4.2). Policies, revocation and what is said
 * about keys are left out: paths are verified without a policy, and `requireExplicitPolicy` is refused.
 *
 * @module
 */

import { equalBytes } from "../../core/bytes.ts";
import { Reader, TruncatedError } from "../../core/reader.ts";
import {
  contextTag,
  DerError,
  enter,
  enterOptional,
  expectEnd,
  readBoolean,
  readBytesOfBits,
  readElement,
  readNamedBits,
  readObjectIdentifier,
  readSmallInteger,
  readTime,
  readWhole,
  TAG,
} from "./der.ts";
import { type GeneralName, readGeneralNames } from "./general_name.ts";
import { type NameConstraints, readNameConstraints } from "./name_constraints.ts";

/** Extensions of one certificate; more are refused. */
const MAX_EXTENSIONS = 64;

/** RFC 5280 §4.2.1.3, as bits of {@linkcode CertificateExtensions.keyUsage}. */
export const KEY_USAGE = { digitalSignature: 0x8000, keyCertSign: 0x0400 } as const;

/** RFC 5280 §4.2.1.12. */
export const KEY_PURPOSE = { serverAuth: "1.3.6.1.5.5.7.3.1", any: "2.5.29.37.0" } as const;

/** The extensions that we know; each is absent if the certificate has none. */
export interface CertificateExtensions {
  readonly basicConstraints?: { readonly isCa: boolean; readonly pathLenConstraint?: number };
  readonly keyUsage?: number;
  readonly extendedKeyUsage?: readonly string[];
  readonly subjectAltName?: readonly GeneralName[];
  readonly nameConstraints?: NameConstraints;
  /** Extensions that are critical and not known: whoever relies on the certificate has to refuse it. */
  readonly unknownCritical: readonly string[];
}

/** A certificate. All byte arrays are views of `der`. */
export interface X509Certificate {
  readonly der: Uint8Array;
  /** What is signed. */
  readonly tbsCertificate: Uint8Array;
  /** AlgorithmIdentifier. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
  /** Name, and so is `subject`. CAs have to write it the same way in both places (RFC 5280 §4.1.2.6). */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  /** Milliseconds since 1970; the second it names is still good. */
  readonly notAfter: number;
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly extensions: CertificateExtensions;
}

/** Reads a certificate. @throws {DerError} If it is not one. */
export function readX509Certificate(der: Uint8Array): X509Certificate {
  try {
    return read(der);
  } catch (error) {
    if (error instanceof TruncatedError) throw new DerError("An element ends early", { cause: error });
    throw error;
  }
}

function read(der: Uint8Array): X509Certificate {
  const outer = new Reader(der);
  const certificate = enter(outer, TAG.sequence);
  expectEnd(outer);
  const tbsCertificate = readWhole(der, certificate, TAG.sequence);
  const signatureAlgorithm = readWhole(der, certificate, TAG.sequence);
  const signature = readBytesOfBits(enter(certificate, TAG.bitString));
  expectEnd(certificate);

  // The same bytes again, so that offsets are those of `der`.
  const start = tbsCertificate.byteOffset - der.byteOffset;
  const tbs = enter(new Reader(der, start, start + tbsCertificate.length), TAG.sequence);
  const explicitVersion = enterOptional(tbs, contextTag(0, true));
  const version = explicitVersion === undefined ? 0 : readSmallInteger(enter(explicitVersion, TAG.integer));
  if (version > 2) throw new DerError(`Version ${version + 1}`);
  enter(tbs, TAG.integer); // serialNumber
  const innerAlgorithm = readWhole(der, tbs, TAG.sequence);
  // RFC 5280 §4.1.1.2.
  if (!equalBytes(innerAlgorithm, signatureAlgorithm)) throw new DerError("Two different signature algorithms");
  const issuer = readWhole(der, tbs, TAG.sequence);
  const validity = enter(tbs, TAG.sequence);
  const [notBefore, notAfter] = [readTime(validity), readTime(validity)];
  expectEnd(validity);
  const subject = readWhole(der, tbs, TAG.sequence);
  const subjectPublicKeyInfo = readWhole(der, tbs, TAG.sequence);
  enterOptional(tbs, contextTag(1, false)); // issuerUniqueID
  enterOptional(tbs, contextTag(2, false)); // subjectUniqueID
  const list = enterOptional(tbs, contextTag(3, true));
  expectEnd(tbs);
  // RFC 5280 §4.1.2.9.
  if (list !== undefined && version !== 2) throw new DerError("Extensions in a certificate before version 3");
  return {
    der,
    tbsCertificate,
    signatureAlgorithm,
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    subjectPublicKeyInfo,
    extensions: list === undefined ? { unknownCritical: [] } : readExtensions(list),
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readExtensions(list: Reader): CertificateExtensions {
  const extensions = enter(list, TAG.sequence);
  expectEnd(list);
  const seen = new Set<string>();
  const unknownCritical: string[] = [];
  const found: Mutable<CertificateExtensions> = { unknownCritical };
  while (extensions.remaining > 0) {
    const extension = enter(extensions, TAG.sequence);
    const id = readObjectIdentifier(extension);
    // RFC 5280 §4.2: not more than one instance.
    if (seen.has(id)) throw new DerError(`Extension ${id} appears twice`);
    if (seen.size === MAX_EXTENSIONS) throw new DerError(`More than ${MAX_EXTENSIONS} extensions`);
    seen.add(id);
    const critical = enterOptional(extension, TAG.boolean);
    const isCritical = critical !== undefined && readBoolean(critical);
    const value = enter(extension, TAG.octetString);
    expectEnd(extension);
    if (!readExtension(found, id, value) && isCritical) unknownCritical.push(id);
  }
  return found;
}

/** @returns Whether the extension is one that we know. */
function readExtension(found: Mutable<CertificateExtensions>, id: string, value: Reader): boolean {
  switch (id) {
    case "2.5.29.19":
      found.basicConstraints = readBasicConstraints(value);
      return true;
    case "2.5.29.15":
      found.keyUsage = readNamedBits(enter(value, TAG.bitString));
      break;
    case "2.5.29.37": {
      const purposes = enter(value, TAG.sequence);
      const ids: string[] = [];
      while (purposes.remaining > 0) ids.push(readObjectIdentifier(purposes));
      found.extendedKeyUsage = ids;
      break;
    }
    case "2.5.29.17":
      found.subjectAltName = readGeneralNames(enter(value, TAG.sequence));
      break;
    case "2.5.29.30":
      found.nameConstraints = readNameConstraints(enter(value, TAG.sequence));
      break;
    case "2.5.29.32": // certificatePolicies: any policy will do, so none is looked at (RFC 5280 §6.1.1 (c))
      readElement(value);
      break;
    default:
      return false;
  }
  expectEnd(value);
  return true;
}

function readBasicConstraints(value: Reader): NonNullable<CertificateExtensions["basicConstraints"]> {
  const contents = enter(value, TAG.sequence);
  expectEnd(value);
  const ca = enterOptional(contents, TAG.boolean);
  const isCa = ca !== undefined && readBoolean(ca);
  const length = enterOptional(contents, TAG.integer);
  expectEnd(contents);
  return length === undefined ? { isCa } : { isCa, pathLenConstraint: readSmallInteger(length) };
}
