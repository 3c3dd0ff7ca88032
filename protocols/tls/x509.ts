/**
 * The one thing we read in an X.509 certificate: its public key (RFC 5280 §4.1). Whom to trust is decided by the pinned
 * digest, or by whoever answers `verifyPeer`; names, validity and chains are not looked at here.
 *
 * @module
 */

import { Reader } from "../core/reader.ts";

const SEQUENCE = 0x30;
const EXPLICIT_VERSION = 0xa0;

/**
 * The SubjectPublicKeyInfo of a certificate in DER, a view of it; `undefined` if the bytes are not a certificate.
 */
export function subjectPublicKeyInfo(certificate: Uint8Array): Uint8Array | undefined {
  try {
    const outer = new Reader(certificate);
    const body = enter(outer, SEQUENCE);
    if (outer.remaining !== 0) return undefined;
    const tbsCertificate = enter(body, SEQUENCE);
    if (tbsCertificate.peek() === EXPLICIT_VERSION) element(tbsCertificate);
    element(tbsCertificate); // serialNumber
    element(tbsCertificate); // signature
    element(tbsCertificate); // issuer
    element(tbsCertificate); // validity
    element(tbsCertificate); // subject
    const start = tbsCertificate.offset;
    if (tbsCertificate.peek() !== SEQUENCE) return undefined;
    element(tbsCertificate);
    return certificate.subarray(start, tbsCertificate.offset);
  } catch {
    // A reader that ran out, or a length that DER does not allow.
    return undefined;
  }
}

function enter(reader: Reader, tag: number): Reader {
  if (reader.peek() !== tag) throw new SyntaxError("Another DER element was expected");
  return element(reader);
}

/** The contents of the next element, which `reader` then has passed. */
function element(reader: Reader): Reader {
  const tag = reader.uint8();
  if ((tag & 0x1f) === 0x1f) throw new SyntaxError("A certificate has no DER tags of many bytes");
  const first = reader.uint8();
  if (first < 0x80) return reader.sub(first);
  // X.690 §10.1: definite lengths, in as few bytes as can be. Three bytes are more than a handshake message can hold.
  switch (first) {
    case 0x81: {
      const length = reader.uint8();
      if (length < 0x80) throw new SyntaxError("A DER length is longer than needed");
      return reader.sub(length);
    }
    case 0x82: {
      const length = reader.uint16();
      if (length < 0x100) throw new SyntaxError("A DER length is longer than needed");
      return reader.sub(length);
    }
    default:
      throw new SyntaxError("A DER length is indefinite or too large");
  }
}
