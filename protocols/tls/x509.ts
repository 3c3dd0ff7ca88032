/**
 * The one thing we read in every X.509 certificate: its public key (RFC 5280 §4.1). Whom to trust is decided by the pinned
 * digest, or by whoever answers `verifyPeer`, for which `x509/path.ts` reads all the rest.
 *
 * @module
 */

import { Reader } from "../core/reader.ts";
import { contextTag, enter, enterOptional, expectEnd, readElement, readWhole, TAG } from "./x509/der.ts";

/**
 * The SubjectPublicKeyInfo of a certificate in DER, a view of it; `undefined` if the bytes are not a certificate.
 */
export function subjectPublicKeyInfo(certificate: Uint8Array): Uint8Array | undefined {
  try {
    const outer = new Reader(certificate);
    const body = enter(outer, TAG.sequence);
    expectEnd(outer);
    const tbsCertificate = enter(body, TAG.sequence);
    enterOptional(tbsCertificate, contextTag(0, true)); // version
    readElement(tbsCertificate); // serialNumber
    readElement(tbsCertificate); // signature
    readElement(tbsCertificate); // issuer
    readElement(tbsCertificate); // validity
    readElement(tbsCertificate); // subject
    return readWhole(certificate, tbsCertificate, TAG.sequence);
  } catch {
    // A reader that ran out, or a length that DER does not allow.
    return undefined;
  }
}
