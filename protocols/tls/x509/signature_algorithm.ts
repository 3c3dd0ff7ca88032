/**
 * Which algorithm an AlgorithmIdentifier names (RFC 5280 §4.1.1.2, RFC 4055 §3.1 for RSASSA-PSS).
 *
 * @module
 */

import { Reader } from "../../core/reader.ts";
import { CERTIFICATE_ALGORITHMS, type CertificateAlgorithm } from "../../crypto/certificate_signature.ts";
import {
  contextTag,
  DerError,
  enter,
  enterOptional,
  expectEnd,
  readObjectIdentifier,
  readSmallInteger,
  TAG,
} from "./der.ts";

const RSASSA_PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";

/** The digests of RSASSA-PSS, with the length of their output, which RFC 8446 §4.2.3 wants the salt to have. */
const PSS_DIGESTS = new Map(
  [
    ["2.16.840.1.101.3.4.2.1", { digest: "sha256", saltBytes: 32 }],
    ["2.16.840.1.101.3.4.2.2", { digest: "sha384", saltBytes: 48 }],
    ["2.16.840.1.101.3.4.2.3", { digest: "sha512", saltBytes: 64 }],
  ] as const,
);

/** The algorithm of an AlgorithmIdentifier in DER; `undefined` if it is none that we take. @throws {DerError} */
export function certificateAlgorithm(identifier: Uint8Array): CertificateAlgorithm | undefined {
  const contents = enter(new Reader(identifier), TAG.sequence);
  const id = readObjectIdentifier(contents);
  if (id === RSASSA_PSS) return pssAlgorithm(contents);
  enterOptional(contents, TAG.null);
  const algorithm = CERTIFICATE_ALGORITHMS.get(id);
  if (algorithm !== undefined) expectEnd(contents);
  return algorithm;
}

/** RFC 4055 §3.1: one digest for the message and the mask, a salt as long; the defaults are SHA-1 and not taken. */
function pssAlgorithm(contents: Reader): CertificateAlgorithm | undefined {
  const parameters = enter(contents, TAG.sequence);
  const hash = enterOptional(parameters, contextTag(0, true));
  const mask = enterOptional(parameters, contextTag(1, true));
  const salt = enterOptional(parameters, contextTag(2, true));
  if (hash === undefined || mask === undefined || salt === undefined) return undefined;
  const id = readObjectIdentifier(enter(hash, TAG.sequence));
  const maskAlgorithm = enter(mask, TAG.sequence);
  if (readObjectIdentifier(maskAlgorithm) !== MGF1) throw new DerError("A mask by another function than MGF1");
  const maskId = readObjectIdentifier(enter(maskAlgorithm, TAG.sequence));
  const saltBytes = readSmallInteger(enter(salt, TAG.integer));
  for (const [known, digest] of PSS_DIGESTS) {
    if (known === id && known === maskId && digest.saltBytes === saltBytes) {
      return { key: "rsa-pss", digest: digest.digest };
    }
  }
  return undefined;
}
